#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "lab/chain/ledger.h"
#include "lab/chain/ledger_store.h"
#include "lab/chain/ledger_values.h"
#include "lab/chain/reed_solomon.h"

/* What the ledger's files share; nobody else includes it. */
struct ledger {
    struct store *store;
    uint64_t (*wall_ms)(void);
    _Atomic uint64_t max_root;
    struct reed_solomon *codec; /* 32:32, the only one that leaders use */
    pthread_mutex_t lock;       /* held while metas are read, changed and written back */
};

/* For the rest of the block that it stands in. */
#define LEDGER_LOCK(l) AUTO(ledger_unlockp) pthread_mutex_t *locked_ = ledger_lock(l)
pthread_mutex_t *ledger_lock(struct ledger *l);
void ledger_unlockp(pthread_mutex_t **lock);

/* *ret_found false: no such slot (ret is untouched). */
struct err *ledger_read_slot(struct ledger *l, uint64_t slot, struct slot_record *ret,
                             bool *ret_found) MUST_CHECK;
void ledger_put_slot(struct store_batch *b, const struct slot_record *r);

/* Of one erasure set: shreds that are there (NULL where not), data first, n_data + n_code of them.
 * Computes the missing data shreds into out (SHRED_DATA_B each, in order), and checks the whole set
 * against the root that its shreds carry. missing receives their places. ERR_CORRUPT: too few, or
 * they are not of one set. */
struct err *ledger_recover_set(struct ledger *l, const struct shred *const *shards, size_t n_data,
                               size_t n_code, uint8_t (*out)[SHRED_DATA_B], size_t *missing,
                               size_t *ret_n) MUST_CHECK;
