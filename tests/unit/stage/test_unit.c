/* Stage "unit": is what runs the validator of the config, what does it write to, does it hang. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"
#include "checked.h"
#include "io/clock.h"
#include "stage/table.h"

static void look(struct checked *c)
{
    checked_look(c, &stage_unit);
}

static void nothing_runs_and_nothing_is_wrong(void **state)
{
    AUTO(checked_clear) struct checked c;

    checked_new(&c, NULL);
    look(&c);
    checked_has(&c, "unit.runs", SEV_NOTE, "no validator runs on ledger '/srv/solana/ledger'");
    checked_has(&c, "unit.zfs", SEV_OK, "would write");
    checked_clean(&c);
}

static void the_validator_of_the_config_is_fine(void **state)
{
    AUTO(checked_clear) struct checked c;

    checked_new(&c, NULL);
    checked_validator(&c, "");
    look(&c);
    checked_has(&c, "unit.runs", SEV_OK, "process 100 (agave-validator), started by hand");
    checked_has(&c, "unit.flags", SEV_OK, NULL);
    checked_has(&c, "unit.uid", SEV_OK, "1000");
    checked_has(&c, "unit.threads", SEV_OK, NULL);
    checked_has(&c, "unit.monitor", SEV_OK, NULL);
    checked_fine(&c, "unit.program");
}

static void flags_that_contradict_the_config_are_told(void **state)
{
    AUTO(checked_clear) struct checked c;

    checked_new(&c, "validator:\n  identity: /etc/agave/id.json\n  uid: 1234\n  voting: true\n"
                    "  vote_account: /etc/agave/vote.json\n  rpc_port: 9999\n");
    checked_validator(&c, "--identity /root/other.json --log=-");
    look(&c);
    checked_has(&c, "unit.flags", SEV_WARN, "/root/other.json");
    checked_has(&c, "unit.flags", SEV_WARN, "'--log'");
    checked_has(&c, "unit.flags", SEV_WARN, "9999");
    checked_has(&c, "unit.flags", SEV_WARN, "does not vote");
    checked_has(&c, "unit.uid", SEV_WARN, "1234");
}

static void a_missing_flag_is_another_value(void **state)
{
    AUTO(checked_clear) struct checked c;

    checked_new(&c, NULL);
    checked_validator(&c, "");
    fixture_process(&c.f, 100, "agave-validator", "/usr/local/bin/agave-validator (deleted)",
                    "agave-validator --no-voting -l /srv/solana/ledger", 1);
    look(&c);
    checked_has(&c, "unit.flags", SEV_WARN, "not given");
    checked_has(&c, "unit.program", SEV_NOTE, "replaced or removed");
}

static void another_validator_is_named(void **state)
{
    AUTO(checked_clear) struct checked c;

    checked_new(&c, NULL);
    fixture_process(&c.f, 200, "agave-validator", "/opt/agave-validator",
                    "agave-validator --ledger /mnt/other", 1);
    fixture_process(&c.f, 201, "agave-validator", "/opt/agave-validator",
                    "agave-validator --ledger /mnt/other monitor", 1);
    look(&c);
    checked_has(&c, "unit.stranger", SEV_WARN, "process 200");
    checked_has(&c, "unit.stranger", SEV_WARN, "/mnt/other");
    for (size_t i = 0; i < c.r.findings.n; i++)
        assert_null(strstr(c.r.findings.items[i].what, "201"));
}

/* ---- ZFS ------------------------------------------------------------------------------------- */

#define HOST_ROOT "20 1 259:2 / / rw - ext4 /dev/nvme0n1p2 rw\n"
#define VOLUME    "30 20 230:0 / /srv/solana rw - xfs /dev/zd0 rw\n"
#define RAMDISK   "31 30 1:0 / /srv/solana/ramdisk rw - xfs /dev/ram0 rw\n"

static void put_mounts(struct checked *c, const char *text)
{
    fixture_put(&c->f, "/proc/self/mountinfo", "%s", text);
    fixture_put(&c->f, "/proc/100/mountinfo", "%s", text);
}

static void open_for(struct checked *c, int fd, const char *path, const char *flags)
{
    AUTO(freep) char *link = xasprintf("/proc/100/fd/%d", fd);
    AUTO(freep) char *info = xasprintf("/proc/100/fdinfo/%d", fd);

    fixture_link(&c->f, link, path);
    fixture_put(&c->f, info, "pos:\t0\nflags:\t%s\n", flags);
}

static void configured_folders_on_zfs_are_found_without_a_validator(void **state)
{
    AUTO(checked_clear) struct checked c;

    checked_new(&c, NULL);
    fixture_put(&c.f, "/proc/self/mountinfo",
                HOST_ROOT "30 20 0:50 / /srv/solana rw - zfs tank/solana rw\n" RAMDISK);
    look(&c);
    checked_has(&c, "unit.zfs", SEV_FAIL, "ZFS 'tank/solana': ledger");
    assert_int_equal(c.r.stages[0].worst, SEV_FAIL);
}

static void an_index_on_zfs_is_found_from_the_command_line(void **state)
{
    AUTO(checked_clear) struct checked c;

    checked_new(&c, NULL);
    checked_validator(&c, "--accounts-index-path /a --accounts-index-path /pool/index");
    put_mounts(&c, HOST_ROOT VOLUME RAMDISK "40 20 0:51 / /pool rw - zfs tank/index rw\n");
    look(&c);
    checked_has(&c, "unit.zfs", SEV_FAIL, "ZFS 'tank/index': accounts index '/pool/index'");
}

static void an_open_file_on_zfs_is_found_unless_it_is_only_read(void **state)
{
    AUTO(checked_clear) struct checked c;

    checked_new(&c, NULL);
    checked_validator(&c, "");
    put_mounts(&c, HOST_ROOT VOLUME RAMDISK "40 20 0:51 / /pool rw - zfs tank/x rw\n"
                                            "41 20 0:52 / /read rw - zfs tank/read rw\n");
    open_for(&c, 3, "/pool/some/file", "0102001");
    open_for(&c, 4, "/read/some/file", "0100000");
    open_for(&c, 5, "/srv/solana/ledger/rocksdb/LOG", "02");
    look(&c);
    checked_has(&c, "unit.zfs", SEV_FAIL, "ZFS 'tank/x': open file '/pool/some/file'");
    for (size_t i = 0; i < c.r.findings.n; i++)
        assert_null(strstr(c.r.findings.items[i].what, "tank/read"));
}

static void unseen_descriptors_are_not_ok(void **state)
{
    AUTO(checked_clear) struct checked c;

    checked_new(&c, NULL);
    checked_validator(&c, "");
    open_for(&c, 3, "/srv/solana/ledger/x", "02");
    fixture_put(&c.f, "/proc/100/fdinfo/3", "mnt_id: 4\n");
    look(&c);
    checked_has(&c, "unit.files", SEV_UNKNOWN, "1 descriptors");
}

static void without_mounts_the_rest_is_still_looked_at(void **state)
{
    AUTO(checked_clear) struct checked c;

    checked_new(&c, NULL);
    checked_validator(&c, "");
    fixture_put(&c.f, "/proc/self/mountinfo", "nonsense\n");
    look(&c);
    checked_has(&c, "unit.zfs", SEV_UNKNOWN, "mountinfo");
    checked_has(&c, "unit.runs", SEV_OK, "process 100");
    checked_has(&c, "unit.flags", SEV_OK, NULL);
    checked_has(&c, "unit.threads", SEV_OK, NULL);
}

/* In a pod: overlay root whose upper folder is on the node's ZFS, an emptyDir on another, a ledger
 * that is the host's XFS under another name. */
static void a_pods_mounts_are_looked_at_in_its_own_view(void **state)
{
    AUTO(checked_clear) struct checked c;

    checked_new(&c, "kind:\n  cluster: x\nvalidator:\n  identity: /etc/agave/id.json\n");
    fixture_process(&c.f, 50, "containerd-shim", "/usr/bin/containerd-shim", "containerd-shim", 1);
    fixture_link(&c.f, "/proc/50/ns/mnt", "mnt:[5000]");
    fixture_put(&c.f, "/proc/50/mountinfo",
                "60 1 0:70 / / rw - overlay overlay rw,upperdir=/var/lib/docker/overlay2/a/diff\n"
                "61 60 0:55 /v/_data /var rw - zfs tank/docker rw\n");
    checked_validator(&c, "");
    fixture_process(&c.f, 100, "agave-validator", "/usr/bin/agave-validator",
                    "agave-validator --identity /data/config/id.json --no-voting --ledger "
                    "/data/ledger --accounts /data/accounts --snapshots /data/snapshots --log "
                    "/data/log/validator.log --rpc-port 8899 --gossip-port 8001 "
                    "--dynamic-port-range 8002-8040",
                    1);
    fixture_put(&c.f, "/proc/100/stat",
                "100 (agave-validator) S 50 1 1 0 -1 4194560 9 0 0 0 1 2 3 4 20 0 1 0 1 99 7\n");
    fixture_link(&c.f, "/proc/100/ns/mnt", "mnt:[6000]");
    fixture_put(&c.f, "/proc/100/cgroup", "0::/kubelet/kubepods/burstable/podX/Y\n");
    fixture_put(
        &c.f, "/proc/100/mountinfo",
        "80 1 0:90 / / rw - overlay overlay rw,upperdir=/var/lib/containerd/snapshots/7/fs\n"
        "81 80 230:0 /ledger /data/ledger rw - xfs /dev/zd0 rw\n"
        "82 80 1:0 /accounts /data/accounts rw - xfs /dev/ram0 rw\n"
        "83 80 230:0 /snapshots /data/snapshots rw - xfs /dev/zd0 rw\n"
        "84 80 230:0 /log /data/log rw - xfs /dev/zd0 rw\n"
        "85 80 0:56 /lib/kubelet/pods/U/volumes/kubernetes.io~empty-dir/tmp /tmp rw - zfs "
        "tank/kubelet rw\n"
        "86 80 0:57 /hosts /etc/hosts rw - zfs tank/hosts rw\n"
        "87 80 0:58 / /data/config ro,relatime - zfs tank/config rw\n");
    look(&c);
    checked_has(&c, "unit.runs", SEV_OK, "Kubernetes");
    checked_has(&c, "unit.zfs", SEV_FAIL, "ZFS 'tank/docker': the container's root '/'");
    checked_has(&c, "unit.zfs", SEV_FAIL, "ZFS 'tank/kubelet': emptyDir '/tmp'");
    for (size_t i = 0; i < c.r.findings.n; i++) {
        assert_null(strstr(c.r.findings.items[i].what, "tank/hosts"));
        assert_null(strstr(c.r.findings.items[i].what, "tank/config"));
    }
    /* The same places under other names do not contradict the config; the identity's does. */
    for (size_t i = 0; i < c.r.findings.n; i++)
        if (str_eq(c.r.findings.items[i].id, "unit.flags"))
            assert_non_null(strstr(c.r.findings.items[i].what, "--identity"));
}

static void dockers_data_root_on_zfs_is_found(void **state)
{
    AUTO(checked_clear) struct checked c;

    checked_new(&c, "kind:\n  cluster: x\n");
    fixture_put(&c.f, "/proc/self/mountinfo",
                HOST_ROOT VOLUME RAMDISK "40 20 0:51 / /tank/docker rw - zfs tank/docker rw\n");
    look(&c);
    checked_fine(&c, "unit.zfs");
    fixture_put(&c.f, "/etc/docker/daemon.json", "{\"data-root\": \"/tank/docker\"}\n");
    look(&c);
    checked_has(&c, "unit.zfs", SEV_FAIL, "Docker's data root '/tank/docker'");
    fixture_put(&c.f, "/etc/docker/daemon.json", "{data-root}\n");
    look(&c);
    checked_has(&c, "unit.zfs", SEV_UNKNOWN, "daemon.json");
}

/* ---- threads --------------------------------------------------------------------------------- */

static void a_thread_that_sleeps_and_does_not_move_is_told(void **state)
{
    AUTO(checked_clear) struct checked c;

    checked_new(&c, NULL);
    checked_validator(&c, "");
    fixture_thread(&c.f, 100, 107, "solRplyStg", 'D', "folio_wait_bit_common",
                   "[<0>] folio_wait_bit_common+0x13d/0x350\n[<0>] filemap_read+0x2f0/0x380\n");
    look(&c);
    checked_has(&c, "unit.threads", SEV_WARN, "thread 107 (solRplyStg) of process 100");
    checked_has(&c, "unit.threads", SEV_WARN, "folio_wait_bit_common < filemap_read");
    checked_fine(&c, "unit.hang");
}

static void the_known_hang_is_named_with_what_is_safe(void **state)
{
    AUTO(checked_clear) struct checked c;

    checked_new(&c, NULL);
    checked_validator(&c, "");
    fixture_thread(
        &c.f, 100, 108, "iou-wrk-1", 'D', "0",
        "[<0>] dsl_dir_tempreserve_space+0x1/0x2 [zfs]\n[<0>] dmu_tx_assign+0x1 [zfs]\n");
    /* Its main thread is gone: no memory, no arguments; found by its name. */
    fixture_process(&c.f, 300, "agave-validator", NULL, "", 7);
    fixture_thread(&c.f, 300, 301, "agave-validator", 'D', "io_wq_put_and_exit",
                   "[<0>] io_wq_put_and_exit+0x8f/0x2b0\n[<0>] do_exit+0x1/0x2\n");
    fixture_process(&c.f, 400, "python3", "/usr/bin/python3", "python3 /entrypoint.py", 7);
    fixture_put(&c.f, "/proc/400/wchan", "zap_pid_ns_processes");
    fixture_thread(&c.f, 400, 400, "python3", 'S', "zap_pid_ns_processes", NULL);
    fixture_process(&c.f, 500, "tar", "/usr/bin/tar", "tar", 7); /* none of our business */
    fixture_put(&c.f, "/proc/500/stat",
                "500 (tar) D 1 1 1 0 -1 4194560 9 0 0 0 1 2 3 4 20 0 1 0 7 99 7\n");
    fixture_thread(&c.f, 500, 500, "tar", 'D', "txg_wait_synced", "[<0>] txg_wait_synced+0x1\n");
    look(&c);
    checked_has(&c, "unit.hang", SEV_FAIL, "only a power cycle ends it");
    checked_has(&c, "unit.hang", SEV_FAIL, "thread 301 (agave-validator) of process 300");
    checked_has(&c, "unit.hang", SEV_FAIL, "a container's first process waits");
    for (size_t i = 0; i < c.r.findings.n; i++)
        assert_null(strstr(c.r.findings.items[i].what, "500"));
}

static void status_of(struct checked *c, unsigned n)
{
    fixture_put(&c->f, "/proc/100/task/107/status",
                "Name:\tx\nvoluntary_ctxt_switches:\t%u\nnonvoluntary_ctxt_switches:\t1\n", n);
}

/* The disk makes everybody sleep for a moment: while we wait, this one moves. */
static struct checked *moving;

static void wait_and_move(uint64_t wait_ns, const volatile sig_atomic_t *cancelled)
{
    status_of(moving, 43);
}

static void a_thread_that_moves_between_the_looks_is_fine(void **state)
{
    AUTO(checked_clear) struct checked c;

    checked_new(&c, NULL);
    checked_validator(&c, "");
    struct clock_ops clock = *c.f.ctx.clock;
    clock.wait = wait_and_move;
    c.f.ctx.clock = &clock;
    moving = &c;
    fixture_thread(&c.f, 100, 107, "solRplyStg", 'D', "folio_wait_bit_common", NULL);
    status_of(&c, 42);
    look(&c);
    checked_has(&c, "unit.threads", SEV_OK, NULL);
    checked_fine(&c, "unit.threads");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_runs_and_nothing_is_wrong),
        cmocka_unit_test(the_validator_of_the_config_is_fine),
        cmocka_unit_test(flags_that_contradict_the_config_are_told),
        cmocka_unit_test(a_missing_flag_is_another_value),
        cmocka_unit_test(another_validator_is_named),
        cmocka_unit_test(configured_folders_on_zfs_are_found_without_a_validator),
        cmocka_unit_test(an_index_on_zfs_is_found_from_the_command_line),
        cmocka_unit_test(an_open_file_on_zfs_is_found_unless_it_is_only_read),
        cmocka_unit_test(unseen_descriptors_are_not_ok),
        cmocka_unit_test(without_mounts_the_rest_is_still_looked_at),
        cmocka_unit_test(a_pods_mounts_are_looked_at_in_its_own_view),
        cmocka_unit_test(dockers_data_root_on_zfs_is_found),
        cmocka_unit_test(a_thread_that_sleeps_and_does_not_move_is_told),
        cmocka_unit_test(the_known_hang_is_named_with_what_is_safe),
        cmocka_unit_test(a_thread_that_moves_between_the_looks_is_fine),
    };

    return cmocka_run_group_tests_name("unit", tests, NULL, NULL);
}
