/* host/block_id, udev: what a device is, on captured hosts; real ones are in test_devices.c. */
#include "host/block_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/str.h"
#include "fixture.h"
#include "host/udev.h"
#include "io/fsroot.h"

/* devices: node and number by turns, ended by NULL. */
static void capture_(struct fixture *f, const char *const *devices)
{
    AUTO(strbuf_clear) struct strbuf stat = {0};

    for (size_t i = 0; devices[i]; i += 2)
        strbuf_printf(&stat, "%s\"%s\": {\"type\": \"block\", \"rdev\": \"%s\"}", i ? "," : "",
                      devices[i], devices[i + 1]);
    fixture_put(f, "/host.json", "{\"stat\": {%s}}", strbuf_text(&stat));
    f->ctx.root = fsroot_close(f->ctx.root);
    assert_ok(fsroot_open_captured(f->dir, &f->ctx.root));
}
#define capture(f, ...) capture_(f, (const char *const[]){__VA_ARGS__, NULL})

static void in_sys(struct fixture *f, const char *number, const char *dir, const char *size)
{
    AUTO(freep) char *link = xasprintf("/sys/dev/block/%s", number);
    AUTO(freep) char *to = xasprintf("../../%s", dir);
    AUTO(freep) char *dev = xasprintf("/sys/%s/dev", dir);
    AUTO(freep) char *file = xasprintf("/sys/%s/size", dir);

    fixture_link(f, link, to);
    fixture_put(f, dev, "%s\n", number);
    fixture_put(f, file, "%s\n", size);
}

static void is(struct fixture *f, const char *dev, enum block_id_kind kind, const char *text,
               const char *stable)
{
    AUTO(block_id_clear) struct block_id b = {0};

    assert_ok(block_id_read(&f->ctx, dev, &b));
    assert_string_equal(b.text, text);
    assert_int_equal(b.kind, kind);
    if (stable)
        assert_string_equal(b.stable_name, stable);
    else
        assert_null(b.stable_name);
}

static void a_disk_by_its_serial_number(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    fixture_new(&f);
    in_sys(&f, "259:1", "block/nvme1n1", "7501476528");
    fixture_put(&f, "/sys/block/nvme1n1/device/serial", "S4EWNX0R      \n");
    fixture_put(&f, "/sys/block/nvme1n1/wwid", "eui.0025385a\n");
    in_sys(&f, "8:16", "block/sdb", "2097152");
    fixture_put(&f, "/run/udev/data/b8:16", "S:disk/by-id/x\nE:ID_WWN=0x5\nE:ID_SERIAL=Q_7\033\n");
    in_sys(&f, "8:32", "block/sdc", "2097152");
    fixture_link(&f, "/dev/disk/by-id/wwn-0x5", "../../sdb");
    fixture_link(&f, "/dev/disk/by-id/nvme-eui.0025385a", "../../nvme1n1");
    fixture_link(&f, "/dev/disk/by-id/nvme-SAMSUNG_S4EWNX0R", "../../nvme1n1");
    fixture_link(&f, "/dev/disk/by-id/ata-gone", "../../sdx");
    capture(&f, "/dev/nvme1n1", "259:1", "/dev/sdb", "8:16", "/dev/sdc", "8:32");
    is(&f, "/dev/nvme1n1", BLOCK_ID_DISK, "disk 'S4EWNX0R eui.0025385a', 3.5 TiB",
       "/dev/disk/by-id/nvme-SAMSUNG_S4EWNX0R");
    is(&f, "/dev/disk/by-id/nvme-eui.0025385a", BLOCK_ID_DISK,
       "disk 'S4EWNX0R eui.0025385a', 3.5 TiB", "/dev/disk/by-id/nvme-SAMSUNG_S4EWNX0R");
    is(&f, "/dev/sdb", BLOCK_ID_DISK, "disk 'Q_7?', 1.0 GiB", "/dev/disk/by-id/wwn-0x5");
    is(&f, "/dev/sdc", BLOCK_ID_DISK, "disk 8:32 without a serial number, 1.0 GiB", NULL);
}

/* Two namespaces of one NVMe have its serial number in common. */
static void namespaces_of_one_disk_are_two(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(block_id_clear) struct block_id a = {0};
    AUTO(block_id_clear) struct block_id b = {0};

    fixture_new(&f);
    in_sys(&f, "259:1", "block/nvme0n1", "2097152");
    in_sys(&f, "259:2", "block/nvme0n2", "2097152");
    fixture_put(&f, "/sys/block/nvme0n1/device/serial", "S4\n");
    fixture_put(&f, "/sys/block/nvme0n2/device/serial", "S4\n");
    fixture_put(&f, "/sys/block/nvme0n1/wwid", "eui.01\n");
    fixture_put(&f, "/sys/block/nvme0n2/wwid", "eui.02\n");
    capture(&f, "/dev/nvme0n1", "259:1", "/dev/nvme0n2", "259:2");
    assert_ok(block_id_read(&f.ctx, "/dev/nvme0n1", &a));
    assert_ok(block_id_read(&f.ctx, "/dev/nvme0n2", &b));
    assert_false(block_id_same(&a, &b));
    assert_true(block_id_same(&a, &a) && a.sure && b.sure);
}

static void a_partition_by_its_table_and_disk(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    fixture_new(&f);
    in_sys(&f, "8:16", "block/sdb", "4194304");
    in_sys(&f, "8:17", "block/sdb/sdb1", "2097152");
    in_sys(&f, "8:18", "block/sdb/sdb2", "2097152");
    fixture_put(&f, "/sys/block/sdb/sdb1/partition", "1\n");
    fixture_put(&f, "/sys/block/sdb/sdb2/partition", "2\n");
    fixture_put(&f, "/run/udev/data/b8:16", "E:ID_SERIAL_SHORT=Q7\n");
    fixture_put(&f, "/run/udev/data/b8:17", "E:ID_PART_ENTRY_UUID=f3a0-11\n");
    fixture_link(&f, "/dev/disk/by-id/ata-Q7-part1", "../../sdb1");
    capture(&f, "/dev/sdb1", "8:17", "/dev/sdb2", "8:18");
    is(&f, "/dev/sdb1", BLOCK_ID_PARTITION, "partition 'f3a0-11' of disk 'Q7', 1.0 GiB",
       "/dev/disk/by-id/ata-Q7-part1");
    is(&f, "/dev/sdb2", BLOCK_ID_PARTITION, "partition 2 of disk 'Q7', 1.0 GiB", NULL);
}

static void a_zvol_by_its_dataset(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    fixture_new(&f);
    in_sys(&f, "230:16", "block/zd16", "2097152");
    in_sys(&f, "230:17", "block/zd16/zd16p1", "2097152");
    fixture_put(&f, "/sys/block/zd16/zd16p1/partition", "1\n");
    fixture_link(&f, "/dev/zvol/tank/a/solana", "../../../zd16");
    fixture_link(&f, "/dev/zvol/tank/a/solana-part1", "../../../zd16p1");
    fixture_link(&f, "/dev/zvol/tank/b", "../../zd32");
    capture(&f, "/dev/zd16", "230:16", "/dev/zd16p1", "230:17", "/dev/zd32", "230:32", "/dev/zd48",
            "230:48");
    is(&f, "/dev/zd16", BLOCK_ID_ZVOL, "zvol tank/a/solana", "/dev/zvol/tank/a/solana");
    is(&f, "/dev/zvol/tank/a/solana", BLOCK_ID_ZVOL, "zvol tank/a/solana",
       "/dev/zvol/tank/a/solana");
    is(&f, "/dev/zvol/tank/a/solana-part1", BLOCK_ID_PARTITION,
       "partition 1 of zvol tank/a/solana, 1.0 GiB", NULL);
    is(&f, "/dev/zvol/tank/b", BLOCK_ID_ZVOL, "zvol tank/b", "/dev/zvol/tank/b"); /* no /sys */
    is(&f, "/dev/zd48", BLOCK_ID_ZVOL, "zvol 230:48 of unknown name", NULL);
}

static void what_is_made_by_the_kernel(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    fixture_new(&f);
    in_sys(&f, "1:0", "block/ram0", "1258291200");
    in_sys(&f, "252:3", "block/zram3", "2097152");
    in_sys(&f, "7:4", "block/loop4", "2097152");
    in_sys(&f, "7:5", "block/loop5", "0");
    fixture_put(&f, "/sys/block/loop4/loop/backing_file", "/img a\n");
    in_sys(&f, "9:127", "block/md127", "2097152");
    fixture_put(&f, "/run/udev/data/b9:127", "E:MD_UUID=aa:bb\n");
    in_sys(&f, "253:0", "block/dm-0", "2097152");
    fixture_put(&f, "/sys/block/dm-0/dm/uuid", "LVM-x\n");
    fixture_link(&f, "/dev/disk/by-id/dm-name-vg-lv", "../../dm-0");
    capture(&f, "/dev/ram0", "1:0", "/dev/zram3", "252:3", "/dev/loop4", "7:4", "/dev/loop5", "7:5",
            "/dev/md127", "9:127", "/dev/dm-0", "253:0", "/dev/other", "250:0");
    is(&f, "/dev/ram0", BLOCK_ID_BRD, "RAM disk 1:0, 600 GiB", NULL);
    is(&f, "/dev/zram3", BLOCK_ID_ZRAM, "zram 252:3, 1.0 GiB", NULL);
    is(&f, "/dev/loop4", BLOCK_ID_LOOP, "loop device on '/img a', 1.0 GiB", NULL);
    is(&f, "/dev/loop5", BLOCK_ID_LOOP, "loop device 7:5 without a file", NULL);
    is(&f, "/dev/md127", BLOCK_ID_MD, "md array 'aa:bb', 1.0 GiB", NULL);
    is(&f, "/dev/dm-0", BLOCK_ID_DM, "mapped device 'LVM-x', 1.0 GiB",
       "/dev/disk/by-id/dm-name-vg-lv");
    is(&f, "/dev/other", BLOCK_ID_OTHER, "device 250:0", NULL);
}

static void another_disk_under_the_same_name_is_refused(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};

    fixture_new(&f);
    in_sys(&f, "8:16", "block/sdb", "2097152");
    fixture_put(&f, "/sys/block/sdb/device/serial", "A1\n");
    capture(&f, "/dev/sdb", "8:16");
    assert_ok(block_id_expect(&f.ctx, "/dev/sdb", "disk 'A1', 1.0 GiB"));
    assert_ok(block_id_expect(&f.ctx, "/dev/sdb", NULL));
    assert_err(block_id_expect(&f.ctx, "/dev/sdb", "disk 'B2', 1.0 GiB"), ERR_REFUSED,
               "another device now: this was decided for disk 'B2', 1.0 GiB, and it leads to disk "
               "'A1'");
    assert_err(block_id_expect(&f.ctx, "/dev/sdz", "disk 'B2', 1.0 GiB"), ERR_NOTFOUND, "sdz");
    assert_err(block_id_expect(&f.ctx, "/sys", "x"), ERR_BADINPUT, "not a block device");
}

static void names_that_pass(void **state)
{
    assert_true(block_id_passing_name("/dev/sdb"));
    assert_true(block_id_passing_name("/dev/nvme0n1p2"));
    assert_true(block_id_passing_name("/dev/zd16"));
    assert_true(block_id_passing_name("/dev/md127"));
    assert_false(block_id_passing_name("/dev/ram0"));
    assert_false(block_id_passing_name("/dev/zram0"));
    assert_false(block_id_passing_name("/dev/loop0"));
    assert_false(block_id_passing_name("/dev/md/data"));
    assert_false(block_id_passing_name("/dev/disk/by-id/nvme-x"));
    assert_false(block_id_passing_name("/dev/zvol/tank/solana"));
}

static void udevs_lines(void **state)
{
    static const char text[] = "I:5\nE:ID=1\nE:ID_X=\nE:ID_X=a=b\nG:ID_Y=3\nE:ID_Z=z";
    AUTO(freep) char *x = udev_value(text, strlen(text), "ID_X");
    AUTO(freep) char *z = udev_value(text, strlen(text), "ID_Z");

    assert_string_equal(x, "a=b"); /* an empty one is none */
    assert_string_equal(z, "z");
    assert_null(udev_value(text, strlen(text), "ID_Y"));
    assert_null(udev_value(text, strlen(text), "ID_"));
    assert_null(udev_value("", 0, "ID"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disk_by_its_serial_number),
        cmocka_unit_test(namespaces_of_one_disk_are_two),
        cmocka_unit_test(a_partition_by_its_table_and_disk),
        cmocka_unit_test(a_zvol_by_its_dataset),
        cmocka_unit_test(what_is_made_by_the_kernel),
        cmocka_unit_test(another_disk_under_the_same_name_is_refused),
        cmocka_unit_test(names_that_pass),
        cmocka_unit_test(udevs_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
