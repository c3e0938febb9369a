#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "flow/report.h"

/* From bare block devices to a validator at the tip; each step finds out first whether there is
 * anything to do, so that a second run changes nothing. Steps: the stages of the host, snapshot,
 * start, tip. Nothing is undone on failure: a later run goes on. */
struct up_opts {
    const char *agave_bin; /* in place of the config's validator.bin, or NULL */
    bool no_wait;          /* return when the validator has been started */
};
struct up_result {
    unsigned changed; /* steps that changed something; 0: everything was in place */
};

/* Needs ctx->cfg and the host lock. ERR_REFUSED: the host is not as it must be and may not be
 * changed so; ERR_TIMEOUT: not at the tip in time (the validator goes on); the other kinds as they
 * come from below, wrapped with their step. */
struct err *flow_up(struct ctx *ctx, const struct up_opts *opts, const struct flow_report *report,
                    struct up_result *ret) MUST_CHECK;
