/* A ring of slots. Skips and forks are drawn from a hash of seed and slot, so that two worlds of
 * one seed agree and a drill can be repeated. */
#include "lab/chain/chain.h"

#include <stdlib.h>

#include "base/cleanup.h"

#define SKIP_ONE_IN 40 /* about the share of a healthy mainnet */
#define FORK_ONE_IN 97

struct chain {
    uint64_t seed, first, last, tip; /* tip: the block that the next one builds on */
    size_t window;
    struct chain_slot *ring;
};

/* SplitMix64: well mixed and short. */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

struct chain *chain_new(uint64_t seed, uint64_t anchor, size_t window)
{
    struct chain *c = xcalloc(1, sizeof(*c));

    c->seed = seed;
    c->first = c->last = c->tip = anchor;
    c->window = window;
    c->ring = xcalloc(window, sizeof(*c->ring));
    c->ring[anchor % window] =
        (struct chain_slot){.slot = anchor, .parent = anchor ? anchor - 1 : 0, .height = anchor};
    return c;
}

struct chain *chain_free(struct chain *c)
{
    if (c)
        free(c->ring);
    free(c);
    return NULL;
}

void chain_freep(struct chain **c)
{
    *c = chain_free(*c);
}

const struct chain_slot *chain_find(const struct chain *c, uint64_t slot)
{
    return slot >= c->first && slot <= c->last ? &c->ring[slot % c->window] : NULL;
}

const struct chain_slot *chain_next(struct chain *c)
{
    uint64_t slot = c->last + 1, draw = mix(c->seed ^ mix(slot));
    const struct chain_slot *parent = chain_find(c, c->tip);
    struct chain_slot *s = &c->ring[slot % c->window];

    *s = (struct chain_slot){.slot = slot,
                             .parent = c->tip,
                             .height = parent->height + 1,
                             .skipped = draw % SKIP_ONE_IN == 0,
                             .dead_end = draw / SKIP_ONE_IN % FORK_ONE_IN == 0};
    c->last = slot;
    if (c->last - c->first >= c->window)
        c->first = c->last - c->window + 1;
    if (!s->skipped && !s->dead_end)
        c->tip = slot;
    return s;
}

uint64_t chain_first(const struct chain *c)
{
    return c->first;
}

uint64_t chain_last(const struct chain *c)
{
    return c->last;
}

const struct chain_slot *chain_below_tip(const struct chain *c, unsigned depth)
{
    const struct chain_slot *s = chain_find(c, c->tip);

    while (s && depth-- > 0)
        s = s->parent < s->slot ? chain_find(c, s->parent) : NULL;
    return s;
}
