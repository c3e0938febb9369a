/* io/clock: deadlines and the polling loop on a clock that is a number. */
#include "io/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct {
    uint64_t ns;
    int waits;
    int cancel_at_wait; /* 0: never */
    volatile sig_atomic_t cancelled;
} fake;

static uint64_t fake_mono_ns(void)
{
    return fake.ns;
}

static void fake_wait(uint64_t wait_ns, const volatile sig_atomic_t *cancelled)
{
    fake.ns += wait_ns;
    if (++fake.waits == fake.cancel_at_wait)
        fake.cancelled = 1;
}

static const struct clock_ops clock_fake = {.mono_ns = fake_mono_ns, .wait = fake_wait};
static struct ctx ctx = {.clock = &clock_fake, .cancelled = &fake.cancelled};

static int setup(void **state)
{
    memset(&fake, 0, sizeof(fake));
    return 0;
}

struct probe {
    int asked, done_at;
    struct err *fail_with;
};

static struct err *probe(struct ctx *c, void *arg, bool *ret_done)
{
    struct probe *p = arg;

    *ret_done = ++p->asked == p->done_at;
    return TAKE(p->fail_with);
}

static void the_first_question_comes_at_once(void **state)
{
    struct probe p = {.done_at = 1};

    assert_null(wait_until(&ctx, "pod", 0, 1000, probe, &p));
    assert_int_equal(p.asked, 1);
    assert_int_equal(fake.waits, 0);
}

static void it_polls_until_done(void **state)
{
    struct probe p = {.done_at = 5};

    assert_null(wait_until(&ctx, "pod", 10000, 250, probe, &p));
    assert_int_equal(p.asked, 5);
    assert_true(fake.ns == 1000000000);
}

/* The last wait is cut, so that the last question falls on the deadline itself. */
static void it_ends_at_the_deadline(void **state)
{
    struct probe p = {0};
    AUTO(err_freep) struct err *e = wait_until(&ctx, "pod", 2500, 1000, probe, &p);

    assert_non_null(e);
    assert_int_equal(e->kind, ERR_TIMEOUT);
    assert_string_equal(e->text, "pod: not within 2.5 s");
    assert_true(fake.ns == 2500000000);
    assert_int_equal(p.asked, 4);
}

static void it_ends_when_the_operator_leaves(void **state)
{
    struct probe p = {0};

    fake.cancel_at_wait = 3;
    AUTO(err_freep) struct err *e = wait_until(&ctx, "pod", 60000, 1000, probe, &p);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_CANCELLED);
    assert_string_equal(e->text, "pod: interrupted");
    assert_int_equal(p.asked, 3);
}

static void an_error_of_the_probe_ends_it(void **state)
{
    struct err *mine = err_new(ERR_CORRUPT, "broken");
    struct probe p = {.fail_with = mine};
    AUTO(err_freep) struct err *e = wait_until(&ctx, "pod", 60000, 1000, probe, &p);

    assert_ptr_equal(e, mine);
    assert_string_equal(e->text, "broken");
}

static void a_poll_of_0_does_not_spin(void **state)
{
    struct probe p = {0};
    AUTO(err_freep) struct err *e = wait_until(&ctx, "pod", 5, 0, probe, &p);

    assert_non_null(e);
    assert_int_equal(p.asked, 6);
}

static void deadlines(void **state)
{
    uint64_t at;

    assert_false(deadline_passed(&ctx, 0));
    assert_true(deadline_left_ms(&ctx, 0) == UINT32_MAX);
    at = deadline_in_ms(&ctx, 0);
    assert_true(at != 0); /* at once, although the clock stands at 0 */
    fake.ns = 1;
    assert_true(deadline_passed(&ctx, at));

    at = deadline_in_ms(&ctx, 100);
    assert_int_equal(deadline_left_ms(&ctx, at), 100);
    fake.ns += 99000001;
    assert_int_equal(deadline_left_ms(&ctx, at), 1); /* rounded up: 0 only when passed */
    assert_false(deadline_passed(&ctx, at));
    fake.ns = at;
    assert_int_equal(deadline_left_ms(&ctx, at), 0);
    assert_true(deadline_passed(&ctx, at));

    assert_true(deadline_in_ms(&ctx, UINT64_MAX) == 0); /* never, not some time in the past */
    assert_true(deadline_left_ms(&ctx, UINT64_MAX) == UINT32_MAX - 1);
}

static void no_flag_is_no_cancellation(void **state)
{
    struct ctx none = {0};

    assert_false(ctx_cancelled(NULL));
    assert_false(ctx_cancelled(&none));
    assert_false(ctx_cancelled(&ctx));
    fake.cancelled = 1;
    assert_true(ctx_cancelled(&ctx));
}

static void the_real_clock_goes_forward(void **state)
{
    uint64_t begun = clock_system.mono_ns();

    clock_system.wait(30000000, &fake.cancelled);
    assert_true(clock_system.mono_ns() - begun >= 30000000);
    assert_true(clock_system.wall_ms() > 1600000000000);
    fake.cancelled = 1;
    begun = clock_system.mono_ns();
    clock_system.wait(60000000000, &fake.cancelled);
    assert_true(clock_system.mono_ns() - begun < 5000000000);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_question_comes_at_once),
        TEST(it_polls_until_done),
        TEST(it_ends_at_the_deadline),
        TEST(it_ends_when_the_operator_leaves),
        TEST(an_error_of_the_probe_ends_it),
        TEST(a_poll_of_0_does_not_spin),
        TEST(deadlines),
        TEST(no_flag_is_no_cancellation),
        TEST(the_real_clock_goes_forward),
    };

    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
