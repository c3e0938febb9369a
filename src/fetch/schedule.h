#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who fetches what of one file. Pure: facts in, one move out, so that a test can play any world.
 * All positions are bytes at the beginning of a block (segment_map.h), or the file's end. */
struct sched_source {
    bool ready;                    /* may be given work now */
    bool ranges;                   /* honours Range; else it can only be read from its beginning */
    bool running;                  /* without ranges: it has a stream; at pos_b then */
    unsigned streams, max_streams; /* with ranges: now, at most */
    double rate_b_s;               /* of all its streams together; 0: unknown */
    double age_s;                  /* without ranges: of its stream */
    uint64_t pos_b;
    bool tried; /* without ranges: it had a stream once */
};
struct sched_stream {
    size_t source;
    uint64_t pos_b, end_b;
    double rate_b_s; /* 0: unknown */
    bool compares;   /* only proves what others wrote, or is a second one: nobody takes from it */
    bool hedged;     /* a second one runs already */
};
struct sched_view {
    uint64_t total_b, missing_b;
    const uint8_t *blocks;  /* 0: missing */
    size_t n_blocks, first; /* nothing is missing before this block */
    const struct sched_source *sources;
    size_t n_sources;
    const struct sched_stream *streams;
    size_t n_streams;
    unsigned max_streams;
    /* Somebody reads the file behind what is there without a gap, and is to be done with the last
     * byte: who holds the lowest missing bytes must not be slower than the rest. */
    bool in_order;
};

enum sched_what {
    SCHED_NOTHING,
    SCHED_START, /* source gets [from_b, to_b), which is nobody's */
    SCHED_STEAL, /* the same, and every stream that covers from_b ends there (victim is one); what
                    they had beyond to_b is nobody's then */
    SCHED_HEDGE, /* source gets what victim has, as well: the first one wins */
};
struct sched_move {
    enum sched_what what;
    size_t source, victim;
    uint64_t from_b, to_b;
};
/* The next move of the sources with ranges; to be asked again after each. */
struct sched_move schedule_next(const struct sched_view *v);

/* The sources without ranges: ret[i] is whether source i shall have a stream (from the file's
 * beginning, comparing what is there). present_s: when what runs with ranges will be done, < 0:
 * nothing does. limit_s: the node cuts a transfer after this time; 0: never. */
void schedule_singles(const struct sched_view *v, double present_s, double limit_s, bool *ret);

/* Is a source that gives rate_b_s too slow? best_b_s: what it gave before; others_b_s: the rate of
 * each other one at work, n of them. Only when somebody else could do better. */
bool schedule_is_slow(double rate_b_s, double best_b_s, double min_b_s, const double *others_b_s,
                      size_t n);
