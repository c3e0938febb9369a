/* One loop: look, choose, fetch, and look again with what is here now. Every round asks the nodes
 * anew, because an hour can lie between two of them. */
#include "fetch/pair.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fetch/partial_sweep.h"
#include "fetch/provenance.h"
#include "fetch/store.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "io/http.h"
#include "solana/agave_version.h"
#include "solana/rpc.h"
#include "solana/snapshot_name.h"

#define ROUNDS_MAX    12 /* fetches that failed count */
#define INCR_MAX      3  /* one after another towards the tip */
#define SOURCES_MAX   64
#define MEASURED_MAX  16
#define MEASURE_MIN_B ((uint64_t)2 << 30) /* below it measuring takes longer than fetching */

struct work {
    struct ctx *ctx;
    const struct pair_job *job;
    struct pair_local *local;
    struct pair_report *ret;
    struct strlist avoid; /* names that nobody could deliver */
    struct strlist late;  /* names that would have been too old when they were here */
    bool planned;
    unsigned n_incr;
    struct err *failed; /* the last fetch that failed */
    uint64_t started_ns;
};

/* One round: the answers, and what follows from them. */
struct round {
    struct fetch_found found;
    struct reasons_limits limits;
    struct reasons reasons;
};

static void round_clear(struct round *r)
{
    reasons_clear(&r->reasons);
    fetch_found_clear(&r->found);
}

void pair_report_clear(struct pair_report *r)
{
    strlist_clear(&r->fetched);
    strlist_clear(&r->rejected);
    strlist_clear(&r->relaxed);
    *r = (struct pair_report){0};
}

static void say(const struct work *w, const char *fmt, ...) PRINTF(2, 3);
static void say(const struct work *w, const char *fmt, ...)
{
    const struct pair_events *ev = w->job->events;
    char text[512];
    va_list ap;

    if (!ev || !ev->say)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    ev->say(ev->arg, text);
}

/* ---- who is of no use -------------------------------------------------------------------------
 */

static void reject(struct work *w, const char *label, const char *why)
{
    AUTO(freep) char *begin = xasprintf("%s (", label);
    const char *named = strstr(why, label);

    for (size_t i = 0; i < w->ret->rejected.n; i++)
        if (str_starts(w->ret->rejected.items[i], begin))
            return; /* its first fault is enough */
    if (named && str_starts(named + strlen(label), ": "))
        why = named + strlen(label) + 2;
    strlist_addf(&w->ret->rejected, "%s%s)", begin, why);
}

static void reject_given(struct work *w, const struct round *r)
{
    for (size_t i = 0; i < r->found.n; i++) {
        const struct fetch_offer *o = &r->found.offers[i];
        enum fetch_reason reason = r->reasons.verdicts[i].reason;
        AUTO(freep) char *label = o->peer.given ? rpc_url_label(o->peer.url) : NULL;

        if (label && reason != FETCH_PROXY && (reason != FETCH_USABLE || o->why))
            reject(w, label, o->why ? o->why : fetch_reason_name(reason));
    }
    if (r->found.proxy_fault && !strlist_has(&w->ret->rejected, r->found.proxy_fault))
        strlist_add(&w->ret->rejected, r->found.proxy_fault);
}

/* ---- a round ----------------------------------------------------------------------------------
 */

static void forget_file(struct fetch_file *f)
{
    free(f->name);
    free(f->url);
    free(f->hash);
    *f = (struct fetch_file){.size_b = UINT64_MAX};
}

static void drop_avoided(const struct work *w, struct fetch_found *f)
{
    for (size_t i = 0; i < f->n; i++) {
        struct fetch_offer *o = &f->offers[i];

        if (o->full.name && strlist_has(&w->late, o->full.name) && o->reason == FETCH_USABLE)
            o->reason = FETCH_TOO_LATE;
        if (o->full.name && strlist_has(&w->avoid, o->full.name) && o->reason == FETCH_USABLE)
            o->reason = FETCH_VANISHED;
        if (o->incr.name &&
            (strlist_has(&w->avoid, o->incr.name) || strlist_has(&w->late, o->incr.name)))
            forget_file(&o->incr);
    }
}

static struct reasons_limits limits_of(const struct work *w, struct known_u64 tip, bool incr_only,
                                       const char *have_hash)
{
    struct reasons_limits l = w->job->limits;

    l.tip = tip.known ? tip : l.tip;
    l.blacklist = w->job->blacklist;
    l.now_ms = clock_wall_ms(w->ctx);
    l.incr_only = l.incr_only || incr_only;
    l.have_hash = have_hash;
    l.have_slot = w->local->full_slot;
    l.have_b = w->local->full_b;
    return l;
}

/* Is there a choice between archives that is worth knowing rates for? */
static bool worth_measuring(const struct round *r)
{
    const struct reasons *s = &r->reasons;
    const char *first;

    if (s->n_usable < 2 || s->verdicts[s->order[0]].get_b < MEASURE_MIN_B)
        return false;
    first = r->found.offers[s->order[0]].full.name;
    for (size_t i = 1; i < s->n_usable; i++)
        if (!str_eq(r->found.offers[s->order[i]].full.name, first))
            return true;
    return false;
}

static struct err *measure(struct work *w, struct round *r)
{
    struct fetch_offer *offers[MEASURED_MAX];
    size_t n = 0;

    if (!w->job->measure_ms || !worth_measuring(r))
        return NULL;
    for (; n < r->reasons.n_usable && n < MEASURED_MAX; n++)
        offers[n] = &r->found.offers[r->reasons.order[n]];
    say(w, "measuring %zu nodes", n);
    TRY(fetch_measure(w->ctx, offers, n, w->job->measure_ms, &w->job->scope->way, NULL));
    reasons_clear(&r->reasons);
    reasons_relax(&r->found, &r->limits, w->job->max_age_end, &r->reasons, &w->ret->relaxed);
    return NULL;
}

static struct err *hash_of(const char *name, char ret[static BASE58_32_MAX])
{
    struct snapshot_name n;

    TRY(snapshot_name_parse(name, &n));
    memcpy(ret, n.hash, sizeof(n.hash));
    return NULL;
}

/* incr_only: nothing but what goes on from the full archive that is here. */
static struct err *look(struct work *w, bool incr_only, struct round *ret)
{
    const struct fetch_scope *scope = w->job->scope;
    char have_hash[BASE58_32_MAX];

    if (w->local->full)
        TRY(hash_of(w->local->full, have_hash));
    TRY(fetch_find(w->ctx, scope, &ret->found));
    drop_avoided(w, &ret->found);
    ret->limits = limits_of(w, ret->found.tip, incr_only, w->local->full ? have_hash : NULL);
    strlist_clear(&w->ret->relaxed);
    reasons_relax(&ret->found, &ret->limits, w->job->max_age_end, &ret->reasons, &w->ret->relaxed);
    TRY(measure(w, ret));
    ret->limits.have_hash = NULL; /* it was of this function */
    w->ret->tip = ret->reasons.tip;
    w->ret->tip_known = ret->reasons.tip_known;
    reject_given(w, ret);
    return NULL;
}

/* ---- one archive ------------------------------------------------------------------------------
 */

/* Everybody who has the same file: the usable ones in their order, then those that are only slow or
 * far away. Labels are owned by ret_labels. */
struct sources {
    struct fetch_source items[SOURCES_MAX];
    size_t offers[SOURCES_MAX];
    size_t n;
    struct strlist labels;
};

static void add_source(const struct round *r, size_t i, bool incremental, const char *name,
                       struct sources *s)
{
    const struct fetch_offer *o = &r->found.offers[i];
    const struct fetch_file *f = incremental ? &o->incr : &o->full;
    AUTO(freep) char *label = rpc_url_label(o->peer.url);

    if (s->n == SOURCES_MAX || !str_eq(f->name, name))
        return;
    strlist_add(&s->labels, label);
    s->offers[s->n] = i;
    s->items[s->n++] = (struct fetch_source){.url = f->url, .rate_b_s = o->rate_b_s};
}

static void list_sources(const struct round *r, bool incremental, const char *name,
                         struct sources *s)
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

static void blacklist_peer(struct work *w, const struct fetch_peer *p, const char *why)
{
    AUTO(freep) char *origin = http_origin(p->url);

    if (w->job->blacklist)
        blacklist_add_peer(w->job->blacklist, p->disputed ? NULL : p->id, origin, why,
                           clock_wall_ms(w->ctx) + BLACKLIST_PEER_MS);
}

static void blacklist_label(struct work *w, const struct round *r, const struct sources *s,
                            const char *label, const char *why)
{
    for (size_t i = 0; i < s->n; i++)
        if (str_eq(s->labels.items[i], label))
            blacklist_peer(w, &r->found.offers[s->offers[i]].peer, why);
}

/* A snapshot that is bad itself, and not only as one node sends it: of all who have it the whole
 * file is bad, and they are of two networks. Of one that did not answer nobody knows what it would
 * have sent. */
static bool is_bad_itself(const struct round *r, const struct sources *s,
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
    struct work *w;
    const struct round *r;
    const struct sources *s;
    const struct fetch_file *file;
    const char *dir, *trust;
    struct strlist damaged; /* labels of those whose file is bad as a whole */
};

static void on_dropped(void *arg, const char *label, const struct err *e)
{
    struct listening *l = arg;
    const struct pair_events *ev = l->w->job->events;

    reject(l->w, label, e->text);
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

/* Where it is fetched to. */
static const char *dir_of(const struct pair_job *job, bool incremental)
{
    return incremental && job->incr_dir ? job->incr_dir : job->dir;
}

static const char *verify_name(enum fetch_verify v)
{
    return v == FETCH_VERIFY_NONE ? "none" : v == FETCH_VERIFY_FULL ? "full" : "structure";
}

static const char *trust_of(const struct round *r, bool incremental, const struct fetch_file *f,
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
static bool all_of_3(const struct round *r, const struct sources *s)
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
static struct err *sweep(struct work *w, const char *dir, const char *name)
{
    AUTO(strlist_clear) struct strlist keep = {0};
    uint64_t freed_b;

    strlist_add(&keep, name);
    return partial_sweep(w->ctx, dir, &keep, &freed_b);
}

/* When it must be whole, to be no older at its end than age may give way to. A full archive that an
 * incremental will build on may take until it has a successor: only then that one is gone. 0: there
 * is no limit, or no tip to hold it against. */
static uint64_t whole_by(const struct work *w, const struct round *r, size_t which,
                         bool incremental)
{
    const struct fetch_offer *o = &r->found.offers[which];
    const struct fetch_file *f = incremental ? &o->incr : &o->full;
    uint64_t last = f->slot + w->job->max_age_end, next = o->full.slot + r->reasons.full_interval;
    double per_s = r->limits.rates.cluster_slots_s;

    if (!incremental && r->reasons.verdicts[which].with_incr && next > last)
        last = next;
    if (!w->job->max_age_end || !r->reasons.tip_known || last <= r->reasons.tip || per_s <= 0)
        return 0;
    return clock_mono_ns(w->ctx) + (uint64_t)((double)(last - r->reasons.tip) / per_s * 1e9);
}

static struct err *fetch(struct work *w, const struct round *r, size_t which, bool incremental,
                         struct fetch_report *done)
{
    const struct fetch_offer *o = &r->found.offers[which];
    const struct fetch_file *f = incremental ? &o->incr : &o->full;
    const struct pair_job *job = w->job;
    struct sources s = {0};
    char buf[TRUST_TEXT_MAX];
    struct listening l = {.w = w,
                          .r = r,
                          .s = &s,
                          .file = f,
                          .dir = dir_of(job, incremental),
                          .trust = trust_of(r, incremental, f, buf)};
    struct err *e;

    list_sources(r, incremental, f->name, &s);
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

static void take(struct work *w, const struct fetch_file *f, bool incremental,
                 const struct fetch_report *done)
{
    const struct pair_events *ev = w->job->events;
    struct pair_local *l = w->local;

    if (!incremental) {
        pair_local_clear(l);
        l->full = xstrdup(f->name);
        l->full_slot = f->slot;
        l->full_b = done->size_b;
    } else {
        free(l->incr);
        l->incr = xstrdup(f->name);
        w->n_incr++;
    }
    l->slot = f->slot;
    strlist_add(&w->ret->fetched, f->name);
    w->ret->wire_b += done->wire_b;
    if (ev && ev->fetched)
        ev->fetched(ev->arg, f->name, done);
}

/* ---- the plan ---------------------------------------------------------------------------------
 */

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* How many have the file, and how long most of them say it is: one alone may lie. */
static size_t count_sources(const struct round *r, bool incremental, const char *name,
                            uint64_t *ret_size_b)
{
    struct sources s = {0};
    uint64_t sizes[SOURCES_MAX];
    size_t n, best = 0;

    list_sources(r, incremental, name, &s);
    n = s.n;
    for (size_t i = 0; i < n; i++) {
        const struct fetch_offer *o = &r->found.offers[s.offers[i]];

        sizes[i] = incremental ? o->incr.size_b : o->full.size_b;
    }
    qsort(sizes, n, sizeof(*sizes), by_number);
    for (size_t i = 0, same = 0; i < n; i++) {
        same = i && sizes[i] == sizes[i - 1] ? same + 1 : 1;
        if (same > best && sizes[i] != UINT64_MAX) {
            best = same;
            *ret_size_b = sizes[i];
        }
    }
    strlist_clear(&s.labels);
    return n;
}

static uint64_t known_or_0(uint64_t size_b)
{
    return size_b == UINT64_MAX ? 0 : size_b;
}

/* *ret_lacks: what to say when it does not fit, or NULL; to be freed; *ret_dir: where. */
static struct err *forecast_in(struct work *w, const char *dir, const char *full,
                               const char *incremental, struct store_room *room,
                               struct pair_plan *p, char **ret_lacks, const char **ret_dir)
{
    struct store_forecast f;

    room->spare_b = w->job->spare_b ? w->job->spare_b : PAIR_SPARE_B;
    TRY(store_room_look(w->ctx, dir, full, incremental, room));
    store_forecast(room, &f);
    p->need_b = f.need_b;
    p->free_b = room->free_b;
    if (!f.fits && !*ret_lacks) {
        *ret_lacks = store_forecast_text(room, &f);
        *ret_dir = dir;
    }
    return NULL;
}

/* The folders may lie on two disks. */
static struct err *forecast(struct work *w, struct pair_plan *p, char **ret_lacks,
                            const char **ret_dir)
{
    const struct pair_job *job = w->job;
    const char *full = p->have_full ? NULL : p->full;
    struct store_room room = {.full_b = known_or_0(p->full_b)};

    *ret_lacks = NULL;
    if (!job->incr_dir || str_eq(job->incr_dir, job->dir)) {
        room.incremental_b = known_or_0(p->incr_b);
        return forecast_in(w, job->dir, full, p->incr, &room, p, ret_lacks, ret_dir);
    }
    if (p->incr) {
        struct store_room apart = {.incremental_b = known_or_0(p->incr_b)};

        TRY(forecast_in(w, job->incr_dir, NULL, p->incr, &apart, p, ret_lacks, ret_dir));
    }
    return full ? forecast_in(w, job->dir, full, NULL, &room, p, ret_lacks, ret_dir) : NULL;
}

static struct err *plan(struct work *w, const struct round *r, size_t best, bool *ret_go)
{
    const struct fetch_offer *o = &r->found.offers[best];
    const struct reasons_verdict *v = &r->reasons.verdicts[best];
    const struct pair_events *ev = w->job->events;
    char full[TRUST_TEXT_MAX], incr[TRUST_TEXT_MAX];
    AUTO(freep) char *lacks = NULL;
    const char *full_of = NULL; /* where it lacks */
    struct pair_plan p = {
        .full = v->have_full ? w->local->full : o->full.name,
        .incr = v->with_incr ? o->incr.name : NULL,
        .have_full = v->have_full,
        .full_b = v->have_full ? 0 : o->full.size_b,
        .incr_b = v->with_incr ? o->incr.size_b : 0,
        .slot = v->slot,
        .tip = r->reasons.tip,
        .tip_known = r->reasons.tip_known,
        .full_trust = v->have_full ? NULL : trust_of(r, false, &o->full, full),
        .incr_trust = v->with_incr ? trust_of(r, true, &o->incr, incr) : NULL,
        .time = &v->time,
        .measured = v->measured,
        .relaxed = &w->ret->relaxed,
    };

    *ret_go = true;
    if (w->planned)
        return NULL;
    w->planned = true;
    if (!v->have_full)
        p.full_sources = count_sources(r, false, p.full, &p.full_b);
    if (p.incr)
        p.incr_sources = count_sources(r, true, p.incr, &p.incr_b);
    TRY(forecast(w, &p, &lacks, &full_of));
    if (ev && ev->plan)
        TRY(ev->plan(ev->arg, &p, ret_go));
    if (*ret_go && lacks)
        return err_hint(err_sys(ENOSPC, "no room in '%s'", full_of), "%s", lacks);
    return *ret_go && w->job->make_dir ? w->job->make_dir(w->job->may_arg) : NULL;
}

/* ---- the loop ---------------------------------------------------------------------------------
 */

static struct err *nothing_fits(struct work *w, const struct round *r)
{
    AUTO(freep) char *why = reasons_text(&r->reasons);
    AUTO(reasons_advice_clear) struct reasons_advice a = {0};
    AUTO(strbuf_clear) struct strbuf b = {0};

    if (w->failed)
        return TAKE(w->failed);
    reasons_advise(&r->found, &r->reasons, &a);
    for (size_t i = 0; i < w->ret->rejected.n && i < 10; i++)
        strbuf_printf(&b, "; %s", w->ret->rejected.items[i]);
    return err_new(ERR_NOTFOUND, "no node has a snapshot that can be used: %s%s%s%s",
                   *why ? why : "no node was found", a.text ? "; " : "", a.text ? a.text : "",
                   strbuf_text(&b));
}

static bool near_enough(const struct work *w, uint64_t tip)
{
    const struct pair_local *l = w->local;
    uint64_t age = tip > l->slot ? tip - l->slot : 0;

    if (!l->full || (w->job->limits.incr_only && !w->n_incr))
        return false;
    if (w->n_incr >= INCR_MAX || (w->n_incr && !w->job->convergence_slots))
        return true;
    return (l->incr || w->job->limits.full_only) && age <= w->job->convergence_slots;
}

static bool old_enough_to_refuse(const struct work *w)
{
    uint64_t age = w->ret->tip > w->local->slot ? w->ret->tip - w->local->slot : 0;

    return w->job->max_age_end && age > w->job->max_age_end;
}

/* The best of the round, if it is more than what is here; n: there is nothing. */
static size_t best_of(const struct work *w, const struct round *r)
{
    for (size_t i = 0; i < r->reasons.n_usable; i++) {
        const struct reasons_verdict *v = &r->reasons.verdicts[r->reasons.order[i]];

        if (!w->local->full || !v->have_full || (v->with_incr && v->slot > w->local->slot))
            return r->reasons.order[i];
    }
    return r->reasons.n;
}

/* Is starting from what is here sooner at the tip than fetching more? */
static bool here_is_best(const struct work *w, const struct round *r, size_t best)
{
    const struct pair_local *l = w->local;
    const struct reasons_verdict *v = &r->reasons.verdicts[best];
    const struct rank_way here = {.unpack_b = l->full_b, .rate_b_s = 1, .slot = l->slot};
    struct rank_time t = rank_time(&here, r->reasons.tip, &r->limits.rates);

    if (!l->full || old_enough_to_refuse(w) || w->job->limits.full_only || w->job->limits.incr_only)
        return false;
    return rank_compare(&t, 0, &v->time, v->get_b) <= 0;
}

/* The disk became full while f was fetched: others write there too. How much is missing now, and
 * what could go? */
static struct err *hint_room(struct work *w, const struct fetch_file *f, struct err *e)
{
    uint64_t spare_b = w->job->spare_b ? w->job->spare_b : PAIR_SPARE_B;
    struct store_room room = {.full_b = known_or_0(f->size_b), .spare_b = spare_b};
    struct store_forecast now;
    char size[32];
    AUTO(err_freep) struct err *blind = NULL;

    if (e->sys != ENOSPC)
        return e;
    blind = store_room_look(w->ctx, dir_of(w->job, str_starts(f->name, "incremental-")), f->name,
                            NULL, &room);
    if (!blind)
        store_forecast(&room, &now);
    if (!blind && room.full_b && !now.fits)
        e = err_hint(e, "%s more must be free",
                     fmt_size(now.need_b - room.free_b, size, sizeof(size)));
    if (!blind && room.prunable_b)
        e = err_hint(e, "'agavectl snapshot prune' would free %s",
                     fmt_size(room.prunable_b, size, sizeof(size)));
    return err_hint(e, "what has arrived is kept: make room, and the same command goes on with it");
}

/* Whose fault was it? The sources': the next round is without that name. */
static struct err *give_up(struct work *w, const char *name, struct err *e)
{
    if (e->kind != ERR_REMOTE && e->kind != ERR_TIMEOUT && e->kind != ERR_NOTFOUND &&
        e->kind != ERR_CORRUPT)
        return e;
    say(w, "%s: %s; looking for another one", name, e->text);
    if (!strlist_has(&w->late, name))
        strlist_add(&w->avoid, name);
    err_free(w->failed);
    w->failed = e;
    return NULL;
}

static struct err *carry_out(struct work *w, const struct round *r, size_t best, bool *ret_go)
{
    const struct fetch_offer *o = &r->found.offers[best];
    const struct reasons_verdict *v = &r->reasons.verdicts[best];
    AUTO(fetch_report_clear) struct fetch_report done = {0};
    bool incremental = v->have_full;
    const struct fetch_file *f = incremental ? &o->incr : &o->full;
    struct err *e;

    TRY(plan(w, r, best, ret_go));
    if (!*ret_go)
        return NULL;
    say(w, "%s", f->name);
    e = fetch(w, r, best, incremental, &done);
    if (e)
        return give_up(w, f->name, hint_room(w, f, e));
    take(w, f, incremental, &done);
    return NULL;
}

/* What goes on from the full archive that is here, if anything does; else whatever is best. */
static struct err *look_for_next(struct work *w, struct round *r, size_t *ret_best)
{
    bool restricted = w->ret->fetched.n && !w->job->limits.full_only;

    TRY(look(w, restricted, r));
    *ret_best = best_of(w, r);
    if (!restricted || *ret_best < r->reasons.n || !old_enough_to_refuse(w))
        return NULL;
    round_clear(r);
    *r = (struct round){0};
    TRY(look(w, false, r));
    *ret_best = best_of(w, r);
    return NULL;
}

static struct err *one_round(struct work *w, bool *ret_done)
{
    AUTO(round_clear) struct round r = {0};
    size_t best;
    bool go = true;

    say(w, "asking who has what");
    TRY(look_for_next(w, &r, &best));
    *ret_done = near_enough(w, w->ret->tip);
    if (*ret_done)
        return NULL;
    if (best == r.reasons.n) {
        *ret_done = true;
        return w->local->full && !old_enough_to_refuse(w) &&
                       !(w->job->limits.incr_only && !w->n_incr && !w->local->incr)
                   ? NULL
                   : nothing_fits(w, &r);
    }
    if (here_is_best(w, &r, best)) {
        *ret_done = true;
        return NULL;
    }
    TRY(carry_out(w, &r, best, &go));
    w->ret->stopped = !go;
    *ret_done = !go || (w->job->limits.full_only && w->ret->fetched.n);
    return NULL;
}

struct err *pair_get(struct ctx *ctx, const struct pair_job *job, struct pair_local *local,
                     struct pair_report *ret)
{
    struct work w = {
        .ctx = ctx, .job = job, .local = local, .ret = ret, .started_ns = clock_mono_ns(ctx)};
    struct err *e = NULL;
    bool done = false;

    *ret = (struct pair_report){0};
    for (int i = 0; i < ROUNDS_MAX && !done && !e; i++)
        e = one_round(&w, &done);
    if (!e && !done)
        e = w.failed ? TAKE(w.failed)
                     : err_new(ERR_REMOTE, "the cluster goes on faster than snapshots arrive");
    err_free(w.failed);
    strlist_clear(&w.avoid);
    strlist_clear(&w.late);
    ret->slot = local->slot;
    ret->seconds = (double)(clock_mono_ns(ctx) - w.started_ns) / 1e9;
    return e;
}
