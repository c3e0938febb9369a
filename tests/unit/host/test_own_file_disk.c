/* host/own_file on a disk that is full or read-only: one clear error, and what was there stays. */
#include "host/own_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/mount.h>

#include "base/str.h"
#include "fixture.h"
#include "io/fsroot.h"
#include "real.h"

#define FILE_PATH "/etc/sysctl.d/95-agavectl.conf"
#define FSTAB     "/etc/fstab"
#define OLD       "x = 1\n"
#define NEW       "x = 2\n"
#define ROOM_B    (128U << 10)

/* A small file system in memory as a host's root, with both kinds of file in it. */
static struct fsroot *small_disk(struct real *r, struct fixture *f)
{
    AUTO(freep) char *dir = real_dir(r, "root");

    assert_int_equal(mount("tmpfs", dir, "tmpfs", 0, "size=128k,mode=755"), 0);
    f->ctx = r->ctx;
    assert_ok(fsroot_open(dir, &f->ctx.root));
    fixture_dir(f, "/etc");
    fixture_put(f, FSTAB, "/dev/sda1\t/ ext4\n");
    assert_ok(own_file_write(&f->ctx, FILE_PATH, OLD));
    assert_ok(own_block_write(&f->ctx, FSTAB, OLD));
    return f->ctx.root;
}

static char *all_of(struct fixture *f)
{
    AUTO(strlist_clear) struct strlist etc = {0}, sub = {0};
    AUTO(freep) char *a = NULL;
    AUTO(freep) char *b = NULL;

    assert_ok(fsroot_list(f->ctx.root, "/etc", &etc));
    assert_ok(fsroot_list(f->ctx.root, "/etc/sysctl.d", &sub));
    assert_ok(fsroot_read(f->ctx.root, FSTAB, 4096, &a, NULL));
    assert_ok(fsroot_read(f->ctx.root, FILE_PATH, 4096, &b, NULL));
    return xasprintf("%zu %zu %s %s", etc.n, sub.n, a, b);
}

static void nothing_goes(struct fixture *f, const char *part)
{
    AUTO(freep) char *before = all_of(f);

    assert_err(own_file_write(&f->ctx, FILE_PATH, NEW), ERR_SYS, part);
    assert_err(own_block_write(&f->ctx, FSTAB, NEW), ERR_SYS, part);
    AUTO(freep) char *after = all_of(f);
    assert_string_equal(before, after);
}

static void read_only(void **state)
{
    struct real *r = *state;
    AUTO(freep) char *dir = real_path(r, "root");
    struct fixture f = {0};
    AUTO(fsroot_closep) struct fsroot *root = small_disk(r, &f);

    assert_int_equal(mount(NULL, dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    nothing_goes(&f, "Read-only file system; make it writable");
    AUTO(freep) char *before = all_of(&f);
    assert_err(own_file_write(&f.ctx, "/etc/logrotate.d/agavectl", NEW), ERR_SYS, "Read-only");
    assert_err(own_file_remove(&f.ctx, FILE_PATH, NULL), ERR_SYS, "Read-only");
    assert_err(own_block_remove(&f.ctx, FSTAB), ERR_SYS, "Read-only");
    AUTO(freep) char *after = all_of(&f);
    assert_string_equal(before, after);
    assert_ok(own_file_write(&f.ctx, FILE_PATH, OLD)); /* right already: nothing to write */
    assert_ok(own_block_write(&f.ctx, FSTAB, OLD));
}

static void full(void **state)
{
    struct real *r = *state;
    struct fixture f = {0};
    AUTO(fsroot_closep) struct fsroot *root = small_disk(r, &f);
    AUTO(freep) char *junk = xcalloc(1, ROOM_B);

    for (size_t n = ROOM_B; n; n /= 2) { /* until not one byte goes in */
        AUTO(freep) char *name = xasprintf("/junk-%zu", n);

        err_free(fsroot_write_atomic(root, name, junk, n, 0600));
    }
    nothing_goes(&f, "No space left on device; free some space");
    assert_ok(own_file_remove(&f.ctx, FILE_PATH, NULL)); /* needs no room */
}

static int after_each(void **state)
{
    real_umount_all(*state);
    AUTO(freep) char *dir = real_path(*state, "root");
    return rmdir(dir);
}

int main(void)
{
    static const char *const parts[] = {"mounts", NULL};
    struct real *r = real_new(parts);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate_setup_teardown(read_only, NULL, after_each, r),
        cmocka_unit_test_prestate_setup_teardown(full, NULL, after_each, r),
    };

    return r ? real_ended(r, cmocka_run_group_tests(tests, NULL, NULL)) : 0;
}
