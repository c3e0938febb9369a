/* Layer 4: the volume of the validator is an XFS on a block device of its own, mounted at its
 * place. Agave writes with io_uring, which can hang the machine for good on ZFS. */
#include "config/config.h"
#include "stage/disk.h"
#include "stage/disk_undo.h"
#include "stage/table.h"
#include "stage/volume_zvol.h"

static struct disk volume_disk(const struct ctx *ctx)
{
    return (struct disk){
        .stage = "volume",
        .device = ctx->cfg->storage.volume.device,
        .mount = ctx->cfg->storage.volume.mount,
        .label = "solana",
        .id_device = "volume.device",
        .id_content = "volume.fstype",
        .id_mount = "volume.mount",
        .id_users = "volume.users",
        .id_hidden = "volume.hidden",
        .id_folder = "volume.folder",
        .id_name = "volume.name",
    };
}

static bool volume_enabled(const struct ctx *ctx)
{
    return ctx->cfg && *ctx->cfg->storage.volume.mount;
}

static struct err *volume_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    struct disk d = volume_disk(ctx);
    AUTO(freep) char *made_as = NULL;

    TRY(volume_zvol_check(ctx, &d, ret, &made_as));
    d.made_as = made_as;
    TRY(disk_check(ctx, scene, &d, ret));
    return volume_zvol_check_size(ctx, ret);
}

static struct err *volume_plan(const struct ctx *ctx, const struct findings *f, struct plan *ret)
{
    struct disk d = volume_disk(ctx);

    return volume_zvol_plan(ctx, f, ret) ? disk_plan(&d, f, ret) : NULL;
}

static struct err *volume_apply(struct ctx *ctx, const struct change *c)
{
    struct disk d = volume_disk(ctx);

    return c->verb == VOLUME_VERB_ZVOL ? volume_zvol_apply(ctx, &d, c) : disk_apply(ctx, &d, c);
}

static struct err *volume_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    return c->verb == VOLUME_VERB_ZVOL ? volume_zvol_undo_look(ctx, c, ret)
                                       : disk_undo_look(ctx, c, ret);
}

const struct stage stage_volume = {
    .name = "volume",
    .summary = "the validator's volume: an XFS at its place",
    .layer = 4,
    .gate = true,
    .order_reason = "everything else of the validator's storage lies on it",
    .enabled = volume_enabled,
    .check = volume_check,
    .plan = volume_plan,
    .apply = volume_apply,
    .undo_look = volume_undo_look,
    .undo = disk_undo,
};
