#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "flow/engine.h"
#include "flow/proof.h"
#include "runtime/runtime.h"

/* Ends the validator by asking it over its admin socket, and proves that it is gone. Nothing is
 * ever killed. Steps: hold (nothing starts it again), ask, wait (at most u->ladder_s), prove. What
 * the live unit says is read when it is decided, and stands in the journal before it is touched.
 *
 * It is never refused because another operation is unfinished: that one is suspended and named in
 * the record of the stop. That record lies in the unit's state dir, which is bound to this boot and
 * on no disk; a stop that was cut off is gone on with by the next one. */
struct stop_opts {
    const struct runtime *rt;
    const struct unit *u;
};
extern const struct flow stop_flow; /* opts: struct stop_opts */

/* ERR_REFUSED: it cannot be asked, or somebody is left although it went; ERR_TIMEOUT: it still
 * runs, the stop goes on when it is called again; the text says who is left and in what state.
 * *ret_changed: false when it did not run in the first place. ret_proof may be NULL; else the proof
 * is handed to the caller, who releases it. */
struct err *flow_stop(struct ctx *ctx, const struct runtime *rt, const struct unit *u,
                      const struct flow_report *report, bool *ret_changed,
                      struct stop_proof **ret_proof) MUST_CHECK;

/* For the decision of another flow that stops: reads the live unit into inputs ("way"), where
 * step_held finds it. ERR_REFUSED: it cannot be stopped safely as it is. */
struct err *stop_decide(struct ctx *ctx, const struct runtime *rt, const struct unit *u,
                        struct json *inputs) MUST_CHECK;
/* For other flows: a stop as two steps, the first of them hold; the proof is not kept. Their state
 * is a struct unit_state. */
extern const struct step step_held, step_stopped;
