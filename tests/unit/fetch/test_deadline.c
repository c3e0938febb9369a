/* fetch/deadline: when is it sure that a transfer that runs comes too late? */
#include "fetch/deadline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SECOND ((uint64_t)1000000000)
#define MB     ((uint64_t)1000000)

/* Plays up to for_s seconds of a transfer at that rate, MB/s; returns the second in which it is
 * given up, or -1. */
static int play(struct deadline *d, uint64_t *missing_b, unsigned from_s, unsigned for_s,
                unsigned rate)
{
    for (unsigned s = from_s; s < from_s + for_s; s++) {
        if (deadline_is_missed(d, d->begun_ns + s * SECOND, *missing_b, (double)(rate * MB)))
            return (int)s;
        *missing_b -= rate * MB < *missing_b ? rate * MB : *missing_b;
    }
    return -1;
}

static struct deadline begun(unsigned by_s)
{
    return (struct deadline){.by_ns = (7 + by_s) * SECOND, .begun_ns = 7 * SECOND};
}

static void too_slow_for_a_minute(void **state)
{
    struct deadline d = begun(1000);
    uint64_t missing_b = 100000 * MB; /* 100 MB/s would do */

    assert_int_equal(play(&d, &missing_b, 0, 500, 20), 90); /* half a minute, and a whole one */
    d = begun(1000);
    missing_b = 100000 * MB;
    assert_int_equal(play(&d, &missing_b, 0, 1000, 101), -1);
}

static void a_slow_moment_does_not_count(void **state)
{
    struct deadline d = begun(1000);
    uint64_t missing_b = 100000 * MB;

    assert_int_equal(play(&d, &missing_b, 0, 80, 20), -1);
    assert_int_equal(play(&d, &missing_b, 80, 20, 200), -1);
    assert_int_equal(play(&d, &missing_b, 100, 59, 20), -1);
    assert_int_equal(play(&d, &missing_b, 159, 2, 200), -1);
    assert_int_equal(play(&d, &missing_b, 161, 500, 0), 221);
}

static void nearly_done_is_done(void **state)
{
    struct deadline d = begun(100);
    uint64_t missing_b = 12000 * MB; /* 120 s at 100 MB/s */

    assert_int_equal(play(&d, &missing_b, 0, 120, 100), -1);
    assert_int_equal(missing_b, 0);
}

static void without_one(void **state)
{
    struct deadline d = {.begun_ns = 7 * SECOND};
    uint64_t missing_b = 100000 * MB;

    assert_int_equal(play(&d, &missing_b, 0, 1000, 0), -1);
    assert_true(deadline_left_s(&d, 5) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(too_slow_for_a_minute),
        cmocka_unit_test(a_slow_moment_does_not_count),
        cmocka_unit_test(nearly_done_is_done),
        cmocka_unit_test(without_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
