/* Who stands for which bytes. The map says who wrote a block; here is who has sent the same one
 * since. When a source is not believed any more only what it alone gave is missing: what another
 * one has sent as well is that one's from then on. */
#include "fetch/archive_parts.h"

#include <stdlib.h>
#include <string.h>

/* One byte a block, of the present length. */
static uint8_t *seconds(struct archive *a)
{
    size_t n;

    (void)partial_blocks(a->partial, &n);
    if (a->n_seconds != n) {
        free(a->seconds);
        a->seconds = n ? xcalloc(n, 1) : NULL;
        a->n_seconds = n;
    }
    return a->seconds;
}

void witness_clear(struct archive *a)
{
    free(TAKE(a->seconds));
    a->n_seconds = 0;
    for (size_t i = 0; i < a->n_sources; i++)
        a->sources[i].read_to_b = 0;
}

void witness_block(struct archive *a, struct source *s, size_t block, size_t n, bool wrote)
{
    uint64_t at_b = block * SEGMENT_BLOCK_B;
    uint8_t *of = seconds(a);

    if (!wrote && !of[block])
        of[block] = s->id;
    if (at_b <= s->read_to_b && at_b + n > s->read_to_b)
        s->read_to_b = at_b + n;
}

struct source *witness_second(struct archive *a, size_t block)
{
    return source_of_id(a, seconds(a)[block]);
}

bool witness_of_all(struct archive *a, const struct source *s, size_t to)
{
    size_t n;
    const uint8_t *blocks = partial_blocks(a->partial, &n), *of = seconds(a);

    for (size_t i = (size_t)(s->read_to_b / SEGMENT_BLOCK_B); i < to && i < n; i++)
        if (blocks[i] != s->id && of[i] != s->id &&
            !source_prints_alike(a, s, source_of_id(a, blocks[i]), i))
            return false;
    return true;
}

/* What id wrote goes to who has sent the same. */
static void pass_on(struct archive *a, uint8_t id)
{
    size_t n;
    const uint8_t *blocks = partial_blocks(a->partial, &n);
    uint64_t last_b = partial_total_b(a->partial) - (uint64_t)(n - 1) * SEGMENT_BLOCK_B;
    uint8_t *of = seconds(a);

    for (size_t i = 0; i < n; i++) {
        if (of[i] == id)
            of[i] = SEGMENT_MISSING; /* its word counts no more */
        if (blocks[i] == id && of[i])
            source_of_id(a, of[i])->kept_b += i + 1 < n ? SEGMENT_BLOCK_B : last_b;
    }
}

/* before: whose blocks they were. Nobody has sent once more what changed hands. */
static struct err *forgotten(struct archive *a, const uint8_t *before, uint64_t frontier_b)
{
    uint64_t now_b = partial_frontier_b(a->partial);
    size_t n;
    const uint8_t *blocks = partial_blocks(a->partial, &n);
    uint8_t *of = seconds(a);

    for (size_t i = 0; i < n; i++)
        if (blocks[i] != before[i])
            of[i] = SEGMENT_MISSING;
    for (size_t i = 0; i < a->n_sources; i++)
        if (a->sources[i].read_to_b > now_b)
            a->sources[i].read_to_b = now_b;
    a->n_forgotten++;
    a->suspect = NULL; /* what the check says from now on has more than one reason */
    return a->verifier && now_b != frontier_b ? archive_verify_again(a) : NULL;
}

struct err *archive_forget(struct archive *a, uint8_t id)
{
    uint64_t frontier_b = partial_frontier_b(a->partial);
    size_t n;
    const uint8_t *blocks = partial_blocks(a->partial, &n);
    AUTO(freep) uint8_t *before = n ? xmemdup(blocks, n) : NULL;

    if (!n)
        return NULL;
    if (id != SEGMENT_MISSING)
        pass_on(a, id);
    TRY(partial_forget(a->partial, id, id == SEGMENT_MISSING ? NULL : seconds(a)));
    return forgotten(a, before, frontier_b);
}

struct err *archive_forget_range(struct archive *a, size_t from, size_t to)
{
    uint64_t frontier_b = partial_frontier_b(a->partial);
    size_t n;
    const uint8_t *blocks = partial_blocks(a->partial, &n);
    AUTO(freep) uint8_t *before = xmemdup(blocks, n);

    TRY(partial_forget_range(a->partial, from, to));
    return forgotten(a, before, frontier_b);
}
