#pragma once

#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "io/lock.h"

#define TAKEOVER_MS 30000

/* Takes the host lock, for a stop, which waits for nobody: the agavectl that holds it is asked to
 * leave (SIGTERM, as Ctrl-C does) and waited for, at most timeout_ms. Only a process that holds
 * this very lock, signed it with its pid, and runs the same program is asked, and none that stops
 * as well. ERR_REFUSED names who has it; nobody is killed. Blocks. Needs ctx->root on "/". */
struct err *takeover_lock(struct ctx *ctx, const char *path, const char *what, uint64_t timeout_ms,
                          struct hostlock **ret) MUST_CHECK;
