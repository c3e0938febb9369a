/* What the facts of a status mean: the tip, the time to it, the health. No I/O. The rules are
 * written down in status.h. */
#include <math.h>
#include <stdlib.h>

#include "base/str.h"
#include "look/status.h"

const char *status_health_name(enum status_health h)
{
    static const char *const names[] = {
        [HEALTH_OK] = "ok",
        [HEALTH_BEHIND] = "behind",
        [HEALTH_STARTING] = "starting",
        [HEALTH_STOPPED] = "stopped",
        [HEALTH_UNHEALTHY] = "unhealthy",
        [HEALTH_UNKNOWN] = "unknown",
    };

    return names[h];
}

static int by_slot(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

void status_decide_tip(struct status *s)
{
    const struct known_u64 *own = &s->slots[RPC_FINALIZED];
    AUTO(freep) uint64_t *slots = xcalloc(s->n_refs, sizeof(*slots));
    size_t n = 0, stale = 0;

    for (size_t i = 0; i < s->n_refs; i++)
        if (s->refs[i].slot.known)
            slots[n++] = s->refs[i].slot.v;
    s->n_answered = n;
    s->n_agree = 0;
    s->tip = s->gap = (struct known_u64){0};
    if (n == 0)
        return;
    qsort(slots, n, sizeof(*slots), by_slot);
    /* Rising order: the stale ones are in front. */
    while (own->known && stale < n && slots[stale] + STATUS_AGREE_SLOTS < own->v)
        stale++;
    if (stale == n)
        stale = 0;
    s->tip = (struct known_u64){true, slots[stale + (n - stale - 1) / 2]};
    for (size_t i = 0; i < s->n_refs; i++) {
        struct status_reference *r = &s->refs[i];

        r->agrees = r->slot.known && distance(r->slot.v, s->tip.v) <= STATUS_AGREE_SLOTS;
        s->n_agree += r->agrees;
    }
    if (own->known)
        s->gap = (struct known_u64){true, s->tip.v > own->v ? s->tip.v - own->v : 0};
}

void status_decide_eta(struct status *s, uint64_t tip_slots)
{
    double gain = s->rates.replay - s->rates.chain;

    s->eta_s = (struct known_u64){0};
    s->never = false;
    if (!s->gap.known)
        return;
    if (s->gap.v <= tip_slots)
        s->eta_s = (struct known_u64){true, 0};
    else if (s->rates.known && gain > 0)
        s->eta_s = (struct known_u64){true, (uint64_t)ceil((double)s->gap.v / gain)};
    else
        s->never = s->rates.known;
}

/* Is the unit known not to run? */
static bool is_down(const struct status *s)
{
    switch (s->unit.phase) {
    case PH_ABSENT:
    case PH_STOPPED:
    case PH_STOPPING:
    case PH_FAILED:
        return true;
    case PH_STARTING:
    case PH_RUNNING:
    case PH_UNKNOWN:
        return false;
    }
    return false;
}

static bool rpc_answered(const struct status *s)
{
    return s->health_known || s->slots[RPC_PROCESSED].known || s->slots[RPC_CONFIRMED].known ||
           s->slots[RPC_FINALIZED].known;
}

/* More than two sources are not needed, but two that contradict each other prove nothing. */
static bool contradicted(const struct status *s)
{
    const struct known_u64 *own = &s->slots[RPC_FINALIZED];
    size_t fresh = 0;

    for (size_t i = 0; i < s->n_refs; i++)
        fresh += s->refs[i].slot.known &&
                 !(own->known && s->refs[i].slot.v + STATUS_AGREE_SLOTS < own->v);
    return fresh >= 2 && s->n_agree < 2;
}

static enum status_health say(struct status *s, enum status_health h, char *reason)
{
    free(s->reason);
    s->reason = reason;
    return h;
}

/* What only a node that is up, with the facts complete, may be called. */
static enum status_health decide_running(struct status *s, uint64_t tip_slots)
{
    const struct known_u64 *own = &s->slots[RPC_FINALIZED];

    if (!s->health_known)
        return say(
            s, HEALTH_UNKNOWN,
            xasprintf("cannot ask the node: %s", s->rpc_error ? s->rpc_error : "its RPC is off"));
    if (s->node_health.state == RPC_HEALTH_UNHEALTHY)
        return say(s, HEALTH_UNHEALTHY, xstrdup("getHealth says that the node is unhealthy"));
    if (s->gap.known && s->gap.v > tip_slots)
        return say(
            s, HEALTH_BEHIND,
            xasprintf("%llu slots behind the tip%s", (unsigned long long)s->gap.v,
                      s->node_health.state == RPC_HEALTH_OK ? "; getHealth alone says ok" : ""));
    if (s->node_health.state == RPC_HEALTH_BEHIND)
        return say(s, HEALTH_BEHIND,
                   xasprintf("getHealth says %llu slots behind",
                             (unsigned long long)s->node_health.behind));
    if (!own->known)
        return say(s, HEALTH_UNKNOWN, xstrdup("the node does not tell its finalized slot"));
    if (!s->tip.known)
        return say(
            s, HEALTH_UNKNOWN,
            xasprintf("no reference tells the tip (%zu asked); getHealth alone proves nothing",
                      s->n_refs));
    if (contradicted(s))
        return say(s, HEALTH_UNKNOWN,
                   xasprintf("%zu references contradict each other; a third one would decide",
                             s->n_answered));
    if (own->v > s->tip.v + STATUS_AGREE_SLOTS)
        return say(s, HEALTH_UNKNOWN,
                   xasprintf("the references are %llu slots behind this node and prove nothing",
                             (unsigned long long)(own->v - s->tip.v)));
    return say(s, HEALTH_OK, NULL);
}

static enum status_health decide(struct status *s, uint64_t tip_slots)
{
    if (is_down(s) && !s->phase_known && rpc_answered(s))
        return say(s, HEALTH_UNKNOWN,
                   xstrdup("the unit does not run, but something answers on its RPC port"));
    if (is_down(s) && !s->phase_known)
        return say(s, HEALTH_STOPPED,
                   s->unit.detail[0] ? xstrdup(s->unit.detail)
                                     : xasprintf("the unit is %s", unit_phase_name(s->unit.phase)));
    if (s->phase_known && s->phase.phase == ADMIN_HALTED)
        return say(s, HEALTH_UNHEALTHY, xstrdup("the validator has halted"));
    if (s->phase_known && s->phase.phase != ADMIN_RUNNING)
        return say(s, HEALTH_STARTING, xstrdup(s->phase.text));
    if (!s->phase_known && s->unit.phase == PH_STARTING && !rpc_answered(s))
        return say(s, HEALTH_STARTING, xstrdup("the unit is starting"));
    return decide_running(s, tip_slots);
}

void status_decide_health(struct status *s, uint64_t tip_slots)
{
    s->health = decide(s, tip_slots);
}
