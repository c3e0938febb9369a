#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "host/pids.h"

/* Would the process live on when it is sent this signal? It has a handler for it, ignores it, or
 * blocks it in its main thread (SigCgt, SigIgn and SigBlk of /proc/PID/status, proc(5)). Most
 * signals end a process that has prepared for nothing, SIGUSR1 among them. ERR_NOTFOUND (gone, or
 * another one by now), ERR_SYS, ERR_CORRUPT. */
struct err *pid_survives_signal(struct ctx *ctx, struct pid_id id, int sig, bool *ret) MUST_CHECK;
