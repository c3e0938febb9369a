/* look/unit_host and look/found on made-up hosts: which limit counts, which kill concerns, whose
 * port it is, which process is a validator. */
#include "look/unit_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "io/clock.h"
#include "look/found.h"
#include "tests/unit/host/fixture.h"

#define GROUP "/sys/fs/cgroup/kubepods/ctr"
#define GIB   ((uint64_t)1 << 30)

static uint64_t now_ms;

static uint64_t fake_mono_ns(void)
{
    return now_ms * 1000000;
}

static uint64_t fake_wall_ms(void)
{
    return 1700000000000 + now_ms;
}

static const struct clock_ops fake_clock = {.mono_ns = fake_mono_ns, .wall_ms = fake_wall_ms};
static struct rates_book book;
static const pid_t pids[] = {77};

/* A validator as process 77, in a cgroup (v2) with a limit of 8 GiB, on a host of 16 GiB. */
static int setup(void **state)
{
    static struct fixture f;

    fixture_new(&f);
    f.ctx.clock = &fake_clock;
    now_ms = 1000000;
    book = (struct rates_book){0};
    fixture_put(&f, "/proc/self/stat", "1 (x) S 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0\n");
    fixture_put(&f, "/proc/self/mountinfo",
                "1 1 254:0 / / rw - ext4 /dev/vda rw\n"
                "30 1 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    fixture_link(&f, "/proc/self/ns/net", "net:[4026531900]");
    fixture_process(&f, 77, "agave-validator", "/bin/agave-validator",
                    "agave-validator --ledger /srv/l --rpc-port 8899", 5);
    fixture_put(&f, "/proc/77/cgroup", "0::/kubepods/ctr\n");
    fixture_put(&f, "/proc/77/status", "Name:\tx\nUid:\t1000\t1000\nVmRSS:\t 1048576 kB\n");
    fixture_put(&f, "/proc/meminfo", "MemTotal: 16777216 kB\nMemAvailable: 12582912 kB\n");
    fixture_put(&f, "/proc/vmstat", "oom_kill 0\n");
    fixture_put(&f, GROUP "/memory.max", "8589934592\n");
    fixture_put(&f, GROUP "/memory.current", "6442450944\n");
    fixture_put(&f, GROUP "/memory.stat", "anon 1073741824\nfile 4294967296\nshmem 0\n");
    fixture_put(&f, "/proc/77/net/snmp",
                "Udp: InDatagrams InErrors RcvbufErrors\nUdp: 1000 20 10\n");
    fixture_put(&f, "/proc/77/net/udp",
                "  sl  local_address\n"
                "  812: 00000000:1F42 00000000:0000 07 00000000:00000300 00:00000000 "
                "00000000  1000        0 21411 2 0000000000000000 12\n");
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    fixture_clear(*state);
    return 0;
}

static void look(struct fixture *f, struct known_u64 port, enum tvu_source from,
                 struct unit_host *ret)
{
    const struct unit_host_params p = {
        .pids = pids, .n_pids = 1, .tvu_port = port, .tvu_from = from, .book = &book};

    unit_host_look(&f->ctx, &p, ret);
}

static const struct known_u64 port_8002 = {true, 8002}, no_port;

static void memory_against_a_cgroup(void **state)
{
    AUTO(unit_host_clear) struct unit_host u = {0}, v = {0};
    struct fixture *f = *state;

    look(f, no_port, TVU_UNKNOWN, &u);
    assert_int_equal(u.pid, 77);
    assert_null(u.memory.error);
    assert_int_equal(u.memory.resident_b.v, GIB);
    assert_false(u.memory.host_is_limit);
    assert_int_equal(u.memory.limit_b.v, 8 * GIB);
    assert_int_equal(u.memory.held_b.v, 2 * GIB); /* the cache is no danger */
    assert_false(u.memory.trend.known);
    assert_false(u.memory.limit_in_s.known);

    /* 1 GiB in 64 s; 5 GiB are left */
    now_ms += 64000;
    fixture_put(f, GROUP "/memory.current", "7516192768\n");
    look(f, no_port, TVU_UNKNOWN, &v);
    assert_true(v.memory.trend.known);
    assert_float_equal(v.memory.trend.per_s[0], (double)GIB / 64, 1);
    assert_int_equal(v.memory.limit_in_s.v, 5 * 64);
}

static void memory_that_shrinks_has_no_end(void **state)
{
    AUTO(unit_host_clear) struct unit_host u = {0}, v = {0};
    struct fixture *f = *state;

    look(f, no_port, TVU_UNKNOWN, &u);
    now_ms += 64000;
    fixture_put(f, GROUP "/memory.current", "5368709120\n");
    look(f, no_port, TVU_UNKNOWN, &v);
    assert_true(v.memory.trend.known && v.memory.trend.per_s[0] < 0);
    assert_false(v.memory.limit_in_s.known);
}

static void memory_against_the_host(void **state)
{
    AUTO(unit_host_clear) struct unit_host u = {0}, v = {0};
    struct fixture *f = *state;

    fixture_put(f, GROUP "/memory.max", "max\n");
    look(f, no_port, TVU_UNKNOWN, &u);
    assert_true(u.memory.host_is_limit);
    assert_int_equal(u.memory.limit_b.v, 16 * GIB);
    assert_int_equal(u.memory.held_b.v, 4 * GIB);
    /* A limit above all memory of the host is none. */
    fixture_put(f, GROUP "/memory.max", "999999999999\n");
    look(f, no_port, TVU_UNKNOWN, &v);
    assert_true(v.memory.host_is_limit);
}

static void memory_that_cannot_be_looked_at(void **state)
{
    AUTO(unit_host_clear) struct unit_host u = {0};
    AUTO(json_freep) struct json *j = NULL;
    struct fixture *f = *state;

    fixture_put(f, "/proc/77/cgroup", "nonsense\n");
    fixture_put(f, "/proc/77/status", "Name: x\n");
    look(f, no_port, TVU_UNKNOWN, &u);
    assert_non_null(u.memory.error);
    assert_false(u.memory.limit_b.known); /* there may be one: not the host's either */
    assert_false(u.memory.resident_b.known);
    j = unit_memory_json(&u);
    static const char *const unknown[] = {"resident_b", "limit_b",    "limit_by", "held_b",
                                          "trend_b_s",  "limit_in_s", "cgroup"};
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
        assert_true(json_has(j, unknown[i]));
        assert_null(json_get(j, unknown[i]));
    }
}

static void kills_that_concern(void **state)
{
    AUTO(unit_host_clear) struct unit_host u = {0}, v = {0};
    AUTO(json_freep) struct json *j = NULL;
    struct fixture *f = *state;
    static const bool concerns[] = {true, true, true, false}, own[] = {true, true, false, false};

    /* The log is not even opened while the kernel has killed nobody. */
    look(f, no_port, TVU_UNKNOWN, &u);
    assert_true(u.oom.known && u.oom.kills.n == 0);
    fixture_put(f, "/proc/vmstat", "oom_kill 4\n");
    look(f, no_port, TVU_UNKNOWN, &v);
    assert_false(v.oom.known);
    assert_non_null(strstr(v.oom.error, "/dev/kmsg"));
    unit_host_clear(&v);

    fixture_put(
        f, "/dev/kmsg",
        "6,1,1000000,-;oom-kill:oom_memcg=/k,task_memcg=/kubepods/ctr,task=x,pid=5,uid=0\n"
        "3,2,1000000,-;Memory cgroup out of memory: Killed process 5 (x) total-vm:1kB\n"
        "3,3,2000000,-;Memory cgroup out of memory: Killed process 6 (agave-validator) "
        "total-vm:1kB\n"
        "3,4,3000000,-;Out of memory: Killed process 7 (postgres) total-vm:1kB\n"
        "3,5,4000000,-;Memory cgroup out of memory: Killed process 8 (java) total-vm:1kB\n");
    look(f, no_port, TVU_UNKNOWN, &v);
    assert_true(v.oom.known);
    assert_int_equal(v.oom.kills.n, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(unit_host_concerns(&v, &v.oom.kills.items[i]), concerns[i]);
        assert_int_equal(unit_host_own_kill(&v, &v.oom.kills.items[i]), own[i]);
    }
    j = unit_oom_json(&v);
    const char *at = NULL;
    assert_ok(json_as_str(json_get(json_at(json_get(j, "kills"), 1), "at"), &at));
    assert_string_equal(at, "2023-11-14 22:13:22 UTC"); /* boot at 22:13:20, and 2 s */
}

static void udp_and_tvu(void **state)
{
    AUTO(unit_host_clear) struct unit_host u = {0}, v = {0};
    struct fixture *f = *state;

    look(f, port_8002, TVU_CONTACT, &u);
    assert_true(u.udp.known && !u.udp.rate.known);
    assert_true(u.udp.tvu_known && !u.udp.tvu_rate.known);
    assert_int_equal(u.udp.tvu.drops, 12);
    assert_int_equal(u.udp.tvu.rx_queue_b, 0x300);
    now_ms += 4000;
    fixture_put(f, "/proc/77/net/snmp",
                "Udp: InDatagrams InErrors RcvbufErrors\nUdp: 5000 28 14\n");
    fixture_put(f, "/proc/77/net/udp",
                "  sl  local_address\n"
                "  812: 00000000:1F42 00000000:0000 07 00000000:00000000 00:00000000 "
                "00000000  1000        0 21411 2 0000000000000000 14\n");
    look(f, port_8002, TVU_CONTACT, &v);
    assert_float_equal(v.udp.rate.per_s[0], 1000, 1e-9);
    assert_float_equal(v.udp.rate.per_s[1], 2, 1e-9);
    assert_float_equal(v.udp.rate.per_s[2], 1, 1e-9);
    assert_float_equal(v.udp.tvu_rate.per_s[0], 0.5, 1e-9);
    assert_false(v.other_netns);
}

/* Nobody on the port: unknown. A port that is only assumed must be the validator's own. */
static void whose_port(void **state)
{
    AUTO(unit_host_clear) struct unit_host u = {0}, v = {0}, w = {0};
    const struct known_u64 port_9 = {true, 9};
    struct fixture *f = *state;

    look(f, port_9, TVU_CONTACT, &u);
    assert_false(u.udp.tvu_known);
    assert_non_null(strstr(u.udp.tvu_error, "no socket is bound to UDP port 9"));
    look(f, port_8002, TVU_RANGE, &v);
    assert_false(v.udp.tvu_known);
    assert_non_null(strstr(v.udp.tvu_error, "is not the validator's"));
    fixture_link(f, "/proc/77/fd/9", "socket:[21411]");
    look(f, port_8002, TVU_RANGE, &w);
    assert_true(w.udp.tvu_known);
}

static void another_namespace(void **state)
{
    AUTO(unit_host_clear) struct unit_host u = {0};
    struct fixture *f = *state;

    fixture_link(f, "/proc/77/ns/net", "net:[4026539999]");
    look(f, no_port, TVU_UNKNOWN, &u);
    assert_true(u.other_netns);
}

static void nothing_runs(void **state)
{
    AUTO(unit_host_clear) struct unit_host u = {0};
    struct fixture *f = *state;
    const pid_t gone[] = {99};
    const struct unit_host_params p = {.pids = gone, .n_pids = 1, .book = &book};

    assert_null(unit_oom_json(&u)); /* not looked at */
    fixture_put(f, "/proc/vmstat", "oom_kill 1\n");
    fixture_put(f, "/dev/kmsg",
                "3,3,2000000,-;Out of memory: Killed process 6 (agave-validator) total-vm:1kB\n");
    unit_host_look(&f->ctx, &p, &u);
    assert_int_equal(u.pid, 0);
    assert_null(unit_memory_json(&u));
    assert_null(unit_udp_json(&u));
    AUTO(json_freep) struct json *oom = unit_oom_json(&u); /* why it does not run */
    assert_int_equal(json_len(json_get(oom, "kills")), 1);
    assert_true(unit_host_own_kill(&u, &u.oom.kills.items[0]));
}

/* ---- found ----------------------------------------------------------------------------------- */

static void we_run(struct fixture *f)
{
    fixture_process(f, getpid(), "agavectl", NULL, "agavectl status", 9);
}

static void found_by_its_lock(void **state)
{
    AUTO(founds_clear) struct founds found = {0};
    struct fixture *f = *state;
    struct status_params p;
    size_t unseen = 9;

    we_run(f);
    /* 77 is a validator, 78 asks one to exit, 79 holds another lock, 80 is gone */
    fixture_put(f, "/proc/locks",
                "1: FLOCK  ADVISORY  WRITE 77 fe:00:9 0 EOF\n"
                "2: FLOCK  ADVISORY  WRITE 79 fe:00:8 0 EOF\n"
                "3: POSIX  ADVISORY  WRITE 78 fe:00:7 0 EOF\n"
                "4: FLOCK  ADVISORY  WRITE 80 fe:00:6 0 EOF\n"
                "5: FLOCK  ADVISORY  WRITE 77 fe:00:5 0 EOF\n"
                "5: -> FLOCK  ADVISORY  WRITE 81 fe:00:5 0 EOF\nnonsense\n");
    fixture_process(f, 78, "agave-validator", NULL, "agave-validator --ledger /srv/l exit", 6);
    fixture_process(f, 79, "cron", NULL, "cron", 6);
    fixture_link(f, "/proc/77/fd/3", "/srv/l/ledger.lock");
    fixture_link(f, "/proc/78/fd/3", "/srv/l/ledger.lock");
    fixture_link(f, "/proc/79/fd/3", "/run/cron.pid");
    for (int pid = 77; pid <= 79; pid++) {
        AUTO(freep) char *info = xasprintf("/proc/%d/fdinfo/3", pid);

        fixture_put(f, info, "pos:\t0\nflags:\t0100002\n");
    }
    assert_ok(found_validators(&f->ctx, &found, &unseen));
    assert_int_equal(unseen, 0);
    assert_int_equal(found.n, 1);
    assert_int_equal(found.items[0].pid, 77);
    assert_string_equal(found.items[0].name, "agave-validator");
    p = found_status(&found.items[0]);
    assert_string_equal(p.rpc_url, "http://127.0.0.1:8899");
    assert_string_equal(p.ledger, "/srv/l");
    assert_string_equal(p.snapshots_dir, "/srv/l"); /* Agave's default */
    assert_null(p.port_range);
    assert_int_equal(p.pid, 77);
}

static void found_in_a_container(void **state)
{
    AUTO(founds_clear) struct founds found = {0};
    struct fixture *f = *state;
    size_t unseen = 0;

    we_run(f);
    fixture_process(f, 77, "agave-validator", NULL,
                    "agave-validator --ledger=/data/l --snapshots /data/s --rpc-port=9 "
                    "--rpc-bind-address 10.0.0.7 --dynamic-port-range 9000-9040",
                    6);
    fixture_link(f, "/proc/77/ns/mnt", "mnt:[4026539999]");
    fixture_put(f, "/proc/locks", "1: FLOCK  ADVISORY  WRITE 77 fe:00:9 0 EOF\n");
    fixture_link(f, "/proc/77/fd/3", "/data/l/ledger.lock");
    fixture_put(f, "/proc/77/fdinfo/3", "pos:\t0\nflags:\t0100002\n");
    assert_ok(found_validators(&f->ctx, &found, &unseen));
    assert_int_equal(found.n, 1);
    assert_string_equal(found.items[0].ledger, "/data/l");
    assert_string_equal(found.items[0].reach, "/proc/77/root/data/l");
    assert_string_equal(found.items[0].snapshots, "/proc/77/root/data/s");
    assert_string_equal(found.items[0].rpc_url, "http://10.0.0.7:9");
    assert_string_equal(found.items[0].port_range, "9000-9040");
}

static void nobody_is_found(void **state)
{
    AUTO(founds_clear) struct founds found = {0};
    struct fixture *f = *state;
    size_t unseen = 0;

    we_run(f);
    fixture_put(f, "/proc/locks", "\n");
    assert_ok(found_validators(&f->ctx, &found, &unseen));
    assert_int_equal(found.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(memory_against_a_cgroup, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_that_shrinks_has_no_end, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_against_the_host, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_that_cannot_be_looked_at, setup, teardown),
        cmocka_unit_test_setup_teardown(kills_that_concern, setup, teardown),
        cmocka_unit_test_setup_teardown(udp_and_tvu, setup, teardown),
        cmocka_unit_test_setup_teardown(whose_port, setup, teardown),
        cmocka_unit_test_setup_teardown(another_namespace, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(found_by_its_lock, setup, teardown),
        cmocka_unit_test_setup_teardown(found_in_a_container, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_is_found, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
