/* agavectl start: starts the validator on a host that is prepared. */
#include "cmd/cmd.h"

#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/progress.h"
#include "flow/start.h"

static const struct opt opts[] = {
    {.type = OPT_STR,
     .lng = "agave-bin",
     .arg = "FILE",
     .help = "this validator program in place of the config's",
     .offset = offsetof(struct start_opts, agave_bin)},
    {.type = OPT_FLAG,
     .lng = "wait",
     .help = "return when it is at the tip",
     .offset = offsetof(struct start_opts, wait_tip)},
    {0},
};

static struct err *cmd_start_run(struct ctx *ctx, const void *o, int argc, char **argv,
                                 struct out *out)
{
    struct progress p;
    struct flow_result result = {0};

    progress_init(&p);
    log_note("start:");
    struct flow_how how = {.report = &p.report};
    struct err *e = flow_start(ctx, o, &how, &result);
    progress_close(&p);
    if (e)
        return e;
    out_changed(out, result.changed > 0, "started", "it runs already; nothing was changed");
    return NULL;
}

const struct cmd cmd_start = {
    .name = "start",
    .summary = "start the validator on a prepared host",
    .usage = "",
    .detail = "Starts the validator with what is on its disks: no storage is prepared and no "
              "snapshot is fetched (that is 'agavectl up'). Refused while anything holds the "
              "ledger, or when the storage is not as the config says. A service of systemd is "
              "started by systemd, with the command line of its unit file.",
    .example = "agavectl start --wait",
    .flags = CMD_ROOT | CMD_LOCK | CMD_CONFIG | CMD_JSON,
    .opts = opts,
    .opts_size = sizeof(struct start_opts),
    .run = cmd_start_run,
};
