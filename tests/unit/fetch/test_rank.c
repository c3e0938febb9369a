/* Minutes to the tip, in cases that can be worked out by hand. */
#include "fetch/rank.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "offers.h"

static const struct rank_rates rates = {
    .unpack_b_s = 1000, .replay_slots_s = 5, .cluster_slots_s = 2.5};

static void near(double got, double want)
{
    if (fabs(got - want) > 0.01)
        fail_msg("%f is not %f", got, want);
}

static void a_full_archive_ages_from_its_first_byte_on(void **state)
{
    /* 1,000 s of transfer are 2,500 slots, 100 s of unpacking another 250 */
    const struct rank_way w = {.full_b = 100000, .unpack_b = 100000, .rate_b_s = 100, .slot = 900};
    const struct rank_time t = rank_time(&w, 1000, &rates);

    near(t.transfer_s, 1000);
    near(t.unpack_s, 100);
    assert_int_equal(t.age_end, 2600);
    assert_int_equal(t.gap, 2850);
    near(t.replay_s, 2850 / 2.5);
    near(t.minutes, (1000 + 100 + 1140) / 60.0);
    assert_false(t.superseded);
}

static void an_incremental_is_looked_for_again(void **state)
{
    struct rank_way w = {.full_b = 100000,
                         .incr_b = 1000,
                         .unpack_b = 101000,
                         .rate_b_s = 100,
                         .slot = 900,
                         .incremental = true};
    struct rank_time t = rank_time(&w, 1000, &rates);

    assert_int_equal(t.age_end, 125); /* it ages for 10 s, not for 1,010 */
    assert_false(t.superseded);
    w.next_full = 3501; /* 2,500 slots from now there is no other full one yet */
    t = rank_time(&w, 1000, &rates);
    assert_false(t.superseded);
    assert_int_equal(t.age_end, 125);
    w.next_full = 3500;
    t = rank_time(&w, 1000, &rates);
    assert_true(t.superseded);
    assert_int_equal(t.age_end, 100 + 2525);
    w.full_b = 0; /* it is here */
    t = rank_time(&w, 1000, &rates);
    assert_false(t.superseded);
    near(t.transfer_s, 10);
    near(t.unpack_s, 101);
}

static void never(void **state)
{
    struct rank_rates slow = rates;
    struct rank_way w = {.full_b = 1000, .unpack_b = 1000, .rate_b_s = 100, .slot = 900};

    slow.replay_slots_s = 2.5;
    assert_true(rank_time(&w, 1000, &slow).minutes < 0);
    assert_true(rank_time(&w, 1000, &slow).replay_s < 0);
    assert_int_equal(rank_time(&w, 1000, &slow).gap, 127);
    w.rate_b_s = 0;
    assert_true(rank_time(&w, 1000, &rates).minutes < 0);
    w.rate_b_s = NAN;
    assert_true(rank_time(&w, 1000, &rates).minutes < 0);
    /* what no clock holds */
    w = (struct rank_way){.full_b = UINT64_MAX, .rate_b_s = 1e-9, .slot = 1};
    assert_true(rank_time(&w, UINT64_MAX / 2, &rates).minutes > 0);
    /* ahead of the tip is not behind it */
    w = (struct rank_way){.full_b = 0, .rate_b_s = 1, .slot = 2000};
    assert_int_equal(rank_time(&w, 1000, &rates).gap, 0);
}

static void sooner_is_better(void **state)
{
    const struct rank_time a = {.minutes = 10, .gap = 500}, b = {.minutes = 11, .gap = 1};
    const struct rank_time never_far = {.minutes = -1, .gap = 500},
                           never_near = {.minutes = -1, .gap = 400};

    assert_true(rank_compare(&a, 9, &b, 1) < 0);
    assert_true(rank_compare(&b, 1, &a, 9) > 0);
    assert_true(rank_compare(&a, 1, &a, 9) < 0);
    assert_int_equal(rank_compare(&a, 1, &a, 1), 0);
    assert_true(rank_compare(&b, 1, &never_near, 0) < 0);
    assert_true(rank_compare(&never_near, 9, &never_far, 1) < 0);
}

/* The reason for all of it: 100 GiB at 115 MiB/s arrive 2,200 slots later. */
static void a_local_full_beats_a_newer_one_from_far(void **state)
{
    const struct rank_rates r = {RANK_UNPACK_B_S, RANK_REPLAY_SLOTS_S, RANK_CLUSTER_SLOTS_S};
    const double rate = 115.0 * 1048576;
    const uint64_t full_b = (uint64_t)100 << 30, incr_b = (uint64_t)2 << 30;
    const struct rank_way local = {.incr_b = incr_b,
                                   .unpack_b = full_b + incr_b,
                                   .rate_b_s = rate,
                                   .slot = 999900,
                                   .incremental = true};
    const struct rank_way fresh = {
        .full_b = full_b, .unpack_b = full_b, .rate_b_s = rate, .slot = 999990};
    const struct rank_time a = rank_time(&local, 1000000, &r), b = rank_time(&fresh, 1000000, &r);

    assert_true(rank_compare(&a, incr_b, &b, full_b) < 0);
    near(a.minutes, 5.124); /* 17.8 s, 116.1 s, and 434 slots at 2.5 more than the cluster */
    assert_true(b.minutes > 30 && b.age_end > 2200);
}

static void the_interval_is_seen(void **state)
{
    AUTO(offers_clear) struct fetch_found f = {0};

    assert_int_equal(rank_full_interval(&f), RANK_FULL_INTERVAL);
    for (int i = 0; i < 2; i++) {
        offers_add(&f, &(struct offer_spec){"http://145.40.1.1:1", .full = 100000});
        offers_add(&f, &(struct offer_spec){"http://145.40.1.1:1", .full = 125000});
        offers_add(&f, &(struct offer_spec){"http://145.40.1.1:1", .full = 200000});
        offers_add(&f, &(struct offer_spec){"http://145.40.1.1:1", .full = 200010});
    }
    offers_add(&f, &(struct offer_spec){"http://145.40.1.1:1", .full = 110000}); /* alone */
    offers_add(&f, &(struct offer_spec){"http://145.40.1.1:1"});
    assert_int_equal(rank_full_interval(&f), 25000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_archive_ages_from_its_first_byte_on),
        cmocka_unit_test(an_incremental_is_looked_for_again),
        cmocka_unit_test(never),
        cmocka_unit_test(sooner_is_better),
        cmocka_unit_test(a_local_full_beats_a_newer_one_from_far),
        cmocka_unit_test(the_interval_is_seen),
    };

    return cmocka_run_group_tests_name("fetch/rank", tests, NULL, NULL);
}
