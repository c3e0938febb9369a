#pragma once

#include "lab/node/jsonrpc.h"
#include "lab/node/node_state.h"

/* Where the answers come from; every function may be called from any thread. */
struct rpc_source {
    void *arg;
    void (*state)(void *arg, struct node_state *ret);
    /* Member i of the cluster, for getClusterNodes; false: there are no more. */
    bool (*peer)(void *arg, size_t i, struct node_peer *ret);
    /* All of them at once, for those who have thousands: adds the whole answer. NULL: peer is asked
     * for one after another. */
    void (*peers)(void *arg, struct strbuf *out);
    /* Folder of the snapshot archives, good until the source ends. */
    const char *(*archives)(void *arg);
    /* Rooted slot with a block? For getBlocks and getBlockTime. */
    bool (*has_block)(void *arg, uint64_t slot);
    /* The newest archives below; false: no full one. *ret_incremental: 0 none. */
    bool (*snapshots)(void *arg, uint64_t *ret_full, uint64_t *ret_incremental);
};

/* Adds one entry of getClusterNodes. shred_version: for those that have none of their own. */
void rpc_put_peer(struct strbuf *out, const struct node_peer *n, uint16_t shred_version);

/* Agave 3.0.14's JSON-RPC methods on a source: the minimal set, or with full all that the lab
 * knows; anything else is "Method not found". */
void rpc_methods_call(const struct rpc_source *source, bool full, const char *method,
                      const struct json *params, struct strbuf *result, struct jsonrpc_error *e);
