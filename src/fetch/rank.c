/* Minutes to the tip. A model of three parts, each of them linear: transfer, unpacking, replay. */
#include "fetch/rank.h"

#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"

#define LEAST_INTERVAL 1000 /* two fulls that are nearer are of nodes with other counts */
#define MINUTES_MAX    1e7

static uint64_t slots_in(double seconds, const struct rank_rates *r)
{
    double slots = seconds * r->cluster_slots_s;

    return slots > 0 ? slots < 1e15 ? (uint64_t)slots : (uint64_t)1e15 : 0;
}

static bool outlives(const struct rank_way *w, uint64_t tip, double seconds,
                     const struct rank_rates *r)
{
    return w->next_full == 0 || tip + slots_in(seconds, r) < w->next_full;
}

struct rank_time rank_time(const struct rank_way *w, uint64_t tip, const struct rank_rates *r)
{
    struct rank_time t = {.minutes = -1, .replay_s = -1};
    uint64_t age = tip > w->slot ? tip - w->slot : 0;
    double full_s, incr_s, aging_s, gain = r->replay_slots_s - r->cluster_slots_s;

    if (!(w->rate_b_s > 0))
        return t;
    full_s = (double)w->full_b / w->rate_b_s;
    incr_s = (double)w->incr_b / w->rate_b_s;
    t.transfer_s = full_s + incr_s;
    t.superseded = w->incremental && !outlives(w, tip, full_s, r);
    aging_s = w->incremental && !t.superseded ? incr_s : t.transfer_s;
    t.age_end = age + slots_in(aging_s, r);
    t.unpack_s = r->unpack_b_s > 0 ? (double)w->unpack_b / r->unpack_b_s : 0;
    t.gap = t.age_end + slots_in(t.unpack_s, r);
    if (gain <= 0)
        return t;
    t.replay_s = (double)t.gap / gain;
    t.minutes = fmin((t.transfer_s + t.unpack_s + t.replay_s) / 60, MINUTES_MAX);
    return t;
}

static int order(double a, double b)
{
    return a < b ? -1 : a > b;
}

int rank_compare(const struct rank_time *a, uint64_t a_bytes, const struct rank_time *b,
                 uint64_t b_bytes)
{
    if ((a->minutes < 0) != (b->minutes < 0))
        return a->minutes < 0 ? 1 : -1;
    if (a->minutes >= 0 && order(a->minutes, b->minutes))
        return order(a->minutes, b->minutes);
    if (a->minutes < 0 && a->gap != b->gap)
        return a->gap < b->gap ? -1 : 1;
    return a_bytes < b_bytes ? -1 : a_bytes > b_bytes;
}

static int by_slot(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

uint64_t rank_full_interval(const struct fetch_found *f)
{
    AUTO(freep) uint64_t *slots = xcalloc(f->n, sizeof(*slots));
    uint64_t before = 0, best = 0;
    size_t n = 0;

    for (size_t i = 0; i < f->n; i++)
        if (f->offers[i].full.name)
            slots[n++] = f->offers[i].full.slot;
    qsort(slots, n, sizeof(*slots), by_slot);
    for (size_t i = 0; i + 1 < n; i++) {
        if (slots[i] != slots[i + 1] || slots[i] == before) /* of one node alone, or seen */
            continue;
        if (before && slots[i] - before >= LEAST_INTERVAL && (!best || slots[i] - before < best))
            best = slots[i] - before;
        before = slots[i];
    }
    return best ? best : RANK_FULL_INTERVAL;
}
