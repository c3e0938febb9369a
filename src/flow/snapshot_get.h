#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "flow/report.h"

/* The snapshot that the validator is to start from, in the config's folder: a full archive and,
 * where there is one, an incremental that builds on it, verified, with the hash of its name, and
 * not older than snapshot.max_age_slots. What is in the folder, when that will do: nothing is asked
 * of anybody then. Else what fetch/pair.h finds best: believed by the config's rules, fetched from
 * all who have it, gone on with where a run before was cut off. tip: the cluster's. Needs ctx->cfg;
 * the caller knows that no validator runs. *ret_changed: something was fetched. The summary names
 * the sources of the config that were of no use, and why. Half files that nobody is at work on and
 * that are of no use now are removed. ERR_CORRUPT: an archive in the folder is
 * broken, and is left to the operator; ERR_NOTFOUND: nothing fits, with the reasons and the one
 * limit that would help; ERR_SYS: no room, before the first byte. */
struct err *snapshot_get(struct ctx *ctx, uint64_t tip, const struct flow_report *report,
                         bool *ret_changed, char **ret_summary) MUST_CHECK;
