/* Carrying out steps: what is written when. ENTER is durable before a step acts and DONE when it
 * has been verified, so that after a kill at any point the journal says which one step may be half
 * done; its class says what to do about it. Nothing is decided here. */
#include "flow/carry.h"

#include <stdlib.h>

#include "base/fault.h"
#include "base/str.h"
#include "io/clock.h"

size_t carry_asks(const struct flow_plan *plan, const struct op *op)
{
    size_t i = 0;

    while (i < op->n_steps &&
           (plan->items[i].step->cls != STEP_ONCE ||
            (op->steps[i].state != OP_STEP_ENTERED && op->steps[i].state != OP_STEP_FAILED)))
        i++;
    return i;
}

/* Which step an answer of the operator is for: the one that the last run ended with, else the one
 * that may be half done. n_steps: nobody was asked, and whoever asks first may have it. */
static size_t answered(const struct flow_plan *plan, const struct op *op)
{
    size_t at = op->failed_at;

    if (at < op->n_steps && plan->items[at].step->cls == STEP_ONCE)
        return at;
    return carry_asks(plan, op);
}

/* Nobody else may have it then. */
static enum flow_answer take_answer(struct carry *c, size_t i)
{
    enum flow_answer answer = c->answer;

    if (c->answers != i && c->answers < c->plan->n)
        return FLOW_ASK;
    c->answer = FLOW_ASK;
    return answer;
}

/* A stop is worth more than its record. */
static struct err *append(struct carry *c, enum rec kind, const struct json *data)
{
    struct err *e = c->journal ? journal_append(c->journal, kind, data) : NULL;

    if (!e || !c->plan->flow->always)
        return e;
    c->journal = NULL;
    report_begin(c->report, "journal");
    report_end(c->report, false, "goes on without: %s", e->text);
    return err_free(e);
}

static struct json *about_step(struct ctx *ctx, const struct carry *c, size_t i)
{
    struct json *j = json_new_object();

    json_put(j, "step", json_new_u64(i));
    json_put(j, "name", json_new_str(c->plan->items[i].step->name));
    json_put(j, "at_ms", json_new_u64(clock_wall_ms(ctx)));
    return j;
}

static struct err *write_enter(struct ctx *ctx, struct carry *c, size_t i)
{
    AUTO(json_freep) struct json *j = about_step(ctx, c, i);

    TRY(append(c, REC_ENTER, j));
    c->entered = true;
    FAULT_AT("entered", c->plan->items[i].step->name);
    return NULL;
}

static struct err *write_done(struct ctx *ctx, struct carry *c, size_t i, struct step_run *s)
{
    AUTO(json_freep) struct json *j = about_step(ctx, c, i);

    json_put(j, "changed", json_new_bool(s->changed));
    json_put(j, "text", json_new_str(s->text));
    json_put(j, "learned", json_ref(s->learned));
    TRY(append(c, REC_DONE, j));
    FAULT_AT("done", c->plan->items[i].step->name);
    if (s->text && c->plan->items[i].title)
        report_end(c->report, s->changed, "%s", s->text);
    return NULL;
}

static void write_fail(struct ctx *ctx, struct carry *c, size_t i, const struct err *why)
{
    AUTO(json_freep) struct json *j = about_step(ctx, c, i);

    json_put(j, "kind", json_new_str(err_kind_name(why->kind)));
    json_put(j, "error", json_new_str(why->text));
    /* The failure itself is the one to tell. */
    (void)err_free(append(c, REC_FAIL, j));
}

static struct err *write_end(struct ctx *ctx, struct carry *c, const char *how)
{
    AUTO(json_freep) struct json *j = json_new_object();

    json_put(j, "how", json_new_str(how));
    json_put(j, "at_ms", json_new_u64(clock_wall_ms(ctx)));
    return append(c, REC_END, j);
}

struct probe {
    const struct step *step;
    struct step_run *run;
};

static struct err *ask_verify(struct ctx *ctx, void *arg, bool *ret_done)
{
    struct probe *p = arg;

    return p->step->verify(ctx, p->run, ret_done);
}

static struct err *wait_verified(struct ctx *ctx, const struct step *step, struct step_run *s)
{
    struct probe p = {.step = step, .run = s};
    bool done = false;

    if (!step->verify)
        return NULL;
    if (step->waits_for) {
        struct err *e =
            wait_until(ctx, step->waits_for, s->timeout_ms, step->poll_ms, ask_verify, &p);

        bool left = e && (e->kind == ERR_TIMEOUT || e->kind == ERR_CANCELLED);
        return left && step->goes_on ? err_hint(e, "%s", step->goes_on) : e;
    }
    TRY(step->verify(ctx, s, &done));
    return done ? NULL : err_new(ERR_REFUSED, "it was done and is not as it must be");
}

static struct err *run_step(struct ctx *ctx, struct carry *c, size_t i, struct step_run *s)
{
    const struct step *step = c->plan->items[i].step;

    if (step->ready)
        TRY(step->ready(ctx, s));
    if (step->act && !s->nothing) {
        TRY(write_enter(ctx, c, i));
        s->changed = true;
        TRY(step->act(ctx, s));
        FAULT_AT("acted", step->name);
    }
    TRY(wait_verified(ctx, step, s));
    return write_done(ctx, c, i, s);
}

/* One look at a step that was entered or done before. No verify: not known, so not done. */
static struct err *still_done(struct ctx *ctx, const struct step *step, struct step_run *s,
                              bool *ret)
{
    *ret = false;
    if (!step->verify)
        return NULL;
    s->probing = true;
    TRY(step->verify(ctx, s, ret));
    s->probing = false;
    return NULL;
}

static struct err *ask_operator(const struct carry *c, size_t i)
{
    const struct flow_item *item = &c->plan->items[i];

    return err_new(ERR_REFUSED,
                   "step %zu of %s (%s) was begun, it is not known whether it came to its end, and "
                   "a second time could do harm: look yourself; then say 'agavectl op resume "
                   "--done' when it has been done, or 'agavectl op resume --again' when it may be "
                   "done (again)",
                   i + 1, c->op->id, item->what);
}

/* A step that was entered before and not done. *ret_done: nothing is left to do. */
static struct err *half_done(struct ctx *ctx, struct carry *c, size_t i, struct step_run *s,
                             bool *ret_done)
{
    const struct step *step = c->plan->items[i].step;

    *ret_done = false;
    if (step->cls == STEP_IDEMPOTENT)
        return NULL;
    /* Of one that is looked at first nobody needs to be asked. */
    enum flow_answer answer = step->cls == STEP_ONCE ? take_answer(c, i) : FLOW_IS_DONE;
    bool middle = false;
    if (answer == FLOW_ASK && step->cut_off)
        TRY(step->cut_off(ctx, s, &middle));
    if (answer == FLOW_ASK)
        return middle ? NULL : ask_operator(c, i);
    if (answer == FLOW_IS_DONE)
        TRY(still_done(ctx, step, s, ret_done));
    if (step->cls == STEP_ONCE && answer == FLOW_IS_DONE && !*ret_done)
        return err_new(ERR_REFUSED, "%s: it has not been done, as far as can be seen",
                       c->plan->items[i].what);
    if (*ret_done) {
        s->changed = true; /* by the run that was cut off */
        TRY(write_done(ctx, c, i, s));
    }
    return NULL;
}

/* A step that was done before: a process may have ended since, or the machine have been started. */
static struct err *done_before(struct ctx *ctx, struct carry *c, size_t i, struct step_run *s,
                               bool *ret_done)
{
    const struct step *step = c->plan->items[i].step;

    *ret_done = true;
    if (!step->bound)
        return NULL;
    TRY(still_done(ctx, step, s, ret_done));
    if (*ret_done || step->cls != STEP_ONCE || take_answer(c, i) == FLOW_AGAIN)
        return NULL;
    return err_new(ERR_REFUSED,
                   "step %zu of %s (%s) was done and is so no more; if it may be done again, say "
                   "'agavectl op resume --again'",
                   i + 1, c->op->id, c->plan->items[i].what);
}

static struct err *one_step(struct ctx *ctx, struct carry *c, size_t i, struct step_run *s)
{
    const struct flow_item *item = &c->plan->items[i];
    enum op_step_state before = c->op->steps[i].state;
    bool done = false;

    if (ctx_cancelled(ctx))
        return err_new(ERR_CANCELLED, "interrupted before: %s", item->what);
    if (before == OP_STEP_DONE)
        TRY(done_before(ctx, c, i, s, &done));
    if (done)
        return NULL;
    if (item->title)
        report_begin(c->report, item->title);
    if (before == OP_STEP_ENTERED || before == OP_STEP_FAILED)
        TRY(half_done(ctx, c, i, s, &done));
    if (done)
        return NULL;
    free(TAKE(s->text)); /* of the look before */
    return run_step(ctx, c, i, s);
}

static void step_run_done(struct step_run *s)
{
    free(s->text);
    json_free(s->learned);
}

static struct err *all_steps(struct ctx *ctx, struct carry *c)
{
    for (size_t i = 0; i < c->plan->n; i++) {
        const struct step *step = c->plan->items[i].step;
        struct step_run s = {.report = c->report,
                             .inputs = c->plan->inputs,
                             .data = c->plan->items[i].data,
                             .before = c->op->steps[i].learned,
                             .earlier = c->learned,
                             .state = c->state,
                             .op = c->op->id,
                             .changed_before = c->changed,
                             .timeout_ms = step->timeout_ms};
        struct err *e = one_step(ctx, c, i, &s);

        c->changed += s.changed || c->op->steps[i].changed;
        if (e)
            write_fail(ctx, c, i, e);
        json_put(c->learned, step->name, json_ref(s.learned ? s.learned : s.before));
        step_run_done(&s);
        TRY(e);
    }
    return NULL;
}

struct err *carry_out(struct ctx *ctx, struct carry *c)
{
    c->entered = c->op->entered;
    c->answers = answered(c->plan, c->op);
    c->learned = json_new_object();
    struct err *e = all_steps(ctx, c);
    c->learned = json_free(c->learned);

    if (!e) {
        FAULT("unended");
        return write_end(ctx, c, "done");
    }
    if (!c->entered) {
        (void)err_free(write_end(ctx, c, "failed")); /* e says more */
        return e;
    }
    if (c->plan->flow->always)
        return e;
    return err_hint(e,
                    "go on with 'agavectl op resume', or give it up with 'agavectl op abandon "
                    "%s'",
                    c->op->id);
}
