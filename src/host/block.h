#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"

/* What a block device holds, and who uses it. Both answers decide whether a file system may be made
 * on it, so anything that could not be looked at is an error and never "blank" or "free". */
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

/* Opens the device for reading. ERR_NOTFOUND (no such node), ERR_BADINPUT (not a block device),
 * ERR_SYS. Blocks for the device's I/O. */
struct err *block_probe(struct ctx *ctx, const char *dev, struct block_info *ret) MUST_CHECK;
/* The content of an open device or image file: fills content, fstype, uuid, label and what.
 * Libblkid 2.38: superblock and partition chains. */
struct err *block_look(int fd, uint64_t size_b, struct block_info *ret) MUST_CHECK;

enum block_user_kind {
    BLOCK_USER_MOUNT,  /* in any mount namespace of this machine */
    BLOCK_USER_HOLDER, /* device-mapper, md, … */
    BLOCK_USER_SWAP,
    BLOCK_USER_LOOP,
    BLOCK_USER_OPEN,   /* a process has it open */
    BLOCK_USER_KERNEL, /* claimed exclusively by something that could not be named */
};
struct block_user {
    enum block_user_kind kind;
    pid_t pid;  /* a process of that namespace or the one that has it open; 0: none */
    char *text; /* "mounted at '/srv/solana' in the mount namespace of process 12 (bash)" */
};
struct block_users {
    struct block_user *items;
    size_t n, cap;
};
void block_users_clear(struct block_users *u);
/* Everybody who uses the device: mounts in all mount namespaces that have a process, holders, swap,
 * loop devices on top, open descriptors; and, last, the kernel's own word by an exclusive open,
 * which also sees what has no process. Needs root: ERR_SYS (EACCES) otherwise. ERR_NOTFOUND,
 * ERR_BADINPUT. */
struct err *block_users(struct ctx *ctx, const char *dev, struct block_users *ret) MUST_CHECK;
/* The same from /proc and /sys alone (no exclusive open). */
struct err *block_users_of(struct ctx *ctx, uint32_t major, uint32_t minor, struct block_users *ret)
    MUST_CHECK;
/* "mounted at '/a'; open in process 7 (dd)"; "nobody" when empty. To be freed. */
char *block_users_text(const struct block_users *u);
