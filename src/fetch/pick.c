/* Which of the offers to take. Pure, so that every case of it can be a line
 * in a test. */
#include "fetch/pick.h"

#include "solana/rpc.h"

struct pair {
    const struct fetch_file *full, *incr; /* incr NULL: the full one alone */
    uint64_t slot, cost_b;
};

static bool is_here(const struct fetch_want *w, const struct fetch_file *f)
{
    return w->have && strlist_has(w->have, f->name);
}

static bool is_bad(const struct fetch_want *w, const struct fetch_file *f)
{
    return f && w->avoid && strlist_has(w->avoid, f->name);
}

/* Bytes to fetch; an unknown size is dearer than any known one. */
static uint64_t cost_of(const struct fetch_want *w, const struct fetch_file *f)
{
    if (!f || is_here(w, f))
        return 0;
    return f->size_b == UINT64_MAX      ? UINT64_MAX / 4
           : f->size_b < UINT64_MAX / 4 ? f->size_b
                                        : UINT64_MAX / 4;
}

static const struct fetch_file *file_of(const struct fetch_offer *o, bool full)
{
    const struct fetch_file *f = full ? &o->full : &o->incr;

    return f->name ? f : NULL;
}

static size_t votes_for(const struct fetch_found *f, bool full, const char *name)
{
    size_t n = 0;

    for (size_t i = 0; i < f->n; i++) {
        const struct fetch_file *file = file_of(&f->offers[i], full);

        n += file && str_eq(file->name, name);
    }
    return n;
}

/* Another archive of the same slots, that is: with another hash. The one with the most votes. */
static const struct fetch_offer *rival_of(const struct fetch_found *f, bool full,
                                          const struct fetch_file *of, size_t *ret_votes)
{
    const struct fetch_offer *rival = NULL;

    *ret_votes = 0;
    for (size_t i = 0; i < f->n; i++) {
        const struct fetch_file *file = file_of(&f->offers[i], full);
        size_t votes;

        if (!file || file->slot != of->slot || file->base != of->base ||
            strncmp(file->name, of->name, strcspn(of->name, ".") + 1) == 0)
            continue;
        votes = votes_for(f, full, file->name);
        if (votes > *ret_votes) {
            *ret_votes = votes;
            rival = &f->offers[i];
        }
    }
    return rival;
}

static bool outvoted(const struct fetch_found *f, bool full, const struct fetch_file *file)
{
    size_t against;

    return rival_of(f, full, file, &against) && against > votes_for(f, full, file->name);
}

static bool fits(const struct fetch_want *w, uint64_t slot)
{
    return slot >= w->min_slot && (!w->max_slot || slot <= w->max_slot);
}

static void consider(const struct fetch_found *f, const struct fetch_want *w,
                     const struct fetch_offer *o, bool with_incr, struct pair *items, size_t *n)
{
    const struct fetch_file *full = file_of(o, true), *incr = with_incr ? file_of(o, false) : NULL;
    struct pair p = {.full = full, .incr = incr};

    if (!full || (with_incr && !incr) || is_bad(w, full) || is_bad(w, incr))
        return;
    p.slot = incr ? incr->slot : full->slot;
    p.cost_b = cost_of(w, full) + cost_of(w, incr);
    if (fits(w, p.slot) && !outvoted(f, true, full) && !(incr && outvoted(f, false, incr)))
        items[(*n)++] = p;
}

static const struct pair *best_of(const struct pair *items, size_t n, uint64_t near_slots)
{
    const struct pair *best = NULL;
    uint64_t top = 0;

    for (size_t i = 0; i < n; i++)
        top = items[i].slot > top ? items[i].slot : top;
    for (size_t i = 0; i < n; i++) {
        const struct pair *p = &items[i];

        if (top - p->slot > near_slots)
            continue;
        if (!best || p->cost_b < best->cost_b ||
            (p->cost_b == best->cost_b && p->slot > best->slot))
            best = p;
    }
    return best;
}

static struct err *nothing_fits(const struct fetch_found *f, const struct fetch_want *w)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    for (size_t i = 0; i < f->n && i < 10; i++) {
        const struct fetch_offer *o = &f->offers[i];
        uint64_t slot = o->incr.name ? o->incr.slot : o->full.slot;
        AUTO(freep) char *label = rpc_url_label(o->peer.url);

        strbuf_printf(&b, "; %s: ", label);
        if (!o->full.name)
            strbuf_puts(&b, o->why ? o->why : "nothing");
        else if (slot < w->min_slot)
            strbuf_printf(&b, "slot %llu is older than %llu", (unsigned long long)slot,
                          (unsigned long long)w->min_slot);
        else if (w->max_slot && o->full.slot > w->max_slot)
            strbuf_printf(&b, "slot %llu is after %llu", (unsigned long long)o->full.slot,
                          (unsigned long long)w->max_slot);
        else
            strbuf_puts(&b, "most sources have another hash for its slot, its slots do not fit, or "
                            "nobody could deliver it");
    }
    return err_new(ERR_NOTFOUND, "no source has a snapshot that can be used%s%s", strbuf_text(&b),
                   f->n > 10 ? "; …" : "");
}

static char *warning_about(const struct fetch_found *f, bool full, const struct fetch_file *file)
{
    size_t votes = 0;
    const struct fetch_offer *rival = file ? rival_of(f, full, file, &votes) : NULL;

    if (!rival)
        return NULL;
    AUTO(freep) char *label = rpc_url_label(rival->peer.url);
    return xasprintf("%s has another hash for slot %llu: '%s'", label,
                     (unsigned long long)file->slot, file_of(rival, full)->name);
}

static void list_urls(const struct fetch_found *f, bool full, const char *name, struct strlist *ret)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct fetch_file *file = file_of(&f->offers[i], full);

        if (file && str_eq(file->name, name))
            strlist_add(ret, file->url);
    }
}

struct err *fetch_pick(const struct fetch_found *f, const struct fetch_want *w,
                       struct fetch_choice *ret)
{
    AUTO(freep) struct pair *items = xcalloc(2 * f->n, sizeof(*items));
    const struct pair *best;
    size_t n = 0;

    for (size_t i = 0; i < f->n; i++) {
        consider(f, w, &f->offers[i], true, items, &n);
        consider(f, w, &f->offers[i], false, items, &n);
    }
    best = best_of(items, n, w->near_slots);
    if (!best)
        return nothing_fits(f, w);
    *ret = (struct fetch_choice){
        .full = xstrdup(best->full->name),
        .incr = best->incr ? xstrdup(best->incr->name) : NULL,
        .full_slot = best->full->slot,
        .slot = best->slot,
        .have_full = is_here(w, best->full),
        .have_incr = best->incr && is_here(w, best->incr),
        .full_b = best->full->size_b,
        .incr_b = best->incr ? best->incr->size_b : 0,
        .warning = warning_about(f, true, best->full),
    };
    if (!ret->warning)
        ret->warning = warning_about(f, false, best->incr);
    list_urls(f, true, ret->full, &ret->full_urls);
    if (ret->incr)
        list_urls(f, false, ret->incr, &ret->incr_urls);
    return NULL;
}

void fetch_choice_clear(struct fetch_choice *c)
{
    free(c->full);
    free(c->incr);
    free(c->warning);
    strlist_clear(&c->full_urls);
    strlist_clear(&c->incr_urls);
    *c = (struct fetch_choice){0};
}
