/* agavectl help [COMMAND]...: the same text as COMMAND --help. */
#include "cmd/commands.h"
#include "cmd/help.h"

static struct err *help_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                            struct out *out)
{
    AUTO(strbuf_clear) struct strbuf text = {0}, name = {0};
    const struct cmd *const *list = cmd_table;
    const struct cmd *cmd = NULL;

    for (int i = 0; i < argc; i++) {
        cmd = cmd_find(list, argv[i]);
        if (!cmd)
            return err_new(ERR_BADINPUT, "no command '%s'; see 'agavectl --help'", argv[i]);
        strbuf_printf(&name, "%s%s", i ? " " : "", argv[i]);
        list = cmd->subs;
    }
    if (cmd)
        help_command(cmd, strbuf_text(&name), &text);
    else
        help_program(cmd_table, &text);
    out_printf(out, "%s", strbuf_text(&text));
    return NULL;
}

const struct cmd cmd_help = {
    .name = "help",
    .summary = "print help for the program or for a command",
    .usage = "[COMMAND]...",
    .max_args = 2,
    .example = "agavectl help config show",
    .run = help_run,
};
