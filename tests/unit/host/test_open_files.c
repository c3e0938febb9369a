/* host/open_files: on this very process, and on a made-up one. */
#include "host/open_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/str.h"
#include "fixture.h"
#include "io/fsroot.h"

static const struct open_file *find(const struct open_files *all, const char *path)
{
    for (size_t i = 0; i < all->n; i++)
        if (str_eq(all->items[i].path, path))
            return &all->items[i];
    return NULL;
}

static void our_own_files_are_found(void **state)
{
    AUTO(open_files_clear) struct open_files all = {0};
    AUTO(fixture_clear) struct fixture f = {0};
    struct ctx ctx = {0};

    fixture_new(&f);
    AUTO(freep) char *written = xasprintf("%s/written", f.dir);
    AUTO(freep) char *removed = xasprintf("%s/removed", f.dir);
    AUTO(closep) int a = open(written, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    AUTO(closep) int b = open(written, O_RDONLY | O_CLOEXEC);
    AUTO(closep) int c = open(removed, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    AUTO(closep) int d = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(a >= 0 && b >= 0 && c >= 0 && d >= 0);
    assert_int_equal(unlink(removed), 0);
    assert_ok(fsroot_open("/", &ctx.root));
    assert_ok(open_files_read(&ctx, getpid(), &all));
    ctx.root = fsroot_close(ctx.root);
    assert_int_equal(all.unseen, 0);
    assert_true(find(&all, written)->writing);
    assert_true(find(&all, removed)->writing);
    size_t readers = 0;
    for (size_t i = 0; i < all.n; i++)
        readers += str_eq(all.items[i].path, written) && !all.items[i].writing;
    assert_int_equal(readers, 1);
}

static void what_cannot_be_looked_at_is_counted(void **state)
{
    AUTO(open_files_clear) struct open_files all = {0};
    AUTO(fixture_clear) struct fixture f = {0};

    fixture_new(&f);
    fixture_process(&f, 20, "agave-validator", "/usr/bin/agave-validator", "agave-validator", 1);
    fixture_link(&f, "/proc/20/fd/3", "/srv/solana/ledger/rocksdb/LOG");
    fixture_put(&f, "/proc/20/fdinfo/3", "pos:\t0\nflags:\t0102001\n");
    fixture_link(&f, "/proc/20/fd/4", "socket:[700]");
    fixture_link(&f, "/proc/20/fd/5",
                 "/srv/solana/ledger/x"); /* closed before its flags were read */
    fixture_link(&f, "/proc/20/fd/6", "/srv/solana/ledger/y");
    fixture_put(&f, "/proc/20/fdinfo/6", "mnt_id: 1\n");
    assert_ok(open_files_read(&f.ctx, 20, &all));
    assert_int_equal(all.n, 1);
    assert_true(all.items[0].writing);
    assert_int_equal(all.unseen, 1);
    assert_err(open_files_read(&f.ctx, 21, &all), ERR_NOTFOUND, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_files_are_found),
        cmocka_unit_test(what_cannot_be_looked_at_is_counted),
    };

    return cmocka_run_group_tests_name("open_files", tests, NULL, NULL);
}
