/* A broken host for each stage with a plan. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <cmocka.h>

#include "host/mounts.h"
#include "io/fsroot.h"
#include "property.h"
#include "runbook.h"

#define MIB (1ULL << 20)
/* Folders that are used as they are, and no others. */
#define AS_IT_IS(place) "{device: \"\", mount: \"@" place "\"}"

static const char *const stays[] = {"the file system on", NULL};
static const char *const both_stay[] = {"the file system on", "the file system on", NULL};

static void make(struct bed *b, const char *path, mode_t mode, uid_t uid)
{
    AUTO(freep) char *full = bed_path(b, path);

    assert_ok(fsroot_mkdirs(b->ctx.root, full, 0755));
    assert_int_equal(chmod(full, mode), 0);
    assert_int_equal(chown(full, uid, uid), 0);
}

static void tmpfs_at(struct bed *b, const char *path)
{
    AUTO(freep) char *full = bed_path(b, path);

    assert_ok(fsroot_mkdirs(b->ctx.root, full, 0755));
    assert_ok(mounts_mount("tmpfs", full, "tmpfs", NULL));
}

static void no_kind_root(struct bed *b)
{
    bed_config(b, "host: {persist: false}\n"
                  "storage: {kind_root: \"@/srv/kind\", bind: \"\", volume: " AS_IT_IS(
                      "/vol") ", "
                              "ramdisk: " AS_IT_IS("/vol/ram") "}\n");
}

/* It has a mount of its own, which passes nothing on, and so has what is below it. */
static void private_kind_root(struct bed *b)
{
    no_kind_root(b);
    tmpfs_at(b, "/srv/kind");
    make(b, "/srv/kind/data", 0700, 5);
    tmpfs_at(b, "/srv/kind/data/deep");
}

/* It has no mount of its own, and others have mounted something below it. */
static void mounts_below_kind_root(struct bed *b)
{
    no_kind_root(b);
    make(b, "/srv/kind", 0755, 0);
    tmpfs_at(b, "/srv/kind/data");
    make(b, "/srv/kind/data/sub", 0755, 5);
    tmpfs_at(b, "/srv/kind/data/sub/deep");
}

static void blank_volume(struct bed *b)
{
    bed_config(b,
               "host: {persist: false}\n"
               "storage: {kind_root: \"\", bind: \"\", ramdisk: " AS_IT_IS(
                   "/ram") ", "
                           "volume: {device: %s, mount: \"@/srv/solana\"}}\n",
               bed_loop(b, 0, 400 * MIB));
}

static void missing_folder(struct bed *b)
{
    bed_config(b, "host: {persist: false}\n"
                  "storage: {kind_root: \"\", bind: \"\", ramdisk: " AS_IT_IS(
                      "/ram") ", "
                              "volume: " AS_IT_IS("/a/b/solana") "}\n");
}

static void blank_ram_disk(struct bed *b)
{
    make(b, "/srv", 0750, 7);
    bed_config(b,
               "host: {persist: false}\n"
               "storage: {kind_root: \"\", bind: \"\", volume: " AS_IT_IS(
                   "/srv") ", "
                           "ramdisk: {device: %s, mount: \"@/srv/ramdisk\"}}\n",
               bed_loop(b, 0, 320 * MIB));
}

static void unbound_volume(struct bed *b)
{
    tmpfs_at(b, "/solana");
    tmpfs_at(b, "/solana/ramdisk");
    tmpfs_at(b, "/kind");
    AUTO(freep) char *kind = bed_path(b, "/kind");
    assert_ok(mounts_make_shared(kind, false));
    bed_config(b, "host: {persist: false}\n"
                  "storage: {kind_root: \"@/kind\", bind: \"@/kind/solana\", "
                  "volume: " AS_IT_IS("/solana") ", ramdisk: " AS_IT_IS("/solana/ramdisk") "}\n");
}

static void folders_of_nobody(struct bed *b)
{
    make(b, "/ram", 0755, 0);
    make(b, "/solana/ledger", 0777, 0);
    make(b, "/solana/snapshots", 0755, 9);
    bed_config(b, "host: {persist: false}\n"
                  "storage: {kind_root: \"\", bind: \"\", volume: " AS_IT_IS(
                      "/solana") ", ramdisk: " AS_IT_IS("/ram") "}\nvalidator: {uid: 1234, gid: "
                                                                "4321, ledger: "
                                                                "\"@/solana/ledger\", snapshots: "
                                                                "\"@/solana/snapshots\", accounts: "
                                                                "\"@/solana/accounts\", log: "
                                                                "\"@/log/deep/validator.log\"}\n");
}

static void bare_host(struct bed *b)
{
    const char *volume = bed_loop(b, 0, 400 * MIB), *ram = bed_loop(b, 1, 320 * MIB);

    bed_config(b,
               "host: {persist: false}\n"
               "storage: {kind_root: \"@/srv/kind\", bind: \"@/srv/kind/solana\", "
               "volume: {device: %s, mount: \"@/srv/solana\"}, "
               "ramdisk: {device: %s, mount: \"@/srv/solana/ramdisk\"}}\n"
               "validator: {uid: 1234, gid: 4321, ledger: \"@/srv/solana/ledger\", snapshots: "
               "\"@/srv/solana/snapshots\", accounts: \"@/srv/solana/ramdisk/accounts\", log: "
               "\"@/srv/solana/log/validator.log\"}\n",
               volume, ram);
}

/* --- files of the next boot --- */

#define ETC "/etc/systemd/system/"
#define NEXT_BOOT                                                                                  \
    "storage:\n  volume: {device: /dev/zvol/tank/solana}\n  ramdisk: {device: /dev/ram0}\n"        \
    "validator: {runtime: kubernetes}\n"
#define BY_HAND "# by hand\n\nUUID=4d6a /  \text4\terrors=remount-ro 0\t1\n  # indented"

#define MOUNTED                                                                                    \
    "27 1 254:0 / / rw - ext4 /dev/vda rw\n"                                                       \
    "28 27 230:0 / /srv/solana rw,noatime shared:1 - xfs /dev/zd0 rw\n"                            \
    "29 28 1:0 / /srv/solana/ramdisk rw,noatime shared:2 - xfs /dev/ram0 rw\n"                     \
    "30 27 254:0 /srv/kind /srv/kind rw shared:3 - ext4 /dev/vda rw\n"                             \
    "31 30 230:0 / /srv/kind/solana rw shared:4 master:1 - xfs /dev/zd0 rw\n"                      \
    "32 31 1:0 / /srv/kind/solana/ramdisk rw shared:5 master:2 - xfs /dev/ram0 rw\n"

static void device(struct bed *b, const char *path, unsigned major, unsigned minor)
{
    AUTO(freep) char *full = xasprintf("%s%s", b->dir, path);
    AUTO(freep) char *folder = xstrndup(path, (size_t)(strrchr(path, '/') - path));
    AUTO(freep) char *sys = xasprintf("/sys/dev/block/%u:%u", major, minor);

    fixture_dir(&b->tree, folder);
    fixture_dir(&b->tree, sys);
    assert_int_equal(mknod(full, S_IFBLK | 0600, makedev(major, minor)), 0);
}

/* All that is of this boot is right. */
static void prepared_for_this_boot(struct bed *b)
{
    device(b, "/dev/zvol/tank/solana", 230, 0);
    device(b, "/dev/ram0", 1, 0);
    fixture_put(&b->tree, "/proc/self/mountinfo", "%s", MOUNTED);
    fixture_dir(&b->tree, "/srv/solana/ramdisk");
    fixture_dir(&b->tree, "/srv/kind/solana/ramdisk");
}

static void nothing_for_the_next_boot(struct bed *b)
{
    prepared_for_this_boot(b);
    bed_config(b, "%s", NEXT_BOOT);
    fixture_dir(&b->tree, "/run/systemd/system");
    fixture_put(&b->tree, "/etc/fstab", "%s", BY_HAND); /* without a newline */
    fixture_dir(&b->tree, "/etc/systemd/system");
    fixture_put(&b->tree, "/usr/lib/systemd/system/docker.service", "[Service]\nExecStart=/d\n");
}

/* As a playbook left it. */
static void somebodys_next_boot(struct bed *b)
{
    nothing_for_the_next_boot(b);
    fixture_put(&b->tree, "/etc/fstab", "%s",
                BY_HAND "\n/dev/zvol/tank/solana\t/srv/solana\txfs\tnoatime,nofail 0 0\n"
                        "/dev/ram0  /srv/solana/ramdisk  xfs  noatime,nofail,x-systemd.requires="
                        "format-ramdisk.service  0 0\n"
                        "/srv/solana /srv/kind/solana none rbind,rslave,rshared,nofail 0 0");
    runbook_units(&b->tree);
}

/* Nothing is formatted there, so that no line waits for a unit of theirs. */
static void somebodys_tmpfs(struct bed *b)
{
    prepared_for_this_boot(b);
    bed_config(b, "storage:\n  volume: {device: /dev/zvol/tank/solana}\n"
                  "  ramdisk: {kind: tmpfs, size_gib: 1}\nvalidator: {runtime: kubernetes}\n");
    fixture_put(&b->tree, "/proc/self/mountinfo",
                "27 1 254:0 / / rw - ext4 /dev/vda rw\n"
                "28 27 230:0 / /srv/solana rw,noatime shared:1 - xfs /dev/zd0 rw\n"
                "29 28 0:40 / /srv/solana/ramdisk rw shared:2 - tmpfs tmpfs rw,size=1048576k\n"
                "30 27 254:0 /srv/kind /srv/kind rw shared:3 - ext4 /dev/vda rw\n"
                "31 30 230:0 / /srv/kind/solana rw shared:4 master:1 - xfs /dev/zd0 rw\n"
                "32 31 0:40 / /srv/kind/solana/ramdisk rw shared:5 master:2 - tmpfs tmpfs rw\n");
    fixture_dir(&b->tree, "/run/systemd/system");
    fixture_put(&b->tree, "/proc/sys/kernel/osrelease", "6.1.0\n");
    fixture_put(&b->tree, "/usr/lib/systemd/system/docker.service", "[Service]\nExecStart=/d\n");
    fixture_put(&b->tree, "/etc/fstab", "%s",
                BY_HAND "\n/dev/zvol/tank/solana\t/srv/solana\txfs\tnoatime,nofail 0 0\n"
                        "tmpfs /srv/solana/ramdisk tmpfs noatime,nofail,size=1g,mode=0755 0 0\n"
                        "/srv/solana /srv/kind/solana none rbind,rslave,rshared,nofail 0 0\n");
    fixture_put(&b->tree, ETC "ramdisk-accounts.service",
                "[Unit]\nRequiresMountsFor=/srv/solana/ramdisk\n[Service]\n"
                "ExecStart=/usr/bin/install -d -m 0755 -o 1000 -g 1000 "
                "/srv/solana/ramdisk/accounts\n[Install]\nWantedBy=multi-user.target\n");
    fixture_link(&b->tree, ETC "multi-user.target.wants/ramdisk-accounts.service",
                 "/etc/systemd/system/ramdisk-accounts.service");
}

/* --- settings --- */

/* A fresh distribution: nothing is set. */
static void fresh(struct bed *b, const char *config)
{
    bed_config(b, "%s", config);
    fixture_put(&b->tree, "/proc/sys/net/core/rmem_max", "212992\n");
    fixture_put(&b->tree, "/proc/sys/net/core/wmem_max", "212992\n");
    fixture_put(&b->tree, "/proc/sys/vm/max_map_count", "65530\n");
    fixture_put(&b->tree, "/proc/sys/fs/nr_open", "1048576\n");
    fixture_put(&b->tree, "/etc/sysctl.d/10-distribution.conf", "vm.max_map_count=262144\n");
    fixture_put(&b->tree, "/etc/passwd",
                "root:x:0:0::/root:/bin/sh\nsol:x:1000:1000::/home/sol:/bin/sh\n");
    fixture_put(&b->tree, "/etc/group", "root:x:0:\nsol:x:1000:\n");
    fixture_put(&b->tree, "/proc/self/limits",
                "Limit Soft Hard Units\nMax open files 1024 1000000 files\n"
                "Max locked memory 65536 unlimited bytes\n");
    fixture_put(&b->tree, "/proc/self/status", "Name:\tx\nCapEff:\t0\n");
    fixture_process(&b->tree, 1, "systemd", "/sbin/init", "/sbin/init", 10);
    fixture_put(&b->tree, "/proc/self/stat", "1 (x) S 0\n");
}

static void low_values(struct bed *b)
{
    fresh(b, "");
}

static void low_limits_of_a_service(struct bed *b)
{
    fresh(b, "validator: {runtime: systemd}\n");
    fixture_put(&b->tree, ETC "sol.service",
                "[Service]\nExecStart=/opt/agave-validator --ledger /srv/solana/ledger\n"
                "LimitNOFILE=1024:2000000\n");
}

static void a_log_that_nobody_turns(struct bed *b)
{
    fresh(b, "");
    free(TAKE(b->cfg->file)); /* there is none */
    fixture_put(&b->tree, "/usr/sbin/logrotate", "x");
    AUTO(freep) char *program = fsroot_path(b->ctx.root, "/usr/sbin/logrotate");
    assert_int_equal(chmod(program, 0755), 0);
    fixture_put(&b->tree, "/lib/systemd/system/logrotate.timer", "[Timer]\nOnCalendar=daily\n");
    fixture_link(&b->tree, ETC "timers.target.wants/logrotate.timer",
                 "/lib/systemd/system/logrotate.timer");
    fixture_put(&b->tree, "/etc/logrotate.d/apt", "/var/log/apt/*.log {\n  weekly\n}\n");
    fixture_put(&b->tree, "/srv/solana/log/validator.log", "line\n");
}

/* Two of them: one is enabled, and nothing is started. */
static void a_clock_that_nobody_sets_after_a_boot(struct bed *b)
{
    fresh(b, "");
    fixture_dir(&b->tree, "/run/systemd/system");
    fixture_put(&b->tree, "/lib/systemd/system/chrony.service",
                "[Service]\nType=forking\n[Install]\nWantedBy=multi-user.target\n");
    fixture_put(&b->tree, "/lib/systemd/system/ntpsec.service",
                "[Service]\nType=forking\n[Install]\nWantedBy=multi-user.target\n");
    fixture_dir(&b->tree, "/etc/systemd/system");
}

#define STAGES(...)                                                                                \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
#define ROW(id, ...) static const struct row id = {.name = #id, __VA_ARGS__}
ROW(kind_root, .stages = STAGES("kind-root"), .real = true, .break_it = no_kind_root);
ROW(kind_root_private, .stages = STAGES("kind-root"), .real = true, .break_it = private_kind_root);
ROW(kind_root_above, .stages = STAGES("kind-root"), .real = true,
    .break_it = mounts_below_kind_root);
ROW(volume, .stages = STAGES("volume"), .real = true, .break_it = blank_volume, .kept = stays);
ROW(volume_folder, .stages = STAGES("volume"), .real = true, .break_it = missing_folder);
ROW(ramdisk, .stages = STAGES("ramdisk"), .real = true, .break_it = blank_ram_disk, .kept = stays);
ROW(bind, .stages = STAGES("bind"), .real = true, .break_it = unbound_volume);
ROW(dirs, .stages = STAGES("dirs"), .real = true, .break_it = folders_of_nobody);
ROW(storage, .stages = STAGES("volume", "kind-root", "ramdisk", "bind", "dirs"), .real = true,
    .break_it = bare_host, .kept = both_stay);
ROW(units, .stages = STAGES("units"), .break_it = nothing_for_the_next_boot);
ROW(fstab, .stages = STAGES("fstab", "units"), .break_it = nothing_for_the_next_boot);
ROW(adopt, .stages = STAGES("adopt", "units", "fstab"), .break_it = somebodys_next_boot,
    .adopt = true);
ROW(adopt_tmpfs, .stages = STAGES("adopt", "units", "fstab"), .break_it = somebodys_tmpfs,
    .adopt = true);
ROW(sysctl, .stages = STAGES("sysctl"), .break_it = low_values);
ROW(limits, .stages = STAGES("limits"), .break_it = low_values);
ROW(limits_of_service, .stages = STAGES("limits"), .break_it = low_limits_of_a_service);
ROW(logrotate, .stages = STAGES("logrotate"), .break_it = a_log_that_nobody_turns);
ROW(time_service, .stages = STAGES("time"), .break_it = a_clock_that_nobody_sets_after_a_boot);

const struct row *const rows[] = {
    &kind_root,
    &kind_root_private,
    &kind_root_above,
    &volume,
    &volume_folder,
    &ramdisk,
    &bind,
    &dirs,
    &storage,
    &units,
    &fstab,
    &adopt,
    &adopt_tmpfs,
    &sysctl,
    &limits,
    &limits_of_service,
    &logrotate,
    &time_service,
    NULL,
};
