/* stage/bank_state: local bank snapshots whose accounts are lost are told, and put aside so that a
 * rename takes it back. */
#include "stage/bank_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"
#include "fixture.h"
#include "io/fsroot.h"
#include "solana/bank_snapshots.h"

#define SNAPS    "/srv/solana/snapshots"
#define INNER    SNAPS "/snapshots"
#define ACCOUNTS "/srv/solana/ramdisk/accounts"

/* As agave-validator 3.0.14 leaves one when it ends in order. */
static void bank_snapshot(struct fixture *f, unsigned slot, bool loadable)
{
    static const char *const files[] = {"state_complete", "status_cache", "version",
                                        "full_snapshot_slot"};
    AUTO(freep) char *dir = xasprintf(INNER "/%u", slot);

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        AUTO(freep) char *file = xasprintf("%s/%s", dir, files[i]);

        fixture_put(f, file, "%u", slot);
    }
    if (!loadable)
        return;
    AUTO(freep) char *mark = xasprintf("%s/storages_flushed", dir);
    AUTO(freep) char *link = xasprintf("%s/accounts_hardlinks/account_path_0", dir);
    AUTO(freep) char *target = xasprintf(ACCOUNTS "/snapshot/%u", slot);
    fixture_put(f, mark, "%s", "");
    fixture_link(f, link, target);
}

static void accounts_of(struct fixture *f, unsigned slot)
{
    AUTO(freep) char *file = xasprintf(ACCOUNTS "/snapshot/%u/%u.9", slot, slot);

    fixture_put(f, file, "accounts");
}

static bool there(struct fixture *f, const char *path)
{
    AUTO(freep) char *real = xasprintf("%s%s", f->dir, path);

    return access(real, F_OK) == 0;
}

static void the_highest_loadable_one_counts(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(bank_snapshots_clear) struct bank_snapshots b = {0};
    AUTO(freep) char *why = NULL;

    fixture_new(&f);
    assert_ok(bank_state_lost(&f.ctx, SNAPS, ACCOUNTS, &why)); /* no folder at all */
    assert_null(why);
    bank_snapshot(&f, 701, true);
    bank_snapshot(&f, 801, true);
    bank_snapshot(&f, 901, false); /* not finished: Agave does not start from it */
    accounts_of(&f, 801);
    fixture_put(&f, INNER "/1001.pre/1001", "half");
    fixture_put(&f, INNER "/1002", "a file");
    fixture_put(&f, INNER "/+1003/1003", "no slot");
    assert_ok(bank_snapshots_read(f.ctx.root, SNAPS, &b));
    assert_int_equal(b.n, 3);
    assert_int_equal(b.items[0].slot, 901);
    assert_false(b.items[0].loadable);
    assert_int_equal(b.items[1].slot, 801);
    assert_true(b.items[1].loadable);
    assert_ok(bank_state_lost(&f.ctx, SNAPS, ACCOUNTS, &why));
    assert_null(why);
}

static void accounts_that_are_gone_are_told(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(freep) char *why = NULL, *empty = NULL;

    fixture_new(&f);
    bank_snapshot(&f, 801, true);
    assert_ok(bank_state_lost(&f.ctx, SNAPS, ACCOUNTS, &why)); /* as mkfs leaves it */
    assert_non_null(why);
    assert_non_null(strstr(why, "801"));
    fixture_dir(&f, ACCOUNTS "/snapshot/801");
    assert_ok(bank_state_lost(&f.ctx, SNAPS, ACCOUNTS, &empty));
    assert_non_null(empty);
}

static void a_mark_of_a_later_version_counts(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    bool any = false;

    fixture_new(&f);
    bank_snapshot(&f, 801, false);
    assert_ok(bank_state_any(&f.ctx, SNAPS, &any));
    assert_false(any);
    fixture_put(&f, INNER "/801/fastboot_version", "2.0.0");
    assert_ok(bank_state_any(&f.ctx, SNAPS, &any));
    assert_true(any);
}

static void aside_is_one_rename_and_nothing_else_moves(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(freep) char *text = NULL, *again = NULL;
    struct stat before, after;
    bool any = true;

    fixture_new(&f);
    bank_snapshot(&f, 701, true);
    bank_snapshot(&f, 801, true);
    accounts_of(&f, 701);
    fixture_put(&f, SNAPS "/snapshot-100-abc.tar.zst", "archive");
    AUTO(freep) char *inner = fsroot_path(f.ctx.root, INNER);
    assert_int_equal(chmod(inner, 0710), 0);
    assert_ok(fsroot_stat(f.ctx.root, INNER, &before));
    assert_ok(bank_state_disable(&f.ctx, SNAPS, "the RAM disk was formatted", &text));
    assert_non_null(text);
    assert_non_null(strstr(text, "the RAM disk was formatted"));
    assert_non_null(strstr(text, SNAPS "/snapshots.aside-1"));
    assert_true(there(&f, SNAPS "/snapshots.aside-1/801/storages_flushed"));
    assert_true(there(&f, SNAPS "/snapshots.aside-1/701/version"));
    assert_true(there(&f, SNAPS "/snapshot-100-abc.tar.zst"));
    assert_true(there(&f, ACCOUNTS "/snapshot/701/701.9"));
    assert_ok(fsroot_stat(f.ctx.root, INNER, &after));
    assert_int_equal(after.st_mode, before.st_mode);
    assert_int_equal(after.st_uid, before.st_uid);
    assert_ok(bank_state_any(&f.ctx, SNAPS, &any));
    assert_false(any);
    assert_ok(bank_state_disable(&f.ctx, SNAPS, "again", &again)); /* nothing is left to do */
    assert_null(again);
    assert_false(there(&f, SNAPS "/snapshots.aside-2"));
}

static void the_latest_two_are_kept(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    fixture_new(&f);
    accounts_of(&f, 801); /* a link in what is removed leads here */
    fixture_put(&f, SNAPS "/snapshots.aside-mine/keep", "not ours");
    for (unsigned i = 1; i <= 11; i++) {
        AUTO(freep) char *text = NULL;

        bank_snapshot(&f, 801, true);
        assert_ok(bank_state_disable(&f.ctx, SNAPS, "a test", &text));
        assert_non_null(text);
    }
    assert_true(there(&f, SNAPS "/snapshots.aside-11"));
    assert_true(there(&f, SNAPS "/snapshots.aside-10"));
    for (unsigned i = 1; i <= 9; i++) {
        AUTO(freep) char *path = xasprintf(SNAPS "/snapshots.aside-%u", i);

        assert_false(there(&f, path));
    }
    assert_true(there(&f, SNAPS "/snapshots.aside-mine/keep"));
    assert_true(there(&f, ACCOUNTS "/snapshot/801/801.9"));
}

static void a_link_is_refused(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(freep) char *text = NULL;

    fixture_new(&f);
    fixture_put(&f, "/srv/other/801/storages_flushed", "%s", "");
    fixture_link(&f, INNER, "/srv/other");
    assert_err(bank_state_disable(&f.ctx, SNAPS, "a test", &text), ERR_REFUSED, "is a link");
    assert_null(text);
    assert_true(there(&f, "/srv/other/801/storages_flushed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_highest_loadable_one_counts),
        cmocka_unit_test(accounts_that_are_gone_are_told),
        cmocka_unit_test(a_mark_of_a_later_version_counts),
        cmocka_unit_test(aside_is_one_rename_and_nothing_else_moves),
        cmocka_unit_test(the_latest_two_are_kept),
        cmocka_unit_test(a_link_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
