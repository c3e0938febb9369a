/* The propagation of mounts, looked at and made. */
#include "stage/shared.h"

#include <string.h>
#include <sys/mount.h>

#include "base/str.h"
#include "io/fsroot.h"
#include "stage/unmount.h"

#define SELF_BIND "bound on itself"

static bool at_or_below(const char *path, const char *base)
{
    size_t n = strlen(base);

    return strncmp(path, base, n) == 0 && (path[n] == '\0' || path[n] == '/' || n == 1);
}

/* What shared_make will change: each mount that is not shared, with what it is; or that there is no
 * mount yet. */
static char *before_shared(const struct mounts *m, const char *path)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    if (!mounts_at(m, path))
        return xstrdup(SELF_BIND);
    for (size_t i = 0; i < m->n; i++)
        if (at_or_below(m->items[i].target, path) && !m->items[i].shared)
            strbuf_printf(&b, "%s %s\n", mount_propagation(&m->items[i]), m->items[i].target);
    return strbuf_take(&b);
}

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
    if (!on || ok)
        return;
    f->repair = repair;
    f->old = before_shared(m, path);
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

/* The folder's own mount, made by shared_make, and not one of something else. */
static bool is_self_bind(const struct mounts *m, const struct mount_info *at)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct mount_info *p = &m->items[i];

        if (p->id != at->parent_id || p == at || p->major != at->major || p->minor != at->minor)
            continue;
        AUTO(freep) char *inner = mount_inner_path(p, at->target);
        return str_eq(inner, at->root);
    }
    return false;
}

/* One line of before_shared, as far as it is to be taken back. *ret_type: what the mount was. */
static bool to_restore(const struct mounts *m, char *line, unsigned long *ret_type,
                       const char **ret_target)
{
    char *blank = strchr(line, ' ');
    const struct mount_info *at = blank ? mounts_at(m, blank + 1) : NULL;

    if (!at || !at->shared)
        return false;
    *blank = '\0';
    *ret_target = blank + 1;
    *ret_type = str_eq(line, "slave")        ? MS_SLAVE
                : str_eq(line, "unbindable") ? MS_UNBINDABLE
                                             : MS_PRIVATE;
    return true;
}

struct err *shared_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    AUTO(mounts_clear) struct mounts m = {0};
    AUTO(freep) char *old = xstrdup(c->old ? c->old : "");
    const char *target;
    char *save = NULL;
    unsigned long type;

    TRY(mounts_read(ctx, &m));
    const struct mount_info *at = mounts_at(&m, c->object);
    *ret = (struct undo_look){.verdict = UNDO_GONE};
    if (str_eq(old, SELF_BIND)) {
        if (at && is_self_bind(&m, at))
            *ret = (struct undo_look){
                .verdict = UNDO_DO,
                .what = xasprintf("unmount '%s', which is bound on itself", c->object),
                .unmounts = UNDO_RBIND};
        return NULL;
    }
    for (char *l = strtok_r(old, "\n", &save); l && !ret->what; l = strtok_r(NULL, "\n", &save))
        if (to_restore(&m, l, &type, &target))
            *ret = (struct undo_look){.verdict = UNDO_DO,
                                      .what = xasprintf("make the mount '%s' %s again", target, l)};
    return NULL;
}

struct err *shared_undo(struct ctx *ctx, const struct change *c)
{
    AUTO(mounts_clear) struct mounts m = {0};
    AUTO(freep) char *old = xstrdup(c->old ? c->old : "");
    const char *target;
    char *save = NULL;
    unsigned long type;

    if (str_eq(old, SELF_BIND))
        return unmount_now(ctx, c->object, UNDO_RBIND); /* with what was mounted below it before */
    TRY(mounts_read(ctx, &m));
    for (char *l = strtok_r(old, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        if (!to_restore(&m, l, &type, &target))
            continue;
        AUTO(freep) char *real = fsroot_path(ctx->root, target);
        TRY(mounts_set_propagation(real, type, false));
    }
    return NULL;
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
