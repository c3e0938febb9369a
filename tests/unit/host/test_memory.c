/* host/cgroup, host/memory, host/netstat on made-up hosts: the files are those of real ones, cut
 * down to the lines that matter and some that could be mistaken for them. */
#include "host/cgroup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/str.h"
#include "fixture.h"
#include "host/memory.h"
#include "host/netstat.h"

#define GIB ((uint64_t)1 << 30)

static int setup(void **state)
{
    static struct fixture f;

    fixture_new(&f);
    fixture_put(&f, "/proc/self/stat", "1 (x) S 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0\n");
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    fixture_clear(*state);
    return 0;
}

static void assert_known(struct known_u64 n, uint64_t want)
{
    assert_true(n.known);
    if (n.v != want)
        fail_msg("%llu instead of %llu", (unsigned long long)n.v, (unsigned long long)want);
}

/* ---- cgroup v1 ------------------------------------------------------------------------------- */

static void v1_mounts(struct fixture *f)
{
    fixture_put(f, "/proc/self/mountinfo",
                "1 1 254:0 / / rw - ext4 /dev/vda rw\n"
                "30 1 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
                "31 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
                "32 30 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
                "33 30 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
    fixture_put(f, "/proc/77/cgroup",
                "9:name=systemd:/wrong\n4:memory:/kubepods/burstable/podx/ctr\n1:cpu,cpuacct:/no\n"
                "0::/also-wrong\n");
}

static void v1_group(struct fixture *f, const char *path, const char *usage, const char *limit)
{
    AUTO(freep) char *usage_file = xasprintf("/sys/fs/cgroup/memory%s/memory.usage_in_bytes", path);
    AUTO(freep) char *limit_file = xasprintf("/sys/fs/cgroup/memory%s/memory.limit_in_bytes", path);

    fixture_put(f, usage_file, "%s\n", usage);
    fixture_put(f, limit_file, "%s\n", limit);
}

static void v1_tree(struct fixture *f, const char *pod_limit)
{
    v1_mounts(f);
    v1_group(f, "", "90000000000", "9223372036854771712");
    v1_group(f, "/kubepods", "80000000000", "9223372036854771712");
    v1_group(f, "/kubepods/burstable", "70000000000", "9223372036854771712");
    v1_group(f, "/kubepods/burstable/podx", "7000000000", pod_limit);
    v1_group(f, "/kubepods/burstable/podx/ctr", "6000000000", "9000000000");
    fixture_put(f, "/sys/fs/cgroup/memory/kubepods/burstable/podx/ctr/memory.stat",
                "cache 1\nrss 2\nshmem 3\nhierarchical_memory_limit 9000000000\n"
                "total_cache 4000000000\ntotal_rss 1900000000\ntotal_rss_huge 7\n"
                "total_shmem 500000000\n");
    fixture_put(f, "/sys/fs/cgroup/memory/kubepods/burstable/podx/memory.stat",
                "total_cache 4100000000\ntotal_rss 2900000000\ntotal_shmem 600000000\n");
    fixture_put(f, "/sys/fs/cgroup/memory/kubepods/burstable/podx/ctr/memory.oom_control",
                "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
}

static void v1_own_limit(void **state)
{
    AUTO(cgroup_memory_clear) struct cgroup_memory m = {0};
    struct fixture *f = *state;

    v1_tree(f, "9223372036854771712");
    assert_ok(cgroup_memory(&f->ctx, 77, &m));
    assert_int_equal(m.version, 1);
    assert_string_equal(m.path, "/kubepods/burstable/podx/ctr");
    assert_known(m.own.usage_b, 6000000000);
    assert_known(m.own.anon_b, 1900000000);
    assert_known(m.own.shmem_b, 500000000);
    assert_known(m.own.file_b, 3500000000);
    assert_known(cgroup_held_b(&m.own), 2500000000);
    assert_known(m.limit_b, 9000000000);
    assert_string_equal(m.limit_path, "/kubepods/burstable/podx/ctr");
    assert_known(m.at_limit.usage_b, 6000000000);
    assert_false(m.high_b.known);
    assert_known(m.oom_kills, 3);
}

/* A parent's lower limit counts, and with it what its other children use. */
static void v1_limit_of_a_parent(void **state)
{
    AUTO(cgroup_memory_clear) struct cgroup_memory m = {0};
    struct fixture *f = *state;

    v1_tree(f, "8000000000");
    assert_ok(cgroup_memory(&f->ctx, 77, &m));
    assert_known(m.limit_b, 8000000000);
    assert_string_equal(m.limit_path, "/kubepods/burstable/podx");
    assert_known(m.own.usage_b, 6000000000);
    assert_known(m.at_limit.usage_b, 7000000000);
    assert_known(cgroup_held_b(&m.at_limit), 7000000000 - (4100000000 - 600000000));
}

static void v1_parent_that_does_not_count(void **state)
{
    AUTO(cgroup_memory_clear) struct cgroup_memory m = {0};
    struct fixture *f = *state;

    v1_tree(f, "8000000000");
    fixture_put(f, "/sys/fs/cgroup/memory/kubepods/burstable/podx/memory.use_hierarchy", "0\n");
    assert_ok(cgroup_memory(&f->ctx, 77, &m));
    assert_known(m.limit_b, 9000000000);
    fixture_put(f, "/sys/fs/cgroup/memory/kubepods/burstable/podx/memory.use_hierarchy", "1\n");
    cgroup_memory_clear(&m);
    assert_ok(cgroup_memory(&f->ctx, 77, &m));
    assert_known(m.limit_b, 8000000000);
}

static void v1_no_limit_at_all(void **state)
{
    AUTO(cgroup_memory_clear) struct cgroup_memory m = {0};
    struct fixture *f = *state;

    v1_mounts(f);
    fixture_put(f, "/proc/77/cgroup", "4:memory:/\n");
    v1_group(f, "", "90000000000", "9223372036854771712");
    assert_ok(cgroup_memory(&f->ctx, 77, &m));
    assert_string_equal(m.path, "/");
    assert_false(m.limit_b.known);
    assert_null(m.limit_path);
    assert_false(m.own.file_b.known); /* no memory.stat: not 0 */
    assert_false(cgroup_held_b(&m.own).known);
    assert_false(m.oom_kills.known);
}

static void v1_nonsense(void **state)
{
    AUTO(cgroup_memory_clear) struct cgroup_memory m = {0};
    struct fixture *f = *state;

    v1_tree(f, "lots");
    assert_err(cgroup_memory(&f->ctx, 77, &m), ERR_CORRUPT, "limit_in_bytes' is not a number");
    fixture_put(f, "/proc/77/cgroup", "4:cpu:/\n");
    assert_err(cgroup_memory(&f->ctx, 77, &m), ERR_ABSENT, "names no cgroup that counts memory");
    fixture_put(f, "/proc/77/cgroup", "4:memory:/../../x\n");
    assert_err(cgroup_memory(&f->ctx, 77, &m), ERR_ABSENT, "outside of what is mounted");
    fixture_put(f, "/proc/77/cgroup", "4:memory:/gone\n");
    assert_err(cgroup_memory(&f->ctx, 77, &m), ERR_NOTFOUND, "gone");
    assert_err(cgroup_memory(&f->ctx, 78, &m), ERR_NOTFOUND, "/proc/78");
    fixture_put(f, "/proc/self/mountinfo", "1 1 254:0 / / rw - ext4 /dev/vda rw\n");
    assert_err(cgroup_memory(&f->ctx, 77, &m), ERR_ABSENT, "no cgroup file system");
}

/* ---- who is in a group ----------------------------------------------------------------------- */

static void members_are(struct fixture *f, const char *path, const char *want)
{
    AUTO(strbuf_clear) struct strbuf got = {0};
    AUTO(freep) pid_t *pids = NULL;
    size_t n = 0;

    assert_ok(cgroup_pids(&f->ctx, path, &pids, &n));
    for (size_t i = 0; i < n; i++)
        strbuf_printf(&got, "%s%d", i ? " " : "", pids[i]);
    assert_string_equal(strbuf_text(&got), want);
}

static void who_is_in_a_group(void **state)
{
    static const struct {
        const char *mount, *at;
    } hosts[] = {
        {"34 30 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
         "31 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
         "/sys/fs/cgroup/systemd"},
        {"34 30 0:31 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "/sys/fs/cgroup"},
    };

    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        struct fixture f;
        AUTO(freep) char *unit = xasprintf("%s/system.slice/sol.service", hosts[i].at);
        AUTO(freep) char *own = xasprintf("%s/cgroup.procs", unit);
        AUTO(freep) char *below = xasprintf("%s/deep/er/cgroup.procs", unit);
        AUTO(freep) pid_t *pids = NULL;
        size_t n = 0;

        fixture_new(&f);
        fixture_put(&f, "/proc/self/mountinfo", "30 1 0:28 / / rw - tmpfs tmpfs rw\n%s",
                    hosts[i].mount);
        fixture_put(&f, own, "12\n13\n");
        fixture_put(&f, below, "14\n");
        members_are(&f, "/system.slice/sol.service", "12 13 14");
        members_are(&f, "/system.slice/gone.service", "");
        fixture_put(&f, below, "0\n");
        assert_err(cgroup_pids(&f.ctx, "/system.slice/sol.service", &pids, &n), ERR_REFUSED,
                   "another pid namespace");
        fixture_put(&f, "/proc/self/mountinfo", "30 1 0:28 / / rw - tmpfs tmpfs rw\n");
        assert_err(cgroup_pids(&f.ctx, "/system.slice/sol.service", &pids, &n), ERR_ABSENT,
                   "not mounted here");
        fixture_clear(&f);
    }
}

/* ---- cgroup v2 ------------------------------------------------------------------------------- */

#define V2 "/sys/fs/cgroup/kubepods.slice/kubepods-podx.slice"

static void v2_tree(struct fixture *f)
{
    fixture_put(f, "/proc/self/mountinfo",
                "1 1 254:0 / / rw - ext4 /dev/vda rw\n"
                "30 1 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n");
    fixture_put(f, "/proc/77/cgroup", "0::/kubepods.slice/kubepods-podx.slice/cri-a.scope\n");
    fixture_put(f, "/sys/fs/cgroup/memory.stat", "anon 5\nfile 6\nshmem 1\n");
    fixture_put(f, "/sys/fs/cgroup/kubepods.slice/memory.current", "700000000000\n");
    fixture_put(f, "/sys/fs/cgroup/kubepods.slice/memory.max", "max\n");
    fixture_put(f, "/sys/fs/cgroup/kubepods.slice/memory.high", "650000000000\n");
    fixture_put(f, V2 "/memory.current", "600000000000\n");
    fixture_put(f, V2 "/memory.max", "606656069632\n");
    fixture_put(f, V2 "/memory.high", "max\n");
    fixture_put(f, V2 "/memory.stat",
                "anon 300000000000\nfile 290000000000\nkernel 9000000000\nshmem 200000000000\n"
                "file_mapped 5\nfile_dirty 6\nanon_thp 7\n");
    fixture_put(f, V2 "/cri-a.scope/memory.current", "590000000000\n");
    fixture_put(f, V2 "/cri-a.scope/memory.max", "max\n");
    fixture_put(f, V2 "/cri-a.scope/memory.high", "660000000000\n");
    fixture_put(f, V2 "/cri-a.scope/memory.stat",
                "anon 299000000000\nfile 280000000000\nshmem 199000000000\n");
    fixture_put(f, V2 "/cri-a.scope/memory.events",
                "low 0\nhigh 12\nmax 3\noom 2\noom_kill 1\noom_group_kill 0\n");
}

static void v2_limit_of_a_parent(void **state)
{
    AUTO(cgroup_memory_clear) struct cgroup_memory m = {0};
    struct fixture *f = *state;

    v2_tree(f);
    assert_ok(cgroup_memory(&f->ctx, 77, &m));
    assert_int_equal(m.version, 2);
    assert_string_equal(m.path, "/kubepods.slice/kubepods-podx.slice/cri-a.scope");
    assert_known(m.own.usage_b, 590000000000);
    assert_known(m.own.anon_b, 299000000000);
    assert_known(m.own.shmem_b, 199000000000);
    assert_known(m.own.file_b, 81000000000);
    assert_known(m.limit_b, 606656069632);
    assert_string_equal(m.limit_path, "/kubepods.slice/kubepods-podx.slice");
    assert_known(m.at_limit.usage_b, 600000000000);
    assert_known(cgroup_held_b(&m.at_limit), 510000000000);
    assert_known(m.high_b, 650000000000);
    assert_known(m.oom_kills, 1);
}

/* The root has neither usage nor limit; unknown is not 0. */
static void v2_root(void **state)
{
    AUTO(cgroup_memory_clear) struct cgroup_memory m = {0};
    struct fixture *f = *state;

    v2_tree(f);
    fixture_put(f, "/proc/77/cgroup", "0::/\n");
    assert_ok(cgroup_memory(&f->ctx, 77, &m));
    assert_false(m.own.usage_b.known);
    assert_false(m.limit_b.known);
    assert_false(m.oom_kills.known);
}

/* Seen from a container: only a part of the tree is mounted. */
static void v2_part_is_mounted(void **state)
{
    AUTO(cgroup_memory_clear) struct cgroup_memory m = {0};
    struct fixture *f = *state;

    v2_tree(f);
    fixture_put(f, "/proc/self/mountinfo",
                "1 1 254:0 / / rw - ext4 /dev/vda rw\n"
                "30 1 0:28 /kubepods.slice/kubepods-podx.slice " V2 " rw - cgroup2 cgroup2 rw\n");
    assert_ok(cgroup_memory(&f->ctx, 77, &m));
    assert_known(m.limit_b, 606656069632);
    assert_known(m.high_b, 660000000000); /* the slice's own is not to be seen */
    fixture_put(f, "/proc/77/cgroup", "0::/kubepods.slice/kubepods-podx.slice-2\n");
    assert_err(cgroup_memory(&f->ctx, 77, &m), ERR_ABSENT, "is not below what is mounted");
}

/* ---- host and process ------------------------------------------------------------------------ */

static void host_and_process(void **state)
{
    struct fixture *f = *state;
    struct process_memory p;
    struct host_memory h;

    fixture_put(f, "/proc/meminfo",
                "MemTotal:       792723456 kB\nMemFree:        1 kB\nMemAvailable:   5 kB\n");
    assert_ok(host_memory(&f->ctx, &h));
    assert_known(h.available_b, 5120);
    assert_false(h.oom_kills.known); /* no vmstat */
    fixture_put(f, "/proc/vmstat", "nr_free_pages 1\noom_kill_fake 9\noom_kill 4\n");
    assert_ok(host_memory(&f->ctx, &h));
    assert_known(h.total_b, (uint64_t)792723456 << 10);
    assert_known(h.available_b, 5120);
    assert_known(h.oom_kills, 4);
    fixture_put(f, "/proc/vmstat", "nr_free_pages 1\n");
    fixture_put(f, "/proc/meminfo", "MemTotal: 18446744073709551615 kB\n");
    assert_ok(host_memory(&f->ctx, &h));
    assert_false(h.oom_kills.known);
    assert_false(h.total_b.known); /* too large to be true */
    assert_false(h.available_b.known);
    fixture_put(f, "/proc/77/status",
                "Name:\tagave-validator\nVmPeak:\t9 kB\nVmHWM:\t 9 kB\nVmRSS:\t  524288 kB\n"
                "RssAnon:\t  262144 kB\nVmSwap:\t       0 kB\n");
    assert_ok(process_memory(&f->ctx, 77, &p));
    assert_known(p.resident_b, GIB / 2);
    assert_known(p.anon_b, GIB / 4);
    assert_known(p.swap_b, 0);
    fixture_put(f, "/proc/77/status", "Name:\tzombie\nState:\tZ (zombie)\n");
    assert_ok(process_memory(&f->ctx, 77, &p));
    assert_false(p.resident_b.known);
    assert_err(process_memory(&f->ctx, 78, &p), ERR_NOTFOUND, NULL);
}

/* ---- UDP ------------------------------------------------------------------------------------- */

#define UDP_HEAD                                                                                   \
    "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "         \
    "timeout inode ref pointer drops\n"

static void udp_of_a_namespace(void **state)
{
    struct fixture *f = *state;
    struct udp_counters c;
    struct udp_port p;
    uint64_t ns = 0;

    fixture_process(f, 77, "agave-validator", NULL, "agave-validator", 5);
    fixture_put(f, "/proc/77/net/snmp",
                "Tcp: RtoAlgorithm InErrs\nTcp: 1 2\n"
                "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\n"
                "Udp: 632952 197572 162072 1066721 162071 0\n"
                "UdpLite: InDatagrams InErrors RcvbufErrors\nUdpLite: 7 7 7\n");
    assert_ok(udp_counters(&f->ctx, 77, &c));
    assert_int_equal(c.in_datagrams, 632952);
    assert_int_equal(c.in_errors, 162072);
    assert_int_equal(c.rcvbuf_errors, 162071);

    fixture_put(f, "/proc/77/net/udp",
                UDP_HEAD "  812: 00000000:1F42 00000000:0000 07 00000000:00000300 00:00000000 "
                         "00000000  1000        0 21411 2 0000000000000000 12         \n"
                         "  812: 00000000:1F42 00000000:0000 07 00000000:000002D0 00:00000000 "
                         "00000000  1000        0 21412 2 0000000000000000 5         \n"
                         "  813: 0100007F:1F43 00000000:0000 07 00000000:00000001 00:00000000 "
                         "00000000  1000        0 21413 2 0000000000000000 99         \n");
    assert_ok(udp_port(&f->ctx, 77, 8002, &p)); /* a kernel without IPv6: no udp6 */
    assert_int_equal(p.sockets, 2);
    assert_int_equal(p.rx_queue_b, 0x5d0);
    assert_int_equal(p.drops, 17);
    fixture_put(f, "/proc/77/net/udp6",
                UDP_HEAD "    1: 00000000000000000000000000000000:1F42 "
                         "00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 "
                         "00000000     0        0 9 2 0000000000000000 1\n");
    assert_ok(udp_port(&f->ctx, 77, 8002, &p));
    assert_int_equal(p.sockets, 3);
    assert_int_equal(p.drops, 18);
    assert_ok(udp_port(&f->ctx, 77, 8004, &p));
    assert_int_equal(p.sockets, 0);
    assert_err(udp_counters(&f->ctx, 78, &c), ERR_NOTFOUND, NULL);
    assert_ok(netns_of(&f->ctx, 77, &ns));
    assert_int_equal(ns, 4026531900);
}

static void udp_nonsense(void **state)
{
    static const char *const snmp[] = {
        "",
        "Udp: InDatagrams InErrors RcvbufErrors\n",
        "Udp: InDatagrams InErrors\nUdp: 1 2\n",
        "Udp: InDatagrams InErrors RcvbufErrors\nUdp: 1 2\n",
        "Udp: InDatagrams InErrors RcvbufErrors\nUdp: 1 2 x\n",
        "Udp: InDatagrams InErrors RcvbufErrors\nUdp: 1 2 -3\n",
        "Udp: InDatagrams InErrors RcvbufErrors\nUdp: 1 2 99999999999999999999\n",
    };
    struct udp_counters c;
    struct udp_port p = {0};

    for (size_t i = 0; i < ARRAY_LEN(snmp); i++)
        assert_err(udp_counters_parse(snmp[i], &c), ERR_CORRUPT, "net/snmp");
    assert_ok(udp_port_parse("", 1, &p));
    assert_ok(udp_port_parse(UDP_HEAD, 1, &p));
    assert_err(udp_port_parse(UDP_HEAD "nonsense\n", 1, &p), ERR_CORRUPT, "net/udp");
    assert_int_equal(p.sockets, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(v1_own_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(v1_limit_of_a_parent, setup, teardown),
        cmocka_unit_test_setup_teardown(v1_parent_that_does_not_count, setup, teardown),
        cmocka_unit_test_setup_teardown(v1_no_limit_at_all, setup, teardown),
        cmocka_unit_test_setup_teardown(v1_nonsense, setup, teardown),
        cmocka_unit_test(who_is_in_a_group),
        cmocka_unit_test_setup_teardown(v2_limit_of_a_parent, setup, teardown),
        cmocka_unit_test_setup_teardown(v2_root, setup, teardown),
        cmocka_unit_test_setup_teardown(v2_part_is_mounted, setup, teardown),
        cmocka_unit_test_setup_teardown(host_and_process, setup, teardown),
        cmocka_unit_test_setup_teardown(udp_of_a_namespace, setup, teardown),
        cmocka_unit_test_setup_teardown(udp_nonsense, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
