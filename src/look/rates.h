#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"

/* How fast things change, from looks some time apart. A book of the last looks is kept in
 * <state_dir>/status-sample.json, so that one run of status is enough; status --watch keeps one in
 * memory. Looks are compared by the monotonic clock: a step of the wall clock makes no slots. */
enum rates_series {
    RATES_SLOTS,  /* processed slot; tip */
    RATES_START,  /* slot that start-up has come to */
    RATES_MEMORY, /* bytes that count against the limit; may fall, and the trend is a long one */
    RATES_UDP,    /* datagrams, errors, of those with a full buffer */
    RATES_TVU,    /* drops */
    RATES_N,
};
#define RATES_VALUES   3
#define RATES_LOOKS    20
#define RATES_MIN_MS   2000           /* a shorter interval says nothing */
#define RATES_MAX_MS   (10 * 60000ul) /* an older look is forgotten */
#define RATES_TREND_MS 30000          /* a trend of memory over less is noise */

struct rate_look {
    uint64_t id; /* of what is looked at: looks at another one (process start) do not count */
    uint64_t v[RATES_VALUES];
    uint64_t wall_ms, mono_ns;
};
struct rate {
    bool known;
    double per_s[RATES_VALUES];
    uint64_t over_ms;
};
/* What this host can do, as it was seen in this boot: what counts for the time to the tip. */
struct rates_seen {
    bool known;
    double per_s;
    uint64_t wall_ms; /* of the newest look */
};
struct rates_book {
    struct {
        struct rate_look items[RATES_LOOKS]; /* older first */
        size_t n;
    } series[RATES_N];
    struct rates_seen replay; /* slots, when it has something to catch up with */
    struct rates_seen unpack; /* bytes of archives, from reading them to the first replay */
    bool changed;             /* since it was read or written */
};

/* Compares now with what is in the book, and keeps now as well. Not known: no look of the same
 * thing that is old enough and not too old; or one of two clocks jumped. */
struct rate rates_add(struct rates_book *b, enum rates_series s, const struct rate_look *now);

/* What it replayed while it was gap slots behind and gaining; anything else says nothing about what
 * it can do. Newer looks weigh more. */
void rates_note_replay(struct rates_book *b, const struct rate *slots, uint64_t gap,
                       uint64_t wall_ms);
/* A start was loading archives of so many bytes for so long; a short one says nothing. */
void rates_note_unpack(struct rates_book *b, uint64_t archives_b, double seconds, uint64_t wall_ms);

/* Never fail: a file that is missing, unreadable or foreign gives an empty book, one that cannot be
 * written means no rates next time. */
void rates_load(struct ctx *ctx, const char *state_dir, struct rates_book *ret);
void rates_save(struct ctx *ctx, const char *state_dir, struct rates_book *b);
