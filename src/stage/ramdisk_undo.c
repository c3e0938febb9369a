/* Taking back what made the RAM disk: brd's file and module, a zram, a tmpfs. Only what is still as
 * it was made and holds nothing of others; what it holds of ours is gone then, and with it the bank
 * snapshots that need it. */
#include "base/str.h"
#include "host/block.h"
#include "host/block_users.h"
#include "host/brd.h"
#include "host/own_file.h"
#include "host/zram.h"
#include "io/fsroot.h"
#include "stage/disk_undo.h"
#include "stage/folders.h"
#include "stage/own.h"
#include "stage/ramdisk_parts.h"
#include "stage/unmount.h"

#define SETTLE_MS 1000
#define MODULE    "module " /* the object of a load: "module brd" */

static struct err *say(struct undo_look *ret, enum undo_verdict v, char *what)
{
    *ret = (struct undo_look){.verdict = v, .what = what};
    return NULL;
}

static struct err *look_conf(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    AUTO(freep) char *why = NULL;
    enum own_state state = OWN_ABSENT;
    bool left = false;

    TRY(own_file_look(ctx, c->object, c->arg, &state, &why));
    switch (state) {
    case OWN_ABSENT:
        TRY(own_folder_left(ctx, c, &left));
        return left ? say(ret, UNDO_DO, xasprintf("remove the folder of '%s'", c->object))
                    : say(ret, UNDO_GONE, NULL);
    case OWN_SAME:
        return say(ret, UNDO_DO, xasprintf("remove '%s'", c->object));
    case OWN_OTHER:
        return say(ret, UNDO_KEEP, xasprintf("'%s' was changed since", c->object));
    case OWN_FOREIGN:
        break;
    }
    return say(ret, UNDO_KEEP,
               xasprintf("'%s': %s", c->object, why ? why : "it is not agavectl's"));
}

/* Mounts are left out: those of ours are taken back before, by their own change, and an unload is
 * refused by the kernel while there is any. */
static struct err *must_be_free(struct ctx *ctx, const char *dev)
{
    AUTO(block_users_clear) struct block_users u = {0};
    uint32_t major = 0, minor = 0;

    TRY(block_number(ctx, dev, &major, &minor));
    TRY(block_users_of(ctx, major, minor, &u));
    for (size_t i = 0; i < u.n; i++)
        if (u.items[i].kind != BLOCK_USER_MOUNT)
            return err_new(ERR_REFUSED, "'%s' is in use: %s", dev, u.items[i].text);
    return NULL;
}

/* Blank, or the file system that we make. */
static struct err *is_ours(struct ctx *ctx, const char *dev, bool *ret)
{
    AUTO(block_info_clear) struct block_info b = {0};

    TRY(block_probe(ctx, dev, &b));
    *ret = b.content == BLOCK_BLANK || (b.content == BLOCK_FILESYSTEM && str_eq(b.fstype, "xfs") &&
                                        str_eq(b.label, RAMDISK_LABEL));
    return NULL;
}

static struct err *look_brd(struct ctx *ctx, struct undo_look *ret)
{
    AUTO(strlist_clear) struct strlist filled = {0};
    enum kmodule_state state = KMODULE_MISSING;

    TRY(kmodule_look(ctx, BRD_MODULE, &state));
    if (state != KMODULE_LOADED)
        return say(ret, UNDO_GONE, NULL);
    TRY(brd_filled(ctx, &filled));
    for (size_t i = 0; i < filled.n; i++) {
        bool ours = false;

        TRY(is_ours(ctx, filled.items[i], &ours));
        if (!ours)
            return say(
                ret, UNDO_KEEP,
                xasprintf("brd stays loaded: '%s' holds something of others", filled.items[i]));
        TRY(must_be_free(ctx, filled.items[i]));
    }
    return say(ret, UNDO_DO, xstrdup("unload brd; what its RAM disks hold is gone then"));
}

/* Is that zram the one that was added after the module was loaded for it? arg: of the load, the
 * device and what it was made as. */
static struct err *is_made(struct ctx *ctx, const char *arg, const char *dev, uint64_t size_b,
                           bool *ret)
{
    AUTO(freep) char *now = disk_memory_identity(RAMDEV_ZRAM, size_b);
    AUTO(freep) char *known = xasprintf("%s\n%s", dev, now);

    *ret = str_eq(arg, known);
    return *ret ? is_ours(ctx, dev, ret) : NULL;
}

/* Without a size: the module makes that one by itself (num_devices is 1 in zram_drv.c of Linux 6.1,
 * and not to be read in /sys); another one is somebody's who is about to give it a size. */
static struct err *is_spare(const char *dev, bool *ret)
{
    uint64_t n = 0;

    TRY(zram_number(dev, &n));
    *ret = n == 0;
    return NULL;
}

/* What an unload would take away: of others (the first one), and ours. Both NULL: nothing. */
struct zrams {
    char *other, *ours;
};
static void zrams_clear(struct zrams *z)
{
    free(z->other);
    free(z->ours);
}

static struct err *see_zram(struct ctx *ctx, const char *arg, const char *dev, struct zrams *z)
{
    uint64_t size_b = 0;
    bool ours = false, spare = false;

    TRY(zram_size(ctx, dev, &size_b));
    if (size_b)
        TRY(is_made(ctx, arg, dev, size_b, &ours));
    else
        TRY(is_spare(dev, &spare));
    if (!spare && !ours && !z->other)
        z->other = xstrdup(dev);
    if (ours)
        z->ours = xstrdup(dev); /* a name is there once */
    return NULL;
}

static struct err *see_zrams(struct ctx *ctx, const char *arg, struct zrams *z)
{
    AUTO(strlist_clear) struct strlist names = {0};

    TRY(fsroot_list(ctx->root, "/sys/block", &names));
    for (size_t i = 0; i < names.n; i++) {
        AUTO(freep) char *dev = xasprintf("/dev/%s", names.items[i]);

        if (str_starts(names.items[i], "zram"))
            TRY(see_zram(ctx, arg, dev, z));
    }
    return NULL;
}

static struct err *look_zram_module(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    enum kmodule_state state = KMODULE_MISSING;
    AUTO(zrams_clear) struct zrams z = {0};

    TRY(kmodule_look(ctx, "zram", &state));
    if (state != KMODULE_LOADED)
        return say(ret, UNDO_GONE, NULL);
    TRY(see_zrams(ctx, c->arg, &z));
    if (z.other)
        return say(ret, UNDO_KEEP, xasprintf("zram stays loaded: '%s' is another's", z.other));
    return say(ret, UNDO_DO, xstrdup("unload zram"));
}

static struct err *look_add(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    uint64_t size_b = 0;
    bool ours = false;
    struct err *e = zram_size(ctx, c->object, &size_b);

    if (e && e->kind == ERR_NOTFOUND) {
        err_free(e);
        return say(ret, UNDO_GONE, NULL);
    }
    TRY(e);
    if (!size_b) /* its size went with the boot: there is nothing in it, and it may be another's */
        return say(ret, UNDO_GONE, NULL);
    AUTO(freep) char *now = disk_memory_identity(RAMDEV_ZRAM, size_b);
    if (!str_eq(now, c->after))
        return say(ret, UNDO_KEEP,
                   xasprintf("'%s' is another one: %s, not %s", c->object, now, c->after));
    TRY(is_ours(ctx, c->object, &ours));
    if (!ours)
        return say(ret, UNDO_KEEP, xasprintf("'%s' holds something of others", c->object));
    TRY(must_be_free(ctx, c->object));
    return say(ret, UNDO_DO,
               xasprintf("%s '%s' with what it holds",
                         str_eq(c->old, RAMDISK_UNSIZED) ? "reset" : "remove", c->object));
}

static struct err *look_tmpfs(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    AUTO(mounts_clear) struct mounts m = {0};

    TRY(mounts_read(ctx, &m));
    const struct mount_info *at = mounts_at(&m, c->object);
    if (!at)
        return folders_look(ctx, c->old, ret);
    if (!str_eq(at->fstype, "tmpfs"))
        return say(ret, UNDO_KEEP,
                   xasprintf("'%s' of '%s' is mounted at '%s', and no tmpfs", at->fstype,
                             at->source, c->object));
    TRY(say(ret, UNDO_DO, xasprintf("unmount '%s'; what the tmpfs holds is gone then", c->object)));
    ret->unmounts = UNDO_MOUNT;
    return NULL;
}

struct err *ramdisk_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    switch (c->verb) {
    case RAMDISK_VERB_CONF:
        return look_conf(ctx, c, ret);
    case RAMDISK_VERB_LOAD:
        return str_eq(c->object, MODULE BRD_MODULE) ? look_brd(ctx, ret)
                                                    : look_zram_module(ctx, c, ret);
    case RAMDISK_VERB_ADD:
        return look_add(ctx, c, ret);
    case RAMDISK_VERB_TMPFS:
        return look_tmpfs(ctx, c, ret);
    default:
        return disk_undo_look(ctx, c, ret);
    }
}

/* Who holds it is asked before the bank snapshots are put aside for what will be lost. */
static struct err *undo_tmpfs(struct ctx *ctx, const struct change *c)
{
    TRY(unmount_may(ctx, c->object, UNDO_MOUNT, NULL));
    TRY(ramdisk_forget_bank_state(ctx, "the RAM disk was removed"));
    TRY(unmount_now(ctx, c->object, UNDO_MOUNT));
    return folders_remove(ctx, c->old);
}

/* Refused before the bank snapshots are put aside; and those are never left behind where a look of
 * udev alone stood in the way at first. */
static struct err *undo_brd(struct ctx *ctx)
{
    TRY(brd_wait_free(ctx));
    TRY(ramdisk_forget_bank_state(ctx, "the RAM disk was removed"));
    return brd_unload(ctx);
}

/* reset: it was there without a size, and is so again. */
static struct err *remove_zram(struct ctx *ctx, const char *dev, bool reset)
{
    AUTO(block_users_clear) struct block_users u = {0};
    struct err *e = block_users_settled(ctx, dev, SETTLE_MS, &u);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    AUTO(freep) char *who = block_users_text(&u);
    if (u.n)
        return err_new(ERR_REFUSED, "cannot remove '%s': it is in use: %s", dev, who);
    TRY(ramdisk_forget_bank_state(ctx, "the RAM disk was removed"));
    return reset ? zram_reset(ctx, dev) : zram_remove(ctx, dev);
}

/* The kernel unloads it with what its devices hold, unless they are open or mounted: so what is
 * there is asked again, and ours goes by its own way first. */
static struct err *undo_zram_module(struct ctx *ctx, const struct change *c)
{
    AUTO(zrams_clear) struct zrams z = {0};

    TRY(see_zrams(ctx, c->arg, &z));
    if (z.other)
        return err_new(ERR_REFUSED, "zram stays loaded: '%s' is another's", z.other);
    if (z.ours)
        TRY(remove_zram(ctx, z.ours, false));
    return kmodule_unload(ctx, "zram");
}

struct err *ramdisk_undo(struct ctx *ctx, const struct change *c)
{
    switch (c->verb) {
    case RAMDISK_VERB_CONF:
        return own_file_remove(ctx, c->object, c->old);
    case RAMDISK_VERB_LOAD:
        return str_eq(c->object, MODULE BRD_MODULE) ? undo_brd(ctx) : undo_zram_module(ctx, c);
    case RAMDISK_VERB_ADD:
        return remove_zram(ctx, c->object, str_eq(c->old, RAMDISK_UNSIZED));
    case RAMDISK_VERB_TMPFS:
        return undo_tmpfs(ctx, c);
    default:
        return disk_undo(ctx, c);
    }
}
