#pragma once

#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/known.h"

/* Memory of the host and of a process (proc(5): meminfo, vmstat, status). A figure that the kernel
 * does not tell stays unknown. */
struct host_memory {
    struct known_u64 total_b;
    struct known_u64 available_b; /* for new programs, without swapping: MemAvailable */
    struct known_u64 oom_kills;   /* since boot, in all of the host; Linux 4.13 */
};
/* ERR_NOTFOUND (no meminfo), ERR_SYS. */
struct err *host_memory(struct ctx *ctx, struct host_memory *ret) MUST_CHECK;

struct process_memory {
    struct known_u64 resident_b; /* anonymous, file and shared pages in memory */
    struct known_u64 anon_b, swap_b;
};
/* ERR_NOTFOUND: the process is gone. One that is on its way out has no figures any more. */
struct err *process_memory(struct ctx *ctx, pid_t pid, struct process_memory *ret) MUST_CHECK;
