/* The stop flow: hold, ask, wait, prove. The admin socket's
 * `exit` is the only way in: Agave has no signal handler, so a SIGTERM would be a kill in mid-write
 * (seen on 3.0.14: gone in 1.2 s, no word in its log, the socket left behind). */
#include "flow/stop.h"

#include <stdlib.h>

#include "base/str.h"
#include "io/clock.h"
#include "solana/admin.h"

#define ASK_MS  10000
#define POLL_MS 200

struct wait_arg {
    const struct runtime *rt;
    const struct unit *u;
    const struct flow_report *report;
    uint64_t begun_ns;
};

static struct err *gone(struct ctx *ctx, void *arg, bool *ret_done)
{
    struct wait_arg *w = arg;
    AUTO(freep) pid_t *pids = NULL;
    AUTO(strlist_clear) struct strlist stuck = {0};
    char took[32];
    size_t n = 0;

    TRY(w->rt->pids(ctx, w->u, &pids, &n));
    *ret_done = n == 0;
    if (n == 0)
        return NULL;
    TRY(stop_stuck(ctx, pids, n, &stuck));
    fmt_duration((double)(clock_mono_ns(ctx) - w->begun_ns) / 1e9, took, sizeof(took));
    report_progress(w->report, "%s, process %d is still there%s%s", took, pids[0],
                    stuck.n ? "; " : "", stuck.n ? stuck.items[0] : "");
    return NULL;
}

/* A validator that cannot be asked is left alone: what to do with it is the operator's decision. */
static struct err *cannot_ask(struct err *e, pid_t pid)
{
    if (!e)
        return NULL;
    if (e->kind == ERR_CANCELLED)
        return err_hint(e, "look with 'agavectl status' whether process %d was asked already", pid);
    struct err *refused =
        err_new(ERR_REFUSED, "process %d cannot be asked to exit: %s", pid, e->text);
    err_free(e);
    return err_hint(refused, "nothing was killed; if it is still starting, try again in a minute");
}

static struct err *wait_gone(struct ctx *ctx, struct wait_arg *w)
{
    AUTO(freep) pid_t *pids = NULL;
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
    if (look)
        e = err_hint(e, "could not look at its threads: %s", look->text);
    err_free(look);
    return err_hint(e, "nothing was killed; do not restart its node or reboot; look again with "
                       "'agavectl stop'");
}

/* Before anything is changed somebody must be listening; *ret_deaf: not any more, because an
 * earlier stop asked it already (Agave closes its admin socket long before it ends). */
static struct err *hold(struct ctx *ctx, struct wait_arg *w, pid_t pid, bool *ret_deaf,
                        struct json **ret_undo)
{
    struct admin_progress answers;
    struct unit_status st = {0};

    TRY(w->rt->status(ctx, w->u, &st));
    bool asked = st.phase == PH_STOPPING;
    struct err *e = admin_start_progress(ctx, w->u->ledger, ASK_MS, &answers);
    *ret_deaf = e && asked && e->kind != ERR_CANCELLED;
    if (*ret_deaf)
        e = err_free(e);
    TRY(cannot_ask(e, pid));
    if (ctx_cancelled(ctx))
        return err_new(ERR_CANCELLED, "interrupted before the validator was asked to exit");
    TRY(w->rt->stop_begin(ctx, w->u, w->u->ladder_s, ret_undo));
    report_end(w->report, !asked, "%s",
               asked ? "an earlier stop is under way" : "nothing starts it again");
    return NULL;
}

static struct err *end_it(struct ctx *ctx, struct wait_arg *w, pid_t pid)
{
    AUTO(json_freep) struct json *undo = NULL;
    char took[32];
    bool deaf = false;

    report_begin(w->report, "hold");
    TRY(hold(ctx, w, pid, &deaf, &undo));

    report_begin(w->report, "ask");
    if (!deaf)
        TRY(cannot_ask(admin_exit(ctx, w->u->ledger, ASK_MS), pid));
    report_end(w->report, !deaf,
               deaf ? "process %d was asked before and listens no more"
                    : "process %d was asked to exit over its admin socket",
               pid);

    report_begin(w->report, "wait");
    TRY(wait_gone(ctx, w));
    fmt_duration((double)(clock_mono_ns(ctx) - w->begun_ns) / 1e9, took, sizeof(took));
    report_end(w->report, true, "process %d ended after %s", pid, took);
    return w->rt->stop_end(ctx, w->u, undo);
}

static struct err *prove(struct ctx *ctx, const struct runtime *rt, const struct unit *u,
                         struct stop_proof **ret)
{
    struct err *e = stop_prove(ctx, rt, u, ret);

    if (e && e->kind == ERR_REFUSED)
        e = err_hint(e, "nothing was killed; look again with 'agavectl stop'");
    return e;
}

struct err *flow_stop(struct ctx *ctx, const struct runtime *rt, const struct unit *u,
                      const struct flow_report *report, bool *ret_changed,
                      struct stop_proof **ret_proof)
{
    struct wait_arg w = {.rt = rt, .u = u, .report = report, .begun_ns = clock_mono_ns(ctx)};
    AUTO(stop_proof_releasep) struct stop_proof *proof = NULL;
    AUTO(freep) pid_t *pids = NULL;
    AUTO(json_freep) struct json *undo = NULL;
    size_t n = 0;

    TRY(rt->pids(ctx, u, &pids, &n));
    if (n) {
        TRY(end_it(ctx, &w, pids[0]));
    } else {
        /* A unit that died is wanted still: after a stop nothing may bring it back. */
        TRY(rt->stop_begin(ctx, u, u->ladder_s, &undo));
        TRY(rt->stop_end(ctx, u, undo));
    }
    report_begin(report, "prove");
    TRY(prove(ctx, rt, u, &proof));
    report_end(report, false, "no process or thread of it is left, its ledger's lock was free");
    *ret_changed = n > 0;
    if (ret_proof)
        *ret_proof = TAKE(proof);
    return NULL;
}
