#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "flow/engine.h"
#include "look/unit_config.h"

struct start_opts {
    const char *agave_bin; /* in place of the config's validator.bin, or NULL */
    bool wait_tip;
};
extern const struct flow start_flow; /* opts: struct start_opts */
/* Starts the unit when the host's storage is as the config says (all stages hold: ERR_REFUSED names
 * the first that does not). Runs already: ret->changed is 0. Needs ctx->cfg and the host lock. */
struct err *flow_start(struct ctx *ctx, const struct start_opts *opts, const struct flow_how *how,
                       struct flow_result *ret) MUST_CHECK;

/* What up and start share. The decision about the unit: may it be started, and with which program
 * (inputs' "program")? *ret_running: it runs already. ERR_REFUSED while a stop is under way. */
struct err *start_decide(struct ctx *ctx, const char *agave_bin, struct json *inputs,
                         bool *ret_running) MUST_CHECK;
/* holds: refuses a host whose storage, or what kind node and pod see of it, is not as the config
 * says; holds_anew: what a validator has that runs now, and is stopped, does not count. start:
 * looks once more at what node and pod see, starts it unless it runs, and waits until the program
 * has taken its ledger and answers on its admin socket; one that ends at once is an error with the
 * last lines of its output. tip: waits until status is ok, at the tip as all references see it;
 * ERR_TIMEOUT after up.timeout_s. */
extern const struct step step_holds, step_holds_anew, step_start, step_tip;
