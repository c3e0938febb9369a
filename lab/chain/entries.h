#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* Entries, the content of a block: ticks only. A batch is what Agave broadcasts at once, bincode of
 * `Vec<Entry>` (solana-entry 3.0.14 `entry.rs`): u64 count, then per entry u64 num_hashes, 32 bytes
 * of hash, u64 number of transactions (0). */
#define ENTRIES_TICKS_PER_SLOT 64
#define ENTRIES_TICK_B         48
#define ENTRIES_HASHES_MAX     1000000 /* per tick: a wrong count must not keep a check busy */

/* Appends one batch of n ticks. hash is the proof-of-history state: the last entry's hash before,
 * the last tick's after (SHA-256 over itself, hashes_per_tick times a tick, at least once). */
void entries_ticks(struct strbuf *out, size_t n, uint64_t hashes_per_tick, uint8_t hash[static 32]);

/* Walks a batch of ticks and checks its proof of history from hash on, which it advances: what a
 * replay does. ERR_CORRUPT: cut short, has transactions, or a hash does not follow. */
struct err *entries_check(const uint8_t *data, size_t n, uint8_t hash[static 32],
                          uint64_t *ret_ticks) MUST_CHECK;
