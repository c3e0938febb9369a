#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "lab/faults.h"
#include "lab/node/rpc_methods.h"

/* The HTTP service on Agave's RPC port (solana-rpc 3.0.14, rpc_service.rs; recorded): JSON-RPC by
 * POST, /health, snapshot redirects and files without Range, genesis, the exact refusals of the
 * rest. */
struct rpc_server;

/* What a drill makes a node do instead: values of node_faults (lab/faults.h). NODE_STALE is given
 * as the slot at which it stands still; its archives are the source's matter, as with
 * NODE_WRONG_HASH. */

/* Runs any number of servers on two threads: one accepts, one answers. */
struct rpc_pool;
struct err *rpc_pool_open(struct rpc_pool **ret) MUST_CHECK;
/* Ends its servers as well. NULL is fine; returns NULL. */
struct rpc_pool *rpc_pool_close(struct rpc_pool *p);

struct rpc_server_spec {
    struct rpc_pool *pool;
    const char *bind; /* IPv4 address */
    uint16_t port;
    bool full_api;
    bool archives;      /* has a snapshot service, of the folder that the source names */
    const char *ledger; /* folder of genesis.tar.bz2 */
    struct rpc_source source;
};

/* Listens and serves until the pool is closed; the spec's texts are copied. Owned by the pool.
 * ERR_SYS (port taken). */
struct err *rpc_server_open(const struct rpc_server_spec *spec, struct rpc_server **ret) MUST_CHECK;
/* 0: as it should be. ERR_SYS: its port was taken while it was closed. From any thread. */
struct err *rpc_server_fault(struct rpc_server *s, enum node_fault fault, uint64_t value)
    MUST_CHECK;
struct rpc_counts {
    uint64_t requests, files, files_whole, bytes; /* of files: begun, sent to the end */
};
void rpc_server_counts(const struct rpc_server *s, struct rpc_counts *ret);
