/* The loss models: what scattered and correlated losses leave of a validator's slots. */
#include "lab/world/loss.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define SLOTS 2000
#define SETS  2

/* Percent of slots that stay whole. */
static double whole(const struct loss *l)
{
    unsigned n = 0;

    for (uint64_t slot = 5000; slot < 5000 + SLOTS; slot++)
        n += loss_leaves_whole(l, slot, SETS);
    return 100.0 * n / SLOTS;
}

static double lost(const struct loss *l)
{
    unsigned n = 0;

    for (uint64_t slot = 5000; slot < 5000 + SLOTS; slot++)
        for (size_t set = 0; set < SETS; set++)
            for (unsigned i = 0; i < LOSS_SET_SHREDS; i++)
                n += loss_hits(l, slot, set, i);
    return 100.0 * n / (SLOTS * SETS * LOSS_SET_SHREDS);
}

static void near(double got, double want, double tolerance)
{
    if (got < want - tolerance || got > want + tolerance)
        fail_msg("%.1f, wanted %.1f", got, want);
}

static void test_nothing_lost(void **state)
{
    struct loss none = {.seed = 7}, all = {.seed = 7, .shreds = 100};

    assert_true(whole(&none) == 100 && lost(&none) == 0);
    assert_true(whole(&all) == 0 && lost(&all) == 100);
}

/* As with real 3.0.14 in a cluster of two: 35 % do nothing, 56 % stop it. */
static void test_scattered_loss_is_healed_below_a_half(void **state)
{
    struct loss l = {.seed = 7, .shreds = 35};

    near(lost(&l), 35, 1);
    assert_true(whole(&l) > 98);
    l.shreds = 56;
    near(lost(&l), 56, 1);
    assert_true(whole(&l) < 10);
}

/* The same share of lost shreds, but no code heals it. */
static void test_correlated_loss_takes_its_share(void **state)
{
    struct loss slots = {.seed = 7, .slots = 35}, sets = {.seed = 7, .sets = 35};

    near(lost(&slots), 35, 3);
    near(whole(&slots), 65, 3);
    near(lost(&sets), 35, 3);
    near(whole(&sets), 0.65 * 65, 3);
}

static void test_bursts_are_lost_together(void **state)
{
    struct loss l = {.seed = 7, .slots = 50, .burst = 4};
    unsigned changes = 0;

    near(whole(&l), 50, 6);
    for (uint64_t slot = 5000; slot < 5000 + SLOTS; slot++)
        if (slot % 4)
            changes += loss_hits(&l, slot, 0, 0) != loss_hits(&l, slot - 1, 0, 0);
    assert_int_equal(changes, 0);
}

static void test_the_seed_decides_and_the_order_does_not(void **state)
{
    struct loss a = {.seed = 1, .shreds = 50}, b = {.seed = 1, .shreds = 50}, c = a;
    unsigned same = 0, other = 0;

    c.seed = 2;
    for (unsigned i = 0; i < LOSS_SET_SHREDS; i++) {
        same += loss_hits(&a, 10, 1, i) == loss_hits(&b, 10, 1, i);
        (void)loss_hits(&b, 11, 0, i);
        other += loss_hits(&a, 10, 1, i) == loss_hits(&c, 10, 1, i);
    }
    assert_int_equal(same, LOSS_SET_SHREDS);
    assert_true(other < LOSS_SET_SHREDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_lost),
        cmocka_unit_test(test_scattered_loss_is_healed_below_a_half),
        cmocka_unit_test(test_correlated_loss_takes_its_share),
        cmocka_unit_test(test_bursts_are_lost_together),
        cmocka_unit_test(test_the_seed_decides_and_the_order_does_not),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
