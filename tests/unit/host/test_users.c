/* host/block_users and zram on a made-up /proc and /sys: who uses a device, and what cannot be
 * said. */
#include "host/block_users.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"
#include "fixture.h"
#include "host/loop.h"
#include "host/zram.h"

#define ROOT "27 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n"

static void machine(struct fixture *f)
{
    fixture_new(f);
    fixture_put(f, "/proc/self/stat", "1 (test) S 0\n");
    fixture_link(f, "/proc/self/ns/mnt", "mnt:[4026531840]");
    fixture_put(f, "/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n");
    fixture_process(f, 10, "init", "/sbin/init", "init", 1);
    fixture_put(f, "/proc/10/mountinfo", "%s", ROOT);
    fixture_process(f, 20, "containerd", "/bin/containerd", "containerd", 2);
    fixture_put(f, "/proc/20/mountinfo", "%s", ROOT);
    fixture_dir(f, "/sys/block/sdb");
    fixture_dir(f, "/sys/dev/block/8:16/holders");
    fixture_dir(f, "/sys/dev/block/254:0/holders");
}

static char *users(struct fixture *f, uint32_t major, uint32_t minor)
{
    AUTO(block_users_clear) struct block_users u = {0};

    assert_ok(block_users_of(&f->ctx, major, minor, &u));
    return block_users_text(&u);
}

static void nobody_and_everybody(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    machine(&f);
    AUTO(freep) char *none = users(&f, 8, 16);
    assert_string_equal(none, "nobody");
    fixture_put(&f, "/proc/10/mountinfo", ROOT "30 27 8:16 / /a\\040b rw - xfs /dev/sdb rw\n");
    fixture_link(&f, "/proc/20/ns/mnt", "mnt:[4026539999]");
    fixture_put(&f, "/proc/20/mountinfo", ROOT "31 27 8:16 /x /mnt rw - xfs /dev/sdb rw\n");
    fixture_dir(&f, "/sys/dev/block/8:16/holders/dm-3");
    AUTO(freep) char *all = users(&f, 8, 16);
    assert_string_equal(all, "mounted at '/a b'; mounted at '/mnt' in the mount namespace of "
                             "process 20 (containerd); part of device 'dm-3'");
    AUTO(freep) char *other = users(&f, 254, 0);
    assert_non_null(strstr(other, "mounted at '/'"));
}

static void what_cannot_be_seen_is_an_error(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(block_users_clear) struct block_users u = {0};

    machine(&f);
    assert_err(block_users_of(&f.ctx, 8, 17, &u), ERR_NOTFOUND, "8:17"); /* not in /sys */
    fixture_put(&f, "/proc/20/mountinfo", "rubbish\n");
    fixture_link(&f, "/proc/20/ns/mnt", "mnt:[4026539999]");
    assert_err(block_users_of(&f.ctx, 8, 16, &u), ERR_CORRUPT, "process 20");
    assert_int_equal(u.n, 0);
}

/* A namespace whose first process is gone before its table is read is read from the next one. */
static void a_process_that_ends_does_not_hide_its_namespace(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    machine(&f);
    fixture_process(&f, 5, "gone", "/bin/gone", "gone", 3); /* no mountinfo any more */
    fixture_put(&f, "/proc/10/mountinfo", ROOT "30 27 8:16 / /srv rw - xfs /dev/sdb rw\n");
    AUTO(freep) char *text = users(&f, 8, 16);
    assert_string_equal(text, "mounted at '/srv'");
}

static void memory_devices_are_told_apart(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    enum ramdev k = RAMDEV_NONE;

    fixture_new(&f);
    fixture_put(&f, "/sys/dev/block/252:0/mm_stat", "0 0 0\n");
    fixture_dir(&f, "/sys/dev/block/1:0");
    fixture_dir(&f, "/sys/dev/block/8:0");
    assert_ok(ramdev_kind(&f.ctx, 252, 0, &k));
    assert_int_equal(k, RAMDEV_ZRAM);
    assert_ok(ramdev_kind(&f.ctx, 1, 0, &k));
    assert_int_equal(k, RAMDEV_BRD);
    assert_ok(ramdev_kind(&f.ctx, 8, 0, &k));
    assert_int_equal(k, RAMDEV_NONE);
    assert_err(ramdev_kind(&f.ctx, 9, 0, &k), ERR_NOTFOUND, NULL);
    assert_false(zram_available(&f.ctx));
    char *dev = NULL;
    assert_err(zram_add(&f.ctx, 1, &dev), ERR_ABSENT, "modprobe zram");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_and_everybody),
        cmocka_unit_test(what_cannot_be_seen_is_an_error),
        cmocka_unit_test(a_process_that_ends_does_not_hide_its_namespace),
        cmocka_unit_test(memory_devices_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
