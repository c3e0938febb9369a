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

/* No limit of ours is in the way. */
static const char *what_to_do(enum fetch_reason most)
{
    switch ((int)most) {
    case FETCH_NO_ANSWER:
        return "none answers: can this host reach them, or does it need a proxy (--proxy, "
               "snapshot.proxy)?";
    case FETCH_NO_SNAPSHOT:
    case FETCH_VANISHED:
        return "ask an RPC node that lists more nodes (--rpc), or name one that has snapshots "
               "(--source URL)";
    case FETCH_NOT_HTTP:
    case FETCH_STATUS:
        return "is that the address of RPC nodes, and not of something else?";
    case FETCH_SHRED_VERSION:
        return "they are of another cluster, or of another fork of it: ask RPC nodes of one "
               "cluster alone; is --expected-shred-version in validator.args right?";
    case FETCH_AHEAD:
        return "they are ahead of the tip that the RPC nodes tell: are those of the same cluster, "
               "and at its tip?";
    case FETCH_FORMAT:
        return "their archives are of Agave 2.3 or older: upgrade them, or name other sources "
               "(--source URL)";
    case FETCH_NO_RPC:
        return "name an RPC node that has snapshots (--source URL)";
    default:
        return NULL;
    }
}

static enum fetch_reason most_of(const struct reasons *r)
{
    size_t best = FETCH_USABLE;

    for (size_t i = FETCH_USABLE + 1; i < FETCH_REASONS_N; i++)
        if (i != FETCH_NO_RPC && r->count[i] > (best == FETCH_USABLE ? 0 : r->count[best]))
            best = i;
    return best == FETCH_USABLE && r->count[FETCH_NO_RPC] ? FETCH_NO_RPC : (enum fetch_reason)best;
}

/* Known validators were named, and that did not help: most of them serve nobody. */
static bool are_known_mute(const struct fetch_found *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->offers[i].peer.known && f->offers[i].full.name)
            return false;
    return f->known > 0;
}

/* One node alone, whose list could not be had: the others are not known, and no limit helps. */
static bool is_without_lists(const struct fetch_found *f)
{
    return f->listed_by == 0 && f->errors.n > 0;
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
    const char *text = what_to_do(most_of(r));
    if (is_without_lists(found))
        ret->text = xasprintf("the nodes of the cluster are not known, since none of the RPC nodes "
                              "lists them (%s): name one that does (--rpc, cluster.references)",
                              found->errors.items[0]);
    else if (best == FETCH_UNTRUSTED && are_known_mute(found)) {
        AUTO(freep) char *usual = advice(ret->limit, &kept[best]);

        ret->text =
            xasprintf("of the %zu known validators that are named none serves a snapshot; %s",
                      found->known, usual);
    } else if (best != FETCH_USABLE)
        ret->text = advice(ret->limit, &kept[best]);
    else if (text)
        ret->text = xstrdup(text);
}

void reasons_advice_clear(struct reasons_advice *a)
{
    free(a->text);
    *a = (struct reasons_advice){0};
}
