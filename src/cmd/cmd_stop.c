/* agavectl stop: ends the validator and proves that nothing of it is left. */
#include "cmd/cmd.h"

#include "base/json.h"
#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/progress.h"
#include "flow/stop.h"
#include "look/unit_config.h"

static struct err *cmd_stop_run(struct ctx *ctx, const void *o, int argc, char **argv,
                                struct out *out)
{
    AUTO(unit_config_freep) struct unit_config *u = NULL;
    struct progress p;
    bool changed = false;

    TRY(unit_config_new(ctx, NULL, &u));
    progress_init(&p);
    log_note("stop:");
    struct err *e = flow_stop(ctx, u->runtime, &u->unit, &p.report, &changed, NULL);
    progress_close(&p);
    if (e)
        return e;
    if (out->json) {
        struct json *doc = answer_new();

        json_put(doc, "changed", json_new_bool(changed));
        json_put(doc, "proven", json_new_bool(true));
        out_json(out, doc);
        return NULL;
    }
    out_printf(out, changed ? "stopped, with proof\n" : "it did not run; proven\n");
    return NULL;
}

const struct cmd cmd_stop = {
    .name = "stop",
    .summary = "stop the validator, with proof that it is gone",
    .usage = "",
    .detail =
        "Asks the validator to exit over its admin socket, waits at most stop.ladder_s, and proves "
        "that no process or thread of it is left and that its ledger's lock is free. Nothing is "
        "ever killed: a validator killed while it writes can hang the kernel. If it does not end "
        "in time, who is left and in what state is said, and the same command goes on.\n\n"
        "Of a service of systemd (validator.runtime: systemd) what would restart or kill it is put "
        "off first, by a drop-in of this boot that goes with the proof. 'systemctl stop' is not "
        "said: its signal would end the validator in mid-write.\n\n"
        "A stop waits for no other operation: another agavectl that is at work is asked to leave, "
        "what it did not finish is suspended, and 'agavectl op resume' goes on with it after the "
        "stop. The record of a stop is in state_dir, on no disk.",
    .example = "agavectl stop",
    .flags = CMD_ROOT | CMD_LOCK | CMD_TAKEOVER | CMD_CONFIG | CMD_JSON,
    .run = cmd_stop_run,
};
