#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "solana/ed25519.h"
#include "solana/shred.h"

/* The leader's side: a slot's ticks cut into signed, chained Merkle sets of 32 data and 32 code
 * shreds, byte for byte as Agave 3.0.14 does it (`shred/merkle.rs` make_shreds_from_data): every
 * batch of entries fills whole sets, the last set of the slot is of the resigned variants with an
 * empty retransmitter signature. A block has 64 ticks for its slot and for every one that it skips,
 * as replay wants it. No clock, no randomness: the same input gives the same bytes. */
struct shredder_opts {
    struct ed25519_key leader;
    uint16_t version;         /* shred version of the cluster */
    unsigned sets;            /* erasure sets of a slot, 1 to 64; 0 means 5 (test validators') */
    uint64_t hashes_per_tick; /* 0 means 1 */
};

/* What a block hands on to its children: the root of its last set and its last entry's hash. Keep
 * it for every slot that may become a parent (64 bytes). */
struct block_link {
    uint8_t root[32], hash[32];
};
/* The link of a first block without a known parent, derived from a seed. */
void block_link_from_seed(uint64_t seed, struct block_link *ret);
/* A leader's key derived from a seed, for worlds that need no key files. */
void shredder_leader_from_seed(uint64_t seed, struct ed25519_key *ret);

struct shred_set {
    uint8_t data[SHRED_SET_DATA][SHRED_DATA_B];
    uint8_t code[SHRED_SET_CODE][SHRED_CODE_B];
    uint8_t root[32];
};

/* All shreds of a slot. Data shred i is sets[i / 32].data[i % 32], code likewise. */
struct block {
    uint64_t slot, parent;
    size_t n; /* sets */
    struct shred_set *sets;
    struct block_link link;
};

/* More sets than wished where many skipped slots' ticks need them. ERR_BADINPUT: parent not below
 * slot (0 and 0 apart), more than 9000 slots between them, sets out of range. Costs about 2 ms a
 * set. Release with block_clear. */
struct err *block_make(const struct shredder_opts *opts, uint64_t slot, uint64_t parent,
                       const struct block_link *parent_link, struct block *ret) MUST_CHECK;
void block_clear(struct block *b);
/* The bytes of one shred (SHRED_DATA_B or SHRED_CODE_B), NULL when the slot has none of that index;
 * owned by the block. */
const uint8_t *block_shred(const struct block *b, enum shred_type type, uint32_t index);

/* One set from a batch of serialized entries that fits (else ERR_BADINPUT); the part of block_make
 * that others build faults with. first_index: of data and of code shreds alike. */
struct shred_set_opts {
    uint64_t slot, parent;
    uint32_t first_index;
    uint8_t reference_tick;      /* above 63 counts as 63 */
    bool data_complete;          /* the batch of entries ends with this set */
    bool last_in_slot;           /* … and so does the slot: resigned variants */
    const uint8_t *chained_root; /* 32 bytes: root of the set before */
};
#define SHRED_SET_PAYLOAD_B      (32 * 963) /* entries that fit into a set */
#define SHRED_SET_PAYLOAD_LAST_B (32 * 899) /* … into a slot's last one */
struct err *shred_set_make(const struct shredder_opts *opts, const struct shred_set_opts *set,
                           const uint8_t *entries, size_t n, struct shred_set *ret) MUST_CHECK;
