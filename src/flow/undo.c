/* Undo: each change that is noted as made is looked at, taken back when it is still as it was made,
 * and forgotten when nothing of it is left. Whether it is, and how it goes, only its stage knows.
 * What would be refused in the middle is asked at the decision, before anything is taken back. */
#include "flow/undo.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "flow/change.h"
#include "flow/made.h"
#include "flow/prepare.h"
#include "flow/unit_state.h"
#include "stage/engine.h"
#include "stage/unmount.h"

/* What the steps share. */
struct undo_state {
    void *unit;           /* struct unit_state * */
    struct strlist *kept; /* NULL: nobody asks */
};

static struct err *not_while_running(const char *what)
{
    return err_new(ERR_REFUSED,
                   "it is not taken back while the validator runs: %s; stop it first with "
                   "'agavectl stop'",
                   what);
}

/* One that this agavectl's stage cannot take back (any more) stays. */
static struct err *look_at(struct ctx *ctx, const struct stage *s, const struct change *c,
                           struct undo_look *ret)
{
    if (s->undo_look)
        return err_wrap(s->undo_look(ctx, c, ret), "stage '%s'", s->name);
    *ret = (struct undo_look){
        .verdict = UNDO_KEEP,
        .what = xasprintf("'%s': this agavectl cannot take that back", c->object)};
    return NULL;
}

/* --- the steps --- */

/* Each step has a text: one without would be told as failed. To be freed. */
static char *gone_text(const struct change *c)
{
    return xasprintf("nothing is left to do for '%s'", c->object);
}

static struct err *undo_ready(struct ctx *ctx, struct step_run *s)
{
    AUTO(change_clear) struct change c = {0};
    AUTO(undo_look_clear) struct undo_look l = {0};
    struct undo_state *state = s->state;
    const struct unit_state *unit = state->unit;
    const struct stage *stage;
    bool there = false;

    TRY(change_from_json(s->data, &stage, &c));
    TRY(look_at(ctx, stage, &c, &l));
    s->nothing = l.verdict != UNDO_DO;
    if (l.verdict == UNDO_KEEP) {
        s->text = xasprintf("kept: %s", l.what);
        if (state->kept)
            strlist_add(state->kept, l.what);
    }
    if (l.verdict == UNDO_GONE)
        s->text = gone_text(&c);
    if (s->nothing)
        return NULL;
    if (!c.live)
        TRY(unit_look(ctx, unit->u, &there));
    if (there)
        return not_while_running(l.what);
    return l.unmounts ? unmount_may(ctx, c.object, l.unmounts, NULL) : NULL;
}

static struct err *undo_act(struct ctx *ctx, struct step_run *s)
{
    AUTO(change_clear) struct change c = {0};
    AUTO(undo_look_clear) struct undo_look l = {0};
    const struct stage *stage;

    TRY(change_from_json(s->data, &stage, &c));
    TRY(look_at(ctx, stage, &c, &l));
    if (l.verdict != UNDO_DO) {
        s->text = gone_text(&c);
        return NULL;
    }
    report_progress(s->report, "%s", l.what);
    TRY_CTX(stage->undo(ctx, &c), "stage '%s'", stage->name);
    s->text = xstrdup(l.what);
    return NULL;
}

static struct err *undo_verify(struct ctx *ctx, struct step_run *s, bool *ret_done)
{
    AUTO(change_clear) struct change c = {0};
    AUTO(undo_look_clear) struct undo_look l = {0};
    const struct stage *stage;

    TRY(change_from_json(s->data, &stage, &c));
    TRY(look_at(ctx, stage, &c, &l));
    *ret_done = l.verdict != UNDO_DO;
    if (*ret_done && s->probing) /* by a run that was cut off */
        s->text = gone_text(&c);
    return NULL;
}

/* Another boot may have mounted it again. */
static const struct step step_undo = {
    .name = "undo",
    .cls = STEP_PROBE_FIRST,
    .bound = true,
    .asks = true,
    .ready = undo_ready,
    .act = undo_act,
    .verify = undo_verify,
};
/* It is there to be said; but a folder that is not empty yet may be so when its turn comes. */
static const struct step step_kept = {
    .name = "kept",
    .cls = STEP_PROBE_FIRST,
    .bound = true,
    .ready = undo_ready,
    .act = undo_act,
    .verify = undo_verify,
};

static struct err *forget_ready(struct ctx *ctx, struct step_run *s)
{
    AUTO(change_clear) struct change c = {0};
    AUTO(undo_look_clear) struct undo_look l = {0};
    const struct stage *stage;

    TRY(change_from_json(s->data, &stage, &c));
    TRY(look_at(ctx, stage, &c, &l));
    s->nothing = l.verdict != UNDO_GONE;
    return NULL;
}

static struct err *forget_act(struct ctx *ctx, struct step_run *s)
{
    AUTO(change_clear) struct change c = {0};
    const struct stage *stage;

    TRY(change_from_json(s->data, &stage, &c));
    s->changed = false; /* the host is as before */
    return made_forget(ctx, stage, &c);
}

/* A note goes only when nothing of its change is left to be seen. */
static const struct step step_forget = {
    .name = "forget",
    .cls = STEP_IDEMPOTENT,
    .looks = true,
    .ready = forget_ready,
    .act = forget_act,
};

/* --- the decision --- */

/* Whose changes are taken back: those that were asked for, and those that must go with them. */
struct wanted {
    struct strlist names, with; /* with: for whom, "" for one that was asked for */
    bool all;
};

static void wanted_clear(struct wanted *w)
{
    strlist_clear(&w->names);
    strlist_clear(&w->with);
}

static void want(struct wanted *w, const char *name, const char *with)
{
    if (strlist_has(&w->names, name))
        return;
    strlist_add(&w->names, name);
    strlist_add(&w->with, with);
}

/* The list grows while it is walked. */
static void wanted_fill(const struct undo_opts *o, struct wanted *w)
{
    w->all = !o->stages || !o->stages[0];
    for (size_t i = 0; o->stages && o->stages[i]; i++)
        want(w, o->stages[i], "");
    for (size_t i = 0; i < w->names.n; i++) {
        const struct stage *s = stage_by_name(stage_table, w->names.items[i]);

        for (size_t k = 0; s && s->undo_with && s->undo_with[k]; k++)
            want(w, s->undo_with[k], s->name);
    }
}

/* *ret_with: the stage that this one goes with, or NULL. */
static bool is_wanted(const struct wanted *w, const struct stage *s, const char **ret_with)
{
    *ret_with = NULL;
    for (size_t i = 0; i < w->names.n; i++) {
        if (!str_eq(w->names.items[i], s->name))
            continue;
        *ret_with = *w->with.items[i] ? w->with.items[i] : NULL;
        return true;
    }
    return w->all;
}

struct item {
    const struct made *m;
    struct undo_look l;
    const char *with; /* the stage that it goes with; NULL: it was asked for */
};
struct items { /* in the order in which they are taken back */
    struct item *items;
    size_t n, cap;
};

static void items_clear(struct items *x)
{
    for (size_t i = 0; i < x->n; i++)
        undo_look_clear(&x->items[i].l);
    free(x->items);
    *x = (struct items){0};
}

static bool is_below(const char *path, const char *base)
{
    size_t n = strlen(base);

    return strncmp(path, base, n) == 0 && path[n] == '/';
}

/* In items from..to: what is not of that stage first, else in the same order. */
static void put_stage_last(struct item *from, const struct item *to, const struct stage *stage)
{
    size_t n = (size_t)(to - from) + 1, at = 0;
    AUTO(freep) struct item *all = xcalloc(n, sizeof(*all));

    memcpy(all, from, n * sizeof(*all));
    for (int last = 0; last < 2; last++)
        for (size_t i = 0; i < n; i++)
            if ((all[i].m->stage == stage) == last)
                from[at++] = all[i];
}

/* An rbind goes after what is mounted below its source. That unmount goes on to wherever the rbind
 * was passed on; an unmount below the rbind does not, where mount(8) attached it before it was
 * made a slave: services with mounts of their own would keep it. What else its stage did (sharing
 * the source, without which nothing is passed on) stays after it. */
static void put_rbinds_later(struct items *x)
{
    for (size_t i = x->n; i-- > 0;) {
        const struct item it = x->items[i];
        size_t to = i;

        if (it.l.unmounts != UNDO_RBIND || !it.l.source)
            continue;
        for (size_t k = i + 1; k < x->n; k++)
            if (x->items[k].l.unmounts == UNDO_MOUNT &&
                is_below(x->items[k].m->change.object, it.l.source))
                to = k;
        put_stage_last(&x->items[i], &x->items[to], it.m->stage);
    }
}

static struct err *look_at_all(struct ctx *ctx, const struct wanted *w,
                               const struct made_list *made, struct items *ret)
{
    for (size_t i = made->n; i-- > 0;) {
        const struct made *m = &made->items[i];
        const char *with = NULL;

        if (!is_wanted(w, m->stage, &with))
            continue;
        ret->items = xgrow(ret->items, &ret->cap, ret->n + 1, sizeof(*ret->items));
        struct item *it = &ret->items[ret->n++];
        *it = (struct item){.m = m, .with = with};
        TRY(look_at(ctx, m->stage, &m->change, &it->l));
    }
    put_rbinds_later(ret);
    return NULL;
}

static void add_step(const struct item *it, const struct step *step, const char *what,
                     struct flow_plan *ret)
{
    flow_plan_add(ret, step, it->m->stage->name, change_json(it->m->stage, &it->m->change), "%s",
                  what);
}

/* gone: mount points that will have been taken away by then. What was made below one of them is
 * hidden until then, and is looked at when its turn comes. */
static struct err *plan_one(struct ctx *ctx, const struct item *it, bool running,
                            struct strlist *gone, struct flow_plan *ret)
{
    const struct undo_look *l = &it->l;
    const struct change *c = &it->m->change;

    if (l->verdict == UNDO_DO && running && !c->live)
        return not_while_running(l->what);
    if (l->verdict == UNDO_DO && l->unmounts)
        TRY(unmount_may(ctx, c->object, l->unmounts, (const char *const *)gone->items));
    AUTO(freep)
    char *hidden = xasprintf("take back what the mount hides: %s %s%s%s", change_kind_name(c->kind),
                             c->object, c->after ? ", " : "", c->after ? c->after : "");
    AUTO(freep) char *kept = xasprintf("kept: %s", l->what ? l->what : "");
    AUTO(freep)
    char *what = it->with ? xasprintf("%s (goes with stage '%s')", l->what, it->with)
                          : xstrdup(l->what ? l->what : "");
    if (l->verdict == UNDO_DO)
        add_step(it, &step_undo, what, ret);
    else if (l->verdict == UNDO_KEEP)
        add_step(it, &step_kept, kept, ret);
    else if (strlist_has(gone, c->object))
        add_step(it, &step_undo, hidden, ret);
    flow_plan_add(ret, &step_forget, NULL, change_json(it->m->stage, c), "forget '%s'", c->object);
    if (l->verdict == UNDO_DO && l->unmounts)
        strlist_add(gone, c->object);
    return NULL;
}

static struct err *decide(struct ctx *ctx, const void *opts, struct flow_plan *ret)
{
    AUTO(unit_config_freep) struct unit_config *u = NULL;
    AUTO(made_list_clear) struct made_list made = {0};
    AUTO(items_clear) struct items items = {0};
    AUTO(strlist_clear) struct strlist gone = {0};
    AUTO(wanted_clear) struct wanted wanted = {0};
    bool running = false;

    wanted_fill(opts, &wanted);
    TRY(made_load(ctx, &made));
    TRY(unit_config_look(ctx, NULL, &u));
    TRY(unit_look(ctx, u, &running));
    TRY(look_at_all(ctx, &wanted, &made, &items));
    for (size_t i = 0; i < items.n; i++)
        TRY(plan_one(ctx, &items.items[i], running, &gone, ret));
    return NULL;
}

static struct json *wish(struct ctx *ctx, const void *opts)
{
    const struct undo_opts *o = opts;
    struct json *j = json_new_object();

    json_put(j, "stages", prepare_names(o->stages));
    return j;
}

static struct err *open_state(struct ctx *ctx, const struct json *inputs, void **ret)
{
    struct undo_state *s = xcalloc(1, sizeof(*s));
    struct err *e = unit_state_open_any(ctx, inputs, &s->unit);

    if (e)
        free(s);
    else
        *ret = s;
    return e;
}

static void close_state(void *state)
{
    struct undo_state *s = state;

    if (s)
        unit_state_close(s->unit);
    free(s);
}

static const struct step *const steps[] = {&step_undo, &step_kept, &step_forget, NULL};
static const char *const gives_up[] = {"prepare", NULL};

const struct flow undo_flow = {
    .name = "undo",
    .summary = "take back what was made on this host",
    .command = "prepare --undo",
    .version = 1,
    .steps = steps,
    .gives_up = gives_up,
    .decide = decide,
    .wish = wish,
    .open = open_state,
    .close = close_state,
};

struct err *flow_undo(struct ctx *ctx, const struct undo_opts *opts, const struct flow_how *how,
                      struct flow_result *ret, struct strlist *ret_kept)
{
    static const struct undo_opts all;
    struct flow_how with = how ? *how : (struct flow_how){0};

    TRY(open_state(ctx, NULL, &with.state));
    ((struct undo_state *)with.state)->kept = ret_kept;
    struct err *e = flow_run(ctx, &undo_flow, opts ? opts : &all, &with, ret);
    close_state(with.state);
    return e;
}
