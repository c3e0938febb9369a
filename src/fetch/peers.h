#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base58.h"
#include "base/err.h"
#include "base/known.h"

/* The nodes of a cluster, as its RPC nodes list them (getClusterNodes; solana-rpc 3.0.14, rpc.rs).
 * A mainnet list has some 4,300 nodes and 1.6 MB: it is read in place, without a tree of values. */
#define PEERS_MAX        65536
#define PEERS_BODY_MAX   (16u << 20)
#define PEER_RPC_MAX     56 /* "[v6 address]:port" */
#define PEER_VERSION_MAX 32

struct peer {
    char id[BASE58_32_MAX];
    char rpc[PEER_RPC_MAX];         /* "ip:port"; "": it tells none that can be asked */
    char version[PEER_VERSION_MAX]; /* "": unknown */
    struct known_u64 shred_version;
    /* Lists name another RPC address for this id, each a peer of its own, or another id for this
     * address: who answers there is not known. */
    bool disputed;
    size_t tag; /* the caller's; 0 at first */
};

struct peers {
    struct peer *items; /* moves when lists are added */
    size_t n, cap;
    uint32_t *by_id, *by_rpc; /* by hash: index + 1; slots_n each */
    size_t slots_n;
    uint64_t seed;
};
void peers_clear(struct peers *p);

/* What one list says. */
struct peers_list {
    size_t n;
    struct known_u64 shred_version; /* that of most of its nodes */
};
/* The reply to a request with this id. A node that is in no earlier list is added; one whose RPC
 * address is new is told to found (may be NULL), which may set its tag. Entries without a valid id
 * are left out, and so are new ones when there are PEERS_MAX; other fields that make no sense count
 * as absent. ERR_REMOTE when it is no such reply, or says an error (then remote: its code): nothing
 * is added. */
struct err *peers_add(struct peers *p, const char *body, size_t n, uint64_t id,
                      void (*found)(void *arg, struct peer *peer), void *arg,
                      struct peers_list *ret) MUST_CHECK;
