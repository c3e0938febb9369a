#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "flow/report.h"

/* What the validator is to start from, in the config's snapshot folder. */
struct snapshot_want {
    const char *dir;
    const char *const *sources; /* RPC URLs */
    size_t n_sources;
    uint64_t tip, max_age_slots; /* older than this behind the tip is too old */
    uint32_t uid, gid;
};

/* A full archive and, where there is one, an incremental that builds on it, verified and not too
 * old: what is in the folder when that will do, else fetched from the source with the highest slot;
 * a name that turns out to be bad at every source that has it is left for the next best.
 * The incremental is looked for again after the full one has arrived, because it ages meanwhile.
 * Half files of fetches that were killed are removed. *ret_changed: something was fetched.
 * The summary names the sources that were of no use, and why.
 * ERR_NOTFOUND names every source and why it does not serve.
 */
struct err *snapshot_get(struct ctx *ctx, const struct snapshot_want *want,
                         const struct flow_report *report, bool *ret_changed, char **ret_summary)
    MUST_CHECK;
