/* fetch/store and fetch/prune: what waits gets its place when that helps, and what goes is never
 * what a start needs. */
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
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static const struct snapload_rules v30 = {.version = {.known = true, .major = 3, .patch = 14}};
static const struct snapload_rules v40 = {.version = {.known = true, .major = 4}};

static bool is_there(struct snapshot_folder *w, const char *name)
{
    AUTO(freep) char *path = xasprintf("%s/s/%s", w->dir, name);

    return access(path, F_OK) == 0;
}

static void expect_there(struct snapshot_folder *w, const char *const *names, bool there)
{
    for (; *names; names++)
        if (is_there(w, *names) != there)
            fail_msg("'%s' is %s", *names, there ? "gone" : "still there");
}

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
    expect_there(w, there, true);
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
    assert_true(is_there(w, INCR("400", "470")));
    assert_true(is_there(w, ".agavectl/" FULL("440")));
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
        assert_int_equal(is_there(w, name), !rows[i].moves);
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
    assert_true(is_there(w, ".agavectl/" FULL("400")));
}

static void where_a_new_one_goes(void **state)
{
    struct snapshot_folder *w = *state;
    AUTO(freep) char *stopped = NULL, *running = NULL;

    assert_null(store_target(&w->ctx, "/s", false, &stopped));
    assert_string_equal(stopped, "/s");
    assert_false(is_there(w, ".agavectl"));
    assert_null(store_target(&w->ctx, "/s", true, &running));
    assert_string_equal(running, "/s/.agavectl");
    assert_true(is_there(w, ".agavectl"));
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

/* ---- prune ------------------------------------------------------------------------------------
 */

static struct err *prune_now(struct snapshot_folder *w, const struct snapload_rules *rules,
                             const struct prune_want *want, size_t *ret_n, struct prune_plan *p)
{
    AUTO(snaplocal_clear) struct snaplocal l = {0};

    TRY(snaplocal_read(&w->ctx, "/s", NULL, &l));
    TRY(prune_plan_make(&l, rules, want, p));
    for (size_t i = 0; i < p->n; i++)
        assert_non_null(p->items[i].why);
    return prune(&w->ctx, &l, rules, want, p, ret_n);
}

static void fill(struct snapshot_folder *w)
{
    static const char *const names[] = {
        FULL("100"),
        INCR("100", "150"),
        FULL("200"),
        INCR("200", "250"),
        INCR("200", "260"),
        "remote/" FULL("200"),
        "remote/" INCR("200", "240"),
        "remote/tmp-" FULL("350"),
        INCR("50", "300"),
        "snapshot-900-" HASH ".tar.bz2",
        "tmp-snapshot-archive-x",
        FULL("300") ".aria2",
        ".agavectl/" FULL("100") ".json",
        ".agavectl/" FULL("77") ".json",
        ".agavectl/" FULL("200") ".json",
        "other",
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        folder_touch(w, names[i]);
}

static void the_newest_pair_stays(void **state)
{
    static const char *const kept[] = {FULL("200"),
                                       INCR("200", "260"),
                                       FULL("300") ".aria2",
                                       "tmp-snapshot-archive-x",
                                       "other",
                                       ".agavectl/" FULL("200") ".json",
                                       NULL};
    static const char *const gone[] = {FULL("100"),
                                       INCR("100", "150"),
                                       INCR("200", "250"),
                                       "remote/" FULL("200"),
                                       "remote/" INCR("200", "240"),
                                       "remote/tmp-" FULL("350"),
                                       INCR("50", "300"),
                                       "snapshot-900-" HASH ".tar.bz2",
                                       ".agavectl/" FULL("100") ".json",
                                       ".agavectl/" FULL("77") ".json",
                                       NULL};
    struct snapshot_folder *w = *state;
    AUTO(prune_plan_clear) struct prune_plan p = {0}, again = {0};
    size_t n = 0;

    fill(w);
    assert_null(prune_now(w, &v30, &(struct prune_want){0}, &n, &p));
    expect_there(w, kept, true);
    expect_there(w, gone, false);
    assert_int_equal(n, 9); /* the note of an archive goes with it */
    assert_int_equal(p.n_removed, n);
    assert_null(prune_now(w, &v30, &(struct prune_want){0}, &n, &again));
    assert_int_equal(n, 0);
}

/* ---- archives in folders of their own ---------------------------------------------------------
 */

static const struct snapdirs apart = {.dir = "/s", .full = "/s/full", .incremental = "/s/incr"};

static void each_kind_has_its_folder(void **state)
{
    static const char *const kept[] = {"full/" FULL("400"),
                                       "incr/" INCR("400", "450"),
                                       FULL("900"),
                                       "full/" INCR("400", "480"),
                                       "incr/" FULL("800"),
                                       "incr/.agavectl/" INCR("400", "450") ".json",
                                       NULL};
    static const char *const gone[] = {"full/" FULL("300"), "incr/" INCR("400", "420"),
                                       "full/.agavectl/" FULL("300") ".json",
                                       "incr/.agavectl/" FULL("66") ".json", NULL};
    struct snapshot_folder *w = *state;
    AUTO(snaplocal_clear) struct snaplocal l = {0};
    AUTO(prune_plan_clear) struct prune_plan p = {0};
    AUTO(snapload_clear) struct snapload d = {0};
    const struct prune_want want = {.keep_full = 1};
    size_t n = 0;

    for (size_t i = 0; kept[i]; i++)
        folder_touch(w, kept[i]);
    for (size_t i = 0; gone[i]; i++)
        folder_touch(w, gone[i]);
    assert_null(snaplocal_read_dirs(&w->ctx, &apart, NULL, &l));
    snapload_decide(&l, &v30, &d);
    assert_int_equal(d.slot, 450);
    assert_string_equal(l.files[d.full].path, "/s/full/" FULL("400"));
    assert_string_equal(l.files[d.incr].path, "/s/incr/" INCR("400", "450"));
    for (size_t i = 0; i < l.n; i++)
        if (l.files[i].apart)
            assert_non_null(strstr(l.files[i].why, "where such archives are not looked for"));
    assert_null(prune_plan_make(&l, &v30, &want, &p));
    for (size_t i = 0; i < l.n;
         i++) /* kept for what it is, and not only since it would be missed */
        if (str_eq(l.files[i].path, "/s/full/" FULL("400")))
            assert_string_equal(p.items[i].why, "one of the highest full archives");
    assert_null(prune(&w->ctx, &l, &v30, &want, &p, &n));
    expect_there(w, kept, true);
    expect_there(w, gone, false);
    assert_int_equal(n, 3);
}

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
    expect_there(w, there, true);
}

static void folders_that_are_one(void **state)
{
    struct snapshot_folder *w = *state;
    AUTO(snaplocal_clear) struct snaplocal l = {0};
    AUTO(freep) char *link = xasprintf("%s/s/link", w->dir);

    folder_touch(w, FULL("400"));
    assert_int_equal(symlink(".", link), 0);
    assert_null(snaplocal_read_dirs(
        &w->ctx, &(struct snapdirs){.dir = "/s", .full = "/s/link", .incremental = "/s/gone"}, NULL,
        &l));
    assert_int_equal(l.n, 1);
    assert_false(l.files[0].apart);
}

/* ---- while others are at work -----------------------------------------------------------------
 */

struct looked {
    struct snaplocal l;
    struct prune_plan p;
};

static void look(struct snapshot_folder *w, const struct prune_want *want, struct looked *ret)
{
    assert_null(snaplocal_read(&w->ctx, "/s", NULL, &ret->l));
    assert_null(prune_plan_make(&ret->l, &v30, want, &ret->p));
}

static struct err *go_on(struct snapshot_folder *w, const struct prune_want *want,
                         struct looked *then, size_t *ret_n)
{
    struct err *e = prune(&w->ctx, &then->l, &v30, want, &then->p, ret_n);

    prune_plan_clear(&then->p);
    snaplocal_clear(&then->l);
    return e;
}

static void take_away(struct snapshot_folder *w, const char *from, const char *to)
{
    AUTO(freep) char *a = xasprintf("%s/s/%s", w->dir, from);
    AUTO(freep) char *b = to ? xasprintf("%s/s/%s", w->dir, to) : NULL;

    assert_int_equal(b ? rename(a, b) : unlink(a), 0);
}

static void what_was_to_stay_is_gone(void **state)
{
    static const struct prune_want want = {.keep_full = 1};
    struct snapshot_folder *w = *state;
    struct looked then = {0};
    size_t n = 7;

    folder_touch(w, FULL("100"));
    folder_touch(w, FULL("200"));
    folder_touch(w, FULL("300"));
    look(w, &want, &then);
    assert_int_equal(then.p.n_removed, 2);
    take_away(w, FULL("300"), NULL); /* Agave, or another prune with a word of its own */
    AUTO(err_freep) struct err *e = go_on(w, &want, &then, &n);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_REFUSED);
    assert_non_null(strstr(e->text, "the folder has changed"));
    assert_true(is_there(w, FULL("200")) && is_there(w, FULL("100")));
}

static void what_went_by_itself_is_fine(void **state)
{
    struct snapshot_folder *w = *state;
    AUTO(strlist_clear) struct strlist names = {0};
    const struct prune_want want = {.names = &names};
    struct looked then = {0};
    size_t n = 0;

    strlist_add(&names, FULL("50"));
    folder_touch(w, FULL("50"));
    folder_touch(w, FULL("100"));
    folder_touch(w, FULL("200"));
    look(w, &want, &then);
    take_away(w, FULL("50"), NULL);
    folder_touch(w, FULL("20")); /* and what came is not looked at by who confirmed */
    assert_null(go_on(w, &want, &then, &n));
    assert_int_equal(n, 1);
    assert_false(is_there(w, FULL("100")));
    assert_true(is_there(w, FULL("200")) && is_there(w, FULL("20")));
}

/* Without their note nobody would know that nobody vouches for them. */
static void the_note_of_what_was_renamed_stays(void **state)
{
    static const struct prune_want want = {.keep_full = 1};
    struct snapshot_folder *w = *state;
    struct looked then = {0};
    size_t n = 0;

    /* What waited and is overtaken is given its place between the look and the removal. */
    folder_touch(w, FULL("200"));
    folder_touch(w, ".agavectl/" FULL("100"));
    folder_touch(w, ".agavectl/" FULL("100") ".json");
    look(w, &want, &then);
    assert_int_equal(then.p.n_removed, 1);
    take_away(w, ".agavectl/" FULL("100"), FULL("100"));
    assert_null(go_on(w, &want, &then, &n));
    assert_int_equal(n, 0);
    assert_true(is_there(w, FULL("100")) && is_there(w, ".agavectl/" FULL("100") ".json"));

    /* A note is written before its archive has its name. */
    folder_touch(w, ".agavectl/" FULL("400") ".json");
    look(w, &want, &then);
    folder_touch(w, "remote/" FULL("400"));
    assert_null(go_on(w, &want, &then, &n));
    assert_true(is_there(w, ".agavectl/" FULL("400") ".json"));
}

static void one_prune_at_a_time(void **state)
{
    static const struct prune_want want = {.keep_full = 1};
    struct snapshot_folder *w = *state;
    AUTO(freep) char *dir = xasprintf("%s/s", w->dir);
    AUTO(closep) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct looked then = {0};
    size_t n = 0;

    folder_touch(w, FULL("100"));
    folder_touch(w, FULL("200"));
    assert_int_equal(flock(fd, LOCK_EX), 0);
    look(w, &want, &then);
    AUTO(err_freep) struct err *e = go_on(w, &want, &then, &n);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_REFUSED);
    assert_non_null(strstr(e->text, "another prune is at work"));
    assert_true(is_there(w, FULL("100")));
    assert_int_equal(flock(fd, LOCK_UN), 0);
    look(w, &want, &then);
    assert_null(go_on(w, &want, &then, &n));
    assert_false(is_there(w, FULL("100")));
}

static void more_full_ones_can_be_kept(void **state)
{
    static const char *const kept[] = {FULL("200"), INCR("200", "260"), FULL("100"),
                                       INCR("100", "150"), NULL};
    struct snapshot_folder *w = *state;
    AUTO(prune_plan_clear) struct prune_plan p = {0};
    size_t n = 0;

    fill(w);
    assert_null(prune_now(w, &v30, &(struct prune_want){.keep_full = 2, .running = true}, &n, &p));
    expect_there(w, kept, true);
    assert_true(is_there(w, "remote/tmp-" FULL("350"))); /* it runs, and may be at work on it */
    assert_false(is_there(w, "remote/" FULL("200")));
}

static void what_waits_stays_beside_what_is_used(void **state)
{
    static const char *const kept[] = {FULL("200"), INCR("200", "260"), ".agavectl/" FULL("400"),
                                       ".agavectl/" INCR("400", "430"), NULL};
    static const char *const gone[] = {".agavectl/" FULL("350"), ".agavectl/" INCR("400", "420"),
                                       ".agavectl/" INCR("200", "255"), NULL};
    struct snapshot_folder *w = *state;
    AUTO(prune_plan_clear) struct prune_plan p = {0};
    size_t n = 0;

    for (size_t i = 0; kept[i]; i++)
        folder_touch(w, kept[i]);
    for (size_t i = 0; gone[i]; i++)
        folder_touch(w, gone[i]);
    assert_null(prune_now(w, &v30, &(struct prune_want){.running = true}, &n, &p));
    expect_there(w, kept, true);
    expect_there(w, gone, false);
}

/* Half files are root's, 0600. */
static void half(struct snapshot_folder *w, const char *name)
{
    AUTO(freep) char *path = xasprintf("%s/s/%s", w->dir, name);

    folder_touch(w, name);
    assert_int_equal(chmod(path, 0600), 0);
}

static void halves(void **state)
{
    struct snapshot_folder *w = *state;
    AUTO(prune_plan_clear) struct prune_plan p = {0}, q = {0}, r = {0};
    AUTO(closep) int fd = -1;
    size_t n = 0;

    folder_touch(w, FULL("200"));
    half(w, "tmp-" FULL("150")); /* overtaken */
    half(w, "tmp-" FULL("500")); /* can be gone on with */
    half(w, ".agavectl/" FULL("500") ".map");
    half(w, "tmp-" INCR("500", "550")); /* the same */
    half(w, "tmp-" INCR("90", "95"));   /* of a base that is not there */
    half(w, "tmp-" FULL("180"));        /* overtaken, but at work */
    half(w, ".agavectl/" FULL("180") ".map");
    AUTO(freep) char *map = xasprintf("%s/s/.agavectl/" FULL("180") ".map", w->dir);
    fd = open(map, O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_null(prune_now(w, &v30, &(struct prune_want){0}, &n, &p));
    assert_int_equal(n, 2);
    assert_false(is_there(w, "tmp-" FULL("150")));
    assert_false(is_there(w, "tmp-" INCR("90", "95")));
    assert_true(is_there(w, "tmp-" FULL("180")));
    assert_true(is_there(w, "tmp-" FULL("500")));
    assert_true(is_there(w, "tmp-" INCR("500", "550")));
    closep(&fd);
    fd = -1;
    assert_null(prune_now(w, &v30, &(struct prune_want){.halves = true}, &n, &q));
    assert_int_equal(n, 3);
    assert_false(is_there(w, ".agavectl/" FULL("500") ".map"));
    assert_null(prune_now(w, &v30, &(struct prune_want){0}, &n, &r));
    assert_int_equal(n, 0);
}

static void refused(struct snapshot_folder *w, const struct snapload_rules *rules, const char *name,
                    const char *why)
{
    AUTO(strlist_clear) struct strlist names = {0};
    AUTO(prune_plan_clear) struct prune_plan p = {0}, q = {0};
    size_t n = 0;

    strlist_add(&names, name);
    AUTO(err_freep)
    struct err *e = prune_now(w, rules, &(struct prune_want){.names = &names}, &n, &p);
    assert_non_null(e);
    if (e->kind != ERR_REFUSED || !strstr(e->text, why))
        fail_msg("wanted '%s', got %s: %s", why, err_kind_name(e->kind), e->text);
    assert_true(is_there(w, name));
    assert_null(
        prune_now(w, rules, &(struct prune_want){.names = &names, .destroy = &names}, &n, &q));
    assert_false(is_there(w, name));
    assert_int_equal(q.notes.n, 1);
}

static void the_last_one_needs_a_word(void **state)
{
    struct snapshot_folder *w = *state;

    folder_touch(w, FULL("200"));
    refused(w, &v30, FULL("200"), "the last full archive that can be used");
}

static void what_would_be_loaded_needs_a_word(void **state)
{
    struct snapshot_folder *w = *state;

    folder_touch(w, FULL("200"));
    folder_touch(w, INCR("200", "260"));
    refused(w, &v30, INCR("200", "260"), "a start would then take the full archive of slot 200");
}

/* What a start takes in place of the one that was named does not go with it. */
static void a_named_loss_is_not_a_second_one(void **state)
{
    static const char *const kept[] = {FULL("100"), INCR("100", "150"), NULL};
    struct snapshot_folder *w = *state;
    AUTO(strlist_clear) struct strlist names = {0};
    AUTO(prune_plan_clear) struct prune_plan p = {0};
    size_t n = 0;

    folder_touch(w, FULL("100"));
    folder_touch(w, INCR("100", "150"));
    folder_touch(w, FULL("200"));
    strlist_add(&names, FULL("200"));
    assert_null(
        prune_now(w, &v30, &(struct prune_want){.names = &names, .destroy = &names}, &n, &p));
    assert_int_equal(n, 1);
    assert_int_equal(p.notes.n, 1);
    assert_false(is_there(w, FULL("200")));
    expect_there(w, kept, true);
}

static void fast_boot_needs_a_word(void **state)
{
    static const struct folder_bank bank = {1000, "cfs", 400, "2.0.0", NULL};
    struct snapshot_folder *w = *state;
    AUTO(prune_plan_clear) struct prune_plan p = {0};
    AUTO(strlist_clear) struct strlist names = {0};
    size_t n = 0;

    folder_touch(w, FULL("400"));
    folder_touch(w, FULL("300"));
    folder_bank(w, &bank);
    strlist_add(&names, FULL("400")); /* 4.0 needs a full archive, but not this one */
    assert_null(prune_now(
        w, &v40, &(struct prune_want){.keep_full = 2, .names = &names, .destroy = &names}, &n, &p));
    folder_touch(w, FULL("400"));
    refused(w, &v30, FULL("400"), "fast boot");
}

static void names_that_are_not_there(void **state)
{
    struct snapshot_folder *w = *state;
    AUTO(strlist_clear) struct strlist names = {0}, foreign = {0};
    AUTO(prune_plan_clear) struct prune_plan p = {0};
    size_t n = 0;

    folder_touch(w, FULL("300") ".aria2");
    strlist_add(&names, "../../etc/passwd");
    AUTO(err_freep)
    struct err *e = prune_now(w, &v30, &(struct prune_want){.names = &names}, &n, &p);
    assert_int_equal(e->kind, ERR_NOTFOUND);
    strlist_add(&foreign, FULL("300") ".aria2");
    AUTO(err_freep)
    struct err *e2 = prune_now(w, &v30, &(struct prune_want){.names = &foreign}, &n, &p);
    assert_int_equal(e2->kind, ERR_REFUSED);
}

/* Nothing of use: nothing is removed to get there. */
static void only_what_cannot_be_used(void **state)
{
    struct snapshot_folder *w = *state;
    AUTO(prune_plan_clear) struct prune_plan p = {0};
    size_t n = 1;

    folder_touch(w, "snapshot-900-" HASH ".tar.bz2");
    folder_touch(w, INCR("200", "260"));
    folder_put(w, "/s/" FULL("300"), "", 0);
    assert_null(prune_now(w, &v30, &(struct prune_want){0}, &n, &p));
    assert_int_equal(n, 0);
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
        TEST(the_newest_pair_stays),
        TEST(more_full_ones_can_be_kept),
        TEST(each_kind_has_its_folder),
        TEST(what_waits_gets_the_place_of_its_kind),
        TEST(folders_that_are_one),
        TEST(what_was_to_stay_is_gone),
        TEST(what_went_by_itself_is_fine),
        TEST(the_note_of_what_was_renamed_stays),
        TEST(one_prune_at_a_time),
        TEST(what_waits_stays_beside_what_is_used),
        TEST(halves),
        TEST(the_last_one_needs_a_word),
        TEST(what_would_be_loaded_needs_a_word),
        TEST(a_named_loss_is_not_a_second_one),
        TEST(fast_boot_needs_a_word),
        TEST(names_that_are_not_there),
        TEST(only_what_cannot_be_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
