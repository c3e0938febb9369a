#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "flow/engine.h"

/* From bare block devices to a validator at the tip; each step finds out first whether there is
 * anything to do, so that a second run changes nothing. Steps: the changes of the host's stages,
 * storage, snapshot, start, tip. Nothing is undone on failure: the next run goes on. */
struct up_opts {
    const char *agave_bin;      /* in place of the config's validator.bin, or NULL */
    bool no_wait;               /* return when the validator has been started */
    const char *const *destroy; /* objects whose data may be lost; NULL: none */
};
extern const struct flow up_flow; /* opts: struct up_opts */

/* Needs ctx->cfg and the host lock. ERR_REFUSED: the host is not as it must be and may not be
 * changed so; ERR_TIMEOUT: not at the tip in time (the validator goes on); the other kinds as they
 * come from below. */
struct err *flow_up(struct ctx *ctx, const struct up_opts *opts, const struct flow_how *how,
                    struct flow_result *ret) MUST_CHECK;
