/* The command line: options by table, each value checked while it is read. Not getopt_long, which
 * prints its own messages, takes abbreviations and keeps its state in globals. */
#include "cmd/opts.h"

#include <stdlib.h>
#include <string.h>

const char *const opts_formats[] = {"text", "json", "nagios", "junit", "prometheus", NULL};

const struct opt global_opts[] = {
    {OPT_STR, 'c', "config", "FILE", "the config to use", offsetof(struct globals, config)},
    {OPT_FLAG, 0, "lab", NULL, "work on the lab and its config", offsetof(struct globals, lab)},
    {OPT_FLAG, 0, "no-lab", NULL, "never take the lab's config unasked",
     offsetof(struct globals, no_lab)},
    {OPT_STR, 'o', "output", "FORMAT", "how to print the answer", offsetof(struct globals, output),
     .choices = opts_formats},
    {OPT_FLAG, 'q', "quiet", NULL, "print answers and errors only",
     offsetof(struct globals, quiet)},
    {OPT_FLAG, 'v', "verbose", NULL, "say on stderr what is done and why",
     offsetof(struct globals, verbose)},
    {OPT_FLAG, 'h', "help", NULL, "print this help", offsetof(struct globals, help)},
    {OPT_FLAG, 'V', "version", NULL, "print the version", offsetof(struct globals, version)},
    {0},
};

/* Where an option was found: the table's row and the struct that it fills. */
struct target {
    const struct opt *opt;
    void *base;
};

const struct cmd *cmd_find(const struct cmd *const *list, const char *name)
{
    for (; list && *list; list++)
        if (strcmp((*list)->name, name) == 0)
            return *list;
    return NULL;
}

const char *const *cmd_formats(const struct cmd *cmd)
{
    static const char *const plain[] = {"text", NULL}, *const json[] = {"text", "json", NULL};

    if (cmd->formats)
        return cmd->formats;
    return cmd->flags & CMD_JSON ? json : plain;
}

static const struct opt *find_opt(const struct opt *list, const char *lng, size_t n, char shrt)
{
    for (; list && list->lng; list++)
        if (lng ? strlen(list->lng) == n && memcmp(list->lng, lng, n) == 0 : list->shrt == shrt)
            return list;
    return NULL;
}

static struct target find_target(struct cmdline *c, const char *lng, size_t n, char shrt)
{
    struct target t = {find_opt(global_opts, lng, n, shrt), &c->globals};

    if (!t.opt && c->cmd)
        t = (struct target){find_opt(c->cmd->opts, lng, n, shrt), c->opts};
    return t;
}

/* " config show" or "": for messages that name the command as it is typed. */
static const char *gap(const struct cmdline *c)
{
    return c->cmd ? " " : "";
}

static void add_names(struct strlist *names, const struct opt *list)
{
    for (; list && list->lng; list++)
        strlist_add(names, list->lng);
}

static struct err *unknown_option(const struct cmdline *c, const char *word, size_t n)
{
    AUTO(freep) char *name = xstrndup(word, n);
    AUTO(strlist_clear) struct strlist names = {0};
    const char *near;

    add_names(&names, global_opts);
    add_names(&names, c->cmd ? c->cmd->opts : NULL);
    near = n > 2 ? str_nearest(name + 2, (const char *const *)names.items) : NULL;
    if (near)
        return err_new(ERR_BADINPUT, "unknown option '%s'; did you mean '--%s'?", name, near);
    if (!c->cmd)
        return err_new(ERR_BADINPUT,
                       "unknown option '%s'; a command's own options stand after its name", name);
    return err_new(ERR_BADINPUT, "unknown option '%s'; see 'agavectl %s --help'", name, c->name);
}

static struct err *unknown_command(const struct cmdline *c, const struct cmd *const *list,
                                   const char *word)
{
    AUTO(strlist_clear) struct strlist names = {0};
    const char *near;

    for (; list && *list; list++)
        if (!((*list)->flags & CMD_HIDDEN))
            strlist_add(&names, (*list)->name);
    near = names.items ? str_nearest(word, (const char *const *)names.items) : NULL;
    if (near)
        return err_new(ERR_BADINPUT, "unknown command '%s%s%s'; did you mean '%s%s%s'?", c->name,
                       gap(c), word, c->name, gap(c), near);
    return err_new(ERR_BADINPUT, "unknown command '%s%s%s'; see 'agavectl%s%s --help'", c->name,
                   gap(c), word, gap(c), c->name);
}

static struct err *check_choice(const struct opt *o, const char *value)
{
    AUTO(strbuf_clear) struct strbuf words = {0};

    for (size_t i = 0; o->choices && o->choices[i]; i++) {
        if (strcmp(o->choices[i], value) == 0)
            return NULL;
        strbuf_printf(&words, "%s%s", i ? ", " : "", o->choices[i]);
    }
    if (!o->choices)
        return NULL;
    return err_new(ERR_BADINPUT, "'%s' is not one of %s", value, strbuf_text(&words));
}

static struct err *store(struct target t, const char *value)
{
    char *field = (char *)t.base + t.opt->offset;

    switch (t.opt->type) {
    case OPT_FLAG:
        *(bool *)(void *)field = true;
        return NULL;
    case OPT_STR:
        TRY_CTX(check_choice(t.opt, value), "option '--%s'", t.opt->lng);
        *(const char **)(void *)field = value;
        return NULL;
    case OPT_U64:
        TRY_CTX(parse_u64(value, t.opt->min, t.opt->max ? t.opt->max : UINT64_MAX,
                          (uint64_t *)(void *)field),
                "option '--%s'", t.opt->lng);
        return NULL;
    case OPT_SIZE:
        TRY_CTX(parse_size(value, (uint64_t *)(void *)field), "option '--%s'", t.opt->lng);
        return NULL;
    case OPT_LIST:
        strlist_add((struct strlist *)(void *)field, value);
        return NULL;
    }
    return err_new(ERR_BUG, "option '--%s' has no type", t.opt->lng);
}

static struct err *need_value(const struct opt *o)
{
    return err_new(ERR_BADINPUT, "option '--%s' needs a value: --%s %s", o->lng, o->lng, o->arg);
}

/* argv[*i] is "--name" or "--name=value"; *i moves on to a value that stands apart. */
static struct err *take_long(struct cmdline *c, char **argv, int *i)
{
    const char *name = argv[*i] + 2, *equals = strchr(name, '=');
    size_t n = equals ? (size_t)(equals - name) : strlen(name);
    struct target t = find_target(c, name, n, 0);

    if (!t.opt)
        return unknown_option(c, argv[*i], n + 2);
    if (t.opt->type == OPT_FLAG)
        return equals ? err_new(ERR_BADINPUT, "option '--%s' takes no value", t.opt->lng)
                      : store(t, NULL);
    if (equals)
        return store(t, equals + 1);
    if (t.opt->bare)
        return store(t, t.opt->bare);
    if (!argv[*i + 1])
        return need_value(t.opt);
    return store(t, argv[++*i]);
}

/* argv[*i] is "-x", "-xyz" or "-xVALUE". */
static struct err *take_short(struct cmdline *c, char **argv, int *i)
{
    for (const char *p = argv[*i] + 1; *p; p++) {
        char word[] = {'-', *p, 0};
        struct target t = find_target(c, NULL, 0, *p);

        if (!t.opt)
            return unknown_option(c, word, 2);
        if (t.opt->type == OPT_FLAG) {
            TRY(store(t, NULL));
            continue;
        }
        if (p[1])
            return store(t, p + 1);
        if (t.opt->bare)
            return store(t, t.opt->bare);
        if (!argv[*i + 1])
            return need_value(t.opt);
        return store(t, argv[++*i]);
    }
    return NULL;
}

static void enter(struct cmdline *c, const struct cmd *cmd)
{
    char *name = xasprintf("%s%s%s", c->name, gap(c), cmd->name);

    free(c->name);
    c->name = name;
    c->parent = c->cmd;
    c->cmd = cmd;
    free(c->opts); /* a command with parts has no options of its own, so there is no list inside */
    c->opts = xcalloc(1, cmd->opts_size);
    for (const struct opt *o = cmd->opts; o && o->lng; o++)
        if (o->type == OPT_U64 || o->type == OPT_SIZE)
            *(uint64_t *)(void *)((char *)c->opts + o->offset) = o->def;
}

static struct err *take_word(const struct cmd *const *table, struct cmdline *c, char *word)
{
    const struct cmd *const *list = c->cmd ? c->cmd->subs : table;
    const struct cmd *cmd = list ? cmd_find(list, word) : NULL;

    if (!list)
        c->argv[c->argc++] = word;
    else if (cmd)
        enter(c, cmd);
    else
        return unknown_command(c, list, word);
    return NULL;
}

static struct err *check_count(const struct cmdline *c)
{
    uint32_t n = (uint32_t)c->argc;

    if (c->globals.help || c->globals.version)
        return NULL;
    if (!c->cmd)
        return err_new(ERR_BADINPUT, "no command given; see 'agavectl --help'");
    if (c->cmd->subs)
        return err_new(ERR_BADINPUT, "'%s' needs a command; see 'agavectl %s --help'", c->name,
                       c->name);
    if (n > c->cmd->max_args)
        return err_new(ERR_BADINPUT,
                       "'%s' does not take the argument '%s'; see 'agavectl %s --help'", c->name,
                       c->argv[c->cmd->max_args], c->name);
    if (n < c->cmd->min_args)
        return err_new(ERR_BADINPUT, "'%s' needs an argument: agavectl %s %s", c->name, c->name,
                       c->cmd->usage);
    return NULL;
}

struct err *cmdline_parse(const struct cmd *const *table, int argc, char **argv,
                          struct cmdline *ret)
{
    bool options = true;

    ret->name = xstrdup("");
    ret->argv = xcalloc((size_t)argc + 1, sizeof(*ret->argv));
    for (int i = 1; i < argc; i++) {
        if (options && strcmp(argv[i], "--") == 0)
            options = false;
        else if (options && str_starts(argv[i], "--"))
            TRY(take_long(ret, argv, &i));
        else if (options && argv[i][0] == '-' && argv[i][1])
            TRY(take_short(ret, argv, &i));
        else
            TRY(take_word(table, ret, argv[i]));
    }
    if (ret->globals.lab && ret->globals.no_lab)
        return err_new(ERR_BADINPUT, "'--lab' and '--no-lab' exclude each other");
    return check_count(ret);
}

void cmdline_clear(struct cmdline *c)
{
    for (const struct opt *o = c->cmd ? c->cmd->opts : NULL; o && o->lng; o++)
        if (o->type == OPT_LIST)
            strlist_clear((struct strlist *)(void *)((char *)c->opts + o->offset));
    free(c->opts);
    free(c->argv);
    free(c->name);
    *c = (struct cmdline){0};
}
