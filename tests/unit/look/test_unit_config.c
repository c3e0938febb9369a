/* look/unit_config: the validator's whole command line, and what must be said before a start. */
#include "look/unit_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "config/config.h"
#include "io/clock.h"
#include "io/proc.h"

#define K1 "D4XM1GxCQrpTGip1DhiuNiicR3w13qZcuuHC9fDZGZMn"
#define K2 "3FGv2K3wqFZSRsMwt44voCvz5gBR4zm9z9NMMRzRYqkc"
#define G  "2WqXWy4QAoKSxhQYhaKZtNLybaDQyNYbDT2RsGsrKJNd"

static void assert_err(struct err *e, enum err_kind kind, const char *part)
{
    assert_non_null(e);
    if (e->kind != kind || !strstr(e->text, part))
        fail_msg("'%s' (%s) instead of '%s'", e->text, err_kind_name(e->kind), part);
    err_free(e);
}

static struct config *parsed(const char *yaml)
{
    struct config *c = NULL;
    struct err *e = config_parse(yaml, strlen(yaml), "test.yaml", &c);

    if (e)
        fail_msg("%s", e->text);
    return c;
}

static char *joined(const char *const *words)
{
    struct strbuf b = {0};

    for (size_t i = 0; words[i]; i++)
        strbuf_printf(&b, "%s%s", i ? " " : "", words[i]);
    return strbuf_take(&b);
}

static void the_whole_command_line(void **state)
{
    AUTO(config_freep)
    struct config *c = parsed("validator:\n"
                              "  bin: /bin/true\n"
                              "  uid: 1001\n"
                              "  gid: 1002\n"
                              "  identity: /etc/id.json\n"
                              "  vote_account: /etc/vote.json\n"
                              "  voting: true\n"
                              "  ledger: /v/ledger\n"
                              "  snapshots: /v/snapshots\n"
                              "  accounts: /r/accounts\n"
                              "  log: /v/log\n"
                              "  bind_address: 10.0.0.1\n"
                              "  rpc_bind_address: 0.0.0.0\n"
                              "  rpc_port: 9899\n"
                              "  gossip_port: 9001\n"
                              "  dynamic_port_range: 9002-9040\n"
                              "  entrypoints: [a.test:8001, b.test:8001]\n"
                              "  known_validators: [" K1 ", " K2 "]\n"
                              "  genesis_hash: " G "\n"
                              "  args: [--private-rpc, --limit-ledger-size, \"50000000\"]\n"
                              "  env: [RUST_LOG=solana=info]\n"
                              "cluster:\n"
                              "  references: [\"http://r1.test\", \"http://r2.test\"]\n"
                              "up: {tip_slots: 7}\n"
                              "stop: {ladder_s: 900}\n");
    struct ctx ctx = {.cfg = c, .proc = &proc_system, .clock = &clock_system};
    AUTO(unit_config_freep) struct unit_config *u = NULL;
    AUTO(freep) char *argv = NULL;
    AUTO(freep) char *env = NULL;
    struct status_params p;

    assert_null(unit_config_new(&ctx, NULL, &u));
    argv = joined(u->unit.argv);
    assert_string_equal(
        argv, "/bin/true --identity /etc/id.json --vote-account /etc/vote.json "
              "--ledger /v/ledger --snapshots /v/snapshots --accounts /r/accounts --log /v/log "
              "--bind-address 10.0.0.1 --rpc-bind-address 0.0.0.0 --rpc-port 9899 "
              "--gossip-port 9001 --dynamic-port-range 9002-9040 "
              "--entrypoint a.test:8001 --entrypoint b.test:8001 "
              "--known-validator " K1 " --known-validator " K2 " --expected-genesis-hash " G " "
              "--no-snapshot-fetch --private-rpc --limit-ledger-size 50000000");
    env = joined(u->unit.env);
    assert_string_equal(env, "RUST_LOG=solana=info PATH=/usr/local/bin:/usr/bin:/bin");
    assert_int_equal(u->unit.uid, 1001);
    assert_int_equal(u->unit.gid, 1002);
    assert_int_equal(u->unit.ladder_s, 900);
    assert_string_equal(u->unit.bin, "/bin/true");
    assert_string_equal(u->unit.ledger, "/v/ledger");
    assert_ptr_equal(u->runtime, &runtime_process);
    assert_null(unit_config_check(&ctx, u));
    p = unit_config_status(&ctx, u);
    assert_string_equal(p.rpc_url, "http://127.0.0.1:9899"); /* 0.0.0.0 is no address to ask */
    assert_int_equal(p.n_refs, 2);
    assert_string_equal(p.refs[1], "http://r2.test");
    assert_int_equal(p.tip_slots, 7);
    assert_ptr_equal(p.unit, &u->unit);
}

static void what_is_not_set_is_no_flag(void **state)
{
    AUTO(config_freep)
    struct config *c = parsed("validator:\n"
                              "  rpc_bind_address: 10.0.0.2\n"
                              "  vote_account: V\n"
                              "  args: [--no-snapshot-fetch]\n"
                              "  env: [PATH=/x]\n");
    struct ctx ctx = {.cfg = c, .proc = &proc_system, .clock = &clock_system};
    AUTO(unit_config_freep) struct unit_config *u = NULL;
    AUTO(freep) char *argv = NULL;
    AUTO(freep) char *env = NULL;
    size_t n_no_fetch = 0;

    assert_null(unit_config_new(&ctx, "/bin/false", &u));
    argv = joined(u->unit.argv);
    assert_true(str_starts(argv, "/bin/false --no-voting --ledger "));
    assert_null(strstr(argv, "--vote-account"));
    assert_null(strstr(argv, "--entrypoint"));
    assert_null(strstr(argv, "--expected-genesis-hash"));
    for (size_t i = 0; i < u->argv.n; i++)
        n_no_fetch += str_eq(u->argv.items[i], "--no-snapshot-fetch");
    assert_int_equal(n_no_fetch, 1);
    env = joined(u->unit.env);
    assert_string_equal(env, "PATH=/x");
    assert_string_equal(u->rpc_url, "http://10.0.0.2:8899");
    assert_err(unit_config_check(&ctx, u), ERR_BADINPUT, "validator.identity is not set");
}

static void a_missing_program_stops_only_a_start(void **state)
{
    AUTO(config_freep)
    struct config *c = parsed("validator: {bin: /nonexistent/agave, identity: /i}\n");
    struct ctx ctx = {.cfg = c, .proc = &proc_system, .clock = &clock_system};
    AUTO(unit_config_freep) struct unit_config *u = NULL;

    assert_null(unit_config_new(&ctx, NULL, &u));
    assert_string_equal(u->unit.bin, "/nonexistent/agave");
    assert_err(unit_config_check(&ctx, u), ERR_ABSENT, "validator.bin: ");
}

static void contradictions_are_refused(void **state)
{
    static const struct {
        const char *yaml, *part;
    } bad[] = {
        {"validator: {bin: /bin/true, identity: /i, args: [--rpc-port, \"1\"]}",
         "validator.args: '--rpc-port' belongs in validator.rpc_port"},
        {"validator: {bin: /bin/true, identity: /i, args: [--ledger=/x]}",
         "validator.args: '--ledger' belongs in validator.ledger"},
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(config_freep) struct config *c = parsed(bad[i].yaml);
        struct ctx ctx = {.cfg = c, .proc = &proc_system, .clock = &clock_system};
        AUTO(unit_config_freep) struct unit_config *u = NULL;

        assert_null(unit_config_new(&ctx, NULL, &u));
        assert_err(unit_config_check(&ctx, u), ERR_BADINPUT, bad[i].part);
    }
    AUTO(config_freep)
    struct config *c =
        parsed("validator: {bin: /bin/true, identity: /i, args: [--log-messages-bytes-limit, "
               "\"9\", --entrypoint, \"c.test:1\"]}");
    struct ctx ctx = {.cfg = c, .proc = &proc_system, .clock = &clock_system};
    AUTO(unit_config_freep) struct unit_config *u = NULL;

    assert_null(unit_config_new(&ctx, NULL, &u));
    assert_null(unit_config_check(&ctx, u));
}

static void a_runtime_without_a_driver(void **state)
{
    AUTO(config_freep) struct config *c = parsed("validator: {runtime: kubernetes, rpc_port: 9}");
    struct ctx ctx = {.cfg = c, .proc = &proc_system, .clock = &clock_system};
    AUTO(unit_config_freep) struct unit_config *u = NULL;

    assert_err(unit_config_new(&ctx, NULL, &u), ERR_ABSENT,
               "this version has no driver for runtime 'kubernetes' yet: check, status, config and "
               "prepare "
               "work");
    assert_null(u);
    assert_null(unit_config_look(&ctx, NULL, &u)); /* for status */
    assert_null(u->runtime);
    assert_string_equal(u->rpc_url, "http://127.0.0.1:9");
    assert_null(unit_config_status(&ctx, u).runtime);
}

/* Its command line is the unit file's: the config need not be enough for one. */
static void a_service_of_systemd(void **state)
{
    AUTO(config_freep)
    struct config *c = parsed("validator: {runtime: systemd, unit: sol.service, "
                              "bin: /nowhere/agave-validator}\n");
    struct ctx ctx = {.cfg = c, .proc = &proc_system, .clock = &clock_system};
    AUTO(unit_config_freep) struct unit_config *u = NULL;

    assert_null(unit_config_new(&ctx, NULL, &u));
    assert_ptr_equal(u->runtime, &runtime_systemd);
    assert_string_equal(u->unit.systemd->unit, "sol.service");
    assert_null(unit_config_check(&ctx, u));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_command_line),
        cmocka_unit_test(what_is_not_set_is_no_flag),
        cmocka_unit_test(a_missing_program_stops_only_a_start),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(a_runtime_without_a_driver),
        cmocka_unit_test(a_service_of_systemd),
    };

    return cmocka_run_group_tests_name("unit_config", tests, NULL, NULL);
}
