/* Layer 4: the accounts lie on a block device in memory with an XFS, mounted at its place. It loses
 * its content at every reboot, so that a blank one is the normal case and not an accident. */
#include "config/config.h"
#include "stage/disk.h"
#include "stage/table.h"

static struct disk ramdisk_disk(const struct ctx *ctx)
{
    return (struct disk){
        .stage = "ramdisk",
        .device = ctx->cfg->storage.ramdisk.device,
        .mount = ctx->cfg->storage.ramdisk.mount,
        .label = "accounts",
        .in_memory = true,
        .id_device = "ramdisk.device",
        .id_content = "ramdisk.fstype",
        .id_mount = "ramdisk.mount",
        .id_users = "ramdisk.users",
        .id_hidden = "ramdisk.hidden",
        .id_folder = "ramdisk.folder",
        .id_memory = "ramdisk.memory",
    };
}

static bool ramdisk_enabled(const struct ctx *ctx)
{
    return ctx->cfg && *ctx->cfg->storage.ramdisk.mount;
}

static struct err *ramdisk_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    struct disk d = ramdisk_disk(ctx);

    return disk_check(ctx, scene, &d, ret);
}

static struct err *ramdisk_plan(const struct ctx *ctx, const struct findings *f, struct plan *ret)
{
    struct disk d = ramdisk_disk(ctx);

    return disk_plan(&d, f, ret);
}

static struct err *ramdisk_apply(struct ctx *ctx, const struct change *c)
{
    struct disk d = ramdisk_disk(ctx);

    return disk_apply(ctx, &d, c);
}

static const char *const ramdisk_after[] = {"volume", NULL};

const struct stage stage_ramdisk = {
    .name = "ramdisk",
    .summary = "the RAM disk for the accounts: an XFS at its place",
    .layer = 4,
    .gate = true,
    .after = ramdisk_after,
    .order_reason = "its place is mostly a folder of the volume, which the volume would hide",
    .enabled = ramdisk_enabled,
    .check = ramdisk_check,
    .plan = ramdisk_plan,
    .apply = ramdisk_apply,
};
