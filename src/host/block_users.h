#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"

/* Who uses a block device. What could not be looked at is an error and never "free". */
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
    size_t unseen; /* processes whose open files not even root could look at (capabilities) */
};
void block_users_clear(struct block_users *u);
/* Everybody who uses the device: mounts in all mount namespaces that have a process, holders, swap,
 * loop devices on top, open descriptors; and, last, the kernel's own word by an exclusive open,
 * which also sees what has no process (not on a captured host). Needs root: ERR_SYS (EACCES)
 * otherwise. ERR_NOTFOUND, ERR_BADINPUT. */
struct err *block_users(struct ctx *ctx, const char *dev, struct block_users *ret) MUST_CHECK;
/* The same from /proc and /sys alone (no exclusive open). */
struct err *block_users_of(struct ctx *ctx, uint32_t major, uint32_t minor, struct block_users *ret)
    MUST_CHECK;
/* As block_users, after waiting for those who only have it open to close it, at most so long: udev
 * opens a new device for some milliseconds to look at it; anybody else who has it open still has it
 * then. No wait on a captured host. */
struct err *block_users_settled(struct ctx *ctx, const char *dev, uint64_t timeout_ms,
                                struct block_users *ret) MUST_CHECK;
/* "mounted at '/a'; open in process 7 (dd)"; "nobody" when empty. To be freed. */
char *block_users_text(const struct block_users *u);
