/* The propagation of mounts, looked at and made. */
#include "stage/shared.h"

#include "base/str.h"
#include "io/fsroot.h"

void shared_check(const struct mounts *m, const char *path, const char *id, uint8_t layer,
                  const char *repair, struct findings *ret)
{
    const struct mount_info *on = mounts_over(m, path);
    bool ok = on && on->shared;
    struct finding *f =
        findings_add(ret, id, layer, ok ? SEV_OK : SEV_FAIL, "'%s' is on a %s mount ('%s')%s", path,
                     on ? mount_propagation(on) : "missing", on ? on->target : "",
                     ok ? "" : ": mounts made below it later would not be passed on");

    finding_compare(f, "shared", on ? mount_propagation(on) : "nothing", "/proc/self/mountinfo");
    if (on && !ok)
        f->repair = repair;
}

struct err *shared_make(struct ctx *ctx, const char *path)
{
    AUTO(mounts_clear) struct mounts m = {0};
    AUTO(freep) char *real = fsroot_path(ctx->root, path);

    TRY(mounts_read(ctx, &m));
    if (mounts_at(&m, path))
        return mounts_make_shared(real, true);
    return mounts_rbind(real, real);
}

struct err *shared_check_path(struct ctx *ctx, const char *path, const char *id, uint8_t layer,
                              struct findings *ret, bool *ret_ok)
{
    AUTO(freep) char *real = NULL;

    *ret_ok = *path == '\0';
    if (*ret_ok)
        return NULL;
    TRY(fsroot_real(ctx->root, path, &real));
    *ret_ok = str_eq(real, path);
    if (!*ret_ok)
        findings_add(ret, id, layer, SEV_FAIL,
                     "'%s' leads to '%s' (a symbolic link?): name that in the config", path, real);
    return NULL;
}
