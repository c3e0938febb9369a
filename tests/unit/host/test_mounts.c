/* host/mounts: the table with its escapes and stacked mounts, from text. */
#include "host/mounts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"
#include "fixture.h"

static const char TABLE[] =
    "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
    "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n"
    "50 27 7:0 / /srv/solana rw,noatime shared:9 - xfs /dev/loop0 rw,attr2\n"
    "51 50 252:1 / /srv/solana/ramdisk rw shared:10 - xfs /dev/zram1 rw\n"
    "60 27 254:0 /srv/kind /srv/kind rw shared:1 - ext4 /dev/vda rw\n"
    "61 60 7:0 / /srv/kind/solana rw shared:12 master:9 - xfs /dev/loop0 rw\n"
    "62 61 252:1 / /srv/kind/solana/ramdisk rw master:10 - xfs /dev/zram1 rw\n"
    "70 27 0:50 / /mnt/with\\040blank\\011tab\\134slash rw unbindable - tmpfs none rw\n"
    "80 27 0:60 /a /stack rw - tmpfs first rw\n"
    "81 80 0:61 /b /stack rw - tmpfs second rw\n"
    "82 80 0:62 / /stack/hidden rw - tmpfs third rw\n";

static void parse(struct mounts *m)
{
    assert_ok(mounts_parse(TABLE, strlen(TABLE), m));
}

static void fields_and_escapes(void **state)
{
    AUTO(mounts_clear) struct mounts m = {0};

    parse(&m);
    assert_int_equal(m.n, 11);
    const struct mount_info *x = mounts_at(&m, "/mnt/with blank\ttab\\slash");
    assert_non_null(x);
    assert_string_equal(x->fstype, "tmpfs");
    assert_string_equal(x->source, "none");
    assert_string_equal(mount_propagation(x), "unbindable");
    x = mounts_at(&m, "/srv/kind/solana");
    assert_int_equal(x->id, 61);
    assert_int_equal(x->parent_id, 60);
    assert_int_equal(x->major, 7);
    assert_int_equal(x->shared, 12);
    assert_int_equal(x->master, 9);
    assert_string_equal(mount_propagation(x), "shared and slave");
    assert_string_equal(mounts_at(&m, "/srv/solana")->options, "rw,noatime");
    assert_string_equal(mounts_at(&m, "/srv/solana")->fs_options, "rw,attr2");
    assert_string_equal(mounts_at(&m, "/srv/kind")->root, "/srv/kind");
    assert_string_equal(mount_propagation(mounts_at(&m, "/srv/kind/solana/ramdisk")), "slave");
    assert_string_equal(mount_propagation(mounts_at(&m, "/proc")), "private");
}

/* overlay of many layers, mount points deeper than a page */
static void overlong_lines(void **state)
{
    AUTO(mounts_clear) struct mounts m = {0};
    AUTO(strbuf_clear) struct strbuf text = {0}, target = {0}, layers = {0};

    for (int i = 0; i < 2000; i++) {
        strbuf_puts(&target, "/a\\040b");
        strbuf_printf(&layers, "%s/layers/%06d", i ? ":" : ",lowerdir=", i);
    }
    strbuf_printf(&text,
                  "27 1 0:40 / / rw - overlay overlay rw%s\n30 27 8:1 / %s rw - xfs /dev/a rw\n",
                  strbuf_text(&layers), strbuf_text(&target));
    assert_ok(mounts_parse(text.data, text.len, &m));
    assert_int_equal(m.n, 2);
    assert_int_equal(strlen(m.items[0].fs_options), 2 + layers.len);
    assert_int_equal(strlen(m.items[1].target), 2000 * strlen("/a b"));
    assert_ptr_equal(mounts_over(&m, m.items[1].target), &m.items[1]);
}

static void paths_lie_on_the_mount_that_the_kernel_finds(void **state)
{
    AUTO(mounts_clear) struct mounts m = {0};

    parse(&m);
    assert_int_equal(mounts_over(&m, "/srv/solana/ledger/rocksdb")->id, 50);
    assert_int_equal(mounts_over(&m, "/srv/solana/ramdisk/accounts")->id, 51);
    assert_int_equal(mounts_over(&m, "/srv/solanaX")->id, 27);
    assert_int_equal(mounts_over(&m, "/")->id, 27);
    assert_null(mounts_at(&m, "/srv"));
    assert_int_equal(mounts_at(&m, "/stack")->id, 81); /* the topmost */
    assert_null(mounts_at(&m, "/stack/hidden"));       /* below a mount that lies over it */
    assert_int_equal(mounts_over(&m, "/stack/hidden/x")->id, 81);
}

static void bad_lines_are_errors(void **state)
{
    static const char *const bad[] = {
        "22 27 0:21 / /proc rw,relatime - proc proc rw\nrubbish\n",
        "/dev/sda1 / ext4 defaults 0 1\n",
        "22 27 0:21 / /proc rw shared:x - proc proc rw\n",
        "22 27 0:21\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(mounts_clear) struct mounts m = {0};
        struct err *e = mounts_parse(bad[i], strlen(bad[i]), &m);

        if (!e)
            print_error("accepted: %s\n", bad[i]);
        assert_non_null(e);
        err_free(e);
        assert_int_equal(m.n, 0);
    }
}

static void an_empty_table_has_no_root(void **state)
{
    AUTO(mounts_clear) struct mounts m = {0};

    assert_ok(mounts_parse("", 0, &m));
    assert_null(mounts_over(&m, "/"));
}

static void a_process_that_is_gone(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(mounts_clear) struct mounts m = {0};

    fixture_new(&f);
    fixture_put(&f, "/proc/7/mountinfo", "%s", TABLE);
    assert_ok(mounts_read_of(&f.ctx, 7, &m));
    assert_int_equal(m.n, 11);
    assert_err(mounts_read_of(&f.ctx, 8, &m), ERR_NOTFOUND, "mountinfo");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_and_escapes),
        cmocka_unit_test(overlong_lines),
        cmocka_unit_test(paths_lie_on_the_mount_that_the_kernel_finds),
        cmocka_unit_test(bad_lines_are_errors),
        cmocka_unit_test(an_empty_table_has_no_root),
        cmocka_unit_test(a_process_that_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
