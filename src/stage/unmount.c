/* The one place where a stage's undo unmounts. */
#include "stage/unmount.h"

#include "base/str.h"
#include "host/mount_holders.h"
#include "host/mounts.h"
#include "io/fsroot.h"

struct err *unmount_may(struct ctx *ctx, const char *target, enum undo_mount kind,
                        const char *const *before)
{
    AUTO(strlist_clear) struct strlist gone = {0};
    AUTO(mounts_clear) struct mounts m = {0};
    AUTO(freep) char *who = NULL;

    TRY(mounts_read(ctx, &m));
    if (!mounts_at(&m, target))
        return NULL;
    for (size_t i = 0; before && before[i]; i++)
        strlist_add(&gone, before[i]);
    if (kind == UNDO_RBIND)
        TRY(mount_bound_below(ctx, target, &gone));
    struct mount_gone g = {
        .target = target, .bind = kind != UNDO_MOUNT, .before = (const char *const *)gone.items};
    TRY(mount_holders(ctx, &g, &who));
    return who ? err_new(ERR_REFUSED, "'%s' is not unmounted, it is held: %s", target, who) : NULL;
}

static struct err *one(struct ctx *ctx, const char *target)
{
    AUTO(freep) char *real = fsroot_path(ctx->root, target);
    struct err *e = mounts_umount(real);

    return e && e->kind == ERR_NOTFOUND ? err_free(e) : e; /* it went with another one */
}

struct err *unmount_now(struct ctx *ctx, const char *target, enum undo_mount kind)
{
    AUTO(strlist_clear) struct strlist below = {0};

    TRY(unmount_may(ctx, target, kind, NULL));
    if (kind == UNDO_RBIND)
        TRY(mount_bound_below(ctx, target, &below));
    for (size_t i = 0; i < below.n; i++)
        TRY(one(ctx, below.items[i]));
    return one(ctx, target);
}
