#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"

/* Processes and threads as the host sees them, from /proc (proc(5)). A process that ends while it
 * is looked at is left out; anything else that cannot be read is an error, /proc not mounted as
 * well. */

/* A pid alone may be another process tomorrow; with its start time it is the same one or none. */
struct pid_id {
    pid_t pid;
    uint64_t start; /* field 22 of stat: clock ticks after boot */
};
struct pid_info {
    struct pid_id id;
    pid_t ppid;
    char state;  /* R S D Z T … of the main thread */
    char *comm;  /* at most 15 bytes */
    char *exe;   /* NULL: kernel thread, zombie, or memory already released (exiting) */
    char **argv; /* NULL-terminated; argv[0] NULL when it has no memory any more */
    uint32_t uid;
    char *cgroup;                    /* the longest path of its cgroups, or NULL */
    uint64_t ns_mnt, ns_net, ns_pid; /* inode numbers; 0: unreadable */
};
struct pids {
    struct pid_info *items;
    size_t n, cap;
    size_t unseen; /* processes whose files not even root could look at */
};
void pids_clear(struct pids *p);

/* What to look for; NULL = any. Both given = both must hold. */
struct pids_match {
    /* Base name of the executable or of argv[0]; of comm where the process has neither any more (it
     * is on its way out: the very case that a stop proof must not miss). */
    const char *name;
    const char *arg; /* one of its arguments is exactly this */
    const char *exe; /* absolute path of its executable, " (deleted)" ignored */
};
struct err *pids_find(struct ctx *ctx, const struct pids_match *m, struct pids *ret) MUST_CHECK;
/* Appends one process to a list that was initialised with {0}. ERR_NOTFOUND. */
struct err *pids_get(struct ctx *ctx, pid_t pid, struct pids *list) MUST_CHECK;
struct thread_info {
    pid_t tid;
    char state;
    char *comm;
    char *wchan; /* NULL: none or not readable */
    char *stack; /* kernel stack, one function per line; NULL: not readable */
};
struct threads {
    struct thread_info *items;
    size_t n, cap;
};
void threads_clear(struct threads *t);
/* All threads of a process that still exist, zombies included; empty when it is gone or the pid is
 * another process by now. Kernel stacks are read for threads in D state only. */
struct err *pid_threads(struct ctx *ctx, struct pid_id id, struct threads *ret) MUST_CHECK;
/* The threads in uninterruptible sleep (D). */
struct err *pid_threads_stuck(struct ctx *ctx, struct pid_id id, struct threads *ret) MUST_CHECK;
/* Threads that still live, 0 = the process is gone: a zombie leader without other threads counts as
 * gone, one with a thread that is left does not. */
struct err *pids_threads_left(struct ctx *ctx, pid_t pid, uint64_t start, uint32_t *ret) MUST_CHECK;
/* Start time of a live or zombie process. ERR_NOTFOUND. */
struct err *pid_start(struct ctx *ctx, pid_t pid, uint64_t *ret) MUST_CHECK;

/* A pidfd that surely is this process (start time compared after the open). ERR_NOTFOUND when it is
 * gone or is another one. The caller closes. */
struct err *pid_open(struct ctx *ctx, struct pid_id id, int *ret_fd) MUST_CHECK;
/* ERR_NOTFOUND when it is gone. sig 0 asks only. */
struct err *pid_signal(struct ctx *ctx, struct pid_id id, int sig) MUST_CHECK;
