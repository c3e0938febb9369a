/* The stages sysctl, limits, time and space on made-up hosts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "tree.h"

#define NET "/proc/sys/net/core/"

static void put_sysctls(struct tree *t, const char *rmem)
{
    fixture_put(&t->f, NET "rmem_max", "%s\n", rmem);
    fixture_put(&t->f, NET "wmem_max", "134217728\n");
    fixture_put(&t->f, NET "optmem_max", "20480\n");
    fixture_put(&t->f, "/proc/sys/vm/max_map_count", "1000000\n");
    fixture_put(&t->f, "/proc/sys/fs/nr_open", "1048576\n");
}

static void settings_of_now_and_of_the_next_boot(void **state)
{
    AUTO(tree_clear) struct tree t;

    tree_new(&t, "");
    put_sysctls(&t, "212992");
    fixture_put(&t.f, "/etc/sysctl.d/21-agave.conf",
                "net.core.rmem_max = 134217728\nvm.max_map_count = 65530\n");
    tree_check(&t, "sysctl");
    tree_is(&t, "sysctl.rmem", SEV_FAIL, "net.core.rmem_max is 212992: the validator refuses");
    tree_is(&t, "sysctl.rmem.boot", SEV_OK, "sysctl --system");
    tree_is(&t, "sysctl.wmem", SEV_OK, NULL);
    tree_is(&t, "sysctl.wmem.boot", SEV_WARN, "lost at the next boot");
    tree_is(&t, "sysctl.maps", SEV_OK, NULL);
    tree_is(&t, "sysctl.maps.boot", SEV_WARN, "sets vm.max_map_count to 65530");
    tree_is(&t, "sysctl.files", SEV_OK, NULL);
    tree_is(&t, "sysctl.optmem", SEV_OK, "20480");
    tree_has_not(&t, "sysctl.backlog");
}

static void a_setting_that_is_not_to_be_seen_is_unknown(void **state)
{
    AUTO(tree_clear) struct tree t;

    tree_new(&t, "validator: {args: [--no-os-network-limits-test]}\n");
    put_sysctls(&t, "1");
    fixture_put(&t.f, NET "wmem_max", "many\n");
    fixture_put(&t.f, "/proc/sys/fs/nr_open", "1024\n");
    fixture_put(&t.f, "/etc/sysctl.d/1.conf", "nothing\n");
    tree_check(&t, "sysctl");
    tree_is(&t, "sysctl.rmem", SEV_WARN, NULL); /* Agave is told not to look */
    tree_is(&t, "sysctl.rmem.boot", SEV_WARN, NULL);
    tree_is(&t, "sysctl.wmem", SEV_UNKNOWN, "not a number");
    tree_is(&t, "sysctl.files", SEV_FAIL, NULL);
    tree_is(&t, "sysctl.syntax", SEV_NOTE, "/etc/sysctl.d/1.conf:1");
}

static void put_limits(struct tree *t, const char *who, const char *nofile, const char *memlock,
                       const char *caps)
{
    AUTO(freep) char *limits = xasprintf("/proc/%s/limits", who);
    AUTO(freep) char *status = xasprintf("/proc/%s/status", who);

    fixture_put(&t->f, limits,
                "Limit Soft Hard Units\nMax open files 1024 %s files\n"
                "Max locked memory 65536 %s bytes\n",
                nofile, memlock);
    fixture_put(&t->f, status, "Name:\tx\nUid:\t1000\t1000\t1000\t1000\nCapEff:\t%s\n", caps);
}

static void limits_of_the_process_that_runs(void **state)
{
    AUTO(tree_clear) struct tree t;

    tree_new(&t, "");
    put_limits(&t, "self", "1000000", "unlimited", "0");
    fixture_process(&t.f, 70, "agave-validator", "/opt/agave-validator",
                    "agave-validator --ledger /srv/solana/ledger", 5);
    put_limits(&t, "70", "524288", "2000000000", "0000000000000000");
    tree_check(&t, "limits");
    tree_is(&t, "limits.nofile", SEV_FAIL, "the running validator may have 524288 open files");
    tree_is(&t, "limits.memlock", SEV_OK, NULL);
    assert_string_equal(findings_find(&t.found, "limits.nofile")->source, "/proc/70/limits");
    put_limits(&t, "70", "524288", "65536", "000001ffffffffff");
    tree_check(&t, "limits");
    tree_is(&t, "limits.nofile", SEV_OK, "may raise that itself");
    tree_is(&t, "limits.memlock", SEV_OK, "may raise that itself");
    fixture_put(&t.f, "/proc/70/limits", "nonsense\n");
    tree_check(&t, "limits");
    tree_is(&t, "limits.nofile", SEV_UNKNOWN, NULL);
}

static void limits_of_what_would_start_it(void **state)
{
    AUTO(tree_clear) struct tree t;

    tree_new(&t, "");
    put_limits(&t, "self", "1048576", "65536", "0");
    tree_check(&t, "limits");
    tree_is(&t, "limits.nofile", SEV_OK, "this process");
    tree_is(&t, "limits.memlock", SEV_FAIL, "this process");
}

static void limits_of_a_service(void **state)
{
    AUTO(tree_clear) struct tree t;

    tree_new(&t, "validator: {runtime: systemd}\n");
    tree_check(&t, "limits");
    tree_is(&t, "limits.nofile", SEV_UNKNOWN, "no systemd service starts 'agave-validator'");
    fixture_put(&t.f, "/etc/systemd/system/sol.service",
                "[Service]\nExecStart=/home/sol/bin/agave-validator --ledger /srv/solana/ledger\n"
                "LimitNOFILE=1024:1000000\n");
    tree_check(&t, "limits");
    tree_is(&t, "limits.nofile", SEV_OK, "'sol.service'");
    tree_is(&t, "limits.memlock", SEV_FAIL, "8388608");
    fixture_put(&t.f, "/etc/systemd/system/sol.service.d/l.conf",
                "[Service]\nLimitMEMLOCK=infinity\nLimitNOFILE=some\n");
    tree_check(&t, "limits");
    tree_is(&t, "limits.nofile", SEV_UNKNOWN, "LimitNOFILE of 'sol.service'");
    tree_is(&t, "limits.memlock", SEV_UNKNOWN, NULL);
}

static void limits_of_containers(void **state)
{
    AUTO(tree_clear) struct tree t;

    tree_new(&t, "validator: {runtime: kubernetes}\n");
    fixture_put(&t.f, "/usr/lib/systemd/system/containerd.service",
                "[Service]\nLimitNOFILE=infinity\n");
    tree_check(&t, "limits");
    tree_is(&t, "limits.nofile", SEV_OK, "unlimited");
    tree_is(&t, "limits.memlock", SEV_WARN, "'containerd.service'");
    fixture_put(&t.f, "/etc/docker/daemon.json",
                "{\"default-ulimits\": {\"nofile\": {\"Hard\": 64000, \"Soft\": 64000},"
                " \"memlock\": {\"Hard\": -1, \"Soft\": -1}}}");
    tree_check(&t, "limits");
    tree_is(&t, "limits.nofile", SEV_WARN, "64000");
    tree_is(&t, "limits.memlock", SEV_OK, "unlimited");
}

static void clock_is(const char *json, bool service, struct tree *t)
{
    AUTO(freep) char *host = xasprintf("{\"kernel_clock\": %s}", json);

    tree_new(t, "");
    fixture_process(&t->f, 1, "systemd", "/lib/systemd/systemd", "init", 1);
    if (service) {
        fixture_process(&t->f, 50, "chronyd", "/usr/sbin/chronyd", "chronyd", 5);
        fixture_put(&t->f, "/lib/systemd/system/chrony.service", "[Service]\nType=forking\n");
        fixture_link(&t->f, "/etc/systemd/system/multi-user.target.wants/chrony.service",
                     "/lib/systemd/system/chrony.service");
    }
    tree_capture(t, host);
    tree_check(t, "time");
}

static void clocks(void **state)
{
    AUTO(tree_clear) struct tree good, far, farther, lost, mute;

    clock_is("{\"synchronized\": true, \"offset_ms\": -3, \"max_error_ms\": 40}", true, &good);
    tree_is(&good, "time.sync", SEV_OK, NULL);
    tree_is(&good, "time.offset", SEV_OK, "43 ms");
    tree_is(&good, "time.daemon", SEV_OK, "chronyd");
    clock_is("{\"synchronized\": true, \"offset_ms\": -300, \"max_error_ms\": 301}", true, &far);
    tree_is(&far, "time.offset", SEV_WARN, "601 ms");
    clock_is("{\"synchronized\": true, \"offset_ms\": 2001}", false, &farther);
    tree_is(&farther, "time.offset", SEV_FAIL, NULL);
    tree_is(&farther, "time.daemon", SEV_WARN, "no program");
    clock_is("{\"synchronized\": false, \"offset_ms\": 0}", true, &lost);
    tree_is(&lost, "time.sync", SEV_WARN, "not known");
    tree_has_not(&lost, "time.offset"); /* it would be a guess */
    clock_is("null", true, &mute);
    tree_is(&mute, "time.sync", SEV_UNKNOWN, NULL);
}

static void put_storage(struct tree *t, uint64_t memory_kib)
{
    fixture_put(&t->f, "/proc/self/mountinfo",
                "27 1 254:0 / / rw - ext4 /dev/vda rw\n"
                "28 27 8:1 / /srv/solana rw - xfs /dev/sda1 rw\n"
                "29 28 1:0 / /srv/solana/ramdisk rw - xfs /dev/ram0 rw\n");
    fixture_put(&t->f, "/proc/vmstat", "oom_kill 0\n");
    fixture_put(&t->f, "/proc/meminfo", "MemTotal: %llu kB\nMemAvailable: 1000 kB\n",
                (unsigned long long)memory_kib);
}

static void room(void **state)
{
    AUTO(tree_clear) struct tree t;

    tree_new(&t, "validator: {log: /var/log/validator.log}\n");
    put_storage(&t, 700ULL << 20);
    tree_capture(&t, "{\"statvfs\": {"
                     "\"/\": {\"size_b\": 107374182400, \"free_b\": 1048576, \"files\": 1000,"
                     " \"files_free\": 3},"
                     "\"/srv/solana\": {\"size_b\": 8796093022208, \"free_b\": 107374182400},"
                     "\"/srv/solana/ramdisk\": {\"size_b\": 644245094400, \"free_b\": "
                     "107374182400}}}");
    tree_check(&t, "space");
    tree_is(&t, "space.ledger", SEV_WARN, "'/srv/solana' (ledger, snapshots) has 100 GiB");
    tree_has_not(&t, "space.snapshots");
    tree_is(&t, "space.accounts", SEV_OK, NULL); /* more than a tenth of it */
    tree_is(&t, "space.log", SEV_FAIL, "1.0 MiB");
    tree_is(&t, "space.log.inodes", SEV_WARN, "3 of 1000");
    tree_has_not(&t, "space.ledger.inodes");
    tree_is(&t, "space.memory", SEV_NOTE, "nothing limits");
}

/* 600 GiB of RAM disk, a limit, and the machine's memory. */
static void memory_is(uint64_t memory_gib, const char *limit, enum severity sev)
{
    AUTO(tree_clear) struct tree t;

    tree_new(&t, "");
    put_storage(&t, memory_gib << 20);
    fixture_put(&t.f, "/etc/systemd/system/sol.service",
                "[Service]\nExecStart=/opt/agave-validator\nMemoryMax=%s\n", limit);
    tree_capture(&t, "{\"statvfs\": {\"/\": {\"size_b\": 1099511627776, \"free_b\": "
                     "1099511627776}, \"/srv/solana/ramdisk\": {\"size_b\": 644245094400}}}");
    tree_check(&t, "space");
    tree_is(&t, "space.memory", sev, NULL);
}

static void memory(void **state)
{
    memory_is(1024, "400G", SEV_OK);
    memory_is(1000, "400G", SEV_FAIL);
    memory_is(1024, "infinity", SEV_NOTE);
    memory_is(600, "infinity", SEV_FAIL);
    memory_is(1024, "much", SEV_UNKNOWN);
}

static void space_that_cannot_be_asked_is_unknown(void **state)
{
    AUTO(tree_clear) struct tree t;

    tree_new(&t, "");
    put_storage(&t, 1);
    tree_capture(&t, "{}");
    tree_check(&t, "space");
    tree_is(&t, "space.ledger", SEV_UNKNOWN, "does not say how much is free");
    tree_is(&t, "space.memory", SEV_UNKNOWN, NULL);
}

/* What a fresh host lacks would be written there. */
static void a_read_only_etc(void **state)
{
    static const char *const says[][2] = {{"sysctl", "sysctl.readonly"},
                                          {"limits", "limits.readonly"},
                                          {"logrotate", "logrotate.readonly"}};
    AUTO(tree_clear) struct tree t;

    tree_new(&t, "");
    fixture_put(&t.f, "/etc/passwd", "root:x:0:0::/root:/bin/sh\nsol:x:1000:1000::/h:/bin/sh\n");
    fixture_put(&t.f, "/etc/group", "sol:x:1000:\n");
    fixture_put(&t.f, "/proc/sys/fs/nr_open", "1048576\n");
    fixture_put(&t.f, "/usr/sbin/logrotate", "x");
    tree_capture(&t, "{\"stat\": {\"/usr/sbin/logrotate\": {\"mode\": \"0755\"}},"
                     " \"statvfs\": {\"/etc\": {\"read_only\": true}}}");
    for (size_t i = 0; i < ARRAY_LEN(says); i++) {
        tree_check(&t, says[i][0]);
        tree_is(&t, says[i][1], SEV_FAIL, "mount -o remount,rw");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_of_now_and_of_the_next_boot),
        cmocka_unit_test(a_setting_that_is_not_to_be_seen_is_unknown),
        cmocka_unit_test(limits_of_the_process_that_runs),
        cmocka_unit_test(limits_of_what_would_start_it),
        cmocka_unit_test(limits_of_a_service),
        cmocka_unit_test(limits_of_containers),
        cmocka_unit_test(clocks),
        cmocka_unit_test(room),
        cmocka_unit_test(memory),
        cmocka_unit_test(space_that_cannot_be_asked_is_unknown),
        cmocka_unit_test(a_read_only_etc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
