/* agavectl completion bash|zsh|fish: scripts made from the table of commands, so that they know
 * what this very program knows. All three work alike: the words before the cursor give the
 * command's path ("config show"), the path gives what may follow. */
#include "cmd/commands.h"

#include <string.h>

#include "cmd/help.h"

/* One command, or the program itself. */
struct node {
    const struct cmd *cmd; /* NULL: the program */
    const char *path;      /* "" or "config show" */
    const struct cmd *const *subs;
};
typedef void emit_fn(const struct node *n, struct strbuf *b);

static void each_node(const struct cmd *const *list, const char *path, emit_fn *emit,
                      struct strbuf *b)
{
    for (; list && *list; list++) {
        AUTO(freep) char *name = xasprintf("%s%s%s", path, *path ? " " : "", (*list)->name);
        const struct node n = {*list, name, (*list)->subs};

        if ((*list)->flags & CMD_HIDDEN)
            continue;
        emit(&n, b);
        each_node((*list)->subs, name, emit, b);
    }
}

static void all_nodes(emit_fn *emit, struct strbuf *b)
{
    const struct node program = {NULL, "", cmd_table};

    emit(&program, b);
    each_node(cmd_table, "", emit, b);
}

typedef void opt_fn(const struct node *n, const struct opt *o, struct strbuf *b);

static void each_opt(const struct node *n, opt_fn *fn, struct strbuf *b)
{
    for (const struct opt *o = n->cmd ? n->cmd->opts : NULL; o && o->lng; o++)
        fn(n, o, b);
    for (const struct opt *o = global_opts; o->lng; o++)
        if (!n->cmd || help_takes_global(n->cmd, o))
            fn(n, o, b);
}

static bool names_file(const char *arg)
{
    return strstr(arg, "FILE") || strstr(arg, "DIR") || strstr(arg, "PATH") ||
           strstr(arg, "LEDGER");
}

/* Single quotes in the way of a shell: end them, an escaped quote, start again. */
static void put_quoted(const char *text, struct strbuf *b)
{
    strbuf_puts(b, "'");
    for (; *text; text++)
        strbuf_printf(b, *text == '\'' ? "'\\''" : "%c", *text);
    strbuf_puts(b, "'");
}

/* Words to choose from: of an option, or of a usage like "bash|zsh|fish". */
static void put_choices(const struct node *n, const struct opt *o, struct strbuf *b)
{
    const char *const *choices = help_opt_choices(n->cmd, o);

    for (size_t i = 0; choices && choices[i]; i++)
        strbuf_printf(b, " %s", choices[i]);
}

static void put_usage_words(const struct node *n, struct strbuf *b)
{
    const char *usage = n->cmd ? n->cmd->usage : "";

    if (!strchr(usage, '|') ||
        strspn(usage, "abcdefghijklmnopqrstuvwxyz0123456789|-") != strlen(usage))
        return;
    strbuf_puts(b, " ");
    for (; *usage; usage++)
        strbuf_add(b, *usage == '|' ? " " : usage, 1);
}

/* "parent's-path word" as a pattern; it starts with a blank at the top: ' config', 'config show'.
 */
static void put_step(const struct node *n, struct strbuf *b)
{
    strbuf_printf(b, strchr(n->path, ' ') ? "'%s'" : "' %s'", n->path);
}

static void sh_step(const struct node *n, struct strbuf *b)
{
    if (!n->cmd)
        return;
    strbuf_puts(b, "        ");
    put_step(n, b);
    strbuf_puts(b, ") at=\"${at:+$at }$word\" ;;\n");
}

/* bash and zsh: what may follow an option with a value. No words: files, the shells' own default.
 */
static void sh_value(const struct node *n, const struct opt *o, struct strbuf *b)
{
    if (o->type == OPT_FLAG || o->bare)
        return;
    strbuf_printf(b, "    '%s:--%s'", n->path, o->lng);
    if (o->shrt)
        strbuf_printf(b, "|'%s:-%c'", n->path, o->shrt);
    strbuf_puts(b, ") given=1; values='");
    put_choices(n, o, b);
    strbuf_puts(b, "' ;;\n");
}

static void sh_values(const struct node *n, struct strbuf *b)
{
    each_opt(n, sh_value, b);
}

static void bash_name(const struct node *n, const struct opt *o, struct strbuf *b)
{
    strbuf_printf(b, " --%s", o->lng);
}

static void bash_node(const struct node *n, struct strbuf *b)
{
    strbuf_printf(b, "    '%s') opts='", n->path);
    each_opt(n, bash_name, b);
    strbuf_puts(b, "' names='");
    put_usage_words(n, b);
    for (const struct cmd *const *s = n->subs; s && *s; s++)
        if (!((*s)->flags & CMD_HIDDEN))
            strbuf_printf(b, " %s", (*s)->name);
    strbuf_puts(b, "' ;;\n");
}

static void print_bash(struct strbuf *b)
{
    strbuf_puts(b,
                "# bash completion for agavectl, printed by 'agavectl completion bash'\n"
                "_agavectl()\n"
                "{\n"
                "    local cur=\"${COMP_WORDS[COMP_CWORD]}\" prev=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
                "    local at='' word i opts='' names='' values='' given=0\n"
                "\n"
                "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                "        word=\"${COMP_WORDS[i]}\"\n"
                "        case \"$at $word\" in\n");
    all_nodes(sh_step, b);
    strbuf_puts(b, "        esac\n"
                   "    done\n"
                   "    case \"$at:$prev\" in\n");
    all_nodes(sh_values, b);
    strbuf_puts(b, "    esac\n"
                   "    case \"$at\" in\n");
    all_nodes(bash_node, b);
    strbuf_puts(b, "    esac\n"
                   "    COMPREPLY=()\n"
                   "    if [[ $given == 1 ]]; then\n"
                   "        COMPREPLY=($(compgen -W \"$values\" -- \"$cur\"))\n"
                   "    elif [[ $cur == -* ]]; then\n"
                   "        COMPREPLY=($(compgen -W \"$opts\" -- \"$cur\"))\n"
                   "    else\n"
                   "        COMPREPLY=($(compgen -W \"$names\" -- \"$cur\"))\n"
                   "    fi\n"
                   "}\n"
                   "complete -o default -F _agavectl agavectl\n");
}

/* name:text for zsh's _describe; a colon within the name would need an escape, and none has one. */
static void zsh_pair(const char *name, const char *text, struct strbuf *b)
{
    AUTO(freep) char *pair = xasprintf("%s:%s", name, text);

    strbuf_puts(b, " ");
    put_quoted(pair, b);
}

static void zsh_opt(const struct node *n, const struct opt *o, struct strbuf *b)
{
    AUTO(freep) char *name = xasprintf("--%s", o->lng);

    zsh_pair(name, o->help, b);
}

static void zsh_node(const struct node *n, struct strbuf *b)
{
    strbuf_printf(b, "    '%s') opts=(", n->path);
    each_opt(n, zsh_opt, b);
    strbuf_puts(b, " ) names=(");
    put_usage_words(n, b);
    for (const struct cmd *const *s = n->subs; s && *s; s++)
        if (!((*s)->flags & CMD_HIDDEN))
            zsh_pair((*s)->name, (*s)->summary, b);
    strbuf_puts(b, " ) ;;\n");
}

static void print_zsh(struct strbuf *b)
{
    strbuf_puts(b, "#compdef agavectl\n"
                   "# zsh completion for agavectl, printed by 'agavectl completion zsh'\n"
                   "_agavectl()\n"
                   "{\n"
                   "    local at='' word i values='' given=0\n"
                   "    local -a opts names\n"
                   "\n"
                   "    for ((i = 2; i < CURRENT; i++)); do\n"
                   "        word=\"${words[i]}\"\n"
                   "        case \"$at $word\" in\n");
    all_nodes(sh_step, b);
    strbuf_puts(b, "        esac\n"
                   "    done\n"
                   "    case \"$at:${words[CURRENT-1]}\" in\n");
    all_nodes(sh_values, b);
    strbuf_puts(b, "    esac\n"
                   "    case \"$at\" in\n");
    all_nodes(zsh_node, b);
    strbuf_puts(b, "    esac\n"
                   "    if [[ -n $values ]]; then\n"
                   "        compadd -- ${=values}\n"
                   "    elif [[ $given == 1 ]]; then\n"
                   "        _files\n"
                   "    elif [[ ${words[CURRENT]} == -* ]]; then\n"
                   "        _describe option opts\n"
                   "    elif (( ${#names} )); then\n"
                   "        _describe command names\n"
                   "    else\n"
                   "        _files\n"
                   "    fi\n"
                   "}\n"
                   "if [[ ${funcstack[1]} == _agavectl ]]; then\n"
                   "    _agavectl \"$@\"\n"
                   "else\n"
                   "    compdef _agavectl agavectl\n"
                   "fi\n");
}

static void fish_line(const struct node *n, struct strbuf *b)
{
    strbuf_printf(b, "complete -c agavectl -n '__agavectl_at \"%s\"'", n->path);
}

static void fish_opt(const struct node *n, const struct opt *o, struct strbuf *b)
{
    fish_line(n, b);
    if (o->shrt)
        strbuf_printf(b, " -s %c", o->shrt);
    strbuf_printf(b, " -l %s", o->lng);
    if (o->choices) {
        strbuf_puts(b, " -x -a '");
        put_choices(n, o, b);
        strbuf_puts(b, "'");
    } else if (o->type != OPT_FLAG && !o->bare) {
        strbuf_puts(b, names_file(o->arg) ? " -r -F" : " -x");
    }
    strbuf_puts(b, " -d ");
    put_quoted(o->help, b);
    strbuf_puts(b, "\n");
}

static void fish_node(const struct node *n, struct strbuf *b)
{
    AUTO(strbuf_clear) struct strbuf words = {0};

    for (const struct cmd *const *s = n->subs; s && *s; s++) {
        if ((*s)->flags & CMD_HIDDEN)
            continue;
        fish_line(n, b);
        strbuf_printf(b, " -f -a %s -d ", (*s)->name);
        put_quoted((*s)->summary, b);
        strbuf_puts(b, "\n");
    }
    put_usage_words(n, &words);
    if (words.len) {
        fish_line(n, b);
        strbuf_printf(b, " -f -a '%s'\n", words.data);
    } else if (n->cmd && !n->subs && !names_file(n->cmd->usage)) {
        fish_line(n, b);
        strbuf_puts(b, " -f\n");
    }
    each_opt(n, fish_opt, b);
}

static void fish_step(const struct node *n, struct strbuf *b)
{
    if (!n->cmd)
        return;
    strbuf_puts(b, " ");
    put_step(n, b);
}

static void print_fish(struct strbuf *b)
{
    strbuf_puts(b, "# fish completion for agavectl, printed by 'agavectl completion fish'\n"
                   "function __agavectl_at\n"
                   "    set -l at ''\n"
                   "    for word in (commandline -opc)[2..-1]\n"
                   "        switch \"$at $word\"\n"
                   "            case");
    all_nodes(fish_step, b);
    strbuf_puts(b, "\n"
                   "                set at (string trim -- \"$at $word\")\n"
                   "        end\n"
                   "    end\n"
                   "    test \"$at\" = \"$argv[1]\"\n"
                   "end\n");
    all_nodes(fish_node, b);
}

static struct err *completion_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                                  struct out *out)
{
    AUTO(strbuf_clear) struct strbuf text = {0};

    if (strcmp(argv[0], "bash") == 0)
        print_bash(&text);
    else if (strcmp(argv[0], "zsh") == 0)
        print_zsh(&text);
    else if (strcmp(argv[0], "fish") == 0)
        print_fish(&text);
    else
        return err_new(ERR_BADINPUT, "no completion for '%s'; there is one for bash, zsh and fish",
                       argv[0]);
    out_printf(out, "%s", strbuf_text(&text));
    return NULL;
}

const struct cmd cmd_completion = {
    .name = "completion",
    .summary = "print a completion script for a shell",
    .usage = "bash|zsh|fish",
    .detail = "The script completes commands, options and their fixed values. Where to put it:\n\n"
              "  bash  /usr/share/bash-completion/completions/agavectl\n"
              "  zsh   a folder of $fpath, as _agavectl\n"
              "  fish  ~/.config/fish/completions/agavectl.fish",
    .example = "source <(agavectl completion bash)",
    .min_args = 1,
    .max_args = 1,
    .run = completion_run,
};
