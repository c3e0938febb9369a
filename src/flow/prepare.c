/* Prepare: the host as the config says. The changes are planned by the stages once, at
 * the decision, and written down; a change that is not needed any more when its turn comes is left
 * out, and no other is made that loses anything. What a mount uncovers (a folder with the wrong
 * owner, say) could not be planned before: the last step repairs it when a second time does no
 * harm. */
#include "flow/prepare.h"

#include <stdlib.h>

#include "base/fault.h"
#include "base/str.h"
#include "config/config.h"
#include "flow/change.h"
#include "flow/made.h"
#include "flow/unit_state.h"
#include "stage/engine.h"

/* Stages that are no gates plan nothing but what outlives a reboot. */
static bool plans_all(const struct ctx *ctx, bool gates)
{
    return !gates && ctx->cfg->host.persist;
}

struct decide_arg {
    struct flow_plan *plan;
    const char *const *destroy;
    char *first;       /* the first change that is not made under a running validator */
    char *not_allowed; /* the first object that would be destroyed without permission */
};

static bool is_in(const char *const *list, const char *word)
{
    for (size_t i = 0; list && list[i]; i++)
        if (str_eq(list[i], word))
            return true;
    return false;
}

static void on_planned(void *arg, const struct stage *s, const struct change *c,
                       enum stage_moment when)
{
    struct decide_arg *a = arg;
    struct flow_item *item =
        flow_plan_add(a->plan, c->once || c->destructive ? &step_change_once : &step_change,
                      s->name, change_json(s, c), "%s %s%s%s", change_kind_name(c->kind), c->object,
                      c->after ? ": " : "", c->after ? c->after : "");

    item->destroys = c->destructive ? xstrdup(c->object) : NULL;
    if (!a->first && !c->live)
        a->first = xasprintf("%s %s", change_kind_name(c->kind), c->object);
    if (c->destructive && !a->not_allowed && !is_in(a->destroy, c->object))
        a->not_allowed = xstrdup(c->object);
}

struct json *prepare_names(const char *const *list)
{
    struct json *j = list ? json_new_array() : NULL;

    for (size_t i = 0; list && list[i]; i++)
        json_push(j, json_new_str(list[i]));
    return j;
}

static struct err *not_while_running(const char *first)
{
    return err_new(ERR_REFUSED,
                   "nothing is changed while the validator runs, and the host is not as the "
                   "config says (missing: %s); stop it first with 'agavectl stop'",
                   first);
}

/* While the validator runs its storage is only looked at: a mount over its ledger would hide it,
 * and a second validator would be started on the same identity. */
struct err *prepare_decide(struct ctx *ctx, const struct prepare_opts *o, bool running,
                           struct flow_plan *ret)
{
    struct decide_arg arg = {.plan = ret, .destroy = o->destroy};
    struct stage_run_opts opts = {.only = o->stages,
                                  .all = plans_all(ctx, o->gates),
                                  .dry_run = true,
                                  .adopt = o->adopt,
                                  .on_change = on_planned,
                                  .arg = &arg};
    AUTO(stage_report_clear) struct stage_report looked = {0};
    struct err *e = stages_apply(ctx, &opts, &looked);
    AUTO(freep) char *first = arg.first, *not_allowed = arg.not_allowed;

    if (running && first) {
        err_free(e); /* what follows from that change not having been made */
        return not_while_running(first);
    }
    TRY(e);
    json_put(ret->inputs, "stages", prepare_names(o->stages));
    json_put(ret->inputs, "destroy", prepare_names(o->destroy));
    json_put(ret->inputs, "gates", json_new_bool(o->gates));
    json_put(ret->inputs, "adopt", json_new_bool(o->adopt));
    for (size_t i = 0; i < looked.left.n; i++)
        strlist_add(&ret->notes, looked.left.items[i]);
    flow_plan_add(ret, &step_storage, NULL, NULL, "look at the storage");
    /* Said last, so that a plan can be shown for it: only carrying it out is refused. */
    ret->not_allowed = TAKE(not_allowed);
    return NULL;
}

/* The one place where a change of a stage is made. Its note comes first: a crash between the two
 * leaves a note too many, which undo finds to be nothing. */
static struct err *make_change(struct ctx *ctx, const struct stage *s, const struct change *c,
                               const char *op)
{
    if (c->undoable)
        TRY_CTX(made_note(ctx, s, c, op), "'%s' is not changed, which could not be noted for undo",
                c->object);
    FAULT_AT("noted", s->name);
    return s->apply(ctx, c);
}

/* Each step has a text: one without would be told as failed. To be freed. */
static char *in_place_text(const struct change *c)
{
    return xasprintf("%s: in place", c->object);
}

static struct err *must_not_run(struct ctx *ctx, const struct step_run *s, const char *what)
{
    struct unit_state *state = s->state;
    bool there = false;

    TRY(unit_look(ctx, state->u, &there));
    return there ? not_while_running(what) : NULL;
}

/* As planned, or what is left of it to do after it was cut off. */
static struct err *is_wanted(struct ctx *ctx, const struct stage *s, const struct change *c,
                             bool *ret)
{
    TRY(stage_wants(ctx, s, c, ret));
    return *ret ? NULL : stage_cut_off(ctx, s, c, ret);
}

static struct err *change_cut_off(struct ctx *ctx, struct step_run *s, bool *ret)
{
    AUTO(change_clear) struct change c = {0};
    const struct stage *stage;

    TRY(change_from_json(s->data, &stage, &c));
    return stage_cut_off(ctx, stage, &c, ret);
}

static struct err *change_ready(struct ctx *ctx, struct step_run *s)
{
    AUTO(change_clear) struct change c = {0};
    const struct stage *stage;
    bool wanted = false;

    TRY(change_from_json(s->data, &stage, &c));
    TRY(is_wanted(ctx, stage, &c, &wanted));
    s->nothing = !wanted;
    if (!wanted) {
        s->text = in_place_text(&c);
        return NULL;
    }
    if (!c.live)
        TRY(must_not_run(ctx, s, c.object));
    return stage_may_change(ctx, stage);
}

static struct err *change_act(struct ctx *ctx, struct step_run *s)
{
    AUTO(change_clear) struct change c = {0};
    const struct stage *stage;

    TRY(change_from_json(s->data, &stage, &c));
    report_progress(s->report, "%s %s", change_kind_name(c.kind), c.object);
    if (c.undoable) /* changes before it may have made a folder of it, or mounted over it */
        TRY(stage_refresh(ctx, stage, &c));
    TRY_CTX(make_change(ctx, stage, &c, s->op), "stage '%s'", stage->name);
    s->text = xasprintf("%s: %s", c.object, c.after ? c.after : "done");
    return NULL;
}

static struct err *change_verify(struct ctx *ctx, struct step_run *s, bool *ret_done)
{
    AUTO(change_clear) struct change c = {0};
    const struct stage *stage;
    bool wanted = false;

    TRY(change_from_json(s->data, &stage, &c));
    TRY(is_wanted(ctx, stage, &c, &wanted));
    *ret_done = !wanted;
    if (!wanted && s->probing) /* by a run that was cut off */
        s->text = in_place_text(&c);
    return NULL;
}

/* Mounts and RAM disks end with the boot. */
const struct step step_change = {
    .name = "change",
    .cls = STEP_PROBE_FIRST,
    .bound = true,
    .asks = true,
    .ready = change_ready,
    .act = change_act,
    .verify = change_verify,
};
/* Once: a second mkfs would take what was put there after the first, and its half-made file system
 * looks like somebody's data. */
const struct step step_change_once = {
    .name = "change-once",
    .cls = STEP_ONCE,
    .bound = true,
    .asks = true,
    .ready = change_ready,
    .act = change_act,
    .verify = change_verify,
    .cut_off = change_cut_off,
};

/* A list that lives as long as the JSON that it is from. */
struct names {
    const char **items;
};
static void names_clear(struct names *n)
{
    free(n->items);
}

static struct err *names_of(const struct json *j, struct names *ret)
{
    if (!j)
        return NULL;
    ret->items = xcalloc(json_len(j) + 1, sizeof(*ret->items));
    for (size_t i = 0; i < json_len(j); i++)
        TRY(json_as_str(json_at(j, i), &ret->items[i]));
    return NULL;
}

struct storage_arg {
    const struct step_run *step;
    char *first, *harmful, *not_live;
};

static void on_late_change(void *arg, const struct stage *s, const struct change *c,
                           enum stage_moment when)
{
    struct storage_arg *a = arg;

    if (when == STAGE_PLANNED && !a->first)
        a->first = xasprintf("%s %s", change_kind_name(c->kind), c->object);
    if (when == STAGE_PLANNED && !c->live && !a->not_live)
        a->not_live = xasprintf("%s %s", change_kind_name(c->kind), c->object);
    if (when == STAGE_PLANNED && (c->once || c->destructive) && !a->harmful)
        a->harmful = xasprintf("%s %s", change_kind_name(c->kind), c->object);
    if (when == STAGE_BEGIN) {
        report_begin(a->step->report, s->name);
        report_progress(a->step->report, "%s %s", change_kind_name(c->kind), c->object);
    } else if (when == STAGE_DONE) {
        report_end(a->step->report, true, "%s: %s", c->object, c->after ? c->after : "done");
    }
}

static struct err *not_decided(const char *what)
{
    return err_new(ERR_REFUSED,
                   "%s is needed as well, which was not decided when this began: run the command "
                   "again",
                   what);
}

/* Each change is asked about again: since the look before the first one the host may be another. */
static struct err *make_late(void *arg, struct ctx *ctx, const struct stage *s,
                             const struct change *c)
{
    const struct storage_arg *a = arg;

    if (c->once || c->destructive) {
        AUTO(freep) char *what = xasprintf("%s %s", change_kind_name(c->kind), c->object);

        return not_decided(what);
    }
    if (!c->live)
        TRY(must_not_run(ctx, a->step, c->object));
    return make_change(ctx, s, c, a->step->op);
}

static struct err *run_stages(struct ctx *ctx, const struct step_run *s, bool dry,
                              struct storage_arg *arg, struct stage_report *ret)
{
    AUTO(names_clear) struct names only = {0};
    struct stage_run_opts opts = {
        .dry_run = dry, .on_change = on_late_change, .make = make_late, .arg = arg};

    bool gates = false;

    TRY(names_of(json_get(s->inputs, "stages"), &only));
    TRY(json_as_bool(json_get(s->inputs, "gates"), &gates));
    TRY(json_as_bool(json_get(s->inputs, "adopt"), &opts.adopt));
    opts.all = plans_all(ctx, gates);
    opts.only = only.items;
    return stages_apply(ctx, &opts, ret);
}

/* What does not hold, and stops nobody. */
static void tell_left(const struct step_run *s, const struct stage_report *r)
{
    for (size_t i = 0; i < r->left.n; i++) {
        report_begin(s->report, "left");
        report_end(s->report, false, "%s", r->left.items[i]);
    }
}

static struct err *storage_ready(struct ctx *ctx, struct step_run *s)
{
    struct storage_arg arg = {.step = s};
    AUTO(stage_report_clear) struct stage_report looked = {0};
    struct err *e = run_stages(ctx, s, true, &arg, &looked);
    AUTO(freep) char *first = arg.first, *harmful = arg.harmful, *not_live = arg.not_live;

    if (!e && harmful)
        e = not_decided(harmful);
    if (!e && not_live)
        e = must_not_run(ctx, s, not_live);
    s->nothing = !first;
    if (s->nothing && !e)
        tell_left(s, &looked);
    if (s->nothing && s->changed_before && !e)
        return NULL;
    report_begin(s->report, "storage");
    TRY(e);
    if (s->nothing)
        report_end(s->report, false, "%zu stages in place", looked.in_place);
    return NULL;
}

static struct err *storage_act(struct ctx *ctx, struct step_run *s)
{
    struct storage_arg arg = {.step = s};
    AUTO(stage_report_clear) struct stage_report done = {0};
    struct err *e = run_stages(ctx, s, false, &arg, &done);

    if (!e)
        tell_left(s, &done);
    free(arg.first);
    free(arg.harmful);
    free(arg.not_live);
    return e;
}

const struct step step_storage = {
    .name = "storage",
    .cls = STEP_IDEMPOTENT,
    .bound = true,
    .looks = true,
    .ready = storage_ready,
    .act = storage_act,
};

static struct err *decide(struct ctx *ctx, const void *opts, struct flow_plan *ret)
{
    AUTO(unit_config_freep) struct unit_config *u = NULL;
    bool there = false;

    TRY(unit_config_look(ctx, NULL, &u));
    TRY(unit_look(ctx, u, &there));
    return prepare_decide(ctx, opts, there, ret);
}

static struct json *wish(struct ctx *ctx, const void *opts)
{
    const struct prepare_opts *o = opts;
    struct json *j = json_new_object();

    json_put(j, "stages", prepare_names(o->stages));
    json_put(j, "destroy", prepare_names(o->destroy));
    json_put(j, "adopt", json_new_bool(o->adopt));
    return j;
}

static const struct step *const steps[] = {&step_change, &step_change_once, &step_storage, NULL};

const struct flow prepare_flow = {
    .name = "prepare",
    .summary = "make the host as the config says",
    .command = "prepare --apply",
    .version = 3, /* changes hold the texts that they write */
    .steps = steps,
    .decide = decide,
    .wish = wish,
    .open = unit_state_open_any,
    .close = unit_state_close,
};

struct err *flow_prepare(struct ctx *ctx, const struct prepare_opts *opts,
                         const struct flow_how *how, struct flow_result *ret)
{
    static const struct prepare_opts all;

    return flow_run(ctx, &prepare_flow, opts ? opts : &all, how, ret);
}
