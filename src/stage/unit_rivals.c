/* Others who decide when the validator ends: the gap monitor in the stack's own entrypoint, and
 * supervisors above it; and logrotate, whose scripts signal it. Of a process's environment only the
 * names are read, its values may be secrets. */
#include <string.h>

#include "base/str.h"
#include "config/config.h"
#include "host/logrotate_conf.h"
#include "host/procfs.h"
#include "io/fsroot.h"
#include "stage/unit_danger.h"
#include "stage/unit_parts.h"

#define ENVIRON_MAX_B (4U << 20)
#define PARENTS_MAX   32

/* Names of its environment that steer the stack's monitor, joined; "" when none or unreadable. */
static char *monitor_settings(const struct unit_look *l, pid_t pid)
{
    AUTO(closep) int fd = -1;
    AUTO(freep) char *text = NULL;
    AUTO(strbuf_clear) struct strbuf names = {0};
    size_t n = 0;
    struct err *e = procfs_open_live(l->ctx, pid, &fd);

    e = e ? e : procfs_read(fd, "environ", ENVIRON_MAX_B, &text, &n);
    err_free(e); /* not for this user, or gone: the arguments said enough */
    for (size_t at = 0; text && at < n; at += strlen(text + at) + 1) {
        AUTO(freep) char *name = xstrndup(text + at, strcspn(text + at, "="));

        if (!str_starts(name, "SNAPSHOT_LEAPFROG_") && !str_starts(name, "SNAPSHOT_MONITOR_"))
            continue;
        AUTO(freep) char *shown = str_shown(name, 60);
        strbuf_printf(&names, "%s%s", names.len ? ", " : "", shown);
    }
    if (text)
        explicit_bzero(text, n);
    return strbuf_take(&names);
}

/* "python3 /usr/local/bin/entrypoint.py serve"; its probe only looks. */
static bool is_stack_entrypoint(const struct pid_info *p)
{
    bool entry = false, probe = false;

    for (char **a = p->argv; *a; a++) {
        entry |= str_eq(unit_base_name(*a), "entrypoint.py");
        probe |= str_eq(*a, "probe");
    }
    return entry && !probe;
}

static bool is_supervisor(const struct pid_info *p)
{
    static const char *const names[] = {"supervisord", "monit", "runsv", "s6-supervise",
                                        "pm2",         "PM2 v", "god",   "circusd"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_starts(p->comm, names[i]))
            return true;
    return false;
}

static void tell_parent(const struct unit_look *l, const struct pid_info *p, struct findings *ret)
{
    AUTO(freep) char *comm = str_shown(p->comm, 64);

    if (is_supervisor(p))
        findings_add(ret, "unit.supervisor", 5, SEV_WARN,
                     "'%s' (process %d) is above the validator and starts it again when it ends: "
                     "tell it not to, or a stop is undone",
                     comm, p->id.pid);
    if (!is_stack_entrypoint(p))
        return;
    AUTO(freep) char *set = monitor_settings(l, p->id.pid);
    finding_compare(
        findings_add(ret, "unit.monitor", 5, SEV_WARN,
                     "the stack's entrypoint (process %d) watches the gap as well and ends the "
                     "validator when it is too large: set SNAPSHOT_LEAPFROG_SLOTS to 1000000000 "
                     "in the deployment's config while it is stopped (a change of it replaces the "
                     "running pod), so that only one of you decides",
                     p->id.pid),
        "no second monitor", *set ? set : "its defaults", "/proc/PID/cmdline and environ (names)");
}

struct err *unit_check_rivals(const struct unit_look *l, struct findings *ret)
{
    pid_t pid = l->main ? l->main->ppid : 0;
    size_t before = ret->n;

    for (int hops = 0; hops < PARENTS_MAX && pid > 0; hops++) {
        AUTO(pids_clear) struct pids parent = {0};
        struct err *e = pids_get(l->ctx, pid, &parent);

        if (procfs_gone(&e))
            break;
        TRY(e);
        tell_parent(l, &parent.items[0], ret);
        pid = parent.items[0].ppid;
    }
    if (l->main && ret->n == before)
        findings_add(ret, "unit.monitor", 5, SEV_OK, "nobody else decides when it ends");
    return NULL;
}

/* Is a signal in these lines one that ends it? 3.0.14 opens its log again on SIGUSR1
 * (solana-logger, redirect_stderr_to_file) and dies of all others. */
static bool kills_it(const char *body)
{
    AUTO(freep) char *danger = danger_in(body);

    if (strstr(body, "kill"))
        return !strstr(body, "USR1") && !strstr(body, "kill -10");
    return danger != NULL;
}

static void tell_block(const struct logrotate_block *b, struct findings *ret)
{
    const char *file = b->file;

    if (kills_it(b->body))
        findings_add(ret, "unit.logrotate", 5, SEV_FAIL,
                     "logrotate ends the validator when it turns its log ('%s'): Agave survives "
                     "SIGUSR1 only, and opens the log again on it; use 'kill -USR1'",
                     file);
    else if (strstr(b->body, "copytruncate") && !strstr(b->body, "nocopytruncate"))
        findings_add(ret, "unit.logrotate", 5, SEV_WARN,
                     "logrotate cuts the validator's log under it ('%s'): lines are lost, and the "
                     "copy fills the disk; rotate, and send SIGUSR1 in postrotate",
                     file);
    else if (!strstr(b->body, "kill") && !strstr(b->body, "log reopen"))
        findings_add(ret, "unit.logrotate", 5, SEV_NOTE,
                     "logrotate moves the validator's log and tells nobody ('%s'): it goes on in "
                     "the moved file; send SIGUSR1 in postrotate",
                     file);
    else
        findings_add(ret, "unit.logrotate", 5, SEV_OK, "logrotate turns its log by SIGUSR1");
}

struct err *unit_check_logrotate(const struct unit_look *l, struct findings *ret)
{
    AUTO(logrotate_conf_clear) struct logrotate_conf conf = {0};

    TRY(logrotate_conf_read(l->ctx, &conf));
    if (conf.faults.n)
        return err_new(ERR_SYS, "%s", conf.faults.items[0]);
    for (size_t i = 0; i < conf.n; i++)
        if (logrotate_block_means(&conf.items[i], l->ctx->cfg->validator.log))
            tell_block(&conf.items[i], ret);
    return NULL;
}
