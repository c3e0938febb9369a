/* fetch/pair_local: what is here is read before anything builds upon it, and only a note of our own
 * saves the reading. The archives are no archives, so that whoever reads them finds out. */
#include "fetch/pair.h"

#include "base/str.h"
#include "fetch/provenance.h"
#include "io/fsroot.h"
#include "unit/snapshot_folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define NAME    FULL("400")
#define OTHER_B ((size_t)1)
#define SOURCE  "snapshot-100-" HASH ".tar.zst"

static const struct pair_look by_notes = {
    .dirs = {.dir = "/s"}, .by_notes = true, .hash_must = true};

static uint64_t now_ms(void)
{
    return (uint64_t)time(NULL) * 1000;
}

/* As fetch/pair writes it. */
static void note(struct snapshot_folder *w, const char *verify, const char *hash, uint64_t size_b,
                 uint64_t at_ms)
{
    AUTO(provenance_clear)
    struct provenance p = {.name = xstrdup(NAME),
                           .size_b = size_b,
                           .at_ms = at_ms,
                           .verify = xstrdup(verify),
                           .hash = xstrdup(hash),
                           .trust = xstrdup("any")};

    assert_null(provenance_write(&w->ctx, "/s", &p));
}

/* Was it taken without being read? */
static bool is_believed(struct snapshot_folder *w, const struct pair_look *look)
{
    AUTO(pair_local_clear) struct pair_local local = {0};
    AUTO(err_freep) struct err *e = pair_local_look(&w->ctx, look, NULL, &local);

    if (!e) {
        assert_string_equal(local.full, NAME);
        return true;
    }
    assert_int_equal(e->kind, ERR_CORRUPT);
    assert_non_null(strstr(e->text, "move it away and run this again"));
    assert_null(local.full);
    return false;
}

static char *path_of(struct snapshot_folder *w, const char *below)
{
    return xasprintf("%s/s/%s", w->dir, below);
}

static void our_own_note_saves_the_reading(void **state)
{
    static const struct {
        const char *verify, *hash;
        uint64_t size_b;
        bool believed, without_hash;
    } rows[] = {
        {"full", "proven", OTHER_B, true, true},   {"structure", "proven", OTHER_B, true, true},
        {"full", "other", OTHER_B, false, true},   {"full", "none", OTHER_B, false, true},
        {"none", "unread", OTHER_B, false, false}, {"full", "proven", OTHER_B + 1, false, false},
    };
    struct snapshot_folder *w = *state;
    struct pair_look look = by_notes;

    folder_touch(w, NAME);
    assert_false(is_believed(w, &by_notes));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        note(w, rows[i].verify, rows[i].hash, rows[i].size_b, now_ms() + 1000);
        look.hash_must = true;
        assert_int_equal(is_believed(w, &look), rows[i].believed);
        look.hash_must = false;
        assert_int_equal(is_believed(w, &look), rows[i].without_hash);
    }
    note(w, "full", "proven", OTHER_B, now_ms() + 1000);
    look = by_notes;
    look.by_notes = false; /* before a start */
    assert_false(is_believed(w, &look));
}

static void what_was_written_to_since_is_read(void **state)
{
    struct snapshot_folder *w = *state;
    AUTO(freep) char *path = path_of(w, NAME);
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};

    folder_touch(w, NAME);
    note(w, "full", "proven", OTHER_B, now_ms() + 1000);
    assert_true(is_believed(w, &by_notes));
    times[1].tv_sec = time(NULL) + 60;
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_false(is_believed(w, &by_notes));
}

static void what_others_may_have_written_gives_nothing(void **state)
{
    struct snapshot_folder *w = *state;
    AUTO(freep) char *store = path_of(w, STORE_DIR);
    AUTO(freep) char *file = path_of(w, STORE_DIR "/" NAME ".json");
    AUTO(freep) char *away = path_of(w, "away");

    folder_touch(w, NAME);
    note(w, "full", "proven", OTHER_B, now_ms() + 1000);
    assert_true(is_believed(w, &by_notes));
    assert_int_equal(chmod(file, 0666), 0);
    assert_false(is_believed(w, &by_notes));
    assert_int_equal(chmod(file, 0644), 0);
    assert_int_equal(chmod(store, 0777), 0);
    assert_false(is_believed(w, &by_notes));
    assert_int_equal(chmod(store, 0755), 0);
    assert_true(is_believed(w, &by_notes));
    assert_int_equal(rename(store, away), 0);
    assert_int_equal(symlink("away", store), 0);
    assert_false(is_believed(w, &by_notes));
    assert_int_equal(unlink(store), 0);
    assert_int_equal(rename(away, store), 0);
    assert_int_equal(rename(file, away), 0);
    assert_int_equal(symlink("../away", file), 0);
    assert_false(is_believed(w, &by_notes));
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rename(away, file), 0);
    assert_true(is_believed(w, &by_notes));
}

/* The validator's user owns the folder, and so can put a note of his own there. */
static void a_note_of_another_user_gives_nothing(void **state)
{
    struct snapshot_folder *w = *state;
    AUTO(freep) char *dir = path_of(w, ".");
    AUTO(freep) char *store = path_of(w, STORE_DIR);
    AUTO(freep) char *file = path_of(w, STORE_DIR "/" NAME ".json");
    AUTO(provenance_clear) struct provenance p = {0};

    if (geteuid() != 0) {
        printf("# not root: nobody else's file can be made\n");
        return;
    }
    folder_touch(w, NAME);
    note(w, "full", "proven", OTHER_B, now_ms() + 1000);
    assert_int_equal(chown(dir, 1000, 1000), 0);
    assert_true(is_believed(w, &by_notes));
    assert_int_equal(chown(file, 1000, 1000), 0);
    assert_false(is_believed(w, &by_notes));
    assert_null(provenance_read(&w->ctx, "/s", NAME, &p)); /* but it may be shown */
    assert_false(p.ours);
    assert_int_equal(chown(file, 0, 0), 0);
    assert_int_equal(chown(store, 1000, 1000), 0);
    assert_false(is_believed(w, &by_notes));
    assert_int_equal(chown(store, 1001, 1001), 0); /* neither ours nor the folder's owner's */
    provenance_clear(&p);
    AUTO(err_freep) struct err *e = provenance_read(&w->ctx, "/s", NAME, &p);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_REFUSED);
    assert_non_null(strstr(e->text, "so it says nothing"));
}

static void the_hash_counts_where_it_must(void **state)
{
    struct snapshot_folder *w = *state;
    AUTO(freep)
    char *from = xasprintf("%s/tests/data/snapshots/" SOURCE, getenv("AGAVECTL_TEST_SOURCE"));
    AUTO(freep) char *text = NULL;
    AUTO(fsroot_closep) struct fsroot *host = NULL;
    struct pair_look look = {.dirs = {.dir = "/s"}};
    size_t n = 0;

    assert_null(fsroot_open("/", &host));
    assert_null(fsroot_read(host, from, (size_t)1 << 20, &text, &n));
    folder_put(w, "/s/snapshot-100-" HASH2 ".tar.zst", text, n);
    for (int must = 0; must < 2; must++) {
        AUTO(pair_local_clear) struct pair_local local = {0};

        look.hash_must = must;
        AUTO(err_freep) struct err *e = pair_local_look(&w->ctx, &look, NULL, &local);
        assert_int_equal(e != NULL, must);
        if (e)
            assert_non_null(strstr(e->text, "not the one in its name"));
    }
}

/* An archive of Agave's, under its own name. */
static void put_real(struct snapshot_folder *w)
{
    AUTO(freep)
    char *from = xasprintf("%s/tests/data/snapshots/" SOURCE, getenv("AGAVECTL_TEST_SOURCE"));
    AUTO(freep) char *text = NULL;
    AUTO(fsroot_closep) struct fsroot *host = NULL;
    size_t n = 0;

    assert_null(fsroot_open("/", &host));
    assert_null(fsroot_read(host, from, (size_t)1 << 20, &text, &n));
    folder_put(w, "/s/" SOURCE, text, n);
}

static void count_says(void *arg, const char *text)
{
    ++*(unsigned *)arg;
}

/* keep looks round after round, and a validator's own archives have no notes. */
static void who_looks_again_reads_once(void **state)
{
    struct snapshot_folder *w = *state;
    AUTO(strlist_clear) struct strlist seen = {0};
    AUTO(freep) char *path = path_of(w, SOURCE);
    const struct pair_look look = {
        .dirs = {.dir = "/s"}, .by_notes = true, .hash_must = true, .seen = &seen};
    unsigned says = 0;
    const struct pair_events events = {.say = count_says, .arg = &says};

    put_real(w);
    for (int i = 0; i < 2; i++) {
        AUTO(pair_local_clear) struct pair_local local = {0};

        assert_null(pair_local_look(&w->ctx, &look, &events, &local));
        assert_string_equal(local.full, SOURCE);
        assert_int_equal(says, 1);
    }
    assert_int_equal(truncate(path, 1000), 0);
    AUTO(pair_local_clear) struct pair_local local = {0};
    AUTO(err_freep) struct err *e = pair_local_look(&w->ctx, &look, &events, &local);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_CORRUPT);
    assert_int_equal(seen.n, 1);
}

static struct err *no_more(void *arg)
{
    return err_new(ERR_REFUSED, "a voter was started");
}

/* Who stops it himself has nothing to move away. */
static void reading_can_be_ended(void **state)
{
    static const volatile sig_atomic_t cancelled = 1;
    struct snapshot_folder *w = *state;
    struct pair_look look = {.dirs = {.dir = "/s"}, .may_go_on = no_more};
    AUTO(pair_local_clear) struct pair_local local = {0};

    put_real(w);
    AUTO(err_freep) struct err *e = pair_local_look(&w->ctx, &look, NULL, &local);
    assert_non_null(e);
    assert_string_equal(e->text, "a voter was started");
    look.may_go_on = NULL;
    w->ctx.cancelled = &cancelled;
    AUTO(err_freep) struct err *e2 = pair_local_look(&w->ctx, &look, NULL, &local);
    assert_non_null(e2);
    assert_int_equal(e2->kind, ERR_CANCELLED);
    assert_null(strstr(e2->text, "move it away"));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, snapshot_folder_setup, snapshot_folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(our_own_note_saves_the_reading),
        CASE(what_was_written_to_since_is_read),
        CASE(what_others_may_have_written_gives_nothing),
        CASE(a_note_of_another_user_gives_nothing),
        CASE(the_hash_counts_where_it_must),
        CASE(who_looks_again_reads_once),
        CASE(reading_can_be_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
