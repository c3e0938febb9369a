#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Shreds, the pieces of a block on the wire and in the blockstore. Layout and limits follow Agave
 * 3.0.14 (solana-ledger `shred.rs`, `shred/wire.rs`, `shred/merkle.rs`); only Merkle variants. */
#define SHRED_DATA_B         1203
#define SHRED_CODE_B         1228
#define SHRED_PACKET_B       1232 /* the longest datagram: a code shred and a repair nonce */
#define SHRED_NONCE_B        4
#define SHRED_SIGNATURE_B    64
#define SHRED_COMMON_B       83 /* header that data and code share */
#define SHRED_DATA_HEADER_B  88
#define SHRED_CODE_HEADER_B  89
#define SHRED_ROOT_B         32
#define SHRED_PROOF_ENTRY_B  20
#define SHRED_INDEX_MAX      32768 /* indexes of one type in one slot are below this */
#define SHRED_SET_DATA       32    /* data and code shreds of a set, as leaders make them */
#define SHRED_SET_CODE       32
#define SHRED_SET_PROOF      6   /* proof entries of such a set */
#define SHRED_SET_SHARDS_MAX 256 /* data and code shreds of any set that is accepted */
#define SHRED_FLAG_TICK_MASK 0x3f
#define SHRED_FLAG_COMPLETE  0x40 /* last shred of a batch of entries */
#define SHRED_FLAG_LAST      0xc0 /* last shred of the slot; implies the one above */
#define SHRED_VARIANT_DATA   0x80 /* | 0x10 chained | 0x20 resigned | proof entries */
#define SHRED_VARIANT_CODE   0x40 /* | 0x20 chained | 0x10 resigned | proof entries */

enum shred_type { SHRED_DATA, SHRED_CODE };

/* Why a packet is no shred; SHRED_OK is 0. */
enum shred_fault {
    SHRED_OK,
    SHRED_BAD_LENGTH,  /* shorter than its kind of shred, or longer than any datagram of one */
    SHRED_BAD_VARIANT, /* unknown, or of the kinds before Merkle trees */
    SHRED_BAD_PROOF,   /* its trailer leaves no room for a payload */
    SHRED_BAD_INDEX,   /* 32768 or more, below the set's first, or outside the set */
    SHRED_BAD_PARENT,  /* before slot 0 */
    SHRED_BAD_SIZE,    /* payload size outside its room */
    SHRED_BAD_FLAGS,   /* last in slot without data complete */
    SHRED_BAD_SET,     /* counts of the erasure set are impossible */
};

/* A shred's fields; every pointer is into the caller's packet. */
struct shred {
    enum shred_type type;
    uint8_t variant, proof_n;
    bool chained, resigned;
    uint64_t slot;
    uint32_t index, fec_set_index;
    uint16_t version;

    uint16_t parent_offset; /* data only, down to payload_b */
    uint64_t parent;        /* slot - parent_offset */
    uint8_t flags, reference_tick;
    bool data_complete, last_in_slot;
    const uint8_t *payload; /* serialized entries */
    size_t payload_b;

    uint16_t num_data, num_code, position; /* code only */

    const uint8_t *bytes; /* the shred without nonce or other trailing bytes */
    size_t bytes_b;       /* SHRED_DATA_B or SHRED_CODE_B */
    const uint8_t *signature;
    const uint8_t *chained_root;  /* NULL unless chained */
    const uint8_t *proof;         /* proof_n entries of SHRED_PROOF_ENTRY_B */
    const uint8_t *retransmitter; /* its signature; NULL unless resigned */
    const uint8_t *erasure;       /* what Reed-Solomon covers */
    size_t erasure_b;             /* the same for data and code shreds of one set */
    size_t shard;                 /* place in the set: data first, then code */
    uint32_t first_code_index;    /* code only */
};

/* Looks only at form (no signature, no hash), allocates nothing, reads at most n bytes. ret is
 * written only for SHRED_OK. Unlike Agave's ingress it also takes unchained variants: refuse them
 * by .chained where that matters. */
enum shred_fault shred_parse(const uint8_t *packet, size_t n, struct shred *ret);

/* The nonce of an answer to a repair request: the last 4 bytes of the datagram, after the shred.
 * False when the datagram has no room for one. A turbine packet has none, and its trailing bytes
 * mean nothing: the caller knows which socket it came from. */
bool shred_nonce(const struct shred *s, size_t packet_n, uint32_t *ret);

/* Where things are in a shred of this variant (which must be valid): offset of the chained root (or
 * of the proof when it is not chained), of the proof, of the retransmitter's signature (its end
 * when there is none). */
struct shred_layout {
    size_t bytes_b, root, proof, retransmitter;
    size_t erasure, erasure_b;
};
/* SHRED_BAD_VARIANT, SHRED_BAD_PROOF. */
enum shred_fault shred_layout_of(uint8_t variant, struct shred_layout *ret);

/* May a blockstore with this root take a shred of this slot and parent? (verify_shred_slots) */
bool shred_slots_ok(uint64_t slot, uint64_t parent, uint64_t root);
