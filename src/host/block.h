#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"

/* What a block device holds. The answer decides whether a file system may be made on it, so
 * anything that could not be looked at is an error and never "blank". */
enum block_content {
    BLOCK_BLANK,      /* no signature of any kind, zeros at the start and at the end */
    BLOCK_FILESYSTEM, /* exactly one file system and nothing else */
    BLOCK_PARTITIONS, /* a partition table */
    BLOCK_MEMBER, /* part of something larger: zfs_member, LVM2_member, linux_raid_member, … */
    BLOCK_SWAP,
    BLOCK_UNKNOWN, /* content without a signature that libblkid knows, or several signatures */
};
struct block_info {
    char *path; /* as it was asked for */
    uint32_t major, minor;
    uint64_t size_b;
    uint32_t sector_b; /* logical */
    bool read_only;
    enum block_content content;
    char *fstype;       /* TYPE of libblkid ("xfs", "zfs_member", "swap"), or NULL */
    char *uuid, *label; /* or NULL */
    char *what;         /* for people: "an xfs file system (label 'solana')" */
};
void block_info_clear(struct block_info *b);

/* Its number, without opening it. ERR_NOTFOUND (no such node), ERR_BADINPUT (not a block device),
 * ERR_SYS. */
struct err *block_number(struct ctx *ctx, const char *dev, uint32_t *ret_major, uint32_t *ret_minor)
    MUST_CHECK;
/* Opens the device for reading. ERR_NOTFOUND (no such node), ERR_BADINPUT (not a block device),
 * ERR_SYS. Blocks for the device's I/O. On a captured host "block" of host.json answers: ERR_ABSENT
 * when it does not know the device. */
struct err *block_probe(struct ctx *ctx, const char *dev, struct block_info *ret) MUST_CHECK;
/* The content of an open device or image file: fills content, fstype, uuid, label and what.
 * Libblkid 2.38: superblock and partition chains. */
struct err *block_look(int fd, uint64_t size_b, struct block_info *ret) MUST_CHECK;
