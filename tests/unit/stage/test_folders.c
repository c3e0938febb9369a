/* stage/folders: what was made goes when it is empty, and what others have put beside it stays. */
#include "stage/folders.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "fixture.h"
#include "io/fsroot.h"

#define MADE "/srv/a/b\n/srv/a\n"

static void put_mounts(struct fixture *f, const char *more)
{
    fixture_put(f, "/proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n%s", more);
}

static void make(struct fixture *f, const char *path)
{
    assert_ok(fsroot_mkdirs(f->ctx.root, path, 0755));
}

static void looks(struct fixture *f, enum undo_verdict want, const char *what)
{
    AUTO(undo_look_clear) struct undo_look l = {0};

    assert_ok(folders_look(&f->ctx, MADE, &l));
    assert_int_equal(l.verdict, want);
    if (what)
        assert_string_equal(l.what, what);
    else
        assert_null(l.what);
}

static void all_are_empty(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    fixture_new(&f);
    put_mounts(&f, "");
    make(&f, "/srv/a/b");
    looks(&f, UNDO_DO, "remove the empty folder '/srv/a/b'");
    assert_ok(folders_remove(&f.ctx, MADE));
    looks(&f, UNDO_GONE, NULL);
}

static void one_above_has_content_of_others(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    fixture_new(&f);
    put_mounts(&f, "");
    make(&f, "/srv/a/b");
    fixture_put(&f, "/srv/a/theirs", "x");
    looks(&f, UNDO_DO, "remove the empty folder '/srv/a/b'");
    assert_ok(folders_remove(&f.ctx, MADE));
    looks(&f, UNDO_KEEP, "folder '/srv/a' has content ('theirs')");
}

static void one_above_is_a_mount_by_now(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    fixture_new(&f);
    put_mounts(&f, "2 1 8:2 / /srv/a rw - xfs /dev/sda2 rw\n");
    make(&f, "/srv/a/b");
    looks(&f, UNDO_DO, "remove the empty folder '/srv/a/b'");
}

/* Somebody puts a link there between the look and the removal. */
static void none_goes_through_a_link(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    struct stat st;

    fixture_new(&f);
    put_mounts(&f, "");
    make(&f, "/srv/a/b");
    looks(&f, UNDO_DO, "remove the empty folder '/srv/a/b'");
    assert_ok(fsroot_rmdir(f.ctx.root, "/srv/a/b"));
    assert_ok(fsroot_rmdir(f.ctx.root, "/srv/a"));
    make(&f, "/theirs/b");
    fixture_link(&f, "/srv/a", "../theirs");
    assert_ok(folders_remove(&f.ctx, MADE));
    assert_ok(fsroot_stat(f.ctx.root, "/theirs/b", &st));
    looks(&f, UNDO_KEEP, "'/srv/a/b' is behind a symbolic link by now");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_empty),
        cmocka_unit_test(one_above_has_content_of_others),
        cmocka_unit_test(one_above_is_a_mount_by_now),
        cmocka_unit_test(none_goes_through_a_link),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
