/* Reads a blockstore through RocksDB, read-only.
 *
 * Never as a secondary instance: that one hides missing and truncated files in every version. A
 * read-only open has its own silent losses, all of them in what it replays on top of the tables
 * (a torn or missing write-ahead log, a MANIFEST that ends early); solana/blockstore_files.h looks
 * for those before the open.
 *
 * A running validator deletes files between our reading of the MANIFEST and our opening of what it
 * names. Then the open fails, nothing else, and is tried again; all tables are opened at once
 * (max_open_files -1), so that later deletions do not matter. */
#include "solana/blockstore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"
#include "io/clock.h"
#include "solana/blockstore_files.h"
#include "solana/rocksdb_api.h"

#define OPEN_TRIES   5
#define OPEN_REST_MS 50 /* times the number of the try */
#define MAX_READ     (4u << 20)
#define KEY_B        8
#define TOO_FAST     "the blockstore '%s' changes faster than it can be read; try again"

enum { CF_DEFAULT, CF_META, CF_ROOT, CF_DEAD, CF_N };
/* RocksDB wants "default" to be opened always. */
static const char *const cf_names[CF_N] = {"default", "meta", "root", "dead_slots"};

struct blockstore {
    struct rocksdb_api *api;
    struct rdb_db *db;
    struct rdb_cf *cfs[CF_N];
    struct rdb_read *read;
    struct strlist warnings;
    uint64_t *replayed; /* logs that the open replayed */
    size_t replayed_n, replayed_cap;
    char *dir;
    uint64_t open_ms;
    unsigned tries;
};

struct blockstore_iter {
    struct blockstore *b;
    struct rdb_iter *cursors[CF_N];
    uint64_t last;
};

/* What RocksDB says when a file vanished while it was at work. */
static bool is_race(const char *text)
{
    return strstr(text, "No such file") || strstr(text, "Can't access");
}

/* Takes text. Sorts what RocksDB says into the few kinds that a caller can act on. */
static struct err *open_failed(const struct blockstore *b, char *text)
{
    const char *version = strstr(text, "unsupported format_version: ");
    enum err_kind kind = ERR_CORRUPT;
    struct err *e;

    if (strstr(text, "Permission denied"))
        kind = ERR_REFUSED;
    else if (version)
        kind = ERR_ABSENT;
    e = rocksdb_api_fail(b->api, kind, text, "cannot read the blockstore '%s'", b->dir);
    if (kind == ERR_REFUSED)
        return err_hint(e, "run as root or as the validator's user");
    if (kind == ERR_ABSENT)
        return err_hint(e,
                        "its tables are newer than RocksDB %s; set AGAVECTL_ROCKSDB to a newer "
                        "librocksdb.so",
                        b->api->version);
    return err_hint(e, "a file of it is damaged or missing");
}

static struct err *check_families(struct blockstore *b, const struct rdb_options *o, bool *ret_race)
{
    unsigned found = 0;
    char *text = NULL;
    size_t n = 0;
    char **names = b->api->list_column_families(o, b->dir, &n, &text);

    for (size_t i = 0; i < n; i++)
        for (unsigned f = CF_META; f < CF_N; f++)
            if (str_eq(names[i], cf_names[f]))
                found |= 1u << f;
    if (names)
        b->api->list_column_families_destroy(names, n);
    if (text) {
        *ret_race = is_race(text);
        return open_failed(b, text);
    }
    if (!found)
        return err_new(ERR_BADINPUT,
                       "'%s' is a RocksDB database but no blockstore: it has no 'meta', 'root' and "
                       "'dead_slots'; give the validator's ledger folder",
                       b->dir);
    for (unsigned f = CF_META; f < CF_N; f++)
        if (!(found & 1u << f))
            return err_new(ERR_CORRUPT,
                           "the blockstore '%s' has no column family '%s'; its MANIFEST is cut "
                           "short or it was never opened by a validator to the end",
                           b->dir, cf_names[f]);
    return NULL;
}

/* A log that a validator is writing to looks torn now and then. It is a finding only when the tear
 * is still there, unmoved, after the open. */
static void confirm_warnings(struct blockstore *b, const struct blockstore_files *before)
{
    AUTO(blockstore_files_clear) struct blockstore_files after = {0};
    struct err *e;

    strlist_clear(&b->warnings);
    if (before->warnings.n == 0)
        return;
    e = blockstore_files_check(b->dir, &after);
    for (size_t i = 0; !e && i < after.warnings.n; i++) /* an error: in use, so nothing is torn */
        if (strlist_has(&before->warnings, after.warnings.items[i]))
            strlist_add(&b->warnings, after.warnings.items[i]);
    err_free(e);
}

/* RocksDB's log, for one kind of line: which write-ahead log it replays. */
static void on_log_line(void *arg, unsigned int level, char *text, size_t n)
{
    static const char mark[] = "Recovering log #";
    AUTO(freep) char *line = xstrndup(text, n);
    const char *at = strstr(line, mark);
    struct blockstore *b = arg;

    if (!at || b->read)
        return;
    b->replayed = xgrow(b->replayed, &b->replayed_cap, b->replayed_n + 1, sizeof(*b->replayed));
    b->replayed[b->replayed_n++] = strtoull(at + sizeof(mark) - 1, NULL, 10);
}

/* A log that is flushed and deleted after RocksDB read the MANIFEST and before it lists the logs is
 * missed without a word. So every log that was there before the open must have been replayed. Logs
 * are deleted in their order: one that came later and went as well took these along. */
static bool missed_a_log(const struct blockstore *b, const struct blockstore_files *before)
{
    for (size_t i = 0; before->known && i < before->logs_n; i++) {
        bool found = false;

        for (size_t j = 0; j < b->replayed_n && !found; j++)
            found = b->replayed[j] == before->logs[i];
        if (!found)
            return true;
    }
    return false;
}

static void close_db(struct blockstore *b)
{
    for (unsigned f = 0; b->db && f < CF_N; f++)
        b->api->column_family_handle_destroy(b->cfs[f]);
    if (b->db)
        b->api->close(b->db);
    b->db = NULL;
}

static struct err *try_open(struct blockstore *b, const struct rdb_options *o, bool *ret_race)
{
    AUTO(blockstore_files_clear) struct blockstore_files files = {0};
    const struct rdb_options *cf_options[CF_N] = {o, o, o, o};
    char *text = NULL;
    struct err *e;

    *ret_race = false;
    TRY(check_families(b, o, ret_race));
    e = blockstore_files_check(b->dir, &files);
    /* Several files of a ledger that may be changing: damage is what stays. */
    *ret_race = e && e->kind == ERR_CORRUPT;
    TRY(e);
    b->replayed_n = 0;
    b->db = b->api->open_for_read_only_column_families(o, b->dir, CF_N, cf_names, cf_options,
                                                       b->cfs, 0, &text);
    if (text) {
        *ret_race = is_race(text);
        return open_failed(b, text);
    }
    if (missed_a_log(b, &files)) {
        close_db(b);
        *ret_race = true;
        return err_new(ERR_TIMEOUT, TOO_FAST, b->dir);
    }
    confirm_warnings(b, &files);
    return NULL;
}

static struct rdb_options *read_options(const struct rocksdb_api *api, struct rdb_logger *l)
{
    struct rdb_options *o = api->options_create();

    api->options_set_info_log(o, l);
    api->options_set_info_log_level(o, RDB_LOG_INFO);
    api->options_set_max_open_files(o, -1);
    api->options_set_paranoid_checks(o, 1);
    /* Damage anywhere but at the end of a log is an error; which end may be torn is judged by
     * blockstore_files_check. The default, point in time, would drop the rest without a word. */
    api->options_set_wal_recovery_mode(o, RDB_WAL_TOLERATE_TAIL);
    api->options_set_skip_stats_update_on_db_open(o, 1);
    return o;
}

/* The last try failed: the same way as the one before is damage, another way each time is a ledger
 * that changes too fast. */
static struct err *give_up(const struct blockstore *b, struct err *e, bool same)
{
    if (same || e->kind == ERR_TIMEOUT)
        return e;
    log_debug("%s", e->text);
    err_free(e);
    return err_new(ERR_TIMEOUT, TOO_FAST, b->dir);
}

static struct err *open_patiently(struct ctx *ctx, struct blockstore *b)
{
    struct rdb_logger *l = b->api->logger_create_callback_logger(RDB_LOG_INFO, on_log_line, b);
    struct rdb_options *o = read_options(b->api, l);
    AUTO(freep) char *before = NULL;
    struct err *e = NULL;

    for (b->tries = 1;; b->tries++) {
        bool race, same;

        e = try_open(b, o, &race);
        if (!e || !race)
            break;
        same = str_eq(before, e->text);
        if (b->tries == OPEN_TRIES) {
            e = give_up(b, e, same);
            break;
        }
        log_debug("%s: try %u: %s", b->dir, b->tries, e->text);
        freep(&before);
        before = xstrdup(e->text);
        err_free(e);
        ctx->clock->wait(b->tries * OPEN_REST_MS * UINT64_C(1000000), ctx->cancelled);
        if (ctx_cancelled(ctx)) {
            e = err_new(ERR_CANCELLED, "interrupted while opening '%s'", b->dir);
            break;
        }
    }
    b->api->options_destroy(o);
    b->api->logger_destroy(l);
    return e;
}

static bool exists(const char *dir, const char *name)
{
    AUTO(freep) char *path = xasprintf("%s/%s", dir, name);

    return access(path, F_OK) == 0;
}

/* -1: cannot look. */
static int count_entries(const char *dir)
{
    DIR *d = opendir(dir);
    int n = 0;

    if (!d)
        return -1;
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        n += !str_eq(e->d_name, ".") && !str_eq(e->d_name, "..");
    closedir(d);
    return n;
}

static struct err *check_folder(const char *path, const char *what)
{
    struct stat st;
    int fd;

    if (stat(path, &st) < 0) {
        int errnum = errno;

        if (errnum == ENOENT || errnum == ENOTDIR)
            return err_new(ERR_NOTFOUND, "no %s '%s'; give the validator's ledger folder", what,
                           path);
        if (errnum == EACCES)
            return err_new(ERR_REFUSED,
                           "cannot look at '%s': permission denied; run as root or as the "
                           "validator's user",
                           path);
        return err_sys(errnum, "cannot look at '%s'", path);
    }
    if (!S_ISDIR(st.st_mode))
        return err_new(ERR_BADINPUT, "'%s' is not a folder; give the validator's ledger folder",
                       path);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == EACCES)
        return err_new(ERR_REFUSED,
                       "cannot open '%s': permission denied; run as root or as the validator's "
                       "user",
                       path);
    closep(&fd);
    return NULL;
}

/* Says what is wrong with a path in the operator's words before RocksDB sees it. */
static struct err *check_place(const char *ledger, const char *dir)
{
    bool fifo;
    int n;

    TRY(check_folder(ledger, "ledger folder"));
    fifo = exists(ledger, "rocksdb_fifo");
    if (fifo && exists(ledger, "rocksdb"))
        return err_new(ERR_BADINPUT,
                       "'%s' has both 'rocksdb' and 'rocksdb_fifo': move the one that the "
                       "validator does not use out of it",
                       ledger);
    if (fifo)
        return err_new(ERR_BADINPUT,
                       "'%s' has a FIFO blockstore ('rocksdb_fifo') of a release before 2.2, which "
                       "is not read; start the validator without FIFO compaction",
                       ledger);
    TRY(check_folder(dir, "blockstore"));
    if (exists(dir, "CURRENT"))
        return NULL;
    n = count_entries(dir);
    if (n < 0)
        return err_new(ERR_REFUSED, "cannot list '%s'; run as root or as the validator's user",
                       dir);
    if (n == 0)
        return err_new(ERR_NOTFOUND, "'%s' is empty; no validator has written to it yet", dir);
    return err_new(ERR_CORRUPT,
                   "'%s' has no file CURRENT: it is no database, or a damaged one; give the "
                   "validator's ledger folder",
                   dir);
}

struct err *blockstore_open(struct ctx *ctx, const char *ledger, struct blockstore **ret)
{
    AUTO(blockstore_closep) struct blockstore *b = xcalloc(1, sizeof(*b));
    uint64_t start_ns;

    b->dir = xasprintf("%s/rocksdb", ledger);
    TRY(check_place(ledger, b->dir));
    TRY(rocksdb_api_open(&b->api));
    start_ns = clock_mono_ns(ctx);
    TRY(open_patiently(ctx, b));
    b->open_ms = (clock_mono_ns(ctx) - start_ns) / 1000000;
    b->read = b->api->readoptions_create();
    b->api->readoptions_set_verify_checksums(b->read, 1);
    log_debug("%s: open after %u tries and %llu ms", b->dir, b->tries,
              (unsigned long long)b->open_ms);
    *ret = TAKE(b);
    return NULL;
}

struct blockstore *blockstore_close(struct blockstore *b)
{
    if (!b)
        return NULL;
    if (b->read)
        b->api->readoptions_destroy(b->read);
    if (b->db)
        close_db(b);
    rocksdb_api_close(b->api);
    strlist_clear(&b->warnings);
    free(b->replayed);
    free(b->dir);
    free(b);
    return NULL;
}

void blockstore_closep(struct blockstore **b)
{
    *b = blockstore_close(*b);
}

const struct strlist *blockstore_warnings(const struct blockstore *b)
{
    return &b->warnings;
}

uint64_t blockstore_open_ms(const struct blockstore *b)
{
    return b->open_ms;
}

unsigned blockstore_open_tries(const struct blockstore *b)
{
    return b->tries;
}

/* An iterator that has no entry is at its end, or has met damage: only this tells the two apart. */
static struct err *cursor_error(const struct blockstore *b, const struct rdb_iter *i)
{
    char *text = NULL;

    b->api->iter_get_error(i, &text);
    return err_hint(
        rocksdb_api_fail(b->api, ERR_CORRUPT, text, "cannot read the blockstore '%s'", b->dir),
        "a file of it is damaged");
}

/* The slot of the entry under the cursor; *ret_valid false at the end. */
static struct err *cursor_slot(const struct blockstore *b, const struct rdb_iter *i,
                               bool *ret_valid, uint64_t *ret_slot)
{
    const char *key;
    size_t n = 0;

    *ret_valid = b->api->iter_valid(i);
    if (!*ret_valid)
        return cursor_error(b, i);
    key = b->api->iter_key(i, &n);
    if (n != KEY_B)
        return err_new(ERR_CORRUPT,
                       "the blockstore '%s' has a key of %zu bytes where a slot is due", b->dir, n);
    *ret_slot = get_be64(key);
    return NULL;
}

static struct err *cursor_meta(const struct blockstore *b, const struct rdb_iter *i, uint64_t slot,
                               struct slot_meta *ret)
{
    const char *value;
    struct slot_meta m;
    size_t n = 0;

    value = b->api->iter_value(i, &n);
    TRY_CTX(slot_meta_decode(value, n, &m), "the blockstore '%s': slot %llu", b->dir,
            (unsigned long long)slot);
    if (m.slot != slot)
        return err_new(ERR_CORRUPT, "the blockstore '%s': the record of slot %llu is of slot %llu",
                       b->dir, (unsigned long long)slot, (unsigned long long)m.slot);
    *ret = m;
    return NULL;
}

/* A mark is the byte 1; anything else is not one. */
static bool cursor_mark(const struct blockstore *b, const struct rdb_iter *i)
{
    size_t n = 0;
    const char *value = b->api->iter_value(i, &n);

    return n == 1 && value[0] == 1;
}

struct err *blockstore_iter_open(struct blockstore *b, uint64_t first, uint64_t last,
                                 struct blockstore_iter **ret)
{
    struct blockstore_iter *it = xcalloc(1, sizeof(*it));
    char key[KEY_B];

    put_be64(key, first);
    it->b = b;
    it->last = last;
    for (unsigned f = CF_META; f < CF_N; f++) {
        it->cursors[f] = b->api->create_iterator_cf(b->db, b->read, b->cfs[f]);
        b->api->iter_seek(it->cursors[f], key, KEY_B);
    }
    *ret = it;
    return NULL;
}

struct blockstore_iter *blockstore_iter_close(struct blockstore_iter *it)
{
    if (it) {
        for (unsigned f = CF_META; f < CF_N; f++)
            it->b->api->iter_destroy(it->cursors[f]);
        free(it);
    }
    return NULL;
}

void blockstore_iter_closep(struct blockstore_iter **it)
{
    *it = blockstore_iter_close(*it);
}

/* Moves a cursor of marks up to slot and tells whether slot has one. */
static struct err *mark_at(struct blockstore_iter *it, unsigned family, uint64_t slot, bool *ret)
{
    const struct blockstore *b = it->b;
    struct rdb_iter *i = it->cursors[family];
    uint64_t at = 0;
    bool valid;

    TRY(cursor_slot(b, i, &valid, &at));
    while (valid && at < slot) {
        b->api->iter_next(i);
        TRY(cursor_slot(b, i, &valid, &at));
    }
    *ret = valid && at == slot && cursor_mark(b, i);
    return NULL;
}

struct err *blockstore_iter_next(struct blockstore_iter *it, struct slot_state *ret, bool *ret_more)
{
    struct rdb_iter *i = it->cursors[CF_META];
    struct slot_state s = {0};
    uint64_t slot = 0;
    bool valid;

    TRY(cursor_slot(it->b, i, &valid, &slot));
    if (!valid || slot > it->last) {
        *ret_more = false;
        return NULL;
    }
    TRY(cursor_meta(it->b, i, slot, &s.meta));
    TRY(mark_at(it, CF_ROOT, slot, &s.root));
    TRY(mark_at(it, CF_DEAD, slot, &s.dead));
    it->b->api->iter_next(i);
    *ret = s;
    *ret_more = true;
    return NULL;
}

struct err *blockstore_read(struct blockstore *b, uint64_t first, uint64_t last,
                            struct slot_state **ret, size_t *ret_n)
{
    AUTO(blockstore_iter_closep) struct blockstore_iter *it = NULL;
    AUTO(freep) struct slot_state *states = NULL;
    size_t n = 0, cap = 0;
    bool more;

    TRY(blockstore_iter_open(b, first, last, &it));
    for (;;) {
        struct slot_state s;

        TRY(blockstore_iter_next(it, &s, &more));
        if (!more)
            break;
        if (n == MAX_READ)
            return err_new(ERR_BADINPUT, "more than %u slots; ask for a smaller range", MAX_READ);
        states = xgrow(states, &cap, n + 1, sizeof(*states));
        states[n++] = s;
    }
    *ret = TAKE(states);
    *ret_n = n;
    return NULL;
}

static struct err *is_dead(struct blockstore *b, uint64_t slot, bool *ret)
{
    char key[KEY_B], *value, *text = NULL;
    size_t n = 0;

    put_be64(key, slot);
    value = b->api->get_cf(b->db, b->read, b->cfs[CF_DEAD], key, KEY_B, &n, &text);
    *ret = value && n == 1 && value[0] == 1;
    b->api->free(value);
    return rocksdb_api_fail(b->api, ERR_CORRUPT, text, "cannot read the blockstore '%s'", b->dir);
}

static struct err *bound_root(struct blockstore *b, struct rdb_iter *i, uint64_t *ret)
{
    uint64_t slot = 0;
    bool valid;

    b->api->iter_seek_to_last(i);
    TRY(cursor_slot(b, i, &valid, &slot));
    while (valid && !cursor_mark(b, i)) {
        b->api->iter_prev(i);
        TRY(cursor_slot(b, i, &valid, &slot));
    }
    *ret = valid ? slot : SLOT_UNKNOWN;
    return NULL;
}

static struct err *bound_lowest(struct blockstore *b, struct rdb_iter *i, uint64_t *ret)
{
    b->api->iter_seek_to_first(i);
    for (;; b->api->iter_next(i)) {
        struct slot_meta m;
        uint64_t slot = 0;
        bool valid;

        TRY(cursor_slot(b, i, &valid, &slot));
        if (!valid)
            return NULL;
        TRY(cursor_meta(b, i, slot, &m));
        if (m.received > 0) {
            *ret = slot;
            return NULL;
        }
    }
}

static struct err *bound_highest(struct blockstore *b, struct rdb_iter *i,
                                 struct blockstore_bounds *ret)
{
    b->api->iter_seek_to_last(i);
    for (; ret->highest_full == SLOT_UNKNOWN; b->api->iter_prev(i)) {
        struct slot_meta m;
        uint64_t slot = 0;
        bool valid, dead = false;

        TRY(cursor_slot(b, i, &valid, &slot));
        if (!valid)
            return NULL;
        TRY(cursor_meta(b, i, slot, &m));
        if (m.received > 0 && ret->highest_received == SLOT_UNKNOWN)
            ret->highest_received = slot;
        if (m.full)
            TRY(is_dead(b, slot, &dead));
        if (m.full && !dead)
            ret->highest_full = slot;
    }
    return NULL;
}

struct err *blockstore_bounds(struct blockstore *b, struct blockstore_bounds *ret)
{
    struct blockstore_bounds r = {SLOT_UNKNOWN, SLOT_UNKNOWN, SLOT_UNKNOWN, SLOT_UNKNOWN};
    AUTO(blockstore_iter_closep) struct blockstore_iter *it = NULL;

    TRY(blockstore_iter_open(b, 0, UINT64_MAX, &it));
    TRY(bound_lowest(b, it->cursors[CF_META], &r.lowest_received));
    TRY(bound_highest(b, it->cursors[CF_META], &r));
    TRY(bound_root(b, it->cursors[CF_ROOT], &r.highest_root));
    *ret = r;
    return NULL;
}
