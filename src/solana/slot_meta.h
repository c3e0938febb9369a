#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SLOT_UNKNOWN UINT64_MAX /* as Agave stores it */

/* How the value was written: V1 by Agave 1.18 to 3.0, V2 by 3.1 and 4.0, V3 by 4.5. */
enum slot_meta_layout {
    SLOT_META_V1,
    SLOT_META_V2,
    SLOT_META_V3,
    SLOT_META_OTHER, /* the tail is of no known layout; the fields below are valid all the same */
};

/* One value of the column family "meta": what the blockstore knows of a slot's shreds. */
struct slot_meta {
    uint64_t slot;
    uint64_t consumed;   /* data shreds from index 0 without a hole = index of the first hole */
    uint64_t received;   /* highest data index + 1; 0: a placeholder that a child made */
    uint64_t last_index; /* index of the slot's last data shred, or SLOT_UNKNOWN */
    uint64_t parent;     /* SLOT_UNKNOWN: not known yet */
    bool full;           /* last_index is known and consumed is last_index + 1 */
    enum slot_meta_layout layout;
};

/* Decodes a value (solana-ledger blockstore_meta.rs, 1.18.26 to 4.5.0-alpha.4: bincode, fixed-width
 * little-endian integers). ERR_CORRUPT when the fixed part is short or its list of children does
 * not fit. */
struct err *slot_meta_decode(const void *value, size_t n, struct slot_meta *ret) MUST_CHECK;
