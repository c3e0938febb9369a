#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "solana/rocksdb_api.h"

/* The RocksDB below a lab's ledger: Agave 3.0.14's column families, its keys, batches. */
enum ledger_cf {
    CF_META,
    CF_DEAD_SLOTS,
    CF_DUPLICATE_SLOTS,
    CF_ERASURE_META,
    CF_ORPHANS,
    CF_BANK_HASHES,
    CF_ROOT,
    CF_INDEX,
    CF_DATA_SHRED,
    CF_CODE_SHRED,
    CF_TRANSACTION_STATUS,
    CF_ADDRESS_SIGNATURES,
    CF_TRANSACTION_MEMOS,
    CF_TRANSACTION_STATUS_INDEX,
    CF_REWARDS,
    CF_BLOCKTIME,
    CF_PERF_SAMPLES,
    CF_BLOCK_HEIGHT,
    CF_OPTIMISTIC_SLOTS,
    CF_MERKLE_ROOT_META,
    CF_N,
};
extern const char *const ledger_cf_names[CF_N];

/* A key; big-endian, so that bytewise order is the order of numbers. */
struct store_key {
    char bytes[16];
    size_t n;
};
struct store_key key_slot(uint64_t slot);
struct store_key key_shred(uint64_t slot, uint64_t index);       /* also of erasure_meta */
struct store_key key_set(uint64_t slot, uint32_t fec_set_index); /* of merkle_root_meta */

struct store;

/* Opens or creates dir itself (…/rocksdb); families that it has beyond ours are kept. */
struct err *store_open(const char *dir, uint64_t write_buffer_b, struct store **ret) MUST_CHECK;
/* Leaves everything in the WAL, like the end of a process; NULL is fine; returns NULL. */
struct store *store_close(struct store *s);
void store_closep(struct store **s);
struct err *store_sync(struct store *s) MUST_CHECK;  /* WAL to the disk */
struct err *store_flush(struct store *s) MUST_CHECK; /* memory to table files */

/* *ret is NULL when the key is not there, else to be freed. */
struct err *store_get(struct store *s, enum ledger_cf cf, struct store_key key, uint8_t **ret,
                      size_t *ret_n) MUST_CHECK;
struct err *store_has(struct store *s, enum ledger_cf cf, struct store_key key, bool *ret)
    MUST_CHECK;

/* Writes that happen together. */
struct store_batch;
struct store_batch *store_batch_new(struct store *s);
void store_batch_freep(struct store_batch **b);
void batch_put(struct store_batch *b, enum ledger_cf cf, struct store_key key, const void *value,
               size_t n);
void batch_delete(struct store_batch *b, enum ledger_cf cf, struct store_key key);
/* Keys from (inclusive) to to (exclusive). */
void batch_delete_range(struct store_batch *b, enum ledger_cf cf, struct store_key from,
                        struct store_key to);
struct err *batch_write(struct store_batch *b) MUST_CHECK;

/* Walking one family; begins nowhere. Keys and values are valid until the next move. */
struct store_iter;
struct store_iter *store_iter_new(struct store *s, enum ledger_cf cf);
void store_iter_freep(struct store_iter **i);
void iter_seek(struct store_iter *i, struct store_key key); /* first key at or after */
void iter_last(struct store_iter *i);
void iter_next(struct store_iter *i);
void iter_prev(struct store_iter *i);
/* False at the end, and after damage: iter_error tells. The slot is the key's first 8 bytes. */
bool iter_at(struct store_iter *i, uint64_t *ret_slot);
const uint8_t *iter_key(struct store_iter *i, size_t *ret_n);
const uint8_t *iter_value(struct store_iter *i, size_t *ret_n);
struct err *iter_error(struct store_iter *i) MUST_CHECK;
