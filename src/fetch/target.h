#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"

/* Could archives be put into this folder? To be asked before anything else is: a search takes
 * seconds, and what stands in the way does not go away meanwhile. Nothing is made or changed. */

/* dir is absolute; where it is not there its nearest folder that is there is asked. *ret_there: it
 * is. least_b: free for an ordinary user; 0: as it is. ERR_REFUSED: no right to write there,
 * mounted read-only, a part of the path is a link of somebody who is neither root nor we, or
 * .agavectl is not ours; ERR_BADINPUT: no folder; ERR_NOTFOUND: a link to
 * nothing; ERR_SYS (ENOSPC: no room). */
struct err *target_check(struct ctx *ctx, const char *dir, uint64_t least_b, bool *ret_there)
    MUST_CHECK;
/* Of its path, as much as is there; to be freed. ERR_SYS. */
struct err *target_part(struct ctx *ctx, const char *dir, char **ret) MUST_CHECK;
