/* agavectl up: the host from bare block devices to a validator at the tip. */
#include "cmd/cmd.h"

#include "base/json.h"
#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/progress.h"
#include "flow/up.h"

static const struct opt opts[] = {
    {.type = OPT_STR,
     .lng = "agave-bin",
     .arg = "FILE",
     .help = "this validator program in place of the config's",
     .offset = offsetof(struct up_opts, agave_bin)},
    {.type = OPT_FLAG,
     .lng = "no-wait",
     .help = "return when the validator has been started",
     .offset = offsetof(struct up_opts, no_wait)},
    {0},
};

static struct err *cmd_up_run(struct ctx *ctx, const void *o, int argc, char **argv,
                              struct out *out)
{
    struct flow_result result = {0};
    struct progress p;

    progress_init(&p);
    log_note("up:");
    struct flow_how how = {.report = &p.report};
    struct err *e = flow_up(ctx, o, &how, &result);
    progress_close(&p);
    if (e)
        return e;
    if (out->json) {
        struct json *doc = answer_new();

        json_put(doc, "changed", json_new_bool(result.changed > 0));
        json_put(doc, "steps_changed", json_new_u64(result.changed));
        out_json(out, doc);
        return NULL;
    }
    if (result.changed == 0)
        out_printf(out, "everything was in place; nothing was changed\n");
    else
        out_printf(out, "up: %u of %u steps changed something\n", result.changed,
                   p.changed + p.kept);
    return NULL;
}

const struct cmd cmd_up = {
    .name = "up",
    .summary = "from bare block devices to a validator at the tip",
    .usage = "",
    .detail =
        "Prepares the host's storage, gets a snapshot, starts the validator and waits until it is "
        "at the tip. Each step first looks whether there is anything to do: a second run changes "
        "nothing and says so; after a failure, run it again and it goes on.\n\n"
        "A file system is made only on a device that is blank and that nobody uses, and that the "
        "config names. A snapshot archive is verified before it gets its name. The tip is decided "
        "by all references of the config together.",
    .example = "agavectl up",
    .flags = CMD_ROOT | CMD_LOCK | CMD_CONFIG | CMD_JSON,
    .opts = opts,
    .opts_size = sizeof(struct up_opts),
    .run = cmd_up_run,
};
