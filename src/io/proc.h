#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"

struct proc_user {
    uint32_t uid, gid;
};

/* Running a program to its end. A non-zero exit is a result, not an error; not found (ERR_ABSENT),
 * death by a signal (ERR_REMOTE, remote = 128+signal), a passed deadline (ERR_TIMEOUT; the child is
 * killed and reaped) and too much output (ERR_REMOTE) are errors. Never a shell. The program gets a
 * session of its own (no terminal); deadline, ctx->cancelled (within 100 ms) and too much output
 * kill its whole process group. A child that survives SIGKILL for 2 s (uninterruptible sleep) is
 * left behind and named in the error. What outlives the child in its group is not waited for. Time
 * is always the system's, also with a test's clock. SIGCHLD must not be ignored. */
struct proc_spec {
    const char *path;        /* absolute */
    const char *const *argv; /* argv[0] included, NULL-terminated */
    const char *const
        *env;       /* NULL: PATH=/usr/sbin:/usr/bin:/sbin:/bin and LC_ALL=C, nothing else */
    const char *in; /* standard input, or NULL for /dev/null */
    size_t in_n;
    const struct proc_user *as; /* takes this user and group, and no others; NULL: as we are */
    size_t out_max_b;           /* 0: 1 MiB, for each of stdout and stderr */
    uint32_t timeout_s;         /* 0: 60 */
};
struct proc_result {
    int exit;
    char *out, *err; /* NUL-terminated, never NULL after success */
    size_t out_n, err_n;
};
void proc_result_clear(struct proc_result *r);

struct proc_ops {
    struct err *(*run)(struct ctx *ctx, const struct proc_spec *spec, struct proc_result *ret);
};
extern const struct proc_ops proc_system;

/* Runs argv and wants exit 0: else ERR_REMOTE "mkfs.xfs: exit 1: <last line of its stderr>".
 * ret may be NULL. */
struct err *proc_run(struct ctx *ctx, const char *const *argv, uint32_t timeout_s,
                     struct proc_result *ret) MUST_CHECK;
/* Absolute path of a program: as it is when it has a slash (made absolute), else looked up in PATH
 * and then in /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin. ERR_ABSENT. To be
 * freed. */
struct err *proc_find(struct ctx *ctx, const char *name, char **ret) MUST_CHECK;

/* Absolute path of the program that runs now. To be freed. ERR_SYS. */
struct err *proc_self(char **ret) MUST_CHECK;

/* Starting a program that outlives us: new session, standard input /dev/null, output appended to
 * log (opened O_NOFOLLOW, 0640), every other descriptor closed, uid/gid set (groups cleared) unless
 * UINT32_MAX, signal mask and handlers reset. env NULL as above. The exec's own failure is reported
 * here (not found: ERR_ABSENT).
 *
 * ret_pid is the daemon itself. It is nobody's child here: init, or a subreaper, reaps it. In a
 * container whose first process does not reap, a dead daemon stays as a zombie: kill(pid, 0) still
 * succeeds, and only /proc/PID/stat tells: state Z (or X) of the leader while /proc/PID/task holds
 * no other thread means gone; Z with other threads alive means that it still runs. */
struct proc_daemon_spec {
    const char *path;
    const char *const *argv, *const *env;
    const char *cwd; /* NULL: / */
    const char *log; /* as seen by the process; NULL: /dev/null */
    uint32_t uid, gid;
    /* Its hard limits of open files and of locked memory are raised to at least these, before it
     * takes its user; where the kernel refuses that they stay as they are. 0: they stay. */
    uint64_t nofile, memlock_b;
};
struct err *proc_spawn_daemon(const struct proc_daemon_spec *spec, pid_t *ret_pid) MUST_CHECK;
