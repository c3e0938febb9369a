#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/json.h"
#include "base/known.h"
#include "base/str.h"
#include "flow/report.h"

/* Keeps a full snapshot and an incremental ready that a start would be at the tip with soon: one
 * round. What is fetched always waits in .agavectl/ (fetch/store.h), so that a start, a stop and a
 * round never meet in the folder: up, start and restart give it its place. */
enum keep_outcome {
    KEEP_QUIET,   /* a voter that runs: nothing is asked of anybody, nothing is fetched any more */
    KEEP_FRESH,   /* what is here is at most snapshot.fresh_slots behind the tip */
    KEEP_FETCHED, /* something new waits */
    KEEP_STALE,   /* it is older, and nobody has a newer one */
    KEEP_FAILED,  /* why says it; the next round goes on */
};
const char *keep_outcome_name(enum keep_outcome o);

struct keep_round {
    enum keep_outcome outcome;
    struct known_u64 tip, slot; /* slot: the newest that is here, with what waits */
    struct strlist fetched;     /* final names, in their order */
    size_t n_removed;           /* that waited and were overtaken */
    char *why;                  /* one line, or NULL */
    enum err_kind failed;       /* of KEEP_FAILED: what kind of error */
};
void keep_round_clear(struct keep_round *r);
/* Needs ctx->cfg; may be called again and again. seen: as in pair_look, kept from round to round: a
 * validator's own archive of 100 GB has no note, and is read once. ERR_CANCELLED alone is an error;
 * everything else is a round that failed. */
struct err *snapshot_keep_round(struct ctx *ctx, const struct flow_report *report,
                                struct strlist *seen, struct keep_round *ret) MUST_CHECK;
/* Without schema_version; owned by the caller. */
struct json *keep_round_json(const struct keep_round *r);
