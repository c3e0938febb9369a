/* One loop: look, choose, fetch, and look again with what is here now. Every round asks the nodes
 * anew, because an hour can lie between two of them. */
#include "fetch/pair_parts.h"

#include <stdlib.h>
#include <string.h>

#include "io/clock.h"
#include "solana/rpc.h"
#include "solana/snapshot_name.h"

#define ROUNDS_MAX    12 /* fetches that failed count */
#define INCR_MAX      3  /* one after another towards the tip */
#define MEASURED_MAX  16
#define MEASURE_MIN_B ((uint64_t)2 << 30) /* below it measuring takes longer than fetching */

static void round_clear(struct pair_round *r)
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

static void say(const struct pair_work *w, const char *fmt, ...) PRINTF(2, 3);
static void say(const struct pair_work *w, const char *fmt, ...)
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

void pair_reject(struct pair_work *w, const char *label, const char *why)
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

static void reject_given(struct pair_work *w, const struct pair_round *r)
{
    for (size_t i = 0; i < r->found.n; i++) {
        const struct fetch_offer *o = &r->found.offers[i];
        enum fetch_reason reason = r->reasons.verdicts[i].reason;
        AUTO(freep) char *label = o->peer.given ? rpc_url_label(o->peer.url) : NULL;

        if (label && reason != FETCH_PROXY && (reason != FETCH_USABLE || o->why))
            pair_reject(w, label, o->why ? o->why : fetch_reason_name(reason));
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

static void drop_avoided(const struct pair_work *w, struct fetch_found *f)
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

static struct reasons_limits limits_of(const struct pair_work *w, struct known_u64 tip,
                                       bool incr_only, const char *have_hash)
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
static bool worth_measuring(const struct pair_round *r)
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

static struct err *measure(struct pair_work *w, struct pair_round *r)
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
static struct err *look(struct pair_work *w, bool incr_only, struct pair_round *ret)
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

static void take(struct pair_work *w, const struct fetch_file *f, bool incremental,
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

/* ---- the loop ---------------------------------------------------------------------------------
 */

static struct err *nothing_fits(struct pair_work *w, const struct pair_round *r)
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

static bool near_enough(const struct pair_work *w, uint64_t tip)
{
    const struct pair_local *l = w->local;
    uint64_t age = tip > l->slot ? tip - l->slot : 0;

    if (!l->full || (w->job->limits.incr_only && !w->n_incr))
        return false;
    if (w->n_incr >= INCR_MAX || (w->n_incr && !w->job->convergence_slots))
        return true;
    return (l->incr || w->job->limits.full_only) && age <= w->job->convergence_slots;
}

static bool old_enough_to_refuse(const struct pair_work *w)
{
    uint64_t age = w->ret->tip > w->local->slot ? w->ret->tip - w->local->slot : 0;

    return w->job->max_age_end && age > w->job->max_age_end;
}

/* The best of the round, if it is more than what is here; n: there is nothing. */
static size_t best_of(const struct pair_work *w, const struct pair_round *r)
{
    for (size_t i = 0; i < r->reasons.n_usable; i++) {
        const struct reasons_verdict *v = &r->reasons.verdicts[r->reasons.order[i]];

        if (!w->local->full || !v->have_full || (v->with_incr && v->slot > w->local->slot))
            return r->reasons.order[i];
    }
    return r->reasons.n;
}

/* Is starting from what is here sooner at the tip than fetching more? */
static bool here_is_best(const struct pair_work *w, const struct pair_round *r, size_t best)
{
    const struct pair_local *l = w->local;
    const struct reasons_verdict *v = &r->reasons.verdicts[best];
    const struct rank_way here = {.unpack_b = l->full_b, .rate_b_s = 1, .slot = l->slot};
    struct rank_time t = rank_time(&here, r->reasons.tip, &r->limits.rates);

    if (!l->full || old_enough_to_refuse(w) || w->job->limits.full_only || w->job->limits.incr_only)
        return false;
    return rank_compare(&t, 0, &v->time, v->get_b) <= 0;
}

/* Whose fault was it? The sources': the next round is without that name. */
static struct err *give_up(struct pair_work *w, const char *name, struct err *e)
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

static struct err *carry_out(struct pair_work *w, const struct pair_round *r, size_t best,
                             bool *ret_go)
{
    const struct fetch_offer *o = &r->found.offers[best];
    const struct reasons_verdict *v = &r->reasons.verdicts[best];
    AUTO(fetch_report_clear) struct fetch_report done = {0};
    bool incremental = v->have_full;
    const struct fetch_file *f = incremental ? &o->incr : &o->full;
    struct err *e;

    TRY(pair_agree(w, r, best, ret_go));
    if (!*ret_go)
        return NULL;
    say(w, "%s", f->name);
    e = pair_fetch(w, r, best, incremental, &done);
    if (e)
        return give_up(w, f->name, pair_hint_room(w, f, e));
    take(w, f, incremental, &done);
    return NULL;
}

/* What goes on from the full archive that is here, if anything does; else whatever is best. */
static struct err *look_for_next(struct pair_work *w, struct pair_round *r, size_t *ret_best)
{
    bool restricted = w->ret->fetched.n && !w->job->limits.full_only;

    TRY(look(w, restricted, r));
    *ret_best = best_of(w, r);
    if (!restricted || *ret_best < r->reasons.n || !old_enough_to_refuse(w))
        return NULL;
    round_clear(r);
    *r = (struct pair_round){0};
    TRY(look(w, false, r));
    *ret_best = best_of(w, r);
    return NULL;
}

static struct err *one_round(struct pair_work *w, bool *ret_done)
{
    AUTO(round_clear) struct pair_round r = {0};
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
    struct pair_work w = {
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
