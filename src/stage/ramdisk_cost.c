/* What each kind of RAM disk costs, and what its file system can do: told, never a fault. */
#include "base/str.h"
#include "config/config.h"
#include "host/block.h"
#include "host/tmpfs.h"
#include "host/zram.h"
#include "io/fsroot.h"
#include "stage/ramdisk.h"
#include "stage/ramdisk_parts.h"

#define BRD_COST                                                                                   \
    "a page that was written once stays taken until brd is unloaded, also after its file is "      \
    "deleted; it is never swapped and counts against no memory limit; files are cached a second "  \
    "time; a reboot empties it"
#define ZRAM_COST                                                                                  \
    "every read and write costs processor time for (de)compression, and how much memory it takes " \
    "depends on its content; what is deleted is given back; it counts against no memory limit; a " \
    "reboot empties it"
#define TMPFS_COST                                                                                 \
    "no device, no mkfs and no second copy in the cache; it takes what its files take, and that "  \
    "counts against the validator's own memory limit; a reboot empties it"

/* What stands behind the config's device, or behind none. */
static struct err *device_cost(struct ctx *ctx, const char **ret)
{
    uint32_t major = 0, minor = 0;
    enum ramdev kind = RAMDEV_NONE;
    struct err *e = block_number(ctx, ctx->cfg->storage.ramdisk.device, &major, &minor);

    e = e ? e : ramdev_kind(ctx, major, minor, &kind);
    *ret = kind == RAMDEV_BRD ? BRD_COST : kind == RAMDEV_ZRAM ? ZRAM_COST : NULL;
    if (e && e->kind == ERR_SYS)
        return e;
    return err_free(e); /* the device's own finding tells */
}

static struct err *check_none(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    const char *accounts = ctx->cfg->validator.accounts;
    const char *place = ctx->cfg->storage.ramdisk.mount;
    const struct mounts *m = NULL;
    bool memory = false;

    TRY(scene_mounts(ctx, scene, &m));
    const struct mount_info *on = mounts_over(m, accounts);
    if (!on)
        return err_new(ERR_CORRUPT, "the table of mounts has no root");
    TRY(disk_in_memory(ctx, on, &memory));
    finding_compare(
        findings_add(ret, "ramdisk.kind", RAMDISK_LAYER, memory ? SEV_NOTE : SEV_OK,
                     "the accounts lie in '%s', on %s at '%s'%s", accounts, on->fstype, on->target,
                     memory ? ": in memory, though storage.ramdisk.kind is none"
                            : ": they survive a reboot, and every write of theirs wears the disk"),
        "a disk", on->fstype, "/proc/self/mountinfo");
    if (mounts_at(m, place) && !str_eq(on->target, place))
        findings_add(ret, "ramdisk.mount", RAMDISK_LAYER, SEV_NOTE,
                     "'%s' is mounted, and the config has no use for it", place);
    return NULL;
}

struct err *ramdisk_check_kind(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    const char *cost = NULL;

    switch (ramdisk_kind(ctx->cfg)) {
    case RAMDISK_NONE:
        return check_none(ctx, scene, ret);
    case RAMDISK_BRD:
        cost = BRD_COST;
        break;
    case RAMDISK_ZRAM:
        cost = ZRAM_COST;
        break;
    case RAMDISK_TMPFS:
        cost = TMPFS_COST;
        break;
    case RAMDISK_DEVICE:
        if (ramdisk_is_device(ctx->cfg))
            TRY(device_cost(ctx, &cost));
        break;
    }
    if (cost)
        findings_add(ret, "ramdisk.kind", RAMDISK_LAYER, SEV_OK, "%s: %s",
                     ctx->cfg->storage.ramdisk.kind, cost);
    return NULL;
}

/* Agave from 4.0 on unpacks snapshots with O_DIRECT, down to pieces of 512 bytes at the end of a
 * file, and gives up at the first that fails (agave's fs/src/io_uring/file_creator.rs, at a4eafe4).
 */
static void add_odirect(const char *place, enum odirect got, struct findings *ret)
{
    static const char *const names[] = {
        [ODIRECT_REFUSED] = "does not take O_DIRECT",
        [ODIRECT_COARSE] = "takes O_DIRECT, but not in pieces of 512 bytes",
        [ODIRECT_TAKEN] = "takes O_DIRECT",
    };
    bool taken = got == ODIRECT_TAKEN;

    finding_compare(
        findings_add(ret, "ramdisk.odirect", RAMDISK_LAYER, taken ? SEV_OK : SEV_NOTE, "'%s' %s%s",
                     place, names[got],
                     taken
                         ? ""
                         : ": Agave from 4.0 on needs --no-accounts-db-snapshots-direct-io, or it "
                           "cannot unpack a snapshot"),
        names[ODIRECT_TAKEN], names[got], place);
}

struct err *ramdisk_check_odirect(struct ctx *ctx, struct findings *ret)
{
    const char *place = ctx->cfg->storage.ramdisk.mount;
    const struct finding *mount = findings_find(ret, "ramdisk.mount");
    enum odirect got = ODIRECT_REFUSED;

    if (!mount || mount->sev != SEV_OK || fsroot_captured(ctx->root))
        return NULL;
    struct err *e = odirect_probe(ctx, place, &got);
    if (e && (e->kind == ERR_SYS || e->kind == ERR_NOTFOUND))
        findings_add(ret, "ramdisk.odirect", RAMDISK_LAYER, SEV_NOTE,
                     "whether '%s' takes O_DIRECT could not be tried: %s", place, e->text);
    else if (!e)
        add_odirect(place, got, ret);
    err_free(e);
    return NULL;
}
