/* Who is used, who is not and why, which limit gives way, and what is said about it. */
#include "fetch/reasons.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "offers.h"

#define MIB 1048576.0
#define TIP 1000000

static struct reasons_limits limits(void)
{
    return (struct reasons_limits){
        .tip = {.known = true, .v = TIP},
        .max_age = 1300,
        .trust = {.min_peers = 1},
        .rates = {RANK_UNPACK_B_S, RANK_REPLAY_SLOTS_S, RANK_CLUSTER_SLOTS_S},
    };
}

static enum fetch_reason reason_of(const struct fetch_found *f, const struct reasons_limits *l,
                                   size_t i)
{
    AUTO(reasons_clear) struct reasons r = {0};

    reasons_judge(f, l, &r);
    return r.verdicts[i].reason;
}

static void every_limit_has_its_reason(void **state)
{
    AUTO(offers_clear) struct fetch_found f = {0};
    AUTO(blacklist_clear) struct blacklist black = {0};
    AUTO(strlist_clear) struct strlist versions = {0};
    struct reasons_limits l = limits();
    const struct {
        struct offer_spec s;
        enum fetch_reason want;
    } cases[] = {
        {{"http://145.1.0.1:1", .full = 999000}, FETCH_USABLE},
        {{"http://145.2.0.1:1", .reason = FETCH_NO_ANSWER}, FETCH_NO_ANSWER},
        {{"http://145.3.0.1:1"}, FETCH_NO_SNAPSHOT},
        {{"http://145.4.0.1:1", .full = 998699}, FETCH_TOO_OLD},
        {{"http://145.5.0.1:1", .full = 998700}, FETCH_USABLE},
        {{"http://145.6.0.1:1", .full = 900000, .incr = 999900}, FETCH_USABLE},
        {{"http://145.7.0.1:1", .full = TIP + 5000}, FETCH_AHEAD},
        {{"http://145.8.0.1:1", .full = 999000, .incr = TIP + 5000}, FETCH_AHEAD},
        {{"http://145.9.0.1:1", .full = 999000, .latency_ms = 101}, FETCH_TOO_FAR},
        {{"http://145.10.0.1:1", .full = 999000, .latency_ms = 100}, FETCH_USABLE},
        {{"http://145.11.0.1:1", .full = 999000, .rate_b_s = 9 * MIB}, FETCH_TOO_SLOW},
        {{"http://145.12.0.1:1", .full = 999000, .version = "3.0.1"}, FETCH_VERSION},
        {{"http://145.13.0.1:1", .full = 999000, .version = "3.0.10"}, FETCH_USABLE},
        {{"http://145.14.0.1:1", .full = 999000, .version = "2.3.4"}, FETCH_VERSION},
        {{"http://145.15.0.1:1", .full = 999000}, FETCH_BLACKLISTED},
        {{"http://u:k3y@145.15.0.1:1", .full = 999000}, FETCH_BLACKLISTED},
        {{"http://145.16.0.1:1", .full = 999000, .id = "badid"}, FETCH_BLACKLISTED},
        {{"http://145.17.0.1:1", .full = 999000, .hash = "badhash"}, FETCH_BLACKLISTED},
        {{"http://145.18.0.1:1", .full = 999000, .shred_version = 7}, FETCH_SHRED_VERSION},
        {{"http://145.19.0.1:1", .full = 999000, .shred_version = 50093}, FETCH_USABLE},
        {{"http://145.20.0.1:1", .full = 999000, .shred_version = 50093}, FETCH_USABLE},
        /* 100 GiB at 10 MiB/s are three hours */
        {{"http://145.21.0.1:1", .full = 999000, .full_b = (uint64_t)100 << 30,
          .rate_b_s = 10 * MIB},
         FETCH_TOO_LATE},
        {{"http://145.22.0.1:1", .full = 999000, .full_b = 1 << 30, .rate_b_s = 10 * MIB},
         FETCH_USABLE},
    };

    l.max_latency_us = 100000;
    l.min_rate_b_s = 10 * MIB;
    l.blacklist = &black;
    l.now_ms = 500;
    strlist_add(&versions, "3.0.1");
    strlist_add(&versions, "2.3");
    l.exclude_versions = &versions;
    blacklist_add(&black, BLACKLIST_PEER, "http://145.15.0.1:1", "lied", 1000);
    blacklist_add(&black, BLACKLIST_PEER, "http://145.1.0.1:1", "lied", 400);
    blacklist_add(&black, BLACKLIST_PEER, "badid", "lied", 0);
    blacklist_add(&black, BLACKLIST_HASH, "badhash", "corrupt", 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        offers_add(&f, &cases[i].s);
    f.without_rpc = 4;

    AUTO(reasons_clear) struct reasons r = {0};
    reasons_judge(&f, &l, &r);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (r.verdicts[i].reason != cases[i].want)
            fail_msg("%s: %s", cases[i].s.url, fetch_reason_name(r.verdicts[i].reason));
    AUTO(freep) char *text = reasons_text(&r);
    assert_true(str_starts(text, "4 no-rpc, 4 blacklisted, 2 version, 2 ahead"));
    assert_non_null(strstr(text, "1 too-late"));
    assert_int_equal(r.n_usable, 8);
}

static void too_few_witnesses(void **state)
{
    AUTO(offers_clear) struct fetch_found f = {0};
    AUTO(blacklist_clear) struct blacklist black = {0};
    struct reasons_limits l = limits();

    l.trust.min_peers = 2;
    l.blacklist = &black;
    offers_add(&f, &(struct offer_spec){"http://145.1.0.1:1", .full = 999000, .incr = 999900});
    offers_add(&f, &(struct offer_spec){"http://145.2.0.1:1", .full = 999000});
    offers_add(&f, &(struct offer_spec){"http://145.3.0.1:1", .full = 999500});
    offers_add(&f, &(struct offer_spec){"http://145.4.0.1:1", .full = 900000, .incr = 999800});
    offers_add(&f, &(struct offer_spec){"http://145.5.0.1:1", .full = 900000});

    AUTO(reasons_clear) struct reasons r = {0};
    reasons_judge(&f, &l, &r);
    assert_int_equal(r.verdicts[0].reason, FETCH_USABLE);
    assert_false(r.verdicts[0].with_incr); /* nobody else vouches for its incremental */
    assert_int_equal(r.verdicts[1].reason, FETCH_USABLE);
    assert_int_equal(r.verdicts[2].reason, FETCH_UNTRUSTED);
    assert_int_equal(r.verdicts[3].reason, FETCH_UNTRUSTED); /* the full one alone is too old */
    /* one that is set aside is no witness */
    blacklist_add(&black, BLACKLIST_PEER, "http://145.2.0.1:1", "lied", 0);
    assert_int_equal(reason_of(&f, &l, 0), FETCH_UNTRUSTED);
    l.trust_any = true;
    assert_int_equal(reason_of(&f, &l, 0), FETCH_USABLE);
    assert_int_equal(reason_of(&f, &l, 2), FETCH_USABLE);
}

static void what_is_here_is_not_fetched(void **state)
{
    AUTO(offers_clear) struct fetch_found f = {0};
    struct reasons_limits l = limits();

    offers_add(&f, &(struct offer_spec){"http://145.1.0.1:1", .full = 990000, .incr = 999900,
                                        .full_b = (uint64_t)100 << 30, .incr_b = 1 << 30});
    offers_add(&f, &(struct offer_spec){"http://145.2.0.1:1", .full = 999950,
                                        .full_b = (uint64_t)100 << 30});
    l.have_hash = "right990000";
    l.have_slot = 990000;
    l.have_b = (uint64_t)100 << 30;

    AUTO(reasons_clear) struct reasons r = {0};
    reasons_judge(&f, &l, &r);
    assert_int_equal(r.n_usable, 2);
    assert_int_equal(r.order[0], 0);
    assert_true(r.verdicts[0].have_full && r.verdicts[0].with_incr);
    assert_int_equal(r.verdicts[0].get_b, 1 << 30);
    assert_false(r.verdicts[1].have_full);

    l.incr_only = true;
    assert_int_equal(reason_of(&f, &l, 0), FETCH_USABLE);
    assert_int_equal(reason_of(&f, &l, 1), FETCH_NO_BASE);
    l.have_hash = "another"; /* the same slot of another fork */
    assert_int_equal(reason_of(&f, &l, 0), FETCH_NO_BASE);
    l.incr_only = false;
    l.full_only = true;
    assert_int_equal(reason_of(&f, &l, 0), FETCH_TOO_OLD);
}

/* Its incremental is of another full archive than its own: good for who has that one, and for
 * nobody else. */
static void an_incremental_onto_what_is_here(void **state)
{
    AUTO(offers_clear) struct fetch_found f = {0};
    struct reasons_limits l = limits();

    offers_add(&f, &(struct offer_spec){"http://145.1.0.1:1", .full = 999000, .incr = 999900,
                                        .incr_base = 990000, .full_b = (uint64_t)100 << 30,
                                        .incr_b = 1 << 30});
    {
        AUTO(reasons_clear) struct reasons r = {0};
        reasons_judge(&f, &l, &r);
        assert_int_equal(r.n_usable, 1);
        assert_false(r.verdicts[0].with_incr || r.verdicts[0].have_full);
        assert_int_equal(r.verdicts[0].slot, 999000);
    }
    l.have_hash = "right990000";
    l.have_slot = 990000;
    l.have_b = (uint64_t)100 << 30;
    l.incr_only = true;
    AUTO(reasons_clear) struct reasons r = {0};
    reasons_judge(&f, &l, &r);
    assert_int_equal(r.n_usable, 1);
    assert_true(r.verdicts[0].with_incr && r.verdicts[0].have_full);
    assert_int_equal(r.verdicts[0].slot, 999900);
    assert_int_equal(r.verdicts[0].get_b, 1 << 30);
}

static void the_soonest_is_first(void **state)
{
    AUTO(offers_clear) struct fetch_found f = {0};
    struct reasons_limits l = limits();
    const uint64_t gib = 1 << 30;

    l.max_age = 0;
    offers_add(&f, &(struct offer_spec){"http://145.1.0.1:1", .full = 999900, .full_b = 10 * gib,
                                        .rate_b_s = 10 * MIB});
    offers_add(&f, &(struct offer_spec){"http://145.2.0.1:1", .full = 999000, .full_b = 10 * gib,
                                        .rate_b_s = 100 * MIB, .latency_ms = 90});
    offers_add(&f, &(struct offer_spec){"http://145.3.0.1:1", .full = 999900, .full_b = 10 * gib});
    offers_add(&f, &(struct offer_spec){"http://145.4.0.1:1", .full = 999000, .full_b = 10 * gib,
                                        .rate_b_s = 100 * MIB, .latency_ms = 2});

    AUTO(reasons_clear) struct reasons r = {0};
    reasons_judge(&f, &l, &r);
    assert_int_equal(r.n_usable, 4);
    assert_int_equal(r.order[0], 3);
    assert_int_equal(r.order[1], 1);
    assert_int_equal(r.order[2], 0);
    assert_int_equal(r.order[3], 2); /* not measured */
    assert_false(r.verdicts[2].measured);
}

static void without_a_tip_the_highest_that_is_believed(void **state)
{
    AUTO(offers_clear) struct fetch_found f = {0};
    struct reasons_limits l = limits();

    l.tip.known = false;
    l.trust.min_peers = 2;
    offers_add(&f, &(struct offer_spec){"http://145.1.0.1:1", .full = 9000});
    offers_add(&f, &(struct offer_spec){"http://145.2.0.1:1", .full = 9000});
    offers_add(&f, &(struct offer_spec){"http://145.3.0.1:1", .full = 800000000});
    offers_add(&f, &(struct offer_spec){"http://145.4.0.1:1", .full = 7000});
    offers_add(&f, &(struct offer_spec){"http://145.5.0.1:1", .full = 7000});

    AUTO(reasons_clear) struct reasons r = {0};
    reasons_judge(&f, &l, &r);
    assert_false(r.tip_known);
    assert_int_equal(r.tip, 9000);
    assert_int_equal(r.verdicts[0].reason, FETCH_USABLE);
    assert_int_equal(r.verdicts[2].reason, FETCH_UNTRUSTED);
    assert_int_equal(r.verdicts[3].reason, FETCH_TOO_OLD);
}

static void shred_versions_are_counted_when_none_is_known(void **state)
{
    AUTO(offers_clear) struct fetch_found f = {0};
    struct reasons_limits l = limits();

    offers_add(&f, &(struct offer_spec){"http://145.1.0.1:1", .full = 999000, .shred_version = 1});
    offers_add(&f, &(struct offer_spec){"http://145.2.0.1:1", .full = 999000, .shred_version = 2});
    assert_int_equal(reason_of(&f, &l, 0), FETCH_USABLE); /* half is not most */
    assert_int_equal(reason_of(&f, &l, 1), FETCH_USABLE);
    l.shred_version = (struct known_u64){.known = true, .v = 2};
    assert_int_equal(reason_of(&f, &l, 0), FETCH_SHRED_VERSION);
    assert_int_equal(reason_of(&f, &l, 1), FETCH_USABLE);
}

static void limits_give_way_one_by_one(void **state)
{
    AUTO(offers_clear) struct fetch_found f = {0};
    AUTO(strlist_clear) struct strlist said = {0};
    AUTO(reasons_clear) struct reasons r = {0};
    struct reasons_limits l = limits();

    l.max_latency_us = 50000;
    l.min_rate_b_s = 10 * MIB;
    offers_add(&f, &(struct offer_spec){"http://145.1.0.1:1", .full = 996000, .full_b = 1 << 20,
                                        .rate_b_s = MIB, .latency_ms = 60});
    offers_add(&f, &(struct offer_spec){"http://145.2.0.1:1", .full = 900000, .full_b = 1 << 20,
                                        .rate_b_s = 99 * MIB, .latency_ms = 60});
    reasons_relax(&f, &l, 20000, &r, &said);
    assert_int_equal(r.n_usable, 1);
    assert_int_equal(r.order[0], 0);
    assert_int_equal(said.n, 4);
    assert_non_null(strstr(said.items[0], "50 ms"));
    assert_non_null(strstr(said.items[1], "10.0 MiB/s"));
    assert_non_null(strstr(said.items[2], "1300 slots of the tip: up to 2600"));
    assert_int_equal(l.max_age, 5200);
    assert_true(l.max_latency_us == 0);
}

static void trust_and_the_end_of_age_do_not_give_way(void **state)
{
    AUTO(offers_clear) struct fetch_found f = {0};
    AUTO(strlist_clear) struct strlist said = {0};
    AUTO(reasons_clear) struct reasons r = {0};
    struct reasons_limits l = limits();

    l.trust.min_peers = 2;
    offers_add(&f, &(struct offer_spec){"http://145.1.0.1:1", .full = 999900});
    offers_add(&f, &(struct offer_spec){"http://145.2.0.1:1", .full = 979900});
    offers_add(&f, &(struct offer_spec){"http://145.3.0.1:1", .full = 979900});
    reasons_relax(&f, &l, 20000, &r, &said);
    assert_int_equal(r.n_usable, 0);
    assert_int_equal(l.max_age, 20000);

    AUTO(reasons_advice_clear) struct reasons_advice a = {0};
    reasons_advise(&f, &r, &a);
    assert_int_equal(a.limit, FETCH_TOO_OLD);
    assert_int_equal(a.nodes, 2);
    assert_string_equal(
        a.text, "2 nodes are only too old: --max-age 20200 (snapshot.max_age_slots) would help");
    l.max_age = 20200;
    assert_int_equal(reason_of(&f, &l, 1), FETCH_USABLE); /* and it does help */
}

static void each_advice_helps(void **state)
{
    AUTO(strlist_clear) struct strlist versions = {0};
    AUTO(blacklist_clear) struct blacklist black = {0};
    const struct {
        struct offer_spec s;
        const char *text;
        enum fetch_reason limit;
    } cases[] = {
        {{"http://145.1.0.1:1", .full = 999900, .latency_ms = 345},
         "--max-latency 346",
         FETCH_TOO_FAR},
        {{"http://145.1.0.1:1", .full = 999900, .full_b = 1, .rate_b_s = 2.5 * MIB},
         "--min-rate 2560K",
         FETCH_TOO_SLOW},
        {{"http://145.1.0.1:1", .full = 999900, .hash = "lonely"}, "--known ID", FETCH_UNTRUSTED},
        {{"http://145.1.0.1:1", .full = 999900, .id = "badid"},
         "--forget VALUE",
         FETCH_BLACKLISTED},
        {{"http://145.1.0.1:1", .full = 999900, .version = "3.0.1"},
         "--exclude-version",
         FETCH_VERSION},
    };

    strlist_add(&versions, "3.0.1");
    blacklist_add(&black, BLACKLIST_PEER, "badid", "lied", 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(offers_clear) struct fetch_found f = {0};
        AUTO(reasons_clear) struct reasons r = {0};
        AUTO(reasons_advice_clear) struct reasons_advice a = {0};
        struct reasons_limits l = limits();

        l.max_latency_us = 100000;
        l.min_rate_b_s = 10 * MIB;
        l.blacklist = &black;
        l.exclude_versions = &versions;
        l.trust.min_peers = cases[i].limit == FETCH_UNTRUSTED ? 2 : 1;
        offers_add(&f, &cases[i].s);
        offers_add(&f, &(struct offer_spec){"http://145.2.0.1:1", .full = 999900,
                                            .reason = FETCH_NO_ANSWER});
        l.trust_any = cases[i].limit != FETCH_UNTRUSTED; /* their word does not count */
        reasons_judge(&f, &l, &r);
        reasons_advise(&f, &r, &a);
        assert_int_equal(a.limit, cases[i].limit);
        assert_int_equal(a.nodes, 1);
        if (!strstr(a.text, cases[i].text))
            fail_msg("'%s' has no '%s'", a.text, cases[i].text);
    }
}

/* Where no limit of ours is in the way, or another one than it seems, it says what to do. */
static void advice_without_a_limit(void **state)
{
    static const struct {
        enum fetch_reason reason;
        const char *words;
    } cases[] = {{FETCH_NO_ANSWER, "--proxy"},
                 {FETCH_NO_SNAPSHOT, "--source URL"},
                 {FETCH_STATUS, "is that the address of RPC nodes"},
                 {FETCH_SHRED_VERSION, "another cluster"},
                 {FETCH_FORMAT, "Agave 2.3 or older"}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(offers_clear) struct fetch_found f = {0};
        struct reasons_limits l = limits();
        AUTO(reasons_clear) struct reasons r = {0};
        AUTO(reasons_advice_clear) struct reasons_advice a = {0};

        offers_add(&f, &(struct offer_spec){"http://145.1.0.1:1", .reason = cases[i].reason});
        reasons_judge(&f, &l, &r);
        reasons_advise(&f, &r, &a);
        assert_int_equal(a.limit, FETCH_USABLE);
        assert_non_null(strstr(a.text, cases[i].words));
    }
}

static void advice_where_witnesses_are_missing(void **state)
{
    AUTO(offers_clear) struct fetch_found f = {0};
    struct reasons_limits l = limits();
    AUTO(reasons_clear) struct reasons r = {0};

    l.trust.min_peers = 3;
    offers_add(&f, &(struct offer_spec){"http://145.1.0.1:1", .full = 999990});
    reasons_judge(&f, &l, &r);
    for (int i = 0; i < 3; i++) {
        AUTO(reasons_advice_clear) struct reasons_advice a = {0};

        f.known = i > 0 ? 2 : 0;
        if (i == 2)
            strlist_add(&f.errors, "http://145.1.0.1:1: a web page");
        reasons_advise(&f, &r, &a);
        assert_int_equal(strstr(a.text, "of the 2 known validators that are named none") != NULL,
                         i == 1);
        assert_int_equal(strstr(a.text, "none of the RPC nodes lists them (http://145.1.0.1:1: a "
                                        "web page)") != NULL,
                         i == 2);
        assert_int_equal(strstr(a.text, "--trust-any") != NULL, i < 2);
    }
    strlist_clear(&f.errors);
}

static void versions_are_parts_and_not_prefixes(void **state)
{
    assert_true(reasons_version_is("3.0.1", "3.0.1"));
    assert_true(reasons_version_is("3.0.1", "3.0"));
    assert_true(reasons_version_is("3.0.1-beta", "3.0.1"));
    assert_false(reasons_version_is("3.0.10", "3.0.1"));
    assert_false(reasons_version_is("3.01", "3.0"));
    assert_false(reasons_version_is(NULL, "3.0"));
    assert_false(reasons_version_is("3.0", ""));
}

static void nothing_found_is_nothing_said(void **state)
{
    AUTO(offers_clear) struct fetch_found f = {0};
    AUTO(reasons_clear) struct reasons r = {0};
    AUTO(reasons_advice_clear) struct reasons_advice a = {0};
    AUTO(strlist_clear) struct strlist said = {0};
    struct reasons_limits l = limits();

    reasons_relax(&f, &l, 20000, &r, &said);
    AUTO(freep) char *text = reasons_text(&r);
    assert_string_equal(text, "");
    reasons_advise(&f, &r, &a);
    assert_int_equal(a.limit, FETCH_USABLE);
    assert_null(a.text);
    assert_int_equal(said.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_limit_has_its_reason),
        cmocka_unit_test(too_few_witnesses),
        cmocka_unit_test(what_is_here_is_not_fetched),
        cmocka_unit_test(an_incremental_onto_what_is_here),
        cmocka_unit_test(the_soonest_is_first),
        cmocka_unit_test(without_a_tip_the_highest_that_is_believed),
        cmocka_unit_test(shred_versions_are_counted_when_none_is_known),
        cmocka_unit_test(limits_give_way_one_by_one),
        cmocka_unit_test(trust_and_the_end_of_age_do_not_give_way),
        cmocka_unit_test(each_advice_helps),
        cmocka_unit_test(advice_without_a_limit),
        cmocka_unit_test(advice_where_witnesses_are_missing),
        cmocka_unit_test(versions_are_parts_and_not_prefixes),
        cmocka_unit_test(nothing_found_is_nothing_said),
    };

    return cmocka_run_group_tests_name("fetch/reasons", tests, NULL, NULL);
}
