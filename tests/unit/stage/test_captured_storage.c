/* The stages of the storage on captured hosts: devices, owners and users come from host.json and
 * the folder, never from the machine that looks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "tree.h"

#define MOUNTS                                                                                     \
    "27 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n"                                              \
    "50 27 230:16 / /srv/solana rw shared:9 - xfs /dev/zd16 rw\n"                                  \
    "51 50 1:0 / /srv/solana/ramdisk rw shared:10 - %s /dev/ram0 rw\n"                             \
    "61 27 230:16 / /srv/kind/solana rw shared:12 master:9 - xfs /dev/zd16 rw\n"                   \
    "62 61 1:0 / /srv/kind/solana/ramdisk rw shared:13 master:10 - %s /dev/ram0 rw\n"
#define CONFIG                                                                                     \
    "storage:\n  volume: {device: /dev/zvol/tank/solana}\n  ramdisk: {device: /dev/ram0}\n"
#define STAT                                                                                       \
    "\"/dev/zd16\": {\"type\": \"block\", \"rdev\": \"230:16\"},"                                  \
    "\"/dev/ram0\": {\"type\": \"block\", \"rdev\": \"1:0\"},"                                     \
    "\"/srv/kind\": {}, \"/srv/solana/ledger\": {\"uid\": 1000, \"gid\": 1000},"                   \
    "\"/srv/solana/snapshots\": {\"uid\": 1000, \"gid\": 1000},"                                   \
    "\"/srv/solana/log\": {\"uid\": 1000, \"gid\": 1000}"

static void host(struct tree *t, const char *ram_fstype)
{
    tree_new(t, CONFIG);
    fixture_put(&t->f, "/proc/self/mountinfo", MOUNTS, ram_fstype, ram_fstype);
    fixture_link(&t->f, "/dev/zvol/tank/solana", "../../zd16");
}

static void a_host_in_order(void **state)
{
    AUTO(tree_clear) struct tree t;

    host(&t, "xfs");
    fixture_dir(&t.f, "/sys/dev/block/230:16");
    tree_capture(&t, "{\"stat\": {" STAT
                     ", \"/srv/solana/ramdisk/accounts\": {\"uid\": 1000, \"gid\": 1000}}}");
    tree_check(&t, "volume");
    tree_is(&t, "volume.mount", SEV_OK, "'/dev/zvol/tank/solana' is mounted");
    tree_check(&t, "ramdisk");
    tree_is(&t, "ramdisk.mount", SEV_OK, NULL);
    tree_is(&t, "ramdisk.memory", SEV_OK, "brd");
    tree_check(&t, "kind-root");
    tree_is(&t, "kindroot.folder", SEV_OK, NULL);
    tree_is(&t, "kindroot.shared", SEV_OK, NULL);
    tree_is(&t, "kindroot.place", SEV_OK, "lies on ext4");
    tree_check(&t, "bind");
    tree_is(&t, "bind.mount", SEV_OK, NULL);
    tree_is(&t, "bind.propagation", SEV_OK, NULL);
    tree_check(&t, "dirs");
    tree_is(&t, "dirs.accounts.owner", SEV_OK, "1000:1000");
    assert_int_equal(findings_worst(&t.found), SEV_OK);
}

/* As the old playbook makes it, with the owner of a user 'solana' that is 1001. */
static void ext4_on_the_ram_disk_and_another_owner(void **state)
{
    AUTO(tree_clear) struct tree t;

    host(&t, "ext4");
    tree_capture(&t, "{\"stat\": {" STAT
                     ", \"/srv/solana/ramdisk/accounts\": {\"uid\": 1001, \"gid\": 1001}}}");
    tree_check(&t, "ramdisk");
    tree_is(&t, "ramdisk.mount", SEV_FAIL, "not xfs: when the validator is stopped");
    assert_string_equal(findings_find(&t.found, "ramdisk.mount")->got, "ext4 of '/dev/ram0'");
    tree_check(&t, "dirs");
    tree_is(&t, "dirs.accounts.owner", SEV_FAIL, "belongs to 1001:1001");
    tree_is(&t, "dirs.ledger.owner", SEV_OK, NULL);
}

static void a_device_that_is_not_mounted(void **state)
{
    AUTO(tree_clear) struct tree t;

    tree_new(&t, CONFIG);
    fixture_put(&t.f, "/proc/self/mountinfo",
                "27 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n"
                "28 27 230:16 / /old rw - xfs /dev/zd16 rw\n");
    fixture_process(&t.f, 70, "dd", "/bin/dd", "dd", 5);
    fixture_link(&t.f, "/proc/70/fd/3", "/dev/ram0");
    fixture_link(&t.f, "/dev/zvol/tank/solana", "../../zd16");
    fixture_dir(&t.f, "/sys/dev/block/230:16/holders");
    fixture_dir(&t.f, "/sys/dev/block/1:0/holders");
    fixture_dir(&t.f, "/sys/block");
    tree_capture(&t, "{\"stat\": {" STAT "}, \"block\": {\"/dev/zd16\": {\"content\": "
                     "\"filesystem\", \"fstype\": \"xfs\", \"size_b\": 1000000000000}}}");
    tree_check(&t, "volume");
    tree_is(&t, "volume.users", SEV_FAIL, "mounted at '/old'");
    tree_is(&t, "volume.fstype", SEV_OK, "an xfs file system");
    tree_is(&t, "volume.mount", SEV_FAIL, "is not mounted");
    tree_check(&t, "ramdisk");
    tree_is(&t, "ramdisk.users", SEV_FAIL, "open in process 70 (dd)");
    tree_is(&t, "ramdisk", SEV_UNKNOWN, "does not say what '/dev/ram0' holds");
}

static void a_device_that_is_not_there(void **state)
{
    AUTO(tree_clear) struct tree t;

    tree_new(&t, CONFIG);
    fixture_put(&t.f, "/proc/self/mountinfo", "27 1 254:0 / / rw - ext4 /dev/vda rw\n");
    tree_capture(&t, "{\"stat\": {\"/dev/ram0\": {\"type\": \"char\"}}}");
    tree_check(&t, "volume");
    tree_is(&t, "volume.device", SEV_FAIL, "is the name in the config right?");
    tree_check(&t, "ramdisk");
    tree_is(&t, "ramdisk.device", SEV_FAIL, "not a block device");
    tree_check(&t, "dirs");
    tree_is(&t, "dirs.ledger", SEV_FAIL, "does not exist");
}

/* Another disk may have that name after a reboot, and another one under it is never changed. */
static void a_name_that_may_pass_to_another_disk(void **state)
{
    AUTO(tree_clear) struct tree t;
    AUTO(plan_clear) struct plan p = {0};
    struct change *c;

    tree_new(&t, "storage:\n  volume: {device: /dev/sdb}\n  ramdisk: {mount: /r}\n");
    fixture_put(&t.f, "/proc/self/mountinfo", "27 1 254:0 / / rw - ext4 /dev/vda rw\n");
    fixture_link(&t.f, "/dev/disk/by-id/ata-A1", "../../sdb");
    fixture_link(&t.f, "/sys/dev/block/8:16", "../../block/sdb");
    fixture_put(&t.f, "/sys/block/sdb/size", "2097152\n");
    fixture_put(&t.f, "/sys/block/sdb/device/serial", "A1\n");
    fixture_dir(&t.f, "/sys/block/sdb/holders");
    tree_capture(&t, "{\"stat\": {\"/dev/sdb\": {\"type\": \"block\", \"rdev\": \"8:16\"}},"
                     "\"block\": {\"/dev/sdb\": {\"content\": \"blank\", \"size_b\": "
                     "1073741824}}}");
    tree_check(&t, "volume");
    tree_is(&t, "volume.device", SEV_OK, "disk 'A1', 1.0 GiB");
    tree_is(&t, "volume.name", SEV_WARN, "put '/dev/disk/by-id/ata-A1' into the config");
    assert_ok(stage_by_name(stage_table, "volume")->plan(&t.f.ctx, &t.found, &p));
    assert_int_equal(p.n, 2);
    assert_string_equal(p.items[0].after, "xfs on disk 'A1', 1.0 GiB");
    for (size_t i = 0; i < p.n; i++) {
        c = &p.items[i];
        assert_string_equal(c->arg, "disk 'A1', 1.0 GiB");
        c->arg[6] = 'B';
        assert_err(stage_by_name(stage_table, "volume")->apply(&t.f.ctx, c), ERR_REFUSED,
                   "another device now");
    }
}

/* tmpfs and a folder of a zram are in memory, a folder of the volume is not. */
static void a_ram_disk_without_a_device(void **state)
{
    static const struct {
        const char *mount;
        enum severity sev;
    } cases[] = {
        {"0:50 / /srv/solana/ramdisk rw - tmpfs tmpfs rw", SEV_OK},
        {"1:0 / /srv/solana/ramdisk rw - xfs /dev/ram0 rw", SEV_OK},
        {"252:1 / /srv/solana/ramdisk rw - xfs /dev/zram1 rw", SEV_OK},
        {"8:1 / /srv/solana/ramdisk rw - xfs /dev/sda1 rw", SEV_NOTE},
        {"8:2 / /srv/solana/ramdisk rw - xfs /dev/sda2 rw", SEV_UNKNOWN},
        {"0:51 / /srv/solana/ramdisk rw - zfs tank/a rw", SEV_FAIL},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(tree_clear) struct tree t;

        tree_new(&t, "");
        fixture_put(&t.f, "/proc/self/mountinfo",
                    "27 1 254:0 / / rw - ext4 /dev/vda rw\n28 27 %s\n", cases[i].mount);
        fixture_put(&t.f, "/sys/dev/block/252:1/mm_stat", "1");
        fixture_dir(&t.f, "/sys/dev/block/8:1");
        tree_capture(&t, "{\"stat\": {\"/srv/solana/ramdisk\": {}}}");
        tree_check(&t, "ramdisk");
        tree_is(&t, "ramdisk.folder", cases[i].sev, NULL);
    }
}

/* Where archives are kept apart, these folders are made and looked at as the others are. */
static void folders_of_archives(void **state)
{
    static const char yaml[] = "validator:\n  args: [--full-snapshot-archive-path, /data/full, "
                               "--incremental-snapshot-archive-path=/tank/incr]\n";
    AUTO(tree_clear) struct tree t;
    AUTO(plan_clear) struct plan p = {0};
    size_t made = 0;

    tree_new(&t, yaml);
    fixture_put(&t.f, "/proc/self/mountinfo",
                "27 1 254:0 / / rw - ext4 /dev/vda rw\n29 27 0:40 / /tank rw - zfs tank rw\n");
    fixture_dir(&t.f, "/tank/incr");
    tree_check(&t, "dirs");
    tree_is(&t, "dirs.full", SEV_FAIL, "'/data/full' does not exist");
    tree_is(&t, "dirs.incremental", SEV_OK, NULL);
    tree_is(&t, "dirs.incremental.zfs", SEV_FAIL, "'/tank/incr' lies on ZFS");
    tree_has_not(&t, "dirs.full.zfs");
    assert_ok(stage_by_name(stage_table, "dirs")->plan(&t.f.ctx, &t.found, &p));
    for (size_t i = 0; i < p.n; i++)
        made += p.items[i].kind == CHANGE_CREATE && str_eq(p.items[i].object, "/data/full");
    assert_int_equal(made, 1);
    findings_clear(&t.found);
    fixture_dir(&t.f, "/data/full");
    tree_check(&t, "dirs");
    tree_is(&t, "dirs.full", SEV_OK, NULL);
    tree_is(&t, "dirs.full.mode", SEV_OK, NULL);
    tree_is(&t, "dirs.incremental.mode", SEV_OK, NULL);
    assert_non_null(findings_find(&t.found, "dirs.full.owner"));
    assert_non_null(findings_find(&t.found, "dirs.incremental.owner"));
    findings_clear(&t.found);
    free(t.cfg->validator.runtime);
    t.cfg->validator.runtime = xstrdup("kubernetes"); /* they are of the pod */
    tree_check(&t, "dirs");
    tree_has_not(&t, "dirs.full");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_in_order),
        cmocka_unit_test(ext4_on_the_ram_disk_and_another_owner),
        cmocka_unit_test(a_device_that_is_not_mounted),
        cmocka_unit_test(a_device_that_is_not_there),
        cmocka_unit_test(a_name_that_may_pass_to_another_disk),
        cmocka_unit_test(a_ram_disk_without_a_device),
        cmocka_unit_test(folders_of_archives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
