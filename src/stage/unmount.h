#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "stage/stage.h"

/* Taking mounts away, for undo: never forced, never lazily, and only what nobody holds. */

/* ERR_REFUSED: a mount in any mount namespace that would not go with it, a process, or a user of
 * its device holds it; the text says who. before: mount points that will be gone by then, with all
 * that is below them; NULL-terminated, or NULL. Nothing mounted there is fine. */
struct err *unmount_may(struct ctx *ctx, const char *target, enum undo_mount kind,
                        const char *const *before) MUST_CHECK;
/* Asks unmount_may again first. Of an rbind: what came with it as well, the deepest first. */
struct err *unmount_now(struct ctx *ctx, const char *target, enum undo_mount kind) MUST_CHECK;
