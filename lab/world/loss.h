#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What turbine loses. Pure: whether a shred is lost follows from the seed and its place alone, so
 * that a drill can be repeated, whatever else happens meanwhile. Scattered losses are healed by
 * erasure coding up to about a half; a lost set or slot is lost. What counts for a validator is the
 * share of slots that stay whole. */
struct loss {
    uint64_t seed;
    uint32_t shreds; /* percent of shreds, each on its own */
    uint32_t sets;   /* percent of FEC sets, all shreds of each */
    uint32_t slots;  /* percent of slots, everything of each */
    uint32_t burst;  /* slots that are lost together: 4 is a leader's turn; 0 counts as 1 */
};

#define LOSS_SET_SHREDS 64 /* 32 data, 32 code; any 32 make the set whole */
#define LOSS_SET_NEEDED 32

/* Is shred i (data 0..31, code 32..63) of a set lost, for whichever reason? */
bool loss_hits(const struct loss *l, uint64_t slot, size_t set, unsigned i);
/* Do enough shreds of each of the slot's sets arrive? */
bool loss_leaves_whole(const struct loss *l, uint64_t slot, size_t sets);
