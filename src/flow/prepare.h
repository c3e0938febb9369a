#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "flow/engine.h"

/* Makes the host as the config says: the changes that its stages plan, each a step. Names of stages
 * and of objects are NULL-terminated lists. */
struct prepare_opts {
    const char *const *stages;  /* NULL: all that a validator cannot do without */
    const char *const *destroy; /* objects whose data may be lost; NULL: none */
};
extern const struct flow prepare_flow; /* opts: struct prepare_opts */
/* Needs ctx->cfg and the host lock. ERR_REFUSED: a finding that no stage repairs, an object that
 * may not be destroyed, or the validator runs. */
struct err *flow_prepare(struct ctx *ctx, const struct prepare_opts *opts,
                         const struct flow_how *how, struct flow_result *ret) MUST_CHECK;

/* What up has of it: the changes and the look after them. The steps' state begins with a struct
 * unit_config *. running: of the validator; then nothing may be changed. */
struct err *prepare_decide(struct ctx *ctx, const struct prepare_opts *opts, bool running,
                           struct flow_plan *ret) MUST_CHECK;
extern const struct step step_change, step_change_once, step_storage;
/* A NULL-terminated list as JSON; NULL gives NULL. */
struct json *prepare_names(const char *const *list);
