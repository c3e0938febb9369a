/* Who has which snapshots: the lists of the cluster's nodes, and the questions to each of them, in
 * one loop. A node is asked as soon as one list names it. What one node is asked is questions.c's
 * work, what a list says peers.c's; choosing is done elsewhere. */
#include "fetch/find.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "fetch/ask.h"
#include "fetch/peers.h"
#include "fetch/questions.h"
#include "fetch/tip.h"
#include "io/clock.h"
#include "io/http_loop.h"
#include "solana/rpc.h"

#define LIST_MS     1500
#define PEER_MS     1500
#define TOTAL_MS    10000
#define MAX_SOCKETS 512
#define PROGRESS_NS 100000000ULL
#define WAKE_MS     50
#define LIST_ID     1
#define TOLD_MAX    10
#define TIP_MS      1000
/* Of a node's time: when the loop was late for as much, its silence proves nothing. */
#define LATE_PARTS 4

static const char *const json_headers[] = {"Content-Type: application/json", NULL};
static const char list_call[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"getClusterNodes\"}";

struct search;

/* A list of nodes that was asked for. */
struct list {
    struct search *s;
    const char *url;
    struct http_transfer *t; /* NULL: it is here, or will not be */
    struct known_u64 shred_version;
};
/* A node: its offer, and who asks it; NULL: not yet, or no more. */
struct asked {
    struct search *s;
    struct fetch_offer *offer;
    struct questions *questions;
    uint64_t late_ns; /* late_ns() when it was asked */
    bool again;       /* it has been, or will be, asked a second time */
    struct ask *identity;
    char *says_id; /* what it says that its identity is; NULL: it was not asked, or does not */
};

struct search {
    struct ctx *ctx;
    const struct fetch_scope *scope;
    struct http_loop *loop;
    struct peers peers;
    struct list *lists;
    size_t lists_n, lists_open, listed_by;
    struct strlist errors;
    /* Those given first; all before next have been asked or are being asked. */
    struct asked **nodes;
    size_t n, cap, given, next, active, done, good;
    struct asked **again; /* those to ask a second time; before again_next they have been */
    size_t again_n, again_cap, again_next;
    struct tip *tip;
    size_t identities; /* being asked */
    uint64_t begun_ns, told_ns;
    uint64_t tick_ns, late_ns; /* late_ns() then */
};

static uint64_t or_default(uint64_t v, uint64_t usual)
{
    return v ? v : usual;
}

static uint64_t gone_ms(const struct search *s)
{
    return (clock_mono_ns(s->ctx) - s->begun_ns) / 1000000;
}

/* How long in all the loop came later than it wanted to, up to now. */
static uint64_t late_ns(const struct search *s)
{
    uint64_t since_ns = clock_mono_ns(s->ctx) - s->tick_ns, wake_ns = WAKE_MS * 1000000ULL;

    return s->late_ns + (since_ns > wake_ns ? since_ns - wake_ns : 0);
}

/* ---- nodes -------------------------------------------------------------------------------- */

static void peer_clear(struct fetch_peer *p)
{
    free(p->id);
    free(p->url);
    free(p->version);
    free(p->address);
}

static void offer_clear(struct fetch_offer *o)
{
    peer_clear(&o->peer);
    fetch_file_clear(&o->full);
    fetch_file_clear(&o->incr);
    free(o->why);
}

void fetch_found_clear(struct fetch_found *f)
{
    for (size_t i = 0; i < f->n; i++)
        offer_clear(&f->offers[i]);
    free(f->offers);
    strlist_clear(&f->errors);
    free(f->proxy_fault);
    *f = (struct fetch_found){0};
}

static void search_clear(struct search *s)
{
    tip_free(s->tip);
    for (size_t i = 0; i < s->n; i++) {
        questions_free(s->nodes[i]->questions);
        ask_free(s->nodes[i]->identity);
        free(s->nodes[i]->says_id);
        if (s->nodes[i]->offer)
            offer_clear(s->nodes[i]->offer);
        free(s->nodes[i]->offer);
        free(s->nodes[i]);
    }
    s->loop = http_loop_free(s->loop);
    free(s->nodes);
    free(s->again);
    free(s->lists);
    strlist_clear(&s->errors);
    peers_clear(&s->peers);
}

static struct fetch_offer *add_node(struct search *s, const char *url)
{
    struct asked *a = xcalloc(1, sizeof(*a));

    a->s = s;
    a->offer = xcalloc(1, sizeof(*a->offer));
    a->offer->peer.url = http_join(url, "");
    fetch_offer_reset(a->offer);
    a->offer->reason = FETCH_NO_ANSWER; /* until it is done */
    s->nodes = xgrow(s->nodes, &s->cap, s->n + 1, sizeof(*s->nodes));
    s->nodes[s->n++] = a;
    return a->offer;
}

/* Its index + 1, or 0. */
static size_t find_given(const struct search *s, const char *url)
{
    for (size_t i = 0; i < s->given; i++)
        if (str_eq(s->nodes[i]->offer->peer.url, url))
            return i + 1;
    return 0;
}

static void add_given(struct search *s, const struct strlist *urls, bool rpc)
{
    for (size_t i = 0; urls && i < urls->n; i++) {
        AUTO(freep) char *url = http_join(urls->items[i], "");

        struct fetch_offer *o;

        if (find_given(s, url))
            continue;
        o = add_node(s, url);
        o->peer.given = true;
        o->peer.rpc = rpc;
        s->given = s->n;
    }
}

/* A peer whose address is new: one of those given, or one more to ask. */
static void on_peer(void *arg, struct peer *peer)
{
    struct search *s = arg;
    AUTO(freep) char *url = xasprintf("http://%s", peer->rpc);
    size_t at = find_given(s, url);

    if (!at && s->scope->only_given)
        return;
    if (!at) {
        add_node(s, url);
        at = s->n;
    }
    peer->tag = at;
}

/* Was this host too busy to hear it? It says nothing then; once, so that this has an end. */
static bool ask_again(struct asked *a, const struct questions *q)
{
    struct search *s = a->s;
    uint64_t its_ns = or_default(s->scope->peer_ms, PEER_MS) * 1000000;

    if (a->again || !questions_timed_out(q) || late_ns(s) - a->late_ns < its_ns / LATE_PARTS)
        return false;
    a->again = true;
    s->again = xgrow(s->again, &s->again_cap, s->again_n + 1, sizeof(*s->again));
    s->again[s->again_n++] = a;
    return true;
}

static void on_asked(void *arg, struct questions *q)
{
    struct asked *a = arg;
    struct search *s = a->s;

    a->questions = NULL;
    s->active--;
    if (ask_again(a, q))
        return;
    s->done++;
    s->good += a->offer->reason == FETCH_USABLE;
}

static void ask_node(struct search *s, struct asked *a)
{
    const struct fetch_scope *o = s->scope;

    fetch_offer_reset(a->offer);
    a->late_ns = late_ns(s);
    a->questions = questions_begin(s->loop, a->offer, (uint32_t)or_default(o->peer_ms, PEER_MS),
                                   &o->way, on_asked, a);
    s->active++;
}

/* As many as there are sockets: one that waits for a place would lose its time. */
static void ask_nodes(struct search *s)
{
    size_t places = or_default(s->scope->max_sockets, MAX_SOCKETS);
    size_t others = s->lists_open + s->identities + (s->tip ? tip_open(s->tip) : 0);

    while (s->next < s->n && s->active + others < places)
        ask_node(s, s->nodes[s->next++]);
    while (s->next == s->n && s->again_next < s->again_n && s->active + others < places)
        ask_node(s, s->again[s->again_next++]);
}

/* Who is not done by now is silent. */
static void give_up_nodes(struct search *s)
{
    for (size_t i = 0; i < s->n; i++) {
        struct asked *a = s->nodes[i];

        if (i < s->next && !a->questions)
            continue;
        questions_free(TAKE(a->questions));
        fetch_offer_reset(a->offer);
        a->offer->reason = FETCH_NO_ANSWER;
        a->offer->why = xstrdup("the time for all was over");
    }
    s->next = s->n;
    s->again_next = s->again_n; /* what they said the first time stands */
    s->active = 0;
}

/* ---- who is behind a name ---------------------------------------------------------------------
 */

static void on_identity(void *arg, struct json *result)
{
    struct asked *a = arg;
    char id[BASE58_32_MAX];
    struct err *e = rpc_as_key(json_get(result, "identity"), id);

    a->identity = NULL;
    a->s->identities--;
    if (!e)
        a->says_id = xstrdup(id);
    err_free(e); /* a file server, or one that does not say */
}

static bool is_name(const char *url)
{
    AUTO(freep) char *origin = http_origin(url);
    char *host = strstr(origin, "://");
    struct in_addr address;

    host = host ? host + 3 : origin;
    if (*host == '[')
        return false;
    host[strcspn(host, ":")] = 0;
    return inet_pton(AF_INET, host, &address) != 1;
}

/* The lists have addresses, and the operator may have a name: of a node that is in them as well. */
static void ask_identities(struct search *s)
{
    for (size_t i = 0; i < s->given; i++) {
        struct asked *a = s->nodes[i];

        if (!is_name(a->offer->peer.url))
            continue;
        a->identity = ask_begin(s->loop, a->offer->peer.url, "getIdentity", NULL, &s->scope->way,
                                TIP_MS, on_identity, a);
        s->identities++;
    }
}

/* ---- lists -------------------------------------------------------------------------------- */

static struct err *take_list(struct list *l, const struct http_response *r)
{
    struct search *s = l->s;
    struct peers_list said;

    if (r->err)
        return err_new(r->err->kind, "%s", http_reason(r->err, l->url));
    if (r->status != 200)
        return err_remote(r->status, "it answers with status %d", r->status);
    TRY(peers_add(&s->peers, r->body, r->body_n, LIST_ID, on_peer, s, &said));
    l->shred_version = said.shred_version;
    return NULL;
}

static void close_list(struct list *l, const char *why)
{
    AUTO(freep) char *label = rpc_url_label(l->url);

    l->t = NULL;
    l->s->lists_open--;
    if (why)
        strlist_addf(&l->s->errors, "%s: %s", label, why);
    else
        l->s->listed_by++;
}

/* The same for all lists, and told once. */
static void close_list_of_proxy(struct list *l, const char *why)
{
    l->t = NULL;
    l->s->lists_open--;
    if (!strlist_has(&l->s->errors, why))
        strlist_add(&l->s->errors, why);
}

static void on_list(void *arg, struct http_transfer *t, struct http_response *r)
{
    struct list *l = arg;
    AUTO(freep) char *proxy = http_way_fault(&l->s->scope->way, l->url, r);
    AUTO(err_freep) struct err *e = proxy ? NULL : take_list(l, r);

    if (proxy)
        close_list_of_proxy(l, proxy);
    else
        close_list(l, e ? e->text : NULL);
    ask_nodes(l->s);
}

static void ask_lists(struct search *s)
{
    const struct fetch_scope *o = s->scope;
    uint64_t list_ms = or_default(o->list_ms, LIST_MS),
             half_ms = or_default(o->total_ms, TOTAL_MS) / 2;

    s->lists_n = o->rpcs ? o->rpcs->n : 0;
    s->lists = xcalloc(s->lists_n, sizeof(*s->lists));
    for (size_t i = 0; i < s->lists_n; i++) {
        struct list *l = &s->lists[i];
        struct http_request req = {
            .method = "POST",
            .url = o->rpcs->items[i],
            .body = list_call,
            .body_n = strlen(list_call),
            .headers = json_headers,
            .timeout_ms = (uint32_t)(list_ms > half_ms ? list_ms : half_ms),
            .max_body_b = PEERS_BODY_MAX,
        };

        http_take_way(&req, &o->way);
        *l = (struct list){.s = s, .url = req.url};
        l->t = http_begin(s->loop, &req, on_list, l);
        s->lists_open++;
    }
}

static void give_up_lists(struct search *s)
{
    for (size_t i = 0; i < s->lists_n; i++) {
        struct list *l = &s->lists[i];

        if (!l->t)
            continue;
        http_cancel(l->t);
        close_list(l, "its list of nodes did not come in time");
    }
}

/* ---- the search --------------------------------------------------------------------------- */

static struct err *on_tick(void *arg, bool *ret_stop)
{
    struct search *s = arg;
    const struct fetch_scope *o = s->scope;
    uint64_t now = clock_mono_ns(s->ctx), ms = gone_ms(s);

    s->late_ns = late_ns(s);
    s->tick_ns = now;
    if (s->lists_open && s->listed_by && ms >= or_default(o->list_ms, LIST_MS))
        give_up_lists(s);
    if (ms >= or_default(o->total_ms, TOTAL_MS)) {
        give_up_lists(s);
        give_up_nodes(s);
        *ret_stop = true;
    }
    ask_nodes(s);
    if (o->progress && now - s->told_ns >= PROGRESS_NS) {
        s->told_ns = now;
        o->progress(o->arg, s->done, s->n, s->good);
    }
    return NULL;
}

/* That of most lists; where they are even, that of the list named first. */
static struct known_u64 shred_version_of(const struct search *s)
{
    struct known_u64 best = {0};
    size_t most = 0;

    for (size_t i = 0; i < s->lists_n; i++) {
        const struct known_u64 *v = &s->lists[i].shred_version;
        size_t n = 0;

        for (size_t k = 0; v->known && k < s->lists_n; k++)
            n += s->lists[k].shred_version.known && s->lists[k].shred_version.v == v->v;
        if (n > most) {
            most = n;
            best = *v;
        }
    }
    return best;
}

static void reject_shred_version(struct fetch_offer *o, const struct known_u64 *cluster)
{
    const struct known_u64 *own = &o->peer.shred_version;

    if (!own->known || !cluster->known || own->v == cluster->v)
        return;
    fetch_file_clear(&o->full);
    fetch_file_clear(&o->incr);
    free(o->why);
    o->reason = FETCH_SHRED_VERSION;
    o->why = xasprintf("its shred version is %llu, the cluster's %llu", (unsigned long long)own->v,
                       (unsigned long long)cluster->v);
}

/* What the lists say of a node goes to its offer. */
static void describe(struct search *s, const struct peer *p, struct fetch_peer *to, bool proven)
{
    to->disputed = to->disputed || p->disputed || !proven;
    if (to->id)
        return; /* two ids claim one address: the first stays */
    to->id = xstrdup(p->id);
    to->version = p->version[0] ? xstrdup(p->version) : NULL;
    to->shred_version = p->shred_version;
    to->known = proven && !p->disputed && s->scope->known && strlist_has(s->scope->known, p->id);
}

/* The node that was named by a host name and answered from the address that this list entry has; or
 * that says it is the one of this entry, which proves nothing but is good enough to count it as the
 * same. */
static struct asked *named_by(struct search *s, const struct peer *p, bool *ret_proven)
{
    for (size_t i = 0; i < s->given; i++) {
        struct asked *a = s->nodes[i];

        *ret_proven = p->rpc[0] && str_eq(a->offer->peer.address, p->rpc);
        if (*ret_proven || str_eq(a->says_id, p->id))
            return a;
    }
    return NULL;
}

/* Asked under its name and under its address: the name stays, when it is of use. */
static void drop_twin(const struct asked *named, struct asked *listed)
{
    if (named == listed || named->offer->reason != FETCH_USABLE)
        return;
    offer_clear(listed->offer);
    free(TAKE(listed->offer));
}

static void describe_all(struct search *s)
{
    for (size_t i = 0; i < s->peers.n; i++) {
        const struct peer *p = &s->peers.items[i];
        struct asked *listed = p->tag ? s->nodes[p->tag - 1] : NULL, *named;
        bool proven;

        named = named_by(s, p, &proven);
        if (listed && listed->offer)
            describe(s, p, &listed->offer->peer, true);
        if (named)
            describe(s, p, &named->offer->peer, proven);
        if (named && listed && listed->offer && proven)
            drop_twin(named, listed);
    }
}

static void hand_over(struct search *s, struct fetch_found *ret)
{
    struct known_u64 cluster = shred_version_of(s);

    *ret =
        (struct fetch_found){.listed_by = s->listed_by, .errors = s->errors, .tip = tip_of(s->tip)};
    s->errors = (struct strlist){0};
    ret->known = s->scope->known ? s->scope->known->n : 0;
    describe_all(s);
    for (size_t i = 0; i < s->peers.n; i++)
        ret->without_rpc += !s->peers.items[i].rpc[0];
    ret->offers = xcalloc(s->n, sizeof(*ret->offers));
    for (size_t i = 0; i < s->n; i++) {
        struct fetch_offer *o = s->nodes[i]->offer;

        if (!o)
            continue;
        reject_shred_version(o, &cluster);
        if (o->reason == FETCH_PROXY && !ret->proxy_fault)
            ret->proxy_fault = xstrdup(o->why);
        ret->offers[ret->n++] = *o;
        *o = (struct fetch_offer){0};
    }
    ret->cap = ret->n;
}

/* Silence everywhere: what each of those that were given did. */
static struct err *nobody(const struct search *s)
{
    AUTO(strbuf_clear) struct strbuf b = {0};
    bool proxy = false;
    struct err *e;

    for (size_t i = 0; i < s->given; i++) {
        const struct fetch_offer *o = s->nodes[i]->offer;
        AUTO(freep) char *label = rpc_url_label(o->peer.url);

        if (s->listed_by || (o->reason != FETCH_NO_ANSWER && o->reason != FETCH_NOT_HTTP &&
                             o->reason != FETCH_PROXY))
            return NULL;
        proxy |= o->reason == FETCH_PROXY;
        if (o->reason == FETCH_PROXY && !strstr(strbuf_text(&b), o->why))
            strbuf_printf(&b, "; %s", o->why); /* once for all of them */
        else if (o->reason != FETCH_PROXY && i < TOLD_MAX)
            strbuf_printf(&b, "; %s: %s", label, o->why);
    }
    e = err_remote(0, "no node could be asked for snapshots%s%s", strbuf_text(&b),
                   s->given > TOLD_MAX && !proxy ? "; ..." : "");
    return proxy ? err_hint(e, "is the proxy right (snapshot.proxy, --proxy)?")
                 : err_hint(e, "name an RPC node that answers (--rpc, cluster.references), or the "
                               "proxy that leads to it (--proxy)");
}

struct err *fetch_find(struct ctx *ctx, const struct fetch_scope *scope, struct fetch_found *ret)
{
    AUTO(search_clear) struct search s = {.ctx = ctx, .scope = scope};
    const struct http_loop_opts o = {.max_sockets = or_default(scope->max_sockets, MAX_SOCKETS)};

    s.begun_ns = s.told_ns = s.tick_ns = clock_mono_ns(ctx);
    TRY(http_loop_new(ctx, &o, &s.loop));
    add_given(&s, scope->rpcs, true);
    add_given(&s, scope->sources, false);
    s.tip = tip_begin(s.loop, scope->tip_from, &scope->way, TIP_MS);
    ask_lists(&s);
    ask_identities(&s);
    ask_nodes(&s);
    TRY(http_loop_run(s.loop, WAKE_MS, on_tick, &s));
    TRY(nobody(&s));
    hand_over(&s, ret);
    log_debug("asked %zu nodes for snapshots in %llu ms: %zu have some", s.n,
              (unsigned long long)gone_ms(&s), s.good);
    return NULL;
}

const char *fetch_reason_name(enum fetch_reason r)
{
    static const char *const names[FETCH_REASONS_N] = {
        [FETCH_USABLE] = "usable",
        [FETCH_NO_RPC] = "no-rpc",
        [FETCH_NO_ANSWER] = "no-answer",
        [FETCH_NOT_HTTP] = "not-http",
        [FETCH_PROXY] = "proxy",
        [FETCH_STATUS] = "status",
        [FETCH_NO_SNAPSHOT] = "no-snapshot",
        [FETCH_ELSEWHERE] = "elsewhere",
        [FETCH_BAD_NAME] = "bad-name",
        [FETCH_FORMAT] = "format",
        [FETCH_VANISHED] = "vanished",
        [FETCH_BAD_SIZE] = "bad-size",
        [FETCH_SHRED_VERSION] = "shred-version",
        [FETCH_VERSION] = "version",
        [FETCH_BLACKLISTED] = "blacklisted",
        [FETCH_AHEAD] = "ahead",
        [FETCH_TOO_OLD] = "too-old",
        [FETCH_TOO_LATE] = "too-late",
        [FETCH_TOO_SLOW] = "too-slow",
        [FETCH_TOO_FAR] = "too-far",
        [FETCH_UNTRUSTED] = "untrusted",
        [FETCH_NO_BASE] = "no-base",
    };

    return r < FETCH_REASONS_N ? names[r] : "?";
}
