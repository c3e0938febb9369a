#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/base58.h"
#include "base/ctx.h"
#include "base/err.h"
#include "base/json.h"

/* Client of a validator's admin socket, <ledger>/admin.rpc (agave-validator 3.0.14,
 * admin_rpc_service.rs). It answers from early in the start on, without any RPC port,
 * to the validator's user and to root. Every call blocks at most timeout_ms and fails with
 * ERR_NOTFOUND (no socket: not running, or another ledger), ERR_ABSENT (a socket is there and
 * nobody listens: the validator died), ERR_TIMEOUT (it does not answer), ERR_REMOTE (an error, with
 * its JSON-RPC code, or nonsense) or ERR_SYS (EACCES). ledger is an absolute path. */

enum admin_phase {
    ADMIN_INITIALIZING,
    ADMIN_SEARCHING_RPC,
    ADMIN_DOWNLOADING,
    ADMIN_CLEANING_BLOCKSTORE,
    ADMIN_CLEANING_ACCOUNTS,
    ADMIN_LOADING_LEDGER,
    ADMIN_PROCESSING_LEDGER,
    ADMIN_STARTING_SERVICES,
    ADMIN_HALTED,
    ADMIN_WAITING_SUPERMAJORITY,
    ADMIN_RUNNING, /* the start is over; says nothing about being caught up */
    ADMIN_OTHER,   /* a word of a later release */
};
/* "processing_ledger": for JSON, never changes. */
const char *admin_phase_name(enum admin_phase p);

struct admin_progress {
    enum admin_phase phase;
    bool has_slot, has_max, has_percent;
    uint64_t slot, max_slot, percent; /* percent: of the stake, in gossip */
    char from[64];                    /* "ip:port" that a snapshot is downloaded from, or "" */
    char text[160];                   /* for people: "processing the ledger: slot 5 of 100" */
};
struct admin_contact {
    bool ready; /* false: not yet, the start is not over; the rest is not set */
    char id[BASE58_32_MAX];
    char gossip[64], tvu[64], tpu[64], serve_repair[64], rpc[64]; /* "ip:port" as told */
    uint16_t shred_version;
};

struct err *admin_start_progress(struct ctx *ctx, const char *ledger, uint32_t timeout_ms,
                                 struct admin_progress *ret) MUST_CHECK;
/* When the validator process started, ms since 1970. Tells one process from the next. */
struct err *admin_start_time(struct ctx *ctx, const char *ledger, uint32_t timeout_ms,
                             uint64_t *ret_ms) MUST_CHECK;
/* Since 2.3; the pid in the validator's own namespace. ERR_REMOTE -32601 before that. */
struct err *admin_pid(struct ctx *ctx, const char *ledger, uint32_t timeout_ms, uint64_t *ret)
    MUST_CHECK;
/* "ip:port" to be freed, or NULL: RPC is off or not up yet. */
struct err *admin_rpc_address(struct ctx *ctx, const char *ledger, uint32_t timeout_ms, char **ret)
    MUST_CHECK;
struct err *admin_contact_info(struct ctx *ctx, const char *ledger, uint32_t timeout_ms,
                               struct admin_contact *ret) MUST_CHECK;
/* Asks the validator to end; it answers at once and needs 5 to 6 s. Only the stop flow calls this,
 * after nothing restarts the validator any more. */
struct err *admin_exit(struct ctx *ctx, const char *ledger, uint32_t timeout_ms) MUST_CHECK;

/* The parts that look at foreign bytes. */
struct err *admin_parse_progress(const struct json *result, struct admin_progress *ret) MUST_CHECK;
struct err *admin_parse_contact(const struct json *result, struct admin_contact *ret) MUST_CHECK;
struct err *admin_parse_start_time(const struct json *result, uint64_t *ret_ms) MUST_CHECK;
