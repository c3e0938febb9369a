/* Counts who serves which snapshot. Pure: what is done with an archive that too few serve is the
 * caller's decision. */
#include "fetch/trust.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/http.h"

/* The host of a URL, without brackets, and what follows it; false when there is none or it is too
 * long. */
static bool host_of(const char *url, char *ret, size_t cap, const char **ret_rest)
{
    const char *at = strstr(url, "://"), *end, *user;
    size_t n;

    at = at ? at + 3 : url;
    end = at + strcspn(at, "/?#");
    user = memrchr(at, '@', (size_t)(end - at));
    at = user ? user + 1 : at;
    if (*at == '[') {
        at++;
        n = strcspn(at, "]");
    } else {
        n = strcspn(at, ":/?#");
    }
    if (n == 0 || n >= cap)
        return false;
    memcpy(ret, at, n);
    ret[n] = 0;
    *ret_rest = at[n] == ']' ? at + n + 1 : at + n;
    return true;
}

/* Addresses that anybody may have at home. Bits, so that several of them are one number. */
enum block {
    PUBLIC = 0,
    LOOPBACK = 1 << 0,
    TEN = 1 << 1,          /* 10.0.0.0/8 */
    TWELVE = 1 << 2,       /* 172.16.0.0/12 */
    SIXTEEN = 1 << 3,      /* 192.168.0.0/16 */
    SHARED = 1 << 4,       /* 100.64.0.0/10, between a provider and its customers */
    LINK4 = 1 << 5,        /* 169.254.0.0/16 */
    LINK6 = 1 << 6,        /* fe80::/10 */
    UNIQUE_LOCAL = 1 << 7, /* fc00::/7 */
};

/* Where a node is: the text that is equal for all of its network, and the block of its address. */
struct place {
    char network[TRUST_NETWORK_MAX];
    enum block block;
    bool named; /* network is of a name; it has no address */
};

static enum block block4(const uint8_t a[4])
{
    return a[0] == 127                               ? LOOPBACK
           : a[0] == 10                              ? TEN
           : a[0] == 172 && a[1] >= 16 && a[1] < 32  ? TWELVE
           : a[0] == 192 && a[1] == 168              ? SIXTEEN
           : a[0] == 100 && a[1] >= 64 && a[1] < 128 ? SHARED
           : a[0] == 169 && a[1] == 254              ? LINK4
                                                     : PUBLIC;
}

static enum block block6(const struct in6_addr *ip)
{
    const uint8_t *a = ip->s6_addr;

    return IN6_IS_ADDR_LOOPBACK(ip)                ? LOOPBACK
           : (a[0] & 0xfe) == 0xfc                 ? UNIQUE_LOCAL
           : a[0] == 0xfe && (a[1] & 0xc0) == 0x80 ? LINK6
                                                   : PUBLIC;
}

static void place4(const uint8_t a[4], struct place *ret)
{
    ret->block = block4(a);
    if (ret->block)
        snprintf(ret->network, sizeof(ret->network), "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
    else
        snprintf(ret->network, sizeof(ret->network), "%u.%u", a[0], a[1]);
}

/* The IPv4 address that an IPv6 one stands for (mapped, 6to4, NAT64), or NULL: whoever has the one
 * has the other as well. */
static const uint8_t *inner4(const struct in6_addr *ip)
{
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    const uint8_t *a = ip->s6_addr;

    if (IN6_IS_ADDR_V4MAPPED(ip) || IN6_IS_ADDR_V4COMPAT(ip) ||
        memcmp(a, nat64, sizeof(nat64)) == 0)
        return a + 12;
    return a[0] == 0x20 && a[1] == 0x02 ? a + 2 : NULL;
}

static void place6(const struct in6_addr *ip, struct place *ret)
{
    const uint8_t *a = ip->s6_addr, *v4 = inner4(ip);

    if (v4) {
        place4(v4, ret);
        return;
    }
    ret->block = block6(ip);
    if (!ret->block)
        snprintf(ret->network, sizeof(ret->network), "%02x%02x:%02x%02x", a[0], a[1], a[2], a[3]);
    else if (!inet_ntop(AF_INET6, ip, ret->network, sizeof(ret->network)))
        snprintf(ret->network, sizeof(ret->network), "?");
}

/* "rpc.example.com." and "cdn.example.com" are one: somebody who owns a domain owns all its names.
 */
static void place_name(const char *host, struct place *ret)
{
    size_t n = strlen(host), from;
    int dots = 0;

    while (n && host[n - 1] == '.')
        n--;
    for (from = n; from > 0; from--)
        if (host[from - 1] == '.' && ++dots == 2)
            break;
    snprintf(ret->network, sizeof(ret->network), "%.*s", (int)(n - from), host + from);
    for (char *p = ret->network; *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
    ret->named = true;
    ret->block = str_eq(ret->network, "localhost") ? LOOPBACK : PUBLIC;
}

/* Tunnels to several nodes end on one address, at ports of their own. */
static void add_port(const char *rest, struct place *ret)
{
    size_t n = strlen(ret->network);

    if (*rest == ':')
        snprintf(ret->network + n, sizeof(ret->network) - n, ":%.*s",
                 (int)strspn(rest + 1, "0123456789"), rest + 1);
}

/* Of a URL, or of "address:port". */
static struct place place_of(const char *url)
{
    struct place p = {0};
    char host[256];
    const char *rest;
    struct in_addr ip4;
    struct in6_addr ip6;

    if (!host_of(url, host, sizeof(host), &rest))
        snprintf(p.network, sizeof(p.network), "?");
    else if (inet_pton(AF_INET, host, &ip4) == 1)
        place4((const uint8_t *)&ip4, &p);
    else if (inet_pton(AF_INET6, host, &ip6) == 1)
        place6(&ip6, &p);
    else
        place_name(host, &p);
    if (p.block == LOOPBACK)
        add_port(rest, &p);
    return p;
}

void trust_network(const char *url, char ret[static TRUST_NETWORK_MAX])
{
    const struct place p = place_of(url);

    memcpy(ret, p.network, TRUST_NETWORK_MAX);
}

/* ---- who is one and the same ------------------------------------------------------------------
 */

/* What tells that two nodes are of one hand: any of these that both have. */
#define MARKS_MAX 3
struct marks {
    char items[MARKS_MAX][TRUST_NETWORK_MAX];
    size_t n;
};

static void add_mark(struct marks *m, char kind, const char *text)
{
    snprintf(m->items[m->n++], TRUST_NETWORK_MAX, "%c %s", kind, text);
}

/* The blocks that the RPC nodes are in which the operator named: there others can be as well. */
static uint32_t blocks_of(const struct fetch_found *f)
{
    uint32_t blocks = 0;

    for (size_t i = 0; i < f->n; i++) {
        const struct fetch_peer *p = &f->offers[i].peer;

        if (p->rpc)
            blocks |= place_of(p->address ? p->address : p->url).block;
    }
    return blocks;
}

static void mark(const struct fetch_peer *p, uint32_t blocks, struct marks *ret)
{
    const struct place named = place_of(p->url), at = p->address ? place_of(p->address) : named;

    *ret = (struct marks){0};
    /* gossip tells what it likes: that somebody answers there says nothing about how many */
    if (at.block && !p->given && !(at.block & blocks))
        add_mark(ret, 'n', "private");
    else
        add_mark(ret, at.named ? 'd' : 'n', at.network);
    if (named.named && !at.named && !at.block)
        add_mark(ret, 'd', named.network);
    if (p->id)
        add_mark(ret, 'i', p->id);
}

struct marked {
    const char *mark;
    size_t who;
};

static int by_mark(const void *a, const void *b)
{
    const struct marked *x = a, *y = b;

    return strcmp(x->mark, y->mark);
}

static size_t root_of(size_t *parent, size_t i)
{
    for (; parent[i] != i; i = parent[i])
        parent[i] = parent[parent[i]];
    return i;
}

/* One archive at one node: what is counted. */
struct witness {
    struct trust_group of; /* its first members alone */
    bool known, source;
    const struct marks *marks;
};

/* How many there are when all that share a mark are one. */
static size_t count_distinct(const struct witness *w, size_t n)
{
    AUTO(freep) struct marked *all = xcalloc(n * MARKS_MAX, sizeof(*all));
    AUTO(freep) size_t *parent = xcalloc(n, sizeof(*parent));
    size_t marks = 0, roots = 0;

    for (size_t i = 0; i < n; i++) {
        parent[i] = i;
        for (size_t k = 0; k < w[i].marks->n; k++)
            all[marks++] = (struct marked){.mark = w[i].marks->items[k], .who = i};
    }
    qsort(all, marks, sizeof(*all), by_mark);
    for (size_t i = 1; i < marks; i++)
        if (str_eq(all[i].mark, all[i - 1].mark))
            parent[root_of(parent, all[i].who)] = root_of(parent, all[i - 1].who);
    for (size_t i = 0; i < n; i++)
        roots += parent[i] == i;
    return roots;
}

/* ---- groups -----------------------------------------------------------------------------------
 */

static int by_archive(const struct trust_group *a, const struct trust_group *b)
{
    if (a->incremental != b->incremental)
        return a->incremental ? 1 : -1;
    if (a->slot != b->slot)
        return a->slot < b->slot ? -1 : 1;
    if (a->base != b->base)
        return a->base < b->base ? -1 : 1;
    return strcmp(a->hash, b->hash);
}

static struct trust_group archive_of(bool incremental, const struct fetch_file *f)
{
    return (struct trust_group){.incremental = incremental,
                                .base = incremental ? f->base : 0,
                                .slot = f->slot,
                                .hash = f->hash};
}

static int by_witness(const void *a, const void *b)
{
    const struct witness *x = a, *y = b;

    return by_archive(&x->of, &y->of);
}

static bool same_origin(const char *a, const char *b)
{
    size_t n = http_origin_n(a);

    return n == http_origin_n(b) && strncasecmp(a, b, n) == 0;
}

static bool is_source(const struct trust_limits *l, const char *url)
{
    for (size_t i = 0; l->sources && i < l->sources->n; i++)
        if (same_origin(l->sources->items[i], url))
            return true;
    return false;
}

static void add_witness(struct witness *items, size_t *n, const struct fetch_peer *peer,
                        const struct marks *marks, const struct trust_limits *l,
                        const struct fetch_file *file, bool incremental)
{
    if (!file->name || !file->hash)
        return;
    items[(*n)++] = (struct witness){.of = archive_of(incremental, file),
                                     .known = peer->known,
                                     .source = is_source(l, peer->url),
                                     .marks = marks};
}

static enum trust_kind kind_of(const struct trust_limits *l, const struct trust_group *g,
                               bool known, bool source)
{
    uint64_t min = l->min_peers ? l->min_peers : 1;

    return known                ? TRUST_KNOWN
           : source             ? TRUST_SOURCE
           : g->networks >= min ? TRUST_PEERS
                                : TRUST_NONE;
}

/* The witnesses of one archive stand together. */
static size_t add_group(struct trust_book *b, const struct witness *w, size_t n,
                        const struct trust_limits *l)
{
    struct trust_group g = w->of;
    bool known = false, source = false;
    size_t i;

    for (i = 0; i < n; i++) {
        if (by_archive(&w->of, &w[i].of) != 0)
            break;
        known |= w[i].known;
        source |= w[i].source;
    }
    g.sources = i;
    g.networks = count_distinct(w, i);
    g.kind = kind_of(l, &g, known, source);
    b->items = xgrow(b->items, &b->cap, b->n + 1, sizeof(*b->items));
    b->items[b->n++] = g;
    return i;
}

void trust_count(const struct fetch_found *found, const bool *skip, const struct trust_limits *l,
                 struct trust_book *ret)
{
    AUTO(freep) struct witness *items = xcalloc(2 * found->n, sizeof(*items));
    AUTO(freep) struct marks *marks = xcalloc(found->n, sizeof(*marks));
    uint32_t blocks = blocks_of(found);
    size_t n = 0;

    *ret = (struct trust_book){0};
    for (size_t i = 0; i < found->n; i++) {
        const struct fetch_offer *o = &found->offers[i];

        if ((skip && skip[i]) || !o->full.name)
            continue;
        mark(&o->peer, blocks, &marks[i]);
        add_witness(items, &n, &o->peer, &marks[i], l, &o->full, false);
        add_witness(items, &n, &o->peer, &marks[i], l, &o->incr, true);
    }
    qsort(items, n, sizeof(*items), by_witness);
    for (size_t i = 0; i < n;)
        i += add_group(ret, items + i, n - i, l);
}

void trust_book_clear(struct trust_book *b)
{
    free(b->items);
    *b = (struct trust_book){0};
}

const struct trust_group *trust_find(const struct trust_book *b, bool incremental,
                                     const struct fetch_file *f)
{
    const struct trust_group of = archive_of(incremental, f);
    size_t low = 0, high = b->n;

    while (f->name && f->hash && low < high) {
        size_t mid = low + (high - low) / 2;
        const struct trust_group *g = &b->items[mid];
        int d = by_archive(&of, g);

        if (d == 0)
            return g;
        if (d < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

const char *trust_text(const struct trust_group *g, char buf[static TRUST_TEXT_MAX])
{
    if (!g || g->kind == TRUST_NONE)
        return "none";
    if (g->kind == TRUST_KNOWN)
        return "known-validator";
    if (g->kind == TRUST_SOURCE)
        return "source";
    snprintf(buf, TRUST_TEXT_MAX, "peers:%zu", g->networks);
    return buf;
}
