#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/str.h"

/* A list of networks, "10.1.0.0/16", "fd00::/8", or single addresses. Pure. */
struct nets {
    struct net {
        uint8_t addr[16]; /* IPv4 as ::ffff:a.b.c.d */
        unsigned bits;    /* 0 to 128 */
    } * items;
    size_t n, cap;
};

/* ERR_BADINPUT: no network, or one with bits beyond its length. *ret must be {0} or of an earlier
 * call, to which it is added; to be cleared also after an error. */
struct err *nets_parse(const struct strlist *texts, struct nets *ret) MUST_CHECK;
void nets_clear(struct nets *n);
/* AF_INET and AF_INET6 (an IPv4 address in it counts as IPv4); anything else is in none. */
bool nets_match(const struct nets *n, const struct sockaddr *addr);

/* "127.0.0.1:8890", "[::1]:8890" to an address for bind; a name is not looked up. ERR_BADINPUT. */
struct err *listen_parse(const char *text, struct sockaddr_storage *ret, socklen_t *ret_n)
    MUST_CHECK;
/* And back; into buf, which is returned. */
#define LISTEN_TEXT_MAX 64
const char *listen_text(const struct sockaddr *addr, char buf[static LISTEN_TEXT_MAX]);
/* The address alone, without its port. */
const char *address_text(const struct sockaddr *addr, char buf[static LISTEN_TEXT_MAX]);
