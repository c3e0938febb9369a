/* What the stages that write below /etc share. */
#include "stage/etc.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "io/fsroot.h"

static bool to_repair(const struct findings *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->items[i].repair)
            return true;
    return false;
}

struct err *etc_check(struct ctx *ctx, const char *id, bool adopt, struct findings *ret)
{
    struct statvfs v = {0};

    bool repair = to_repair(ret);

    if (!adopt && !repair)
        return NULL;
    struct err *e = fsroot_statvfs(ctx->root, "/etc", &v);
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    if (v.f_flag & ST_RDONLY)
        findings_add(ret, id, 4, repair ? SEV_FAIL : SEV_NOTE,
                     "'/etc' is read-only: nothing can be written there; make it writable "
                     "(mount -o remount,rw), then run the command again");
    return NULL;
}

struct err *etc_remove_folders(struct ctx *ctx, const char *folders)
{
    AUTO(freep) char *copy = xstrdup(folders ? folders : "");
    char *save = NULL;

    for (char *d = strtok_r(copy, "\n", &save); d; d = strtok_r(NULL, "\n", &save)) {
        struct err *e = fsroot_rmdir(ctx->root, d);

        if (e && (e->sys == ENOTEMPTY || e->sys == EEXIST || e->sys == EBUSY || e->sys == ENOTDIR))
            return err_free(e);
        TRY(e);
    }
    return NULL;
}
