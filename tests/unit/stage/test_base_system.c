/* The stages packages, kernel and zfs on made-up hosts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "tree.h"

#define ZVOL "storage: {volume: {device: /dev/zvol/tank/solana}, ramdisk: {device: /dev/ram0}}\n"
#define KIND "kind: {cluster: c}\nlaconic: {bin: /home/op/.local/bin/laconic-so}\n"
#define ROOT "27 1 254:0 / / rw - ext4 /dev/vda rw\n"

static void put_programs(struct tree *t, const char *const *paths)
{
    for (; *paths; paths++)
        fixture_put(&t->f, *paths, "%s", "");
}

static void packages_and_versions(void **state)
{
    static const char *const programs[] = {"/usr/sbin/mkfs.xfs", "/usr/bin/ssh",
                                           "/usr/sbin/dockerd", "/sbin/zfs", NULL};
    AUTO(tree_clear) struct tree t;

    tree_new(&t, ZVOL KIND);
    put_programs(&t, programs);
    fixture_put(&t.f, "/proc/self/mountinfo", ROOT);
    fixture_put(&t.f, "/var/lib/dpkg/status",
                "Package: xfsprogs\nStatus: install ok installed\nVersion: 6.1.0-1\n\n"
                "Package: zfsutils-linux\nStatus: install ok installed\nVersion: 2.1.11-1+b1\n\n"
                "Package: openssh-client\nStatus: deinstall ok config-files\nVersion: 9\n\n"
                "Package: docker.io\nStatus: deinstall ok config-files\nVersion: 1\n\n"
                "Package: docker-ce\nStatus: install ok installed\nVersion: 5:24.0.7-1\n");
    fixture_put(&t.f, "/sys/module/zfs/version", "2.2.2-0ubuntu9\n");
    fixture_put(&t.f, "/opt/so/bin/laconic-so", "#!/opt/so/bin/python3\nimport sys\n");
    fixture_link(&t.f, "/home/op/.local/bin/laconic-so", "/opt/so/bin/laconic-so");
    fixture_dir(&t.f, "/opt/so/lib/python3.11/site-packages/"
                      "laconic_stack_orchestrator-1.1.0.dist-info");
    tree_check(&t, "packages");
    tree_is(&t, "packages.xfs", SEV_OK, "6.1.0-1");
    tree_is(&t, "packages.ssh", SEV_NOTE, "version is not known");
    tree_is(&t, "packages.docker", SEV_OK, "5:24.0.7-1");
    tree_is(&t, "packages.zfs", SEV_OK, "'/sbin/zfs' is there, version 2.1.11");
    tree_is(&t, "packages.zfsmodule", SEV_WARN, "the ZFS module is 2.2.2-0ubuntu9");
    tree_is(&t, "packages.laconic", SEV_OK, "version 1.1.0");
    fixture_put(&t.f, "/sys/module/zfs/version", "2.1.11-1\n");
    tree_check(&t, "packages");
    tree_is(&t, "packages.zfsmodule", SEV_OK, NULL);
}

static void missing_programs(void **state)
{
    AUTO(tree_clear) struct tree t, plain;

    tree_new(&t, ZVOL KIND);
    fixture_put(&t.f, "/proc/self/mountinfo", ROOT);
    tree_check(&t, "packages");
    tree_is(&t, "packages.xfs", SEV_FAIL, "install xfsprogs");
    tree_is(&t, "packages.ssh", SEV_WARN, NULL);
    tree_is(&t, "packages.docker", SEV_FAIL, NULL);
    tree_is(&t, "packages.zfs", SEV_FAIL, NULL);
    tree_is(&t, "packages.laconic", SEV_FAIL, "/home/op/.local/bin/laconic-so");
    tree_has_not(&t, "packages.zfsmodule");
    tree_new(&plain, "");
    fixture_put(&plain.f, "/proc/self/mountinfo", ROOT);
    tree_check(&plain, "packages");
    assert_int_equal(plain.found.n, 1); /* ssh; the rest is not asked for */
}

/* A zipapp and a dangling name say nothing of a version. */
static void a_version_that_is_not_known_is_said(void **state)
{
    AUTO(tree_clear) struct tree t;

    tree_new(&t, KIND);
    fixture_put(&t.f, "/proc/self/mountinfo", ROOT "28 27 0:9 / /tank rw - zfs tank rw\n");
    fixture_put(&t.f, "/home/op/.local/bin/laconic-so", "#!/usr/bin/env python3\nPK");
    fixture_put(&t.f, "/sys/module/zfs/version", "2.1.11-1\n");
    tree_check(&t, "packages");
    tree_is(&t, "packages.laconic", SEV_NOTE, "not known");
    tree_is(&t, "packages.zfsmodule", SEV_NOTE, "not known");
}

static void put_kernel(struct tree *t, const char *release, const char *flags)
{
    fixture_put(&t->f, "/proc/sys/kernel/osrelease", "%s\n", release);
    fixture_put(&t->f, "/proc/filesystems", "nodev\tproc\n\text4\n\txfs\n");
    fixture_put(&t->f, "/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu %s\nbugs\t:\n", flags);
    fixture_put(&t->f, "/sys/module/brd/refcnt", "1\n");
}

static void a_kernel_in_order(void **state)
{
    AUTO(tree_clear) struct tree t;

    tree_new(&t, ZVOL);
    put_kernel(&t, "6.1.0-28-amd64", "avx2 sha_ni");
    fixture_put(&t.f, "/proc/sys/kernel/io_uring_disabled", "0\n");
    fixture_put(&t.f, "/sys/fs/cgroup/cgroup.controllers", "memory\n");
    fixture_put(&t.f, "/proc/swaps", "Filename Type\n");
    tree_check(&t, "kernel");
    assert_int_equal(findings_worst(&t.found), SEV_OK);
    tree_is(&t, "kernel.release", SEV_OK, "6.1.0-28-amd64");
    tree_is(&t, "kernel.ramdisk", SEV_OK, "brd");
}

static void a_kernel_that_bites(void **state)
{
    AUTO(tree_clear) struct tree t;

    tree_new(&t, "storage: {ramdisk: {device: /dev/zram0}}\n");
    put_kernel(&t, "5.15.0-153-generic", "avx512f xavx2 sha_nix");
    fixture_put(&t.f, "/proc/filesystems", "\text4\n\tnotxfs\n");
    fixture_put(&t.f, "/lib/modules/5.15.0-153-generic/modules.dep",
                "kernel/fs/xfs/xfs.ko.zst: kernel/lib/libcrc32c.ko.zst\n");
    fixture_put(&t.f, "/proc/sys/kernel/io_uring_disabled", "2\n");
    fixture_put(&t.f, "/proc/sys/kernel/hung_task_panic", "1\n");
    fixture_put(&t.f, "/proc/sys/kernel/panic", "10\n");
    fixture_put(&t.f, "/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n");
    fixture_put(&t.f, "/proc/swaps", "Filename Type\n/dev/sda2 partition\n");
    tree_check(&t, "kernel");
    tree_is(&t, "kernel.release", SEV_WARN, "5.15");
    tree_is(&t, "kernel.xfs", SEV_OK, NULL);
    tree_is(&t, "kernel.ramdisk", SEV_FAIL, "no zram");
    tree_is(&t, "kernel.iouring", SEV_WARN, "=2");
    tree_is(&t, "kernel.avx", SEV_FAIL, NULL);
    tree_is(&t, "kernel.sha", SEV_NOTE, NULL);
    tree_is(&t, "kernel.hungtask", SEV_WARN, NULL);
    tree_is(&t, "kernel.panic", SEV_OK, "restarts");
    tree_is(&t, "kernel.hugepages", SEV_NOTE, NULL);
    tree_is(&t, "kernel.swap", SEV_NOTE, "'/dev/sda2'");
    tree_is(&t, "kernel.cgroup", SEV_NOTE, NULL);
}

static void what_cannot_be_seen_of_a_kernel(void **state)
{
    AUTO(tree_clear) struct tree t, old, none;

    tree_new(&t, "");
    put_kernel(&t, "6.1.0", "");
    fixture_put(&t.f, "/proc/filesystems", "\text4\n");
    fixture_put(&t.f, "/proc/cpuinfo", "processor\t: 0\nFeatures\t: fp\n");
    fixture_put(&t.f, "/proc/sys/kernel/hung_task_panic", "maybe\n");
    tree_check(&t, "kernel");
    tree_is(&t, "kernel.xfs", SEV_UNKNOWN, "could not be seen");
    tree_is(&t, "kernel.avx", SEV_UNKNOWN, NULL);
    tree_is(&t, "kernel.hungtask", SEV_UNKNOWN, NULL);
    tree_new(&old, "");
    put_kernel(&old, "5.10.0-30-amd64", "avx2");
    tree_check(&old, "kernel");
    tree_is(&old, "kernel.release", SEV_FAIL, "mount_setattr");
    tree_new(&none, "");
    fixture_put(&none.f, "/proc/sys/kernel/osrelease", "new\n");
    tree_check(&none, "kernel");
    tree_is(&none, "kernel", SEV_UNKNOWN, "is no version");
}

static void put_zfs(struct tree *t, const char *state, uint64_t arc_gib)
{
    fixture_put(&t->f, "/proc/self/mountinfo",
                ROOT "28 27 0:40 / /srv rw - zfs tank/srv rw\n"
                     "29 28 1:0 / /srv/solana/ramdisk rw - xfs /dev/ram0 rw\n");
    fixture_put(&t->f, "/sys/module/zfs/version", "2.1.11-1\n");
    fixture_put(&t->f, "/proc/spl/kstat/zfs/tank/state", "%s\n", state);
    fixture_put(&t->f, "/proc/spl/kstat/zfs/arcstats",
                "13 1 0x01\nname type data\nc_min   4    100\nc_max    4    %llu\n",
                (unsigned long long)arc_gib << 30);
    fixture_put(&t->f, "/proc/meminfo", "MemTotal: 1073741824 kB\nMemAvailable: 1 kB\n");
    fixture_put(&t->f, "/proc/vmstat", "oom_kill 0\n");
    fixture_link(&t->f, "/dev/zvol/tank/solana", "../../zd0");
}

static void zfs_is(struct tree *t, const char *state, uint64_t arc_gib, const char *devices)
{
    AUTO(freep)
    char *json = xasprintf("{\"stat\": {%s}, \"statvfs\": {\"/srv/solana/ramdisk\": {\"size_b\": "
                           "644245094400}}}",
                           devices);

    tree_new(t, ZVOL);
    put_zfs(t, state, arc_gib);
    tree_capture(t, json);
    tree_check(t, "zfs");
}

static void pools_zvols_and_the_cache(void **state)
{
    AUTO(tree_clear) struct tree good, bad, hung;

    zfs_is(&good, "ONLINE", 64, "\"/dev/zd0\": {\"type\": \"block\", \"rdev\": \"230:0\"}");
    tree_is(&good, "zfs.module", SEV_OK, "2.1.11");
    tree_is(&good, "zfs.pool", SEV_OK, "'tank' is ONLINE");
    tree_is(&good, "zfs.zvol", SEV_OK, "'/dev/zd0'");
    tree_is(&good, "zfs.arc", SEV_OK, "64.0 GiB");
    tree_is(&good, "zfs.kindroot", SEV_WARN, "'/srv/kind' is a folder in dataset 'tank/srv'");
    zfs_is(&bad, "DEGRADED", 512, "");
    tree_is(&bad, "zfs.pool", SEV_WARN, "zpool status tank");
    tree_is(&bad, "zfs.zvol", SEV_FAIL, "'tank/solana' has no device");
    tree_is(&bad, "zfs.arc", SEV_WARN, "zfs_arc_max");
    zfs_is(&hung, "SUSPENDED", 1, "");
    tree_is(&hung, "zfs.pool", SEV_FAIL, "SUSPENDED");
}

static void zfs_that_is_not_loaded(void **state)
{
    AUTO(tree_clear) struct tree t, absent, blind;

    tree_new(&t, ZVOL);
    tree_check(&t, "zfs");
    tree_is(&t, "zfs.module", SEV_FAIL, "not loaded");
    assert_int_equal(t.found.n, 1);
    tree_new(&absent, "");
    assert_false(stage_by_name(stage_table, "zfs")->enabled(&absent.f.ctx));
    tree_new(&blind, "");
    fixture_put(&blind.f, "/sys/module/zfs/version", "2.1.11-1\n");
    fixture_put(&blind.f, "/proc/self/mountinfo", ROOT);
    tree_check(&blind, "zfs");
    tree_is(&blind, "zfs.pool", SEV_UNKNOWN, NULL);
    tree_is(&blind, "zfs.arc", SEV_UNKNOWN, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packages_and_versions),
        cmocka_unit_test(missing_programs),
        cmocka_unit_test(a_version_that_is_not_known_is_said),
        cmocka_unit_test(a_kernel_in_order),
        cmocka_unit_test(a_kernel_that_bites),
        cmocka_unit_test(what_cannot_be_seen_of_a_kernel),
        cmocka_unit_test(pools_zvols_and_the_cache),
        cmocka_unit_test(zfs_that_is_not_loaded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
