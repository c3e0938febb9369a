/* Up: prepare the host, get a snapshot, start, wait for the tip. The steps know nothing of each
 * other but their order; each looks first, so that the flow can go on at any point. */
#include "flow/up.h"

#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "flow/prepare.h"
#include "flow/snapshot_get.h"
#include "flow/start.h"
#include "flow/unit_state.h"
#include "flow/waiting.h"
#include "io/clock.h"
#include "look/status.h"

#define REFERENCES_MS 30000
#define POLL_MS       500

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

static struct err *snapshot_act(struct ctx *ctx, struct step_run *s)
{
    struct unit_state *state = s->state;
    uint64_t tip;

    TRY(waiting_take(ctx, state->u->unit.bin, &state->waited));
    TRY(ask_tip(ctx, state->u, &tip));
    return snapshot_get(ctx, tip, s->report, &s->changed, &s->text);
}

/* Which archive is taken is decided by what the cluster serves when its turn comes, and verified:
 * a choice from before a crash may be gone or too old. */
static const struct step step_snapshot = {
    .name = "snapshot",
    .cls = STEP_IDEMPOTENT, /* a whole archive is found again, a half one is gone on with */
    .asks = true,
    .act = snapshot_act,
};
/* The same where nothing will be fetched, as far as names and the tip tell. */
static const struct step step_snapshot_there = {
    .name = "snapshot-there",
    .cls = STEP_IDEMPOTENT,
    .looks = true,
    .act = snapshot_act,
};

/* Will what is in the folder do? By its names alone: it is verified when its turn comes. Without a
 * tip, no. One quick look; the step itself waits for the references. */
static struct err *snapshot_will_do(struct ctx *ctx, const char *agave_bin, bool *ret)
{
    AUTO(unit_config_freep) struct unit_config *u = NULL;
    AUTO(status_clear) struct status s = {0};

    TRY(unit_config_new(ctx, agave_bin, &u));
    struct status_params p = unit_config_status(ctx, u);
    p.runtime = NULL;
    p.ledger = p.rpc_url = p.state_dir = NULL;
    TRY(status_gather(ctx, &p, &s));
    const struct known_u64 *slot = s.incremental_slot.known ? &s.incremental_slot : &s.full_slot;
    *ret = s.tip.known && slot->known &&
           (s.tip.v <= slot->v || s.tip.v - slot->v <= ctx->cfg->snapshot.max_age_slots);
    return NULL;
}

static struct err *decide(struct ctx *ctx, const void *opts, struct flow_plan *ret)
{
    const struct up_opts *o = opts;
    const struct prepare_opts storage = {.destroy = o->destroy, .gates = true};
    bool running = false, will_do = false;

    TRY(start_decide(ctx, o->agave_bin, ret->inputs, &running));
    TRY_CTX(prepare_decide(ctx, &storage, running, ret), "prepare");
    if (!running)
        TRY(snapshot_will_do(ctx, o->agave_bin, &will_do));
    /* before a snapshot is fetched for a start that would be refused */
    if (*ctx->cfg->kind.cluster || *ctx->cfg->kind.node)
        flow_plan_add(ret, &step_holds, "mounts", NULL, "look at what node and pod see");
    if (!running && will_do)
        flow_plan_add(ret, &step_snapshot_there, "snapshot", NULL, "verify the snapshot");
    else if (!running)
        flow_plan_add(ret, &step_snapshot, "snapshot", NULL, "get a snapshot");
    flow_plan_add(ret, &step_start, "start", NULL, "start the validator")->in_place = running;
    if (!o->no_wait)
        flow_plan_add(ret, &step_tip, "tip", NULL, "wait until it is at the tip");
    return NULL;
}

static struct json *wish(struct ctx *ctx, const void *opts)
{
    const struct up_opts *o = opts;
    struct json *j = json_new_object();

    json_put(j, "agave_bin", json_new_str(o->agave_bin));
    json_put(j, "no_wait", json_new_bool(o->no_wait));
    json_put(j, "destroy", prepare_names(o->destroy));
    return j;
}

static const struct step *const steps[] = {
    &step_change,         &step_change_once, &step_storage, &step_holds, &step_snapshot,
    &step_snapshot_there, &step_start,       &step_tip,     NULL,
};

const struct flow up_flow = {
    .name = "up",
    .summary = "from bare block devices to a validator at the tip",
    .version = 3, /* changes hold the texts that they write */
    .steps = steps,
    .decide = decide,
    .wish = wish,
    .open = unit_state_open,
    .close = unit_state_close,
};

struct err *flow_up(struct ctx *ctx, const struct up_opts *opts, const struct flow_how *how,
                    struct flow_result *ret)
{
    return flow_run(ctx, &up_flow, opts, how, ret);
}
