#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "solana/ed25519.h"

/* Agave's repair requests on the wire (solana-core 3.0.14 `repair/serve_repair.rs`, enum
 * RepairProtocol, bincode): u32 LE tag, then a header of signature 64, sender 32, recipient 32,
 * timestamp u64 ms, nonce u32; then slot u64 and, for the first two, shred index u64. The signature
 * covers everything but itself. An answer is a shred followed by the nonce (u32 LE). */
enum repair_kind {
    REPAIR_WINDOW_INDEX = 8,
    REPAIR_HIGHEST_WINDOW_INDEX = 9,
    REPAIR_ORPHAN = 10,
};
#define REPAIR_REQUEST_MAX   160 /* 4 + 140 + 16 */
#define REPAIR_TIME_WINDOW_S 600 /* a request that is older or newer is refused */
#define REPAIR_ORPHAN_MAX    11  /* shreds in answer to an Orphan */

struct repair_request {
    enum repair_kind kind;
    uint8_t sender[32], recipient[32];
    uint64_t at_ms; /* wall clock */
    uint32_t nonce;
    uint64_t slot, index; /* index: not for REPAIR_ORPHAN */
};

/* Signs with the sender's key (r->sender is ignored); returns the length written to buf. */
size_t repair_encode(const struct repair_request *r, const struct ed25519_key *key,
                     uint8_t buf[static REPAIR_REQUEST_MAX]);

enum repair_fault {
    REPAIR_OK,
    REPAIR_MALFORMED,
    REPAIR_NOT_FOR_US,
    REPAIR_TIME_SKEW,
    REPAIR_BAD_SIGNATURE,
};
/* Decodes and verifies as Agave's server does; ret is written only for REPAIR_OK. */
enum repair_fault repair_decode(const uint8_t *packet, size_t n, const uint8_t us[static 32],
                                uint64_t now_ms, struct repair_request *ret);
