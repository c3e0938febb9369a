#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "lab/node/rpc_methods.h"

/* The HTTP service on Agave's RPC port (solana-rpc 3.0.14, rpc_service.rs; recorded): JSON-RPC by
 * POST, /health, snapshot redirects and files without Range, genesis, the exact refusals of the
 * rest. One thread of its own. */
struct rpc_server;

/* What a drill makes a node answer instead; rpc_server_lie. */
enum rpc_lie {
    RPC_LIE_NONE,
    RPC_LIE_AHEAD, /* slots and heights plus an amount */
    RPC_LIE_HTML,  /* 200 and a page of HTML for every JSON-RPC call */
    RPC_LIE_ERROR, /* 500 for everything */
    RPC_LIE_STALL, /* never answers a JSON-RPC call */
    RPC_LIE_FILE,  /* snapshot files stop half way */
};

struct rpc_server_spec {
    const char *bind; /* IPv4 address */
    uint16_t port;
    bool full_api;
    const char *archives; /* folder of snapshot archives; NULL: no snapshot service */
    const char *ledger;   /* folder of genesis.tar.bz2 */
    struct rpc_source source;
};

/* Listens and serves until closed; the spec's texts are copied. ERR_SYS (port taken). */
struct err *rpc_server_open(const struct rpc_server_spec *spec, struct rpc_server **ret) MUST_CHECK;
struct rpc_server *rpc_server_close(struct rpc_server *s); /* NULL is fine; returns NULL */
void rpc_server_closep(struct rpc_server **s);
void rpc_server_lie(struct rpc_server *s, enum rpc_lie lie, uint64_t amount);
/* Whether snapshot files and redirects are served at all (404 when not). */
void rpc_server_snapshots(struct rpc_server *s, bool on);
