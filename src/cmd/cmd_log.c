/* agavectl log: the validator's log file. */
#include "cmd/cmd.h"

#include "base/json.h"
#include "cmd/commands.h"
#include "flow/log_reopen.h"

static struct err *reopen_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                              struct out *out)
{
    pid_t pid = 0;

    TRY(log_reopen(ctx, &pid));
    if (out->json) {
        struct json *doc = answer_new();

        json_put(doc, "changed", json_new_bool(pid != 0));
        json_put(doc, "pid", pid ? json_new_u64((uint64_t)pid) : NULL);
        out_json(out, doc);
    } else if (pid) {
        out_printf(out, "process %d has opened its log again\n", (int)pid);
    } else {
        out_printf(out, "no validator runs\n");
    }
    return NULL;
}

static const struct cmd reopen_cmd = {
    .name = "reopen",
    .summary = "let the validator open its log again",
    .usage = "",
    .detail =
        "For logrotate, after it has moved the file: sends SIGUSR1 to the process that holds the "
        "ledger's lock, also in a container, and waits until it has validator.log open. A process "
        "that has not prepared for this signal would be ended by it: then nothing is sent. When no "
        "validator runs, nothing is done, which is no failure.",
    .example = "agavectl log reopen",
    .flags = CMD_ROOT | CMD_CONFIG | CMD_JSON,
    .run = reopen_run,
};
static const struct cmd *const log_subs[] = {&reopen_cmd, NULL};

const struct cmd cmd_log = {
    .name = "log",
    .summary = "the validator's log file",
    .usage = "",
    .detail = "The stage logrotate writes a file for logrotate(8), which turns the log every day "
              "and calls 'agavectl log reopen'.",
    .subs = log_subs,
};
