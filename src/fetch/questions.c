/* One node's snapshots. An Agave RPC node answers /snapshot.tar.bz2 and
 * /incremental-snapshot.tar.bz2 with a redirect to the real name, whatever the extension (rpc
 * 3.0.14, rpc_service.rs); that name is all that is taken from it, and it must be an archive's.
 * Listings can be stale: a node may name a file that it no longer has, so the file is asked for as
 * well, with a range, which Agave ignores and others honour. Choosing is not done here. */
#include "fetch/questions.h"

#include <stdlib.h>
#include <string.h>

#include "io/clock.h"
#include "solana/snapshot_name.h"

#define ALIAS_BODY_B  ((uint64_t)64 << 10) /* of a redirect's own page */
#define HOPS_MAX      3                    /* of a file that redirects to itself elsewhere */
#define FILE_SIZE_MAX ((uint64_t)64 << 40) /* what Agave unpacks at most (hardened_unpack.rs) */
#define NS_PER_MS     1000000ULL

static const char *const aliases[] = {"/snapshot.tar.bz2", "/incremental-snapshot.tar.bz2"};
static const char *const range_headers[] = {"Range: bytes=0-0", NULL};
enum kind { FULL, INCR, KINDS };

/* Each kind is asked about its alias and then about the file behind it. */
struct question {
    struct questions *all;
    enum kind kind;
    struct http_transfer *t; /* NULL: nothing is asked */
    char *url;               /* of what is asked */
    bool of_file, by_get;
    int hops;
    struct http_answer head;
};
struct questions {
    struct http_loop *loop;
    struct fetch_offer *offer;
    const struct http_way *way;
    uint32_t timeout_ms;
    uint64_t deadline_ns;
    struct question kinds[KINDS];
    bool asked_again; /* for the one of the two that was the older answer */
    bool timed_out;
    void (*done)(void *arg, struct questions *q);
    void *arg;
};

void fetch_file_clear(struct fetch_file *f)
{
    free(f->name);
    free(f->url);
    free(f->hash);
    *f = (struct fetch_file){.size_b = UINT64_MAX};
}

void fetch_offer_reset(struct fetch_offer *o)
{
    fetch_file_clear(&o->full);
    fetch_file_clear(&o->incr);
    free(TAKE(o->why));
    o->ranges = FETCH_RANGES_UNKNOWN;
    o->latency_us = (struct known_u64){0};
    o->rate_b_s = -1;
    o->reason = FETCH_USABLE;
}

bool questions_timed_out(const struct questions *q)
{
    return q->timed_out;
}

static struct fetch_file *file_of(const struct question *q)
{
    return q->kind == FULL ? &q->all->offer->full : &q->all->offer->incr;
}

static void stop(struct question *q)
{
    if (q->t)
        http_cancel(TAKE(q->t));
}

void questions_free(struct questions *q)
{
    if (!q)
        return;
    for (int i = 0; i < KINDS; i++) {
        stop(&q->kinds[i]);
        free(q->kinds[i].url);
    }
    free(q);
}

/* Without its full archive an incremental is nothing; without an incremental the node is good. The
 * first reason is kept. */
static void give_up(struct question *q, enum fetch_reason reason, char *owned_why)
{
    struct fetch_offer *o = q->all->offer;

    if (q->kind == FULL) {
        fetch_file_clear(&o->full);
        o->reason = reason;
        stop(&q->all->kinds[INCR]);
        free(TAKE(o->why));
    }
    fetch_file_clear(&o->incr);
    if (o->why)
        free(owned_why);
    else
        o->why = owned_why;
}

/* ---- asking ------------------------------------------------------------------------------- */

static void on_done(void *arg, struct http_transfer *t, struct http_response *r);

static struct err *on_answer(void *arg, const struct http_answer *a)
{
    struct question *q = arg;

    q->head = *a;
    return NULL;
}

/* url is taken over. */
static void ask(struct question *q, char *url)
{
    struct questions *all = q->all;
    uint64_t now = clock_system.mono_ns();
    uint64_t left_ms =
        now < all->deadline_ns ? (all->deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS : 0;
    struct http_request req = {
        .method = q->by_get ? "GET" : "HEAD",
        .headers = q->of_file ? range_headers : NULL,
        .last = q->of_file, /* hundreds of idle connections would only be in the way */
        .timeout_ms = left_ms ? (uint32_t)left_ms : 1,
        .connect_ms = left_ms ? (uint32_t)left_ms : 1,
        .max_body_b = ALIAS_BODY_B,
        .on_answer = on_answer,
        .arg = q,
    };

    http_take_way(&req, all->way);
    free(q->url);
    req.url = q->url = url;
    q->head = (struct http_answer){0};
    q->t = http_begin(all->loop, &req, on_done, q);
}

static void ask_alias(struct question *q)
{
    ask(q, http_join(q->all->offer->peer.url, aliases[q->kind]));
}

static void ask_file(struct question *q)
{
    q->of_file = true;
    q->by_get = false;
    ask(q, xstrdup(file_of(q)->url));
}

/* ---- redirects ---------------------------------------------------------------------------- */

char *fetch_redirect(const char *asked, const char *location)
{
    size_t n = http_origin_n(asked);
    const char *path = asked + n, *slash = memrchr(path, '/', strcspn(path, "?#"));

    for (const char *p = location; *p; p++)
        if (*p <= ' ' || *p > '~')
            return NULL;
    if (strstr(location, "://"))
        return http_origin_n(location) == n && strncmp(asked, location, n) == 0 &&
                       location[n] == '/'
                   ? xstrdup(location)
                   : NULL;
    if (str_starts(location, "//"))
        return NULL;
    if (*location == '/')
        return xasprintf("%.*s%s", (int)n, asked, location);
    return xasprintf("%.*s/%s", slash ? (int)(slash - asked) : (int)n, asked, location);
}

static bool is_redirect(const struct http_response *r)
{
    int s = r->status;

    return r->location && (s == 301 || s == 302 || s == 303 || s == 307 || s == 308);
}

static bool is_alias(const char *url)
{
    const char *path = url + http_origin_n(url);

    return str_eq(path, aliases[FULL]) || str_eq(path, aliases[INCR]);
}

/* Nothing in it that one server reads in another way than the next. */
static bool is_plain_path(const char *url)
{
    return !strstr(url, "/.") && !strpbrk(url, "%\\");
}

/* The redirect's target becomes the offer's file. */
static void take_target(struct question *q, const char *location)
{
    AUTO(freep) char *url = fetch_redirect(q->url, location);
    const char *slash = url ? strrchr(url, '/') : NULL;
    struct fetch_file *f = file_of(q);
    struct snapshot_name name;

    if (!slash) {
        give_up(q, FETCH_ELSEWHERE, xstrdup("it redirects to another place"));
        return;
    }
    if (is_alias(url)) {
        give_up(q, FETCH_ELSEWHERE, xstrdup("it redirects in a circle"));
        return;
    }
    AUTO(err_freep) struct err *e = snapshot_name_parse(slash + 1, &name);
    if (!is_plain_path(url)) {
        give_up(q, FETCH_BAD_NAME, xstrdup("it redirects to a path that leads upwards"));
    } else if (e) {
        give_up(q, FETCH_BAD_NAME, xasprintf("it redirects to what is no snapshot (%s)", e->text));
    } else if (name.incremental != (q->kind == INCR)) {
        give_up(q, FETCH_BAD_NAME,
                xasprintf("it answers %s with '%s'", aliases[q->kind], slash + 1));
    } else if (name.legacy) {
        give_up(q, FETCH_FORMAT,
                xasprintf("'%s' is in a format that Agave 3.0 and later ignore", slash + 1));
    } else {
        f->name = xstrdup(slash + 1);
        f->hash = xstrdup(name.hash);
        f->url = TAKE(url);
        f->base = name.base;
        f->slot = name.slot;
        f->size_b = UINT64_MAX;
    }
}

/* ---- answers ------------------------------------------------------------------------------ */

/* No answer that could be read. */
static void take_failure(struct question *q, const struct http_response *r)
{
    enum fetch_reason reason = r->nonsense ? FETCH_NOT_HTTP : FETCH_NO_ANSWER;

    q->all->timed_out |= r->err->kind == ERR_TIMEOUT;
    if (r->err->kind == ERR_TIMEOUT)
        give_up(q, reason, xasprintf("no answer within %.6g s", q->all->timeout_ms / 1000.0));
    else
        give_up(q, reason, xstrdup(http_reason(r->err, q->url)));
}

static bool has_no_head(const struct http_response *r)
{
    return r->status == 405 || r->status == 501;
}

static void take_alias(struct question *q, const struct http_response *r)
{
    if (is_redirect(r)) {
        take_target(q, r->location);
    } else if (has_no_head(r) && !q->by_get) {
        q->by_get = true;
        ask_alias(q);
    } else if (r->status == 404 || has_no_head(r)) {
        /* Agave without a snapshot service takes the path for a call that is no POST. No
         * incremental yet since the full one: nothing is wrong. */
        if (q->kind == FULL)
            give_up(q, FETCH_NO_SNAPSHOT, xstrdup("it has no snapshot"));
    } else {
        give_up(q, FETCH_STATUS,
                xasprintf("it answers %s with status %d", aliases[q->kind], r->status));
    }
}

static void take_size(struct question *q, const struct http_response *r)
{
    struct fetch_file *f = file_of(q);
    uint64_t size_b = q->head.ranged ? q->head.total_b : r->length_b;

    f->size_b = size_b;
    if (q->kind == FULL)
        q->all->offer->ranges =
            q->head.ranged || q->head.accepts_ranges ? FETCH_RANGES_YES : FETCH_RANGES_NO;
    if (size_b == 0)
        give_up(q, FETCH_BAD_SIZE, xasprintf("its '%s' is empty", f->name));
    else if (size_b != UINT64_MAX && size_b > FILE_SIZE_MAX)
        give_up(q, FETCH_BAD_SIZE,
                xasprintf("its '%s' has %llu bytes, it says", f->name, (unsigned long long)size_b));
}

static void follow(struct question *q, const struct http_response *r)
{
    char *url = fetch_redirect(q->url, r->location);

    if (url && ++q->hops <= HOPS_MAX) {
        ask(q, url);
        return;
    }
    give_up(q, FETCH_ELSEWHERE,
            url ? xasprintf("its '%s' redirects in a circle", file_of(q)->name)
                : xasprintf("its '%s' redirects to another place", file_of(q)->name));
    free(url);
}

static void take_file(struct question *q, const struct http_response *r)
{
    const char *name = file_of(q)->name;

    if (r->status / 100 == 2)
        take_size(q, r);
    else if (is_redirect(r))
        follow(q, r);
    else if (!has_no_head(r))
        give_up(q, r->status == 404 ? FETCH_VANISHED : FETCH_STATUS,
                xasprintf("it names '%s' but answers it with status %d", name, r->status));
}

static bool bases_differ(const struct fetch_offer *o)
{
    return o->full.name && o->incr.name && o->incr.base != o->full.slot;
}

/* A node was asked for its full archive, made a new one, and was asked for its incremental; or the
 * other way round, where a name leads to several nodes. The older one of the two answers is asked
 * for once more. */
static bool ask_older_again(struct questions *all)
{
    struct fetch_offer *o = all->offer;
    struct question *q = &all->kinds[o->incr.base > o->full.slot ? FULL : INCR];

    if (all->asked_again || !bases_differ(o))
        return false;
    all->asked_again = true;
    stop(q);
    q->of_file = q->by_get = false;
    q->hops = 0;
    fetch_file_clear(file_of(q));
    ask_alias(q);
    return true;
}

/* It stays: others may have the full archive that it builds on, or it is here already. */
static void note_base(struct fetch_offer *o)
{
    if (bases_differ(o) && !o->why)
        o->why = xasprintf("its incremental builds on slot %llu, its full one is %llu",
                           (unsigned long long)o->incr.base, (unsigned long long)o->full.slot);
}

static void ask_file_of(struct question *q)
{
    if (file_of(q)->name && !q->t && !q->of_file)
        ask_file(q);
}

/* What is to be asked after this answer. */
static void go_on(struct question *q)
{
    struct questions *all = q->all;
    struct question *incr = &all->kinds[INCR];

    if (q->t || q->of_file || !file_of(q)->name)
        return;
    if (ask_older_again(all)) {
        ask_file_of(&all->kinds[FULL]);
        return;
    }
    note_base(all->offer);
    if (q->kind == FULL && !incr->t && !incr->url)
        ask_alias(incr);
    ask_file_of(&all->kinds[FULL]);
    ask_file_of(incr);
}

static void on_done(void *arg, struct http_transfer *t, struct http_response *r)
{
    struct question *q = arg;
    struct questions *all = q->all;
    struct known_u64 *latency = &all->offer->latency_us;

    q->t = NULL;
    if (*r->address && !all->offer->peer.address)
        all->offer->peer.address = xstrdup(r->address);
    if (r->rtt_us && (!latency->known || r->rtt_us < latency->v))
        *latency = (struct known_u64){.known = true, .v = r->rtt_us};
    AUTO(freep) char *proxy = http_way_fault(all->way, q->url, r);
    if (proxy)
        give_up(q, FETCH_PROXY, TAKE(proxy));
    else if (r->err)
        take_failure(q, r);
    else if (q->of_file)
        take_file(q, r);
    else
        take_alias(q, r);
    go_on(q);
    if (all->kinds[FULL].t || all->kinds[INCR].t)
        return;
    all->done(all->arg, all);
    questions_free(all);
}

struct questions *questions_begin(struct http_loop *l, struct fetch_offer *offer,
                                  uint32_t timeout_ms, const struct http_way *way,
                                  void (*done)(void *arg, struct questions *q), void *arg)
{
    struct questions *all = xcalloc(1, sizeof(*all));

    all->loop = l;
    all->offer = offer;
    all->way = way;
    all->done = done;
    all->arg = arg;
    all->timeout_ms = timeout_ms;
    all->deadline_ns = clock_system.mono_ns() + timeout_ms * NS_PER_MS;
    for (int i = 0; i < KINDS; i++)
        all->kinds[i] = (struct question){.all = all, .kind = (enum kind)i};
    ask_alias(&all->kinds[FULL]);
    return all;
}
