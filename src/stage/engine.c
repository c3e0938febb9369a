/* The engine of all stages. It knows nothing of any of them: the order, the gates (dependencies,
 * permission to destroy, cancel) and the second look are here and nowhere else. */
#include "stage/engine.h"

#include "base/str.h"

/* How each stage of the table ended, by its place. */
enum outcome { NOT_RUN, HOLDS, FAILS };
struct run {
    struct ctx *ctx;
    const struct stage_run_opts *opts;
    const struct stage *const *table;
    enum outcome *outcomes;
    struct stage_report *report;
};

void stage_report_clear(struct stage_report *r)
{
    findings_clear(&r->findings);
    *r = (struct stage_report){0};
}

const struct stage *stage_by_name(const struct stage *const *table, const char *name)
{
    for (size_t i = 0; table[i]; i++)
        if (str_eq(table[i]->name, name))
            return table[i];
    return NULL;
}

/* Moves all of from to the end of to. */
static void findings_move(struct findings *to, struct findings *from)
{
    for (size_t i = 0; i < from->n; i++) {
        to->items = xgrow(to->items, &to->cap, to->n + 1, sizeof(*to->items));
        to->items[to->n++] = from->items[i];
    }
    free(from->items);
    *from = (struct findings){0};
}

static void tell(const struct run *r, const struct stage *s, const struct change *c,
                 enum stage_moment when)
{
    if (r->opts->on_change)
        r->opts->on_change(r->opts->arg, s, c, when);
}

/* The name of a stage that this one needs and that fails, or NULL. */
static const char *failing_before(const struct run *r, const struct stage *s)
{
    for (size_t i = 0; s->after && s->after[i]; i++)
        for (size_t k = 0; r->table[k]; k++)
            if (r->outcomes[k] == FAILS && str_eq(r->table[k]->name, s->after[i]))
                return s->after[i];
    return NULL;
}

static bool may_destroy(const struct stage_run_opts *o, const char *object)
{
    for (size_t i = 0; o->destroy && o->destroy[i]; i++)
        if (str_eq(o->destroy[i], object))
            return true;
    return false;
}

static struct err *allowed(const struct run *r, const struct change *c)
{
    if (r->ctx->cancelled && *r->ctx->cancelled)
        return err_new(ERR_CANCELLED, "interrupted before '%s' was changed", c->object);
    if (c->destructive && !may_destroy(r->opts, c->object))
        return err_new(ERR_REFUSED,
                       "changing '%s' loses data: it is done only when this very object is named "
                       "as one to destroy",
                       c->object);
    return NULL;
}

static struct err *do_changes(struct run *r, const struct stage *s, const struct plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct change *c = &p->items[i];

        TRY(allowed(r, c));
        tell(r, s, c, STAGE_BEGIN);
        struct err *e = s->apply(r->ctx, c);
        tell(r, s, c, e ? STAGE_FAILED : STAGE_DONE);
        TRY(e);
        r->report->changed++;
    }
    return NULL;
}

static const struct finding *first_bad(const struct findings *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (!f->items[i].ignored && f->items[i].sev >= SEV_FAIL)
            return &f->items[i];
    return NULL;
}

static struct err *must_hold(const struct findings *f)
{
    const struct finding *bad = first_bad(f);

    if (!bad)
        return NULL;
    return err_new(ERR_REFUSED, "%s (%s)", bad->what, bad->id);
}

/* f: the last look at the stage, also after a failure. */
static struct err *run_checked(struct run *r, const struct stage *s, struct findings *f)
{
    AUTO(plan_clear) struct plan p = {.stage = s};

    TRY(s->check(r->ctx, f));
    if (s->plan)
        TRY(s->plan(r->ctx, f, &p));
    const char *before = failing_before(r, s);
    if (before && (p.n || first_bad(f))) {
        r->report->blocked++;
        return err_new(ERR_REFUSED, "nothing is changed while stage '%s' fails (%s)", before,
                       s->order_reason);
    }
    r->report->planned += p.n;
    r->report->in_place += p.n == 0 && !first_bad(f);
    for (size_t i = 0; i < p.n; i++)
        tell(r, s, &p.items[i], STAGE_PLANNED);
    if (p.n == 0)
        return must_hold(f);
    if (r->opts->dry_run)
        return NULL;
    struct err *e = do_changes(r, s, &p);
    findings_clear(f);
    struct err *look = s->check(r->ctx, f);
    if (e) { /* the change's failure says more than the look after it */
        err_free(look);
        return e;
    }
    TRY(look);
    return must_hold(f);
}

static struct err *run_stage(struct run *r, size_t at)
{
    const struct stage *s = r->table[at];
    AUTO(findings_clear) struct findings f = {0};
    struct err *e = run_checked(r, s, &f);

    findings_move(&r->report->findings, &f);
    r->outcomes[at] = e ? FAILS : HOLDS;
    r->report->failed += e != NULL;
    return err_wrap(e, "stage '%s'", s->name);
}

struct err *stages_apply(struct ctx *ctx, const struct stage_run_opts *opts,
                         struct stage_report *ret)
{
    const struct stage *const *table = opts->table ? opts->table : stage_table;
    AUTO(freep) enum outcome *outcomes = NULL;
    struct err *first = NULL;
    size_t n = 0;

    while (table[n])
        n++;
    outcomes = xcalloc(n + 1, sizeof(*outcomes));
    *ret = (struct stage_report){0};
    struct run r = {.ctx = ctx, .opts = opts, .table = table, .outcomes = outcomes, .report = ret};
    for (size_t i = 0; i < n; i++) {
        if (!table[i]->enabled(ctx))
            continue;
        struct err *e = run_stage(&r, i);
        bool stop = e && e->kind == ERR_CANCELLED;

        if (first)
            err_free(e);
        else
            first = e;
        if (stop)
            break;
    }
    return first;
}

void stages_check(struct ctx *ctx, const struct stage *const *table, struct findings *ret)
{
    const struct stage *const *t = table ? table : stage_table;

    *ret = (struct findings){0};
    for (size_t i = 0; t[i]; i++) {
        AUTO(findings_clear) struct findings f = {0};

        if (!t[i]->enabled(ctx))
            continue;
        struct err *e = t[i]->check(ctx, &f);
        findings_move(ret, &f);
        if (e)
            findings_add(ret, t[i]->name, t[i]->layer, SEV_UNKNOWN, "could not look: %s", e->text);
        err_free(e);
    }
}
