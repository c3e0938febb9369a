/* solana/rpc: every recorded answer of a real node, and everything that is no answer. */
#include "solana/rpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/solana/fake_http.h"
#include "tests/unit/solana/recordings.h"

#define URL "http://node.test:8899"

static struct ctx ctx = {.http = &fake_http, .clock = &clock_system};

static void call_clear(struct rpc_call *c)
{
    rpc_calls_clear(c, 1);
}

/* The answer as rpc_many would leave it. */
static struct rpc_call answered(const char *method, const char *body)
{
    struct fake_row row = {URL, NULL, 200, body};
    struct rpc_call c = {.url = URL, .method = method};

    fake_use(&row, 1);
    assert_null(rpc_many(&ctx, &c, 1, 1000, NULL));
    return c;
}

static void assert_err(struct err *e, enum err_kind kind, const char *part)
{
    assert_non_null(e);
    if (e->kind != kind || !strstr(e->text, part))
        fail_msg("'%s' (%s) instead of '%s'", e->text, err_kind_name(e->kind), part);
    err_free(e);
}

/* ---- recordings ----------------------------------------------------------------------------- */

static void check_recorded(const char *method, const struct json *params, struct rpc_call *c)
{
    char key[BASE58_32_MAX];
    struct rpc_snapshots snapshots;
    struct rpc_health health;
    uint64_t slot;

    if (str_eq(method, "getHealth")) {
        assert_null(rpc_take_health(c, &health));
        assert_int_equal(health.state, RPC_HEALTH_OK);
    } else if (str_eq(method, "getIdentity")) {
        assert_null(rpc_as_key(json_get(c->result, "identity"), key));
        assert_in_range(strlen(key), 32, 44);
    } else if (str_eq(method, "getGenesisHash")) {
        assert_null(rpc_as_key(c->result, key));
        assert_in_range(strlen(key), 32, 44);
    } else if (str_eq(method, "getHighestSnapshotSlot")) {
        assert_null(rpc_take_snapshots(c, &snapshots));
        assert_true(snapshots.full >= 100);
    } else if (str_eq(method, "getSlot") && json_get(json_at(params, 0), "minContextSlot")) {
        assert_err(rpc_take_slot(c, &slot), ERR_REMOTE, "error -32016: Minimum context slot");
    } else { /* getSlot, getBlockHeight: a number */
        assert_null(rpc_take_slot(c, &slot));
        assert_true(slot > 100 && slot < 2000);
    }
}

static void recorded_answers(void **state)
{
    static const char *const methods[] = {"getHealth",      "getIdentity",
                                          "getGenesisHash", "getHighestSnapshotSlot",
                                          "getSlot",        "getBlockHeight"};

    for (size_t node = 0; node < ARRAY_LEN(recorded_nodes); node++) {
        AUTO(json_freep) struct json *all = recording(recorded_nodes[node], "json_rpc");
        size_t n_checked = 0;

        for (size_t i = 0; i < json_len(all); i++) {
            const struct json *entry = json_at(all, i), *request = json_get(entry, "request");
            AUTO(freep) char *body = NULL;
            const char *method = NULL;

            if (!request)
                continue;
            assert_null(json_as_str(json_get(request, "method"), &method));
            body = json_text(json_get(entry, "response"), false);
            for (size_t m = 0; m < ARRAY_LEN(methods); m++)
                if (str_eq(method, methods[m])) {
                    AUTO(call_clear) struct rpc_call c = answered(method, body);

                    check_recorded(method, json_get(request, "params"), &c);
                    n_checked++;
                }
        }
        assert_int_equal(n_checked, 11);
    }
}

static void recorded_errors(void **state)
{
    AUTO(json_freep) struct json *all = recording("voter", "json_rpc");
    size_t n_raw = 0;

    for (size_t i = 0; i < json_len(all); i++) {
        const struct json *entry = json_at(all, i);
        const char *raw = NULL, *response = NULL;
        uint64_t slot;

        if (!json_get(entry, "raw_request"))
            continue;
        assert_null(json_as_str(json_get(entry, "raw_request"), &raw));
        assert_null(json_as_str(json_get(entry, "response"), &response));
        AUTO(call_clear) struct rpc_call c = answered("getSlot", response);
        struct err *e = rpc_take_slot(&c, &slot);

        n_raw++;
        if (raw[0] == '[' && raw[1] == '{')
            assert_err(e, ERR_REMOTE, "no object");
        else if (str_eq(raw, "[]"))
            assert_err(e, ERR_REMOTE, "an empty answer");
        else if (strstr(raw, "\"x\""))
            assert_err(e, ERR_REMOTE, "id of the reply: expected a number");
        else
            assert_err(e, ERR_REMOTE, "error -32700: Parse error");
    }
    assert_int_equal(n_raw, 5);
}

/* ---- what is no answer ----------------------------------------------------------------------- */

static void nonsense_is_an_error(void **state)
{
    static const struct {
        const char *body, *part;
    } bad[] = {
        {"", "an empty answer"},
        {" \r\n", "an empty answer"},
        {"<html><body>502 Bad Gateway</body></html>", "a web page instead of JSON-RPC"},
        {"\n <!DOCTYPE html>", "a web page"},
        {"ok", "not JSON"},
        {"{\"jsonrpc\":\"2.0\",\"result\":5,\"id\":1}x", "not JSON"},
        {"[]", "no object"},
        {"7", "no object"},
        {"null", "no object"},
        {"{}", "id of the reply"},
        {"{\"result\":5}", "id of the reply"},
        {"{\"result\":5,\"id\":null}", "id of the reply"},
        {"{\"result\":5,\"id\":2}", "the id 2 instead of 1"},
        {"{\"result\":5,\"id\":\"1\"}", "id of the reply"},
        {"{\"result\":5,\"id\":-1}", "id of the reply"},
        {"{\"id\":1}", "neither result nor error"},
        {"{\"id\":1,\"error\":\"no\"}", "the error is no object"},
        {"{\"id\":1,\"error\":{}}", "code of the error"},
        {"{\"id\":1,\"error\":{\"code\":-32000}}", "message of the error"},
        {"{\"id\":1,\"error\":{\"code\":99999999999,\"message\":\"x\"}}", "none of JSON-RPC"},
        {"{\"id\":1,\"error\":{\"code\":\"-32000\",\"message\":\"x\"}}", "code of the error"},
        {"{\"id\":1,\"result\":null}", "expected a number"},
        {"{\"id\":1,\"result\":\"5\"}", "expected a number"},
        {"{\"id\":1,\"result\":5.5}", "expected a number"},
        {"{\"id\":1,\"result\":-5}", "expected a number"},
        {"{\"id\":1,\"result\":true}", "expected a number"},
        {"{\"id\":1,\"result\":[5]}", "expected a number"},
        {"{\"id\":1,\"result\":18446744073709551615}", "not a plausible slot"},
        {"{\"id\":1,\"result\":18446744073709551616}", "more than 64 bits"},
        {"{\"id\":1,\"result\":1099511627777}", "1099511627777 is not a plausible slot"},
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(call_clear) struct rpc_call c = answered("getSlot", bad[i].body);
        uint64_t slot = 7;
        struct err *e = rpc_take_slot(&c, &slot);

        assert_non_null(e);
        assert_non_null(strstr(e->text, "getSlot at '" URL "'"));
        assert_err(e, ERR_REMOTE, bad[i].part);
        assert_int_equal(slot, 7);
    }
    AUTO(call_clear)
    struct rpc_call c = answered("getSlot", "{\"id\":1,\"result\":1099511627776}");
    uint64_t slot = 0;

    assert_null(rpc_take_slot(&c, &slot));
    assert_true(slot == RPC_SLOT_MAX);
}

/* One question whose answer would be a number. */
static struct err *ask_number(struct ctx *c, const char *url, const char *method, uint64_t *ret)
{
    AUTO(call_clear) struct rpc_call call = {.url = url, .method = method};

    TRY(rpc_many(c, &call, 1, 1000, NULL));
    return rpc_take_slot(&call, ret);
}

static void failures_of_the_transport(void **state)
{
    static const struct fake_row rows[] = {
        {URL, "getSlot", 500, "{\"jsonrpc\":\"2.0\",\"result\":5,\"id\":1}"},
        {URL, "getHealth", 0, "not done within 1 s", ERR_TIMEOUT},
        {URL, "getIdentity", 0, "the answer is larger than 1048576 bytes", ERR_REMOTE},
    };
    uint64_t slot = 0;
    struct err *e;

    fake_use(rows, ARRAY_LEN(rows));
    e = ask_number(&ctx, URL, "getSlot", &slot);
    assert_int_equal(e->remote, 500);
    assert_err(e, ERR_REMOTE, "getSlot at '" URL "': HTTP status 500");
    assert_err(ask_number(&ctx, URL, "getHealth", &slot), ERR_TIMEOUT,
               "getHealth at '" URL "': not done within 1 s");
    assert_err(ask_number(&ctx, URL, "getIdentity", &slot), ERR_REMOTE, "larger than");
    assert_err(ask_number(&ctx, "http://127.0.0.1:1", "getSlot", &slot), ERR_REMOTE,
               "getSlot at 'http://127.0.0.1:1': connection refused");
}

static void methods_that_a_node_does_not_have(void **state)
{
    AUTO(call_clear)
    struct rpc_call c =
        answered("getRecentPerformanceSamples", "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32601,"
                                                "\"message\":\"Method not found\"},\"id\":$ID}");
    uint64_t slot;
    struct err *e = rpc_take_slot(&c, &slot);

    assert_int_equal(e->remote, RPC_NO_METHOD);
    assert_err(e, ERR_NOTFOUND, "Method not found");
    AUTO(call_clear)
    struct rpc_call none = answered(
        "getHighestSnapshotSlot",
        "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32008,\"message\":\"No snapshot\"},\"id\":1}");
    struct rpc_snapshots snapshots;

    assert_err(rpc_take_snapshots(&none, &snapshots), ERR_NOTFOUND, "No snapshot");
}

static void health(void **state)
{
    static const struct {
        const char *body;
        enum rpc_health_state state;
        uint64_t behind;
    } good[] = {
        {"{\"id\":1,\"result\":\"ok\"}", RPC_HEALTH_OK, 0},
        {"{\"id\":1,\"error\":{\"code\":-32005,\"message\":\"Node is behind by 42 slots\","
         "\"data\":{\"numSlotsBehind\":42}}}",
         RPC_HEALTH_BEHIND, 42},
        {"{\"id\":1,\"error\":{\"code\":-32005,\"message\":\"Node is unhealthy\","
         "\"data\":{\"numSlotsBehind\":null}}}",
         RPC_HEALTH_UNHEALTHY, 0},
        {"{\"id\":1,\"error\":{\"code\":-32005,\"message\":\"Node is unhealthy\"}}",
         RPC_HEALTH_UNHEALTHY, 0},
    };
    static const char *const bad[] = {
        "{\"id\":1,\"result\":\"behind\"}",
        "{\"id\":1,\"result\":null}",
        "{\"id\":1,\"result\":1}",
        ("{\"id\":1,\"error\":{\"code\":-32005,\"message\":\"x\",\"data\":{\"numSlotsBehind\":"
         "18446744073709551615}}}"),
        "{\"id\":1,\"error\":{\"code\":-32000,\"message\":\"x\"}}",
    };
    struct rpc_health h;

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        AUTO(call_clear) struct rpc_call c = answered("getHealth", good[i].body);

        assert_null(rpc_take_health(&c, &h));
        assert_int_equal(h.state, good[i].state);
        assert_int_equal(h.behind, good[i].behind);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(call_clear) struct rpc_call c = answered("getHealth", bad[i]);

        assert_err(rpc_take_health(&c, &h), ERR_REMOTE, "getHealth at");
    }
    AUTO(call_clear)
    struct rpc_call c = answered("getHealth", "{\"id\":1,\"result\":\"\\u001b[2J\"}");
    assert_err(rpc_take_health(&c, &h), ERR_REMOTE, "expected 'ok', got '?[2J'");
}

static void members_are_checked(void **state)
{
    static const struct {
        const char *result, *part;
    } bad[] = {
        {"{\"full\":null,\"incremental\":5}", "full: expected a number"},
        {"{\"full\":500,\"incremental\":500}", "not after the full"},
        {"{\"full\":18446744073709551615}", "not a plausible"},
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(freep) char *body = xasprintf("{\"id\":1,\"result\":%s}", bad[i].result);
        AUTO(call_clear) struct rpc_call c = answered("getHighestSnapshotSlot", body);
        struct rpc_snapshots snapshots;

        assert_err(rpc_take_snapshots(&c, &snapshots), ERR_REMOTE, bad[i].part);
    }
}

static void keys_are_checked(void **state)
{
    static const char *const bad[] = {"\"0OIl\"", "\"abc\"", "\"\"", "5", "null"};
    char key[BASE58_32_MAX];

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(json_freep) struct json *j = NULL;

        assert_null(json_parse(bad[i], strlen(bad[i]), &j));
        assert_err(rpc_as_key(j, key), ERR_REMOTE, "expected");
    }
}

/* ---- many ------------------------------------------------------------------------------------ */

static void many_at_once(void **state)
{
    static const struct fake_row rows[] = {
        {"http://a", "getSlot", 200, "{\"jsonrpc\":\"2.0\",\"result\":10,\"id\":$ID}"},
        {"http://b", "getSlot", 200, "{\"jsonrpc\":\"2.0\",\"result\":20,\"id\":$ID}"},
        {"http://c", NULL, 200, "{\"jsonrpc\":\"2.0\",\"result\":30,\"id\":1}"}, /* wrong id */
    };
    struct rpc_call calls[] = {
        {.url = "http://a", .method = "getSlot"},
        {.url = "http://b", .method = "getSlot", .params = rpc_commitment_params(RPC_CONFIRMED)},
        {.url = "http://c", .method = "getSlot"},
        {.url = "http://d", .method = "getSlot"},
    };
    uint64_t slot = 0;

    fake_use(rows, ARRAY_LEN(rows));
    assert_null(rpc_many(&ctx, calls, ARRAY_LEN(calls), 500, NULL));
    assert_int_equal(fake_batches, 1);
    assert_int_equal(fake_asked, 4);
    assert_null(rpc_take_slot(&calls[0], &slot));
    assert_int_equal(slot, 10);
    assert_null(rpc_take_slot(&calls[1], &slot));
    assert_int_equal(slot, 20);
    assert_err(rpc_take_slot(&calls[2], &slot), ERR_REMOTE, "the id 1 instead of 3");
    assert_err(rpc_take_slot(&calls[3], &slot), ERR_REMOTE, "connection refused");
    rpc_calls_clear(calls, ARRAY_LEN(calls));
}

static void interrupted(void **state)
{
    static const volatile sig_atomic_t yes = 1;
    struct ctx stopped = {.http = &fake_http, .clock = &clock_system, .cancelled = &yes};
    uint64_t slot;

    assert_err(ask_number(&stopped, URL, "getSlot", &slot), ERR_CANCELLED, "");
}

/* ---- output ---------------------------------------------------------------------------------- */

static void urls_without_secrets(void **state)
{
    static const struct {
        const char *url, *label;
    } urls[] = {
        {"http://127.0.0.1:8899", "http://127.0.0.1:8899"},
        {"http://127.0.0.1:8899/", "http://127.0.0.1:8899/"},
        {"https://rpc.test/?api-key=k3y", "https://rpc.test/..."},
        {"https://rpc.test?api-key=k3y", "https://rpc.test/..."},
        {"https://rpc.test/k3y/", "https://rpc.test/..."},
        {"https://user:k3y@rpc.test:1", "https://rpc.test:1"},
        {"https://user:k3y@k3y@rpc.test/", "https://rpc.test/"},
        {"rpc.test:8899", "rpc.test:8899"},
        {"", ""},
    };
    static const struct fake_row row = {"https://rpc.test/k3y", NULL, 0, "not done within 1 s",
                                        ERR_TIMEOUT};
    uint64_t slot;

    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        AUTO(freep) char *label = rpc_url_label(urls[i].url);

        assert_string_equal(label, urls[i].label);
    }
    fake_use(&row, 1);
    struct err *e = ask_number(&ctx, row.url, "getSlot", &slot);
    assert_null(strstr(e->text, "k3y"));
    assert_err(e, ERR_TIMEOUT, "getSlot at 'https://rpc.test/...': not done within 1 s");
}

static void foreign_text_has_no_control_characters(void **state)
{
    AUTO(call_clear)
    struct rpc_call c = answered("getSlot", "{\"id\":1,\"error\":{\"code\":-1,\"message\":"
                                            "\"a\\u001b[2J\\nb\\u009b\"}}");
    uint64_t slot;
    struct err *e = rpc_take_slot(&c, &slot);

    for (const char *p = e->text; *p; p++)
        assert_in_range(*p, ' ', '~');
    assert_err(e, ERR_REMOTE, "error -1: a?[2J?b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_answers),
        cmocka_unit_test(recorded_errors),
        cmocka_unit_test(nonsense_is_an_error),
        cmocka_unit_test(failures_of_the_transport),
        cmocka_unit_test(methods_that_a_node_does_not_have),
        cmocka_unit_test(health),
        cmocka_unit_test(members_are_checked),
        cmocka_unit_test(keys_are_checked),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(interrupted),
        cmocka_unit_test(urls_without_secrets),
        cmocka_unit_test(foreign_text_has_no_control_characters),
    };

    return cmocka_run_group_tests_name("rpc", tests, NULL, NULL);
}
