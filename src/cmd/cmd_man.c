/* agavectl man [config]: the manual pages in roff (man macros), from the tables of commands and of
 * config keys. The build installs them as agavectl.1 and agavectl.yaml.5. */
#include "cmd/commands.h"

#include <string.h>

#include "cmd/help.h"
#include "config/config.h"

/* Text for roff: backslashes, minus signs (which would become hyphens that cannot be pasted), and a
 * full stop or quote at the start of a line, which would be a request. */
static void put_text(struct strbuf *b, const char *text)
{
    for (bool start = true; *text; text++) {
        if (start && (*text == '.' || *text == '\''))
            strbuf_puts(b, "\\&");
        if (*text == '\\')
            strbuf_puts(b, "\\e");
        else if (*text == '-')
            strbuf_puts(b, "\\-");
        else
            strbuf_add(b, text, 1);
        start = *text == '\n';
    }
}

static void put_line(struct strbuf *b, const char *macro, const char *text)
{
    strbuf_puts(b, macro);
    put_text(b, text);
    strbuf_puts(b, "\n");
}

/* Paragraphs; lines that start with a blank stay as they are. */
static void put_detail(struct strbuf *b, const char *text)
{
    bool verbatim = false;

    while (text && *text) {
        size_t n = strcspn(text, "\n");
        AUTO(freep) char *line = xstrndup(text, n);
        bool keep = *line == ' ';

        if (keep != verbatim)
            strbuf_puts(b, keep ? ".nf\n" : ".fi\n");
        verbatim = keep;
        if (n == 0)
            strbuf_puts(b, ".sp\n");
        else
            put_line(b, "", line);
        text += n + (text[n] == '\n');
    }
    if (verbatim)
        strbuf_puts(b, ".fi\n");
}

static void put_opt(struct strbuf *b, const struct cmd *cmd, const struct opt *o)
{
    AUTO(freep) char *text = help_opt_text(cmd, o);

    strbuf_puts(b, ".TP\n\\fB");
    if (o->shrt)
        strbuf_printf(b, "\\-%c\\fR, \\fB", o->shrt);
    strbuf_puts(b, "\\-\\-");
    put_text(b, o->lng);
    strbuf_puts(b, "\\fR");
    if (o->arg)
        strbuf_printf(b, "%s\\fI%s\\fR%s", o->bare ? "[=" : " ", o->arg, o->bare ? "]" : "");
    strbuf_puts(b, "\n");
    put_line(b, "", text);
}

static void put_conditions(struct strbuf *b, const struct cmd *cmd)
{
    const char *const *formats = cmd_formats(cmd);

    if (!(cmd->flags & CMD_ROOT) && !formats[1])
        return;
    strbuf_puts(b, cmd->flags & CMD_ROOT ? ".PP\nNeeds root.\n" : ".PP\n");
    if (!formats[1])
        return;
    strbuf_puts(b, "Understands \\fB\\-o\\fR");
    for (size_t i = 1; formats[i]; i++)
        strbuf_printf(b, "%s \\fB%s\\fR", i > 1 ? "," : "", formats[i]);
    strbuf_puts(b, ".\n");
}

static void put_command(struct strbuf *b, const struct cmd *cmd, const char *path)
{
    AUTO(freep) char *name = xasprintf("%s%s%s", path, *path ? " " : "", cmd->name);

    AUTO(freep) char *summary = help_sentence(cmd->summary);

    if (cmd->flags & CMD_HIDDEN)
        return;
    strbuf_printf(b, ".SS \"agavectl %s%s%s\"\n", name, *cmd->usage ? " " : "", cmd->usage);
    put_detail(b, summary);
    if (cmd->detail && *cmd->detail) {
        strbuf_puts(b, ".sp\n");
        put_detail(b, cmd->detail);
    }
    for (const struct opt *o = cmd->opts; o && o->lng; o++)
        put_opt(b, cmd, o);
    put_conditions(b, cmd);
    if (cmd->example)
        put_line(b, ".PP\nExample: ", cmd->example);
    if (cmd->sample) {
        strbuf_puts(b, ".PP\n");
        put_detail(b, cmd->sample);
    }
    for (const struct cmd *const *s = cmd->subs; s && *s; s++)
        put_command(b, *s, name);
}

static void print_program(struct strbuf *b)
{
    strbuf_printf(b,
                  ".TH AGAVECTL 1 \"\" \"agavectl %s\" \"User Commands\"\n"
                  ".SH NAME\n"
                  "agavectl \\- run an Agave (Solana) validator host\n"
                  ".SH SYNOPSIS\n"
                  ".B agavectl\n"
                  "[\\fIOPTION\\fR]... \\fICOMMAND\\fR [\\fIARGUMENT\\fR]...\n"
                  ".SH DESCRIPTION\n",
                  AGAVECTL_VERSION);
    put_detail(b, help_about);
    strbuf_puts(b, ".SH OPTIONS\nBefore or after the command:\n");
    for (const struct opt *o = global_opts; o->lng; o++)
        put_opt(b, NULL, o);
    strbuf_puts(b, ".SH COMMANDS\n");
    for (const struct cmd *const *c = cmd_table; *c; c++)
        put_command(b, *c, "");
    strbuf_puts(b, ".SH CONFIG\n");
    put_detail(b, help_config);
    strbuf_puts(b, "Its keys: see\n.BR agavectl.yaml (5).\n.SH EXIT STATUS\n");
    put_detail(b, help_exit);
    strbuf_puts(b,
                ".SH ENVIRONMENT\n"
                ".TP\nAGAVECTL_CONFIG\nThe config, where \\fB\\-\\-config\\fR is not given.\n"
                ".TP\nAGAVECTL_ROCKSDB\nThe file librocksdb.so to read ledgers with, in place of "
                "the system's and of the copy that tools/get\\-rocksdb made.\n"
                ".TP\nNO_COLOR\nWhen it is set, nothing is printed in colour.\n"
                ".TP\nPATH\nWhere validator.bin is looked for when it is no path.\n");
    strbuf_puts(b, ".SH SEE ALSO\n.BR agavectl.yaml (5)\n");
}

static void print_config(struct strbuf *b)
{
    strbuf_printf(
        b,
        ".TH AGAVECTL.YAML 5 \"\" \"agavectl %s\" \"File Formats\"\n"
        ".SH NAME\n"
        "agavectl.yaml \\- the config of agavectl\n"
        ".SH DESCRIPTION\n"
        "One YAML document of at most 1 MiB. A key's name here has dots where the file "
        "nests: \\fBvalidator.ledger\\fR is \\fBledger\\fR below \\fBvalidator\\fR. A key "
        "that is left out has its default; an unknown one is an error. Anchors, aliases "
        "and tags are refused, and so is a file that everybody may write when agavectl "
        "runs as root. \\fBagavectl config example\\fR prints every key.\n"
        ".SH KEYS\n",
        AGAVECTL_VERSION);
    for (const struct config_key *k = config_keys; k->name; k++) {
        AUTO(freep) char *type = config_type_text(k);

        strbuf_printf(b, ".TP\n\\fB%s\\fR (", k->name);
        put_text(b, type);
        strbuf_puts(b, "; default ");
        put_text(b, *k->def ? k->def : "none");
        strbuf_puts(b, ")\n");
        put_line(b, "", k->help);
    }
    strbuf_puts(b, ".SH SEE ALSO\n.BR agavectl (1)\n");
}

static struct err *man_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                           struct out *out)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    if (argc == 0)
        print_program(&b);
    else if (strcmp(argv[0], "config") == 0)
        print_config(&b);
    else
        return err_new(ERR_BADINPUT, "no manual page '%s'; there is 'config'", argv[0]);
    out_printf(out, "%s", strbuf_text(&b));
    return NULL;
}

const struct cmd cmd_man = {
    .name = "man",
    .summary = "print the manual page in roff",
    .usage = "[config]",
    .flags = CMD_HIDDEN,
    .max_args = 1,
    .run = man_run,
};
