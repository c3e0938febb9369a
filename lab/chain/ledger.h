#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "solana/shred.h"

/* A blockstore that a real Agave 3.0.14 can open: its column families, keys and values, and the
 * rules of its insertion (solana-ledger 3.0.14 `blockstore.rs`): slot meta with chaining, orphans
 * and connected flags, shred index, erasure and Merkle root meta, recovery of missing data shreds.
 * Not done: duplicate proofs of unequal chained roots, transactions, compaction by age.
 *
 * Any thread may call anything but close; calls that change the ledger wait for each other. No
 * network, no fsync before ledger_sync. Errors: ERR_ABSENT no RocksDB library, ERR_REFUSED another
 * process has it open, ERR_CORRUPT, ERR_SYS. */
struct ledger;

struct ledger_opts {
    uint64_t (*wall_ms)(void); /* clock_system.wall_ms, or a test's own */
    uint64_t write_buffer_b;   /* per column family; 0 means Agave's 256 MiB */
};

/* Opens or creates <dir>/rocksdb. dir must exist. */
struct err *ledger_open(const char *dir, const struct ledger_opts *opts, struct ledger **ret)
    MUST_CHECK;
/* Syncs and closes; NULL is fine. Like Agave's end it leaves what is in memory to the WAL. A ledger
 * that is not closed loses nothing either, short of a power cut. */
struct err *ledger_close(struct ledger *l) MUST_CHECK;
/* For AUTO: closes without syncing, as a kill would. */
void ledger_freep(struct ledger **l);
/* The WAL to the disk. */
struct err *ledger_sync(struct ledger *l) MUST_CHECK;
/* What is in memory to table files: what Agave's does when its write buffers are full. */
struct err *ledger_flush(struct ledger *l) MUST_CHECK;

struct ledger_result {
    size_t inserted;  /* data and code shreds stored, recovered ones not counted */
    size_t exists;    /* known already */
    size_t refused;   /* at or below the root, beyond the slot's end, or of another version of it */
    size_t recovered; /* missing data shreds computed and stored */
    size_t completed; /* slots that became full */
    uint64_t highest_completed; /* the highest of them, when there is one */
};

/* Inserts shreds that shred_parse accepted and whose signature the caller trusts, as one write,
 * like Agave's window service does with what it has received at once. Inserting a shred again is
 * harmless. */
struct err *ledger_insert(struct ledger *l, const struct shred *shreds, size_t n,
                          struct ledger_result *ret) MUST_CHECK;
/* One shred from a packet; a packet that is no shred counts as refused. */
struct err *ledger_insert_packet(struct ledger *l, const uint8_t *packet, size_t n,
                                 struct ledger_result *ret) MUST_CHECK;

#define LEDGER_UNKNOWN UINT64_MAX

struct ledger_meta {
    uint64_t slot;
    uint64_t consumed;   /* index of the first missing data shred */
    uint64_t received;   /* highest data index + 1; 0: a placeholder that a child made */
    uint64_t first_ms;   /* when its first shred came, wall clock */
    uint64_t last_index; /* LEDGER_UNKNOWN until the last shred came */
    uint64_t parent;     /* LEDGER_UNKNOWN for a placeholder */
    size_t children;     /* slots that name this one as parent */
    bool full;           /* all data shreds are there */
    bool connected;      /* full, and so are its ancestors down to the anchor (ledger_connect) */
    bool dead, root;
};

/* ERR_NOTFOUND when the slot has no meta (skipped, or nothing of it came). */
struct err *ledger_meta(struct ledger *l, uint64_t slot, struct ledger_meta *ret) MUST_CHECK;
/* The children of a slot in the order in which they were seen: writes up to max, returns all. */
struct err *ledger_children(struct ledger *l, uint64_t slot, uint64_t *ret, size_t max,
                            size_t *ret_n) MUST_CHECK;
/* The lowest child of slot that is full and not dead: what a replay that stands at slot does next.
 * ERR_NOTFOUND when there is none (yet). */
struct err *ledger_full_child(struct ledger *l, uint64_t slot, uint64_t *ret) MUST_CHECK;
/* Missing data indexes below received (or up to the last one when it is known), ascending, at most
 * max: what repair asks for as WindowIndex. None for a slot without meta; then, and when the last
 * index is unknown, repair asks for HighestWindowIndex. */
struct err *ledger_missing(struct ledger *l, uint64_t slot, uint64_t *ret, size_t max,
                           size_t *ret_n) MUST_CHECK;
/* Slots whose parent is unknown (repair asks for Orphan), ascending. */
struct err *ledger_orphans(struct ledger *l, uint64_t *ret, size_t max, size_t *ret_n) MUST_CHECK;
/* Slots from first to last (inclusive) that are no placeholders and not full, ascending: the
 * candidates for repair. */
struct err *ledger_incomplete(struct ledger *l, uint64_t first, uint64_t last, uint64_t *ret,
                              size_t max, size_t *ret_n) MUST_CHECK;
/* The highest slot of which a data shred came; ERR_NOTFOUND for an empty ledger. */
struct err *ledger_highest(struct ledger *l, uint64_t *ret) MUST_CHECK;
/* The lowest slot above 0 of which a data shred came; ERR_NOTFOUND. */
struct err *ledger_lowest(struct ledger *l, uint64_t *ret) MUST_CHECK;

/* A stored shred into buf (SHRED_PACKET_B bytes); ERR_NOTFOUND. */
struct err *ledger_shred(struct ledger *l, enum shred_type type, uint64_t slot, uint32_t index,
                         uint8_t *buf, size_t *ret_n) MUST_CHECK;
/* The highest data shred of a slot from index on (an answer to HighestWindowIndex); ERR_NOTFOUND.
 */
struct err *ledger_highest_shred(struct ledger *l, uint64_t slot, uint32_t index, uint8_t *buf,
                                 size_t *ret_n) MUST_CHECK;
/* The entries of a full slot, its batches one after another; each as entries_check wants it, with
 * its length in ret_lens. Both freed by the caller. ERR_NOTFOUND when the slot is not full. */
struct err *ledger_entries(struct ledger *l, uint64_t slot, uint8_t **ret, size_t **ret_lens,
                           size_t *ret_n) MUST_CHECK;

/* Marks slots as rooted, in one write. Shreds at or below the highest root are refused from then
 * on (data whose parent is below it, too). */
struct err *ledger_set_roots(struct ledger *l, const uint64_t *slots, size_t n) MUST_CHECK;
uint64_t ledger_max_root(const struct ledger *l); /* 0 for none */
/* The anchor of the connected flags: the slot of the snapshot that a start loaded. Also marks full
 * descendants. Agave does it at every start. */
struct err *ledger_connect(struct ledger *l, uint64_t slot) MUST_CHECK;
struct err *ledger_set_dead(struct ledger *l, uint64_t slot, bool dead) MUST_CHECK;
/* Value of bank_hashes, as replay writes it when a bank is frozen. */
struct err *ledger_set_bank_hash(struct ledger *l, uint64_t slot, const uint8_t hash[static 32])
    MUST_CHECK;
/* Range delete of all slots below first in every column family of slots, as Agave's cleanup does.
 */
struct err *ledger_purge_below(struct ledger *l, uint64_t first) MUST_CHECK;
/* Forgets a slot's shreds and meta but not its children (clear_unconfirmed_slot), so that it can be
 * repaired anew. */
struct err *ledger_clear_slot(struct ledger *l, uint64_t slot) MUST_CHECK;
/* Data shreds stored, counted by the index: what --limit-ledger-size is about. */
struct err *ledger_data_shreds(struct ledger *l, uint64_t *ret) MUST_CHECK;
