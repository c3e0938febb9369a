/* agavectl __commands: the paths of all commands, one a line, for tests and packagers. */
#include "cmd/commands.h"

static void list(const struct cmd *const *cmds, const char *prefix, struct out *out)
{
    for (; *cmds; cmds++) {
        AUTO(freep) char *name = xasprintf("%s%s%s", prefix, *prefix ? " " : "", (*cmds)->name);

        out_printf(out, "%s\n", name);
        if ((*cmds)->subs)
            list((*cmds)->subs, name, out);
    }
}

static struct err *commands_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                                struct out *out)
{
    list(cmd_table, "", out);
    return NULL;
}

const struct cmd cmd_commands = {
    .name = "__commands",
    .summary = "list all commands, hidden ones too",
    .usage = "",
    .flags = CMD_HIDDEN,
    .run = commands_run,
};
