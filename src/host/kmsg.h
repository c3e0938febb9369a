#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"

/* The processes that the kernel killed for memory, from its log (/dev/kmsg; kernel documentation:
 * ABI/testing/dev-kmsg; the lines are those of mm/oom_kill.c, Linux 4.19 to 6.18). */
#define KMSG_KILLS_MAX 64 /* the newest ones are kept */

struct oom_kill {
    uint64_t at_ms; /* UTC, ms since 1970; of the kernel's clock, so right to about a second */
    pid_t pid;
    char name[64]; /* at most 15 bytes in life; printable ASCII */
    bool by_limit; /* of a cgroup; false: the host was out of memory */
    char *cgroup;  /* of the killed one; NULL: not told (before Linux 5.0) */
};
struct oom_kills {
    struct oom_kill items[KMSG_KILLS_MAX];
    size_t n;
    bool older; /* there were more */
};
void oom_kills_clear(struct oom_kills *k);

/* Reads the log from its beginning without taking anything from it; never waits. What has left the
 * kernel's ring is gone. ERR_NOTFOUND (no /dev/kmsg, as in a container), ERR_SYS (EPERM: not for
 * this user), ERR_CORRUPT. ret: {0}, to be cleared. */
struct err *kmsg_oom_kills(struct ctx *ctx, struct oom_kills *ret) MUST_CHECK;

/* Text of records: "level,sequence,µs since boot,flags;message", one a line; lines that begin with
 * a blank belong to the one before. boot_ms: when the µs began, in ms since 1970. Only records of
 * the kernel itself count. What is no such record is left out. */
void kmsg_parse(const char *text, uint64_t boot_ms, struct oom_kills *ret);
