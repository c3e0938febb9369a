/* solana/blockstore: every kind of damage to a ledger is an error or a warning, never an answer
 * that is short without a word. */
#include "solana/blockstore.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "base/str.h"
#include "io/clock.h"
#include "unit/solana/blockstore_fixture.h"

static struct ctx world = {.clock = &clock_system};

/* 1,500 slots: 300 in a table, the rest in four logs; the roots of the first 1,200 in tables, so
 * that the first three logs are kept for the metas alone. */
static void make_layers(const char *dir)
{
    struct writer w = {0};
    uint64_t slot = 1;

    writer_open(&w, dir, DB_N, 0);
    for (int layer = 0; layer < 5; layer++) {
        for (int i = 0; i < 300; i++, slot++) {
            writer_put_meta(&w, slot, true);
            if (layer < 4)
                writer_put_mark(&w, DB_ROOT, slot, "\1");
        }
        if (layer == 0)
            writer_flush(&w, DB_META);
        else if (layer < 4)
            writer_flush(&w, DB_ROOT);
    }
    writer_close(&w);
}
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
    place_setup(state);
    impatient = clock_system;
    impatient.wait = no_wait;
    world.clock = &impatient;
    return 0;
}

static int teardown_damage(void **state)
{
    world.clock = &clock_system;
    return place_teardown(state);
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
        writer_put_mark(&w, DB_ROOT, 7, "\1");
        assert_int_equal(ask(p->dir).how, WHOLE); /* while it is open */
        if (round == 1)
            writer_flush(&w, DB_ROOT);
        writer_close(&w);
        w = (struct writer){0};
        assert_int_equal(ask(p->dir).how, WHOLE);
    }
}
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup_damage, teardown_damage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(tables_damaged),          CASE(logs_damaged),    CASE(newest_log_cut_everywhere),
        CASE(manifest_cut_everywhere), CASE(current_damaged), CASE(recovered_ledger_is_good),
    };

    return cmocka_run_group_tests_name("blockstore_damage", tests, NULL, NULL);
}
