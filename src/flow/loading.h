#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "look/status.h"

/* How long a start loads its archives, seen from outside while a flow waits for the tip. */
struct loading {
    uint64_t begun_ns;   /* it was first seen to load; 0: not yet */
    uint64_t archives_b; /* what it reads; 0: none (its local state, or not known) */
    bool over;
};
/* A look at the start, in the order of time. When the loading ends, its rate is kept for who asks
 * how long the next one will take (look/rates.h). Never fails: without it there is only no rate.
 * bin: the validator's program, whose version decides what is loaded. May block for 5 s, once. */
void loading_look(struct ctx *ctx, const char *bin, const struct status *now, struct loading *l);
