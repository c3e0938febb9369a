/* host/zfs: names, answers of zfs and what it is asked, on captured hosts. The real program is in
 * tests/integration/test_zfs.py. */
#include "host/zfs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "fixture.h"
#include "io/captured.h"
#include "io/fsroot.h"

#define GET                                                                                        \
    "\"/usr/sbin/zfs\",\"get\",\"-H\",\"-p\",\"-o\",\"property,value\","                           \
    "\"type,mounted,mountpoint,canmount,available,volsize,refreservation\""
#define PROGRAM "\"stat\": {\"/usr/sbin/zfs\": {\"type\": \"file\", \"mode\": \"0755\"}}"

static void capture(struct fixture *f, const char *host_json)
{
    fixture_put(f, "/host.json", "%s", host_json);
    f->ctx.root = fsroot_close(f->ctx.root);
    assert_ok(fsroot_open_captured(f->dir, &f->ctx.root));
    f->ctx.proc = &proc_captured;
}

static void names(void **state)
{
    char longest[300];

    assert_ok(zfs_name_check("tank"));
    assert_ok(zfs_name_check("tank/srv/kind-1_a.b:c"));
    assert_err(zfs_name_check(""), ERR_BADINPUT, "begins with a letter");
    assert_err(zfs_name_check("1tank"), ERR_BADINPUT, "begins with a letter");
    assert_err(zfs_name_check("tank//a"), ERR_BADINPUT, "empty or dots");
    assert_err(zfs_name_check("tank/"), ERR_BADINPUT, "empty or dots");
    assert_err(zfs_name_check("tank/../a"), ERR_BADINPUT, "empty or dots");
    assert_err(zfs_name_check("tank/a/."), ERR_BADINPUT, "empty or dots");
    assert_err(zfs_name_check("tank/a@b"), ERR_BADINPUT, "letters, digits");
    assert_err(zfs_name_check("tank/a\nb"), ERR_BADINPUT, "'tank/a?b'");
    memset(longest, 'a', sizeof(longest));
    longest[255] = '\0';
    assert_ok(zfs_name_check(longest));
    longest[255] = 'a';
    longest[256] = '\0';
    assert_err(zfs_name_check(longest), ERR_BADINPUT, "256 bytes");
    assert_null(zfs_parent("tank"));
    AUTO(freep) char *above = zfs_parent("tank/a/b");
    assert_string_equal(above, "tank/a");
}

static void what_a_dataset_is(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(zfs_dataset_clear) struct zfs_dataset d = {0};
    AUTO(zfs_dataset_clear) struct zfs_dataset v = {0};

    fixture_new(&f);
    capture(&f, "{" PROGRAM ", \"programs\": ["
                "{\"argv\": [" GET ", \"tank/kind\"], \"out\": \"type\\tfilesystem\\nmounted\\tyes"
                "\\nmountpoint\\t/srv/kind\\ncanmount\\ton\\navailable\\t42\\nvolsize\\t-\\n"
                "refreservation\\t0\\n\"},"
                "{\"argv\": [" GET ", \"tank/v\"], \"out\": \"type\\tvolume\\nmounted\\t-\\n"
                "mountpoint\\t-\\nvolsize\\t4096\\nrefreservation\\tnone\\n\"},"
                "{\"argv\": [" GET ", \"tank/no\"], \"exit\": 1, \"err\": \"cannot open "
                "'tank/no': dataset does not exist\\n\"},"
                "{\"argv\": [" GET ", \"tank/odd\"], \"out\": \"type\\tfilesystem\\nvolsize\\t-4\\n"
                "\"},"
                "{\"argv\": [" GET ", \"tank/sad\"], \"exit\": 1, \"err\": \"The ZFS modules cannot"
                " be auto-loaded.\\nTry running 'modprobe zfs'\\n\"}]}");
    assert_ok(zfs_get(&f.ctx, "tank/kind", &d));
    assert_int_equal(d.type, ZFS_FILESYSTEM);
    assert_true(d.mounted && d.available_b == 42 && d.volsize_b == 0);
    assert_string_equal(d.mountpoint, "/srv/kind");
    assert_string_equal(d.canmount, "on");
    assert_ok(zfs_get(&f.ctx, "tank/v", &v));
    assert_int_equal(v.type, ZFS_VOLUME);
    assert_true(!v.mounted && !v.mountpoint && v.volsize_b == 4096);
    assert_err(zfs_get(&f.ctx, "tank/no", &d), ERR_NOTFOUND, "dataset does not exist");
    assert_err(zfs_get(&f.ctx, "tank/odd", &d), ERR_BADINPUT, "volsize");
    assert_err(zfs_get(&f.ctx, "tank/sad", &d), ERR_REMOTE, "cannot be auto-loaded");
    assert_err(zfs_get(&f.ctx, "tank/unasked", &d), ERR_REMOTE, "no answer");
    assert_err(zfs_get(&f.ctx, "tank/a b'", &d), ERR_BADINPUT, "letters, digits");
}

static void without_the_program(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(zfs_dataset_clear) struct zfs_dataset d = {0};

    fixture_new(&f);
    capture(&f, "{}");
    assert_err(zfs_get(&f.ctx, "tank", &d), ERR_ABSENT, "install it");
}

/* zfs would wait in the kernel for as long as the pool does. */
static void a_suspended_pool_is_not_asked(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(zfs_dataset_clear) struct zfs_dataset d = {0};

    fixture_new(&f);
    fixture_put(&f, "/proc/spl/kstat/zfs/tank/state", "SUSPENDED\n");
    capture(&f, "{" PROGRAM ", \"programs\": [{\"argv\": [" GET ", \"tank/a\"], \"out\": "
                "\"type\\tvolume\\n\"}]}");
    assert_err(zfs_get(&f.ctx, "tank/a", &d), ERR_REFUSED, "pool 'tank' is suspended");
}

/* After the first try there is something in it. */
static struct err *may_once(struct ctx *ctx, void *arg)
{
    unsigned *tries = arg;

    (void)ctx;
    return (*tries)++ ? err_new(ERR_REFUSED, "it has content") : NULL;
}

static void one_that_was_busy_is_looked_at_again(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    unsigned tries = 0;

    fixture_new(&f);
    capture(&f, "{" PROGRAM ", \"programs\": ["
                "{\"argv\": [\"/usr/sbin/zfs\",\"destroy\",\"tank/k\"], \"exit\": 1, \"err\": "
                "\"cannot unmount '/srv/kind': pool or dataset is busy\\n\"}]}");
    assert_err(zfs_destroy(&f.ctx, "tank/k", may_once, &tries), ERR_REFUSED, "it has content");
    assert_int_equal(tries, 2);
}

static void what_is_asked_for(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(strlist_clear) struct strlist below = {0};
    unsigned tries = 0;

    fixture_new(&f);
    capture(&f,
            "{" PROGRAM ", \"programs\": ["
            "{\"argv\": [\"/usr/sbin/zfs\",\"create\",\"-b\",\"16384\",\"-V\",\"1073741824\","
            "\"tank/v\"]},"
            "{\"argv\": [\"/usr/sbin/zfs\",\"create\",\"-o\",\"mountpoint=/srv/kind\",\"tank/k\"]},"
            "{\"argv\": [\"/usr/sbin/zfs\",\"destroy\",\"tank/k\"], \"exit\": 1, \"err\": \"cannot "
            "destroy 'tank/k': filesystem has children\\nuse '-r' to\\n\"},"
            "{\"argv\": [\"/usr/sbin/zfs\",\"list\",\"-H\",\"-r\",\"-d\",\"1\",\"-o\",\"name\","
            "\"-t\",\"filesystem,volume,snapshot\",\"tank/k\"], \"out\": \"tank/k\\ntank/k@a\\n"
            "tank/k/b\\n\"}]}");
    assert_ok(zfs_create_volume(&f.ctx, "tank/v", 1U << 30));
    assert_err(zfs_create_volume(&f.ctx, "tank/v", 1000), ERR_BUG, "whole blocks");
    assert_ok(zfs_create_filesystem(&f.ctx, "tank/k", "/srv/kind"));
    assert_err(zfs_destroy(&f.ctx, "tank/k", may_once, &tries), ERR_REMOTE,
               "filesystem has children");
    assert_ok(zfs_below(&f.ctx, "tank/k", &below));
    assert_int_equal(below.n, 2);
    assert_string_equal(below.items[0], "tank/k@a");
    assert_string_equal(below.items[1], "tank/k/b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(what_a_dataset_is),
        cmocka_unit_test(without_the_program),
        cmocka_unit_test(a_suspended_pool_is_not_asked),
        cmocka_unit_test(what_is_asked_for),
        cmocka_unit_test(one_that_was_busy_is_looked_at_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
