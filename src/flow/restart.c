/* Restart: what stop and start do, in one journal. Nothing of either is repeated here. */
#include "flow/restart.h"

#include "flow/stop.h"
#include "flow/unit_state.h"

static struct err *decide(struct ctx *ctx, const void *opts, struct flow_plan *ret)
{
    const struct start_opts *o = opts;
    AUTO(unit_config_freep) struct unit_config *u = NULL;
    bool running = false;

    TRY(start_decide(ctx, o->agave_bin, ret->inputs, &running));
    TRY(unit_config_new(ctx, o->agave_bin, &u));
    TRY(unit_config_check(ctx, u)); /* before it is stopped */
    if (running)
        TRY(stop_decide(ctx, u->runtime, &u->unit, ret->inputs));
    flow_plan_add(ret, &step_holds_anew, "storage", NULL, "look at the storage");
    flow_plan_add(ret, &step_held, "hold", NULL, "see to it that nothing starts the validator")
        ->in_place = !running;
    flow_plan_add(ret, &step_stopped, NULL, NULL, "stop it, with proof")->in_place = !running;
    flow_plan_add(ret, &step_start, "start", NULL, "start the validator");
    if (o->wait_tip)
        flow_plan_add(ret, &step_tip, "tip", NULL, "wait until it is at the tip");
    return NULL;
}

static struct json *wish(struct ctx *ctx, const void *opts)
{
    return start_flow.wish(ctx, opts);
}

static const struct step *const steps[] = {&step_holds_anew, &step_held, &step_stopped,
                                           &step_start,      &step_tip,  NULL};

const struct flow restart_flow = {
    .name = "restart",
    .summary = "stop the validator with proof, and start it again",
    .version = 1,
    .steps = steps,
    .decide = decide,
    .wish = wish,
    .open = unit_state_open,
    .close = unit_state_close,
};

struct err *flow_restart(struct ctx *ctx, const struct start_opts *opts, const struct flow_how *how,
                         struct flow_result *ret)
{
    return flow_run(ctx, &restart_flow, opts, how, ret);
}
