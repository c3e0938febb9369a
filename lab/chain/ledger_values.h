#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "lab/chain/ledger.h"
#include "solana/merkle.h"
#include "solana/shred.h"

/* The values that Agave 3.0.14 keeps beside its shreds (solana-ledger `blockstore_meta.rs`), as
 * structs, and their bytes (bincode, fixed-width little-endian). Decoding refuses what 3.0.14 would
 * not have written; ERR_CORRUPT. */

enum { SLOT_CONNECTED = 0x01, SLOT_PARENT_CONNECTED = 0x80 };

/* `meta`, layout V1. */
struct slot_record {
    uint64_t slot, consumed, received, first_ms;
    uint64_t last_index, parent; /* LEDGER_UNKNOWN */
    uint64_t *next;              /* children */
    size_t next_n, next_cap;
    uint8_t flags;
    uint32_t *completed; /* indexes that end a batch of entries, ascending */
    size_t completed_n, completed_cap;
};
void slot_record_init(struct slot_record *r, uint64_t slot, uint64_t parent);
void slot_record_clear(struct slot_record *r);
void slot_record_copy(const struct slot_record *r, struct slot_record *ret);
bool slot_record_equal(const struct slot_record *a, const struct slot_record *b);
bool slot_record_full(const struct slot_record *r);
void slot_record_add_child(struct slot_record *r, uint64_t slot);
void slot_record_remove_child(struct slot_record *r, uint64_t slot);
void slot_record_add_completed(struct slot_record *r, uint32_t index); /* known is fine */
/* The parent is connected; true when the slot thereby became connected itself. */
bool slot_record_parent_connected(struct slot_record *r);
void slot_record_encode(const struct slot_record *r, struct strbuf *ret);
struct err *slot_record_decode(const void *p, size_t n, struct slot_record *ret) MUST_CHECK;

/* `index`, layout V2: which shreds are stored. */
#define SHRED_INDEX_B (SHRED_INDEX_MAX / 8)
struct shred_bits {
    uint8_t bits[SHRED_INDEX_B];
    uint64_t n;
};
struct shred_index {
    uint64_t slot;
    struct shred_bits data, code;
};
bool shred_bits_has(const struct shred_bits *b, uint64_t i);
void shred_bits_add(struct shred_bits *b, uint64_t i); /* i < SHRED_INDEX_MAX */
size_t shred_bits_count(const struct shred_bits *b, uint64_t first, size_t n);
void shred_index_encode(const struct shred_index *x, struct strbuf *ret);
struct err *shred_index_decode(const void *p, size_t n, struct shred_index *ret) MUST_CHECK;

/* `erasure_meta`. */
struct erasure_record {
    uint64_t fec_set_index, first_code, first_received_code, num_data, num_code;
};
#define ERASURE_RECORD_B 40
void erasure_record_of(const struct shred *code, struct erasure_record *ret);
void erasure_record_encode(const struct erasure_record *r, uint8_t ret[static ERASURE_RECORD_B]);
struct err *erasure_record_decode(const void *p, size_t n, struct erasure_record *ret) MUST_CHECK;

/* `merkle_root_meta`. */
struct root_record {
    uint8_t root[MERKLE_ROOT_B];
    bool has_root; /* false only for shreds of before Merkle trees */
    uint32_t first_index;
    enum shred_type first_type;
};
#define ROOT_RECORD_B 38
/* Writes at most ROOT_RECORD_B bytes, returns how many. */
size_t root_record_encode(const struct root_record *r, uint8_t ret[static ROOT_RECORD_B]);
struct err *root_record_decode(const void *p, size_t n, struct root_record *ret) MUST_CHECK;
