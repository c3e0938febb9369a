/* host/sysctl_conf, host/limits, host/timesync: what is set, from text and captured trees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"
#include "fixture.h"
#include "host/limits.h"
#include "host/sysctl_conf.h"
#include "host/timesync.h"
#include "io/fsroot.h"

static const char *value(const struct sysctl_conf *c, const char *key)
{
    const struct sysctl_setting *s = sysctl_conf_get(c, key);

    return s ? s->value : NULL;
}

static void the_last_file_that_names_it_counts(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(sysctl_conf_clear) struct sysctl_conf c = {0};

    fixture_new(&f);
    fixture_put(&f, "/usr/lib/sysctl.d/10-a.conf", "vm.max_map_count=1\nvm.swappiness=1\n");
    fixture_put(&f, "/usr/lib/sysctl.d/90-b.conf", "vm.max_map_count = 2\n");
    fixture_put(&f, "/etc/sysctl.d/90-b.conf", "# nothing\n");
    fixture_put(&f, "/run/sysctl.d/50.conf", " vm/swappiness =\t5 \n");
    fixture_put(&f, "/etc/sysctl.conf", "net.core.rmem_max=3\n");
    assert_ok(sysctl_conf_read(&f.ctx, &c));
    assert_string_equal(value(&c, "vm/max_map_count"), "1");
    assert_string_equal(value(&c, "vm/swappiness"), "5");
    assert_null(value(&c, "net/core/rmem_max"));
    fixture_link(&f, "/etc/sysctl.d/99-sysctl.conf", "../sysctl.conf");
    sysctl_conf_clear(&c);
    assert_ok(sysctl_conf_read(&f.ctx, &c));
    assert_string_equal(value(&c, "net/core/rmem_max"), "3");
    assert_string_equal(sysctl_conf_get(&c, "net/core/rmem_max")->file,
                        "/etc/sysctl.d/99-sysctl.conf");
    assert_int_equal(c.faults.n, 0);
}

static void lines_patterns_and_faults(void **state)
{
    static const char text[] = "; comment\n"
                               "net.ipv4.conf.*.rp_filter = 1\n"
                               "-net.ipv4.conf.all.rp_filter\n"
                               "-net.ipv4.ip_forward = 1\n"
                               "net/ipv4/conf/eth0.100/rp_filter=2\n"
                               "net.ipv4.conf.eth1/200.forwarding=3\n"
                               "nothing\n"
                               " = 3\n"
                               "vm.swappiness=1";
    AUTO(sysctl_conf_clear) struct sysctl_conf c = {0};

    sysctl_conf_parse(text, strlen(text), "/f", &c);
    assert_string_equal(value(&c, "net/ipv4/conf/eth0/rp_filter"), "1");
    assert_null(value(&c, "net/ipv4/conf/all/rp_filter"));
    assert_string_equal(value(&c, "net/ipv4/ip_forward"), "1");
    assert_string_equal(value(&c, "net/ipv4/conf/eth0.100/rp_filter"), "2");
    assert_string_equal(value(&c, "net/ipv4/conf/eth1.200/forwarding"), "3");
    assert_string_equal(value(&c, "vm/swappiness"), "1");
    assert_int_equal(sysctl_conf_get(&c, "vm/swappiness")->line, 9);
    assert_int_equal(c.faults.n, 2);
    assert_string_equal(c.faults.items[0], "/f:7: no value");
    assert_string_equal(c.faults.items[1], "/f:8: no name");
}

static void limits(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    struct process_limits l;

    fixture_new(&f);
    fixture_put(&f, "/proc/7/limits",
                "Limit                     Soft Limit           Hard Limit           Units     \n"
                "Max locked memory         8388608              unlimited            bytes     \n"
                "Max open files            1024                 524288               files     \n");
    fixture_put(&f, "/proc/7/status", "Name:\ta\nCapEff:\t0000000001000000\n");
    fixture_put(&f, "/proc/self/limits", "Limit\nMax open files 1 x files\n");
    assert_ok(limits_of(&f.ctx, 7, &l));
    assert_int_equal(l.nofile.soft, 1024);
    assert_int_equal(l.nofile.hard, 524288);
    assert_int_equal(l.memlock.soft, 8388608);
    assert_true(l.memlock.hard == UINT64_MAX);
    assert_true(l.sys_resource);
    fixture_put(&f, "/proc/7/status", "Name:\ta\nCapEff:\t00000000feffffff\n");
    assert_ok(limits_of(&f.ctx, 7, &l));
    assert_false(l.sys_resource);
    assert_err(limits_of(&f.ctx, 0, &l), ERR_BADINPUT, "open files");
    assert_err(limits_of(&f.ctx, 8, &l), ERR_NOTFOUND, "8");
    assert_err(limits_parse("Limit\n", &l), ERR_CORRUPT, "no row");
}

static void limits_of_systemd(void **state)
{
    static const struct {
        const char *text;
        bool in_bytes;
        uint64_t soft, hard;
    } good[] = {
        {"1000000", false, 1000000, 1000000},
        {"1024:524288", false, 1024, 524288},
        {"infinity", true, UINT64_MAX, UINT64_MAX},
        {"8M:infinity", true, 8U << 20, UINT64_MAX},
    };
    static const char *const bad[] = {"", "many", "1:", "-1", "1K"};
    struct limit l;

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_ok(limit_parse_systemd(good[i].text, good[i].in_bytes, &l));
        assert_true(l.soft == good[i].soft && l.hard == good[i].hard);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_err(limit_parse_systemd(bad[i], false, &l), ERR_BADINPUT, "");
}

static void the_clock(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    struct kernel_clock c;

    fixture_new(&f);
    assert_ok(kernel_clock(&f.ctx, &c)); /* this machine's own: only that it answers */
    fixture_put(&f, "/host.json", "{}");
    f.ctx.root = fsroot_close(f.ctx.root);
    assert_ok(fsroot_open_captured(f.dir, &f.ctx.root));
    assert_err(kernel_clock(&f.ctx, &c), ERR_ABSENT, "does not say");
    f.ctx.root = fsroot_close(f.ctx.root);
    assert_ok(fsroot_open(f.dir, &f.ctx.root));
    fixture_put(&f, "/host.json",
                "{\"kernel_clock\": {\"synchronized\": true, \"offset_ms\": -7.4, \"max_error_ms\": 2.6}}");
    f.ctx.root = fsroot_close(f.ctx.root);
    assert_ok(fsroot_open_captured(f.dir, &f.ctx.root));
    assert_ok(kernel_clock(&f.ctx, &c));
    assert_true(c.synchronized);
    assert_int_equal(c.offset_ms, -7);
    assert_int_equal(c.max_error_ms, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_file_that_names_it_counts),
        cmocka_unit_test(lines_patterns_and_faults),
        cmocka_unit_test(limits),
        cmocka_unit_test(limits_of_systemd),
        cmocka_unit_test(the_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
