#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "stage/stage.h"

/* Folders that a change makes, and their way back: removed when they are empty, and kept else. A
 * list names those that were not there before, the deepest first, one a line; NULL: none. */

/* What fsroot_mkdirs(path) would make. To be freed; for a change's old. */
struct err *folders_missing(struct ctx *ctx, const char *path, char **ret) MUST_CHECK;
/* A mount point ends the list: whoever mounted there removes it and those above. */
struct err *folders_look(struct ctx *ctx, const char *list, struct undo_look *ret) MUST_CHECK;
/* What folders_look found to be removable. */
struct err *folders_remove(struct ctx *ctx, const char *list) MUST_CHECK;
