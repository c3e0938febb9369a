/* From a command line to a running command: help and version, the command's conditions (root, JSON,
 * config, host lock), the run, and the check that the answer arrived. The only place that prints
 * errors. */
#include "cmd/dispatch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "cmd/choose.h"
#include "cmd/help.h"
#include "cmd/opts.h"
#include "flow/takeover.h"
#include "io/captured.h"
#include "io/fsroot.h"
#include "io/lock.h"

/* A text of several lines is several errors (a config's). */
static void complain(const char *text)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    while (*text) {
        size_t n = strcspn(text, "\n");

        strbuf_printf(&b, "agavectl: %.*s\n", (int)n, text);
        text += n + (text[n] == '\n');
    }
    if (write(STDERR_FILENO, b.data, b.len) < 0)
        return; /* nobody left to tell; the exit code says it */
}

/* Prints e, frees it, and returns its exit code. */
static int finish(struct err *e)
{
    int code = err_exit_code(e);

    if (e) {
        complain(e->text);
        log_debug("%s, from %s:%d", err_kind_name(e->kind), e->file, e->line);
    }
    (void)err_free(e);
    return code;
}

/* The same for a monitor, which knows four exit codes: any failure is its UNKNOWN, and it reads the
 * answer, not stderr. */
static int finish_for(const struct cmdline *line, struct err *e, FILE *answer)
{
    bool nagios = e && line->cmd && line->cmd->formats && str_eq(line->globals.output, "nagios");

    if (nagios)
        fprintf(answer, "AGAVECTL UNKNOWN - %.*s\n", (int)strcspn(e->text, "\n|"), e->text);
    int code = finish(e);
    return nagios ? 3 : code;
}

static struct err *flush_answer(FILE *answer)
{
    int failed = ferror(answer);

    errno = 0;
    if (fflush(answer) != 0 || failed)
        return err_new_(__FILE__, __LINE__, ERR_SYS, errno, 0, "cannot write the answer");
    return NULL;
}

static void print_help(const struct cmd *const *table, const struct cmdline *line, FILE *answer)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    if (line->cmd)
        help_command(line->cmd, line->name, &b);
    else
        help_program(table, &b);
    fputs(strbuf_text(&b), answer);
}

static struct err *check_format(const struct cmdline *line, const char *format)
{
    const char *const *known = cmd_formats(line->cmd);
    AUTO(strbuf_clear) struct strbuf words = {0};

    for (size_t i = 0; known[i]; i++) {
        if (!format || str_eq(known[i], format))
            return NULL;
        strbuf_printf(&words, "%s%s", i ? ", " : "", known[i]);
    }
    if (str_eq(format, "json"))
        return err_new(ERR_BADINPUT, "'%s' has no JSON answer; leave '-o json' out", line->name);
    return err_new(ERR_BADINPUT, "'%s' has no answer as %s; '-o' may be one of %s here", line->name,
                   format, strbuf_text(&words));
}

static struct err *check_conditions(const struct cmdline *line)
{
    TRY(check_format(line, line->globals.output));
    if (line->cmd->flags & CMD_ROOT && geteuid() != 0)
        return err_new(ERR_REFUSED, "agavectl %s needs root; run it with sudo", line->name);
    return NULL;
}

/* A captured host in place of this machine, for one run. */
static struct err *run_captured(struct ctx *ctx, const struct cmdline *line, const char *dir,
                                struct out *out)
{
    AUTO(config_freep) struct config *cfg = NULL;
    AUTO(fsroot_closep) struct fsroot *root = NULL;
    struct ctx host = *ctx;

    TRY(check_format(line, line->globals.output));
    TRY(fsroot_open_captured(dir, &root));
    TRY(choose_captured(&line->globals, root, line->cmd->flags & CMD_CONFIG, &cfg));
    host.cfg = cfg;
    host.root = root;
    host.proc = &proc_captured;
    host.http = &http_captured;
    return line->cmd->run(&host, line->opts, line->argc, line->argv, out);
}

/* Taken over before the config may lead into the lab: processes are looked for on this host. */
static struct err *take_lock(struct ctx *ctx, const struct cmdline *line, struct hostlock **ret)
{
    AUTO(fsroot_closep) struct fsroot *root = NULL;

    if (!(line->cmd->flags & CMD_TAKEOVER))
        return hostlock_take(HOSTLOCK_PATH, line->name, ret);
    TRY(fsroot_open("/", &root));
    ctx->root = root;
    struct err *e = takeover_lock(ctx, HOSTLOCK_PATH, line->name, TAKEOVER_MS, ret);
    ctx->root = NULL;
    return e;
}

/* The order matters: the lock before anything is looked at; the config next, because with the lab's
 * this process changes its namespaces; the root of files last, because it must be theirs. */
static struct err *run(struct ctx *ctx, const struct cmdline *line, struct out *out)
{
    AUTO(hostlock_releasep) struct hostlock *lock = NULL;
    AUTO(config_freep) struct config *cfg = NULL;
    AUTO(fsroot_closep) struct fsroot *root = NULL;
    uint32_t flags = line->cmd->flags;
    const char *captured = line->cmd->captured ? line->cmd->captured(line->opts) : NULL;

    if (captured)
        return run_captured(ctx, line, captured, out);
    TRY(check_conditions(line));
    if (flags & CMD_LOCK)
        TRY(take_lock(ctx, line, &lock));
    if (flags & (CMD_CONFIG | CMD_CONFIG_MAYBE))
        TRY(choose_config(&line->globals, flags & CMD_CONFIG, &cfg));
    TRY(fsroot_open("/", &root));
    ctx->cfg = cfg;
    ctx->root = root;
    struct err *e = line->cmd->run(ctx, line->opts, line->argc, line->argv, out);
    ctx->cfg = NULL;
    ctx->root = NULL;
    return e;
}

static struct err *answer_line(struct ctx *ctx, const struct cmd *const *table,
                               const struct cmdline *line, struct out *out)
{
    if (line->globals.help)
        print_help(table, line, out->f);
    else if (line->globals.version)
        fprintf(out->f, "agavectl %s\n", AGAVECTL_VERSION);
    else
        return run(ctx, line, out);
    return NULL;
}

int dispatch(struct ctx *ctx, const struct cmd *const *table, int argc, char **argv, FILE *answer)
{
    AUTO(cmdline_clear) struct cmdline line = {0};
    struct err *e = cmdline_parse(table, argc, argv, &line);
    struct out out = {.f = answer};
    int code, written;

    if (e)
        return finish_for(&line, e, answer);
    out.format = line.globals.output;
    out.json = str_eq(out.format, "json");
    out.color = isatty(fileno(answer)) && !getenv("NO_COLOR");
    if (line.globals.quiet)
        log_set_level(LOG_QUIET);
    else if (line.globals.verbose)
        log_set_level(LOG_DEBUG);
    code = finish_for(&line, answer_line(ctx, table, &line, &out), answer);
    written = finish(flush_answer(answer));
    if (code != 0)
        return code;
    return written ? written : out.exit;
}
