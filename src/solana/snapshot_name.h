#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base58.h"
#include "base/err.h"
#include "io/fsroot.h"

/* File names of snapshot archives (solana-runtime 3.0.14, snapshot_utils.rs: anchored patterns):
 * snapshot-<slot>-<hash>.<ext> and incremental-snapshot-<base>-<slot>-<hash>.<ext>. */
enum snapshot_ext {
    SNAPSHOT_TAR_ZST,
    SNAPSHOT_TAR_LZ4,
    SNAPSHOT_TAR_BZ2, /* from here on: written up to 2.3, ignored by 3.0 and later */
    SNAPSHOT_TAR_GZ,
    SNAPSHOT_TAR,
};
#define SNAPSHOT_NAME_MAX 128

struct snapshot_name {
    bool incremental;
    bool legacy;   /* an extension that 3.0 and later ignore */
    uint64_t base; /* incremental: the full snapshot's slot that it needs */
    uint64_t slot;
    char hash[BASE58_32_MAX]; /* base58 of 32 bytes */
    enum snapshot_ext ext;
};

/* A bare file name. ERR_BADINPUT for anything that the validator would not take for a snapshot,
 * temporary and half files included, and for an incremental that is not after its base. */
struct err *snapshot_name_parse(const char *name, struct snapshot_name *ret) MUST_CHECK;
/* Into buf (returned); always terminated, SNAPSHOT_NAME_MAX is enough. */
const char *snapshot_name_format(const struct snapshot_name *n, char buf[static SNAPSHOT_NAME_MAX]);

/* What a validator of 3.0 or later would start from: the highest full archive of a folder and of
 * its remote/, and the highest incremental with that very base (bank_forks_utils.rs). */
struct snapshot_file {
    struct snapshot_name name;
    char *path; /* as given to fsroot; owned */
    uint64_t size_b;
};
struct snapshot_dir {
    bool has_full, has_incremental;
    struct snapshot_file full, incremental;
    size_t n_legacy; /* archives that 3.0 and later ignore */
};
/* ERR_NOTFOUND when there is no such folder, ERR_SYS when it cannot be read. Nothing found is
 * success. Only regular files count. */
struct err *snapshot_dir_scan(struct fsroot *r, const char *dir, struct snapshot_dir *ret)
    MUST_CHECK;
/* The same of a validator that keeps its archives in two. */
struct err *snapshot_dirs_scan(struct fsroot *r, const char *full_dir, const char *incremental_dir,
                               struct snapshot_dir *ret) MUST_CHECK;
void snapshot_dir_clear(struct snapshot_dir *d);
