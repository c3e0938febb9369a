#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"

/* What Agave 3.0.14 wants: open files (ledger/src/blockstore.rs adjust_ulimit_nofile) and bytes of
 * locked memory (accounts-db/src/io_uring/memory.rs). */
#define LIMIT_NOFILE_LEAST  1000000U
#define LIMIT_MEMLOCK_LEAST 2000000000U

/* Resource limits, getrlimit(2). UINT64_MAX: unlimited. */
struct limit {
    uint64_t soft, hard;
};
struct process_limits {
    struct limit nofile;  /* open files */
    struct limit memlock; /* bytes */
    bool sys_resource;    /* it has CAP_SYS_RESOURCE in effect and may raise its hard limits */
};
/* Of a process; pid 0: our own. ERR_NOTFOUND (gone), ERR_CORRUPT, ERR_SYS. */
struct err *limits_of(struct ctx *ctx, pid_t pid, struct process_limits *ret) MUST_CHECK;
/* The text of /proc/<pid>/limits. ERR_CORRUPT. */
struct err *limits_parse(const char *text, struct process_limits *ret) MUST_CHECK;
/* A value as systemd takes it for LimitNOFILE= or LimitMEMLOCK= (systemd.exec(5) of 252): "N",
 * "soft:hard", "infinity", with K, M, G… where in_bytes. ERR_BADINPUT. */
struct err *limit_parse_systemd(const char *text, bool in_bytes, struct limit *ret) MUST_CHECK;
