/* Whose word counts, and how often. */
#include "fetch/trust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "offers.h"

static void networks(void **state)
{
    static const struct {
        const char *url, *want;
    } cases[] = {
        {"http://145.40.67.83:8899", "145.40"},
        {"https://145.40.1.2/path?x=@9.9.9.9", "145.40"},
        {"http://user@145.41.1.2", "145.41"},
        {"http://127.1.0.3:8899", "127.1.0.3:8899"},
        {"http://127.0.0.1", "127.0.0.1"},
        {"http://10.0.0.1:8899", "10.0.0.1"},
        {"http://172.16.0.1:1", "172.16.0.1"},
        {"http://172.32.0.1:1", "172.32"},
        {"http://192.168.7.1:1", "192.168.7.1"},
        {"http://192.169.7.1:1", "192.169"},
        {"http://169.254.7.1:1", "169.254.7.1"},
        {"http://100.64.0.1:1", "100.64.0.1"},
        {"http://100.128.0.1:1", "100.128"},
        {"http://[2604:1380:45e1::5]:8899", "2604:1380"},
        {"http://[::ffff:145.40.67.83]:8899", "145.40"},
        {"http://[fd00::5]:8899", "fd00::5"},
        {"http://[fe80::5]:8899", "fe80::5"},
        {"http://[::1]:8899/x:1", "::1:8899"},
        {"http://[2002:9128:4353::1]:8899", "145.40"}, /* 6to4 */
        {"http://[2002:0a00:0001::1]:8899", "10.0.0.1"},
        {"http://[64:ff9b::9128:4353]:8899", "145.40"}, /* NAT64 */
        {"https://api.Mainnet-Beta.solana.com", "solana.com"},
        {"https://rpc.solana.com.", "solana.com"},
        {"http://localhost:8899", "localhost:8899"},
        {"http://", "?"},
        {"http:///x", "?"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char got[TRUST_NETWORK_MAX];

        trust_network(cases[i].url, got);
        if (strcmp(got, cases[i].want) != 0)
            fail_msg("%s: '%s', not '%s'", cases[i].url, got, cases[i].want);
    }
}

static enum trust_kind kind_of(const struct fetch_found *f, const bool *skip,
                               const struct trust_limits *l, size_t offer, bool incremental,
                               size_t *ret_networks)
{
    AUTO(trust_book_clear) struct trust_book b = {0};
    const struct fetch_offer *o = &f->offers[offer];
    const struct trust_group *g;

    trust_count(f, skip, l, &b);
    g = trust_find(&b, incremental, incremental ? &o->incr : &o->full);
    *ret_networks = g ? g->networks : 0;
    return g ? g->kind : TRUST_NONE;
}

static void three_networks_and_not_three_nodes(void **state)
{
    AUTO(offers_clear) struct fetch_found f = {0};
    const struct trust_limits l = {.min_peers = 3};
    size_t n;

    offers_add(&f, &(struct offer_spec){"http://145.40.1.1:1", .full = 100, .incr = 150});
    offers_add(&f, &(struct offer_spec){"http://145.40.9.9:1", .full = 100, .incr = 150});
    offers_add(&f, &(struct offer_spec){"http://145.41.1.1:1", .full = 100});
    assert_int_equal(kind_of(&f, NULL, &l, 0, false, &n), TRUST_NONE);
    assert_int_equal(n, 2);
    /* another hash of the same slot is no witness */
    offers_add(&f, &(struct offer_spec){"http://145.42.1.1:1", .full = 100, .hash = "other"});
    assert_int_equal(kind_of(&f, NULL, &l, 0, false, &n), TRUST_NONE);
    offers_add(&f, &(struct offer_spec){"http://145.43.1.1:1", .full = 100});
    assert_int_equal(kind_of(&f, NULL, &l, 0, false, &n), TRUST_PEERS);
    assert_int_equal(n, 3);
    assert_int_equal(kind_of(&f, NULL, &l, 3, false, &n), TRUST_NONE);
    /* the incremental is counted for itself */
    assert_int_equal(kind_of(&f, NULL, &l, 0, true, &n), TRUST_NONE);
    assert_int_equal(n, 1);
    /* whose word does not count */
    const bool skip[] = {false, false, false, false, true};
    assert_int_equal(kind_of(&f, skip, &l, 0, false, &n), TRUST_NONE);
    assert_int_equal(n, 2);
}

static void one_is_enough_when_it_is_known(void **state)
{
    AUTO(offers_clear) struct fetch_found f = {0};
    AUTO(strlist_clear) struct strlist sources = {0};
    struct trust_limits l = {.min_peers = 3, .sources = &sources};
    char text[TRUST_TEXT_MAX];
    size_t n;

    offers_add(&f, &(struct offer_spec){"http://145.40.1.1:1", .full = 100, .known = true});
    offers_add(&f, &(struct offer_spec){"http://145.40.2.1:1", .full = 200, .incr = 201});
    offers_add(&f, &(struct offer_spec){"http://145.40.2.1:2", .full = 300});
    assert_int_equal(kind_of(&f, NULL, &l, 0, false, &n), TRUST_KNOWN);
    assert_int_equal(kind_of(&f, NULL, &l, 1, false, &n), TRUST_NONE);
    strlist_add(&sources, "http://145.40.2.1:1/with/a/path");
    assert_int_equal(kind_of(&f, NULL, &l, 1, false, &n), TRUST_SOURCE);
    assert_int_equal(kind_of(&f, NULL, &l, 1, true, &n), TRUST_SOURCE);
    assert_int_equal(kind_of(&f, NULL, &l, 2, false, &n), TRUST_NONE); /* another port */

    AUTO(trust_book_clear) struct trust_book b = {0};
    trust_count(&f, NULL, &l, &b);
    assert_int_equal(b.n, 4);
    assert_string_equal(trust_text(trust_find(&b, false, &f.offers[0].full), text),
                        "known-validator");
    assert_string_equal(trust_text(trust_find(&b, false, &f.offers[1].full), text), "source");
    assert_string_equal(trust_text(trust_find(&b, false, &f.offers[2].full), text), "none");
    assert_string_equal(trust_text(NULL, text), "none");
    l.min_peers = 1;
    assert_int_equal(kind_of(&f, NULL, &l, 2, false, &n), TRUST_PEERS);
    assert_null(trust_find(&b, true, &f.offers[0].full));
    assert_null(trust_find(&b, true, &f.offers[0].incr)); /* there is none */
}

static void an_incremental_is_its_base_too(void **state)
{
    AUTO(offers_clear) struct fetch_found f = {0};
    const struct trust_limits l = {.min_peers = 2};
    size_t n;

    offers_add(&f, &(struct offer_spec){"http://145.40.1.1:1", .full = 100, .incr = 150});
    offers_add(&f, &(struct offer_spec){"http://145.41.1.1:1", .full = 120, .incr = 150});
    assert_int_equal(kind_of(&f, NULL, &l, 0, true, &n), TRUST_NONE);
    offers_add(&f, &(struct offer_spec){"http://145.42.1.1:1", .full = 100, .incr = 150});
    assert_int_equal(kind_of(&f, NULL, &l, 0, true, &n), TRUST_PEERS);
    assert_int_equal(kind_of(&f, NULL, &l, 1, true, &n), TRUST_NONE);
}

/* Offers of one full archive at these places; how many networks vouch for it. */
static size_t networks_of(const struct offer_spec *specs, size_t n)
{
    AUTO(offers_clear) struct fetch_found f = {0};
    const struct trust_limits l = {.min_peers = 3};
    size_t networks;

    for (size_t i = 0; i < n; i++) {
        struct offer_spec s = specs[i];

        s.full = 100;
        offers_add(&f, &s);
    }
    kind_of(&f, NULL, &l, 0, false, &networks);
    return networks;
}
#define NETWORKS(...)                                                                              \
    networks_of((const struct offer_spec[]){__VA_ARGS__},                                          \
                sizeof((const struct offer_spec[]){__VA_ARGS__}) / sizeof(struct offer_spec))

/* Whoever talks in gossip can name a thousand addresses of a home network. */
static void private_addresses_of_gossip_are_one(void **state)
{
    assert_int_equal(
        NETWORKS({"http://10.0.0.1:1"}, {"http://10.9.0.1:1"}, {"http://192.168.1.1:1"},
                 {"http://[fd00::1]:1"}, {"http://[fe80::1]:1"}, {"http://127.0.0.1:1"},
                 {"http://127.0.0.1:2"}, {"http://100.64.0.1:1"}, {"http://172.16.0.1:1"},
                 {"http://169.254.0.1:1"}, {"http://[2002:0a00:0002::1]:1"}),
        1);
    assert_int_equal(NETWORKS({"http://145.40.1.1:1", .rpc = true}, {"http://10.0.0.1:1"},
                              {"http://10.0.0.2:1"}),
                     2);
    /* what the operator named counts for itself alone */
    assert_int_equal(NETWORKS({"http://10.0.0.1:1", .given = true}, {"http://10.0.0.2:1"},
                              {"http://10.0.0.3:1"}),
                     2);
    assert_int_equal(NETWORKS({"http://10.0.0.1:1", .given = true},
                              {"http://10.0.0.2:1", .given = true},
                              {"http://192.168.0.3:1", .given = true}),
                     3);
    /* an RPC node at home says nothing about other homes */
    assert_int_equal(NETWORKS({"http://127.0.0.1:1", .rpc = true}, {"http://10.0.0.2:1"},
                              {"http://10.0.0.3:1"}, {"http://[fd00::1]:1"}),
                     2);
}

static void a_lab_and_a_private_cluster_have_witnesses(void **state)
{
    assert_int_equal(NETWORKS({"http://127.0.0.1:1", .rpc = true}, {"http://127.0.0.1:2"},
                              {"http://127.3.0.1:1"}),
                     3);
    assert_int_equal(
        NETWORKS({"http://localhost:1", .rpc = true}, {"http://127.0.0.1:2"}, {"http://[::1]:3"}),
        3);
    assert_int_equal(
        NETWORKS({"http://10.0.0.1:1", .rpc = true}, {"http://10.0.0.2:1"}, {"http://10.7.0.3:1"}),
        3);
    /* the one that is asked has a name */
    assert_int_equal(NETWORKS({"http://rpc.lan:1", .rpc = true, .address = "10.0.0.1:1"},
                              {"http://10.0.0.2:1"}, {"http://10.7.0.3:1"}),
                     3);
    assert_int_equal(NETWORKS({"http://[fd00::1]:1", .rpc = true}, {"http://[fd00::2]:1"},
                              {"http://[fd01::3]:1"}),
                     3);
}

/* A host name, the address behind it, and what the node says it is. */
static void one_node_counts_once(void **state)
{
    assert_int_equal(
        NETWORKS({"https://rpc.example.com", .given = true, .address = "145.40.1.1:443"},
                 {"http://145.40.1.1:8899"}),
        1);
    assert_int_equal(
        NETWORKS({"https://rpc.example.com", .given = true}, {"http://145.40.1.1:8899"}),
        2); /* behind a proxy nobody knows */
    assert_int_equal(NETWORKS({"https://rpc.example.com", .given = true, .id = "me"},
                              {"http://145.40.1.1:8899", .id = "me"}),
                     1);
    /* two hosts of one domain, and who shares a network with either */
    assert_int_equal(NETWORKS({"https://a.example.com", .given = true, .address = "145.40.1.1:443"},
                              {"https://b.example.com", .given = true, .address = "146.40.1.1:443"},
                              {"http://145.40.9.9:8899"}, {"http://146.40.9.9:8899"},
                              {"http://147.40.9.9:8899"}),
                     2);
    assert_int_equal(NETWORKS({"http://145.40.1.1:1", .id = "me"},
                              {"http://146.40.1.1:1", .id = "me"},
                              {"http://147.40.1.1:1", .id = "you"}),
                     2);
    assert_int_equal(NETWORKS({"http://localhost:1", .given = true, .address = "127.0.0.1:1"},
                              {"http://localhost:2", .given = true, .address = "127.0.0.1:2"}),
                     2); /* tunnels */
}

static void thousands_are_counted_at_once(void **state)
{
    AUTO(offers_clear) struct fetch_found f = {0};
    const struct trust_limits l = {.min_peers = 3};
    AUTO(trust_book_clear) struct trust_book b = {0};

    for (unsigned i = 0; i < 3000; i++) {
        char url[64];

        snprintf(url, sizeof(url), "http://%u.%u.0.1:8899", 20 + i / 250, i % 250);
        offers_add(&f, &(struct offer_spec){url, .full = 1000 + i % 3, .incr = 2000 + i % 100});
    }
    trust_count(&f, NULL, &l, &b);
    for (size_t i = 0, full = 0; i < b.n; i++) {
        full += b.items[i].incremental ? 0 : b.items[i].sources;
        assert_int_equal(b.items[i].networks, b.items[i].sources);
        assert_true(i + 1 < b.n || full == 3000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks),
        cmocka_unit_test(three_networks_and_not_three_nodes),
        cmocka_unit_test(one_is_enough_when_it_is_known),
        cmocka_unit_test(an_incremental_is_its_base_too),
        cmocka_unit_test(private_addresses_of_gossip_are_one),
        cmocka_unit_test(a_lab_and_a_private_cluster_have_witnesses),
        cmocka_unit_test(one_node_counts_once),
        cmocka_unit_test(thousands_are_counted_at_once),
    };

    return cmocka_run_group_tests_name("fetch/trust", tests, NULL, NULL);
}
