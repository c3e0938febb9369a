#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "io/fsroot.h"

/* A folder of snapshots ("/s" below a root of its own), made file by file. */
#define HASH             "GupLekLKvChSdAVpYZvMdESWrG1UFBr7rgcGPq5exWnR"
#define HASH2            "5vz4jENNJdy3VU1fUMjz9qomfbEaExGFtyJtmcTtQDYq"
#define FULL(slot)       "snapshot-" slot "-" HASH ".tar.zst"
#define INCR(base, slot) "incremental-snapshot-" base "-" slot "-" HASH ".tar.zst"

struct snapshot_folder {
    char dir[64];
    struct fsroot *root;
    struct ctx ctx;
};
int snapshot_folder_setup(void **state);
int snapshot_folder_teardown(void **state);
/* Parents are made. */
void folder_put(struct snapshot_folder *w, const char *path, const void *data, size_t n);
/* One byte; name is below /s. */
void folder_touch(struct snapshot_folder *w, const char *name);

/* Is anything of that name there? Names are below /s. */
bool folder_has(struct snapshot_folder *w, const char *name);
/* All of them (NULL ends the list) are, or are not. */
void folder_expect(struct snapshot_folder *w, const char *const *names, bool there);

/* A bank snapshot as 3.0.14 leaves it: c(omplete) f(lushed) p(re), s: full_snapshot_slot, or a
 * fastboot version ("2.0.0"). */
struct folder_bank {
    uint64_t slot;
    const char *marks;
    uint64_t full_slot;
    const char *fastboot, *version;
};
void folder_bank(struct snapshot_folder *w, const struct folder_bank *b);
