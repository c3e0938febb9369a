/* The stop flow of the process runtime's first version: hold, ask, wait, prove. The admin socket's
 * `exit` is the only way in: Agave has no signal handler, so a SIGTERM would be a kill in mid-write
 * (FORMATS 5, MEASURED "Ending a real validator"). */
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
    struct err *refused =
        err_new(ERR_REFUSED, "process %d cannot be asked to exit: %s", pid, e->text);
    err_free(e);
    return err_hint(refused, "nothing was killed; if it is still starting, try again in a minute");
}

static struct err *wait_gone(struct ctx *ctx, struct wait_arg *w)
{
    AUTO(freep) pid_t *pids = NULL;
    AUTO(strlist_clear) struct strlist stuck = {0};
    size_t n = 0;
    struct err *e = wait_until(ctx, "the end of the validator", (uint64_t)w->u->ladder_s * 1000,
                               POLL_MS, gone, w);

    if (!e || e->kind != ERR_TIMEOUT)
        return e;
    struct err *look = w->rt->pids(ctx, w->u, &pids, &n);
    if (!look)
        look = stop_stuck(ctx, pids, n, &stuck);
    for (size_t i = 0; i < stuck.n; i++)
        e = err_hint(e, "%s", stuck.items[i]);
    if (look)
        e = err_hint(e, "could not look at its threads: %s", look->text);
    err_free(look);
    return err_hint(e, "nothing was killed; do not restart its node or reboot; look again with "
                       "'agavectl stop'");
}

static struct err *end_it(struct ctx *ctx, struct wait_arg *w, pid_t pid)
{
    AUTO(json_freep) struct json *undo = NULL;
    struct admin_progress answers;
    char took[32];

    report_begin(w->report, "hold");
    /* Before anything is changed: somebody must be listening. */
    TRY(cannot_ask(admin_start_progress(ctx, w->u->ledger, ASK_MS, &answers), pid));
    TRY(w->rt->stop_begin(ctx, w->u, w->u->ladder_s, &undo));
    report_end(w->report, true, "nothing starts it again");

    report_begin(w->report, "ask");
    TRY(cannot_ask(admin_exit(ctx, w->u->ledger, ASK_MS), pid));
    report_end(w->report, true, "process %d was asked to exit over its admin socket", pid);

    report_begin(w->report, "wait");
    TRY(wait_gone(ctx, w));
    fmt_duration((double)(clock_mono_ns(ctx) - w->begun_ns) / 1e9, took, sizeof(took));
    report_end(w->report, true, "process %d ended after %s", pid, took);
    return w->rt->stop_end(ctx, w->u, undo);
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
    TRY(stop_prove(ctx, rt, u, &proof));
    report_end(report, false, "no process or thread of it is left, its ledger's lock was free");
    *ret_changed = n > 0;
    if (ret_proof)
        *ret_proof = TAKE(proof);
    return NULL;
}
