/* fetch/prune: what goes is never what a start needs. */
#include "fetch/prune.h"

#include "base/str.h"
#include "fetch/provenance.h"
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
    folder_expect(w, kept, true);
    folder_expect(w, gone, false);
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
    folder_expect(w, kept, true);
    folder_expect(w, gone, false);
    assert_int_equal(n, 3);
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
    assert_true(folder_has(w, FULL("200")) && folder_has(w, FULL("100")));
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
    assert_false(folder_has(w, FULL("100")));
    assert_true(folder_has(w, FULL("200")) && folder_has(w, FULL("20")));
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
    assert_true(folder_has(w, FULL("100")) && folder_has(w, ".agavectl/" FULL("100") ".json"));

    /* A note is written before its archive has its name. */
    folder_touch(w, ".agavectl/" FULL("400") ".json");
    look(w, &want, &then);
    folder_touch(w, "remote/" FULL("400"));
    assert_null(go_on(w, &want, &then, &n));
    assert_true(folder_has(w, ".agavectl/" FULL("400") ".json"));
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
    assert_true(folder_has(w, FULL("100")));
    assert_int_equal(flock(fd, LOCK_UN), 0);
    look(w, &want, &then);
    assert_null(go_on(w, &want, &then, &n));
    assert_false(folder_has(w, FULL("100")));
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
    folder_expect(w, kept, true);
    assert_true(folder_has(w, "remote/tmp-" FULL("350"))); /* it runs, and may be at work on it */
    assert_false(folder_has(w, "remote/" FULL("200")));
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
    folder_expect(w, kept, true);
    folder_expect(w, gone, false);
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
    assert_false(folder_has(w, "tmp-" FULL("150")));
    assert_false(folder_has(w, "tmp-" INCR("90", "95")));
    assert_true(folder_has(w, "tmp-" FULL("180")));
    assert_true(folder_has(w, "tmp-" FULL("500")));
    assert_true(folder_has(w, "tmp-" INCR("500", "550")));
    closep(&fd);
    fd = -1;
    assert_null(prune_now(w, &v30, &(struct prune_want){.halves = true}, &n, &q));
    assert_int_equal(n, 3);
    assert_false(folder_has(w, ".agavectl/" FULL("500") ".map"));
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
    assert_true(folder_has(w, name));
    assert_null(
        prune_now(w, rules, &(struct prune_want){.names = &names, .destroy = &names}, &n, &q));
    assert_false(folder_has(w, name));
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
    assert_false(folder_has(w, FULL("200")));
    folder_expect(w, kept, true);
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

/* ---- names that say more than what lies there -------------------------------------------------
 */

static const struct prune_item *item_of(const struct snaplocal *l, const struct prune_plan *p,
                                        const char *path)
{
    for (size_t i = 0; i < l->n; i++)
        if (str_eq(l->files[i].path, path))
            return &p->items[i];
    fail_msg("'%s' is not listed", path);
    return NULL;
}

/* aria2 writes into the final name: for its sake no good one may go. */
static void what_is_half_downloaded_replaces_nothing(void **state)
{
    struct snapshot_folder *w = *state;
    AUTO(snaplocal_clear) struct snaplocal l = {0};
    AUTO(prune_plan_clear) struct prune_plan p = {0}, q = {0};
    AUTO(snapload_clear) struct snapload d = {0};
    size_t n = 7;

    folder_touch(w, FULL("100"));
    folder_touch(w, INCR("100", "150"));
    folder_touch(w, FULL("300"));
    folder_touch(w, FULL("300") ".aria2");
    assert_null(prune_now(w, &v30, &(struct prune_want){0}, &n, &p));
    assert_int_equal(n, 0);
    assert_null(snaplocal_read(&w->ctx, "/s", NULL, &l));
    snapload_decide(&l, &v30, &d);
    assert_int_equal(d.slot, 300); /* Agave goes by the name */
    assert_int_equal(d.doubts.n, 1);
    assert_non_null(strstr(d.doubts.items[0], "half downloaded"));
    take_away(w, FULL("300") ".aria2", NULL);
    assert_null(prune_now(w, &v30, &(struct prune_want){0}, &n, &q));
    assert_int_equal(n, 2);
}

static void one_of_another_size_is_no_copy(void **state)
{
    struct snapshot_folder *w = *state;
    AUTO(prune_plan_clear) struct prune_plan p = {0};
    size_t n = 7;

    folder_touch(w, FULL("300"));
    folder_put(w, "/s/remote/" FULL("300"), "whole", 5);
    assert_null(prune_now(w, &v30, &(struct prune_want){0}, &n, &p));
    assert_int_equal(n, 0);
}

static void a_link_gives_nothing_back(void **state)
{
    struct snapshot_folder *w = *state;
    AUTO(snaplocal_clear) struct snaplocal l = {0};
    AUTO(prune_plan_clear) struct prune_plan p = {0};
    AUTO(freep) char *link = xasprintf("%s/s/" FULL("300"), w->dir);
    AUTO(freep) char *big = xcalloc(1, 100000);
    size_t n = 0;

    folder_touch(w, FULL("400"));
    folder_put(w, "/s/elsewhere", big, 100000);
    assert_int_equal(symlink("elsewhere", link), 0);
    assert_null(snaplocal_read(&w->ctx, "/s", NULL, &l));
    assert_null(prune_plan_make(&l, &v30, &(struct prune_want){0}, &p));
    assert_true(item_of(&l, &p, "/s/" FULL("300"))->remove);
    assert_in_range(p.freed_b, 0, 8192);
    assert_null(prune(&w->ctx, &l, &v30, &(struct prune_want){0}, &p, &n));
    assert_int_equal(n, 1);
    assert_true(folder_has(w, "elsewhere") && !folder_has(w, FULL("300")));
}

/* Agave takes what has the name, whatever it is, and ends on it. */
static void what_is_no_file_is_told(void **state)
{
    struct snapshot_folder *w = *state;
    AUTO(snaplocal_clear) struct snaplocal l = {0};
    AUTO(prune_plan_clear) struct prune_plan p = {0};
    AUTO(snapload_clear) struct snapload d = {0};
    AUTO(freep) char *link = xasprintf("%s/s/" FULL("500"), w->dir);
    AUTO(freep) char *folder = xasprintf("%s/s/" FULL("300"), w->dir);
    AUTO(strlist_clear) struct strlist named = {0};
    size_t n = 7;

    folder_touch(w, FULL("400"));
    assert_int_equal(symlink("/mnt/gone/" FULL("500"), link), 0);
    assert_int_equal(mkdir(folder, 0755), 0);
    assert_null(snaplocal_read(&w->ctx, "/s", NULL, &l));
    snapload_decide(&l, &v30, &d);
    assert_int_equal(d.slot, 500);
    assert_int_equal(d.doubts.n, 1);
    assert_non_null(strstr(d.doubts.items[0], "a link to nothing"));
    assert_null(prune_plan_make(&l, &v30, &(struct prune_want){0}, &p));
    assert_false(item_of(&l, &p, "/s/" FULL("400"))->remove); /* the best that can be read */
    assert_false(item_of(&l, &p, "/s/" FULL("300"))->remove);
    assert_non_null(strstr(item_of(&l, &p, "/s/" FULL("300"))->why, "no file"));
    assert_null(prune(&w->ctx, &l, &v30, &(struct prune_want){0}, &p, &n));
    assert_true(folder_has(w, FULL("300")) && folder_has(w, FULL("400")));
    strlist_add(&named, FULL("300"));
    prune_plan_clear(&p);
    AUTO(err_freep)
    struct err *e = prune_now(w, &v30, &(struct prune_want){.names = &named}, &n, &p);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_REFUSED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, snapshot_folder_setup, snapshot_folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_newest_pair_stays),
        TEST(more_full_ones_can_be_kept),
        TEST(each_kind_has_its_folder),
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
        TEST(what_is_half_downloaded_replaces_nothing),
        TEST(one_of_another_size_is_no_copy),
        TEST(a_link_gives_nothing_back),
        TEST(what_is_no_file_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
