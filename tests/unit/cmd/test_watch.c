/* cmd/watch: what is drawn on a terminal, and how a watch goes on and ends. */
#include "cmd/watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "io/clock.h"

static volatile sig_atomic_t cancelled;
static uint64_t now_ms;

static uint64_t fake_mono_ns(void)
{
    return now_ms * 1000000;
}

static void fake_wait(uint64_t wait_ns, const volatile sig_atomic_t *flag)
{
    now_ms += wait_ns / 1000000 + 1;
}

static const struct clock_ops fake_clock = {.mono_ns = fake_mono_ns, .wait = fake_wait};
static struct ctx ctx = {.clock = &fake_clock, .cancelled = &cancelled};

static void drawn_in_place(void **state)
{
    AUTO(freep) char *plain = watch_screen("one\ntwo\n", 80, 24);
    AUTO(freep) char *wide = watch_screen("0123456789\nümlaut, long\n", 6, 24);
    AUTO(freep) char *high = watch_screen("1\n2\n3\n4\n5\n", 80, 4);
    AUTO(freep) char *empty = watch_screen("", 80, 24);
    AUTO(freep) char *open = watch_screen("no end", 80, 24);

    assert_string_equal(plain, "\033[Hone\033[K\r\ntwo\033[K\r\n\033[J");
    assert_string_equal(wide, "\033[H01234\033[K\r\nümlau\033[K\r\n\033[J");
    assert_string_equal(high, "\033[H1\033[K\r\n2\033[K\r\n3\033[K\r\n\033[J");
    assert_string_equal(empty, "\033[H\033[J");
    assert_string_equal(open, "\033[Hno end\033[K\r\n\033[J");
}

struct script {
    int frames, fail_at, stop_at;
};

static struct err *frame(struct ctx *c, void *arg, struct out *out)
{
    struct script *s = arg;

    s->frames++;
    if (s->frames == s->fail_at)
        return err_new(ERR_SYS, "broken");
    if (s->frames == s->stop_at) {
        cancelled = 1;
        return err_new(ERR_CANCELLED, "interrupted");
    }
    out_printf(out, "frame %d\n", s->frames);
    if (out->json)
        out_json(out, json_new_u64((uint64_t)s->frames));
    return NULL;
}

static char *run(struct script *s, bool json, struct err **ret)
{
    FILE *f = tmpfile();
    struct out out = {.f = f, .json = json};
    char *text = xcalloc(1, 1024);

    assert_non_null(f);
    cancelled = 0;
    now_ms = 5;
    *ret = watch_run(&ctx, &out, 1000, frame, s);
    assert_true(pread(fileno(f), text, 1023, 0) >= 0);
    fclose(f);
    return text;
}

static void blocks_without_a_terminal(void **state)
{
    struct script s = {.stop_at = 4};
    struct err *e = NULL;
    AUTO(freep) char *text = run(&s, false, &e);

    assert_null(e); /* an interrupt is how it ends */
    assert_string_equal(text, "frame 1\n\nframe 2\n\nframe 3\n");
    assert_in_range(now_ms, 3000, 3100);
}

static void one_line_each_in_json(void **state)
{
    struct script s = {.stop_at = 3};
    struct err *e = NULL;
    AUTO(freep) char *text = run(&s, true, &e);

    assert_null(e);
    assert_string_equal(text, "1\n2\n");
}

static void an_error_ends_it(void **state)
{
    struct script s = {.fail_at = 2};
    AUTO(err_freep) struct err *e = NULL;
    AUTO(freep) char *text = run(&s, false, &e);

    assert_non_null(e);
    assert_string_equal(e->text, "broken");
    assert_string_equal(text, "frame 1\n");
}

static void a_line_that_fits(void **state)
{
    char text[200];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    assert_int_equal(watch_fits(-1, text, 7), 72); /* no terminal: as one of 80 columns */
    assert_int_equal(watch_fits(-1, text, 80), 0);
    assert_int_equal(watch_fits(-1, "ab", 7), 2);
    memcpy(text, "\u00e9", 2);
    assert_int_equal(watch_fits(-1, text, 7), 73);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drawn_in_place),        cmocka_unit_test(blocks_without_a_terminal),
        cmocka_unit_test(one_line_each_in_json), cmocka_unit_test(an_error_ends_it),
        cmocka_unit_test(a_line_that_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
