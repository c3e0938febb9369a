#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"

/* How fast the node and the cluster go, from two looks some seconds apart. The last looks are kept
 * in <state_dir>/status-sample.json, so that one run of status is enough. */
#define RATES_MIN_MS 2000           /* a shorter interval says nothing */
#define RATES_MAX_MS (10 * 60000ul) /* an older look is forgotten */

struct rate_look {
    uint64_t start_ms; /* when the validator process started: looks at another one do not count */
    uint64_t slot;     /* processed */
    uint64_t tip;
    uint64_t wall_ms, mono_ns;
};
struct rates {
    bool known;
    double replay, chain; /* slots/s */
};

/* Compares now with what is kept and keeps now as well. Never fails: a file that is missing,
 * unreadable, foreign, too old or from another process start means "not known", one that cannot be
 * written means so next time. */
struct rates rates_update(struct ctx *ctx, const char *state_dir, const struct rate_look *now);
