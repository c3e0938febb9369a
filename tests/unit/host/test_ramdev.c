/* RAM disks of real kernels: zram of one number, a new file system over an old one, direct I/O. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"
#include "fixture.h"
#include "host/block.h"
#include "host/loop.h"
#include "host/mkfs.h"
#include "host/mounts.h"
#include "host/tmpfs.h"
#include "host/zram.h"
#include "io/fsroot.h"
#include "real.h"

#define MIB (1ULL << 20)

static struct real *real;

static size_t zrams(void)
{
    AUTO(strlist_clear) struct strlist names = {0};
    size_t n = 0;

    assert_ok(fsroot_list(real->ctx.root, "/sys/block", &names));
    for (size_t i = 0; i < names.n; i++)
        n += str_starts(names.items[i], "zram");
    return n;
}

static void zram_of_one_number(void **state)
{
    size_t before = zrams();
    bool made = false;
    uint64_t size_b = 0;

    if (!zram_available(&real->ctx))
        return;
    AUTO(freep) char *dev = real_zram_free(real);
    assert_ok(zram_make(&real->ctx, dev, 64 * MIB, &made));
    assert_true(made);
    assert_ok(zram_size(&real->ctx, dev, &size_b));
    assert_true(size_b == 64 * MIB);
    assert_ok(zram_make(&real->ctx, dev, 64 * MIB, &made)); /* it is there */
    assert_false(made);
    assert_err(zram_make(&real->ctx, dev, 65 * MIB, &made), ERR_REFUSED, "somebody else's");
    assert_ok(zram_size(&real->ctx, dev, &size_b));
    assert_true(size_b == 64 * MIB);
    real_zram_remove(real, dev);
    assert_err(zram_size(&real->ctx, dev, &size_b), ERR_NOTFOUND, NULL);
    assert_true(zrams() <= before + 3); /* those that it passed are gone again */
    assert_err(zram_make(&real->ctx, "/dev/ram0", MIB, &made), ERR_BADINPUT, "none of /dev/zram0");
    assert_err(zram_make(&real->ctx, "/dev/zram64", MIB, &made), ERR_BADINPUT, NULL);
}

static void a_fresh_xfs_only_in_memory(void **state)
{
    AUTO(freep) char *disk = real_loop(real, "disk", 400 * MIB);
    AUTO(block_info_clear) struct block_info b = {0};
    unsigned long long before;

    real_write(disk, 12345, "data", 4);
    before = real_sum(real, disk);
    assert_err(mkfs_xfs_fresh(&real->ctx, disk, NULL), ERR_REFUSED, "not in memory");
    assert_true(real_sum(real, disk) == before);
    assert_ok(loop_detach(&real->ctx, disk));
    AUTO(freep) char *ram = real_zram(real, 320 * MIB);
    if (!ram)
        return;
    real_run(real, (const char *const[]){"mkfs.ext4", "-q", ram, NULL});
    assert_err(mkfs_xfs(&real->ctx, ram, "accounts"), ERR_REFUSED, "ext4");
    AUTO(freep) char *at = real_dir(real, "used");
    assert_ok(mounts_mount(ram, at, "ext4", NULL));
    assert_err(mkfs_xfs_fresh(&real->ctx, ram, "accounts"), ERR_REFUSED, "in use");
    assert_ok(mounts_umount(at));
    assert_ok(mkfs_xfs_fresh(&real->ctx, ram, "accounts"));
    assert_ok(block_probe(&real->ctx, ram, &b));
    assert_string_equal(b.fstype, "xfs");
    assert_ok(mkfs_xfs_fresh(&real->ctx, ram, "accounts")); /* and over itself */
    real_zram_remove(real, ram);
}

static enum odirect odirect_of(const char *source, const char *fstype, const char *name)
{
    AUTO(freep) char *at = real_dir(real, name);
    enum odirect got = ODIRECT_REFUSED;

    assert_ok(mounts_mount(source, at, fstype, NULL));
    assert_ok(odirect_probe(&real->ctx, at, &got));
    AUTO(strlist_clear) struct strlist names = {0};
    assert_ok(fsroot_list(real->ctx.root, at, &names));
    assert_int_equal(names.n, 0); /* nothing is left of the try */
    assert_ok(mounts_umount(at));
    return got;
}

static void direct_io_is_tried_and_not_assumed(void **state)
{
    AUTO(freep) char *disk = real_loop(real, "odirect", 400 * MIB);
    bool noswap = false;
    enum odirect got;

    assert_ok(mkfs_xfs(&real->ctx, disk, NULL));
    assert_int_equal(odirect_of(disk, "xfs", "on-loop"), ODIRECT_TAKEN);
    assert_ok(loop_detach(&real->ctx, disk));
    assert_ok(tmpfs_takes_noswap(&real->ctx, &noswap));
    got = odirect_of("tmpfs", "tmpfs", "on-tmpfs");
    assert_true(got == ODIRECT_TAKEN || got == ODIRECT_REFUSED);
    printf("# tmpfs here: %s O_DIRECT, %s noswap\n", got == ODIRECT_TAKEN ? "takes" : "refuses",
           noswap ? "takes" : "refuses");
    AUTO(freep) char *ram = real_zram(real, 320 * MIB);
    if (!ram)
        return;
    assert_ok(mkfs_xfs(&real->ctx, ram, NULL));
    assert_int_equal(odirect_of(ram, "xfs", "on-zram"), ODIRECT_COARSE); /* sectors of 4096 */
    real_zram_remove(real, ram);
}

int main(void)
{
    static const char *const parts[] = {"block devices", "mounts", NULL};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zram_of_one_number),
        cmocka_unit_test(a_fresh_xfs_only_in_memory),
        cmocka_unit_test(direct_io_is_tried_and_not_assumed),
    };

    return real_main(real, parts, tests);
}
