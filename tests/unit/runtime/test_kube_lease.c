/* runtime/kube_lease: a lease is taken over only after it was seen unchanged for its duration, and
 * of two who want it one gets it. */
#include "runtime/kube_lease.h"

#include "fake_steps.h"
#include "runtime/kube_change.h"

#define LEASES "/apis/coordination.k8s.io/v1/namespaces/ns/leases"
#define L      LEASES "/l"
#define BY     "?fieldManager=agavectl"
#define LEASE(version, holder, seconds, transitions)                                               \
    "{\"kind\":\"Lease\",\"metadata\":{\"name\":\"l\",\"namespace\":\"ns\",\"uid\":\"u\","         \
    "\"resourceVersion\":\"" version "\"},\"spec\":{\"holderIdentity\":\"" holder                  \
    "\",\"leaseDurationSeconds\":" seconds ",\"leaseTransitions\":" transitions                    \
    ",\"renewTime\":\"2020-01-01T00:00:00.000000Z\"}}"
#define CONFLICT "{\"kind\":\"Status\",\"code\":409,\"message\":\"modified\"}"
#define S        1000000000ULL

static const struct kube_lease_want want = {
    .name_space = "ns", .name = "l", .holder = "me", .duration_s = 15};

struct taken {
    struct kube_lease_seen seen;
    struct kube_lease lease;
    bool ours;
    uint32_t wait_ms;
};

static void taken_clear(struct taken *t)
{
    kube_lease_seen_clear(&t->seen);
    kube_lease_clear(&t->lease);
}

static struct err *take(struct taken *t)
{
    return kube_lease_take(&ctx, &kube, &want, &t->seen, &t->lease, &t->ours, &t->wait_ms);
}

static void a_new_lease_is_made(void **state)
{
    const struct step script[] = {
        {"GET " L, NULL, 404, "{}"},
        {"POST " LEASES BY,
         "\"spec\":{\"holderIdentity\":\"me\",\"leaseDurationSeconds\":15,\"leaseTransitions\":0,"
         "\"renewTime\":\"2026-09-21T14:13:20.000000Z\",\"acquireTime\":\"2026-09-21T14:13:20."
         "000000Z\"}}",
         201, LEASE("1", "me", "15", "0")},
        {NULL},
    };
    AUTO(taken_clear) struct taken t = {0};

    play(script);
    assert_ok(take(&t));
    assert_played();
    assert_true(t.ours);
    assert_string_equal(t.lease.holder, "me");
    assert_true(t.lease.ours_until_ns == now_ns + 15 * S);
}

static void what_the_holder_s_clock_says_does_not_matter(void **state)
{
    const struct step held[] = {{"GET " L, NULL, 200, LEASE("5", "other", "10", "3")}, {NULL}};
    const struct step renewed[] = {{"GET " L, NULL, 200, LEASE("6", "other", "10", "3")}, {NULL}};
    const struct step over[] = {
        {"GET " L, NULL, 200, LEASE("6", "other", "10", "3")},
        {"PUT " L BY,
         "\"resourceVersion\":\"6\"},\"spec\":{\"holderIdentity\":\"me\","
         "\"leaseDurationSeconds\":15,\"leaseTransitions\":4,",
         200, LEASE("7", "me", "15", "4")},
        {NULL},
    };
    AUTO(taken_clear) struct taken t = {0};

    play(held); /* renewed six years ago, it says */
    assert_ok(take(&t));
    assert_true(!t.ours && t.wait_ms == 10000);
    assert_string_equal(t.lease.holder, "other");
    now_ns += 9 * S;
    play(held);
    assert_ok(take(&t));
    assert_true(!t.ours && t.wait_ms == 1000);
    now_ns += 2 * S;
    play(renewed); /* just in time */
    assert_ok(take(&t));
    assert_true(!t.ours && t.wait_ms == 10000);
    now_ns += 10 * S;
    play(over);
    assert_ok(take(&t));
    assert_played();
    assert_true(t.ours);
    assert_int_equal(t.lease.transitions, 4);
}

static void what_is_free_or_ours_is_taken_at_once(void **state)
{
    const struct step released[] = {
        {"GET " L, NULL, 200, LEASE("5", "", "1", "3")},
        {"PUT " L BY, "\"leaseTransitions\":4", 200, LEASE("6", "me", "15", "4")},
        {NULL},
    };
    const struct step crashed[] = {
        {"GET " L, NULL, 200, LEASE("5", "me", "15", "3")},
        {"PUT " L BY, "\"leaseTransitions\":3", 200, LEASE("6", "me", "15", "3")},
        {NULL},
    };
    AUTO(taken_clear) struct taken t = {0};

    play(released);
    assert_ok(take(&t));
    assert_true(t.ours);
    play(crashed);
    assert_ok(take(&t));
    assert_played();
    assert_true(t.ours);
}

static void of_two_one_gets_it(void **state)
{
    const struct step script[] = {
        {"GET " L, NULL, 404, "{}"},
        {"POST " LEASES BY, NULL, 409, CONFLICT},
        {"GET " L, NULL, 200, LEASE("1", "other", "10", "0")},
        {NULL},
    };
    AUTO(taken_clear) struct taken t = {0};

    play(script);
    assert_ok(take(&t));
    assert_played();
    assert_true(!t.ours && t.wait_ms == 10000);
}

static void an_answer_that_did_not_come_is_looked_for(void **state)
{
    const struct step script[] = {
        {"GET " L, NULL, 404, "{}"},
        {"POST " LEASES BY, NULL, 0, "x: reset", ERR_REMOTE},
        {"GET " L, NULL, 200, LEASE("1", "me", "15", "0")},
        {"PUT " L BY, "\"leaseTransitions\":0", 200, LEASE("2", "me", "15", "0")},
        {NULL},
    };
    AUTO(taken_clear) struct taken t = {0};

    play(script);
    assert_ok(take(&t));
    assert_played();
    assert_true(t.ours);
}

static void have(struct kube_lease *ret, const char *text)
{
    assert_ok(kube_parse_lease(text, strlen(text), ret));
    ret->ours_until_ns = now_ns + 15 * S;
}

static void a_renewal_lasts_from_when_it_was_sent(void **state)
{
    const struct step script[] = {
        {"PUT " L BY, "\"uid\":\"u\",\"resourceVersion\":\"5\"}", 0, "x: reset", ERR_REMOTE},
        {"GET " L, NULL, 200, LEASE("6", "me", "15", "3")}, /* it was done */
        {"PUT " L BY, "\"resourceVersion\":\"6\"}", 200, LEASE("7", "me", "15", "3")},
        {NULL},
    };
    AUTO(kube_lease_clear) struct kube_lease l = {0};

    have(&l, LEASE("5", "me", "15", "3"));
    play(script);
    now_ns += 5 * S;
    assert_ok(kube_lease_renew(&ctx, &kube, &l));
    assert_played();
    assert_string_equal(l.meta.resource_version, "7");
    assert_true(l.ours_until_ns == now_ns + 15 * S);
}

static void a_lease_that_is_lost_is_told(void **state)
{
    const struct step others[] = {
        {"PUT " L BY, NULL, 409, CONFLICT},
        {"GET " L, NULL, 200, LEASE("9", "other", "15", "4")},
        {NULL},
    };
    const struct step gone[] = {
        {"PUT " L BY, NULL, 404, "{}"}, {"GET " L, NULL, 404, "{}"}, {NULL}};
    AUTO(kube_lease_clear) struct kube_lease l = {0};

    have(&l, LEASE("5", "me", "15", "3"));
    play(others);
    struct err *e = kube_lease_renew(&ctx, &kube, &l);
    assert_true(kube_is_conflict(e));
    assert_err(e, ERR_REFUSED, "the lease 'l' is lost: 'other' has it now");
    assert_string_equal(l.meta.resource_version, "5");
    play(gone);
    assert_err(kube_lease_renew(&ctx, &kube, &l), ERR_REFUSED, "'nobody' has it now");
    play(others);
    assert_ok(kube_lease_release(&ctx, &kube, &l)); /* nothing is left to give back */
    assert_played();
}

static void a_server_that_is_away_does_not_lose_it(void **state)
{
    const struct step script[] = {
        {"PUT " L BY, NULL, 0, "x: refused", ERR_REMOTE},
        {"GET " L, NULL, 0, "x: refused", ERR_REMOTE},
        {"PUT " L BY, NULL, 0, "x: refused", ERR_REMOTE},
        {NULL},
    };
    AUTO(kube_lease_clear) struct kube_lease l = {0};
    uint64_t until;

    have(&l, LEASE("5", "me", "15", "3"));
    until = l.ours_until_ns;
    kube.retry_ms = 100;
    play(script);
    assert_err(kube_lease_renew(&ctx, &kube, &l), ERR_REMOTE, "refused");
    assert_true(l.ours_until_ns == until);
}

static void a_lease_is_given_back(void **state)
{
    const struct step script[] = {
        {"PUT " L BY, "\"holderIdentity\":\"\",\"leaseDurationSeconds\":1,\"leaseTransitions\":3",
         200, LEASE("6", "", "1", "3")},
        {NULL},
    };
    AUTO(kube_lease_clear) struct kube_lease l = {0};

    have(&l, LEASE("5", "me", "15", "3"));
    play(script);
    assert_ok(kube_lease_release(&ctx, &kube, &l));
    assert_played();
}

static void what_is_no_lease(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "{\"kind\":\"Lease\"}",
        "{\"kind\":\"Lease\",\"metadata\":{\"name\":\"l\"}}",
        "{\"kind\":\"Lease\",\"metadata\":{\"name\":\"l\",\"uid\":\"u\",\"resourceVersion\":\"1\"},"
        "\"spec\":{\"leaseDurationSeconds\":-1}}",
        "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"l\",\"uid\":\"u\",\"resourceVersion\":\"1\"}}",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct kube_lease l = {0};

        assert_err(kube_parse_lease(bad[i], strlen(bad[i]), &l), ERR_REMOTE, "");
        assert_null(l.meta.name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_new_lease_is_made, setup),
        cmocka_unit_test_setup(what_the_holder_s_clock_says_does_not_matter, setup),
        cmocka_unit_test_setup(what_is_free_or_ours_is_taken_at_once, setup),
        cmocka_unit_test_setup(of_two_one_gets_it, setup),
        cmocka_unit_test_setup(an_answer_that_did_not_come_is_looked_for, setup),
        cmocka_unit_test_setup(a_renewal_lasts_from_when_it_was_sent, setup),
        cmocka_unit_test_setup(a_lease_that_is_lost_is_told, setup),
        cmocka_unit_test_setup(a_server_that_is_away_does_not_lose_it, setup),
        cmocka_unit_test_setup(a_lease_is_given_back, setup),
        cmocka_unit_test_setup(what_is_no_lease, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
