/* What the manager's answers are read as. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/str.h"
#include "fixture.h"
#include "runtime/systemd_unit.h"

/* Of systemd 252.39, but for members that nobody reads. */
static const char unit_text[] =
    "{\"Id\":\"sol.service\",\"LoadState\":\"loaded\",\"ActiveState\":\"failed\","
    "\"SubState\":\"failed\",\"FragmentPath\":\"/etc/systemd/system/sol.service\","
    "\"DropInPaths\":[\"/run/systemd/system/sol.service.d/zzz-agavectl-stop.conf\"],"
    "\"InvocationID\":\"5f0c8c1dd1c24b9da7e0a3fbbd3f6d71\",\"NeedDaemonReload\":true,"
    "\"TriggeredBy\":[\"sol.timer\"],\"UpheldBy\":[],\"BindsTo\":[\"srv-solana.mount\"],"
    "\"PartOf\":[\"docker.service\"],\"Requires\":[\"system.slice\",\"sysinit.target\"],"
    "\"LoadError\":[\"\",\"\"],\"Job\":[1204,\"/org/freedesktop/systemd1/job/1204\"]}";
static const char service_text[] =
    "{\"Type\":\"simple\",\"Restart\":\"always\",\"RemainAfterExit\":false,"
    "\"KillMode\":\"control-group\",\"KillSignal\":15,\"SendSIGKILL\":true,"
    "\"TimeoutStopUSec\":18446744073709551615,\"ControlGroup\":\"/system.slice/sol.service\","
    "\"MainPID\":0,\"ControlPID\":0,\"NRestarts\":2,\"Result\":\"signal\","
    "\"ExecMainStartTimestamp\":1795445465000000,\"ExecMainCode\":2,\"ExecMainStatus\":9,"
    "\"ExecStart\":[[\"/opt/agave-validator\",[\"/opt/agave-validator\",\"--ledger\",\"/l\"],"
    "false,0,0,0,0,0,0,0]],"
    "\"ExecStop\":[[\"/opt/agave-validator\",[\"/opt/agave-validator\",\"exit\",\"-f\"],"
    "false,0,0,0,0,0,0,0]]}";

static struct err *parse(const char *unit, const char *service, struct systemd_unit *ret)
{
    AUTO(json_freep) struct json *u = NULL;
    AUTO(json_freep) struct json *s = NULL;

    assert_ok(json_parse(unit, strlen(unit), &u));
    assert_ok(json_parse(service, strlen(service), &s));
    return systemd_unit_parse(u, s, ret);
}

static void what_it_says(void **state)
{
    AUTO(systemd_unit_clear) struct systemd_unit s = {0};

    assert_ok(parse(unit_text, service_text, &s));
    assert_string_equal(s.id, "sol.service");
    assert_string_equal(s.restart, "always");
    assert_string_equal(s.cgroup, "/system.slice/sol.service");
    assert_string_equal(s.program, "/opt/agave-validator");
    assert_string_equal(s.invocation, "5f0c8c1dd1c24b9da7e0a3fbbd3f6d71");
    assert_true(s.need_reload && s.send_sigkill && s.stops_by_exit && !s.remain);
    assert_true(s.stop_us == UINT64_MAX && s.restarts == 2 && s.job == 1204);
    assert_int_equal(s.triggers.n, 1);
    assert_int_equal(s.upholders.n, 0);
    assert_int_equal(s.bound.n, 1); /* a mount is storage, a slice is everybody's */
    assert_string_equal(s.bound.items[0], "PartOf=docker.service");
    assert_string_equal(s.stops.items[0], "/opt/agave-validator exit -f");
    AUTO(freep) char *end = systemd_unit_end(&s);
    assert_string_equal(end, "signal KILL");
    assert_true(systemd_unit_is_down(&s));
}

static void what_is_missing(void **state)
{
    AUTO(systemd_unit_clear) struct systemd_unit s = {0};

    assert_ok(
        parse("{\"Id\":\"x.timer\",\"LoadState\":\"loaded\",\"ActiveState\":\"active\","
              "\"SubState\":\"waiting\",\"InvocationID\":\"00000000000000000000000000000000\"}",
              "{}", &s));
    assert_string_equal(s.invocation, "");
    assert_string_equal(s.restart, "");
    assert_true(!systemd_unit_is_down(&s) && !s.stops_by_exit);
}

static void nonsense(void **state)
{
    static const struct {
        const char *unit, *service, *want;
    } cases[] = {
        {"{}", "{}", "what state"},
        {"[]", "{}", "expected an object"},
        {"{\"Id\":1}", "{}", "Id"},
        {unit_text, "{\"KillSignal\":\"TERM\"}", "KillSignal"},
        {unit_text, "{\"ExecStart\":[[1]]}", "ExecStart"},
        {unit_text, "{\"ExecStop\":{}}", "ExecStop"},
        {unit_text, "{\"ExecStop\":[[\"/x\",[7]]]}", "ExecStop"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct systemd_unit s = {0};

        assert_err(parse(cases[i].unit, cases[i].service, &s), ERR_REMOTE, cases[i].want);
        assert_null(s.id);
    }
}

static void how_it_ended(void **state)
{
    static const struct {
        const char *result;
        uint64_t code, status;
        const char *want;
    } cases[] = {
        {"success", 1, 0, "status 0"},    {"exit-code", 1, 203, "status 203"},
        {"signal", 2, 15, "signal TERM"}, {"core-dump", 3, 6, "signal ABRT"},
        {"timeout", 2, 9, "timeout"},     {"success", 0, 0, "success"},
        {"oom-kill", 2, 9, "oom-kill"},   {"signal", 2, 4000, "signal ?"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char result[32];
        struct systemd_unit s = {
            .result = result, .main_code = cases[i].code, .main_status = cases[i].status};

        snprintf(result, sizeof(result), "%s", cases[i].result);
        AUTO(freep) char *end = systemd_unit_end(&s);
        assert_string_equal(end, cases[i].want);
    }
}

static void what_asks_it_to_exit(void **state)
{
    static const struct {
        const char *words[8];
        bool want;
    } cases[] = {
        {{"/usr/bin/agavectl", "stop"}, true},
        {{"-/usr/bin/agavectl", "-c", "/x", "stop"}, true},
        {{"agavectl", "status"}, false},
        {{"/opt/agave-validator", "--ledger", "/l", "exit", "--force"}, true},
        {{"/opt/agave-validator", "--ledger", "/l", "exit"}, false}, /* it may wait for hours */
        {{"/opt/agave-validator", "exit", "-f", "--no-wait-for-exit"}, false},
        {{"/bin/kill", "-TERM", "$MAINPID"}, false},
        {{NULL}, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(strlist_clear) struct strlist words = {0};

        for (size_t k = 0; cases[i].words[k]; k++)
            strlist_add(&words, cases[i].words[k]);
        assert_int_equal(is_admin_exit(&words), cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_says),
        cmocka_unit_test(what_is_missing),
        cmocka_unit_test(nonsense),
        cmocka_unit_test(how_it_ended),
        cmocka_unit_test(what_asks_it_to_exit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
