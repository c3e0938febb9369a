#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "solana/blockstore.h"

/* A run: full, not dead slots of the blockstore, each one's parent being the member before it. Slot
 * numbers without a meta are skipped slots and break nothing; neither does anything else that lies
 * between two members in number, such as a sibling on a fork that lost.
 *
 * Every full, not dead slot is a member of exactly one run. Where two of them have the same parent,
 * the one whose descendants reach the higher slot goes on with the parent's run; the other begins
 * a run of its own. So the run that ends at the highest full slot holds its whole chain of full
 * ancestors, whatever forks there were on the way. */
struct shred_run {
    uint64_t first, last;
    uint64_t slots; /* members */
};

#define SHRED_READY_SLOTS    100 /* READY: the run has more members than this ... */
#define SHRED_READY_DISTANCE 32  /* ... and ends at most so far below the highest received slot */

/* The runs of the states (ascending, no slot twice), by first slot. *ret is to be freed; NULL and 0
 * when no slot is full. */
void shred_runs_find(const struct slot_state *states, size_t n, struct shred_run **ret,
                     size_t *ret_n);
/* The run that ends at slot, from the states alone: back through its parents for as long as they
 * are members. *ret_below is where the run would go on below the array (the first member's parent),
 * or SLOT_UNKNOWN. ret->slots is 0 when slot is not full, dead or not there. */
void shred_runs_ending_at(const struct slot_state *states, size_t n, uint64_t slot,
                          struct shred_run *ret, uint64_t *ret_below);

struct shred_report {
    uint64_t first, last; /* the window: slot numbers, inclusive; first > last: nothing received */
    struct slot_state *slots; /* those of the window with a meta, ascending */
    size_t slots_n;
    struct shred_run *runs; /* of the window */
    size_t runs_n;
    uint64_t total;      /* slots of the window with received > 0 */
    uint64_t complete;   /* of these: full and not dead */
    uint64_t incomplete; /* of these: the rest */
    /* Of the whole blockstore, whatever the window: the run that ends at the highest full slot
     * (slots 0: there is none), followed down to its first member, but no further than 100,000 slot
     * numbers: then tip_run_open is set and it is longer than told. */
    struct shred_run tip_run;
    bool tip_run_open;
    uint64_t highest_received; /* SLOT_UNKNOWN: none */
    bool ready;
};
void shred_report_clear(struct shred_report *r);

/* The last n slot numbers up to the highest slot that received a shred. ERR_CORRUPT. */
struct err *shred_report_last(struct blockstore *b, uint64_t n, struct shred_report *ret)
    MUST_CHECK;
/* From first to last, at most 4 million slots. ERR_CORRUPT, ERR_BADINPUT. */
struct err *shred_report_range(struct blockstore *b, uint64_t first, uint64_t last,
                               struct shred_report *ret) MUST_CHECK;
