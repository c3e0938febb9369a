#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "solana/rocksdb_api.h"

/* What the tests of the blockstore share: a folder for each, and a writer of small blockstores in
 * Agave's column families. What fails in here fails the test. */

/* False (and said so) where there is no RocksDB. A test that cannot run returns: cmocka's own
 * skip() is "not ok" in TAP. */
bool have_rocksdb(void);

/* A folder of its own for each test, below /tmp. */
struct place {
    char dir[64];
    pid_t writer; /* 0: none */
};

int place_setup(void **state);
int place_teardown(void **state); /* ends the writer, too */
void clear_folder(const char *dir);

char *slurp(const char *path, size_t *ret_n); /* to be freed; ends in a NUL that is not counted */
void spill(const char *path, const void *data, size_t n);

enum { DB_DEFAULT, DB_META, DB_ROOT, DB_DEAD, DB_N };
struct writer {
    struct rocksdb_api *api;
    struct rdb_db *db;
    struct rdb_cf *cfs[DB_N];
    struct rdb_write *options;
};

/* The first n families, with memtables of that size (0: RocksDB's own). */
void writer_open(struct writer *w, const char *dir, int n, size_t memtable_b);
void writer_close(struct writer *w);
void writer_put_meta(struct writer *w, uint64_t slot, bool full);
void writer_put_mark(struct writer *w, int family, uint64_t slot, const char *value);
void writer_flush(struct writer *w, int family);
/* Takes what came out of a char **err. */
void writer_check(struct writer *w, char *text);
