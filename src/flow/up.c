/* Up: prepare the host, get a snapshot, start, wait for the tip. The steps know nothing of each
 * other but their order; each looks first, so that the flow can be run again at any point. */
#include "flow/up.h"

#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "flow/ports.h"
#include "flow/snapshot_get.h"
#include "flow/start.h"
#include "look/status.h"
#include "look/unit_config.h"
#include "io/clock.h"
#include "stage/engine.h"

#define REFERENCES_MS 30000
#define POLL_MS       500

struct prepare_arg {
    const struct flow_report *report;
    struct up_result *result;
    char *first; /* the first change that would be made */
};

static void on_change(void *arg, const struct stage *s, const struct change *c,
                      enum stage_moment when)
{
    struct prepare_arg *a = arg;

    if (when == STAGE_PLANNED && !a->first)
        a->first = xasprintf("%s %s", change_kind_name(c->kind), c->object);
    if (when == STAGE_BEGIN) {
        report_begin(a->report, s->name);
        report_progress(a->report, "%s %s", change_kind_name(c->kind), c->object);
    } else if (when == STAGE_DONE) {
        report_end(a->report, true, "%s: %s", c->object, c->after ? c->after : "done");
        a->result->changed++;
    }
}

/* While the validator runs its storage is only looked at: a mount over its ledger would hide it,
 * and a second validator would be started on the same identity. */
static struct err *prepare(struct ctx *ctx, bool running, const struct flow_report *report,
                           struct up_result *result)
{
    struct prepare_arg arg = {.report = report, .result = result};
    struct stage_run_opts opts = {.dry_run = running, .on_change = on_change, .arg = &arg};
    AUTO(stage_report_clear) struct stage_report done = {0};
    struct err *e = stages_apply(ctx, &opts, &done);
    AUTO(freep) char *first = arg.first;

    if (running && done.planned) {
        err_free(e); /* what follows from that change not having been made */
        return err_new(ERR_REFUSED,
                       "nothing is changed while the validator runs, and the storage is not as the "
                       "config says (missing: %s); stop it first with 'agavectl stop'",
                       first);
    }
    TRY(e);
    if (done.changed == 0) {
        report_begin(report, "storage");
        report_end(report, false, "%zu stages in place", done.in_place);
    }
    return NULL;
}

struct tip_arg {
    const struct status_params *params;
    uint64_t tip;
    char *last; /* why there is none yet */
};

static struct err *tip_known(struct ctx *ctx, void *arg, bool *ret_done)
{
    struct tip_arg *a = arg;
    AUTO(status_clear) struct status s = {0};

    TRY(status_gather(ctx, a->params, &s));
    *ret_done = s.tip.known;
    a->tip = s.tip.v;
    free(a->last);
    a->last = NULL;
    for (size_t i = 0; i < s.n_refs && !a->last; i++)
        if (s.refs[i].error)
            a->last = xasprintf("%s: %s", s.refs[i].url, s.refs[i].error);
    return NULL;
}

/* How old a snapshot is, only the cluster can say. */
static struct err *ask_tip(struct ctx *ctx, const struct unit_config *u, uint64_t *ret)
{
    struct status_params p = unit_config_status(ctx, u);
    struct tip_arg a = {.params = &p};

    if (p.n_refs == 0)
        return err_new(ERR_BADINPUT, "%s: cluster.references is empty: name at least one RPC node",
                       ctx->cfg->file);
    p.runtime = NULL; /* the cluster alone is asked */
    p.ledger = p.snapshots_dir = NULL;
    p.rpc_url = NULL;
    p.state_dir = NULL;
    struct err *e =
        wait_until(ctx, "an answer of any reference", REFERENCES_MS, POLL_MS, tip_known, &a);
    if (e && a.last)
        e = err_hint(e, "%s", a.last);
    free(a.last);
    *ret = a.tip;
    return e;
}

static struct err *get_snapshot(struct ctx *ctx, const struct unit_config *u,
                                const struct flow_report *report, struct up_result *result)
{
    const struct config *c = ctx->cfg;
    const struct strlist *sources =
        c->snapshot.sources.n ? &c->snapshot.sources : &c->cluster.references;
    struct snapshot_want want = {
        .dir = c->validator.snapshots,
        .sources = (const char *const *)sources->items,
        .n_sources = sources->n,
        .max_age_slots = c->snapshot.max_age_slots,
        .uid = (uint32_t)c->validator.uid,
        .gid = (uint32_t)c->validator.gid,
    };
    AUTO(freep) char *summary = NULL;
    bool changed = false;

    report_begin(report, "snapshot");
    TRY(ask_tip(ctx, u, &want.tip));
    TRY(snapshot_get(ctx, &want, report, &changed, &summary));
    report_end(report, changed, "%s", summary);
    result->changed += changed;
    return NULL;
}

struct err *flow_up(struct ctx *ctx, const struct up_opts *opts, const struct flow_report *report,
                    struct up_result *ret)
{
    AUTO(unit_config_freep) struct unit_config *u = NULL;
    struct unit_status st = {0};
    struct up_result result = {0};
    bool changed = false;

    TRY(unit_config_new(ctx, opts->agave_bin, &u));
    TRY(unit_config_check(ctx, u)); /* before anything is changed */
    TRY(u->runtime->status(ctx, &u->unit, &st));
    TRY(start_may(&st));
    bool running = unit_runs(&st);
    if (!running)
        TRY(ports_check(ctx));
    TRY_CTX(prepare(ctx, running, report, &result), "prepare");
    if (!running)
        TRY_CTX(get_snapshot(ctx, u, report, &result), "snapshot");
    TRY_CTX(start_unit(ctx, u, report, &changed), "start");
    result.changed += changed;
    if (!opts->no_wait)
        TRY_CTX(start_wait_tip(ctx, u, report), "tip");
    *ret = result;
    return NULL;
}
