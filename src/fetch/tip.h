#pragma once

#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/known.h"
#include "base/str.h"

/* The cluster's finalized slot, as RPC nodes say it: the lower median of those that answer within
 * timeout_ms, so that one that lies or stands still decides nothing where there are three. Unknown
 * when none answers. The only error is ERR_CANCELLED. */
struct err *fetch_tip(struct ctx *ctx, const struct strlist *rpcs, uint32_t timeout_ms,
                      struct known_u64 *ret) MUST_CHECK;
