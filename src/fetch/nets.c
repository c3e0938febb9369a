/* Networks and addresses as an operator writes them. IPv4 is kept in the IPv6 form that the kernel
 * has for it, so that one comparison serves both. */
#include "fetch/nets.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define V4_BITS_BEFORE 96

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void put_v4(const void *addr, uint8_t ret[16])
{
    memcpy(ret, v4_prefix, sizeof(v4_prefix));
    memcpy(ret + sizeof(v4_prefix), addr, 4);
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned rest = bits % 8;

    if (memcmp(a, b, bits / 8) != 0)
        return false;
    return !rest || (a[bits / 8] ^ b[bits / 8]) >> (8 - rest) == 0;
}

static struct err *parse_one(const char *text, struct net *ret)
{
    AUTO(freep) char *host = xstrndup(text, strcspn(text, "/"));
    const char *slash = strchr(text, '/');
    uint64_t bits, most;
    struct net n = {0};
    uint8_t v4[4], zero[16] = {0};

    if (inet_pton(AF_INET, host, v4) == 1) {
        put_v4(v4, n.addr);
        most = 32;
    } else if (inet_pton(AF_INET6, host, n.addr) == 1) {
        most = 128;
    } else {
        return err_new(ERR_BADINPUT,
                       "'%s' is no network; write it as 10.1.0.0/16, fd00::/8 or an address", text);
    }
    bits = most;
    if (slash)
        TRY_CTX(parse_u64(slash + 1, 0, most, &bits), "network '%s'", text);
    n.bits = (unsigned)bits + (most == 32 ? V4_BITS_BEFORE : 0);
    memcpy(zero, n.addr, n.bits / 8);
    if (n.bits % 8)
        zero[n.bits / 8] = n.addr[n.bits / 8] & (uint8_t)(0xff << (8 - n.bits % 8));
    if (memcmp(zero, n.addr, sizeof(zero)) != 0)
        return err_new(ERR_BADINPUT, "network '%s' has bits beyond its length; is it one address?",
                       text);
    *ret = n;
    return NULL;
}

struct err *nets_parse(const struct strlist *texts, struct nets *ret)
{
    for (size_t i = 0; i < texts->n; i++) {
        struct net n;

        TRY(parse_one(texts->items[i], &n));
        ret->items = xgrow(ret->items, &ret->cap, ret->n + 1, sizeof(*ret->items));
        ret->items[ret->n++] = n;
    }
    return NULL;
}

void nets_clear(struct nets *n)
{
    free(n->items);
    *n = (struct nets){0};
}

bool nets_match(const struct nets *n, const struct sockaddr *addr)
{
    uint8_t full[16];

    if (addr->sa_family == AF_INET)
        put_v4(&((const struct sockaddr_in *)(const void *)addr)->sin_addr, full);
    else if (addr->sa_family == AF_INET6)
        memcpy(full, &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr, sizeof(full));
    else
        return false;
    for (size_t i = 0; i < n->n; i++)
        if (same_bits(full, n->items[i].addr, n->items[i].bits))
            return true;
    return false;
}

struct err *listen_parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_n)
{
    const char *colon = strrchr(text, ':');
    bool v6 = *text == '[' && colon && colon > text && colon[-1] == ']';
    AUTO(freep) char *host = NULL;
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6};
    struct sockaddr_in a4 = {.sin_family = AF_INET};
    uint64_t port;

    if (!colon)
        return err_new(ERR_BADINPUT, "'%s' is not ADDRESS:PORT", text);
    TRY_CTX(parse_u64(colon + 1, 0, UINT16_MAX, &port), "port in '%s'", text);
    host = v6 ? xstrndup(text + 1, (size_t)(colon - text) - 2)
              : xstrndup(text, (size_t)(colon - text));
    memset(ret, 0, sizeof(*ret));
    if (v6 && inet_pton(AF_INET6, host, &a6.sin6_addr) == 1) {
        a6.sin6_port = htons((uint16_t)port);
        memcpy(ret, &a6, *ret_n = sizeof(a6));
    } else if (!v6 && inet_pton(AF_INET, host, &a4.sin_addr) == 1) {
        a4.sin_port = htons((uint16_t)port);
        memcpy(ret, &a4, *ret_n = sizeof(a4));
    } else {
        return err_new(ERR_BADINPUT, "'%s' is no address; write 10.0.0.5:8890 or [fd00::5]:8890",
                       text);
    }
    return NULL;
}

/* The bytes of the address, its family as it is to be shown, and its port. */
static const void *parts(const struct sockaddr *addr, int *ret_family, unsigned *ret_port)
{
    const struct sockaddr_in6 *a6 = (const void *)addr;
    const struct sockaddr_in *a4 = (const void *)addr;

    *ret_family = addr->sa_family;
    if (addr->sa_family == AF_INET) {
        *ret_port = ntohs(a4->sin_port);
        return &a4->sin_addr;
    }
    *ret_port = ntohs(a6->sin6_port);
    if (memcmp(&a6->sin6_addr, v4_prefix, sizeof(v4_prefix)) != 0)
        return &a6->sin6_addr;
    *ret_family = AF_INET;
    return a6->sin6_addr.s6_addr + sizeof(v4_prefix);
}

const char *address_text(const struct sockaddr *addr, char buf[static LISTEN_TEXT_MAX])
{
    const void *bytes;
    unsigned port;
    int family;

    if (addr->sa_family != AF_INET && addr->sa_family != AF_INET6) {
        snprintf(buf, LISTEN_TEXT_MAX, "?");
        return buf;
    }
    bytes = parts(addr, &family, &port);
    if (!inet_ntop(family, bytes, buf, LISTEN_TEXT_MAX))
        snprintf(buf, LISTEN_TEXT_MAX, "?");
    return buf;
}

const char *listen_text(const struct sockaddr *addr, char buf[static LISTEN_TEXT_MAX])
{
    char host[LISTEN_TEXT_MAX];
    unsigned port;
    int family;

    (void)parts(addr, &family, &port);
    address_text(addr, host);
    if (family == AF_INET)
        snprintf(buf, LISTEN_TEXT_MAX, "%.46s:%u", host, port);
    else
        snprintf(buf, LISTEN_TEXT_MAX, "[%.46s]:%u", host, port);
    return buf;
}
