#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The world's block chain: which slots have a block, whose child each is, which were skipped and
 * which lie on a fork that nobody built on. All of it follows from the seed; blocks themselves are
 * made elsewhere. Holds a bounded window of slots. */
struct chain;

struct chain_slot {
    uint64_t slot, parent;
    uint64_t height; /* blocks on its own fork since the anchor, plus the anchor's height */
    bool skipped;    /* no block at all; parent and height mean nothing */
    bool dead_end;   /* a block that the next one does not build on */
};

/* anchor: the slot that everything descends from (it has a block). window: slots kept. */
struct chain *chain_new(uint64_t seed, uint64_t anchor, size_t window);
struct chain *chain_free(struct chain *c); /* NULL is fine; returns NULL */
void chain_freep(struct chain **c);

/* Adds the next slot and returns it. */
const struct chain_slot *chain_next(struct chain *c);
const struct chain_slot *chain_find(const struct chain *c, uint64_t slot); /* NULL: not kept */
uint64_t chain_first(const struct chain *c); /* the lowest slot kept */
uint64_t chain_last(const struct chain *c);
/* The block on the main fork that lies depth blocks below its tip (0: the tip); NULL: not kept. */
const struct chain_slot *chain_below_tip(const struct chain *c, unsigned depth);
