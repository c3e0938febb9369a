/* Losses of turbine, by hashing the place of each shred. No state: asking twice gives the same. */
#include "lab/world/loss.h"

enum { OF_SLOT = 1, OF_SET, OF_SHRED };

/* splitmix64's finalizer. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static bool drawn(const struct loss *l, uint64_t kind, uint64_t a, uint64_t b, uint32_t percent)
{
    uint64_t h = mix(mix(mix(l->seed + 0x9e3779b97f4a7c15u * kind) + a) + b);

    return h % 10000 < (uint64_t)percent * 100;
}

static bool slot_lost(const struct loss *l, uint64_t slot)
{
    return drawn(l, OF_SLOT, slot / (l->burst ? l->burst : 1), 0, l->slots);
}

bool loss_hits(const struct loss *l, uint64_t slot, size_t set, unsigned i)
{
    return slot_lost(l, slot) || drawn(l, OF_SET, slot, set, l->sets) ||
           drawn(l, OF_SHRED, slot, (uint64_t)set * LOSS_SET_SHREDS + i, l->shreds);
}

bool loss_leaves_whole(const struct loss *l, uint64_t slot, size_t sets)
{
    for (size_t set = 0; set < sets; set++) {
        unsigned left = 0;

        for (unsigned i = 0; i < LOSS_SET_SHREDS; i++)
            left += !loss_hits(l, slot, set, i);
        if (left < LOSS_SET_NEEDED)
            return false;
    }
    return true;
}
