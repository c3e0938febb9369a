/* solana/snapshot_local and snapshot_load: a folder of every kind of file, and what each version of
 * Agave would begin from. The rules were read in 3.0.14 and 3.1.9; tests/integration asks the real
 * program. */
#include "solana/snapshot_load.h"

#include "unit/snapshot_folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct answer {
    struct snaplocal l;
    struct snapload d;
};

static void answer_clear(struct answer *a)
{
    snapload_clear(&a->d);
    snaplocal_clear(&a->l);
}

static void look(struct snapshot_folder *w, const struct snapload_rules *rules, struct answer *ret)
{
    assert_null(snaplocal_read(&w->ctx, "/s", NULL, &ret->l));
    snapload_decide(&ret->l, rules, &ret->d);
}

static const struct snapload_rules v30 = {.version = {.known = true, .major = 3, .patch = 14}};
static const struct snapload_rules v31 = {.version = {.known = true, .major = 3, .minor = 1}};
static const struct snapload_rules v40 = {.version = {.known = true, .major = 4}};
static const struct snapload_rules unknown = {0};

static const struct snaplocal_file *file(const struct answer *a, const char *path)
{
    for (size_t i = 0; i < a->l.n; i++)
        if (strcmp(a->l.files[i].path, path) == 0)
            return &a->l.files[i];
    fail_msg("'%s' is not in the list", path);
    return NULL;
}

static void expect_why(const struct answer *a, const char *path, const char *why)
{
    const struct snaplocal_file *f = file(a, path);

    if (!strstr(f->why, why))
        fail_msg("%s: wanted '%s', got '%s'", path, why, f->why);
}

static void every_kind_of_file(void **state)
{
    struct snapshot_folder *w = *state;
    AUTO(answer_clear) struct answer a = {0};

    folder_touch(w, FULL("100"));
    folder_touch(w, FULL("200"));
    folder_touch(w, "snapshot-900-" HASH ".tar.bz2");
    folder_touch(w, INCR("200", "250"));
    folder_touch(w, INCR("100", "290"));
    folder_touch(w, "remote/" INCR("200", "260"));
    folder_touch(w, ".agavectl/" FULL("400"));
    folder_touch(w, ".agavectl/" FULL("400") ".json");
    folder_touch(w, ".agavectl/" FULL("100") ".json");
    folder_touch(w, ".agavectl/" FULL("50") ".json");
    folder_touch(w, "tmp-" FULL("500"));
    folder_touch(w, ".agavectl/" FULL("500") ".map");
    folder_touch(w, ".agavectl/" FULL("200") ".map");
    folder_touch(w, "tmp-snapshot-archive-abc");
    folder_touch(w, "remote/tmp-" FULL("300"));
    folder_touch(w, FULL("300") ".aria2");
    folder_touch(w, "genesis.tar.bz2");
    folder_touch(w, "snapshot-1-x.tar.zst");
    folder_touch(w, "tmp-other");
    assert_null(fsroot_mkdirs(w->root, "/s/" FULL("99"), 0755));
    assert_null(fsroot_mkdirs(w->root, "/s/tmp-" FULL("998"), 0755)); /* no half of ours */

    look(w, &v30, &a);
    assert_int_equal(a.d.from, SNAPLOAD_ARCHIVES);
    assert_int_equal(a.d.slot, 260);
    assert_string_equal(a.l.files[a.d.full].path, "/s/" FULL("200"));
    assert_string_equal(a.l.files[a.d.incr].path, "/s/remote/" INCR("200", "260"));
    assert_int_equal(a.d.doubts.n, 0);
    assert_true(file(&a, "/s/" FULL("200"))->loaded);
    assert_false(file(&a, "/s/" FULL("100"))->loaded);
    expect_why(&a, "/s/" FULL("100"), "a higher full archive is there (slot 200)");
    expect_why(&a, "/s/snapshot-900-" HASH ".tar.bz2", "3.0 and later do not read");
    expect_why(&a, "/s/" INCR("200", "250"), "a higher incremental is there (slot 260)");
    expect_why(&a, "/s/" INCR("100", "290"), "it builds on slot 100");
    expect_why(&a, "/s/.agavectl/" FULL("400"), "waits until the validator is stopped");
    expect_why(&a, "/s/tmp-" FULL("500"), "goes on with it");
    expect_why(&a, "/s/tmp-snapshot-archive-abc", "the validator's own");
    expect_why(&a, "/s/remote/tmp-" FULL("300"), "the validator's own");
    expect_why(&a, "/s/" FULL("300") ".aria2", "of another program");
    expect_why(&a, "/s/.agavectl/" FULL("50") ".json", "not there");
    expect_why(&a, "/s/.agavectl/" FULL("200") ".map", "not there");
    assert_true(file(&a, "/s/" FULL("99"))->no_file); /* by its name it is one, for Agave too */
    assert_int_equal(file(&a, "/s/" FULL("99"))->size_b, 0);
    assert_int_equal(a.l.n, 14);
    for (size_t i = 1; i < a.l.n; i++)
        assert_true(a.l.files[i - 1].kind <= a.l.files[i].kind);
}

static void a_half_that_is_being_fetched(void **state)
{
    struct snapshot_folder *w = *state;
    AUTO(answer_clear) struct answer a = {0};
    AUTO(closep) int fd = -1;

    folder_touch(w, "tmp-" FULL("500"));
    folder_touch(w, ".agavectl/" FULL("500") ".map");
    AUTO(freep) char *map = xasprintf("%s/s/.agavectl/" FULL("500") ".map", w->dir);
    fd = open(map, O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    look(w, &v30, &a);
    assert_true(file(&a, "/s/tmp-" FULL("500"))->busy);
    expect_why(&a, "/s/tmp-" FULL("500"), "being fetched");
    assert_int_equal(a.d.from, SNAPLOAD_GENESIS);
    assert_non_null(strstr(a.d.why, "begins from genesis"));
}

/* One folder, one row: highest full archive 200, an incremental to 260. */
static void fast_boot_by_version(void **state)
{
    static const struct {
        struct folder_bank banks[2];
        int from30, from31, from40; /* 0: archives; else the slot of the bank snapshot */
    } rows[] = {
        {{{300, "cfs", 200, NULL, NULL}}, 300, 300, 0},      /* of 3.0 */
        {{{300, "cfs", 100, NULL, NULL}}, 0, 300, 0},        /* on another full one */
        {{{300, "cs", 200, NULL, NULL}}, 0, 0, 0},           /* not flushed */
        {{{300, "cf", 200, NULL, NULL}}, 0, 300, 0},         /* no full_snapshot_slot */
        {{{300, "fs", 200, NULL, NULL}}, 0, 300, 0},         /* no state_complete */
        {{{300, "cfsp", 200, NULL, NULL}}, 0, 300, 0},       /* .pre */
        {{{300, "", 200, "2.0.0", NULL}}, 0, 300, 300},      /* of 3.1 and 4.0 */
        {{{300, "", 200, "2.0.0\n", NULL}}, 0, 300, 300},    /* trimmed, as there */
        {{{300, "", 200, "3.0.0", NULL}}, 0, 0, 0},          /* of a later one */
        {{{300, "", 200, "two", NULL}}, 0, 0, 0},            /* cannot be read */
        {{{300, "cfs", 200, NULL, "1.1.0"}}, 0, 0, 0},       /* another version */
        {{{259, "cfs", 200, "2.0.0", NULL}}, 0, 0, 0},       /* older than the archives */
        {{{260, "cfs", 200, "2.0.0", NULL}}, 260, 260, 260}, /* as new is enough */
        /* Only the highest is asked, but what is incomplete does not count. */
        {{{400, "c", 200, NULL, NULL}, {300, "cfs", 200, "2.0.0", NULL}}, 0, 0, 0},
        {{{400, "", 200, "two", NULL}, {300, "cfs", 200, "2.0.0", NULL}}, 300, 300, 300},
    };
    static const struct snapload_rules *const rules[] = {&v30, &v31, &v40};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct snapshot_folder *w = *state;
        const int want[] = {rows[i].from30, rows[i].from31, rows[i].from40};

        folder_touch(w, FULL("200"));
        folder_touch(w, INCR("200", "260"));
        for (size_t b = 0; b < 2 && rows[i].banks[b].slot; b++)
            folder_bank(w, &rows[i].banks[b]);
        for (size_t k = 0; k < ARRAY_LEN(rules); k++) {
            AUTO(answer_clear) struct answer a = {0};

            look(w, rules[k], &a);
            int got = a.d.from == SNAPLOAD_BANK ? (int)a.d.slot : 0;
            if (got != want[k] || (!got && (a.d.from != SNAPLOAD_ARCHIVES || a.d.slot != 260)))
                fail_msg("row %zu, rules %zu: got %s at %llu (%s)", i, k,
                         snapload_from_name(a.d.from), (unsigned long long)a.d.slot, a.d.why);
            for (size_t b = 0; b < a.l.n_banks; b++)
                assert_non_null(a.l.banks[b].why);
            assert_int_equal(a.d.bank_needs_full, got && k == 0);
        }
        assert_int_equal(snapshot_folder_teardown(state), 0);
        assert_int_equal(snapshot_folder_setup(state), 0);
    }
}

static void options_of_the_start(void **state)
{
    struct snapshot_folder *w = *state;
    const struct folder_bank b = {300, "cfs", 200, NULL, NULL}, other = {310, "c", 0, NULL, NULL};
    struct snapload_rules always = v30, never = v30, none = v30;

    always.use = SNAPLOAD_ALWAYS;
    never.use = SNAPLOAD_NEVER;
    none.no_snapshots = true;
    folder_touch(w, FULL("200"));
    folder_bank(w, &b);
    AUTO(answer_clear) struct answer one = {0}, two = {0}, three = {0}, four = {0}, five = {0};
    look(w, &always, &one);
    assert_int_equal(one.d.from, SNAPLOAD_ARCHIVES);
    folder_touch(w, INCR("200", "320"));
    look(w, &never, &two);
    assert_int_equal(two.d.from, SNAPLOAD_BANK);
    assert_int_equal(two.d.slot, 300);
    folder_bank(w, &other);
    look(w, &never, &three);
    assert_int_equal(three.d.from, SNAPLOAD_FAILS);
    AUTO(freep) char *incr = xasprintf("%s/s/" INCR("200", "320"), w->dir);
    unlink(incr);
    look(w, &none, &four);
    assert_int_equal(four.d.from, SNAPLOAD_BANK);
    assert_int_equal(four.d.slot, 310);
    AUTO(freep) char *full = xasprintf("%s/s/" FULL("200"), w->dir);
    unlink(full);
    look(w, &none, &five);
    assert_int_equal(five.d.from, SNAPLOAD_GENESIS);
    assert_non_null(strstr(five.l.banks[0].why, "without one nothing is loaded"));
}

static void what_may_make_it_otherwise(void **state)
{
    struct snapshot_folder *w = *state;
    const struct folder_bank b = {300, "cfs", 100, NULL, NULL},
                             good = {301, "cfs", 200, "2.0.0", NULL};

    folder_touch(w, FULL("200"));
    folder_touch(w, "snapshot-200-" HASH2 ".tar.lz4");
    folder_put(w, "/s/" INCR("200", "260"), "", 0);
    folder_bank(w, &b);
    AUTO(answer_clear) struct answer a = {0}, lost = {0};
    look(w, &unknown, &a);
    assert_int_equal(a.d.from, SNAPLOAD_ARCHIVES);
    assert_int_equal(a.d.doubts.n, 3);
    assert_non_null(strstr(a.d.doubts.items[0], "are of one slot"));
    assert_non_null(strstr(a.d.doubts.items[1], "is empty"));
    assert_non_null(
        strstr(a.d.doubts.items[2], "3.1 fast boot from the bank snapshot of slot 300"));
    assert_non_null(strstr(a.l.banks[0].why, "it builds on the full snapshot of slot 100"));

    folder_bank(w, &good);
    assert_null(fsroot_mkdirs(w->root, "/accounts", 0755));
    assert_null(snaplocal_read(&w->ctx, "/s", "/accounts", &lost.l));
    snapload_decide(&lost.l, &v30, &lost.d);
    assert_int_equal(lost.d.from, SNAPLOAD_BANK);
    assert_non_null(strstr(lost.d.doubts.items[1], "the start ends with an error"));
    snapload_clear(&lost.d);
    snaplocal_clear(&lost.l);
    folder_put(w, "/accounts/snapshot/301/7.1", "a", 1);
    assert_null(snaplocal_read(&w->ctx, "/s", "/accounts", &lost.l));
    snapload_decide(&lost.l, &unknown, &lost.d);
    assert_int_equal(lost.d.from, SNAPLOAD_BANK);
    assert_int_equal(lost.d.doubts.n, 1);
}

static void no_folder(void **state)
{
    struct snapshot_folder *w = *state;
    struct snaplocal l = {0};
    AUTO(err_freep) struct err *e = snaplocal_read(&w->ctx, "/nowhere", NULL, &l);

    assert_non_null(e);
    assert_int_equal(e->kind, ERR_NOTFOUND);
}

static void versions(void **state)
{
    static const struct {
        const char *text;
        uint32_t major, minor, patch;
    } good[] = {
        {"3.0.14", 3, 0, 14},
        {"v3.1", 3, 1, 0},
        {"4.0.0-rc.1", 4, 0, 0},
        {"agave-validator 3.0.14 (src:00000000; feat:3604001754, client:Agave)\n", 3, 0, 14},
        {"x 0.1.0 (stand-in for agave-validator 3.0.14)\n", 3, 0, 14},
    };
    static const char *const bad[] = {
        "", "x", "3.", "3.0.14x", "3.x", "2.3.13", "agave-validator x", "99999999999"};

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct agave_version v = {0};

        assert_null(agave_version_parse(good[i].text, &v));
        assert_true(v.known);
        assert_int_equal(v.major, good[i].major);
        assert_int_equal(v.minor, good[i].minor);
        assert_int_equal(v.patch, good[i].patch);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct agave_version v = {0};
        AUTO(err_freep) struct err *e = agave_version_parse(bad[i], &v);

        if (!e)
            fail_msg("'%s' is a version", bad[i]);
        assert_int_equal(e->kind, ERR_BADINPUT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_kind_of_file, snapshot_folder_setup,
                                        snapshot_folder_teardown),
        cmocka_unit_test_setup_teardown(a_half_that_is_being_fetched, snapshot_folder_setup,
                                        snapshot_folder_teardown),
        cmocka_unit_test_setup_teardown(fast_boot_by_version, snapshot_folder_setup,
                                        snapshot_folder_teardown),
        cmocka_unit_test_setup_teardown(options_of_the_start, snapshot_folder_setup,
                                        snapshot_folder_teardown),
        cmocka_unit_test_setup_teardown(what_may_make_it_otherwise, snapshot_folder_setup,
                                        snapshot_folder_teardown),
        cmocka_unit_test_setup_teardown(no_folder, snapshot_folder_setup, snapshot_folder_teardown),
        cmocka_unit_test(versions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
