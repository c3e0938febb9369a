/* The world's blocks: made once by the leader, and again from 64 bytes of link when repair asks for
 * one that has left the memory. */
#include "lab/world/world.h"

#include <string.h>

#include "base/bytes.h"

static struct err *make_block(struct world *w, const struct chain_slot *s, struct block *ret)
{
    return block_make(&w->shredder, s->slot, s->parent, &w->links[s->parent % WORLD_WINDOW], ret);
}

struct err *world_make_slot(struct world *w, const struct block **ret)
{
    struct chain_slot s;
    struct block *b;

    pthread_mutex_lock(&w->lock);
    s = *chain_next(w->chain);
    pthread_mutex_unlock(&w->lock);
    *ret = NULL;
    if (s.skipped)
        return NULL;
    b = &w->recent[s.slot % WORLD_RECENT];
    block_clear(b);
    TRY(make_block(w, &s, b));
    pthread_mutex_lock(&w->lock);
    w->links[s.slot % WORLD_WINDOW] = b->link;
    w->stats.blocks++;
    pthread_mutex_unlock(&w->lock);
    TRY_CTX(world_snapshot_if_due(w), "cannot make a snapshot");
    *ret = b;
    return NULL;
}

const struct block *world_block(struct world *w, uint64_t slot)
{
    const struct chain_slot *s = chain_find(w->chain, slot);
    struct block *b = &w->recent[slot % WORLD_RECENT];
    AUTO(err_freep) struct err *e = NULL;

    if (!s || s->skipped || slot == chain_first(w->chain))
        return NULL;
    if (b->n && b->slot == slot)
        return b;
    for (size_t i = 0; i < WORLD_OLD; i++)
        if (w->old[i].n && w->old[i].slot == slot)
            return &w->old[i];
    b = &w->old[w->old_at++ % WORLD_OLD];
    block_clear(b);
    e = make_block(w, s, b);
    return e ? NULL : b;
}

/* The anchor is the full snapshot's slot, one or two intervals before the first slot; an
 * incremental follows, so that a node finds both from the start: the history may run past
 * start_slot for it. */
struct err *world_make_history(struct world *w)
{
    uint64_t interval = w->o.snapshot_interval;
    uint64_t boundary = w->o.start_slot - w->o.start_slot % interval;
    uint64_t anchor = boundary > interval ? boundary - interval : interval;
    const struct block *b;

    w->chain = chain_new(w->o.seed, anchor, WORLD_WINDOW);
    w->links = xcalloc(WORLD_WINDOW, sizeof(*w->links));
    block_link_from_seed(w->o.seed ^ anchor, &w->links[anchor % WORLD_WINDOW]);
    TRY(world_first_snapshot(w, anchor));
    while (chain_last(w->chain) + 1 < w->o.start_slot || w->last_snapshot == anchor)
        TRY(world_make_slot(w, &b));
    return NULL;
}
