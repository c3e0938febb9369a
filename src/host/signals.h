#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"
#include "host/pids.h"

/* Would the process live on when it is sent this signal? It has a handler for it, or ignores it
 * (SigCgt and SigIgn of /proc/PID/status, proc(5)). That its main thread blocks the signal is no
 * answer: another thread gets it then. Most signals end a process that has prepared for nothing,
 * SIGUSR1 among them. ERR_NOTFOUND (gone, or another one by now), ERR_SYS, ERR_CORRUPT. */
struct err *pid_survives_signal(struct ctx *ctx, struct pid_id id, int sig, bool *ret) MUST_CHECK;

/* What /proc/PID/status says of a process and signals. Bit sig - 1 of a mask is that signal. */
struct pid_signals {
    /* Its pid in the innermost of its pid namespaces (the last of NSpid). With 1 the kernel drops
     * each signal that it has prepared for nothing, but SIGKILL and SIGSTOP from outside. */
    pid_t ns_pid;
    uint64_t blocked; /* by its main thread: kept, and read with signalfd(2) perhaps */
    uint64_t ignored, caught;
    /* Does its main thread wait for signals (sigwaitinfo(2))? Some inits live in there. What it
     * waits for is in none of the masks meanwhile, and yet is never dropped. */
    enum signal_wait { SIGNAL_WAIT_NO, SIGNAL_WAIT_YES, SIGNAL_WAIT_UNKNOWN } waits;
};
/* Errors as above. */
struct err *pid_signals_read(struct ctx *ctx, struct pid_id id, struct pid_signals *ret) MUST_CHECK;
bool pid_signals_has(uint64_t mask, int sig);
