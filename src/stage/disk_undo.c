/* The way back of a disk: its mount and the folders that were made for it. What is on it stays. */
#include "stage/disk_undo.h"

#include "base/str.h"
#include "host/block.h"
#include "host/mounts.h"
#include "stage/folders.h"
#include "stage/unmount.h"

/* Is the device of that name mounted there? A name that leads nowhere by now says no. */
static struct err *is_of_device(struct ctx *ctx, const struct mount_info *at, const char *device,
                                bool *ret)
{
    uint32_t major = 0, minor = 0;

    *ret = false;
    if (!device)
        return NULL;
    struct err *e = block_number(ctx, device, &major, &minor);
    if (e && (e->kind == ERR_NOTFOUND || e->kind == ERR_BADINPUT))
        return err_free(e);
    TRY(e);
    *ret = at->major == major && at->minor == minor && str_eq(at->root, "/");
    return NULL;
}

static struct err *look_at_mount(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    AUTO(mounts_clear) struct mounts m = {0};
    bool ours = false;

    TRY(mounts_read(ctx, &m));
    const struct mount_info *at = mounts_at(&m, c->object);
    if (!at)
        return folders_look(ctx, c->old, ret);
    TRY(is_of_device(ctx, at, c->after, &ours));
    if (ours)
        *ret = (struct undo_look){.verdict = UNDO_DO,
                                  .what = xasprintf("unmount '%s' (%s)", c->object, c->after),
                                  .unmounts = UNDO_MOUNT};
    else
        *ret = (struct undo_look){.verdict = UNDO_KEEP,
                                  .what = xasprintf("'%s' of '%s' is mounted at '%s', and not '%s'",
                                                    at->fstype, at->source, c->object, c->after)};
    return NULL;
}

/* A blank device, one with something else and one that is not there have nothing of ours. */
static struct err *look_at_format(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    AUTO(block_info_clear) struct block_info b = {0};
    struct err *e = block_probe(ctx, c->object, &b);

    *ret = (struct undo_look){.verdict = UNDO_GONE};
    if (e && (e->kind == ERR_NOTFOUND || e->kind == ERR_BADINPUT))
        return err_free(e);
    TRY(e);
    if (b.content == BLOCK_FILESYSTEM && str_eq(b.fstype, "xfs"))
        *ret = (struct undo_look){.verdict = UNDO_KEEP,
                                  .what = xasprintf("the file system on '%s' stays", c->object)};
    return NULL;
}

struct err *disk_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    switch (c->verb) {
    case VERB_FOLDER:
        return folders_look(ctx, c->old, ret);
    case VERB_MOUNT:
        return look_at_mount(ctx, c, ret);
    default:
        return look_at_format(ctx, c, ret);
    }
}

struct err *disk_undo(struct ctx *ctx, const struct change *c)
{
    if (c->verb == VERB_MOUNT)
        TRY(unmount_now(ctx, c->object, UNDO_MOUNT));
    return folders_remove(ctx, c->old);
}
