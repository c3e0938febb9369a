/* agavectl up: the host from bare block devices to a validator at the tip. */
#include "cmd/cmd.h"

#include "base/json.h"
#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/confirm.h"
#include "cmd/progress.h"
#include "flow/up.h"

struct up_cmd_opts {
    struct up_opts up;
    struct confirm_opts confirm;
};

static const struct opt opts[] = {
    {.type = OPT_STR,
     .lng = "agave-bin",
     .arg = "FILE",
     .help = "this validator program in place of the config's",
     .offset = offsetof(struct up_cmd_opts, up.agave_bin)},
    {.type = OPT_FLAG,
     .lng = "no-wait",
     .help = "return when the validator has been started",
     .offset = offsetof(struct up_cmd_opts, up.no_wait)},
    CONFIRM_YES(struct up_cmd_opts, confirm),
    CONFIRM_PLAN(struct up_cmd_opts, confirm),
    CONFIRM_DESTROY(struct up_cmd_opts, confirm),
    {0},
};

static struct err *run_up(struct ctx *ctx, const struct up_cmd_opts *o, const struct up_opts *want,
                          struct out *out)
{
    struct confirm confirm = {.ctx = ctx, .opts = &o->confirm};
    struct flow_result result = {0};
    struct progress p;

    progress_init(&p);
    log_note("up:");
    struct flow_how how = {.report = &p.report, .confirm = confirm_ask, .arg = &confirm};
    struct err *e = flow_up(ctx, want, &how, &result);
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

static struct err *cmd_up_run(struct ctx *ctx, const void *opts_, int argc, char **argv,
                              struct out *out)
{
    const struct up_cmd_opts *o = opts_;
    AUTO(strlist_clear) struct strlist destroy = {0};
    struct up_opts want = o->up;

    confirm_destroys(ctx, &o->confirm, &destroy);
    want.destroy = (const char *const *)destroy.items;
    return o->confirm.plan ? confirm_print_plan(ctx, &up_flow, &want, out)
                           : run_up(ctx, o, &want, out);
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
        "by all references of the config together.\n\n"
        "Before anything is changed the plan is printed and asked about; where there is no "
        "terminal, --yes is needed, else the exit code is 4. --plan prints it and changes nothing. "
        "When only the start is left, nothing is asked.",
    .example = "agavectl up --plan",
    .flags = CMD_ROOT | CMD_LOCK | CMD_CONFIG | CMD_JSON,
    .opts = opts,
    .opts_size = sizeof(struct up_cmd_opts),
    .run = cmd_up_run,
};
