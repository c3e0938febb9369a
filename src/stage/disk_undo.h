#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "stage/stage.h"

/* The changes of stage/disk.h, and what becomes of them. */
enum { VERB_FOLDER = 1, VERB_FORMAT, VERB_MOUNT, VERB_REFORMAT };

/* As a stage's undo_look and undo. A mount: c->after is the device, c->old the folders that were
 * made for it (stage/folders.h). What else is mounted there by now stays. A format is never taken
 * back: the file system stays. */
struct err *disk_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
    MUST_CHECK;
struct err *disk_undo(struct ctx *ctx, const struct change *c) MUST_CHECK;
