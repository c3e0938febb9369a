/* Judges what was found. First who may be heard at all, then who vouches for whom, then every
 * limit on its own, so that it can be said which of them alone stands in the way. */
#include "fetch/reasons.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "io/http.h"

/* The tip may be told before the nodes answer, and finalized slots come in lumps. */
#define AHEAD_SLOTS 1024
#define GUESS_B_S   (100.0 * 1048576)
#define GUESS_B     ((uint64_t)100 << 30) /* a full archive that tells no size */

#define BIT(reason) (1u << (reason))
_Static_assert(FETCH_REASONS_N <= 32, "a bit for each");

bool reasons_version_is(const char *version, const char *excluded)
{
    size_t n = strlen(excluded);

    return version && n && strncmp(version, excluded, n) == 0 &&
           (version[n] == 0 || strchr(".-+ ", version[n]));
}

static bool version_excluded(const struct reasons_limits *l, const char *version)
{
    for (size_t i = 0; l->exclude_versions && i < l->exclude_versions->n; i++)
        if (reasons_version_is(version, l->exclude_versions->items[i]))
            return true;
    return l->blacklist && version &&
           blacklist_find(l->blacklist, BLACKLIST_VERSION, version, l->now_ms);
}

static bool hash_listed(const struct reasons_limits *l, const struct fetch_file *f)
{
    return l->blacklist && f->hash &&
           blacklist_find(l->blacklist, BLACKLIST_HASH, f->hash, l->now_ms);
}

static bool peer_listed(const struct reasons_limits *l, const struct fetch_peer *p)
{
    AUTO(freep) char *origin = http_origin(p->url);

    return l->blacklist && blacklist_find_peer(l->blacklist, p->id, origin, l->now_ms);
}

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* What more than half of those who say it say. */
static struct known_u64 shred_version_of(const struct fetch_found *f,
                                         const struct reasons_limits *l)
{
    AUTO(freep) uint64_t *all = xcalloc(f->n, sizeof(*all));
    size_t n = 0, same = 0;

    for (size_t i = 0; i < f->n; i++)
        if (f->offers[i].peer.shred_version.known)
            all[n++] = f->offers[i].peer.shred_version.v;
    if (l->shred_version.known || n == 0)
        return l->shred_version;
    qsort(all, n, sizeof(*all), by_number);
    for (size_t i = 0; i < n; i++)
        same += all[i] == all[n / 2];
    return (struct known_u64){.known = 2 * same > n, .v = all[n / 2]};
}

/* What makes a node's word worth nothing; the bits of those that are a limit of the operator's. */
static enum fetch_reason unheard(const struct fetch_offer *o, const struct reasons_limits *l,
                                 struct known_u64 shred_version, uint32_t *ret_against)
{
    const struct fetch_peer *p = &o->peer;

    *ret_against = 0;
    if (o->reason != FETCH_USABLE)
        return o->reason;
    if (!o->full.name)
        return FETCH_NO_SNAPSHOT;
    if (shred_version.known && p->shred_version.known && p->shred_version.v != shred_version.v)
        return FETCH_SHRED_VERSION;
    if (l->tip.known && (o->full.slot > l->tip.v + AHEAD_SLOTS ||
                         (o->incr.name && o->incr.slot > l->tip.v + AHEAD_SLOTS)))
        return FETCH_AHEAD;
    if (peer_listed(l, p))
        *ret_against |= BIT(FETCH_BLACKLISTED);
    if (version_excluded(l, p->version))
        *ret_against |= BIT(FETCH_VERSION);
    return FETCH_USABLE;
}

static uint64_t tip_of(const struct reasons_limits *l, const struct trust_book *b)
{
    uint64_t believed = 0, any = 0;

    if (l->tip.known)
        return l->tip.v;
    for (size_t i = 0; i < b->n; i++) {
        any = b->items[i].slot > any ? b->items[i].slot : any;
        if (b->items[i].kind != TRUST_NONE && b->items[i].slot > believed)
            believed = b->items[i].slot;
    }
    return believed ? believed : any;
}

static bool believed(const struct reasons *r, const struct reasons_limits *l, bool incremental,
                     const struct fetch_file *f)
{
    const struct trust_group *g = trust_find(&r->trust, incremental, f);

    return l->trust_any || (g && g->kind != TRUST_NONE);
}

static uint64_t size_or(uint64_t size_b, uint64_t guess)
{
    return size_b == UINT64_MAX ? guess : size_b;
}

static struct rank_way way_of(const struct fetch_offer *o, const struct reasons_limits *l,
                              const struct reasons *r, const struct reasons_verdict *v)
{
    uint64_t full_b = v->have_full ? l->have_b : size_or(o->full.size_b, GUESS_B);
    uint64_t incr_b = v->with_incr ? size_or(o->incr.size_b, GUESS_B / 50) : 0;
    double guess = l->guess_b_s > 0 ? l->guess_b_s : GUESS_B_S;

    return (struct rank_way){
        .full_b = v->have_full ? 0 : full_b,
        .incr_b = incr_b,
        .unpack_b = full_b + incr_b,
        .rate_b_s = o->rate_b_s > 0 ? o->rate_b_s : guess,
        .slot = v->slot,
        .incremental = v->with_incr,
        .next_full = (v->have_full ? l->have_slot : o->full.slot) + r->full_interval,
    };
}

static void judge_time(const struct fetch_offer *o, const struct reasons_limits *l,
                       const struct reasons *r, struct reasons_verdict *v)
{
    const struct rank_way w = way_of(o, l, r, v);
    bool sizes = (v->have_full || o->full.size_b != UINT64_MAX) &&
                 (!v->with_incr || o->incr.size_b != UINT64_MAX);

    v->get_b = sizes ? w.full_b + w.incr_b : UINT64_MAX;
    v->measured = sizes && (o->rate_b_s >= 0 || v->get_b == 0);
    v->time = rank_time(&w, r->tip, &l->rates);
    if (l->max_age && r->tip > v->slot && r->tip - v->slot > l->max_age)
        v->against |= BIT(FETCH_TOO_OLD);
    else if (l->max_age && v->measured && v->time.age_end > l->max_age)
        v->against |= BIT(FETCH_TOO_LATE);
}

/* The full archive of an offer, with its incremental or without; onto_here: its incremental, and
 * the full archive that is here, which is not its own. */
enum way { FULL_ALONE, FULL_AND_INCR, ONTO_HERE };

static struct reasons_verdict judge_way(const struct fetch_offer *o, enum way way, uint32_t against,
                                        const struct reasons_limits *l, const struct reasons *r)
{
    bool with_incr = way != FULL_ALONE;
    struct reasons_verdict v = {.against = against, .with_incr = with_incr};

    v.have_full =
        l->have_hash &&
        (way == ONTO_HERE || (o->full.slot == l->have_slot && str_eq(o->full.hash, l->have_hash)));
    v.slot = with_incr ? o->incr.slot : o->full.slot;
    if (l->incr_only && !(v.have_full && with_incr))
        v.against |= BIT(FETCH_NO_BASE);
    if ((way != ONTO_HERE && hash_listed(l, &o->full)) || (with_incr && hash_listed(l, &o->incr)))
        v.against |= BIT(FETCH_BLACKLISTED);
    if ((!v.have_full && !believed(r, l, false, &o->full)) ||
        (with_incr && !believed(r, l, true, &o->incr)))
        v.against |= BIT(FETCH_UNTRUSTED);
    if (l->max_latency_us && o->latency_us.known && o->latency_us.v > l->max_latency_us)
        v.against |= BIT(FETCH_TOO_FAR);
    if (l->min_rate_b_s > 0 && o->rate_b_s >= 0 && o->rate_b_s < l->min_rate_b_s && !o->rate_floor)
        v.against |= BIT(FETCH_TOO_SLOW);
    judge_time(o, l, r, &v);
    return v;
}

/* Of several reasons the one that says most; TOO_FAR last because it gives way first. */
static enum fetch_reason first_of(uint32_t against)
{
    static const enum fetch_reason order[] = {FETCH_BLACKLISTED, FETCH_VERSION, FETCH_NO_BASE,
                                              FETCH_UNTRUSTED,   FETCH_TOO_OLD, FETCH_TOO_LATE,
                                              FETCH_TOO_SLOW,    FETCH_TOO_FAR};

    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        if (against & BIT(order[i]))
            return order[i];
    return FETCH_USABLE;
}

static void judge_offer(const struct fetch_offer *o, const struct reasons_limits *l,
                        const struct reasons *r, struct reasons_verdict *v)
{
    uint32_t own = v->against & (BIT(FETCH_BLACKLISTED) | BIT(FETCH_VERSION));
    struct reasons_verdict full = judge_way(o, FULL_ALONE, own, l, r), pair;
    bool onto_own = o->incr.base == o->full.slot;

    *v = full;
    if (o->incr.name && !l->full_only &&
        (onto_own || (l->have_hash && o->incr.base == l->have_slot))) {
        int a = __builtin_popcount(full.against), b;

        pair = judge_way(o, onto_own ? FULL_AND_INCR : ONTO_HERE, own, l, r);
        b = __builtin_popcount(pair.against);
        if (b < a ||
            (b == a && (b || rank_compare(&pair.time, pair.get_b, &full.time, full.get_b) <= 0)))
            *v = pair;
    }
    v->reason = first_of(v->against);
}

struct sorting {
    const struct fetch_found *found;
    const struct reasons *r;
};

static int by_rank(const void *a, const void *b, void *arg)
{
    const struct sorting *s = arg;
    size_t i = *(const size_t *)a, j = *(const size_t *)b;
    const struct reasons_verdict *v = &s->r->verdicts[i], *w = &s->r->verdicts[j];
    const struct known_u64 *x = &s->found->offers[i].latency_us,
                           *y = &s->found->offers[j].latency_us;
    int d = (int)w->measured - (int)v->measured;

    if (!d)
        d = rank_compare(&v->time, v->get_b, &w->time, w->get_b);
    if (!d)
        d = (int)y->known - (int)x->known;
    if (!d && x->known)
        d = x->v < y->v ? -1 : x->v > y->v;
    return d ? d : i < j ? -1 : 1;
}

static void sort_usable(const struct fetch_found *found, struct reasons *r)
{
    struct sorting s = {.found = found, .r = r};

    r->order = xcalloc(r->n, sizeof(*r->order));
    for (size_t i = 0; i < r->n; i++)
        if (r->verdicts[i].reason == FETCH_USABLE)
            r->order[r->n_usable++] = i;
    qsort_r(r->order, r->n_usable, sizeof(*r->order), by_rank, &s);
}

void reasons_judge(const struct fetch_found *found, const struct reasons_limits *l,
                   struct reasons *ret)
{
    struct known_u64 shred_version = shred_version_of(found, l);
    AUTO(freep) bool *skip = xcalloc(found->n, sizeof(*skip));

    *ret = (struct reasons){.n = found->n, .tip_known = l->tip.known};
    ret->verdicts = xcalloc(found->n, sizeof(*ret->verdicts));
    ret->full_interval = rank_full_interval(found);
    for (size_t i = 0; i < found->n; i++) {
        struct reasons_verdict *v = &ret->verdicts[i];

        v->reason = unheard(&found->offers[i], l, shred_version, &v->against);
        skip[i] = v->reason != FETCH_USABLE || v->against;
    }
    trust_count(found, skip, &l->trust, &ret->trust);
    ret->tip = tip_of(l, &ret->trust);
    for (size_t i = 0; i < found->n; i++)
        if (ret->verdicts[i].reason == FETCH_USABLE)
            judge_offer(&found->offers[i], l, ret, &ret->verdicts[i]);
    for (size_t i = 0; i < found->n; i++)
        ret->count[ret->verdicts[i].reason]++;
    ret->count[FETCH_NO_RPC] += found->without_rpc;
    sort_usable(found, ret);
}

void reasons_clear(struct reasons *r)
{
    free(r->verdicts);
    free(r->order);
    trust_book_clear(&r->trust);
    *r = (struct reasons){0};
}

static bool anyone(const struct reasons *r, uint32_t bits)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->verdicts[i].against & bits)
            return true;
    return false;
}

/* Lets the next limit give way that stops anybody; false: there is none. */
static bool give_way(const struct reasons *r, struct reasons_limits *l, uint64_t max_age_end,
                     struct strlist *said)
{
    uint64_t age;

    if (l->max_latency_us && anyone(r, BIT(FETCH_TOO_FAR))) {
        strlist_addf(said, "nothing within a round trip of %" PRIu64 " ms: any is taken",
                     l->max_latency_us / 1000);
        l->max_latency_us = 0;
        return true;
    }
    if (l->min_rate_b_s > 0 && anyone(r, BIT(FETCH_TOO_SLOW))) {
        strlist_addf(said, "nobody sends %.1f MiB/s: any rate is taken", l->min_rate_b_s / 1048576);
        l->min_rate_b_s = 0;
        return true;
    }
    if (!l->max_age || l->max_age >= max_age_end ||
        !anyone(r, BIT(FETCH_TOO_OLD) | BIT(FETCH_TOO_LATE)))
        return false;
    age = l->max_age < max_age_end / 2 ? 2 * l->max_age : max_age_end;
    strlist_addf(said, "nothing within %" PRIu64 " slots of the tip: up to %" PRIu64 " are taken",
                 l->max_age, age);
    l->max_age = age;
    return true;
}

void reasons_relax(const struct fetch_found *found, struct reasons_limits *l, uint64_t max_age_end,
                   struct reasons *ret, struct strlist *said)
{
    reasons_judge(found, l, ret);
    while (!ret->n_usable && give_way(ret, l, max_age_end, said)) {
        reasons_clear(ret);
        reasons_judge(found, l, ret);
    }
}
