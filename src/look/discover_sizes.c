/* What a config needs to have the storage made again: the kind and size of the RAM disk, the size
 * of the zvol, the dataset behind the kind root. From what the kernel says of what is there now,
 * else from what makes it at the next boot. A size that is no whole number of GiB is not rounded:
 * it would be another disk. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "host/block.h"
#include "host/brd.h"
#include "host/zram.h"
#include "io/fsroot.h"
#include "look/discover_parts.h"

#define GIB      (1ULL << 30)
#define SECTOR_B 512 /* of /sys, whatever the device's is */

/* A device's number: of the mount, else (fstab's alone) of the node. False: it is not there. */
static bool number_of(struct ctx *ctx, const struct mount_info *m, uint32_t *ret_major,
                      uint32_t *ret_minor)
{
    if (m->major) {
        *ret_major = m->major;
        *ret_minor = m->minor;
        return true;
    }
    struct err *e = block_number(ctx, m->source, ret_major, ret_minor);
    bool there = !e;
    err_free(e);
    return there;
}

/* False: nobody says it. */
static bool size_of(struct ctx *ctx, uint32_t major, uint32_t minor, uint64_t *ret_b)
{
    AUTO(freep) char *path = xasprintf("/sys/dev/block/%u:%u/size", major, minor);
    uint64_t sectors = 0;
    struct err *e = fsroot_read_u64(ctx->root, path, &sectors);
    bool known = !e && !__builtin_mul_overflow(sectors, SECTOR_B, ret_b) && *ret_b;

    err_free(e);
    return known;
}

/* True: it is set. */
static bool found_gib(struct discovery *d, const char *key, uint64_t size_b, const char *origin)
{
    if (size_b == 0 || size_b % GIB) {
        not_found(d, key, "%s says %" PRIu64 " bytes, which is no whole number of GiB", origin,
                  size_b);
        return false;
    }
    found_number(d, key, size_b / GIB, origin);
    return is_found(d, key);
}

void found_volume_size(struct asking *a, const struct mount_info *m)
{
    const char *device = a->d->cfg->storage.volume.device;
    AUTO(freep) char *origin = xasprintf("the size of '%s'", device);
    uint32_t major = 0, minor = 0;
    uint64_t size_b = 0;

    if (!str_starts(device, "/dev/zvol/"))
        return; /* a disk has the size that it has */
    if (number_of(a->ctx, m, &major, &minor) && size_of(a->ctx, major, minor, &size_b))
        found_gib(a->d, "storage.volume.size_gib", size_b, origin);
    else
        not_found(a->d, "storage.volume.size_gib", "'%s' is not there now: zfs get -p volsize %s",
                  device, device + strlen("/dev/zvol/"));
}

/* "brd" or "zram", as its driver and its name say; NULL: they do not agree, or it is neither. */
static const char *kind_of(struct ctx *ctx, const char *device, bool there, uint32_t major,
                           uint32_t minor)
{
    enum ramdev is = RAMDEV_NONE;
    uint64_t number = 0;
    struct err *e = brd_number(device, &number);
    bool brd = !e;

    err_free(e);
    e = brd ? NULL : zram_number(device, &number);
    bool zram = !brd && !e && number < BRD_MAX;
    err_free(e);
    if (there) {
        e = ramdev_kind(ctx, major, minor, &is);
        brd = brd && !e && is == RAMDEV_BRD;
        zram = zram && !e && is == RAMDEV_ZRAM;
        err_free(e); /* neither, as far as anybody knows */
    }
    return brd ? "brd" : zram ? "zram" : NULL;
}

/* What modprobe.d, or the module that is loaded, gives every RAM disk of brd. 0: neither says it.
 */
static struct err *brd_size(struct ctx *ctx, uint64_t *ret_b, char **ret_origin)
{
    AUTO(kmodule_options_clear) struct kmodule_options o = {0};
    uint64_t kib = 0;
    struct err *e = kmodule_param_u64(ctx, BRD_MODULE, "rd_size", &kib);

    if (!e) {
        *ret_origin = xstrdup("rd_size of the module brd");
    } else {
        err_free(e); /* not loaded */
        TRY(kmodule_options_read(ctx, BRD_MODULE, &o));
        const struct kmodule_option *x = kmodule_options_find(&o, "rd_size");
        e = x ? parse_u64(x->value, 0, UINT64_MAX / 1024, &kib) : NULL;
        *ret_origin = x ? xasprintf("rd_size in %s", x->source) : NULL;
        if (e)
            kib = 0;
        err_free(e); /* brd takes no such size either */
    }
    *ret_b = kib <= UINT64_MAX / 1024 ? kib * 1024 : 0;
    return NULL;
}

static void set_kind(struct discovery *d, const char *kind, bool sized, const char *origin)
{
    if (sized)
        found_text(d, "storage.ramdisk.kind", kind, origin);
    else
        not_found(d, "storage.ramdisk.kind", "it is %s; set it together with size_gib", kind);
}

struct err *found_ramdisk_device(struct asking *a, const struct mount_info *m)
{
    const char *device = a->d->cfg->storage.ramdisk.device, *key = "storage.ramdisk.size_gib";
    AUTO(freep) char *origin = xasprintf("the size of '%s'", device);
    AUTO(freep) char *named = xasprintf("the driver of '%s'", device);
    AUTO(freep) char *from = NULL;
    uint32_t major = 0, minor = 0;
    uint64_t size_b = 0;
    bool there = number_of(a->ctx, m, &major, &minor);
    const char *kind = kind_of(a->ctx, device, there, major, minor);

    if (!kind) {
        not_found(a->d, "storage.ramdisk.kind", "'%s' is not what its name says (brd, zram)",
                  device);
        return NULL;
    }
    bool sized = there && size_of(a->ctx, major, minor, &size_b);
    if (!sized && str_eq(kind, "brd")) {
        TRY(brd_size(a->ctx, &size_b, &from));
        sized = from != NULL;
    }
    if (!sized)
        not_found(a->d, key,
                  "'%s' is not there now, and nothing says how large it is to be; where it is, "
                  "blockdev --getsize64 %s",
                  device, device);
    else
        sized = found_gib(a->d, key, size_b, from ? from : origin);
    set_kind(a->d, kind, sized, named);
    return NULL;
}

/* "size=629145600k" of tmpfs(5), of the mount or of fstab; with no unit in bytes. False: it has
 * none, or one that depends on the memory ("50%"). */
static bool size_option(const char *options, uint64_t *ret_b)
{
    static const char units[] = "kmgt";
    const char *at = options && str_starts(options, "size=") ? options
                     : options                               ? strstr(options, ",size=")
                                                             : NULL;
    if (!at)
        return false;
    at = strchr(at, '=') + 1;
    size_t digits = strspn(at, "0123456789"), rest = digits;
    const char *unit = at[digits] && at[digits] != ',' ? strchr(units, at[digits] | 0x20) : NULL;
    AUTO(freep) char *number = xstrndup(at, digits);
    uint64_t n = 0, factor = unit ? 1024 : 1;

    rest += unit ? 1 : 0;
    if (at[rest] && at[rest] != ',')
        return false;
    for (const char *u = units; unit && u < unit; u++)
        factor *= 1024;
    struct err *e = parse_u64(number, 1, UINT64_MAX, &n);
    bool ok = !e && !__builtin_mul_overflow(n, factor, ret_b);
    err_free(e);
    return ok;
}

void found_ramdisk_tmpfs(struct asking *a, const struct mount_info *m)
{
    AUTO(freep) char *origin = xasprintf("the tmpfs at %s", m->target);
    uint64_t size_b = 0;
    bool sized = size_option(m->fs_options, &size_b);

    if (!sized)
        not_found(a->d, "storage.ramdisk.size_gib",
                  "%s has no size of its own: half of the memory; findmnt -b -o SIZE %s", origin,
                  m->target);
    else
        sized = found_gib(a->d, "storage.ramdisk.size_gib", size_b, origin);
    set_kind(a->d, "tmpfs", sized, origin);
}

/* Only of one that runs with them: else a RAM disk may be missing now. */
void found_no_ramdisk(struct asking *a, const struct mount_info *m)
{
    if (a->n_running)
        found_text(a->d, "storage.ramdisk.kind", "none",
                   "no RAM disk: the validator that runs has its accounts on the volume");
    else
        not_found(a->d, "storage.ramdisk.kind",
                  "no validator runs, and nothing is mounted for its accounts, which would be "
                  "at '%s': none, or what is missing there",
                  m->target);
}

void found_kind_dataset(struct asking *a)
{
    const char *root = a->d->cfg->storage.kind_root;
    const struct mount_info *m = *root ? mounts_over(&a->host, root) : NULL;
    AUTO(freep) char *origin = xasprintf("what is mounted at %s", root);

    if (!m || (!str_eq(m->fstype, "zfs") && !str_eq(m->fstype, "fuse.zfs")))
        return; /* a folder */
    if (str_eq(m->target, root) && str_eq(m->root, "/"))
        found_text(a->d, "storage.kind_dataset", m->source, origin);
    else
        not_found(a->d, "storage.kind_dataset",
                  "'%s' is a folder in the dataset '%s', and has none of its own", root, m->source);
}
