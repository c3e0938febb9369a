#pragma once

#include "base/err.h"
#include "base/str.h"

/* Looks for losses in a RocksDB folder that a read-only open does not report: a MANIFEST that ends
 * in the middle of a record or before edits that the write-ahead logs show to have been there, logs
 * that are missing, empty or torn. Reads the MANIFEST and the two ends of each log, nothing else.
 * A torn end of the newest log adds a line to warnings. ERR_CORRUPT, ERR_SYS, ERR_REFUSED; on a
 * ledger in use an error may be a race: ask again. */
struct err *blockstore_files_check(const char *dir, struct strlist *warnings) MUST_CHECK;
