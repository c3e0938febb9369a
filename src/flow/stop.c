/* The stop flow: hold, ask, wait, prove. The admin socket's
 * `exit` is the only way in: Agave has no signal handler, so a SIGTERM would be a kill in mid-write
 * (seen on 3.0.14: gone in 1.2 s, no word in its log, the socket left behind). */
#include "flow/stop.h"

#include <stdlib.h>

#include "base/fault.h"
#include "base/str.h"
#include "config/config.h"
#include "flow/op.h"
#include "flow/unit_state.h"
#include "io/clock.h"
#include "look/unit_config.h"
#include "solana/admin.h"

#define ASK_MS  10000
#define POLL_MS 200

struct stop_state {
    const struct runtime *rt;
    const struct unit *u;
    struct unit_config *owned; /* what rt and u are from; NULL: the caller's */
    const struct flow_report *report;
    uint64_t begun_ns;
    pid_t pid;         /* the main process when it was looked at first; 0: it did not run */
    bool asked, deaf;  /* by an earlier stop; and it listens no more */
    struct json *undo; /* what stop_begin gave */
    struct stop_proof *proof;
};

static void state_clear(struct stop_state *w)
{
    stop_proof_release(w->proof);
    unit_config_free(w->owned);
    json_free(w->undo);
}

static struct err *gone(struct ctx *ctx, void *arg, bool *ret_done)
{
    struct stop_state *w = arg;
    AUTO(freep) pid_t *pids = NULL;
    AUTO(freep) char *what = NULL;
    AUTO(strlist_clear) struct strlist stuck = {0};
    char took[32];
    size_t n = 0;

    TRY(w->rt->pids(ctx, w->u, &pids, &n));
    *ret_done = n == 0;
    if (n == 0 && w->rt->stop_over)
        TRY(w->rt->stop_over(ctx, w->u, ret_done, &what));
    fmt_duration((double)(clock_mono_ns(ctx) - w->begun_ns) / 1e9, took, sizeof(took));
    if (n == 0) {
        if (!*ret_done)
            report_progress(w->report, "%s, no process is left, but %s", took, what);
        return NULL;
    }
    TRY(stop_stuck(ctx, pids, n, &stuck));
    report_progress(w->report, "%s, process %d is still there%s%s", took, pids[0],
                    stuck.n ? "; " : "", stuck.n ? stuck.items[0] : "");
    return NULL;
}

/* What keeps it from answering, where that can be seen. */
static struct err *hint_stuck(struct ctx *ctx, struct err *e, pid_t pid)
{
    AUTO(strlist_clear) struct strlist stuck = {0};

    err_free(stop_stuck(ctx, &pid, 1, &stuck)); /* the refusal says enough without */
    for (size_t i = 0; i < stuck.n; i++)
        e = err_hint(e, "%s", stuck.items[i]);
    return e;
}

/* A validator that cannot be asked is left alone: what to do with it is the operator's decision. */
static struct err *cannot_ask(struct ctx *ctx, struct err *e, pid_t pid)
{
    if (!e)
        return NULL;
    if (e->kind == ERR_CANCELLED)
        return err_hint(e, "look with 'agavectl status' whether process %d was asked already", pid);
    struct err *refused =
        err_new(ERR_REFUSED, "process %d cannot be asked to exit: %s", pid, e->text);
    err_free(e);
    refused = hint_stuck(ctx, refused, pid);
    return err_hint(refused, "nothing was killed; if it is still starting, try again in a minute");
}

static struct err *wait_gone(struct ctx *ctx, struct stop_state *w)
{
    AUTO(freep) pid_t *pids = NULL;
    AUTO(freep) char *what = NULL;
    bool over = false;
    size_t n = 0;
    struct err *e = wait_until(ctx, "the end of the validator", (uint64_t)w->u->ladder_s * 1000,
                               POLL_MS, gone, w);

    if (e && e->kind == ERR_CANCELLED)
        return err_hint(e, "it was asked to exit and goes on with that; 'agavectl stop' waits for "
                           "it again");
    if (!e || e->kind != ERR_TIMEOUT)
        return e;
    struct err *look = w->rt->pids(ctx, w->u, &pids, &n);
    AUTO(freep) char *who = stop_who(ctx, pids, n);
    if (n)
        e = err_hint(e, "still there: %s", who);
    if (!look && !n && w->rt->stop_over)
        look = w->rt->stop_over(ctx, w->u, &over, &what);
    if (what)
        e = err_hint(e, "no process is left, but %s", what);
    if (look)
        e = err_hint(e, "could not look whether it is gone: %s", look->text);
    err_free(look);
    return err_hint(e, "nothing was killed; do not restart its node or reboot; look again with "
                       "'agavectl stop'");
}

/* Before anything is changed somebody must be listening; deaf: not any more, because an earlier
 * stop asked it already (Agave closes its admin socket long before it ends). */
static struct err *must_listen(struct ctx *ctx, struct stop_state *w)
{
    struct admin_progress answers;
    struct unit_status st = {0};

    TRY(w->rt->status(ctx, w->u, &st));
    w->asked = st.phase == PH_STOPPING;
    struct err *e = admin_start_progress(ctx, w->u->ledger, ASK_MS, &answers);
    w->deaf = e && w->asked && e->kind != ERR_CANCELLED;
    if (w->deaf)
        e = err_free(e);
    TRY(cannot_ask(ctx, e, w->pid));
    if (ctx_cancelled(ctx))
        return err_new(ERR_CANCELLED, "interrupted before the validator was asked to exit");
    return NULL;
}

/* What the unit looked like before an operation touched it; NULL: not written down. */
static const struct json *way_of(const struct step_run *s)
{
    return json_get(s->inputs, "way");
}

static char *hold_text(const struct stop_state *w, const struct json *way)
{
    const char *text = NULL;

    if (json_get(way, "text"))
        err_free(json_as_str(json_get(way, "text"), &text)); /* ours: a text */
    return xasprintf("%s%s%s",
                     w->asked ? "an earlier stop is under way"
                     : w->pid ? "nothing starts it again"
                              : "it does not run; nothing starts it again",
                     text && *text ? ": " : "", text ? text : "");
}

static struct err *hold_ready(struct ctx *ctx, struct step_run *s)
{
    struct stop_state *w = s->state;
    AUTO(freep) pid_t *pids = NULL;
    size_t n = 0;

    w->report = s->report;
    w->begun_ns = clock_mono_ns(ctx);
    TRY(w->rt->pids(ctx, w->u, &pids, &n));
    w->pid = n ? pids[0] : 0;
    if (n)
        TRY(must_listen(ctx, w));
    s->text = hold_text(w, way_of(s));
    return NULL;
}

/* Somebody started it between the look and the hold, or a restart was already on its way. */
static struct err *look_again(struct ctx *ctx, struct stop_state *w)
{
    AUTO(freep) pid_t *pids = NULL;
    size_t n = 0;

    if (w->pid)
        return NULL;
    TRY(w->rt->pids(ctx, w->u, &pids, &n));
    w->pid = n ? pids[0] : 0;
    return NULL;
}

/* A unit that died is wanted still: after a stop nothing may bring it back. What is to be undone is
 * what the first hold found. */
static struct err *hold_act(struct ctx *ctx, struct step_run *s)
{
    struct stop_state *w = s->state;
    AUTO(json_freep) struct json *undo = NULL;

    s->changed = w->pid && !w->asked;
    TRY(w->rt->stop_begin(ctx, w->u, w->u->ladder_s, way_of(s), &undo));
    TRY(look_again(ctx, w));
    s->learned = s->before ? json_ref(s->before) : TAKE(undo);
    w->undo = json_free(w->undo);
    w->undo = json_ref(s->learned);
    return NULL;
}

/* *ret_late: it ended by itself before the question; what held its start again holds it now. */
static struct err *ask(struct ctx *ctx, struct stop_state *w, bool *ret_late)
{
    struct err *e = admin_exit(ctx, w->u->ledger, ASK_MS);
    AUTO(freep) pid_t *pids = NULL;
    size_t n = 0;

    *ret_late = false;
    if (!e || e->kind == ERR_CANCELLED)
        return cannot_ask(ctx, e, w->pid);
    struct err *blind = w->rt->pids(ctx, w->u, &pids, &n);
    *ret_late = !blind && n == 0;
    err_free(blind); /* then the refusal says enough */
    return *ret_late ? err_free(e) : cannot_ask(ctx, e, w->pid);
}

static struct err *ask_act(struct ctx *ctx, struct step_run *s)
{
    struct stop_state *w = s->state;
    bool late = false;

    s->changed = w->pid && !w->deaf;
    if (s->changed)
        TRY(ask(ctx, w, &late));
    s->changed &= !late;
    s->text = !w->pid   ? xstrdup("nobody is there to be asked")
              : late    ? xasprintf("process %d ended before it was asked", w->pid)
              : w->deaf ? xasprintf("process %d was asked before and listens no more", w->pid)
                        : xasprintf("process %d was asked to exit over its admin socket", w->pid);
    return NULL;
}

static struct err *wait_act(struct ctx *ctx, struct step_run *s)
{
    struct stop_state *w = s->state;
    char took[32];

    s->changed = w->pid != 0;
    if (w->pid || w->rt->stop_over)
        TRY(wait_gone(ctx, w));
    fmt_duration((double)(clock_mono_ns(ctx) - w->begun_ns) / 1e9, took, sizeof(took));
    s->text = w->pid ? xasprintf("process %d ended after %s", w->pid, took)
                     : xstrdup("there is nobody to wait for");
    return NULL;
}

static struct err *prove_act(struct ctx *ctx, struct step_run *s)
{
    struct stop_state *w = s->state;
    struct err *e = stop_prove(ctx, w->rt, w->u, &w->proof);

    s->changed = false;
    if (e && e->kind == ERR_REFUSED)
        return err_hint(e, "nothing was killed; look again with 'agavectl stop'");
    TRY(e);
    FAULT_AT("acting", "proven");
    TRY_CTX(w->rt->stop_end(ctx, w->u, w->undo), "it is gone, with proof, but");
    s->text = xstrdup("no process or thread of it is left, its ledger's lock was free");
    return NULL;
}

/* All are about processes: a stop that goes on does them again, each looks first. */
static const struct step step_hold = {
    .name = "hold",
    .cls = STEP_IDEMPOTENT,
    .bound = true,
    .ready = hold_ready,
    .act = hold_act,
};
static const struct step step_ask = {
    .name = "ask", .cls = STEP_IDEMPOTENT, .bound = true, .act = ask_act};
static const struct step step_wait = {
    .name = "wait", .cls = STEP_IDEMPOTENT, .bound = true, .act = wait_act};
static const struct step step_prove = {
    .name = "prove", .cls = STEP_IDEMPOTENT, .bound = true, .act = prove_act};

/* For other flows, in two steps: what hold learned is on disk before the validator is asked.
 * Neither is bound: after them comes a start, and what runs then must not be stopped again by an
 * operation that goes on. Their state begins with a struct unit_config *. */
static struct stop_state state_of(const struct step_run *s)
{
    const struct unit_state *state = s->state;

    return (struct stop_state){.rt = state->u->runtime, .u = &state->u->unit};
}

static struct err *held_act(struct ctx *ctx, struct step_run *s)
{
    AUTO(state_clear) struct stop_state w = state_of(s);
    struct step_run own = *s;

    own.state = &w;
    TRY(hold_ready(ctx, &own));
    struct err *e = hold_act(ctx, &own);
    s->changed = own.changed;
    s->text = own.text;
    s->learned = own.learned;
    return e;
}

const struct step step_held = {
    .name = "held",
    .cls = STEP_IDEMPOTENT,
    .act = held_act,
};

/* One of stop's own steps within another one, which has the entry in the journal. */
static struct err *within(struct ctx *ctx, struct step_run *outer, struct stop_state *w,
                          const struct step *step)
{
    struct step_run s = {.report = outer->report, .state = w};

    report_begin(s.report, step->name);
    struct err *e = step->act(ctx, &s);
    if (!e)
        report_end(s.report, s.changed, "%s", s.text);
    outer->changed |= s.changed;
    free(s.text);
    return e;
}

/* What held the unit may have gone with a boot, when the operation goes on: it would be started
 * again as soon as it exits. */
static struct err *hold_again(struct ctx *ctx, struct stop_state *w, const struct json *way)
{
    AUTO(json_freep) struct json *undo = NULL;

    if (!w->rt->stop_look)
        return NULL;
    TRY(w->rt->stop_begin(ctx, w->u, w->u->ladder_s, way, &undo));
    return look_again(ctx, w);
}

/* The proof is given back at once: the start wants the ledger's lock. */
static struct err *stopped_act(struct ctx *ctx, struct step_run *s)
{
    static const struct step *const all[] = {&step_ask, &step_wait, &step_prove};
    AUTO(state_clear) struct stop_state w = state_of(s);
    struct step_run look = {.report = s->report, .state = &w};

    s->changed = false;
    TRY(hold_ready(ctx, &look));
    free(look.text);
    TRY(hold_again(ctx, &w, way_of(s)));
    w.undo = json_ref(json_get(s->earlier, step_held.name));
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        TRY(within(ctx, s, &w, all[i]));
    return NULL;
}

const struct step step_stopped = {
    .name = "stopped",
    .cls = STEP_IDEMPOTENT,
    .act = stopped_act,
};

struct err *stop_decide(struct ctx *ctx, const struct runtime *rt, const struct unit *u,
                        struct json *inputs)
{
    struct json *way = NULL;

    if (rt->stop_look)
        TRY(rt->stop_look(ctx, u, u->ladder_s, &way));
    json_put(inputs, "way", way);
    return NULL;
}

static struct err *decide(struct ctx *ctx, const void *opts, struct flow_plan *ret)
{
    const struct stop_opts *o = opts;

    json_put(ret->inputs, "ledger", json_new_str(o->u->ledger));
    json_put(ret->inputs, "ladder_s", json_new_u64(o->u->ladder_s));
    TRY(stop_decide(ctx, o->rt, o->u, ret->inputs));
    flow_plan_add(ret, &step_hold, "hold", NULL, "see to it that nothing starts the validator");
    flow_plan_add(ret, &step_ask, "ask", NULL, "ask it to exit");
    flow_plan_add(ret, &step_wait, "wait", NULL, "wait for its end");
    flow_plan_add(ret, &step_prove, "prove", NULL, "prove that nothing of it is left");
    return NULL;
}

static struct json *wish(struct ctx *ctx, const void *opts)
{
    const struct stop_opts *o = opts;
    struct json *j = json_new_object();

    json_put(j, "ledger", json_new_str(o->u->ledger));
    return j;
}

static void close_state(void *state)
{
    state_clear(state);
    free(state);
}

static struct err *open_state(struct ctx *ctx, const struct json *inputs, void **ret)
{
    AUTO(unit_config_freep) struct unit_config *u = NULL;
    const char *ledger;
    struct stop_state *w;

    TRY(json_as_str(json_get(inputs, "ledger"), &ledger));
    TRY(unit_config_new(ctx, NULL, &u));
    if (!str_eq(ledger, u->unit.ledger)) /* a proof about another one would prove nothing */
        return err_new(ERR_REFUSED,
                       "this stop is of the validator on '%s', and the config names '%s' now: put "
                       "the config back, or begin anew with 'agavectl stop'",
                       ledger, u->unit.ledger);
    w = xcalloc(1, sizeof(*w));
    *w = (struct stop_state){.rt = u->runtime, .u = &u->unit, .owned = u};
    u = NULL;
    *ret = w;
    return NULL;
}

static const struct step *const steps[] = {&step_hold, &step_ask, &step_wait, &step_prove, NULL};

const struct flow stop_flow = {
    .name = "stop",
    .summary = "stop the validator, with proof",
    .version = 1,
    .steps = steps,
    .always = true,
    .decide = decide,
    .wish = wish,
    .open = open_state,
    .close = close_state,
};

struct err *flow_stop(struct ctx *ctx, const struct runtime *rt, const struct unit *u,
                      const struct flow_report *report, bool *ret_changed,
                      struct stop_proof **ret_proof)
{
    AUTO(state_clear) struct stop_state state = {.rt = rt, .u = u};
    AUTO(freep) char *dir = xasprintf("%s/op", u->state_dir);
    struct stop_opts opts = {.rt = rt, .u = u};
    struct op_dirs dirs = {.journal = ctx->cfg ? ctx->cfg->journal_dir : NULL, .state = dir};
    struct flow_how how = {.report = report, .state = &state, .dirs = &dirs};
    struct flow_result done;

    TRY(flow_run(ctx, &stop_flow, &opts, &how, &done));
    *ret_changed = state.pid != 0;
    if (ret_proof)
        *ret_proof = TAKE(state.proof);
    return NULL;
}
