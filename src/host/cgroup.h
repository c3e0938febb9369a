#pragma once

#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/known.h"

/* Memory as the control groups count it, and who is in them, version 1 and 2 (kernel documentation:
 * admin-guide/cgroup-v1/memory.rst, admin-guide/cgroup-v2.rst), hybrid hosts too. */

/* Of one cgroup and everything below it. anon + file + shmem is not all of usage: the kernel's own
 * structures are in it as well. */
struct cgroup_usage {
    struct known_u64 usage_b;
    struct known_u64 anon_b;
    struct known_u64 file_b;  /* page cache of files on disk: dropped before anything is killed */
    struct known_u64 shmem_b; /* tmpfs and shared memory: page cache as well, but never dropped */
};
struct cgroup_memory {
    int version; /* 1 or 2 */
    char *path;  /* of the process, as /proc/<pid>/cgroup names it: "/kubepods/…" */
    struct cgroup_usage own;

    struct known_u64 limit_b;     /* the lowest on the way to the root; not known: there is none */
    char *limit_path;             /* whose limit that is; NULL: there is none */
    struct cgroup_usage at_limit; /* what counts against it; at limit_path's cgroup */
    struct known_u64 high_b;      /* v2's memory.high, the lowest on the way: throttles, no kill */

    struct known_u64 oom_kills; /* processes of this cgroup that were killed for memory */
};
/* ERR_NOTFOUND (the process is gone), ERR_ABSENT (no cgroup file system counts its memory here),
 * ERR_CORRUPT, ERR_SYS. ret: {0}, to be cleared. A file that is not there leaves its figure
 * unknown; a limit that cannot be read is an error, because "no limit" would be a lie. */
struct err *cgroup_memory(struct ctx *ctx, pid_t pid, struct cgroup_memory *ret) MUST_CHECK;
void cgroup_memory_clear(struct cgroup_memory *m);
/* What of the usage stays when the kernel needs memory: usage without file. */
struct known_u64 cgroup_held_b(const struct cgroup_usage *u);

/* Processes of a control group of systemd's own hierarchy ("/system.slice/sol.service") and of all
 * groups below it, in the kernel's order; a group that is not there has none. A process whose
 * memory is gone while threads of it are left is listed. ERR_ABSENT: no such hierarchy is mounted
 * here. ERR_REFUSED: one of them is in another pid namespace. *ret is to be freed. */
struct err *cgroup_pids(struct ctx *ctx, const char *path, pid_t **ret, size_t *ret_n) MUST_CHECK;

/* The systemd unit that a control group belongs to ("sol.service", "session-1.scope"), or NULL. To
 * be freed. */
char *unit_of_cgroup(const char *cgroup);
/* The same when it is a service of its own; NULL: a session, a container, or a service that starts
 * programs for others. To be freed. */
char *service_of_cgroup(const char *cgroup);
