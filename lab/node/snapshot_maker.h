#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Makes snapshot archives for the lab: Agave's layout and order (solana-runtime 3.0.14,
 * snapshot_utils.rs), the right hash in the name, made-up content. The same spec gives the same
 * bytes. The verifier accepts them; Agave does not load them. */
struct snapshot_maker_spec {
    uint64_t seed;
    uint64_t slot;
    uint64_t base;           /* of an incremental; 0: a full one */
    uint64_t bank_b;         /* size of the bank file; 0: 32 KiB; at least 4 KiB */
    uint32_t accounts_files; /* 0: 3 */
    uint64_t accounts_b;     /* of each; 0: 64 KiB */
    double compressible;     /* 0 (random: size on the wire = size) to 1 (constant) */
    int level;               /* zstd's; 0: 1. Another one: the same state in other bytes */
    bool reversed;           /* the accounts in another order: so again */
};

/* Only the name that the archive will have; to be freed. */
char *snapshot_maker_name(const struct snapshot_maker_spec *spec);
/* Writes dir/<name> through dir/tmp-<name> and a rename; an existing file of that name is replaced
 * by the same bytes. *ret_name is to be freed. ERR_SYS. */
struct err *snapshot_maker_write(const char *dir, const struct snapshot_maker_spec *spec,
                                 char **ret_name) MUST_CHECK;
