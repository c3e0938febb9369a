/* solana/blockstore: real ledgers slot for slot, every kind of damage, places that are no
 * blockstore, and a writer at work. */
#include "solana/blockstore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "base/json.h"
#include "base/str.h"
#include "io/clock.h"
#include "solana/rocksdb_api.h"
#include "solana/shred_runs.h"

static struct ctx world = {.clock = &clock_system};

/* A file of the repository; to be freed. */
static char *source(const char *rest)
{
    const char *dir = getenv("AGAVECTL_TEST_SOURCE");

    return xasprintf("%s/%s", dir ? dir : ".", rest);
}

static struct rocksdb_api *load(void)
{
    struct rocksdb_api *a = NULL;
    AUTO(err_freep) struct err *e = rocksdb_api_open(&a);

    if (e) {
        printf("# not real: rocksdb: %s\n", e->text);
        return NULL;
    }
    return a;
}

/* A test that cannot run returns: cmocka's own skip() is "not ok" in TAP. */
static bool have_rocksdb(void)
{
    AUTO(rocksdb_api_closep) struct rocksdb_api *a = load();

    if (a)
        printf("# real: rocksdb: %s\n", a->version);
    return a != NULL;
}

/* A folder of its own for each test, below /tmp. */
struct place {
    char dir[64];
    pid_t writer; /* 0: none */
};

static int setup(void **state)
{
    struct place *p = xcalloc(1, sizeof(*p));

    snprintf(p->dir, sizeof(p->dir), "/tmp/test-blockstore-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    *state = p;
    return 0;
}

static void clear_folder(const char *dir)
{
    DIR *d = opendir(dir);

    if (!d)
        return;
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        AUTO(freep) char *path = xasprintf("%s/%s", dir, e->d_name);

        if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
            continue;
        if (unlink(path) < 0) {
            clear_folder(path);
            rmdir(path);
        }
    }
    closedir(d);
}

static int teardown(void **state)
{
    struct place *p = *state;

    if (p->writer) {
        kill(p->writer, SIGKILL);
        waitpid(p->writer, NULL, 0);
    }
    clear_folder(p->dir);
    rmdir(p->dir);
    free(p);
    return 0;
}

static char *slurp(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "re");
    char *data;
    long n;

    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    n = ftell(f);
    rewind(f);
    data = xmalloc((size_t)n + 1);
    assert_int_equal(fread(data, 1, (size_t)n, f), n);
    data[n] = 0;
    fclose(f);
    *ret_n = (size_t)n;
    return data;
}

static void spill(const char *path, const void *data, size_t n)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* ---- the ledgers that real validators wrote ---- */

static void same_number(const struct json *slot, const char *key, uint64_t got)
{
    const struct json *j = json_get(slot, key);
    uint64_t want = SLOT_UNKNOWN;

    if (j)
        assert_null(json_as_u64(j, &want));
    assert_true(want == got);
}

static void same_bool(const struct json *slot, const char *key, bool got)
{
    bool want;

    assert_null(json_as_bool(json_get(slot, key), &want));
    assert_int_equal(want, got);
}

static void same_as_golden(const char *ledger, const char *golden)
{
    AUTO(blockstore_closep) struct blockstore *b = NULL;
    AUTO(json_freep) struct json *want = NULL;
    AUTO(freep) struct slot_state *got = NULL;
    size_t text_n, n;
    AUTO(freep) char *text = slurp(golden, &text_n);

    assert_null(json_parse(text, text_n, &want));
    AUTO(err_freep) struct err *e = blockstore_open(&world, ledger, &b);
    if (e)
        fail_msg("%s", e->text);
    assert_int_equal(blockstore_warnings(b)->n, 0);
    assert_null(blockstore_read(b, 0, UINT64_MAX, &got, &n));
    assert_int_equal(n, json_len(want));
    for (size_t i = 0; i < n; i++) {
        const struct json *slot = json_at(want, i);

        same_number(slot, "slot", got[i].meta.slot);
        same_bool(slot, "full", got[i].meta.full);
        same_number(slot, "consumed", got[i].meta.consumed);
        same_number(slot, "received", got[i].meta.received);
        same_number(slot, "last_index", got[i].meta.last_index);
        same_number(slot, "parent", got[i].meta.parent);
        same_bool(slot, "root", got[i].root);
        same_bool(slot, "dead", got[i].dead);
        assert_int_equal(got[i].meta.layout, SLOT_META_V1);
    }
    printf("# %s: %zu slots, open %llu ms, %u tries\n", golden, n,
           (unsigned long long)blockstore_open_ms(b), blockstore_open_tries(b));
}

/* What lies in the folder, so that a reader that writes is found out. */
static char *listing(const char *dir)
{
    AUTO(strbuf_clear) struct strbuf text = {0};
    struct dirent **names = NULL;
    int n = scandir(dir, &names, NULL, alphasort);

    for (int i = 0; i < n; i++) {
        AUTO(freep) char *path = xasprintf("%s/%s", dir, names[i]->d_name);
        struct stat st;

        assert_int_equal(stat(path, &st), 0);
        strbuf_printf(&text, "%s %lld %lld.%ld\n", names[i]->d_name, (long long)st.st_size,
                      (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
        free(names[i]);
    }
    free(names);
    return strbuf_take(&text);
}

static void small_real_ledgers(void **state)
{
    static const char *const names[] = {"clean", "gap"};

    if (!have_rocksdb())
        return;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO(freep) char *part = xasprintf("tests/data/ledgers/%s", names[i]);
        AUTO(freep) char *ledger = source(part), *golden = xasprintf("%s/golden.json", ledger);
        AUTO(freep) char *rocks = xasprintf("%s/rocksdb", ledger), *before = listing(rocks);

        same_as_golden(ledger, golden);
        AUTO(freep) char *after = listing(rocks);
        assert_string_equal(before, after);
    }
}

static void report_of_the_gap(void **state)
{
    AUTO(blockstore_closep) struct blockstore *b = NULL;
    AUTO(freep) char *ledger = source("tests/data/ledgers/gap");
    struct shred_report r;

    if (!have_rocksdb())
        return;
    assert_null(blockstore_open(&world, ledger, &b));
    /* The window holds a piece of the run; READY looks below it. */
    assert_null(shred_report_last(b, 10, &r));
    assert_true(r.first == 594 && r.last == 603);
    assert_true(r.total == 10 && r.complete == 9 && r.incomplete == 1);
    assert_int_equal(r.runs_n, 1);
    assert_true(r.runs[0].first == 594 && r.runs[0].last == 602);
    assert_true(r.tip_run.first == 488 && r.tip_run.last == 602 && r.tip_run.slots == 115);
    assert_true(r.ready && !r.tip_run_open);
    shred_report_clear(&r);

    assert_null(shred_report_range(b, 440, 490, &r));
    assert_int_equal(r.runs_n, 2);
    assert_true(r.runs[0].last == 448 && r.runs[1].first == 488);
    assert_true(r.total == 51 && r.complete == 12);
    shred_report_clear(&r);

    /* Beyond the tip: nothing in the window, the tip's run is still the tip's. */
    assert_null(shred_report_range(b, 700, 800, &r));
    assert_true(r.slots_n == 0 && r.total == 0 && r.ready);
    shred_report_clear(&r);

    struct blockstore_bounds bounds;
    assert_null(blockstore_bounds(b, &bounds));
    assert_true(bounds.lowest_received == 101 && bounds.highest_received == 603);
    assert_true(bounds.highest_full == 602 && bounds.highest_root != SLOT_UNKNOWN);
}

/* ---- a blockstore of our own ---- */

enum { DB_DEFAULT, DB_META, DB_ROOT, DB_DEAD, DB_N };
static const char *const families[DB_N] = {"default", "meta", "root", "dead_slots"};

struct writer {
    struct rocksdb_api *api;
    struct rdb_db *db;
    struct rdb_cf *cfs[DB_N];
    struct rdb_write *options;
};

static void check(struct writer *w, char *text)
{
    AUTO(err_freep) struct err *e = rocksdb_api_fail(w->api, ERR_BUG, text, "writer");

    if (e)
        fail_msg("%s", e->text);
}

static void writer_open(struct writer *w, const char *dir, int n, size_t memtable_b)
{
    struct rdb_options *o;
    char *text = NULL;

    w->api = load();
    assert_non_null(w->api);
    o = w->api->options_create();
    const struct rdb_options *each[DB_N] = {o, o, o, o};
    w->api->options_set_create_if_missing(o, 1);
    w->api->options_set_create_missing_column_families(o, 1);
    w->api->options_set_compression(o, RDB_NO_COMPRESSION);
    if (memtable_b)
        w->api->options_set_write_buffer_size(o, memtable_b);
    w->db = w->api->open_column_families(o, dir, n, families, each, w->cfs, &text);
    check(w, text);
    w->options = w->api->writeoptions_create();
    w->api->options_destroy(o);
}

static void writer_close(struct writer *w)
{
    for (int f = 0; f < DB_N; f++)
        if (w->cfs[f])
            w->api->column_family_handle_destroy(w->cfs[f]);
    w->api->close(w->db);
    w->api->writeoptions_destroy(w->options);
    w->api = rocksdb_api_close(w->api);
}

static void put_meta(struct writer *w, uint64_t slot, bool full)
{
    char key[8], value[65] = {0}, *text = NULL;

    put_be64(key, slot);
    put_le64(value, slot);
    put_le64(value + 8, full ? 32 : 7);
    put_le64(value + 16, 32);
    put_le64(value + 32, 31);
    put_le64(value + 40, slot - 1);
    w->api->put_cf(w->db, w->options, w->cfs[DB_META], key, sizeof(key), value, sizeof(value),
                   &text);
    check(w, text);
}

static void put_mark(struct writer *w, int family, uint64_t slot, const char *value)
{
    char key[8], *text = NULL;

    put_be64(key, slot);
    w->api->put_cf(w->db, w->options, w->cfs[family], key, sizeof(key), value, 1, &text);
    check(w, text);
}

static void flush(struct writer *w, int family)
{
    struct rdb_flush *f = w->api->flushoptions_create();
    char *text = NULL;

    w->api->flush_cf(w->db, f, w->cfs[family], &text);
    check(w, text);
    w->api->flushoptions_destroy(f);
}

/* 1,500 slots: 300 in a table, the rest in four logs; the roots of the first 1,200 in tables, so
 * that the first three logs are kept for the metas alone. */
static void make_layers(const char *dir)
{
    struct writer w = {0};
    uint64_t slot = 1;

    writer_open(&w, dir, DB_N, 0);
    for (int layer = 0; layer < 5; layer++) {
        for (int i = 0; i < 300; i++, slot++) {
            put_meta(&w, slot, true);
            if (layer < 4)
                put_mark(&w, DB_ROOT, slot, "\1");
        }
        if (layer == 0)
            flush(&w, DB_META);
        else if (layer < 4)
            flush(&w, DB_ROOT);
    }
    writer_close(&w);
}

static void marks_and_deletes(void **state)
{
    const struct place *p = *state;
    AUTO(freep) char *dir = xasprintf("%s/rocksdb", p->dir);
    AUTO(blockstore_closep) struct blockstore *b = NULL;
    AUTO(freep) struct slot_state *got = NULL;
    struct writer w = {0};
    char *text = NULL, from[8], to[8];
    size_t n;

    if (!have_rocksdb())
        return;
    writer_open(&w, dir, DB_N, 0);
    for (uint64_t slot = 1; slot <= 20; slot++)
        put_meta(&w, slot, slot != 15);
    put_mark(&w, DB_ROOT, 3, "\1");
    put_mark(&w, DB_ROOT, 11, "\1");
    put_mark(&w, DB_ROOT, 12, "\0"); /* a mark of false is none */
    put_mark(&w, DB_ROOT, 40, "\1"); /* a root whose meta was purged */
    put_mark(&w, DB_DEAD, 20, "\1");
    put_mark(&w, DB_DEAD, 19, "\0");
    flush(&w, DB_META);
    put_be64(from, 1);
    put_be64(to, 10);
    w.api->delete_range_cf(w.db, w.options, w.cfs[DB_META], from, 8, to, 8, &text);
    check(&w, text);
    writer_close(&w);

    assert_null(blockstore_open(&world, p->dir, &b));
    assert_null(blockstore_read(b, 0, UINT64_MAX, &got, &n));
    assert_int_equal(n, 11);
    assert_int_equal(got[0].meta.slot, 10);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(got[i].root, got[i].meta.slot == 11);
        assert_int_equal(got[i].dead, got[i].meta.slot == 20);
        assert_int_equal(got[i].meta.full, got[i].meta.slot != 15);
    }
    struct blockstore_bounds bounds;
    assert_null(blockstore_bounds(b, &bounds));
    assert_true(bounds.highest_received == 20 && bounds.highest_full == 19);
    assert_true(bounds.highest_root == 40 && bounds.lowest_received == 10);
    freep(&got);
    assert_null(blockstore_read(b, 12, 14, &got, &n));
    assert_int_equal(n, 3);
}

/* ---- damage ---- */

static void copy_folder(const char *from, const char *to)
{
    DIR *d = opendir(from);

    clear_folder(to);
    mkdir(to, 0755);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        AUTO(freep) char *a = xasprintf("%s/%s", from, e->d_name);
        AUTO(freep) char *b = xasprintf("%s/%s", to, e->d_name);
        AUTO(freep) char *data = NULL;
        size_t n;

        if (e->d_name[0] == '.' || str_starts(e->d_name, "LOG") || str_starts(e->d_name, "OPT"))
            continue;
        data = slurp(a, &n);
        spill(b, data, n);
    }
    closedir(d);
}

/* The i-th file of the folder whose name ends so, counted from 0; NULL: there are fewer. */
static char *nth(const char *dir, const char *suffix, int i)
{
    struct dirent **names = NULL;
    int n = scandir(dir, &names, NULL, alphasort);
    char *found = NULL;

    for (int k = 0; k < n; k++) {
        if (!found &&
            (str_ends(names[k]->d_name, suffix) || str_starts(names[k]->d_name, suffix)) &&
            i-- == 0)
            found = xasprintf("%s/%s", dir, names[k]->d_name);
        free(names[k]);
    }
    free(names);
    return found;
}

static uint64_t size_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

static void flip(const char *path, uint64_t at)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte;

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 0xff;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

struct answer {
    enum { WHOLE, PARTIAL, WARNED, FAILED } how;
    size_t slots, roots;
    char text[512];
};

/* Opens and reads everything, as a command does. */
static struct answer ask(const char *ledger)
{
    AUTO(blockstore_closep) struct blockstore *b = NULL;
    AUTO(freep) struct slot_state *got = NULL;
    struct answer a = {.how = FAILED};
    size_t n = 0;
    struct err *e = blockstore_open(&world, ledger, &b);

    if (!e)
        e = blockstore_read(b, 0, UINT64_MAX, &got, &n);
    if (e) {
        snprintf(a.text, sizeof(a.text), "%s", e->text);
        assert_null(strchr(e->text, '\n'));
        /* Bad input: a MANIFEST cut before it names any family looks like somebody else's. */
        if (e->kind != ERR_CORRUPT && e->kind != ERR_ABSENT && e->kind != ERR_BADINPUT)
            fail_msg("kind %s: %s", err_kind_name(e->kind), e->text);
        err_free(e);
        return a;
    }
    a.slots = n;
    for (size_t i = 0; i < n; i++)
        a.roots += got[i].root;
    a.how = n == 1500 && a.roots == 1200 ? WHOLE : PARTIAL;
    if (blockstore_warnings(b)->n) {
        a.how = WARNED;
        snprintf(a.text, sizeof(a.text), "%s", blockstore_warnings(b)->items[0]);
    }
    return a;
}

/* Tries end at once: nothing here is a race. */
static void no_wait(uint64_t wait_ns, const volatile sig_atomic_t *cancelled)
{
}

static struct clock_ops impatient;

static int setup_damage(void **state)
{
    setup(state);
    impatient = clock_system;
    impatient.wait = no_wait;
    world.clock = &impatient;
    return 0;
}

static int teardown_damage(void **state)
{
    world.clock = &clock_system;
    return teardown(state);
}

static bool make_damage_place(const struct place *p, char **ret_base, char **ret_work)
{
    if (!have_rocksdb())
        return false;
    *ret_base = xasprintf("%s/base", p->dir);
    *ret_work = xasprintf("%s/rocksdb", p->dir);
    make_layers(*ret_base);
    copy_folder(*ret_base, *ret_work);
    struct answer a = ask(p->dir);
    if (a.how != WHOLE)
        fail_msg("undamaged: %zu slots, %zu roots, %s", a.slots, a.roots, a.text);
    return true;
}

static void tables_damaged(void **state)
{
    const struct place *p = *state;
    AUTO(freep) char *base = NULL, *work = NULL;

    if (!make_damage_place(p, &base, &work))
        return;
    for (int i = 0;; i++) {
        AUTO(freep) char *probe = nth(base, ".sst", i);
        uint64_t size = probe ? size_of(probe) : 0;

        if (!probe) {
            assert_int_equal(i, 4);
            break;
        }
        for (int how = 0; how < 6; how++) {
            copy_folder(base, work);
            AUTO(freep) char *path = nth(work, ".sst", i);

            if (how == 0)
                unlink(path);
            else if (how < 4)
                assert_int_equal(truncate(path, (off_t)(how == 1   ? 0
                                                        : how == 2 ? 300
                                                                   : size - 1)),
                                 0);
            else
                flip(path, how == 4 ? 100 : size - 12); /* data; format version */
            struct answer a = ask(p->dir);
            if (a.how != FAILED)
                fail_msg("table %d, damage %d: %zu slots, %zu roots", i, how, a.slots, a.roots);
            if (how == 5)
                assert_non_null(strstr(a.text, "newer than RocksDB"));
        }
    }
}

static void logs_damaged(void **state)
{
    const struct place *p = *state;
    AUTO(freep) char *base = NULL, *work = NULL;

    if (!make_damage_place(p, &base, &work))
        return;
    for (int i = 0; i < 4; i++) {
        AUTO(freep) char *probe = nth(base, ".log", i);
        uint64_t size = size_of(probe);

        for (int how = 0; how < 7; how++) {
            copy_folder(base, work);
            AUTO(freep) char *path = nth(work, ".log", i);

            if (how == 0)
                unlink(path);
            else if (how == 1)
                assert_int_equal(truncate(path, 0), 0);
            else if (how == 2)
                assert_int_equal(truncate(path, (off_t)size - 10), 0);
            else if (how == 3)
                assert_int_equal(truncate(path, 96 * 100), 0); /* between two records */
            else
                flip(path, how == 4 ? 5000 : how == 5 ? size - 10 : 20);
            struct answer a = ask(p->dir);
            /* Nobody can tell a newest log that is short from one that has just begun. */
            bool newest_short = i == 3 && (how == 1 || how == 3);
            bool torn = i == 3 && how == 2;
            if (a.how != (torn ? WARNED : newest_short ? PARTIAL : FAILED))
                fail_msg("log %d, damage %d: %d, %zu slots, %zu roots %s", i, how, a.how, a.slots,
                         a.roots, a.text);
        }
    }
}

/* Every length of the newest log: what was whole is read, the rest is a warning; never an error,
 * never more or less. */
static void newest_log_cut_everywhere(void **state)
{
    const struct place *p = *state;
    AUTO(freep) char *base = NULL, *work = NULL;
    size_t before = 0;

    if (!make_damage_place(p, &base, &work))
        return;
    AUTO(freep) char *path = nth(work, ".log", 3);
    uint64_t size = size_of(path);
    /* Around a border of blocks, around records, and in steps that meet no pattern. */
    for (uint64_t cut = 0; cut < size; cut += cut < 100 ? 1 : 263) {
        copy_folder(base, work);
        assert_int_equal(truncate(path, (off_t)cut), 0);
        struct answer a = ask(p->dir);

        /* A record is 96 bytes here. */
        if (a.slots != 1200 + cut / 96 || a.roots != 1200 || a.slots < before)
            fail_msg("cut at %llu: %zu slots %s", (unsigned long long)cut, a.slots, a.text);
        if (a.how != (cut % 96 ? WARNED : PARTIAL))
            fail_msg("cut at %llu: %d %s", (unsigned long long)cut, a.how, a.text);
        before = a.slots;
    }
}

/* A MANIFEST that ends early is an error, or the answer is whole all the same. */
static void manifest_cut_everywhere(void **state)
{
    const struct place *p = *state;
    AUTO(freep) char *base = NULL, *work = NULL;
    unsigned whole = 0;

    if (!make_damage_place(p, &base, &work))
        return;
    AUTO(freep) char *path = nth(work, "MANIFEST-", 0);
    uint64_t size = size_of(path);
    for (uint64_t cut = 0; cut < size; cut++) {
        copy_folder(base, work);
        assert_int_equal(truncate(path, (off_t)cut), 0);
        struct answer a = ask(p->dir);

        if (a.how != FAILED && a.how != WHOLE)
            fail_msg("cut at %llu: %zu slots, %zu roots", (unsigned long long)cut, a.slots,
                     a.roots);
        whole += a.how == WHOLE;
    }
    /* Only between the last records, where the logs still hold all that the tables do. */
    printf("# of %llu lengths %u gave the whole answer\n", (unsigned long long)size, whole);
    assert_true(whole <= 4);
    copy_folder(base, work);
    flip(path, size / 2);
    assert_int_equal(ask(p->dir).how, FAILED);
    unlink(path);
    assert_int_equal(ask(p->dir).how, FAILED);
}

static void current_damaged(void **state)
{
    static const char *const bad[] = {
        "", "x", "MANIFEST-000999\n", "MANIFEST-000005", "\n", "MANIFEST-../../etc/passwd\n"};
    const struct place *p = *state;
    AUTO(freep) char *base = NULL, *work = NULL;

    if (!make_damage_place(p, &base, &work))
        return;
    AUTO(freep) char *path = xasprintf("%s/CURRENT", work);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        spill(path, bad[i], strlen(bad[i]));
        assert_int_equal(ask(p->dir).how, FAILED);
    }
    unlink(path);
    assert_int_equal(ask(p->dir).how, FAILED);
}

/* Opened by a writer again, the logs become tables and the numbers jump: still a good ledger. */
static void recovered_ledger_is_good(void **state)
{
    const struct place *p = *state;
    AUTO(freep) char *base = NULL, *work = NULL;
    struct writer w = {0};

    if (!make_damage_place(p, &base, &work))
        return;
    for (int round = 0; round < 3; round++) {
        writer_open(&w, work, DB_N, 0);
        put_mark(&w, DB_ROOT, 7, "\1");
        assert_int_equal(ask(p->dir).how, WHOLE); /* while it is open */
        if (round == 1)
            flush(&w, DB_ROOT);
        writer_close(&w);
        w = (struct writer){0};
        assert_int_equal(ask(p->dir).how, WHOLE);
    }
}

/* ---- places ---- */

static void refused(const char *ledger, enum err_kind kind, const char *part)
{
    struct blockstore *b = NULL;
    AUTO(err_freep) struct err *e = blockstore_open(&world, ledger, &b);

    assert_non_null(e);
    assert_null(b);
    if (e->kind != kind || !strstr(e->text, part) || strchr(e->text, '\n'))
        fail_msg("%s: %s", err_kind_name(e->kind), e->text);
}

static void places_that_are_no_blockstore(void **state)
{
    const struct place *p = *state;
    AUTO(freep) char *rocks = xasprintf("%s/rocksdb", p->dir);
    AUTO(freep) char *fifo = xasprintf("%s/rocksdb_fifo", p->dir);
    AUTO(freep) char *file = xasprintf("%s/file", p->dir);
    AUTO(freep) char *stray = xasprintf("%s/hello", rocks);

    refused("/nonexistent/ledger", ERR_NOTFOUND, "no ledger folder '/nonexistent/ledger'");
    refused(p->dir, ERR_NOTFOUND, "no blockstore");
    spill(file, "x", 1);
    refused(file, ERR_BADINPUT, "is not a folder");
    mkdir(fifo, 0755);
    refused(p->dir, ERR_BADINPUT, "FIFO");
    mkdir(rocks, 0755);
    refused(p->dir, ERR_BADINPUT, "both 'rocksdb' and 'rocksdb_fifo'");
    rmdir(fifo);
    refused(p->dir, ERR_NOTFOUND, "is empty");
    spill(stray, "x", 1);
    refused(p->dir, ERR_CORRUPT, "no file CURRENT");
}

static void somebody_elses_database(void **state)
{
    const struct place *p = *state;
    AUTO(freep) char *dir = xasprintf("%s/rocksdb", p->dir);
    struct writer w = {0};

    if (!have_rocksdb())
        return;
    writer_open(&w, dir, 1, 0);
    writer_close(&w);
    refused(p->dir, ERR_BADINPUT, "no blockstore");
    w = (struct writer){0};
    writer_open(&w, dir, 3, 0);
    writer_close(&w);
    refused(p->dir, ERR_CORRUPT, "no column family 'dead_slots'");
}

/* ---- beside a writer ---- */

/* Metas in ascending order, small memtables: files come and go all the time, far more than under a
 * validator. Ends when the pipe (its standard output) closes. A program of its own: RocksDB's
 * threads do not survive a fork. */
static int write_until_closed(const char *dir)
{
    struct writer w = {0};
    struct ctx ctx = {.clock = &clock_system};
    uint64_t end = deadline_in_ms(&ctx, 60000);

    writer_open(&w, dir, DB_N, 512 << 10);
    for (uint64_t slot = 1; !deadline_passed(&ctx, end); slot++) {
        put_meta(&w, slot, true);
        put_mark(&w, DB_ROOT, slot, "\1");
        if (slot % 20 == 0)
            clock_system.wait(1000000, NULL); /* the pace: a flush every 200 ms or so */
        if (slot % 5000 == 0 && write(STDOUT_FILENO, "r", 1) != 1)
            break;
    }
    return 0;
}

static pid_t start_writer(const char *dir, int *ret_ready)
{
    int pipes[2];
    pid_t child;

    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    fflush(stdout);
    child = fork();
    if (child == 0) {
        dup2(pipes[1], STDOUT_FILENO);
        execl("/proc/self/exe", "test_blockstore", "--write", dir, NULL);
        _exit(127);
    }
    assert_true(child > 0);
    close(pipes[1]);
    *ret_ready = pipes[0];
    return child;
}

static void next_progress(int ready)
{
    struct pollfd p = {.fd = ready, .events = POLLIN};
    char byte;

    if (poll(&p, 1, 20000) != 1 || read(ready, &byte, 1) != 1)
        fail_msg("the writer came to a halt");
}

static void beside_a_writer(void **state)
{
    struct place *p = *state;
    AUTO(freep) char *dir = xasprintf("%s/rocksdb", p->dir);
    unsigned tries = 0, warned = 0, refusals = 0;
    uint64_t highest = 0;
    int ready;

    if (!have_rocksdb())
        return;
    p->writer = start_writer(dir, &ready);
    for (int i = 0; i < 15; i++) {
        AUTO(blockstore_closep) struct blockstore *b = NULL;
        AUTO(freep) struct slot_state *got = NULL;
        size_t n;

        next_progress(ready);
        AUTO(err_freep) struct err *e = blockstore_open(&world, p->dir, &b);
        if (e && e->kind == ERR_TIMEOUT) { /* honest: no answer at all */
            refusals++;
            continue;
        }
        if (e)
            fail_msg("open %d: %s", i, e->text);
        assert_null(blockstore_read(b, 0, UINT64_MAX, &got, &n));
        assert_true(n > 0 && got[n - 1].meta.slot == n); /* no hole */
        assert_true(n >= highest);                       /* never backwards */
        highest = n;
        tries += blockstore_open_tries(b);
        warned += blockstore_warnings(b)->n != 0;
    }
    close(ready);
    kill(p->writer, SIGKILL);
    assert_int_equal(waitpid(p->writer, NULL, 0), p->writer);
    p->writer = 0;
    printf("# 15 opens beside a writer: %u tries, %u refused, %u with a warning, %llu slots\n",
           tries, refusals, warned, (unsigned long long)highest);
    assert_true(refusals <= 5);
    /* Killed in the middle of its work: a good ledger, with a torn end at most. */
    AUTO(blockstore_closep) struct blockstore *b = NULL;
    AUTO(err_freep) struct err *e = blockstore_open(&world, p->dir, &b);
    if (e)
        fail_msg("after the kill: %s", e->text);
}

#define CASE(fn)        cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define DAMAGE_CASE(fn) cmocka_unit_test_setup_teardown(fn, setup_damage, teardown_damage)

int main(int argc, char **argv)
{
    if (argc == 3 && str_eq(argv[1], "--write"))
        return write_until_closed(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_real_ledgers),
        cmocka_unit_test(report_of_the_gap),
        CASE(marks_and_deletes),
        DAMAGE_CASE(tables_damaged),
        DAMAGE_CASE(logs_damaged),
        DAMAGE_CASE(newest_log_cut_everywhere),
        DAMAGE_CASE(manifest_cut_everywhere),
        DAMAGE_CASE(current_damaged),
        DAMAGE_CASE(recovered_ledger_is_good),
        CASE(places_that_are_no_blockstore),
        CASE(somebody_elses_database),
        CASE(beside_a_writer),
    };

    return cmocka_run_group_tests_name("blockstore", tests, NULL, NULL);
}
