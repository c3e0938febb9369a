#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"
#include "flow/engine.h"

/* Takes back what prepare and up have made (flow/made.h), the last one first: mounts, units,
 * blocks, files, values, empty folders. A file system stays, and so does what others have changed
 * since: the plan lists it as kept. An unfinished prepare is given up in its favour. */
struct undo_opts {
    /* Names, NULL-terminated; NULL: all. With each go those that it names in undo_with. */
    const char *const *stages;
};
extern const struct flow undo_flow; /* opts: struct undo_opts */
/* Needs ctx->cfg and the host lock. ret_kept: why each of what stays does, appended; may be NULL.
 * ERR_REFUSED: somebody holds what would be taken away, or the validator runs and a change is not
 * one that may be taken back under it. */
struct err *flow_undo(struct ctx *ctx, const struct undo_opts *opts, const struct flow_how *how,
                      struct flow_result *ret, struct strlist *ret_kept) MUST_CHECK;
