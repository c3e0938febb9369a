#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"

/* Block devices in memory: compressed ones (zram, made and removed at run time) and the kernel's
 * RAM disks (brd, /dev/ram0, fixed when its module is loaded). Their content ends with the
 * machine's uptime. Documentation/admin-guide/blockdev/zram.rst of Linux 6.1. */
bool zram_available(struct ctx *ctx);
/* A new device of size_b bytes; nothing is left behind on failure. *ret_dev "/dev/zramN", to be
 * freed. ERR_ABSENT (no zram in this kernel), ERR_SYS. */
struct err *zram_add(struct ctx *ctx, uint64_t size_b, char **ret_dev) MUST_CHECK;
/* Resets and removes it; its content and memory are gone. ERR_REFUSED while it is in use,
 * ERR_BADINPUT when it is not a zram device, ERR_NOTFOUND. */
struct err *zram_remove(struct ctx *ctx, const char *dev) MUST_CHECK;
/* The same, but the device stays, without a size. */
struct err *zram_reset(struct ctx *ctx, const char *dev) MUST_CHECK;

/* "/dev/zram1" gives 1. ERR_BADINPUT. */
struct err *zram_number(const char *dev, uint64_t *ret) MUST_CHECK;
/* Its size; 0: it is there and was never sized, so that it holds nothing and takes no memory.
 * ERR_NOTFOUND (no such device). */
struct err *zram_size(struct ctx *ctx, const char *dev, uint64_t *ret_b) MUST_CHECK;
/* The device of this very name with this size: one that is there without a size is taken, else
 * devices are added until its number comes, and the others are removed again. One that has the size
 * already is left as it is (*ret_made false). ERR_REFUSED (there with another size, or its number
 * cannot be had), ERR_ABSENT (no zram in this kernel), ERR_SYS. */
struct err *zram_make(struct ctx *ctx, const char *dev, uint64_t size_b, bool *ret_made) MUST_CHECK;

enum ramdev { RAMDEV_NONE, RAMDEV_BRD, RAMDEV_ZRAM };
/* What kind of memory device a block device is, from /sys; RAMDEV_NONE: a disk. ERR_NOTFOUND. */
struct err *ramdev_kind(struct ctx *ctx, uint32_t major, uint32_t minor, enum ramdev *ret)
    MUST_CHECK;
const char *ramdev_name(enum ramdev k); /* "RAM disk (brd)", "zram", "not in memory" */
