/* fetch/store: what waits gets its place when that helps, and what is missing of room is told. */
#include "fetch/store.h"

#include "base/str.h"
#include "fetch/provenance.h"
#include "fetch/prune.h"
#include "unit/snapshot_folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static const struct snapload_rules v30 = {.version = {.known = true, .major = 3, .patch = 14}};

/* ---- what waits -------------------------------------------------------------------------------
 */

static struct err *unstage(struct snapshot_folder *w, const struct snapload_rules *rules,
                           struct strlist *ret, char **ret_text)
{
    return store_unstage(&w->ctx, &(struct snapdirs){.dir = "/s"}, rules, 5000, ret, ret_text);
}

static void a_newer_pair_gets_its_place(void **state)
{
    struct snapshot_folder *w = *state;
    AUTO(strlist_clear) struct strlist moved = {0};
    AUTO(freep) char *text = NULL;
    static const char *const there[] = {FULL("100"),
                                        FULL("400"),
                                        INCR("400", "450"),
                                        ".agavectl/" FULL("300"),
                                        ".agavectl/" INCR("400", "420"),
                                        NULL};

    folder_touch(w, FULL("100"));
    folder_touch(w, INCR("100", "350"));
    folder_touch(w, ".agavectl/" FULL("400"));
    folder_touch(w, ".agavectl/" FULL("300"));
    folder_touch(w, ".agavectl/" INCR("400", "450"));
    folder_touch(w, ".agavectl/" INCR("400", "420"));
    assert_null(unstage(w, &v30, &moved, &text));
    assert_int_equal(moved.n, 2);
    assert_string_equal(moved.items[0], FULL("400"));
    assert_string_equal(moved.items[1], INCR("400", "450"));
    assert_non_null(strstr(text, "begins at slot 450"));
    folder_expect(w, there, true);
    strlist_clear(&moved);
    freep(&text);
    text = NULL;
    assert_null(unstage(w, &v30, &moved, &text)); /* and nothing is left to do */
    assert_int_equal(moved.n, 0);
    assert_null(text);
}

static void only_what_helps_moves(void **state)
{
    struct snapshot_folder *w = *state;
    AUTO(strlist_clear) struct strlist moved = {0};
    AUTO(freep) char *text = NULL;

    folder_touch(w, FULL("400"));
    folder_touch(w, INCR("400", "450"));
    folder_touch(w, ".agavectl/" FULL("440")); /* the pair that is there is newer */
    assert_null(unstage(w, &v30, &moved, &text));
    assert_int_equal(moved.n, 0);
    folder_touch(w, ".agavectl/" INCR("400", "470"));
    folder_put(w, "/s/.agavectl/" FULL("900"), "", 0); /* empty is no archive */
    assert_null(unstage(w, &v30, &moved, &text));
    assert_int_equal(moved.n, 1);
    assert_true(folder_has(w, INCR("400", "470")));
    assert_true(folder_has(w, ".agavectl/" FULL("440")));
}

static const struct snapload_rules unknown = {0};

/* A full archive more or less decides whether 3.0 takes the local state. */
static void fast_boot_is_not_given_up_for_little(void **state)
{
    static const struct folder_bank bank = {1000, "cfs", 400, "2.0.0", NULL};
    static const struct {
        uint64_t slot;
        bool moves;
    } rows[] = {{990, false}, {5900, false}, {6000, false}, {6001, true}, {6001, true}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct snapshot_folder *w = *state;
        AUTO(strlist_clear) struct strlist moved = {0};
        AUTO(freep) char *text = NULL, *name = NULL;

        folder_touch(w, FULL("400"));
        folder_bank(w, &bank);
        name =
            xasprintf(".agavectl/snapshot-%llu-" HASH ".tar.zst", (unsigned long long)rows[i].slot);
        folder_touch(w, name);
        /* Not knowing the version is no reason to give more up. */
        assert_null(unstage(w, i % 2 ? &v30 : &unknown, &moved, &text));
        assert_int_equal(moved.n, rows[i].moves);
        assert_int_equal(folder_has(w, name), !rows[i].moves);
        if (rows[i].moves)
            assert_non_null(strstr(text, "no more at 1000 from the local state"));
        assert_int_equal(snapshot_folder_teardown(state), 0);
        assert_int_equal(snapshot_folder_setup(state), 0);
    }
}

static void nothing_is_overwritten(void **state)
{
    struct snapshot_folder *w = *state;
    AUTO(strlist_clear) struct strlist moved = {0};
    AUTO(freep) char *text = NULL;

    folder_touch(w, ".agavectl/" FULL("400"));
    assert_null(fsroot_mkdirs(w->root, "/s/" FULL("400"), 0755)); /* no archive, and in the way */
    AUTO(err_freep) struct err *e = unstage(w, &v30, &moved, &text);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_REFUSED);
    assert_true(folder_has(w, ".agavectl/" FULL("400")));
}

static void where_a_new_one_goes(void **state)
{
    struct snapshot_folder *w = *state;
    AUTO(freep) char *stopped = NULL, *running = NULL;

    assert_null(store_target(&w->ctx, "/s", false, &stopped));
    assert_string_equal(stopped, "/s");
    assert_false(folder_has(w, ".agavectl"));
    assert_null(store_target(&w->ctx, "/s", true, &running));
    assert_string_equal(running, "/s/.agavectl");
    assert_true(folder_has(w, ".agavectl"));
}

static const struct snapdirs apart = {.dir = "/s", .full = "/s/full", .incremental = "/s/incr"};

static void what_waits_gets_the_place_of_its_kind(void **state)
{
    static const char *const there[] = {"full/" FULL("400"), "incr/" INCR("400", "450"),
                                        ".agavectl/" FULL("700"), NULL};
    struct snapshot_folder *w = *state;
    AUTO(strlist_clear) struct strlist moved = {0};
    AUTO(freep) char *text = NULL;

    folder_touch(w, "full/" FULL("100"));
    folder_touch(w, "full/.agavectl/" FULL("400"));
    folder_touch(w, "incr/.agavectl/" INCR("400", "450"));
    folder_touch(w, ".agavectl/" FULL("700")); /* nobody would look for it there */
    assert_null(store_unstage(&w->ctx, &apart, &v30, 5000, &moved, &text));
    assert_int_equal(moved.n, 2);
    folder_expect(w, there, true);
}

/* ---- room -------------------------------------------------------------------------------------
 */

static void room(void **state)
{
    static const struct {
        struct store_room room;
        uint64_t need;
        bool fits, pruned;
    } rows[] = {
        {{.full_b = 100, .incremental_b = 5, .spare_b = 10, .free_b = 120}, 120, true, true},
        {{.full_b = 100, .incremental_b = 5, .spare_b = 10, .free_b = 119}, 120, false, false},
        {{.full_b = 100, .incremental_b = 5, .spare_b = 10, .free_b = 119, .prunable_b = 1},
         120,
         false,
         true},
        {{.full_b = 100, .incremental_b = 5, .have_b = 60, .spare_b = 10, .free_b = 60},
         60,
         true,
         true},
        {{.full_b = 100, .have_b = 500, .free_b = 0}, 0, true, true},
        {{.full_b = UINT64_MAX - 1, .incremental_b = 5, .free_b = UINT64_MAX - 1},
         UINT64_MAX,
         false,
         false},
        {{.incremental_b = UINT64_MAX, .free_b = 1, .prunable_b = UINT64_MAX},
         UINT64_MAX,
         false,
         false},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct store_forecast f;

        store_forecast(&rows[i].room, &f);
        if (f.need_b != rows[i].need || f.fits != rows[i].fits || f.fits_pruned != rows[i].pruned)
            fail_msg("row %zu: %llu bytes, fits %d, pruned %d", i, (unsigned long long)f.need_b,
                     f.fits, f.fits_pruned);
        AUTO(freep) char *text = store_forecast_text(&rows[i].room, &f);
        assert_non_null(strstr(text, "needed"));
    }
}

static void room_of_a_folder(void **state)
{
    struct snapshot_folder *w = *state;
    AUTO(freep) char *big = xcalloc(1, 100000);
    struct store_room r = {.full_b = 200000};

    folder_touch(w, FULL("400"));
    folder_put(w, "/s/" FULL("300"), big, 100000);
    folder_put(w, "/s/tmp-" FULL("500"), big, 100000);
    assert_null(store_room_look(&w->ctx, "/s", FULL("500"), NULL, &r));
    assert_true(r.free_b > 0);
    assert_in_range(r.have_b, 100000, 110000);
    assert_in_range(r.prunable_b, 100000, 110000);
    /* one that is to be made */
    assert_null(store_room_look(&w->ctx, "/nowhere/yet", NULL, NULL, &r));
    assert_true(r.free_b > 0 && r.have_b == 0 && r.prunable_b == 0);
}

/* While a validator runs it is fetched beside its archives, and these are what prune would free. */
static void room_of_what_waits(void **state)
{
    struct snapshot_folder *w = *state;
    AUTO(freep) char *big = xcalloc(1, 100000);
    struct store_room r = {.full_b = 200000};

    folder_touch(w, FULL("400"));
    folder_put(w, "/s/" FULL("300"), big, 100000);
    folder_put(w, "/s/tmp-" FULL("500"), big, 100000);
    assert_null(store_room_look(&w->ctx, "/s/.agavectl", FULL("500"), NULL, &r));
    assert_true(r.have_b == 0); /* of another place */
    assert_in_range(r.prunable_b, 100000, 110000);
    folder_put(w, "/s/.agavectl/tmp-" FULL("500"), big, 100000);
    folder_put(w, "/s/.agavectl/" FULL("350"), big, 100000); /* overtaken by what is used */
    assert_null(store_room_look(&w->ctx, "/s/.agavectl", FULL("500"), NULL, &r));
    assert_in_range(r.have_b, 100000, 110000);
    assert_in_range(r.prunable_b, 200000, 220000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, snapshot_folder_setup, snapshot_folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_newer_pair_gets_its_place),
        TEST(only_what_helps_moves),
        TEST(fast_boot_is_not_given_up_for_little),
        TEST(nothing_is_overwritten),
        TEST(where_a_new_one_goes),
        cmocka_unit_test(room),
        TEST(room_of_what_waits),
        TEST(room_of_a_folder),
        TEST(what_waits_gets_the_place_of_its_kind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
