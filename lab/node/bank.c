/* The replayed slots of a node as a small sorted array: at most a few dozen entries in life. */
#include "lab/node/bank.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

struct banks {
    struct bank *items; /* ascending slots; items[0] is the root */
    size_t n, cap;
};

struct banks *banks_new(const struct bank *root)
{
    struct banks *b = xcalloc(1, sizeof(*b));

    b->items = xgrow(NULL, &b->cap, 64, sizeof(*b->items));
    b->items[b->n++] = *root;
    return b;
}

struct banks *banks_free(struct banks *b)
{
    if (b)
        free(b->items);
    free(b);
    return NULL;
}

void banks_freep(struct banks **b)
{
    *b = banks_free(*b);
}

const struct bank *banks_find(const struct banks *b, uint64_t slot)
{
    size_t low = 0, high = b->n;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (b->items[mid].slot < slot)
            low = mid + 1;
        else
            high = mid;
    }
    return low < b->n && b->items[low].slot == slot ? &b->items[low] : NULL;
}

size_t banks_n(const struct banks *b)
{
    return b->n;
}

const struct bank *banks_at(const struct banks *b, size_t i)
{
    return i < b->n ? &b->items[i] : NULL;
}

bool banks_add(struct banks *b, const struct bank *child)
{
    const struct bank *parent = banks_find(b, child->parent);
    struct bank new = *child;
    size_t at = b->n;

    if (!parent || child->slot <= child->parent || banks_find(b, child->slot) || b->n >= BANK_MAX)
        return false;
    new.height = parent->height + 1;
    b->items = xgrow(b->items, &b->cap, b->n + 1, sizeof(*b->items));
    while (at > 0 && b->items[at - 1].slot > new.slot)
        at--;
    memmove(b->items + at + 1, b->items + at, (b->n - at) * sizeof(*b->items));
    b->items[at] = new;
    b->n++;
    return true;
}

const struct bank *banks_tip(const struct banks *b)
{
    const struct bank *best = b->items;

    for (size_t i = 1; i < b->n; i++)
        if (b->items[i].height > best->height)
            best = &b->items[i];
    return best;
}

const struct bank *banks_confirmed(const struct banks *b)
{
    const struct bank *tip = banks_tip(b);

    return tip == b->items ? tip : banks_find(b, tip->parent);
}

const struct bank *banks_root(const struct banks *b)
{
    return b->items;
}

/* Keeps the root at items[at] and what descends from it. */
static void prune(struct banks *b, size_t at)
{
    size_t kept = 1;

    b->items[0] = b->items[at];
    for (size_t i = at + 1; i < b->n; i++) {
        struct banks so_far = {.items = b->items, .n = kept};

        if (banks_find(&so_far, b->items[i].parent))
            b->items[kept++] = b->items[i];
    }
    b->n = kept;
}

size_t banks_advance_root(struct banks *b, uint64_t *ret, size_t max)
{
    const struct bank *tip = banks_tip(b), *at = tip;
    size_t rooted = 0;

    /* From the tip down: the first 32 are too young; of the rest the lowest max become roots. */
    while (at->height + BANK_ROOT_DEPTH > tip->height && at != b->items)
        at = banks_find(b, at->parent);
    while (at != b->items && at->height - b->items[0].height > max)
        at = banks_find(b, at->parent);
    if (at == b->items)
        return 0;
    for (const struct bank *p = at; p != b->items; p = banks_find(b, p->parent))
        ret[(p->height - b->items[0].height) - 1] = p->slot;
    rooted = (size_t)(at->height - b->items[0].height);
    prune(b, (size_t)(at - b->items));
    return rooted;
}
