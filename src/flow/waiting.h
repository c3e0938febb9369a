#pragma once

#include "base/ctx.h"
#include "base/err.h"

/* Archives that were fetched while a validator ran wait beside the others (fetch/store.h). Between
 * its stop and its start they get their place, when a start is better for it; fast boot is given up
 * only for archives that are more than snapshot.leapfrog_slots ahead. bin: the program that will be
 * started, or NULL. Never in the way of a start: what was done, and what could not be, is told in
 * *text, for people, which is replaced then and stays as it is when nothing waits that would be
 * loaded. The caller knows that no validator runs. ERR_CANCELLED. */
struct err *waiting_take(struct ctx *ctx, const char *bin, char **text) MUST_CHECK;
