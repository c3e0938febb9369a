/* Why nothing fits, in words: the histogram of reasons, and the one limit that would help. */
#include "fetch/reasons.h"

#include <inttypes.h>
#include <stdlib.h>

#define BIT(reason) (1u << (reason))

char *reasons_text(const struct reasons *r)
{
    struct strbuf b = {0};
    bool said[FETCH_REASONS_N] = {[FETCH_USABLE] = true};

    for (;;) {
        size_t best = FETCH_REASONS_N;

        for (size_t i = 0; i < FETCH_REASONS_N; i++)
            if (!said[i] && r->count[i] &&
                (best == FETCH_REASONS_N || r->count[i] > r->count[best]))
                best = i;
        if (best == FETCH_REASONS_N)
            return strbuf_take(&b);
        strbuf_printf(&b, "%s%zu %s", b.len ? ", " : "", r->count[best],
                      fetch_reason_name((enum fetch_reason)best));
        said[best] = true;
    }
}

/* The two of age are one limit. */
static enum fetch_reason limit_of(uint32_t against)
{
    static const enum fetch_reason limits[] = {FETCH_TOO_FAR,   FETCH_TOO_SLOW,    FETCH_TOO_OLD,
                                               FETCH_UNTRUSTED, FETCH_BLACKLISTED, FETCH_VERSION,
                                               FETCH_NO_BASE};

    if (against == BIT(FETCH_TOO_LATE))
        return FETCH_TOO_OLD;
    for (size_t i = 0; i < ARRAY_LEN(limits); i++)
        if (against == BIT(limits[i]))
            return limits[i];
    return FETCH_USABLE;
}

/* The nodes that a limit alone keeps out, and the least that it would have to be for one of them.
 */
struct kept_out {
    size_t nodes;
    uint64_t age, latency_us;
    double rate_b_s;
};

static void look(const struct fetch_offer *o, const struct reasons_verdict *v, uint64_t tip,
                 struct kept_out *k)
{
    uint64_t age = tip > v->slot ? tip - v->slot : 0;

    if (v->measured && v->time.age_end > age)
        age = v->time.age_end;
    if (!k->nodes || age < k->age)
        k->age = age;
    if (!k->nodes || o->latency_us.v < k->latency_us)
        k->latency_us = o->latency_us.v;
    if (!k->nodes || o->rate_b_s > k->rate_b_s)
        k->rate_b_s = o->rate_b_s;
    k->nodes++;
}

static char *advice(enum fetch_reason limit, const struct kept_out *k)
{
    const char *nodes = k->nodes == 1 ? "1 node is" : NULL;
    AUTO(freep) char *many = nodes ? NULL : xasprintf("%zu nodes are", k->nodes);

    nodes = nodes ? nodes : many;
    switch ((int)limit) {
    case FETCH_TOO_FAR:
        return xasprintf("%s only too far away: --max-latency %" PRIu64
                         " (snapshot.max_latency_ms) would help",
                         nodes, k->latency_us / 1000 + 1);
    case FETCH_TOO_SLOW:
        return xasprintf("%s only too slow: --min-rate %.0fK (snapshot.min_rate_mib_s) would help",
                         nodes, k->rate_b_s / 1024);
    case FETCH_TOO_OLD:
        return xasprintf("%s only too old: --max-age %" PRIu64
                         " (snapshot.max_age_slots) would help",
                         nodes, (k->age / 100 + 1) * 100);
    case FETCH_UNTRUSTED:
        return xasprintf("%s only not vouched for by enough others: --known ID or --trust URL "
                         "(validator.known_validators, snapshot.trusted_sources) of one that you "
                         "trust would help, 'snapshot get --trust-any' takes them as they are",
                         nodes);
    case FETCH_BLACKLISTED:
        return xasprintf("%s only on the list of what has failed: 'agavectl snapshot find "
                         "--blacklist' shows it, --forget VALUE takes it off",
                         nodes);
    case FETCH_VERSION:
        return xasprintf("%s only of an excluded version: snapshot.exclude_versions and "
                         "--exclude-version say which",
                         nodes);
    default:
        return xasprintf("%s only without a base: their incrementals build on another full "
                         "snapshot; leave --incremental-only out",
                         nodes);
    }
}

void reasons_advise(const struct fetch_found *found, const struct reasons *r,
                    struct reasons_advice *ret)
{
    struct kept_out kept[FETCH_REASONS_N] = {0};
    size_t best = FETCH_USABLE;

    for (size_t i = 0; i < r->n; i++) {
        enum fetch_reason limit = limit_of(r->verdicts[i].against);

        if (limit != FETCH_USABLE)
            look(&found->offers[i], &r->verdicts[i], r->tip, &kept[limit]);
    }
    for (size_t i = FETCH_USABLE + 1; i < FETCH_REASONS_N; i++)
        if (kept[i].nodes > kept[best].nodes)
            best = i;
    *ret = (struct reasons_advice){.limit = (enum fetch_reason)best, .nodes = kept[best].nodes};
    if (best != FETCH_USABLE)
        ret->text = advice(ret->limit, &kept[best]);
}

void reasons_advice_clear(struct reasons_advice *a)
{
    free(a->text);
    *a = (struct reasons_advice){0};
}
