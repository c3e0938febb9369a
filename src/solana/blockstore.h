#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"
#include "solana/slot_meta.h"

/* What a ledger's blockstore knows of one slot. */
struct slot_state {
    struct slot_meta meta;
    bool root;
    bool dead;
};

/* A view of the blockstore as it was when it was opened; open again for a fresh one. */
struct blockstore;

/* Opens <ledger>/rocksdb for reading, beside a running validator or without one. Writes nothing,
 * takes no lock, creates nothing. ledger is a path as the process sees it. Blocks for as long as
 * RocksDB needs to read the write-ahead log: 1.7 to 3.8 ms per MB, so 7 to 15 s for the 4 GB of a
 * busy mainnet validator.
 *
 * A whole view or an error, with one exception that is told in blockstore_warnings: a torn end of
 * the newest write-ahead log, as a killed validator leaves it, is read up to the tear.
 * ERR_ABSENT (no RocksDB; or a table format that is newer than the library), ERR_NOTFOUND (no such
 * folder, no database in it), ERR_REFUSED (no permission), ERR_BADINPUT (a database of something
 * else, an old FIFO blockstore), ERR_CORRUPT (damage), ERR_TIMEOUT (a ledger in use that
 * changed under each of five tries), ERR_CANCELLED. */
struct err *blockstore_open(struct ctx *ctx, const char *ledger, struct blockstore **ret)
    MUST_CHECK;
struct blockstore *blockstore_close(struct blockstore *b); /* NULL is fine; returns NULL */
void blockstore_closep(struct blockstore **b);

/* What a reader should be told about the view, one line each; owned by the blockstore. */
const struct strlist *blockstore_warnings(const struct blockstore *b);
/* How long the open took, and how many tries. */
uint64_t blockstore_open_ms(const struct blockstore *b);
unsigned blockstore_open_tries(const struct blockstore *b);

/* The lowest and the highest slot that received a shred, the highest full slot that is not dead and
 * the highest root; SLOT_UNKNOWN where there is none. Walks inwards from both ends. ERR_CORRUPT. */
struct blockstore_bounds {
    uint64_t lowest_received;
    uint64_t highest_received;
    uint64_t highest_full;
    uint64_t highest_root;
};
struct err *blockstore_bounds(struct blockstore *b, struct blockstore_bounds *ret) MUST_CHECK;

/* The slots from first to last (inclusive) that have a meta, in ascending order. Close the iterator
 * before the blockstore. */
struct blockstore_iter;
struct err *blockstore_iter_open(struct blockstore *b, uint64_t first, uint64_t last,
                                 struct blockstore_iter **ret) MUST_CHECK;
/* *ret_more false: the end; *ret is then left alone. ERR_CORRUPT. */
struct err *blockstore_iter_next(struct blockstore_iter *it, struct slot_state *ret, bool *ret_more)
    MUST_CHECK;
struct blockstore_iter *blockstore_iter_close(struct blockstore_iter *it);
void blockstore_iter_closep(struct blockstore_iter **it);

/* The same as an array; *ret is to be freed. NULL and 0 when there are none. ERR_CORRUPT,
 * ERR_BADINPUT when there are more than 4 million. */
struct err *blockstore_read(struct blockstore *b, uint64_t first, uint64_t last,
                            struct slot_state **ret, size_t *ret_n) MUST_CHECK;
