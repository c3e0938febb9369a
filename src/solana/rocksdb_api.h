#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

/* RocksDB's C API (include/rocksdb/c.h, checked against 10.4.2), loaded at run time: the program
 * works without it, and the distribution's own library is often too old (Debian 12's 7.8 cannot
 * read what Agave 2.3 and later writes). The prototypes are declared here because the release's
 * binary comes without a header. char **err is RocksDB's way to fail: point it at a NULL char *,
 * and give what comes out to rocksdb_api_fail. */
struct rdb_db;
struct rdb_cf; /* handle of one column family */
struct rdb_options;
struct rdb_read;
struct rdb_write;
struct rdb_flush;
struct rdb_batch;
struct rdb_iter;
struct rdb_logger;

enum rdb_wal_recovery {
    RDB_WAL_TOLERATE_TAIL = 0, /* a torn end of any WAL is no error */
    RDB_WAL_ABSOLUTE = 1,      /* anything torn or damaged is an error */
    RDB_WAL_POINT_IN_TIME = 2, /* stops at damage without a word: never for reading */
    RDB_WAL_SKIP_DAMAGED = 3,
};
enum { RDB_NO_COMPRESSION = 0 };
enum rdb_log_level { RDB_LOG_DEBUG, RDB_LOG_INFO, RDB_LOG_WARN, RDB_LOG_ERROR, RDB_LOG_FATAL };

/* F(return type, name without "rocksdb_", parameters). bool is C's unsigned char here: both are one
 * byte, and RocksDB writes 0 or 1 only. */
#define ROCKSDB_DB_CALLS(F)                                                                        \
    F(void, free, (void *p))                                                                       \
    F(char **, list_column_families,                                                               \
      (const struct rdb_options *o, const char *dir, size_t *n, char **err))                       \
    F(void, list_column_families_destroy, (char **list, size_t n))                                 \
    F(struct rdb_db *, open_column_families,                                                       \
      (const struct rdb_options *o, const char *dir, int n, const char *const *names,              \
       const struct rdb_options *const *cf_options, struct rdb_cf **ret, char **err))              \
    F(struct rdb_db *, open_for_read_only_column_families,                                         \
      (const struct rdb_options *o, const char *dir, int n, const char *const *names,              \
       const struct rdb_options *const *cf_options, struct rdb_cf **ret,                           \
       unsigned char error_if_wal, char **err))                                                    \
    F(struct rdb_cf *, create_column_family,                                                       \
      (struct rdb_db * db, const struct rdb_options *o, const char *name, char **err))             \
    F(void, column_family_handle_destroy, (struct rdb_cf * cf))                                    \
    F(void, close, (struct rdb_db * db))                                                           \
    F(void, put_cf,                                                                                \
      (struct rdb_db * db, const struct rdb_write *w, struct rdb_cf *cf, const char *key,          \
       size_t key_n, const char *value, size_t value_n, char **err))                               \
    F(void, delete_cf,                                                                             \
      (struct rdb_db * db, const struct rdb_write *w, struct rdb_cf *cf, const char *key,          \
       size_t key_n, char **err))                                                                  \
    F(void, delete_range_cf,                                                                       \
      (struct rdb_db * db, const struct rdb_write *w, struct rdb_cf *cf, const char *from,         \
       size_t from_n, const char *to, size_t to_n, char **err))                                    \
    F(void, write,                                                                                 \
      (struct rdb_db * db, const struct rdb_write *w, struct rdb_batch *b, char **err))            \
    F(char *, get_cf,                                                                              \
      (struct rdb_db * db, const struct rdb_read *r, struct rdb_cf *cf, const char *key,           \
       size_t key_n, size_t *value_n, char **err))                                                 \
    F(void, flush_cf,                                                                              \
      (struct rdb_db * db, const struct rdb_flush *f, struct rdb_cf *cf, char **err))              \
    F(void, flush_wal, (struct rdb_db * db, unsigned char sync, char **err))                       \
    F(void, compact_range_cf,                                                                      \
      (struct rdb_db * db, struct rdb_cf * cf, const char *from, size_t from_n, const char *to,    \
       size_t to_n))                                                                               \
    F(struct rdb_iter *, create_iterator_cf,                                                       \
      (struct rdb_db * db, const struct rdb_read *r, struct rdb_cf *cf))                           \
    F(void, iter_destroy, (struct rdb_iter * i))                                                   \
    F(unsigned char, iter_valid, (const struct rdb_iter *i))                                       \
    F(void, iter_seek_to_first, (struct rdb_iter * i))                                             \
    F(void, iter_seek_to_last, (struct rdb_iter * i))                                              \
    F(void, iter_seek, (struct rdb_iter * i, const char *key, size_t key_n))                       \
    F(void, iter_seek_for_prev, (struct rdb_iter * i, const char *key, size_t key_n))              \
    F(void, iter_next, (struct rdb_iter * i))                                                      \
    F(void, iter_prev, (struct rdb_iter * i))                                                      \
    F(const char *, iter_key, (const struct rdb_iter *i, size_t *n))                               \
    F(const char *, iter_value, (const struct rdb_iter *i, size_t *n))                             \
    F(void, iter_get_error, (const struct rdb_iter *i, char **err))                                \
    F(struct rdb_batch *, writebatch_create, (void))                                               \
    F(void, writebatch_destroy, (struct rdb_batch * b))                                            \
    F(void, writebatch_clear, (struct rdb_batch * b))                                              \
    F(int, writebatch_count, (struct rdb_batch * b))                                               \
    F(void, writebatch_put_cf,                                                                     \
      (struct rdb_batch * b, struct rdb_cf * cf, const char *key, size_t key_n, const char *value, \
       size_t value_n))                                                                            \
    F(void, writebatch_delete_cf,                                                                  \
      (struct rdb_batch * b, struct rdb_cf * cf, const char *key, size_t key_n))                   \
    F(void, writebatch_delete_range_cf,                                                            \
      (struct rdb_batch * b, struct rdb_cf * cf, const char *from, size_t from_n, const char *to,  \
       size_t to_n))

#define ROCKSDB_OPTION_CALLS(F)                                                                    \
    F(struct rdb_options *, options_create, (void))                                                \
    F(void, options_destroy, (struct rdb_options * o))                                             \
    F(void, options_set_create_if_missing, (struct rdb_options * o, unsigned char on))             \
    F(void, options_set_create_missing_column_families,                                            \
      (struct rdb_options * o, unsigned char on))                                                  \
    F(void, options_set_error_if_exists, (struct rdb_options * o, unsigned char on))               \
    F(void, options_set_paranoid_checks, (struct rdb_options * o, unsigned char on))               \
    F(void, options_set_info_log, (struct rdb_options * o, struct rdb_logger * l))                 \
    F(void, options_set_info_log_level, (struct rdb_options * o, int level))                       \
    F(void, options_set_keep_log_file_num, (struct rdb_options * o, size_t n))                     \
    F(void, options_set_max_log_file_size, (struct rdb_options * o, size_t size_b))                \
    F(void, options_set_stats_dump_period_sec, (struct rdb_options * o, unsigned int s))           \
    F(void, options_set_max_open_files, (struct rdb_options * o, int n))                           \
    F(void, options_set_max_total_wal_size, (struct rdb_options * o, uint64_t size_b))             \
    F(void, options_set_write_buffer_size, (struct rdb_options * o, size_t size_b))                \
    F(void, options_set_wal_recovery_mode, (struct rdb_options * o, int mode))                     \
    F(void, options_set_compression, (struct rdb_options * o, int type))                           \
    F(void, options_set_disable_auto_compactions, (struct rdb_options * o, int on))                \
    F(void, options_set_level0_file_num_compaction_trigger, (struct rdb_options * o, int n))       \
    F(void, options_set_max_background_jobs, (struct rdb_options * o, int n))                      \
    F(void, options_set_skip_stats_update_on_db_open, (struct rdb_options * o, unsigned char on))  \
    F(struct rdb_read *, readoptions_create, (void))                                               \
    F(void, readoptions_destroy, (struct rdb_read * r))                                            \
    F(void, readoptions_set_verify_checksums, (struct rdb_read * r, unsigned char on))             \
    F(void, readoptions_set_fill_cache, (struct rdb_read * r, unsigned char on))                   \
    F(struct rdb_write *, writeoptions_create, (void))                                             \
    F(void, writeoptions_destroy, (struct rdb_write * w))                                          \
    F(void, writeoptions_set_sync, (struct rdb_write * w, unsigned char on))                       \
    F(void, writeoptions_disable_WAL, (struct rdb_write * w, int on))                              \
    F(struct rdb_flush *, flushoptions_create, (void))                                             \
    F(void, flushoptions_destroy, (struct rdb_flush * f))                                          \
    F(void, flushoptions_set_wait, (struct rdb_flush * f, unsigned char on))                       \
    F(struct rdb_logger *, logger_create_callback_logger,                                          \
      (int level, void (*line)(void *arg, unsigned int level, char *text, size_t n), void *arg))   \
    F(void, logger_destroy, (struct rdb_logger * l))

struct rocksdb_api {
    void *handle;
    char *path;    /* where it was found, or its soname; for messages */
    char *version; /* "10.4.2" */
#define ROCKSDB_MEMBER(ret, name, params) ret(*name) params;
    ROCKSDB_DB_CALLS(ROCKSDB_MEMBER)
    ROCKSDB_OPTION_CALLS(ROCKSDB_MEMBER)
#undef ROCKSDB_MEMBER
};

/* Finds and loads the library: $AGAVECTL_ROCKSDB (then nothing else), the system's, the cache of
 * tools/get-rocksdb (of the effective user, under sudo also of the invoking one). A file outside
 * the system's folders is loaded only when root, the effective or the invoking user owns it and
 * nobody else may write it. Versions 8.6 to 10.x and from 11.8 on are used: older ones cannot read
 * format 6 tables, and 11.0 to 11.7 may delete files when a read-only handle is closed.
 * ERR_ABSENT "RocksDB is not on this machine; run tools/get-rocksdb"; ERR_REFUSED for a file that
 * another user could have written. The result is owned by the caller; the library itself stays in
 * the process for good, because RocksDB's background threads cannot be unloaded. */
struct err *rocksdb_api_open(struct rocksdb_api **ret) MUST_CHECK;
struct rocksdb_api *rocksdb_api_close(struct rocksdb_api *a); /* NULL is fine; returns NULL */
void rocksdb_api_closep(struct rocksdb_api **a);

/* May this version be used? "8.10.0", "10.4.2-dev". */
bool rocksdb_version_usable(const char *version);

/* "fmt: what RocksDB said"; takes text, which came out of a char **err. text NULL: returns NULL. */
struct err *rocksdb_api_fail(const struct rocksdb_api *a, enum err_kind kind, char *text,
                             const char *fmt, ...) PRINTF(4, 5) MUST_CHECK;
