#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "fetch/find.h"

/* Is what a snapshot's name says to be believed? With --no-snapshot-fetch Agave does not ask; a
 * snapshot that one node made up would be started from. Believed is what a known validator serves,
 * what a source serves that the operator trusts, or what enough nodes of distinct networks serve.
 * Who a node is, is taken from the RPC nodes that the operator named: their lists are not signed.
 *
 * A network is the first 16 bits of an IPv4 address and the first 32 of an IPv6 one; a node that
 * was named by a host name is of its domain (the last two labels) as well as of the network of the
 * address that answered. Nodes with the same identity are one, wherever they are.
 *
 * Private addresses (10/8, 127/8, 192.168/16, fc00::/7 and the like) are no network of the
 * Internet's: gossip can name as many of them as somebody likes. Each is a network of its own when
 * the operator named it, or when an RPC node that the operator named has an address of the same
 * block (a lab, a private cluster); of loopback addresses even each port. All others together are
 * one. */
struct trust_limits {
    const struct strlist *sources; /* URLs that are trusted, by host and port; NULL: none */
    uint64_t min_peers;            /* distinct networks; 0: 1 */
};

enum trust_kind {
    TRUST_NONE,  /* served by too few */
    TRUST_PEERS, /* by enough networks */
    TRUST_SOURCE,
    TRUST_KNOWN, /* by a known validator */
};
/* All that serve one snapshot, whatever the compression. */
struct trust_group {
    bool incremental;
    uint64_t base, slot;
    const char *hash; /* borrowed from the offers */
    size_t sources, networks;
    enum trust_kind kind;
};
struct trust_book {
    struct trust_group *items; /* full ones before incremental ones, low slots before high */
    size_t n, cap;
};
/* Pure. skip (found->n of it; may be NULL): whose word does not count. An offer counts with its
 * full archive, and with its incremental one when it has one. found must outlive ret. */
void trust_count(const struct fetch_found *found, const bool *skip, const struct trust_limits *l,
                 struct trust_book *ret);
void trust_book_clear(struct trust_book *b);
/* The group of a file, or NULL. */
const struct trust_group *trust_find(const struct trust_book *b, bool incremental,
                                     const struct fetch_file *f);

/* "known-validator", "source", "peers:5", and "none" */
#define TRUST_TEXT_MAX 32
const char *trust_text(const struct trust_group *g, char buf[static TRUST_TEXT_MAX]);

/* The network of a URL's host, as a text that is equal for the same one; of a private address, the
 * address. */
#define TRUST_NETWORK_MAX 80
void trust_network(const char *url, char ret[static TRUST_NETWORK_MAX]);
