#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "solana/agave_version.h"
#include "solana/snapshot_local.h"

/* What a start of Agave would begin from, and why. The rules are those of solana-ledger 3.0.14
 * (bank_forks_utils.rs), solana-runtime 3.0.14 and 3.1.9 (snapshot_utils.rs) and of Agave 4
 * (runtime/src/snapshot_utils.rs). In short: the highest full archive and the highest incremental
 * of just that one, unless the highest bank snapshot is loadable and at least as high (fast boot);
 * without a full archive from genesis, whatever else is there. An archive that turns out to be bad
 * ends the start: there is no second choice. */
enum snapload_use { SNAPLOAD_WHEN_NEWEST, SNAPLOAD_ALWAYS, SNAPLOAD_NEVER };
struct snapload_rules {
    struct agave_version version; /* not known: what all from 3.0 on agree about, else a doubt */
    enum snapload_use use;        /* --use-snapshot-archives-at-startup; its default is 0 */
    bool no_snapshots;            /* --no-snapshots: it makes none, so 3.0 asks for no full_slot */
};
enum snapload_from {
    SNAPLOAD_GENESIS, /* nothing that it reads: it begins from genesis, with a warning only */
    SNAPLOAD_ARCHIVES,
    SNAPLOAD_BANK, /* fast boot */
    SNAPLOAD_FAILS,
};
const char *snapload_from_name(enum snapload_from f); /* "genesis", "archives", "bank", … */
#define SNAPLOAD_NONE SIZE_MAX

struct snapload {
    enum snapload_from from;
    uint64_t slot;           /* where it would begin; 0 from genesis */
    size_t full, incr, bank; /* indices; SNAPLOAD_NONE. full and incr: the archives that it would
                                read if it read archives */
    bool bank_needs_full; /* the bank snapshot counts only while this is the highest full archive */
    char *why;            /* in one line */
    struct strlist doubts; /* what may make it otherwise */
};
void snapload_clear(struct snapload *d);
/* Pure. Fills loaded and why of every file and bank as well. */
void snapload_decide(struct snaplocal *l, const struct snapload_rules *rules, struct snapload *ret);
