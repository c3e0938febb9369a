#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "io/fsroot.h"

/* Agave's local bank snapshots: <snapshots>/snapshots/<slot>/ (agave 3.0.14, runtime,
 * snapshot_utils.rs). The accounts of one are hard links in <accounts>/snapshot/<slot>/, to which
 * its accounts_hardlinks/account_path_<n> lead: both are one object. Without the second half a
 * validator that takes the first as newest exits at every start. */
#define BANK_SNAPSHOTS_DIR "snapshots" /* in the folder of archives */

struct bank_snapshot {
    uint64_t slot;
    /* Some version of Agave may start from it: it has hard links, or a mark that says so
     * (storages_flushed up to 3.0, fastboot_version from 3.1 on). */
    bool loadable;
};
struct bank_snapshots {
    struct bank_snapshot *items; /* the highest slot first */
    size_t n, cap;
};
void bank_snapshots_clear(struct bank_snapshots *b);
/* Those of a folder of archives. None, and no such folder, is success. A name that Agave does not
 * take for a slot is left out, as it does. ERR_SYS. */
struct err *bank_snapshots_read(struct fsroot *r, const char *dir, struct bank_snapshots *ret)
    MUST_CHECK;
/* Are its hard links there, in an account path? ERR_SYS. */
struct err *bank_snapshot_has_accounts(struct fsroot *r, const struct bank_snapshot *b,
                                       const char *accounts, bool *ret) MUST_CHECK;
