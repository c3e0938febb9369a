#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "config/config.h"

/* What the stage ramdisk knows and others need: the unit at boot, fstab, drop-ins. */

/* storage.ramdisk.kind. */
enum ramdisk_kind {
    RAMDISK_DEVICE, /* a device that is there; "": the folder as it is */
    RAMDISK_BRD,    /* /dev/ramN, made by loading the module brd */
    RAMDISK_ZRAM,   /* /dev/zramN, added at run time */
    RAMDISK_TMPFS,  /* no device, no mkfs */
    RAMDISK_NONE,   /* the accounts lie on the volume */
};
enum ramdisk_kind ramdisk_kind(const struct config *cfg);
/* Is something of its own mounted at storage.ramdisk.mount? False for the kind none, and for a
 * folder that is used as it is. */
bool ramdisk_is_mount(const struct config *cfg);
/* Is there a device that must be formatted at every boot? */
bool ramdisk_is_device(const struct config *cfg);
/* "xfs" or "tmpfs"; valid when ramdisk_is_mount. */
const char *ramdisk_fstype(const struct config *cfg);
/* What stands in the first field of its fstab line: the device, or a name for a tmpfs. */
const char *ramdisk_source(const struct config *cfg);
/* Its mount options for mount(2) and fstab: "noatime", or of a tmpfs
 * "noatime,size=629145600k,mode=0755,uid=1000,gid=1000,noswap" (noswap where this kernel takes it).
 * To be freed. ERR_SYS. */
struct err *ramdisk_options(struct ctx *ctx, char **ret) MUST_CHECK;
/* The kernel module that makes the device: "brd", "zram", or NULL. */
const char *ramdisk_module(const struct config *cfg);

/* The RAM disk at boot, without findings and plans: its module, its device with the configured
 * size, and a new XFS on it, whatever it held. It is left alone, which is no error, while it is
 * mounted anywhere (any mount namespace) or a part of something else, when there is nothing to
 * format (tmpfs, none, a folder), and when formatted says that this boot has done it already. A
 * device that is not in memory is never formatted, nor one that a process keeps open: ERR_REFUSED.
 * Mounts nothing; touches nothing but the device and its module; writes no /etc. ERR_ABSENT (this
 * kernel has no such module, no mkfs.xfs), ERR_REFUSED (another size, and its module or device is
 * in use), ERR_REMOTE, ERR_SYS. Blocks (mkfs: some seconds). *ret is to be cleared. */
struct ramdisk_fresh {
    bool made;      /* the device was made now: module loaded, zram added or sized */
    bool formatted; /* an XFS was made on it now */
    char *device;   /* NULL: there is none */
    uint32_t major, minor;
    uint64_t size_b;
    char *left; /* why it was left alone, for people; NULL when it was formatted */
};
void ramdisk_fresh_clear(struct ramdisk_fresh *r);
struct err *ramdisk_make_fresh(struct ctx *ctx, bool formatted, struct ramdisk_fresh *ret)
    MUST_CHECK;
