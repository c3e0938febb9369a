#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"

/* Tells the validator to open its log again (SIGUSR1, Agave 3.0.14), after the file was moved, and
 * waits until it has the new one open, at most LOG_REOPEN_S. The validator is whoever holds its
 * ledger's lock, in a container as well. *ret_pid: 0 when there is none. Needs ctx->cfg and root.
 * ERR_REFUSED: the signal would end that process, nothing was sent. ERR_TIMEOUT: it was told, and
 * has not opened validator.log. ERR_SYS, ERR_CANCELLED. */
#define LOG_REOPEN_S 10
struct err *log_reopen(struct ctx *ctx, pid_t *ret_pid) MUST_CHECK;
