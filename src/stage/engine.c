/* The engine of all stages. It knows nothing of any of them: the order, the gates (dependencies,
 * permission to destroy, cancel) and the second look are here and nowhere else. */
#include "stage/engine.h"

#include "base/str.h"
#include "config/config.h"
#include "io/clock.h"
#include "stage/etc.h"

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
    strlist_clear(&r->left);
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
        struct err *e =
            r->opts->make ? r->opts->make(r->opts->arg, r->ctx, s, c) : s->apply(r->ctx, c);
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

/* check.ignore is a list of "id: reason". */
static void ignore(const struct ctx *ctx, struct finding *f)
{
    const struct strlist *l = ctx->cfg ? &ctx->cfg->check.ignore : NULL;
    size_t n = strlen(f->id);

    for (size_t i = 0; l && i < l->n && !f->ignored; i++) {
        if (strncmp(l->items[i], f->id, n) != 0 || l->items[i][n] != ':' || f->sev < SEV_WARN)
            continue;
        f->ignored = true;
        f->reason = xstrdup(l->items[i] + n + 1 + strspn(l->items[i] + n + 1, " "));
    }
}

/* What every finding of a stage has, and no stage needs to say. */
static void complete(const struct ctx *ctx, const struct stage *s, struct findings *f)
{
    for (size_t i = 0; i < f->n; i++) {
        struct finding *x = &f->items[i];

        x->stage = s->name;
        if (x->repair && !x->fix && x->sev >= SEV_WARN)
            finding_fix(x, "agavectl prepare --apply %s", x->repair);
        ignore(ctx, x);
    }
}

/* One stage's check, complete. The failure of the check is returned, not yet a finding. */
static struct err *look_at(struct ctx *ctx, struct scene *scene, const struct stage *s,
                           struct findings *ret)
{
    struct err *e = s->check(ctx, scene, ret);

    complete(ctx, s, ret);
    return e;
}

/* And whether what it would write could be written. */
static struct err *look_whole(struct ctx *ctx, struct scene *scene, const struct stage *s,
                              struct findings *ret)
{
    TRY(look_at(ctx, scene, s, ret));
    struct err *e = etc_check(ctx, s, ret);
    complete(ctx, s, ret);
    return e;
}

/* While something is changed each look is a new one. */
static struct err *look_once(struct ctx *ctx, const struct stage *s, struct findings *ret)
{
    AUTO(scene_freep) struct scene *scene = scene_new();

    scene_expect(scene, s->asks);
    return look_whole(ctx, scene, s, ret);
}

/* What a stage would change, without what takes over others' work unless that is asked for. */
static struct err *plan_of(const struct run *r, const struct stage *s, const struct findings *f,
                           struct plan *p)
{
    size_t n = 0;

    if (!s->plan)
        return NULL;
    TRY(s->plan(r->ctx, f, p));
    for (size_t i = 0; i < p->n; i++) {
        if (p->items[i].adopt && !r->opts->adopt)
            change_clear(&p->items[i]);
        else
            p->items[n++] = p->items[i];
    }
    p->n = n;
    return NULL;
}

/* Refused in the plan already, and whoever asked for it: a change that cannot be made is no plan.
 */
static struct err *must_be_writable(const struct stage *s, const struct findings *f,
                                    const struct plan *p)
{
    const struct finding *x = s->readonly ? findings_find(f, s->readonly) : NULL;

    if (!x || (x->sev < SEV_FAIL && !etc_is_written(p)))
        return NULL;
    return err_new(ERR_REFUSED, "%s (%s)", x->what, x->id);
}

static bool to_run(const struct stage_run_opts *o, const struct stage *s)
{
    for (size_t i = 0; o->only && o->only[i]; i++)
        if (str_eq(o->only[i], s->name))
            return true;
    return !o->only && (s->gate || (o->all && s->plan));
}

/* Looks at a stage that s names in `after`; NULL or not enabled is fine. */
static struct err *must_hold_now(struct ctx *ctx, const struct stage *before, const struct stage *s)
{
    AUTO(findings_clear) struct findings f = {0};

    if (!before || !before->enabled(ctx))
        return NULL;
    TRY_CTX(look_once(ctx, before, &f), "stage '%s'", before->name);
    return err_wrap(must_hold(&f), "nothing is changed while stage '%s' fails (%s)", before->name,
                    s->order_reason);
}

/* What a gate needs and this run does not see to must be there already: refused in the plan, not
 * in the middle of it. */
static struct err *others_hold(const struct run *r, const struct stage *s)
{
    for (size_t i = 0; s->gate && s->after && s->after[i]; i++) {
        const struct stage *before = stage_by_name(r->table, s->after[i]);

        if (before && !to_run(r->opts, before))
            TRY(must_hold_now(r->ctx, before, s));
    }
    return NULL;
}

/* f: the last look at the stage, also after a failure. *ret_failed: of a change, or of all of them
 * before the first. */
static struct err *run_checked(struct run *r, const struct stage *s, struct findings *f,
                               bool *ret_failed)
{
    AUTO(plan_clear) struct plan p = {.stage = s};

    TRY(look_once(r->ctx, s, f));
    TRY(plan_of(r, s, f, &p));
    struct err *blocked = must_be_writable(s, f, &p);
    *ret_failed = blocked != NULL;
    TRY(blocked);
    const char *before = failing_before(r, s);
    if (before && (p.n || first_bad(f))) {
        r->report->blocked++;
        return err_new(ERR_REFUSED, "nothing is changed while stage '%s' fails (%s)", before,
                       s->order_reason);
    }
    if (p.n)
        TRY(others_hold(r, s));
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
    struct err *look = look_once(r->ctx, s, f);
    if (e) { /* the change's failure says more than the look after it */
        *ret_failed = true;
        err_free(look);
        return e;
    }
    TRY(look);
    return must_hold(f);
}

/* What is no gate stops nobody, unless somebody asked for this very stage, or a change failed. */
static bool is_left(const struct run *r, const struct stage *s, bool changed)
{
    return r->opts->all && !r->opts->only && !s->gate && !changed;
}

static struct err *run_stage(struct run *r, size_t at)
{
    const struct stage *s = r->table[at];
    AUTO(findings_clear) struct findings f = {0};
    bool failed = false;
    struct err *e = err_wrap(run_checked(r, s, &f, &failed), "stage '%s'", s->name);

    findings_move(&r->report->findings, &f);
    r->outcomes[at] = e ? FAILS : HOLDS;
    r->report->failed += e != NULL;
    if (!e || e->kind == ERR_CANCELLED || !is_left(r, s, failed))
        return e;
    strlist_add(&r->report->left, e->text);
    return err_free(e);
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
        if (!to_run(opts, table[i]) || !table[i]->enabled(ctx))
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

void check_report_clear(struct check_report *r)
{
    findings_clear(&r->findings);
    free(r->stages);
    *r = (struct check_report){0};
}

static void check_stage(struct ctx *ctx, struct scene *scene, const struct stage *s,
                        struct check_report *r)
{
    AUTO(findings_clear) struct findings f = {0};
    struct stage_look *l = &r->stages[r->n_stages++];
    uint64_t begun = clock_mono_ns(ctx);

    *l = (struct stage_look){.stage = s, .first = r->findings.n, .absent = !s->enabled(ctx)};
    if (l->absent)
        return;
    struct err *e = look_whole(ctx, scene, s, &f);
    if (e) {
        findings_add(&f, s->name, s->layer, SEV_UNKNOWN, "could not look: %s", e->text);
        complete(ctx, s, &f);
    }
    err_free(e);
    l->n = f.n;
    l->worst = findings_worst(&f);
    findings_move(&r->findings, &f);
    l->took_us = (clock_mono_ns(ctx) - begun) / 1000;
}

static bool to_check(const struct check_opts *o, const struct stage *s)
{
    return (!o->gates_only || s->gate) && (!o->wanted || o->wanted(o->arg, s));
}

void stages_check(struct ctx *ctx, const struct check_opts *opts, struct check_report *ret)
{
    const struct stage *const *t = opts->table ? opts->table : stage_table;
    AUTO(scene_freep) struct scene *scene = scene_new();
    size_t n = 0;

    while (t[n])
        n++;
    *ret = (struct check_report){.stages = xcalloc(n + 1, sizeof(*ret->stages))};
    for (size_t i = 0; i < n; i++)
        if (to_check(opts, t[i]) && t[i]->enabled(ctx))
            scene_expect(scene, t[i]->asks);
    for (size_t i = 0; i < n; i++)
        if (to_check(opts, t[i]))
            check_stage(ctx, scene, t[i], ret);
}

static bool is_same(const struct change *a, const struct change *b)
{
    return !a->follows && a->kind == b->kind && a->verb == b->verb && str_eq(a->object, b->object);
}

/* *ret: the same change in a plan of now, or NULL. One that would write something else now than was
 * shown is refused: left out it would be told to be in place. */
static struct err *plan_again(struct ctx *ctx, const struct stage *s, const struct change *c,
                              struct plan *p, struct change **ret)
{
    AUTO(findings_clear) struct findings f = {0};
    AUTO(scene_freep) struct scene *scene = scene_new();

    scene_expect(scene, s->asks);
    TRY(look_at(ctx, scene, s, &f)); /* what cannot be written is wanted all the same */
    TRY(s->plan(ctx, &f, p));
    *ret = NULL;
    for (size_t i = 0; i < p->n && !*ret; i++) {
        if (!is_same(&p->items[i], c))
            continue;
        if (str_eq(p->items[i].arg, c->arg))
            *ret = &p->items[i];
        else if (c->writes)
            return change_was_other(c);
    }
    return NULL;
}

struct err *stage_wants(struct ctx *ctx, const struct stage *s, const struct change *c, bool *ret)
{
    AUTO(plan_clear) struct plan p = {.stage = s};
    struct change *again = NULL;

    TRY(plan_again(ctx, s, c, &p, &again));
    *ret = again != NULL;
    return NULL;
}

struct err *stage_cut_off(struct ctx *ctx, const struct stage *s, const struct change *c, bool *ret)
{
    *ret = false;
    return s->cut_off ? err_wrap(s->cut_off(ctx, c, ret), "stage '%s'", s->name) : NULL;
}

struct err *stage_refresh(struct ctx *ctx, const struct stage *s, struct change *c)
{
    AUTO(plan_clear) struct plan p = {.stage = s};
    struct change *again = NULL;

    TRY(plan_again(ctx, s, c, &p, &again));
    if (!again)
        return NULL;
    free(c->old);
    c->old = TAKE(again->old);
    return NULL;
}

struct err *stage_may_change(struct ctx *ctx, const struct stage *s)
{
    for (size_t i = 0; s->after && s->after[i]; i++)
        TRY(must_hold_now(ctx, stage_by_name(stage_table, s->after[i]), s));
    return NULL;
}
