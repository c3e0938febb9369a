#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The forest of replayed slots above the root and what a node says about it: processed is the tip
 * of the heaviest fork, confirmed its parent, finalized (the root) the ancestor 32 blocks below.
 * Votes are left out: the heaviest fork is the longest one. Pure; the caller locks. */
#define BANK_ROOT_DEPTH 32
#define BANK_MAX        4096 /* slots kept; more forks than that are refused */

struct bank {
    uint64_t slot, parent, height;
    uint8_t hash[32]; /* of the last entry: where the child's proof of history begins */
    bool hash_known;
};

struct banks;

/* The root that a snapshot (or genesis) gives. */
struct banks *banks_new(const struct bank *root);
struct banks *banks_free(struct banks *b); /* NULL is fine; returns NULL */
void banks_freep(struct banks **b);

const struct bank *banks_find(const struct banks *b, uint64_t slot); /* NULL: not replayed */
size_t banks_n(const struct banks *b);
const struct bank *banks_at(const struct banks *b, size_t i); /* ascending slots, root first */
/* Adds a child of a known bank (height is computed); false: parent unknown, slot known, or full. */
bool banks_add(struct banks *b, const struct bank *child);
const struct bank *banks_tip(const struct banks *b);
const struct bank *banks_confirmed(const struct banks *b);
const struct bank *banks_root(const struct banks *b);
/* Moves the root to 32 below the tip; writes the slots that became roots, ascending (at most max;
 * the next call goes on), and forgets forks that do not descend from it. */
size_t banks_advance_root(struct banks *b, uint64_t *ret, size_t max);
