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

static bool is_private4(const uint8_t a[4])
{
    return a[0] == 10 || a[0] == 127 || (a[0] == 172 && a[1] >= 16 && a[1] < 32) ||
           (a[0] == 192 && a[1] == 168) || (a[0] == 169 && a[1] == 254) ||
           (a[0] == 100 && a[1] >= 64 && a[1] < 128);
}

static void network4(const uint8_t a[4], char *ret, size_t cap)
{
    if (is_private4(a))
        snprintf(ret, cap, "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
    else
        snprintf(ret, cap, "%u.%u", a[0], a[1]);
}

static void network6(const struct in6_addr *ip, char *ret, size_t cap)
{
    const uint8_t *a = ip->s6_addr;
    bool own = (a[0] & 0xfe) == 0xfc || (a[0] == 0xfe && (a[1] & 0xc0) == 0x80) ||
               IN6_IS_ADDR_LOOPBACK(ip);

    if (IN6_IS_ADDR_V4MAPPED(ip) || IN6_IS_ADDR_V4COMPAT(ip))
        network4(a + 12, ret, cap);
    else if (!own)
        snprintf(ret, cap, "%02x%02x:%02x%02x", a[0], a[1], a[2], a[3]);
    else if (!inet_ntop(AF_INET6, ip, ret, (socklen_t)cap))
        snprintf(ret, cap, "?");
}

/* "rpc.example.com." and "cdn.example.com" are one: somebody who owns a domain owns all its names.
 */
static void network_name(const char *host, char *ret, size_t cap)
{
    size_t n = strlen(host), from;
    int dots = 0;

    while (n && host[n - 1] == '.')
        n--;
    for (from = n; from > 0; from--)
        if (host[from - 1] == '.' && ++dots == 2)
            break;
    snprintf(ret, cap, "%.*s", (int)(n - from), host + from);
    for (char *p = ret; *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
}

/* Tunnels to several nodes end on one address, at ports of their own. */
static void add_port(const char *rest, char *ret, size_t cap)
{
    size_t n = strlen(ret);

    if (*rest == ':')
        snprintf(ret + n, cap - n, ":%.*s", (int)strspn(rest + 1, "0123456789"), rest + 1);
}

void trust_network(const char *url, char ret[static TRUST_NETWORK_MAX])
{
    char host[256];
    const char *rest;
    struct in_addr ip4;
    struct in6_addr ip6;

    if (!host_of(url, host, sizeof(host), &rest))
        snprintf(ret, TRUST_NETWORK_MAX, "?");
    else if (inet_pton(AF_INET, host, &ip4) == 1)
        network4((const uint8_t *)&ip4, ret, TRUST_NETWORK_MAX);
    else if (inet_pton(AF_INET6, host, &ip6) == 1)
        network6(&ip6, ret, TRUST_NETWORK_MAX);
    else
        network_name(host, ret, TRUST_NETWORK_MAX);
    if (str_starts(ret, "127.") || str_eq(ret, "::1"))
        add_port(rest, ret, TRUST_NETWORK_MAX);
}

/* One archive at one node: what is counted. */
struct witness {
    struct trust_group of; /* its first members alone */
    bool known, source;
    char network[TRUST_NETWORK_MAX];
};

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
    int d = by_archive(&x->of, &y->of);

    return d ? d : strcmp(x->network, y->network);
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
                        const struct trust_limits *l, const struct fetch_file *file,
                        bool incremental)
{
    struct witness *w = &items[*n];

    if (!file->name || !file->hash)
        return;
    *w = (struct witness){.of = archive_of(incremental, file),
                          .known = peer->known,
                          .source = is_source(l, peer->url)};
    trust_network(peer->url, w->network);
    ++*n;
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

/* The witnesses of one archive stand together, those of one network beside each other. */
static size_t add_group(struct trust_book *b, const struct witness *w, size_t n,
                        const struct trust_limits *l)
{
    struct trust_group g = w->of;
    bool known = false, source = false;
    size_t i;

    for (i = 0; i < n; i++) {
        if (by_archive(&w->of, &w[i].of) != 0)
            break;
        g.sources++;
        g.networks += i == 0 || !str_eq(w[i].network, w[i - 1].network);
        known |= w[i].known;
        source |= w[i].source;
    }
    g.kind = kind_of(l, &g, known, source);
    b->items = xgrow(b->items, &b->cap, b->n + 1, sizeof(*b->items));
    b->items[b->n++] = g;
    return i;
}

void trust_count(const struct fetch_found *found, const bool *skip, const struct trust_limits *l,
                 struct trust_book *ret)
{
    AUTO(freep) struct witness *items = xcalloc(2 * found->n, sizeof(*items));
    size_t n = 0;

    *ret = (struct trust_book){0};
    for (size_t i = 0; i < found->n; i++) {
        const struct fetch_offer *o = &found->offers[i];

        if (skip && skip[i])
            continue;
        add_witness(items, &n, &o->peer, l, &o->full, false);
        add_witness(items, &n, &o->peer, l, &o->incr, true);
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
