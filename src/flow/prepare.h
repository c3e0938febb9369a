#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "flow/engine.h"

/* Makes the host as the config says: the changes that its stages plan, each a step. Names of stages
 * and of objects are NULL-terminated lists. */
struct prepare_opts {
    const char *const *stages;  /* NULL: all that have a plan (without host.persist: gates alone) */
    const char *const *destroy; /* objects whose data may be lost; NULL: none */
    bool gates;                 /* with stages NULL: what a validator cannot do without, alone */
    bool adopt;                 /* what others made for the same end is taken over as well */
};
extern const struct flow prepare_flow; /* opts: struct prepare_opts */
/* Needs ctx->cfg and the host lock. ERR_REFUSED: a finding of a gate (or of a stage that was named)
 * that no stage repairs, an object that may not be destroyed, or the validator runs and a change is
 * not one that may be made under it. */
struct err *flow_prepare(struct ctx *ctx, const struct prepare_opts *opts,
                         const struct flow_how *how, struct flow_result *ret) MUST_CHECK;

/* What up has of it: the changes and the look after them. The steps' state begins with a struct
 * unit_config *. running: of the validator; then only what may be changed under it is. */
struct err *prepare_decide(struct ctx *ctx, const struct prepare_opts *opts, bool running,
                           struct flow_plan *ret) MUST_CHECK;
extern const struct step step_change, step_change_once, step_storage;
/* A NULL-terminated list as JSON; NULL gives NULL. */
struct json *prepare_names(const char *const *list);
