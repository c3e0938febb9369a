#pragma once

#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "host/mounts.h"
#include "stage/finding.h"
#include "stage/stage.h"

/* Propagation, for the stages kind-root and bind: whether what is mounted below a path later is
 * passed on. */

/* Is the mount that the path lies on shared? repair: the stage that would make it so. id and repair
 * are static. */
void shared_check(const struct mounts *m, const char *path, const char *id, uint8_t layer,
                  const char *repair, struct findings *ret);
/* Makes the mount at the path shared with everything below it. Where nothing is mounted, the folder
 * is bound on itself first: propagation belongs to a mount, and its parent's is not ours to change.
 */
struct err *shared_make(struct ctx *ctx, const char *path) MUST_CHECK;
/* For the undo of a change whose object is that path and whose old is that of shared_check's
 * finding: the folder's own mount is unmounted, or its mounts are again what they were. */
struct err *shared_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
    MUST_CHECK;
struct err *shared_undo(struct ctx *ctx, const struct change *c) MUST_CHECK;
/* The table of mounts knows real paths only: behind a link nothing would be found in it, which is a
 * failure with this id. An empty path is ok. */
struct err *shared_check_path(struct ctx *ctx, const char *path, const char *id, uint8_t layer,
                              struct findings *ret, bool *ret_ok) MUST_CHECK;
