/* agavectl restart: stops the validator with proof and starts it again. */
#include "cmd/cmd.h"

#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/progress.h"
#include "flow/restart.h"

static const struct opt opts[] = {
    {.type = OPT_STR,
     .lng = "agave-bin",
     .arg = "FILE",
     .help = "start this validator program in place of the config's",
     .offset = offsetof(struct start_opts, agave_bin)},
    {.type = OPT_FLAG,
     .lng = "wait",
     .help = "return when it is at the tip",
     .offset = offsetof(struct start_opts, wait_tip)},
    {0},
};

static struct err *cmd_restart_run(struct ctx *ctx, const void *o, int argc, char **argv,
                                   struct out *out)
{
    struct flow_result result = {0};
    struct progress p;

    progress_init(&p);
    log_note("restart:");
    struct flow_how how = {.report = &p.report};
    struct err *e = flow_restart(ctx, o, &how, &result);
    progress_close(&p);
    if (e)
        return e;
    out_changed(out, result.changed > 0, "restarted", "nothing was changed");
    return NULL;
}

const struct cmd cmd_restart = {
    .name = "restart",
    .summary = "stop the validator with proof, and start it again",
    .usage = "",
    .detail =
        "What 'agavectl stop' and then 'agavectl start' do, as one operation: whether it may be "
        "started is looked at before it is stopped, and when this is cut off in between, the same "
        "command (or 'agavectl op resume') starts what was stopped. Nothing is ever killed. A "
        "validator that does not run is started.",
    .example = "agavectl restart --wait",
    .flags = CMD_ROOT | CMD_LOCK | CMD_CONFIG | CMD_JSON,
    .opts = opts,
    .opts_size = sizeof(struct start_opts),
    .run = cmd_restart_run,
};
