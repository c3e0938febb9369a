#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "flow/report.h"
#include "look/unit_config.h"

struct start_opts {
    const char *agave_bin; /* in place of the config's validator.bin, or NULL */
    bool wait_tip;
};
/* Starts the unit when the host's storage is as the config says (all stages hold: ERR_REFUSED names
 * the first that does not). Runs already: *ret_changed is false. Needs ctx->cfg and the host lock.
 */
struct err *flow_start(struct ctx *ctx, const struct start_opts *opts,
                       const struct flow_report *report, bool *ret_changed) MUST_CHECK;

/* The steps that up and start share. */
bool unit_runs(const struct unit_status *st);
/* ERR_REFUSED while a stop is under way. */
struct err *start_may(const struct unit_status *st) MUST_CHECK;
/* Starts it unless it runs, and waits until the program has taken its ledger and answers on its
 * admin socket; one that ends at once is an error with the last lines of its output. */
struct err *start_unit(struct ctx *ctx, const struct unit_config *u,
                       const struct flow_report *report, bool *ret_changed) MUST_CHECK;
/* Waits until status is ok: at the tip as all references see it. ERR_TIMEOUT after up.timeout_s. */
struct err *start_wait_tip(struct ctx *ctx, const struct unit_config *u,
                           const struct flow_report *report) MUST_CHECK;
