#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "stage/finding.h"
#include "stage/stage.h"

/* What the stages that write below /etc share. */

/* Would a change of it be made below /etc? */
bool etc_is_written(const struct plan *p);
/* After a check of s: says that /etc is read-only (s->readonly), when something would have to be
 * written there: a failure when the stage would do so by itself, a note when only others' work
 * could be taken over. The engine begins nothing of such a plan. */
struct err *etc_check(struct ctx *ctx, const struct stage *s, struct findings *ret) MUST_CHECK;
/* Removes those of these folders (one a line, deepest first; NULL: none) that are empty. */
struct err *etc_remove_folders(struct ctx *ctx, const char *folders) MUST_CHECK;

/* A link of ours that enables a unit, by what it says: ours when it leads to the unit of its name.
 */
struct err *etc_link_look(struct ctx *ctx, const char *path, bool *ret_there, bool *ret_ours)
    MUST_CHECK;
/* With the missing folders of its path. ERR_REFUSED: something else has the name. */
struct err *etc_link_make(struct ctx *ctx, const char *path, const char *target) MUST_CHECK;
/* Of a change whose file or link is not there: the folder that was made for it (its old), empty. */
struct err *etc_folder_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
    MUST_CHECK;
/* Of a change whose object is such a link; its old: folders that were made for it. */
struct err *etc_link_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
    MUST_CHECK;
struct err *etc_link_undo(struct ctx *ctx, const struct change *c) MUST_CHECK;
