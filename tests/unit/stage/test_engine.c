/* stage/engine: order, gates, the second look; with stages that are numbers in memory. */
#include "stage/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "base/str.h"
#include "fixture.h"
#include "io/clock.h"

/* What the two made-up stages see and do; reached through ctx->proc, which they do not use. */
struct world {
    int have[2], want;   /* each stage raises its number to want, one change a step */
    bool broken[2];      /* its fault is one that no stage repairs */
    bool useless;        /* changes say that they worked, and do nothing */
    bool fails;          /* the change fails */
    bool cannot_look[2]; /* the check itself fails */
    bool destructive;
    struct strbuf told;
};
static struct world *world_of(const struct ctx *ctx)
{
    return (struct world *)(uintptr_t)ctx->proc;
}

static bool on(const struct ctx *ctx)
{
    return true;
}

static bool off(const struct ctx *ctx)
{
    return false;
}

static struct err *check(struct ctx *ctx, size_t at, struct findings *ret)
{
    struct world *w = world_of(ctx);

    if (w->cannot_look[at])
        return err_sys(EIO, "cannot look");
    if (w->broken[at])
        findings_add(ret, "made.broken", 4, SEV_FAIL, "broken for good");
    else
        findings_add(ret, "made.number", 4, w->have[at] < w->want ? SEV_FAIL : SEV_OK,
                     "number is %d", w->have[at]);
    return NULL;
}

static struct err *plan(const struct ctx *ctx, size_t at, const struct findings *f,
                        struct plan *ret)
{
    struct world *w = world_of(ctx);
    const struct finding *x = findings_find(f, "made.number");

    for (int i = w->have[at]; x && x->sev == SEV_FAIL && i < w->want; i++) {
        AUTO(freep) char *object = xasprintf("number %zu/%d", at, i + 1);
        plan_add(ret, CHANGE_UPDATE, 1, object, NULL, NULL)->destructive = w->destructive;
    }
    return NULL;
}

static struct err *apply(struct ctx *ctx, size_t at, const struct change *c)
{
    struct world *w = world_of(ctx);

    if (w->fails)
        return err_new(ERR_REMOTE, "change of '%s' failed", c->object);
    w->have[at] += w->useless ? 0 : 1;
    return NULL;
}

#define MADE_UP(n)                                                                                 \
    static struct err *made##n##_check(struct ctx *ctx, struct scene *scene, struct findings *ret) \
    {                                                                                              \
        return check(ctx, n, ret);                                                                 \
    }                                                                                              \
    static struct err *made##n##_plan(const struct ctx *ctx, const struct findings *f,             \
                                      struct plan *ret)                                            \
    {                                                                                              \
        return plan(ctx, n, f, ret);                                                               \
    }                                                                                              \
    static struct err *made##n##_apply(struct ctx *ctx, const struct change *c)                    \
    {                                                                                              \
        return apply(ctx, n, c);                                                                   \
    }
MADE_UP(0)
MADE_UP(1)

static const char *const after_first[] = {"first", "absent", NULL};
static const struct stage first = {.name = "first",
                                   .summary = "s",
                                   .layer = 4,
                                   .gate = true,
                                   .order_reason = "r",
                                   .enabled = on,
                                   .check = made0_check,
                                   .plan = made0_plan,
                                   .apply = made0_apply};
static const struct stage absent = {.name = "absent",
                                    .summary = "s",
                                    .layer = 4,
                                    .gate = true,
                                    .order_reason = "r",
                                    .enabled = off,
                                    .check = made0_check};
static const struct stage second = {.name = "second",
                                    .summary = "s",
                                    .layer = 4,
                                    .gate = true,
                                    .order_reason = "numbers grow",
                                    .after = after_first,
                                    .enabled = on,
                                    .check = made1_check,
                                    .plan = made1_plan,
                                    .apply = made1_apply};
static const struct stage *const table[] = {&first, &absent, &second, NULL};

static void told(void *arg, const struct stage *s, const struct change *c, enum stage_moment when)
{
    static const char *const words[] = {"plan", "begin", "done", "failed"};
    struct world *w = arg;

    strbuf_printf(&w->told, "%s %s\n", words[when], c->object);
}

static struct err *run(struct world *w, const char *const *destroy, bool dry,
                       struct stage_report *ret)
{
    struct ctx ctx = {.proc = (const struct proc_ops *)(uintptr_t)w, .clock = &clock_system};
    struct stage_run_opts opts = {
        .table = table, .dry_run = dry, .destroy = destroy, .on_change = told, .arg = w};

    return stages_apply(&ctx, &opts, ret);
}

/* The second, as a stage that is no gate. */
static const struct stage lesser = {.name = "lesser",
                                    .summary = "s",
                                    .layer = 4,
                                    .order_reason = "r",
                                    .enabled = on,
                                    .check = made1_check,
                                    .plan = made1_plan,
                                    .apply = made1_apply};
static const struct stage *const with_lesser[] = {&lesser, &first, NULL};

static struct err *run_lesser(struct world *w, bool all, const char *const *only,
                              struct stage_report *ret)
{
    struct ctx ctx = {.proc = (const struct proc_ops *)(uintptr_t)w, .clock = &clock_system};
    struct stage_run_opts opts = {
        .table = with_lesser, .all = all, .only = only, .on_change = told, .arg = w};

    return stages_apply(&ctx, &opts, ret);
}

static struct err *made_by_hand(void *arg, struct ctx *ctx, const struct stage *s,
                                const struct change *c)
{
    struct world *w = arg;

    strbuf_printf(&w->told, "hand %s\n", c->object);
    return s->apply(ctx, c);
}

static void world_clear(struct world *w)
{
    strbuf_clear(&w->told);
}

static void all_is_done_and_then_nothing(void **state)
{
    AUTO(world_clear) struct world w = {.want = 2};
    AUTO(stage_report_clear) struct stage_report r = {0};
    AUTO(stage_report_clear) struct stage_report again = {0};

    assert_ok(run(&w, NULL, false, &r));
    assert_int_equal(r.planned, 4);
    assert_int_equal(r.changed, 4);
    assert_int_equal(r.in_place, 0);
    assert_int_equal(findings_worst(&r.findings), SEV_OK);
    assert_int_equal(r.findings.n, 2);
    assert_string_equal(strbuf_text(&w.told),
                        "plan number 0/1\nplan number 0/2\nbegin number 0/1\ndone number 0/1\n"
                        "begin number 0/2\ndone number 0/2\nplan number 1/1\nplan number 1/2\n"
                        "begin number 1/1\ndone number 1/1\nbegin number 1/2\ndone number 1/2\n");
    assert_ok(run(&w, NULL, false, &again));
    assert_int_equal(again.planned, 0);
    assert_int_equal(again.changed, 0);
    assert_int_equal(again.in_place, 2);
}

static void dry_run_changes_nothing(void **state)
{
    AUTO(world_clear) struct world w = {.want = 1};
    AUTO(stage_report_clear) struct stage_report r = {0};

    assert_ok(run(&w, NULL, true, &r));
    assert_int_equal(r.planned, 2);
    assert_int_equal(r.changed, 0);
    assert_int_equal(w.have[0] + w.have[1], 0);
    assert_null(strstr(strbuf_text(&w.told), "begin"));
}

static void a_failing_stage_blocks_what_comes_after_it(void **state)
{
    AUTO(world_clear) struct world w = {.want = 1, .broken = {true, false}};
    AUTO(stage_report_clear) struct stage_report r = {0};

    assert_err(run(&w, NULL, false, &r), ERR_REFUSED, "stage 'first': broken for good");
    assert_int_equal(r.blocked, 1);
    assert_int_equal(r.failed, 2);
    assert_int_equal(w.have[1], 0);
    assert_int_equal(r.changed, 0);
    assert_int_equal(r.findings.n, 2); /* the blocked one was looked at all the same */
}

/* Not asked for, so it is not put right: then the plan is refused, and not its middle. */
static void what_is_not_asked_for_must_hold(void **state)
{
    static const char *const only[] = {"second", NULL};
    AUTO(world_clear) struct world w = {.want = 1}, held = {.want = 1, .have = {1, 0}};
    AUTO(stage_report_clear) struct stage_report r = {0}, s = {0};
    struct ctx ctx = {.proc = (const struct proc_ops *)(uintptr_t)&w, .clock = &clock_system};
    struct ctx fine = {.proc = (const struct proc_ops *)(uintptr_t)&held, .clock = &clock_system};
    struct stage_run_opts opts = {.table = table, .only = only, .dry_run = true};

    assert_err(stages_apply(&ctx, &opts, &r), ERR_REFUSED, "while stage 'first' fails");
    assert_int_equal(r.planned, 0);
    assert_ok(stages_apply(&fine, &opts, &s));
    assert_int_equal(s.planned, 1);
}

static void a_stage_that_holds_is_not_blocked(void **state)
{
    AUTO(world_clear) struct world w = {.want = 1, .have = {0, 1}, .broken = {true, false}};
    AUTO(stage_report_clear) struct stage_report r = {0};

    assert_err(run(&w, NULL, false, &r), ERR_REFUSED, "first");
    assert_int_equal(r.blocked, 0);
    assert_int_equal(r.in_place, 1);
}

static void not_being_able_to_look_is_a_failure(void **state)
{
    AUTO(world_clear) struct world w = {.want = 1, .cannot_look = {true, false}};
    AUTO(stage_report_clear) struct stage_report r = {0};
    AUTO(check_report_clear) struct check_report look = {0};
    struct ctx ctx = {.proc = (const struct proc_ops *)(uintptr_t)&w, .clock = &clock_system};

    assert_err(run(&w, NULL, false, &r), ERR_SYS, "stage 'first': cannot look");
    assert_int_equal(r.blocked, 1);
    assert_int_equal(w.have[1], 0);
    stages_check(&ctx, &(struct check_opts){.table = table}, &look);
    assert_int_equal(findings_find(&look.findings, "first")->sev, SEV_UNKNOWN);
    assert_string_equal(findings_find(&look.findings, "first")->stage, "first");
    assert_int_equal(findings_worst(&look.findings), SEV_UNKNOWN);
}

static void a_change_that_does_not_help_is_a_failure(void **state)
{
    AUTO(world_clear) struct world w = {.want = 1, .useless = true};
    AUTO(stage_report_clear) struct stage_report r = {0};

    assert_err(run(&w, NULL, false, &r), ERR_REFUSED, "number is 0");
    assert_int_equal(r.changed, 1);
    assert_int_equal(r.blocked, 1);
}

static void a_failed_change_is_told_and_ends_its_stage(void **state)
{
    AUTO(world_clear) struct world w = {.want = 2, .fails = true};
    AUTO(stage_report_clear) struct stage_report r = {0};

    assert_err(run(&w, NULL, false, &r), ERR_REMOTE, "change of 'number 0/1' failed");
    assert_int_equal(r.changed, 0);
    assert_non_null(strstr(strbuf_text(&w.told), "failed number 0/1"));
    assert_null(strstr(strbuf_text(&w.told), "begin number 0/2"));
}

static void destruction_needs_the_exact_name(void **state)
{
    static const char *const nearly[] = {"number 0", "number 0/1 ", "number 1/1", NULL};
    static const char *const exact[] = {"number 0/1", "number 1/1", NULL};
    AUTO(world_clear) struct world w = {.want = 1, .destructive = true};
    AUTO(stage_report_clear) struct stage_report r = {0};
    AUTO(stage_report_clear) struct stage_report r2 = {0};
    AUTO(stage_report_clear) struct stage_report r3 = {0};

    assert_err(run(&w, NULL, false, &r), ERR_REFUSED, "'number 0/1' loses data");
    assert_err(run(&w, nearly, false, &r2), ERR_REFUSED, "'number 0/1' loses data");
    assert_int_equal(w.have[0], 0);
    assert_ok(run(&w, exact, false, &r3));
    assert_int_equal(w.have[0] + w.have[1], 2);
}

static void an_interrupt_stops_before_the_next_change(void **state)
{
    volatile sig_atomic_t cancelled = 1;
    AUTO(world_clear) struct world w = {.want = 1};
    AUTO(stage_report_clear) struct stage_report r = {0};
    struct ctx ctx = {.proc = (const struct proc_ops *)(uintptr_t)&w,
                      .clock = &clock_system,
                      .cancelled = &cancelled};
    struct stage_run_opts opts = {.table = table};

    assert_err(stages_apply(&ctx, &opts, &r), ERR_CANCELLED, "interrupted");
    assert_int_equal(w.have[0], 0);
    assert_int_equal(r.failed, 1); /* and the next stage was not begun */
}

/* The real table: complete texts, unique names, `after` names stages that come before. */
static void the_table_is_in_order(void **state)
{
    for (size_t i = 0; stage_table[i]; i++) {
        const struct stage *s = stage_table[i];

        assert_non_null(s->name);
        assert_non_null(s->summary);
        assert_non_null(s->order_reason);
        assert_true(s->layer >= 1 && s->layer <= 5);
        assert_non_null(s->enabled);
        assert_non_null(s->check);
        assert_true(!s->plan == !s->apply);
        assert_ptr_equal(stage_by_name(stage_table, s->name), s);
        for (size_t k = 0; s->after && s->after[k]; k++) {
            bool before = false;

            for (size_t j = 0; j < i; j++)
                before |= str_eq(stage_table[j]->name, s->after[k]);
            assert_true(before);
        }
    }
    assert_null(stage_by_name(stage_table, "no-such"));
}

static void all_is_more_than_the_gates(void **state)
{
    AUTO(world_clear) struct world w = {.want = 1}, v = {.want = 1};
    AUTO(stage_report_clear) struct stage_report r = {0}, s = {0};

    assert_ok(run_lesser(&w, false, NULL, &r));
    assert_int_equal(w.have[1], 0);
    assert_ok(run_lesser(&v, true, NULL, &s));
    assert_int_equal(v.have[0], 1);
    assert_int_equal(v.have[1], 1);
    assert_int_equal(s.left.n, 0);
}

/* It is said and stops nobody; asked for by its name it is a failure as any other. */
static void what_is_no_gate_is_left(void **state)
{
    static const char *const only[] = {"lesser", NULL};
    AUTO(world_clear) struct world w = {.want = 1, .broken = {false, true}};
    AUTO(world_clear) struct world v = {.want = 1, .cannot_look = {false, true}};
    AUTO(world_clear) struct world gate = {.want = 1, .broken = {true, false}};
    AUTO(stage_report_clear) struct stage_report r = {0}, s = {0}, t = {0}, u = {0};

    assert_ok(run_lesser(&w, true, NULL, &r));
    assert_int_equal(w.have[0], 1);
    assert_int_equal(r.left.n, 1);
    assert_non_null(strstr(r.left.items[0], "stage 'lesser': broken for good"));
    assert_ok(run_lesser(&v, true, NULL, &s));
    assert_int_equal(s.left.n, 1);
    assert_err(run_lesser(&w, true, only, &t), ERR_REFUSED, "broken for good");
    assert_int_equal(t.left.n, 0);
    assert_err(run_lesser(&gate, true, NULL, &u), ERR_REFUSED, "broken for good");
    assert_int_equal(u.left.n, 0);
}

static void a_change_that_fails_is_never_left(void **state)
{
    AUTO(world_clear) struct world w = {.want = 1, .fails = true};
    AUTO(stage_report_clear) struct stage_report r = {0};

    w.have[0] = 1;
    assert_err(run_lesser(&w, true, NULL, &r), ERR_REMOTE, "change of");
    assert_int_equal(r.left.n, 0);
}

static void changes_are_made_by_whoever_asked(void **state)
{
    AUTO(world_clear) struct world w = {.want = 1};
    struct ctx ctx = {.proc = (const struct proc_ops *)(uintptr_t)&w, .clock = &clock_system};
    struct stage_run_opts opts = {.table = table, .make = made_by_hand, .arg = &w};
    AUTO(stage_report_clear) struct stage_report r = {0};

    assert_ok(stages_apply(&ctx, &opts, &r));
    assert_string_equal(strbuf_text(&w.told), "hand number 0/1\nhand number 1/1\n");
    assert_int_equal(w.have[0] + w.have[1], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_done_and_then_nothing),
        cmocka_unit_test(dry_run_changes_nothing),
        cmocka_unit_test(a_failing_stage_blocks_what_comes_after_it),
        cmocka_unit_test(what_is_not_asked_for_must_hold),
        cmocka_unit_test(a_stage_that_holds_is_not_blocked),
        cmocka_unit_test(not_being_able_to_look_is_a_failure),
        cmocka_unit_test(a_change_that_does_not_help_is_a_failure),
        cmocka_unit_test(a_failed_change_is_told_and_ends_its_stage),
        cmocka_unit_test(destruction_needs_the_exact_name),
        cmocka_unit_test(an_interrupt_stops_before_the_next_change),
        cmocka_unit_test(the_table_is_in_order),
        cmocka_unit_test(all_is_more_than_the_gates),
        cmocka_unit_test(what_is_no_gate_is_left),
        cmocka_unit_test(a_change_that_fails_is_never_left),
        cmocka_unit_test(changes_are_made_by_whoever_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
