#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base58.h"
#include "base/ctx.h"
#include "base/err.h"
#include "base/json.h"
#include "io/http.h"

/* JSON-RPC of an Agave node (solana-rpc 3.0.14, rpc.rs). Only methods of the minimal set are
 * needed: a voting validator runs without --full-rpc-api. Every answer is outside input: a number
 * that cannot be a slot, a wrong id or an HTML page is ERR_REMOTE, never a value. Messages name the
 * method and the URL, without what may be a secret in it (user, path, query). */

/* 2^40 slots are 14,000 years; u64::MAX is what Agave prints for "none" in some places. */
#define RPC_SLOT_MAX ((uint64_t)1 << 40)
#define RPC_BODY_MAX (1u << 20)

#define RPC_NO_METHOD   (-32601)
#define RPC_NODE_BEHIND (-32005)
#define RPC_NO_SNAPSHOT (-32008)

enum rpc_commitment { RPC_PROCESSED, RPC_CONFIRMED, RPC_FINALIZED };
const char *rpc_commitment_name(enum rpc_commitment c);

/* One question and its answer. url, method and params are borrowed; result, error and err are owned
 * (rpc_calls_clear). After rpc_many exactly one holds: err is set, or the method succeeded and
 * result is its value (NULL: null). error is the JSON-RPC error object when there was one. */
struct rpc_call {
    const char *url, *method;
    const char *params; /* text of a JSON array; NULL: none */
    int netns_fd;       /* asked in this network namespace (io/http.h); 0: our own */
    struct json *result, *error;
    struct err *err; /* ERR_REMOTE (remote: HTTP status or JSON-RPC code), ERR_TIMEOUT,
                        ERR_NOTFOUND (no such method, no snapshot), ERR_BADINPUT (URL) */
    double seconds;  /* until the answer was complete */
};
void rpc_calls_clear(struct rpc_call *calls, size_t n);

/* All at once, each within timeout_ms; blocks no longer than that. beside: other questions that
 * wait at the same time, as long as their own time-outs say; or NULL. The error of the call itself
 * is ERR_CANCELLED only. */
struct err *rpc_many(struct ctx *ctx, struct rpc_call *calls, size_t n, uint32_t timeout_ms,
                     const struct http_beside *beside) MUST_CHECK;

/* Text of one reply → result or error object (owned by the caller). ERR_REMOTE when it is no
 * JSON-RPC reply to id. The part of rpc_many that looks at foreign bytes. */
struct err *rpc_parse_reply(const char *body, size_t n, uint64_t id, struct json **ret_result,
                            struct json **ret_error) MUST_CHECK;

/* A reply's error object as our own error, never NULL: remote is its code; ERR_NOTFOUND for an
 * unknown method and for "no snapshot", ERR_REMOTE for all others and for nonsense. */
struct err *rpc_error_of(const struct json *error) MUST_CHECK;

/* A JSON text as 32 bytes in base58, in canonical form. ERR_REMOTE. */
struct err *rpc_as_key(const struct json *j, char ret[static BASE58_32_MAX]) MUST_CHECK;

enum rpc_health_state { RPC_HEALTH_OK, RPC_HEALTH_BEHIND, RPC_HEALTH_UNHEALTHY };
struct rpc_health {
    enum rpc_health_state state;
    uint64_t behind; /* RPC_HEALTH_BEHIND: slots */
};
struct rpc_snapshots {
    uint64_t full, incremental;
    bool has_incremental;
};

/* What an answered call says: its err handed over, or the typed value. "ok" of getHealth compares a
 * node with its own view of the cluster: an isolated node stays ok for ever (rpc_health.rs). */
struct err *rpc_take_slot(struct rpc_call *c, uint64_t *ret) MUST_CHECK;
struct err *rpc_take_health(struct rpc_call *c, struct rpc_health *ret) MUST_CHECK;
struct err *rpc_take_snapshots(struct rpc_call *c, struct rpc_snapshots *ret) MUST_CHECK;

/* getHighestSnapshotSlot of one node; blocks at most timeout_ms. ERR_NOTFOUND: it has none. */
struct err *rpc_get_snapshots(struct ctx *ctx, const char *url, uint32_t timeout_ms,
                              struct rpc_snapshots *ret) MUST_CHECK;

/* Params of getSlot for a commitment; static text. */
const char *rpc_commitment_params(enum rpc_commitment c);
/* The URL without user, path and query, which may hold a key: "https://host:port/..." To be freed.
 */
char *rpc_url_label(const char *url);
