/* cmd/dispatch: conditions before the run, exit codes, and the answer's way out. */
#include "cmd/dispatch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/err.h"

struct seen {
    int runs;
    bool had_root;
};
static struct seen seen;

static struct err *good_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                            struct out *out)
{
    seen.runs++;
    seen.had_root = ctx->root != NULL && ctx->cfg == NULL;
    out_printf(out, "answer\n");
    if (argc)
        out->exit = 3;
    return NULL;
}

static struct err *bad_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                           struct out *out)
{
    seen.runs++;
    out->exit = 3;
    return err_new(argc ? ERR_ABSENT : ERR_TIMEOUT, "it did not work");
}

static const struct cmd bad = {
    .name = "bad", .summary = "fail", .usage = "", .max_args = 1, .run = bad_run};
static const struct cmd good = {
    .name = "good", .summary = "work", .usage = "", .max_args = 1, .run = good_run};
static const struct cmd *const table[] = {&bad, &good, NULL};

static int run(FILE *f, struct ctx *ctx, const char *a, const char *b)
{
    char *argv[] = {(char[]){"agavectl"}, xstrdup(a), b ? xstrdup(b) : NULL, NULL};
    int code;

    seen = (struct seen){0};
    code = dispatch(ctx, table, b ? 3 : 2, argv, f);
    assert_null(ctx->root);
    free(argv[1]);
    free(argv[2]);
    return code;
}

static int run_quietly(const char *a, const char *b)
{
    struct ctx ctx = {0};
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    int code = run(f, &ctx, a, b);

    fclose(f);
    free(text);
    return code;
}

static void exit_codes(void **state)
{
    assert_int_equal(run_quietly("good", NULL), 0);
    assert_true(seen.had_root);
    assert_int_equal(run_quietly("good", "x"), 3);
    assert_int_equal(run_quietly("bad", NULL), 5);
    assert_int_equal(run_quietly("bad", "x"), 6);
    assert_int_equal(seen.runs, 1);
}

static void nothing_runs_after_a_bad_line(void **state)
{
    assert_int_equal(run_quietly("good", "-ojson"), 2);
    assert_int_equal(run_quietly("good", "--nonsense"), 2);
    assert_int_equal(run_quietly("--help", "good"), 0);
    assert_int_equal(run_quietly("-V", NULL), 0);
    assert_int_equal(seen.runs, 0);
}

/* What does not reach the reader was not said. */
static void an_answer_that_is_lost_is_a_failure(void **state)
{
    struct ctx ctx = {0};
    FILE *full = fopen("/dev/full", "we");

    assert_non_null(full);
    assert_int_equal(run(full, &ctx, "good", NULL), 1);
    fclose(full);
    full = fopen("/dev/full", "we");
    assert_int_equal(run(full, &ctx, "--help", NULL), 1);
    fclose(full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_codes),
        cmocka_unit_test(nothing_runs_after_a_bad_line),
        cmocka_unit_test(an_answer_that_is_lost_is_a_failure),
    };

    return cmocka_run_group_tests_name("cmd_dispatch", tests, NULL, NULL);
}
