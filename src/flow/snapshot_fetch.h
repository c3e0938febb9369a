#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "config/config.h"
#include "fetch/pair.h"
#include "flow/report.h"
#include "flow/snapshot_scope.h"

/* What every command fetches snapshots by: the same limits, rates and list of what has failed. */

/* Fills what s and the config say of a job: who is asked, the limits and the rates. The rest is the
 * caller's. c: NULL without a config. The job borrows from s. */
void snapshot_job_fill(struct snapshot_scope *s, const struct config *c, struct pair_job *job);
/* Steps and progress go to a report, which may be NULL. */
struct pair_events snapshot_events(const struct flow_report *report);
/* pair_get as the config says, for its validator's user: how has the rest of the job. tip: the
 * cluster's. What has failed is remembered, also after an error. Needs ctx->cfg. Errors of
 * snapshot_scope_init and pair_get. */
struct err *snapshot_fetch(struct ctx *ctx, uint64_t tip, const struct pair_job *how,
                           struct pair_local *local, struct pair_report *ret) MUST_CHECK;
