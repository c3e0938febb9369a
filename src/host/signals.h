#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "host/pids.h"

/* Would the process live on when it is sent this signal? It has a handler for it, or ignores it
 * (SigCgt and SigIgn of /proc/PID/status, proc(5)). That its main thread blocks the signal is no
 * answer: another thread gets it then. Most signals end a process that has prepared for nothing,
 * SIGUSR1 among them. ERR_NOTFOUND (gone, or another one by now), ERR_SYS, ERR_CORRUPT. */
struct err *pid_survives_signal(struct ctx *ctx, struct pid_id id, int sig, bool *ret) MUST_CHECK;
