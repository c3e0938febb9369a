/* One archive from all who have it: what is written down about it, and whom its faults are put down
 * to. Which one it is is decided in pair.c, the bytes are fetch_archive's. */
#include "fetch/pair_parts.h"

#include <stdlib.h>
#include <string.h>

#include "fetch/partial_sweep.h"
#include "fetch/provenance.h"
#include "io/clock.h"
#include "io/http.h"
#include "solana/agave_version.h"
#include "solana/rpc.h"

#define NEVER_S 1e9

static void add_source(const struct pair_round *r, size_t i, bool incremental, const char *name,
                       struct pair_sources *s)
{
    const struct fetch_offer *o = &r->found.offers[i];
    const struct fetch_file *f = incremental ? &o->incr : &o->full;
    AUTO(freep) char *label = rpc_url_label(o->peer.url);

    if (s->n == PAIR_SOURCES_MAX || !str_eq(f->name, name))
        return;
    strlist_add(&s->labels, label);
    s->offers[s->n] = i;
    s->items[s->n++] = (struct fetch_source){.url = f->url, .rate_b_s = o->rate_b_s};
}

void pair_list_sources(const struct pair_round *r, bool incremental, const char *name,
                       struct pair_sources *s)
{
    const uint32_t slow = 1u << FETCH_TOO_FAR | 1u << FETCH_TOO_SLOW | 1u << FETCH_TOO_LATE;

    for (size_t i = 0; i < r->reasons.n_usable; i++)
        add_source(r, r->reasons.order[i], incremental, name, s);
    for (size_t i = 0; i < r->reasons.n; i++)
        if (r->reasons.verdicts[i].against && !(r->reasons.verdicts[i].against & ~slow))
            add_source(r, i, incremental, name, s);
    for (size_t i = 0; i < s->n; i++)
        s->items[i].label = s->labels.items[i];
}

static void blacklist_peer(struct pair_work *w, const struct fetch_peer *p, const char *why)
{
    AUTO(freep) char *origin = http_origin(p->url);

    if (w->job->blacklist)
        blacklist_add_peer(w->job->blacklist, p->disputed ? NULL : p->id, origin, why,
                           clock_wall_ms(w->ctx) + BLACKLIST_PEER_MS);
}

static void blacklist_label(struct pair_work *w, const struct pair_round *r,
                            const struct pair_sources *s, const char *label, const char *why)
{
    for (size_t i = 0; i < s->n; i++)
        if (str_eq(s->labels.items[i], label))
            blacklist_peer(w, &r->found.offers[s->offers[i]].peer, why);
}

/* A snapshot that is bad itself, and not only as one node sends it: of all who have it the whole
 * file is bad, and they are of two networks. Of one that did not answer nobody knows what it would
 * have sent. */
static bool is_bad_itself(const struct pair_round *r, const struct pair_sources *s,
                          const struct strlist *damaged)
{
    char first[TRUST_NETWORK_MAX], other[TRUST_NETWORK_MAX];
    bool two = false;

    for (size_t i = 0; i < s->n; i++) {
        if (!strlist_has(damaged, s->labels.items[i]))
            return false;
        trust_network(r->found.offers[s->offers[i]].peer.url, i ? other : first);
        two |= i && !str_eq(first, other);
    }
    return two;
}

struct listening {
    struct pair_work *w;
    const struct pair_round *r;
    const struct pair_sources *s;
    const struct fetch_file *file;
    const char *dir, *trust;
    struct strlist damaged; /* labels of those whose file is bad as a whole */
};

static void on_dropped(void *arg, const char *label, const struct err *e)
{
    struct listening *l = arg;
    const struct pair_events *ev = l->w->job->events;

    pair_reject(l->w, label, e->text);
    if (ev && ev->dropped)
        ev->dropped(ev->arg, label, e);
}

/* Only who is proven to have sent wrong bytes is not asked again; damage alone is no proof. */
static void on_blamed(void *arg, const char *label, const struct err *e, bool whole)
{
    struct listening *l = arg;

    blacklist_label(l->w, l->r, l->s, label, e->text);
    if (whole)
        strlist_add(&l->damaged, label);
}

static void on_progress(void *arg, const struct fetch_progress *p)
{
    const struct listening *l = arg;
    const struct pair_events *ev = l->w->job->events;

    if (ev && ev->progress)
        ev->progress(ev->arg, p);
}

static void on_late(void *arg)
{
    const struct listening *l = arg;

    strlist_add(&l->w->late, l->file->name);
}

static struct err *on_may_go_on(void *arg)
{
    const struct listening *l = arg;
    const struct pair_job *job = l->w->job;

    return job->may_go_on ? job->may_go_on(job->may_arg) : NULL;
}

const char *pair_dir_of(const struct pair_job *job, bool incremental)
{
    return incremental && job->incr_dir ? job->incr_dir : job->dir;
}

static const char *verify_name(enum fetch_verify v)
{
    return v == FETCH_VERIFY_NONE ? "none" : v == FETCH_VERIFY_FULL ? "full" : "structure";
}

const char *pair_trust_of(const struct pair_round *r, bool incremental, const struct fetch_file *f,
                          char buf[static TRUST_TEXT_MAX])
{
    const struct trust_group *g = trust_find(&r->reasons.trust, incremental, f);

    return g && g->kind != TRUST_NONE ? trust_text(g, buf) : "any";
}

/* It is whole, and has its final name next. */
static struct err *on_finishing(void *arg, const struct fetch_report *done)
{
    static const char own[] = "/" STORE_DIR;
    const struct listening *l = arg;
    const struct pair_job *job = l->w->job;
    AUTO(provenance_clear)
    struct provenance p = {
        .name = xstrdup(l->file->name),
        .size_b = done->size_b,
        .at_ms = clock_wall_ms(l->w->ctx),
        .verify = xstrdup(verify_name(job->verify)),
        .hash = xstrdup(snapcheck_hash_name(done->check.hash_is)),
        .trust = xstrdup(l->trust),
    };

    for (size_t i = 0; i < done->n_shares; i++)
        if (done->shares[i].bytes_b)
            strlist_add(&p.sources, done->shares[i].label);
    if (job->may_name)
        TRY(job->may_name(job->may_arg));
    AUTO(freep) char *above = xstrndup(l->dir, strlen(l->dir) - (job->waiting ? strlen(own) : 0));
    return provenance_write(l->w->ctx, above, &p);
}

/* The names of 3.0 and later are of a hash that can be proven. */
static bool all_of_3(const struct pair_round *r, const struct pair_sources *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const char *text = r->found.offers[s->offers[i]].peer.version;
        struct agave_version v = {0};
        struct err *e = agave_version_parse(text ? text : "", &v);

        if (e || !v.known) { /* it is not known, or below 3.0 */
            err_free(e);
            return false;
        }
    }
    return s->n > 0;
}

/* Half files of other names: each may be as large as a snapshot, and some interrupted nights would
 * fill the disk. */
static struct err *sweep(struct pair_work *w, const char *dir, const char *name)
{
    AUTO(strlist_clear) struct strlist keep = {0};
    uint64_t freed_b;

    strlist_add(&keep, name);
    return partial_sweep(w->ctx, dir, &keep, &freed_b);
}

/* When it must be whole, to be no older at its end than age may give way to. A full archive that an
 * incremental will build on may take until it has a successor: only then that one is gone. 0: there
 * is no limit, or no tip to hold it against. */
static uint64_t whole_by(const struct pair_work *w, const struct pair_round *r, size_t which,
                         bool incremental)
{
    const struct fetch_offer *o = &r->found.offers[which];
    const struct fetch_file *f = incremental ? &o->incr : &o->full;
    uint64_t last = f->slot + w->job->max_age_end, next = o->full.slot + r->reasons.full_interval;
    double per_s = r->limits.rates.cluster_slots_s, left_s;

    if (!incremental && r->reasons.verdicts[which].with_incr && next > last)
        last = next;
    if (!w->job->max_age_end || !r->reasons.tip_known || last <= r->reasons.tip || per_s <= 0)
        return 0;
    left_s = (double)(last - r->reasons.tip) / per_s;
    /* what nodes tell of their slots can be anything */
    return left_s < NEVER_S ? clock_mono_ns(w->ctx) + (uint64_t)(left_s * 1e9) : 0;
}

struct err *pair_fetch(struct pair_work *w, const struct pair_round *r, size_t which,
                       bool incremental, struct fetch_report *done)
{
    const struct fetch_offer *o = &r->found.offers[which];
    const struct fetch_file *f = incremental ? &o->incr : &o->full;
    const struct pair_job *job = w->job;
    struct pair_sources s = {0};
    char buf[TRUST_TEXT_MAX];
    struct listening l = {.w = w,
                          .r = r,
                          .s = &s,
                          .file = f,
                          .dir = pair_dir_of(job, incremental),
                          .trust = pair_trust_of(r, incremental, f, buf)};
    struct err *e;

    pair_list_sources(r, incremental, f->name, &s);
    struct fetch_job one = {
        .name = f->name,
        .dir = l.dir,
        .sources = s.items,
        .n_sources = s.n,
        .uid = job->uid,
        .gid = job->gid,
        .verify = job->verify,
        .hash_must = job->hash_must || all_of_3(r, &s),
        .spare_b = job->spare_b,
        .min_rate_b_s = job->min_rate_b_s,
        .max_rate_b_s = job->max_rate_b_s,
        .way = job->scope->way,
        .whole_by_ns = whole_by(w, r, which, incremental),
        .progress = on_progress,
        .may_go_on = on_may_go_on,
        .dropped = on_dropped,
        .late = on_late,
        .blamed = on_blamed,
        .finishing = on_finishing,
        .arg = &l,
    };
    e = sweep(w, one.dir, f->name);
    if (!e)
        e = fetch_archive(w->ctx, &one, done);
    /* Who sent damage is listed already: the others may only have been silent. */
    if (e && e->kind == ERR_CORRUPT && job->blacklist && is_bad_itself(r, &s, &l.damaged))
        blacklist_add(job->blacklist, BLACKLIST_HASH, f->hash, e->text, 0);
    strlist_clear(&l.damaged);
    strlist_clear(&s.labels);
    return e;
}
