#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/json.h"
#include "flow/loading.h"
#include "look/unit_config.h"

/* What the steps of up, start and prepare share while they run. */
struct unit_state {
    struct unit_config *u;
    uint64_t begun_ns;      /* of the wait for the tip */
    struct known_u64 first; /* processed slot at the first look of that wait */
    struct loading loading;
    char *waited; /* what became of snapshots that waited for the start, or NULL */
};
/* Is a validator there, running, ending or not to be looked at? Then its storage must be left
 * alone. Where the config's runtime has no driver: anybody who holds its ledger's lock, or is
 * called agave-validator anywhere on this host (in a container its ledger has another name). */
struct err *unit_look(struct ctx *ctx, const struct unit_config *u, bool *ret_there) MUST_CHECK;
/* A flow's open and close: from inputs' "program" (in place of validator.bin; null: none). */
struct err *unit_state_open(struct ctx *ctx, const struct json *inputs, void **ret) MUST_CHECK;
/* The same for a flow that does without a driver. */
struct err *unit_state_open_any(struct ctx *ctx, const struct json *inputs, void **ret) MUST_CHECK;
void unit_state_close(void *state);

bool unit_runs(const struct unit_status *st);
/* Runs, ends, or could not be looked at: its storage must be left alone. */
bool unit_is_there(const struct unit_status *st);
