#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* What a look at a RocksDB folder found. */
struct blockstore_files {
    bool known;     /* false: something in it is new, only RocksDB can judge it */
    uint64_t *logs; /* numbers of the write-ahead logs that an open has to replay, ascending */
    size_t logs_n;
    struct strlist warnings; /* a torn end of the newest log */
};
void blockstore_files_clear(struct blockstore_files *f);

/* Looks for losses that a read-only open does not report: a MANIFEST that ends in the middle of a
 * record or before edits that the write-ahead logs show to have been there, logs that are missing,
 * empty or torn. Reads the MANIFEST and the two ends of each log, nothing else. ERR_CORRUPT,
 * ERR_SYS, ERR_REFUSED; on a ledger in use ERR_CORRUPT may be a race: ask again. */
struct err *blockstore_files_check(const char *dir, struct blockstore_files *ret) MUST_CHECK;
