/* --help of the program and of each command, from the tables alone. */
#include "cmd/help.h"

#include <string.h>

#include "cmd/out.h"

#define WIDTH      80
#define LEFT_WIDTH 26 /* columns of an option or a command before its text */

static void pad_to(struct strbuf *b, size_t at, size_t column)
{
    strbuf_printf(b, "%*s", (int)(column > at ? column - at : 0), "");
}

/* One paragraph: words until the line's end, several lines joined. Returns where it stopped. */
static const char *wrap_paragraph(struct strbuf *b, const char *text, size_t indent, size_t at)
{
    bool first = true;

    while (*text && !(text[0] == '\n' && (text[1] == '\n' || text[1] == ' ' || !text[1]))) {
        size_t n;

        text += strspn(text, " \n");
        n = strcspn(text, " \n");
        if (n == 0)
            break;
        AUTO(freep) char *word = xstrndup(text, n);
        size_t columns = text_columns(word);

        if (!first && at + 1 + columns > WIDTH) {
            strbuf_puts(b, "\n");
            pad_to(b, 0, indent);
            at = indent;
        } else if (!first) {
            strbuf_puts(b, " ");
            at++;
        }
        strbuf_puts(b, word);
        at += columns;
        first = false;
        text += n;
    }
    strbuf_puts(b, "\n");
    return text;
}

void help_wrap(struct strbuf *b, const char *text, size_t indent, size_t at)
{
    while (*text) {
        size_t n = strcspn(text, "\n");

        if (n == 0) {
            strbuf_puts(b, "\n");
            text++;
            continue;
        }
        pad_to(b, at, indent);
        if (*text == ' ') {
            strbuf_add(b, text, n);
            strbuf_puts(b, "\n");
            text += n;
        } else {
            text = wrap_paragraph(b, text, indent, at > indent ? at : indent);
        }
        text += *text == '\n';
        at = 0;
    }
}

/* "  left      text", the text wrapped in the right column. */
static void put_row(struct strbuf *b, const char *left, const char *text)
{
    size_t at = 2 + text_columns(left);

    strbuf_printf(b, "  %s", left);
    if (at + 2 > LEFT_WIDTH) {
        strbuf_puts(b, "\n");
        at = 0;
    }
    help_wrap(b, text, LEFT_WIDTH, at);
}

const char *const *help_opt_choices(const struct cmd *cmd, const struct opt *o)
{
    return cmd && o->choices == opts_formats ? cmd_formats(cmd) : o->choices;
}

char *help_opt_text(const struct cmd *cmd, const struct opt *o)
{
    const char *const *choices = help_opt_choices(cmd, o);
    struct strbuf b = {0};

    strbuf_puts(&b, o->help);
    for (size_t i = 0; choices && choices[i]; i++)
        strbuf_printf(&b, "%s%s", i ? ", " : ": ", choices[i]);
    if (!cmd && o->choices == opts_formats)
        strbuf_puts(&b, "; most commands take the first two");
    if (o->type == OPT_U64 && o->def)
        strbuf_printf(&b, " (default %llu)", (unsigned long long)o->def);
    if (o->type == OPT_LIST)
        strbuf_puts(&b, "; may be given again and again");
    return strbuf_take(&b);
}

static void put_opt(struct strbuf *b, const struct cmd *cmd, const struct opt *o)
{
    AUTO(strbuf_clear) struct strbuf left = {0};
    AUTO(freep) char *text = help_opt_text(cmd, o);

    if (o->shrt)
        strbuf_printf(&left, "-%c, ", o->shrt);
    else
        strbuf_puts(&left, "    ");
    strbuf_printf(&left, "--%s%s%s%s", o->lng,
                  o->bare  ? "[="
                  : o->arg ? " "
                           : "",
                  o->arg ? o->arg : "", o->bare ? "]" : "");
    put_row(b, strbuf_text(&left), text);
}

bool help_takes_global(const struct cmd *cmd, const struct opt *global)
{
    if (strcmp(global->lng, "output") == 0)
        return cmd_formats(cmd)[1] != NULL;
    if (strcmp(global->lng, "config") == 0 || strcmp(global->lng, "lab") == 0 ||
        strcmp(global->lng, "no-lab") == 0)
        return cmd->flags & (CMD_CONFIG | CMD_CONFIG_MAYBE);
    return strcmp(global->lng, "version") != 0;
}

static void put_commands(struct strbuf *b, const struct cmd *const *list)
{
    strbuf_puts(b, "\nCommands:\n");
    for (; *list; list++)
        if (!((*list)->flags & CMD_HIDDEN))
            put_row(b, (*list)->name, (*list)->summary);
}

const char *const help_about =
    "Run an Agave (Solana) validator on this machine: see what is true of it, deploy it, stop it "
    "with proof, and practise on a lab.";
const char *const help_config =
    "The config is the one of --config, else of the environment's AGAVECTL_CONFIG, else "
    "/etc/agavectl/agavectl.yaml, else the lab's when a lab is up.";
const char *const help_exit =
    "Exit status: 0 done, 1 failed, 2 wrong usage or config, 3 a check found something, 4 refused, "
    "5 interrupted or timed out, 6 a needed program or service is absent.";

void help_program(const struct cmd *const *table, struct strbuf *b)
{
    strbuf_puts(b, "Usage: agavectl [OPTION]... COMMAND [ARGUMENT]...\n\n");
    help_wrap(b, help_about, 0, 0);
    put_commands(b, table);
    strbuf_puts(b, "\nOptions, before or after the command:\n");
    for (const struct opt *o = global_opts; o->lng; o++)
        put_opt(b, NULL, o);
    strbuf_puts(b, "\n");
    help_wrap(b, help_config, 0, 0);
    strbuf_puts(b, "\n");
    help_wrap(b, help_exit, 0, 0);
    strbuf_puts(b, "\n'agavectl COMMAND --help' tells more about a command.\n");
}

char *help_sentence(const char *summary)
{
    char *text = xasprintf("%s.", summary);

    if (*text >= 'a' && *text <= 'z')
        *text = (char)(*text - 'a' + 'A');
    return text;
}

static void put_usage(struct strbuf *b, const struct cmd *cmd, const char *name)
{
    AUTO(strbuf_clear) struct strbuf line = {0};

    strbuf_printf(&line, "%s [OPTION]...", name);
    if (cmd->subs)
        strbuf_puts(&line, " COMMAND [ARGUMENT]...");
    else if (*cmd->usage)
        strbuf_printf(&line, " %s", cmd->usage);
    strbuf_puts(b, "Usage: agavectl ");
    help_wrap(b, strbuf_text(&line), 16, 16);
}

void help_command(const struct cmd *cmd, const char *name, struct strbuf *b)
{
    put_usage(b, cmd, name);
    AUTO(freep) char *summary = help_sentence(cmd->summary);
    strbuf_puts(b, "\n");
    help_wrap(b, summary, 0, 0);
    if (cmd->detail && *cmd->detail) {
        strbuf_puts(b, "\n");
        help_wrap(b, cmd->detail, 0, 0);
    }
    if (cmd->flags & CMD_ROOT)
        strbuf_puts(b, "\nNeeds root.\n");
    if (cmd->subs)
        put_commands(b, cmd->subs);
    strbuf_puts(b, "\nOptions:\n");
    for (const struct opt *o = cmd->opts; o && o->lng; o++)
        put_opt(b, cmd, o);
    for (const struct opt *o = global_opts; o->lng; o++)
        if (help_takes_global(cmd, o))
            put_opt(b, cmd, o);
    if (cmd->example)
        strbuf_printf(b, "\nExample:\n  %s\n", cmd->example);
}
