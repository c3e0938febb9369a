#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "stage/disk.h"
#include "stage/finding.h"
#include "stage/stage.h"

/* Of the stage volume: its device is a zvol, which is made where it is missing and the config says
 * how large (storage.volume.size_gib). */
enum { VOLUME_VERB_ZVOL = DISK_VERB_END }; /* arg: its size in bytes, a blank, the dataset */

/* The finding volume.zvol of a missing one. d->make_blocked is set when something is in the way.
 * *ret_made_as: what it will be, for d->made_as; NULL: it is not made. To be freed. */
struct err *volume_zvol_check(struct ctx *ctx, struct disk *d, struct findings *ret,
                              char **ret_made_as) MUST_CHECK;
/* The finding volume.size of one that is there, after the others of the stage: one that is still to
 * be formatted must have its size. */
struct err *volume_zvol_check_size(struct ctx *ctx, struct findings *ret) MUST_CHECK;
/* Pure. False: nothing of the stage is planned. */
bool volume_zvol_plan(const struct ctx *ctx, const struct findings *f, struct plan *ret);
/* Returns when its device is there. ERR_TIMEOUT. */
struct err *volume_zvol_apply(struct ctx *ctx, const struct disk *d, const struct change *c)
    MUST_CHECK;
/* It always stays: it is somebody's data. */
struct err *volume_zvol_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
    MUST_CHECK;
