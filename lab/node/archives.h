#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/base58.h"
#include "base/err.h"

/* Snapshot archives in a folder, as Agave 3.0 finds them: top and remote/, names that match its
 * patterns (tar.zst, tar.lz4), everything else ignored (solana-runtime 3.0.14, snapshot_utils.rs).
 */
struct archive {
    uint64_t base, slot; /* base: 0 for a full one */
    char hash[BASE58_32_MAX];
    char name[160]; /* file name, with "remote/" in front when it lies there */
};

/* Does the file name match? Writes everything but the folder part. */
bool archive_parse(const char *name, struct archive *ret);
/* The highest full archive and the highest incremental based on it (incremental->slot 0: none).
 * ERR_NOTFOUND without a full one; ERR_SYS. */
struct err *archives_highest(const char *dir, struct archive *ret_full,
                             struct archive *ret_incremental) MUST_CHECK;
/* Removes all but the newest full and incremental ones; incrementals below the newest full's base
 * go as well. Errors are ignored: the next round tries again. */
void archives_purge(const char *dir, unsigned keep_full, unsigned keep_incremental);
/* Removes what a start removes: entries that begin with tmp-snapshot-archive-. */
void archives_clean_tmp(const char *dir);
