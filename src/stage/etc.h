#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "stage/finding.h"

/* What the stages that write below /etc share. */

/* Says with this id that /etc is read-only, when something would have to be written there: a
 * failure when a finding is to be repaired, a note when (adopt) others' work alone could be taken
 * over. A plan with such a finding begins nothing. */
struct err *etc_check(struct ctx *ctx, const char *id, bool adopt, struct findings *ret) MUST_CHECK;
/* Removes those of these folders (one a line, deepest first; NULL: none) that are empty. */
struct err *etc_remove_folders(struct ctx *ctx, const char *folders) MUST_CHECK;
