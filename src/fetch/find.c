/* Asks the sources what they have. An Agave RPC node answers /snapshot.tar.bz2 and
 * /incremental-snapshot.tar.bz2 with a redirect to the real name, whatever the extension (rpc
 * 3.0.14, rpc_service.rs); that name is all that is taken from it, and it must be an archive's.
 * Listings can be stale: a source may name a file that it no longer has, so the file is asked for
 * as well. Choosing is pick.c's work. */
#include "fetch/find.h"

#include "io/http.h"
#include "solana/snapshot_name.h"

#define ALIAS_BODY_B ((uint64_t)64 << 10) /* of a redirect's own page */

static const char *const aliases[] = {"/snapshot.tar.bz2", "/incremental-snapshot.tar.bz2"};
enum { FULL, INCR, KINDS };

/* One question of a round: which file of which offer the answer is for. */
struct question {
    struct fetch_offer *offer;
    int kind;
    char *url;
};
struct round {
    struct question *items;
    size_t n, cap;
    const char *method;
};

static void round_clear(struct round *r)
{
    for (size_t i = 0; i < r->n; i++)
        free(r->items[i].url);
    free(r->items);
    *r = (struct round){0};
}

static void ask(struct round *r, struct fetch_offer *offer, int kind, char *owned_url)
{
    r->items = xgrow(r->items, &r->cap, r->n + 1, sizeof(*r->items));
    r->items[r->n++] = (struct question){.offer = offer, .kind = kind, .url = owned_url};
}

static void drop_file(struct fetch_file *f)
{
    free(f->name);
    free(f->url);
    *f = (struct fetch_file){.size_b = UINT64_MAX};
}

/* Without its full archive an incremental is nothing. The first reason is kept. */
static void give_up(struct fetch_offer *o, int kind, char *owned_why)
{
    if (kind == FULL)
        drop_file(&o->full);
    drop_file(&o->incr);
    if (o->why)
        free(owned_why);
    else
        o->why = owned_why;
}

typedef void answer_fn(struct question *q, const struct http_response *r, struct round *ret_next);

/* Sends all questions of a round at once and hands each answer on. */
static struct err *run_round(struct ctx *ctx, struct round *r, uint32_t timeout_ms,
                             answer_fn *answer, struct round *ret_next)
{
    AUTO(freep) struct http_request *reqs = xcalloc(r->n, sizeof(*reqs));
    AUTO(freep) struct http_response *got = xcalloc(r->n, sizeof(*got));
    struct err *e;

    for (size_t i = 0; i < r->n; i++)
        reqs[i] = (struct http_request){
            .method = r->method,
            .url = r->items[i].url,
            .timeout_ms = timeout_ms,
            .max_body_b = ALIAS_BODY_B,
        };
    e = r->n ? ctx->http->many(ctx, reqs, r->n, got) : NULL;
    for (size_t i = 0; i < r->n; i++) {
        if (!e)
            answer(&r->items[i], &got[i], ret_next);
        http_response_clear(&got[i]);
    }
    return e;
}

/* Where a redirect points, when it stays within the source's own host and port; NULL when not. */
static char *resolve(const char *asked, const char *location)
{
    size_t n = http_origin_n(asked);
    const char *slash = strrchr(asked, '/');

    for (const char *p = location; *p; p++)
        if (*p <= ' ' || *p > 126)
            return NULL;
    if (strstr(location, "://"))
        return http_origin_n(location) == n && strncmp(asked, location, n) == 0 ? xstrdup(location)
                                                                                : NULL;
    if (str_starts(location, "//"))
        return NULL;
    if (*location == '/')
        return xasprintf("%.*s%s", (int)n, asked, location);
    return xasprintf("%.*s/%s", (int)(slash - asked), asked, location);
}

/* The redirect's target becomes the offer's file. */
static char *take_target(struct question *q, const char *location)
{
    AUTO(freep) char *url = resolve(q->url, location);
    const char *slash = url ? strrchr(url, '/') : NULL;
    struct snapshot_name name;
    struct fetch_file *f = q->kind == FULL ? &q->offer->full : &q->offer->incr;

    if (!slash)
        return xstrdup("it redirects to another place");
    AUTO(err_freep) struct err *e = snapshot_name_parse(slash + 1, &name);
    if (e)
        return xasprintf("it redirects to what is no snapshot (%s)", e->text);
    if (name.incremental != (q->kind == INCR))
        return xasprintf("it answers %s with '%s'", aliases[q->kind], slash + 1);
    if (name.legacy)
        return xasprintf("'%s' is in a format that Agave 3.0 and later ignore", slash + 1);
    f->name = xstrdup(slash + 1);
    f->url = TAKE(url);
    f->base = name.base;
    f->slot = name.slot;
    f->size_b = UINT64_MAX;
    return NULL;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* HEAD or GET of an alias. next is NULL in the second round. */
static void answer_alias(struct question *q, const struct http_response *r, struct round *next)
{
    char *why = NULL;

    if (r->err)
        why = xstrdup(http_reason(r->err, q->url));
    else if (is_redirect(r->status) && r->location)
        why = take_target(q, r->location);
    else if (next && (r->status == 405 || r->status == 501))
        ask(next, q->offer, q->kind, xstrdup(q->url));
    else if (r->status == 404 && q->kind == INCR)
        return; /* none yet since the full one: nothing is wrong */
    else if (r->status == 404)
        why = xstrdup("it has no snapshot");
    else
        why = xasprintf("it answers %s with status %d", aliases[q->kind], r->status);
    if (why)
        give_up(q->offer, q->kind, why);
}

static void answer_file(struct question *q, const struct http_response *r, struct round *next)
{
    struct fetch_file *f = q->kind == FULL ? &q->offer->full : &q->offer->incr;

    if (!f->name)
        return; /* an incremental whose full archive turned out to be gone */
    if (r->err)
        give_up(q->offer, q->kind, xstrdup(http_reason(r->err, q->url)));
    else if (r->status / 100 == 2)
        f->size_b = r->length_b;
    else if (r->status != 405 && r->status != 501)
        give_up(q->offer, q->kind,
                xasprintf("it names '%s' but answers it with status %d", f->name, r->status));
}

/* An incremental that builds on another full archive than the source's own: one of the two answers
 * came before, the other after a new full archive. */
static void check_base(struct fetch_offer *o)
{
    if (!o->incr.name)
        return;
    if (!o->full.name)
        drop_file(&o->incr);
    else if (o->incr.base != o->full.slot)
        give_up(o, INCR,
                xasprintf("its incremental builds on slot %llu, its full one is %llu",
                          (unsigned long long)o->incr.base, (unsigned long long)o->full.slot));
}

struct err *fetch_find(struct ctx *ctx, const char *const *sources, size_t n, uint32_t timeout_ms,
                       struct fetch_found *ret)
{
    AUTO(fetch_found_clear) struct fetch_found found = {0};
    AUTO(round_clear) struct round heads = {.method = "HEAD"}, again = {.method = "GET"};
    AUTO(round_clear) struct round files = {.method = "HEAD"};

    found.offers = xcalloc(n, sizeof(*found.offers));
    found.n = n;
    for (size_t i = 0; i < n; i++) {
        struct fetch_offer *o = &found.offers[i];

        o->source = xstrdup(sources[i]);
        o->full.size_b = o->incr.size_b = UINT64_MAX;
        for (int kind = 0; kind < KINDS; kind++)
            ask(&heads, o, kind, http_join(sources[i], aliases[kind]));
    }
    TRY(run_round(ctx, &heads, timeout_ms, answer_alias, &again));
    TRY(run_round(ctx, &again, timeout_ms, answer_alias, NULL));
    for (size_t i = 0; i < n; i++) {
        struct fetch_offer *o = &found.offers[i];

        check_base(o);
        if (o->full.name)
            ask(&files, o, FULL, xstrdup(o->full.url));
        if (o->incr.name)
            ask(&files, o, INCR, xstrdup(o->incr.url));
    }
    TRY(run_round(ctx, &files, timeout_ms, answer_file, NULL));
    *ret = found;
    found = (struct fetch_found){0};
    return NULL;
}

void fetch_found_clear(struct fetch_found *f)
{
    for (size_t i = 0; i < f->n; i++) {
        drop_file(&f->offers[i].full);
        drop_file(&f->offers[i].incr);
        free(f->offers[i].source);
        free(f->offers[i].why);
    }
    free(f->offers);
    *f = (struct fetch_found){0};
}
