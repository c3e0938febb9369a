#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "host/mounts.h"
#include "stage/finding.h"
#include "stage/stage.h"

/* Of the stage kind-root: its folder is a ZFS dataset of its own (storage.kind_dataset), so that
 * neither a rollback nor a full quota of a larger one takes the cluster with it. */
enum { KIND_DATASET_VERB = 16 }; /* of the stage's change that makes it; arg: the dataset */

/* The finding kindroot.dataset. *ret_mounted: the dataset is mounted where it belongs. */
struct err *kind_dataset_check(struct ctx *ctx, const struct mounts *m, struct findings *ret,
                               bool *ret_mounted) MUST_CHECK;
/* Pure: from that finding. */
void kind_dataset_plan(const struct ctx *ctx, const struct findings *f, struct plan *ret);
struct err *kind_dataset_apply(struct ctx *ctx, const struct change *c) MUST_CHECK;
/* Destroyed only when nothing is in it: no file, no snapshot, no dataset below. */
struct err *kind_dataset_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
    MUST_CHECK;
struct err *kind_dataset_undo(struct ctx *ctx, const struct change *c) MUST_CHECK;
