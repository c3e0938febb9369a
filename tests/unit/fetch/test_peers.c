/* fetch/peers: lists of a cluster's nodes, whole and broken. */
#include "fetch/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"

#define ID_A         "4Nd1mBQtrMJVYVfKf2PJy9NZUZdTAsp7D4xWLs4gDB4T"
#define ID_B         "GupLekLKvChSdAVpYZvMdESWrG1UFBr7rgcGPq5exWnR"
#define REPLY(nodes) "{\"jsonrpc\":\"2.0\",\"result\":" nodes ",\"id\":1}"
#define BASICS(id)   "\"pubkey\":\"" id "\",\"rpc\":\"1.2.3.4:8899\""

static void count(void *arg, struct peer *p)
{
    size_t *n = arg;

    p->tag = ++*n;
}

static struct err *add(struct peers *p, const char *text, size_t *ret_found, struct peers_list *ret)
{
    size_t n = strlen(text);
    AUTO(freep) char *exact = xmemdup(text, n ? n : 1); /* a byte too far is seen */

    return peers_add(p, exact, n, 1, count, ret_found, ret);
}

/* A recorded entry of Agave 3.0.14, its members in their order. */
static void a_real_entry(void **state)
{
    static const char text[] = REPLY(
        "[{\"featureSet\":3604001754,\"gossip\":\"127.0.0.1:8001\",\"pubkey\":\"" ID_A
        "\",\"pubsub\":\"127.0.0.1:8900\",\"rpc\":\"127.0.0.1:8899\",\"serveRepair\":\"127.0.0.1:"
        "8013\",\"shredVersion\":44999,\"tpu\":null,\"tpuForwards\":null,\"tpuForwardsQuic\":null,"
        "\"tpuQuic\":null,\"tpuVote\":null,\"tvu\":null,\"version\":\"3.0.14\"}]");
    AUTO(peers_clear) struct peers p = {0};
    struct peers_list l;
    size_t found = 0;

    assert_null(add(&p, text, &found, &l));
    assert_int_equal(p.n, 1);
    assert_int_equal(found, 1);
    assert_string_equal(p.items[0].id, ID_A);
    assert_string_equal(p.items[0].rpc, "127.0.0.1:8899");
    assert_string_equal(p.items[0].version, "3.0.14");
    assert_true(p.items[0].shred_version.known && p.items[0].shred_version.v == 44999);
    assert_false(p.items[0].disputed);
    assert_true(l.shred_version.known && l.shred_version.v == 44999);
    assert_int_equal(l.n, 1);
}

static void entries(void **state)
{
    static const struct {
        const char *entry, *id, *rpc, *version; /* id NULL: it is left out */
        uint64_t shred_version;                 /* 0: unknown */
    } cases[] = {
        {"{" BASICS(ID_A) "}", ID_A, "1.2.3.4:8899", "", 0},
        {"{ \"rpc\" : null , \"pubkey\" : \"" ID_A "\" }", ID_A, "", "", 0},
        {"{\"pubkey\":\"" ID_A "\",\"rpc\":\"[2001:db8::1]:8899\"}", ID_A, "[2001:db8::1]:8899", "",
         0},
        {"{\"pubkey\":\"" ID_A "\",\"rpc\":\"[2001:db8::1]\"}", ID_A, "", "", 0},
        {"{\"pubkey\":\"" ID_A "\",\"rpc\":\"host.example:8899\"}", ID_A, "", "", 0},
        {"{\"pubkey\":\"" ID_A "\",\"rpc\":\"1.2.3.4:0\"}", ID_A, "", "", 0},
        {"{\"pubkey\":\"" ID_A "\",\"rpc\":\"1.2.3.4:65536\"}", ID_A, "", "", 0},
        {"{\"pubkey\":\"" ID_A "\",\"rpc\":\"1.2.3.4@evil:80\"}", ID_A, "", "", 0},
        {"{\"pubkey\":\"" ID_A "\",\"rpc\":\"1.2.3.4/x:80\"}", ID_A, "", "", 0},
        {"{\"pubkey\":\"" ID_A "\",\"rpc\":\":80\"}", ID_A, "", "", 0},
        {"{\"pubkey\":\"" ID_A "\",\"rpc\":\"[:80\"}", ID_A, "", "", 0},
        {"{\"pubkey\":\"" ID_A "\",\"rpc\":8899}", ID_A, "", "", 0},
        {"{\"pubkey\":\"" ID_A "\",\"rpc\":{\"rpc\":\"1.2.3.4:80\"}}", ID_A, "", "", 0},
        {"{" BASICS(ID_A) ",\"version\":\"3.0\\u0000\"}", ID_A, "1.2.3.4:8899", "", 0},
        {"{" BASICS(ID_A) ",\"version\":\"3 0\"}", ID_A, "1.2.3.4:8899", "", 0},
        {"{" BASICS(ID_A) ",\"version\":\"0123456789012345678901234567890123\"}", ID_A,
         "1.2.3.4:8899", "", 0},
        {"{" BASICS(ID_A) ",\"shredVersion\":65535}", ID_A, "1.2.3.4:8899", "", 65535},
        {"{" BASICS(ID_A) ",\"shredVersion\":65536}", ID_A, "1.2.3.4:8899", "", 0},
        {"{" BASICS(ID_A) ",\"shredVersion\":-1}", ID_A, "1.2.3.4:8899", "", 0},
        {"{" BASICS(ID_A) ",\"shredVersion\":\"7\"}", ID_A, "1.2.3.4:8899", "", 0},
        {"{" BASICS(ID_A) ",\"shredVersion\":7,\"shredVersion\":null}", ID_A, "1.2.3.4:8899", "",
         0},
        {"{" BASICS(ID_A "x") "}", NULL, NULL, NULL, 0},
        {"{" BASICS("1111") "}", NULL, NULL, NULL, 0},
        {"{\"rpc\":\"1.2.3.4:80\"}", NULL, NULL, NULL, 0},
        {"{}", NULL, NULL, NULL, 0},
        {"null", NULL, NULL, NULL, 0},
        {"[[{\"pubkey\":\"" ID_A "\"}],1.5e3,true]", NULL, NULL, NULL, 0},
        {"\"a \\\" \\\\\"", NULL, NULL, NULL, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(freep) char *text = xasprintf(REPLY("[%s]"), cases[i].entry);
        AUTO(peers_clear) struct peers p = {0};
        struct peers_list l;
        size_t found = 0;
        struct err *e = add(&p, text, &found, &l);

        if (e)
            fail_msg("%s: %s", cases[i].entry, e->text);
        assert_int_equal(p.n, cases[i].id != NULL);
        assert_int_equal(found, cases[i].rpc && *cases[i].rpc);
        if (!cases[i].id)
            continue;
        if (!str_eq(p.items[0].rpc, cases[i].rpc) || !str_eq(p.items[0].version, cases[i].version))
            fail_msg("%s: '%s', '%s'", cases[i].entry, p.items[0].rpc, p.items[0].version);
        assert_string_equal(p.items[0].id, cases[i].id);
        assert_int_equal(p.items[0].shred_version.known, cases[i].shred_version != 0);
        if (cases[i].shred_version)
            assert_int_equal(p.items[0].shred_version.v, cases[i].shred_version);
    }
}

/* Nothing of a broken one counts, however much of it can be read. */
static void what_is_no_list(void **state)
{
    static const struct {
        const char *text, *why;
        int remote;
    } cases[] = {
        {"", "", 0},
        {"<html>", "web page", 0},
        {"[]", "", 0},
        {REPLY("[{" BASICS(ID_A) "}"), "", 0},
        {REPLY("[{" BASICS(ID_A) "},{" BASICS(ID_B) "]"), "", 0},
        {REPLY("[{" BASICS(ID_A) "} {" BASICS(ID_B) "}]"), "", 0},
        {REPLY("[{" BASICS(ID_A) "}]") "x", "", 0},
        {REPLY("{\"a\":1}"), "no list of nodes", 0},
        {REPLY("null"), "no list of nodes", 0},
        {"{\"jsonrpc\":\"2.0\",\"result\":[{" BASICS(ID_A) "}],\"id\":2}", "", 0},
        {"{\"jsonrpc\":\"2.0\",\"result\":[],\"result\":[{" BASICS(ID_A) "}],\"id\":1}", "", 0},
        {"{\"jsonrpc\":\"2.0\",\"result\":[{" BASICS(ID_A) "}]}", "", 0},
        {"{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32601,\"message\":\"Method not found\"},"
         "\"id\":1}",
         "Method not found", -32601},
        {"{\"result\":[\"\\", "", 0},
        {"{\"result\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "", 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(peers_clear) struct peers p = {0};
        struct peers_list l;
        size_t found = 0;
        AUTO(err_freep) struct err *e = add(&p, cases[i].text, &found, &l);

        if (!e)
            fail_msg("%s is a list", cases[i].text);
        if (!strstr(e->text, cases[i].why))
            fail_msg("%s: %s", cases[i].text, e->text);
        assert_true(e->kind == ERR_REMOTE || e->kind == ERR_NOTFOUND);
        assert_int_equal(e->remote, cases[i].remote);
        assert_int_equal(p.n + found, 0);
    }
}

static void lists_become_one(void **state)
{
    AUTO(peers_clear) struct peers p = {0};
    struct peers_list l;
    size_t found = 0;

    assert_null(add(&p, REPLY("[{\"pubkey\":\"" ID_A "\"},{" BASICS(ID_B) "}]"), &found, &l));
    assert_int_equal(p.n, 2);
    assert_int_equal(found, 1);
    assert_false(l.shred_version.known);
    assert_null(add(&p,
                    REPLY("[{\"pubkey\":\"" ID_A "\",\"rpc\":\"1.2.3.5:80\",\"version\":\"4.0.0\","
                          "\"shredVersion\":9},{" BASICS(ID_B) ",\"shredVersion\":9}]"),
                    &found, &l));
    assert_int_equal(p.n, 2);
    assert_int_equal(found, 2); /* the first has an address now */
    assert_string_equal(p.items[0].rpc, "1.2.3.5:80");
    assert_string_equal(p.items[0].version, "4.0.0");
    assert_int_equal(p.items[0].tag, 2);
    assert_true(p.items[1].shred_version.known && l.shred_version.v == 9);
    assert_false(p.items[0].disputed || p.items[1].disputed);
    assert_null(add(&p, REPLY("[{\"pubkey\":\"" ID_A "\",\"rpc\":\"6.6.6.6:80\"}]"), &found, &l));
    assert_int_equal(p.n, 3);
    assert_int_equal(found, 3);
    assert_true(p.items[0].disputed && p.items[2].disputed && !p.items[1].disputed);
    assert_null(add(&p, REPLY("[{\"pubkey\":\"" ID_A "\",\"rpc\":\"1.2.3.4:8899\"}]"), &found, &l));
    assert_int_equal(found, 3); /* B's address: asked once */
    assert_true(p.items[1].disputed);
}

static void thousands(void **state)
{
    AUTO(strbuf_clear) struct strbuf b = {0};
    AUTO(peers_clear) struct peers p = {0};
    struct peers_list l;
    size_t found = 0;

    strbuf_puts(&b, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":[");
    for (unsigned i = 0; i < 4300; i++) {
        uint8_t key[32] = {(uint8_t)i, (uint8_t)(i >> 8), 1};
        char id[BASE58_32_MAX];

        strbuf_printf(&b, "%s{\"pubkey\":\"%s\",\"shredVersion\":%u,\"rpc\":", i ? "," : "",
                      base58_encode32(key, id), i % 3 ? 50093 : i % 60000 + 1);
        if (i % 10)
            strbuf_puts(&b, "null}");
        else
            strbuf_printf(&b, "\"10.0.%u.%u:8899\"}", i >> 8, i & 255);
    }
    strbuf_puts(&b, "]}");
    for (int i = 0; i < 2; i++) {
        assert_null(add(&p, b.data, &found, &l));
        assert_int_equal(p.n, 4300);
        assert_int_equal(found, 430);
        assert_int_equal(l.n, 4300);
        assert_int_equal(l.shred_version.v, 50093);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_real_entry),    cmocka_unit_test(entries),
        cmocka_unit_test(what_is_no_list), cmocka_unit_test(lists_become_one),
        cmocka_unit_test(thousands),
    };

    return cmocka_run_group_tests_name("fetch_peers", tests, NULL, NULL);
}
