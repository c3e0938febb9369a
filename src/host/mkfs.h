#pragma once

#include "base/ctx.h"
#include "base/err.h"

/* Makes an XFS on a device that block_probe finds blank and block_users finds free; anything else
 * is ERR_REFUSED with the reason, and nothing was written. Never forces. label: NULL or at most 12
 * bytes. ERR_ABSENT (no mkfs.xfs), ERR_REMOTE (it failed), ERR_NOTFOUND. Blocks up to 10 minutes,
 * and an interrupt does not end it.
 */
struct err *mkfs_xfs(struct ctx *ctx, const char *dev, const char *label) MUST_CHECK;
/* The same on a device in memory (ramdev_kind), whatever it holds: its content is lost. Refused
 * while anybody uses it, and on a disk. */
struct err *mkfs_xfs_fresh(struct ctx *ctx, const char *dev, const char *label) MUST_CHECK;
/* The smallest device on which mkfs.xfs makes a file system without special options (300 MiB since
 * xfsprogs 5.19). */
#define MKFS_XFS_MIN_B (300ULL << 20)
