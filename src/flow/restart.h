#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "flow/engine.h"
#include "flow/start.h"

/* Stops the validator with proof and starts it again, as one operation: cut off in between, it is
 * unfinished, and the same command starts what was stopped. Whether it may be started is looked at
 * before it is stopped. opts: struct start_opts. */
extern const struct flow restart_flow;
/* Needs ctx->cfg and the host lock. Errors as those of flow_stop and flow_start. */
struct err *flow_restart(struct ctx *ctx, const struct start_opts *opts, const struct flow_how *how,
                         struct flow_result *ret) MUST_CHECK;
