/* getClusterNodes, read in place: what a tree of JSON values would cost for each of 4,300 nodes is
 * more than all questions to them. Only the four members that are needed are looked at; the rest is
 * stepped over. Lists of several nodes become one set. */
#include "fetch/peers.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/str.h"
#include "solana/rpc.h"

#define DEPTH_MAX 32

/* ---- JSON, forwards ----------------------------------------------------------------------- */

struct scan {
    const char *p, *end;
};
/* The bytes between the quotes, as they stand; plain: no escape among them. */
struct text {
    const char *p;
    size_t n;
    bool plain;
};

static void skip_blanks(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
        s->p++;
}

/* The next character that is no blank, or 0. */
static char peek(struct scan *s)
{
    skip_blanks(s);
    return s->p < s->end ? *s->p : 0;
}

static bool take_char(struct scan *s, char c)
{
    if (peek(s) != c)
        return false;
    s->p++;
    return true;
}

static bool take_text(struct scan *s, struct text *ret)
{
    if (!take_char(s, '"'))
        return false;
    *ret = (struct text){.p = s->p, .plain = true};
    for (; s->p < s->end; s->p++) {
        if (*s->p == '"') {
            ret->n = (size_t)(s->p++ - ret->p);
            return true;
        }
        if ((unsigned char)*s->p < ' ')
            return false;
        if (*s->p == '\\') {
            ret->plain = false;
            if (++s->p == s->end)
                return false;
        }
    }
    return false;
}

/* A number or true, false, null: for what is not looked at, any word of such characters. */
static bool take_word(struct scan *s, struct text *ret)
{
    const char *begin;

    peek(s);
    begin = s->p;
    while (s->p < s->end &&
           (*s->p == '-' || *s->p == '+' || *s->p == '.' || (*s->p >= '0' && *s->p <= '9') ||
            (*s->p >= 'a' && *s->p <= 'z') || *s->p == 'E'))
        s->p++;
    *ret = (struct text){.p = begin, .n = (size_t)(s->p - begin), .plain = true};
    return ret->n > 0;
}

static bool skip_scalar(struct scan *s)
{
    struct text t;

    return peek(s) == '"' ? take_text(s, &t) : take_word(s, &t);
}

/* Any value. Commas and brackets are matched; a comma too many is not worth a refusal. */
static bool skip_value(struct scan *s)
{
    char open[DEPTH_MAX];
    size_t depth = 0;

    do {
        char c = peek(s);

        if (c == '{' || c == '[') {
            if (depth == DEPTH_MAX)
                return false;
            open[depth++] = c == '{' ? '}' : ']';
            s->p++;
        } else if (depth && c == open[depth - 1]) {
            depth--;
            s->p++;
        } else if (depth && (c == ',' || (c == ':' && open[depth - 1] == '}'))) {
            s->p++;
        } else if (!skip_scalar(s)) {
            return false;
        }
    } while (depth);
    return true;
}

static bool is(const struct text *t, const char *word)
{
    return t->plain && t->n == strlen(word) && memcmp(t->p, word, t->n) == 0;
}

/* The next member of an object that was entered: its name, and s before its value. *ret_end: there
 * is none, and s is behind the object. */
static bool next_member(struct scan *s, bool first, struct text *ret_name, bool *ret_end)
{
    *ret_end = take_char(s, '}');
    if (*ret_end)
        return true;
    return (first || take_char(s, ',')) && take_text(s, ret_name) && take_char(s, ':');
}

/* ---- one node ----------------------------------------------------------------------------- */

static bool is_key(const char *text)
{
    uint8_t key[32];
    struct err *e = base58_decode32(text, strlen(text), key);

    err_free(e);
    return !e;
}

/* A socket address as Rust prints it; other hosts than IP addresses are not asked. */
static bool is_address(const char *text)
{
    char host[PEER_RPC_MAX];
    unsigned char address[sizeof(struct in6_addr)];
    const char *colon = strrchr(text, ':');
    uint64_t port;
    size_t n;
    struct err *e;

    if (!colon)
        return false;
    e = parse_u64(colon + 1, 1, UINT16_MAX, &port);
    err_free(e);
    if (e)
        return false;
    n = (size_t)(colon - text);
    memcpy(host, text, n);
    host[n] = 0;
    if (n < 2 || host[0] != '[')
        return inet_pton(AF_INET, host, address) == 1;
    if (host[n - 1] != ']')
        return false;
    host[n - 1] = 0;
    return inet_pton(AF_INET6, host + 1, address) == 1;
}

static void set_text(const struct text *t, char *to, size_t to_n)
{
    if (!t->plain || t->n >= to_n)
        return;
    memcpy(to, t->p, t->n);
    to[t->n] = 0;
}

static void set_version(const struct text *t, char to[static PEER_VERSION_MAX])
{
    for (size_t i = 0; i < t->n; i++)
        if (t->p[i] <= ' ' || t->p[i] > '~' || t->p[i] == '"' || t->p[i] == '\'')
            return;
    set_text(t, to, PEER_VERSION_MAX);
}

static void set_shred_version(const struct text *t, struct known_u64 *to)
{
    char digits[8] = "";
    struct err *e;

    set_text(t, digits, sizeof(digits));
    e = parse_u64(digits, 1, UINT16_MAX, &to->v);
    to->known = !e;
    err_free(e);
}

static bool read_member(struct scan *s, const struct text *name, struct peer *ret)
{
    struct text t;

    if (peek(s) == '"' && (is(name, "pubkey") || is(name, "rpc") || is(name, "version"))) {
        if (!take_text(s, &t))
            return false;
        if (is(name, "pubkey"))
            set_text(&t, ret->id, sizeof(ret->id));
        else if (is(name, "rpc"))
            set_text(&t, ret->rpc, sizeof(ret->rpc));
        else if (is(name, "version"))
            set_version(&t, ret->version);
        return true;
    }
    if (!is(name, "shredVersion") || peek(s) == '"' || peek(s) == '{' || peek(s) == '[')
        return skip_value(s);
    if (!take_word(s, &t))
        return false;
    set_shred_version(&t, &ret->shred_version);
    return true;
}

/* An element of the list: an object, or anything else, which is no node (id ""). */
static bool read_node(struct scan *s, struct peer *ret)
{
    struct text name;
    bool end;

    *ret = (struct peer){.id = ""};
    if (peek(s) != '{')
        return skip_value(s);
    s->p++;
    for (bool first = true;; first = false) {
        if (!next_member(s, first, &name, &end))
            return false;
        if (end)
            break;
        if (!read_member(s, &name, ret))
            return false;
    }
    if (ret->rpc[0] && !is_address(ret->rpc))
        ret->rpc[0] = 0;
    return true;
}

/* ---- one reply ---------------------------------------------------------------------------- */

/* Where its list begins, before the bracket. False: it is no reply with one. */
static bool find_list(const char *body, size_t n, uint64_t id, struct scan *ret)
{
    struct scan s = {.p = body, .end = body + n};
    struct text name, word = {0};
    bool found = false, end;
    char want[24];

    if (!take_char(&s, '{'))
        return false;
    for (bool first = true;; first = false) {
        if (!next_member(&s, first, &name, &end))
            return false;
        if (end)
            break;
        if (is(&name, "result") && (found || peek(&s) != '['))
            return false;
        if (is(&name, "result")) {
            found = true;
            *ret = s;
        }
        if (is(&name, "id") ? !take_word(&s, &word) : !skip_value(&s))
            return false;
    }
    snprintf(want, sizeof(want), "%llu", (unsigned long long)id);
    return found && !peek(&s) && s.p == s.end && is(&word, want);
}

typedef struct err *node_fn(void *arg, struct peer *peer);

static struct err *each_node(struct scan s, node_fn *fn, void *arg)
{
    struct peer peer;
    size_t n = 0;

    take_char(&s, '[');
    for (bool first = true; !take_char(&s, ']'); first = false) {
        if ((!first && !take_char(&s, ',')) || !read_node(&s, &peer))
            return err_remote(0, "its list of nodes is broken");
        if (++n > PEERS_MAX)
            return err_remote(0, "its list has more than %d nodes", PEERS_MAX);
        if (fn && peer.id[0])
            TRY(fn(arg, &peer));
    }
    return NULL;
}

/* What is no list: the error that it says, or that it is nonsense. */
static struct err *why_not(const char *body, size_t n, uint64_t id)
{
    AUTO(json_freep) struct json *result = NULL;
    AUTO(json_freep) struct json *error = NULL;

    if (n > RPC_BODY_MAX)
        return err_remote(0, "its list of nodes is broken");
    TRY(rpc_parse_reply(body, n, id, &result, &error));
    if (error)
        return rpc_error_of(error);
    return err_remote(0, "it answers getClusterNodes with something that is no list of nodes");
}

/* ---- the set ------------------------------------------------------------------------------ */

void peers_clear(struct peers *p)
{
    free(p->items);
    free(p->by_id);
    free(p->by_rpc);
    *p = (struct peers){0};
}

/* Seeded, so that nobody can choose texts that all fall into one place. */
static size_t slot_of(const struct peers *p, const char *text)
{
    uint64_t h = p->seed;

    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * 0x9E3779B97F4A7C15u;
    return (size_t)(h ^ h >> 32) & (p->slots_n - 1);
}

static size_t next_slot(const struct peers *p, size_t at)
{
    return (at + 1) & (p->slots_n - 1);
}

static void put_slot(const struct peers *p, uint32_t *slots, const char *text, size_t i)
{
    size_t at = slot_of(p, text);

    while (slots[at])
        at = next_slot(p, at);
    slots[at] = (uint32_t)i + 1;
}

static void put_slots(struct peers *p, size_t i)
{
    put_slot(p, p->by_id, p->items[i].id, i);
    if (p->items[i].rpc[0])
        put_slot(p, p->by_rpc, p->items[i].rpc, i);
}

static void make_room(struct peers *p)
{
    if (2 * (p->n + 1) <= p->slots_n)
        return;
    if (!p->seed && getrandom(&p->seed, sizeof(p->seed), GRND_NONBLOCK) != sizeof(p->seed))
        p->seed = (uintptr_t)p;
    free(p->by_id);
    free(p->by_rpc);
    p->slots_n = p->slots_n ? 2 * p->slots_n : 1024;
    p->by_id = xcalloc(p->slots_n, sizeof(*p->by_id));
    p->by_rpc = xcalloc(p->slots_n, sizeof(*p->by_rpc));
    for (size_t i = 0; i < p->n; i++)
        put_slots(p, i);
}

/* The peer of this id and address, or of this id without one; NULL: new. Others of the id are
 * disputed with it. */
static struct peer *find_peer(struct peers *p, struct peer *like)
{
    struct peer *found = NULL;

    for (size_t at = slot_of(p, like->id); p->by_id[at]; at = next_slot(p, at)) {
        struct peer *had = &p->items[p->by_id[at] - 1];

        if (!str_eq(had->id, like->id))
            continue;
        if (!like->rpc[0] || !had->rpc[0] || str_eq(had->rpc, like->rpc))
            found = had;
        else
            had->disputed = like->disputed = true;
    }
    return found;
}

/* Several ids at one address are asked once, and who is there is not known. */
static bool is_new_address(struct peers *p, struct peer *like)
{
    for (size_t at = slot_of(p, like->rpc); p->by_rpc[at]; at = next_slot(p, at)) {
        struct peer *had = &p->items[p->by_rpc[at] - 1];

        if (str_eq(had->rpc, like->rpc)) {
            had->disputed = had->disputed || !str_eq(had->id, like->id);
            like->disputed = like->disputed || had->disputed;
            return false;
        }
    }
    return true;
}

struct adding {
    struct peers *p;
    void (*found)(void *arg, struct peer *peer);
    void *arg;
    size_t n;
    uint32_t *shreds; /* how many have each shred version */
};

static struct err *add_node(void *arg, struct peer *peer)
{
    struct adding *a = arg;
    struct peers *p = a->p;
    struct peer *had;
    bool fresh, moved;

    make_room(p);
    had = find_peer(p, peer);
    if (!had && (p->n == PEERS_MAX || !is_key(peer->id)))
        return NULL;
    a->n++;
    if (peer->shred_version.known)
        a->shreds[peer->shred_version.v]++;
    fresh = peer->rpc[0] && is_new_address(p, peer);
    moved = had && !had->rpc[0] && peer->rpc[0];
    if (!had) {
        p->items = xgrow(p->items, &p->cap, p->n + 1, sizeof(*p->items));
        p->items[p->n] = *peer;
        had = &p->items[p->n];
        put_slots(p, p->n++);
    }
    had->disputed = had->disputed || peer->disputed;
    if (moved) {
        memcpy(had->rpc, peer->rpc, sizeof(had->rpc));
        put_slot(p, p->by_rpc, had->rpc, (size_t)(had - p->items));
    }
    if (!had->version[0])
        memcpy(had->version, peer->version, sizeof(had->version));
    if (!had->shred_version.known)
        had->shred_version = peer->shred_version;
    if (fresh && a->found)
        a->found(a->arg, had);
    return NULL;
}

struct err *peers_add(struct peers *p, const char *body, size_t n, uint64_t id,
                      void (*found)(void *arg, struct peer *peer), void *arg,
                      struct peers_list *ret)
{
    struct adding a = {.p = p, .found = found, .arg = arg};
    AUTO(freep) uint32_t *shreds = a.shreds = xcalloc(UINT16_MAX + 1, sizeof(*shreds));
    struct scan list;
    size_t most = 0;

    if (!find_list(body, n, id, &list))
        return why_not(body, n, id);
    TRY(each_node(list, NULL, NULL)); /* all of it, before any of it counts */
    TRY(each_node(list, add_node, &a));
    for (size_t i = 1; i <= UINT16_MAX; i++)
        if (shreds[i] > shreds[most])
            most = i;
    *ret = (struct peers_list){.n = a.n, .shred_version = {.known = most > 0, .v = most}};
    return NULL;
}
