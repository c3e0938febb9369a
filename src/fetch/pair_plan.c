/* What is about to be fetched, told before the first byte, and whether it fits onto the disk:
 * before and when the disk has become full. */
#include "fetch/pair_parts.h"

#include <errno.h>
#include <stdlib.h>

#include "fetch/store.h"

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* How many have the file, and how long most of them say it is: one alone may lie. */
static size_t count_sources(const struct pair_round *r, bool incremental, const char *name,
                            uint64_t *ret_size_b)
{
    struct pair_sources s = {0};
    uint64_t sizes[PAIR_SOURCES_MAX];
    size_t n, best = 0;

    pair_list_sources(r, incremental, name, &s);
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
static struct err *forecast_in(struct pair_work *w, const char *dir, const char *full,
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
static struct err *forecast(struct pair_work *w, struct pair_plan *p, char **ret_lacks,
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

struct err *pair_agree(struct pair_work *w, const struct pair_round *r, size_t best, bool *ret_go)
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
        .full_trust = v->have_full ? NULL : pair_trust_of(r, false, &o->full, full),
        .incr_trust = v->with_incr ? pair_trust_of(r, true, &o->incr, incr) : NULL,
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

/* The disk became full while f was fetched: others write there too. How much is missing now, and
 * what could go? */
struct err *pair_hint_room(struct pair_work *w, const struct fetch_file *f, struct err *e)
{
    uint64_t spare_b = w->job->spare_b ? w->job->spare_b : PAIR_SPARE_B;
    struct store_room room = {.full_b = known_or_0(f->size_b), .spare_b = spare_b};
    struct store_forecast now;
    char size[32];
    AUTO(err_freep) struct err *blind = NULL;

    if (e->sys != ENOSPC)
        return e;
    blind = store_room_look(w->ctx, pair_dir_of(w->job, str_starts(f->name, "incremental-")),
                            f->name, NULL, &room);
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
