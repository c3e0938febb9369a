#pragma once

#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"

/* Which file a thread's system call works on, and on which mount that is: for one in
 * uninterruptible sleep, what it waits for. From /proc/<pid>/task/<tid>/syscall (proc(5): number
 * and arguments), for calls that take a descriptor. The process's memory is not read: with a lock
 * of it held by a sleeper, the reader would sleep as well. */
struct thread_wait {
    char *file;           /* as the process names it; NULL: not known */
    char *mount, *fstype; /* NULL: not known */
};
void thread_wait_clear(struct thread_wait *w);
/* Nothing known is no error, nor is a thread that is gone. ERR_SYS. */
struct err *thread_wait_find(struct ctx *ctx, pid_t pid, pid_t tid, struct thread_wait *ret)
    MUST_CHECK;
