/* Finds runs of complete slots in what the blockstore knows, and judges whether the newest run is
 * long enough to start a validator inside it (READY). Looks at parents, not at slot numbers: a
 * leader that was skipped leaves no slot, and replay does not miss it. */
#include "solana/shred_runs.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* The tip run is followed below the window in pieces of this many slot numbers. */
#define PIECE 4096
/* ... and no further than this: half a day of slots. */
#define FOLLOW 100000

static bool is_member(const struct slot_state *s)
{
    return s->meta.full && !s->dead;
}

/* Index of a slot in the ascending array, or n. */
static size_t find_slot(const struct slot_state *states, size_t n, uint64_t slot)
{
    size_t lo = 0, hi = n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (states[mid].meta.slot < slot)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && states[lo].meta.slot == slot ? lo : n;
}

/* Index of the member that slot i follows, or n. A parent is lower than its child; a record that
 * claims otherwise (slot 0 names itself) has none. */
static size_t parent_member(const struct slot_state *states, size_t n, size_t i)
{
    const struct slot_meta *m = &states[i].meta;
    size_t p = m->parent < m->slot ? find_slot(states, i, m->parent) : i;

    return p < i && is_member(&states[p]) ? p : n;
}

void shred_runs_find(const struct slot_state *states, size_t n, struct shred_run **ret,
                     size_t *ret_n)
{
    /* Per slot: the child that goes on with its run (n: none) and the last member of that run. */
    AUTO(freep) size_t *next = xcalloc(n + 1, sizeof(*next));
    AUTO(freep) size_t *tip = xcalloc(n + 1, sizeof(*tip));
    struct shred_run *runs = NULL;
    size_t runs_n = 0, cap = 0;

    for (size_t i = 0; i < n; i++) {
        next[i] = n;
        tip[i] = i;
    }
    /* Downwards, so that a slot's descendants are known before it is offered to its parent. */
    for (size_t i = n; i-- > 0;) {
        size_t p = is_member(&states[i]) ? parent_member(states, n, i) : n;

        if (p < n && (next[p] == n || tip[i] > tip[p])) {
            next[p] = i;
            tip[p] = tip[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        size_t p = is_member(&states[i]) ? parent_member(states, n, i) : n;
        struct shred_run r = {.first = states[i].meta.slot, .last = states[tip[i]].meta.slot};

        if (!is_member(&states[i]) || (p < n && next[p] == i))
            continue;
        for (size_t m = i; m < n; m = next[m])
            r.slots++;
        runs = xgrow(runs, &cap, runs_n + 1, sizeof(*runs));
        runs[runs_n++] = r;
    }
    *ret = runs;
    *ret_n = runs_n;
}

void shred_runs_ending_at(const struct slot_state *states, size_t n, uint64_t slot,
                          struct shred_run *ret, uint64_t *ret_below)
{
    size_t i = find_slot(states, n, slot);
    uint64_t parent = SLOT_UNKNOWN;

    *ret = (struct shred_run){0};
    *ret_below = SLOT_UNKNOWN;
    if (i == n || !is_member(&states[i]))
        return;
    ret->last = slot;
    while (i < n) {
        ret->first = states[i].meta.slot;
        ret->slots++;
        parent = states[i].meta.parent;
        i = parent_member(states, n, i);
    }
    if (parent < states[0].meta.slot)
        *ret_below = parent;
}

void shred_report_clear(struct shred_report *r)
{
    free(r->slots);
    free(r->runs);
    *r = (struct shred_report){0};
}

/* A window that ends at the tip usually holds the end of the tip's run but not its beginning, and
 * its members are read in pieces: a mainnet record of a slot is 4 kB. */
static struct err *follow_tip(struct blockstore *b, uint64_t tip, struct shred_report *r)
{
    uint64_t at = tip;

    while (at != SLOT_UNKNOWN) {
        AUTO(freep) struct slot_state *states = NULL;
        struct shred_run piece;
        size_t n;

        if (tip - at >= FOLLOW) {
            r->tip_run_open = true;
            return NULL;
        }
        TRY(blockstore_read(b, at < PIECE ? 0 : at - PIECE + 1, at, &states, &n));
        shred_runs_ending_at(states, n, at, &piece, &at);
        if (piece.slots == 0)
            return NULL;
        r->tip_run.first = piece.first;
        r->tip_run.last = tip;
        r->tip_run.slots += piece.slots;
    }
    return NULL;
}

static struct err *fill(struct blockstore *b, const struct blockstore_bounds *bounds,
                        struct shred_report *r)
{
    TRY(blockstore_read(b, r->first, r->last, &r->slots, &r->slots_n));
    shred_runs_find(r->slots, r->slots_n, &r->runs, &r->runs_n);
    for (size_t i = 0; i < r->slots_n; i++) {
        if (r->slots[i].meta.received == 0)
            continue;
        r->total++;
        if (is_member(&r->slots[i]))
            r->complete++;
    }
    r->incomplete = r->total - r->complete;
    r->highest_received = bounds->highest_received;
    if (bounds->highest_full == SLOT_UNKNOWN)
        return NULL;
    TRY(follow_tip(b, bounds->highest_full, r));
    /* A full slot has received, so the difference is not negative. */
    r->ready = r->tip_run.slots > SHRED_READY_SLOTS &&
               bounds->highest_received - r->tip_run.last <= SHRED_READY_DISTANCE;
    return NULL;
}

struct err *shred_report_range(struct blockstore *b, uint64_t first, uint64_t last,
                               struct shred_report *ret)
{
    AUTO(shred_report_clear)
    struct shred_report r = {.first = first, .last = last, .highest_received = SLOT_UNKNOWN};
    struct blockstore_bounds bounds;

    TRY(blockstore_bounds(b, &bounds));
    TRY(fill(b, &bounds, &r));
    *ret = r;
    r = (struct shred_report){0};
    return NULL;
}

struct err *shred_report_last(struct blockstore *b, uint64_t n, struct shred_report *ret)
{
    AUTO(shred_report_clear)
    struct shred_report r = {.first = 1, .last = 0, .highest_received = SLOT_UNKNOWN};
    struct blockstore_bounds bounds;

    TRY(blockstore_bounds(b, &bounds));
    if (bounds.highest_received != SLOT_UNKNOWN) {
        r.last = bounds.highest_received;
        r.first = r.last < n ? 0 : r.last - n + 1;
        TRY(fill(b, &bounds, &r));
    }
    *ret = r;
    r = (struct shred_report){0};
    return NULL;
}
