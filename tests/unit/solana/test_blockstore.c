/* solana/blockstore: real ledgers slot for slot, places that are no blockstore, and a writer at
 * work. Damage has a file of its own. */
#include "solana/blockstore.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "base/json.h"
#include "base/str.h"
#include "io/clock.h"
#include "solana/shred_runs.h"
#include "unit/solana/blockstore_fixture.h"

static struct ctx world = {.clock = &clock_system};

/* A file of the repository; to be freed. */
static char *source(const char *rest)
{
    const char *dir = getenv("AGAVECTL_TEST_SOURCE");

    return xasprintf("%s/%s", dir ? dir : ".", rest);
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
        writer_put_meta(&w, slot, slot != 15);
    writer_put_mark(&w, DB_ROOT, 3, "\1");
    writer_put_mark(&w, DB_ROOT, 11, "\1");
    writer_put_mark(&w, DB_ROOT, 12, "\0"); /* a mark of false is none */
    writer_put_mark(&w, DB_ROOT, 40, "\1"); /* a root whose meta was purged */
    writer_put_mark(&w, DB_DEAD, 20, "\1");
    writer_put_mark(&w, DB_DEAD, 19, "\0");
    writer_flush(&w, DB_META);
    put_be64(from, 1);
    put_be64(to, 10);
    w.api->delete_range_cf(w.db, w.options, w.cfs[DB_META], from, 8, to, 8, &text);
    writer_check(&w, text);
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
        writer_put_meta(&w, slot, true);
        writer_put_mark(&w, DB_ROOT, slot, "\1");
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
        prctl(PR_SET_PDEATHSIG, SIGKILL);
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
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, place_setup, place_teardown)

int main(int argc, char **argv)
{
    if (argc == 3 && str_eq(argv[1], "--write"))
        return write_until_closed(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_real_ledgers),
        cmocka_unit_test(report_of_the_gap),
        CASE(marks_and_deletes),
        CASE(places_that_are_no_blockstore),
        CASE(somebody_elses_database),
        CASE(beside_a_writer),
    };

    return cmocka_run_group_tests_name("blockstore", tests, NULL, NULL);
}
