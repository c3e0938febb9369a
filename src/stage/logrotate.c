/* Layer 4: the validator's log is turned before it fills the volume that the ledger lies on. Agave
 * 3.0.14 opens its log again on SIGUSR1 (solana-logger, redirect_stderr_to_file) and is ended by
 * every other signal, and by this one where it logs to no file: so the script of our block names no
 * signal and no process, but calls `agavectl log reopen`, which looks first.
 *
 * A block of the host's own for this log is left alone; what is wrong with one is said by
 * unit.logrotate. */
#include "stage/logrotate.h"

#include <inttypes.h>
#include <sys/stat.h>

#include "base/str.h"
#include "config/config.h"
#include "host/accounts.h"
#include "host/logrotate_conf.h"
#include "host/packages.h"
#include "host/unit_file.h"
#include "io/fsroot.h"
#include "stage/own.h"
#include "stage/self.h"
#include "stage/table.h"

#define OWN_ID "logrotate.file"
#define BIG_B  (10ULL << 30)

enum { VERB_FILE = 1 };

static bool logrotate_enabled(const struct ctx *ctx)
{
    return ctx->cfg && *ctx->cfg->validator.ledger && *ctx->cfg->validator.log;
}

/* Quotes and globs mean something to logrotate, also within quotes; so do quotes to the shell. */
static struct err *must_be_plain(const char *what, const char *path)
{
    if (path && (strpbrk(path, "\"'\\*?[]{}$`\n") || str_has_control(path)))
        return err_new(ERR_BADINPUT, "%s '%s' cannot be written into a file of logrotate's", what,
                       path);
    return NULL;
}

/* logrotate takes names of users only. The folder belongs to the validator: what is done in it is
 * done with its rights, or it could make root rename and create where it likes. */
static struct err *who_turns(struct ctx *ctx, struct strbuf *b)
{
    const struct config *c = ctx->cfg;
    AUTO(strlist_clear) struct strlist groups = {0};
    AUTO(freep) char *user = NULL;
    struct err *e = account_name(ctx, c->validator.uid, &user);

    if (!e)
        e = account_groups(ctx, user, c->validator.gid, &groups);
    if (e && e->kind != ERR_NOTFOUND)
        return e;
    err_free(e); /* no such user here, as with a container's: root turns it, Agave makes the new */
    if (!user || !groups.n)
        strbuf_puts(b, "    nocreate\n");
    else
        strbuf_printf(b, "    su %s %s\n    create 0640 %s %s\n", user, groups.items[0], user,
                      groups.items[0]);
    return NULL;
}

struct err *logrotate_text(struct ctx *ctx, char **ret)
{
    const char *log = ctx->cfg->validator.log;
    AUTO(strbuf_clear) struct strbuf b = {0};
    AUTO(freep) char *program = NULL;
    AUTO(freep) char *config = NULL;

    TRY(self_paths(ctx, &program, &config));
    TRY(must_be_plain("validator.log", log));
    TRY(must_be_plain("the program", program));
    TRY(must_be_plain("the config", config));
    strbuf_printf(&b, "\"%s\" {\n", log);
    TRY(who_turns(ctx, &b));
    strbuf_printf(&b,
                  "    daily\n    maxsize 10G\n    rotate 7\n    compress\n    delaycompress\n"
                  "    nocopytruncate\n    missingok\n    notifempty\n    postrotate\n"
                  "        '%s' log reopen --no-lab",
                  program);
    if (config)
        strbuf_printf(&b, " --config '%s'", config);
    strbuf_puts(&b, "\n    endscript\n}\n");
    *ret = strbuf_take(&b);
    return NULL;
}

/* Blocks for the log that are not ours; *ret: the first one, or NULL. */
static size_t others(const struct logrotate_conf *c, const char *log,
                     const struct logrotate_block **ret)
{
    size_t n = 0;

    *ret = NULL;
    for (size_t i = 0; i < c->n; i++) {
        if (str_eq(c->items[i].file, LOGROTATE_PATH) || !logrotate_block_means(&c->items[i], log))
            continue;
        *ret = *ret ? *ret : &c->items[i];
        n++;
    }
    return n;
}

/* ", 12 GiB", or "" where that cannot be said; to be freed. */
static struct err *size_of(struct ctx *ctx, const char *log, char **ret_text, bool *ret_big)
{
    char buf[32];
    struct stat st;
    struct err *e = fsroot_stat(ctx->root, log, &st);

    *ret_big = !e && (uint64_t)st.st_size >= BIG_B;
    *ret_text = e ? xstrdup("")
                  : xasprintf(", %s by now", fmt_size((uint64_t)st.st_size, buf, sizeof(buf)));
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    return e;
}

static struct err *check_program(struct ctx *ctx, struct findings *ret)
{
    AUTO(freep) char *path = NULL;
    struct err *e = program_find(ctx, "logrotate", &path);

    if (e && e->kind == ERR_NOTFOUND) {
        findings_add(ret, "logrotate.program", 4, SEV_WARN,
                     "the program logrotate is missing: nothing turns '%s'; install logrotate",
                     ctx->cfg->validator.log);
        return err_free(e);
    }
    TRY(e);
    findings_add(ret, "logrotate.program", 4, SEV_OK, "'%s' is there", path);
    return NULL;
}

/* Debian's package has both: the timer for systemd, the script for cron without it. */
static struct err *check_daily(struct ctx *ctx, struct findings *ret)
{
    AUTO(unit_file_clear) struct unit_file timer = {0};
    AUTO(strlist_clear) struct strlist by = {0};
    struct stat st;
    struct err *e = unit_file_load(ctx, "logrotate.timer", &timer);

    bool there = !e;
    if (!e)
        e = unit_file_wanted_by(ctx, "logrotate.timer", &by);
    if (e && e->kind == ERR_SYS)
        return e;
    bool daily = !e && by.n && !timer.masked, cron = false;
    err_free(e); /* no such timer */
    if (!daily) {
        e = fsroot_stat(ctx->root, "/etc/cron.daily/logrotate", &st);
        cron = !e && !there; /* with the timer's file there, Debian's script does nothing */
        err_free(e);
    }
    findings_add(ret, "logrotate.daily", 4, daily || cron ? SEV_OK : SEV_WARN,
                 daily  ? "logrotate is run by logrotate.timer"
                 : cron ? "logrotate is run by cron"
                        : "nothing runs logrotate: systemctl enable --now logrotate.timer");
    return NULL;
}

/* Somebody turns it already. */
static void tell_others(const struct logrotate_block *b, size_t n, bool ours, const char *log,
                        struct findings *ret)
{
    struct finding *f =
        n > 1 || ours
            ? findings_add(ret, "logrotate.log", 4, SEV_WARN,
                           "'%s' is named by more than one file of logrotate's ('%s' and %s): it "
                           "reads the first and skips the others; %s",
                           log, b->file, ours ? "agavectl's" : "more",
                           ours ? "agavectl prepare --undo --apply logrotate takes away agavectl's"
                                : "keep one of them")
            : findings_add(ret, "logrotate.log", 4, SEV_OK, "'%s' is turned by '%s'", log, b->file);
    AUTO(freep) char *where = xasprintf("%s:%u", b->file, b->line);

    finding_compare(f, NULL, NULL, where);
}

static struct err *check_own(struct ctx *ctx, bool program, bool ours, struct findings *ret)
{
    const char *log = ctx->cfg->validator.log;
    AUTO(freep) char *text = NULL;
    AUTO(freep) char *size = NULL;
    bool big = false;
    struct err *e = logrotate_text(ctx, &text);

    if (e && e->kind == ERR_BADINPUT) {
        findings_add(ret, "logrotate.log", 4, SEV_WARN, "%s: turn it by other means", e->text);
        return err_free(e);
    }
    TRY(e);
    TRY(size_of(ctx, log, &size, &big));
    struct finding *f =
        findings_add(ret, "logrotate.log", 4,
                     ours  ? SEV_OK
                     : big ? SEV_WARN
                           : SEV_NOTE,
                     ours ? "'%s' is turned by agavectl's file (%s)"
                          : "nothing turns '%s'%s: it grows until the volume is full",
                     log, ours ? LOGROTATE_PATH : size);
    if (!ours && program && ctx->cfg->host.persist)
        f->repair = "logrotate";
    const struct own_file own = {.path = LOGROTATE_PATH,
                                 .text = text,
                                 .id = OWN_ID,
                                 .stage = "logrotate",
                                 .layer = 4,
                                 .missing = SEV_NOTE,
                                 .what = "it turns the validator's log every day"};
    return program || ours ? own_check(ctx, &own, ret) : NULL;
}

static struct err *logrotate_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    const char *log = ctx->cfg->validator.log;
    AUTO(logrotate_conf_clear) struct logrotate_conf conf = {0};
    const struct logrotate_block *first;
    bool ours = false;

    TRY(logrotate_conf_read(ctx, &conf));
    TRY(check_program(ctx, ret));
    bool program = findings_find(ret, "logrotate.program")->sev == SEV_OK;
    if (program)
        TRY(check_daily(ctx, ret));
    if (conf.faults.n)
        return err_new(ERR_SYS, "%s", conf.faults.items[0]);
    for (size_t i = 0; i < conf.n; i++)
        ours = ours || (str_eq(conf.items[i].file, LOGROTATE_PATH) &&
                        logrotate_block_means(&conf.items[i], log));
    size_t n = others(&conf, log, &first);
    if (n)
        tell_others(first, n, ours, log, ret);
    return n ? NULL : check_own(ctx, program, ours, ret);
}

static struct err *logrotate_plan(const struct ctx *ctx, const struct findings *f, struct plan *ret)
{
    own_plan(f, OWN_ID, VERB_FILE, "the validator's log is turned every day, seven are kept", ret);
    return NULL;
}

const struct stage stage_logrotate = {
    .name = "logrotate",
    .summary = "the validator's log is turned before it fills the volume",
    .layer = 4,
    .order_reason = "needs nothing of the others",
    .enabled = logrotate_enabled,
    .readonly = "logrotate.readonly",
    .check = logrotate_check,
    .plan = logrotate_plan,
    .apply = own_apply,
    .undo_look = own_undo_look,
    .undo = own_undo,
};
