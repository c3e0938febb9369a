/* The validator as a service of this host's systemd. The unit file is the operator's: its command
 * line, its user and its limits count, not those of the config.
 *
 * Who runs is asked of the kernel (holders of the ledger's lock, the unit's control group); what
 * systemd is about to do is asked of the manager. Starting is a job of the manager; stopping is in
 * systemd_stop.c. There is no kill here, and no `systemctl stop`. */
#include "runtime/runtime.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/str.h"
#include "host/cgroup.h"
#include "host/pid_files.h"
#include "host/systemd.h"
#include "io/clock.h"
#include "runtime/note.h"
#include "runtime/systemd_parts.h"

#define START_MS 90000
#define SLICE_MS 500
#define CALL_MS  30000
#define FAMILY_N 64

struct err *systemd_connect(struct ctx *ctx, const struct unit *u, struct sysbus **ret_bus,
                            struct systemd_unit *ret)
{
    bool booted = false;

    TRY(systemd_booted(ctx, &booted));
    if (!booted)
        return err_new(ERR_ABSENT, "systemd did not boot this host: validator.runtime systemd "
                                   "needs that; see 'agavectl config show validator'");
    TRY(sysbus_open(ctx, ret_bus));
    return systemd_unit_read(*ret_bus, u->systemd->unit, ret);
}

/* --- who runs --- */

static bool has_pid(const struct pids *p, pid_t pid)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->items[i].id.pid == pid)
            return true;
    return false;
}

/* One that is gone meanwhile, or a zombie without threads, is left out. */
static struct err *add_living(struct ctx *ctx, pid_t pid, struct pids *ret)
{
    AUTO(pids_clear) struct pids one = {0};
    uint32_t left = 0;

    if (pid <= 0 || has_pid(ret, pid))
        return NULL;
    struct err *e = pids_get(ctx, pid, &one);
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    TRY(pids_threads_left(ctx, pid, one.items[0].id.start, &left));
    if (!left)
        return NULL;
    ret->items = xgrow(ret->items, &ret->cap, ret->n + 1, sizeof(*ret->items));
    ret->items[ret->n++] = one.items[0];
    one.n = 0; /* handed over */
    return NULL;
}

struct family {
    pid_t items[FAMILY_N];
    size_t n;
};

/* This process and those that started it: as ExecStop=agavectl stop we are in the unit's group. */
static struct err *own_family(struct ctx *ctx, struct family *ret)
{
    for (pid_t pid = getpid(); pid > 1 && ret->n < FAMILY_N;) {
        AUTO(pids_clear) struct pids one = {0};

        ret->items[ret->n++] = pid;
        struct err *e = pids_get(ctx, pid, &one);
        if (e && e->kind == ERR_NOTFOUND)
            return err_free(e);
        TRY(e);
        pid = one.items[0].ppid;
    }
    return NULL;
}

static bool in_family(const struct family *f, pid_t pid)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->items[i] == pid)
            return true;
    return false;
}

static struct err *add_group(struct ctx *ctx, const struct systemd_unit *s, struct pids *ret)
{
    AUTO(freep) pid_t *members = NULL;
    struct family own = {0};
    size_t n = 0;

    if (*s->cgroup)
        TRY(cgroup_pids(ctx, s->cgroup, &members, &n));
    if (n)
        TRY(own_family(ctx, &own));
    for (size_t i = 0; i < n; i++)
        if (!in_family(&own, members[i]))
            TRY(add_living(ctx, members[i], ret));
    return NULL;
}

static struct err *find(struct ctx *ctx, const struct unit *u, const struct systemd_unit *s,
                        const struct note *note, struct pids *ret)
{
    AUTO(freep) char *lock = xasprintf("%s/ledger.lock", u->ledger);
    struct err *e = pids_flock_holders(ctx, lock, ret);

    if (e && e->kind != ERR_NOTFOUND)
        return err_wrap(e, "cannot look for the validator");
    err_free(e); /* no lock file: never started here */
    TRY(add_living(ctx, (pid_t)s->main_pid, ret));
    TRY(add_group(ctx, s, ret));
    if (note->known && note->this_boot && note->id.pid) {
        uint32_t left = 0;

        TRY(pids_threads_left(ctx, note->id.pid, note->id.start, &left));
        if (left)
            TRY(add_living(ctx, note->id.pid, ret));
    }
    return NULL;
}

struct err *systemd_find(struct ctx *ctx, const struct unit *u, const struct systemd_unit *s,
                         struct pids *ret)
{
    AUTO(note_clear) struct note note = {0};

    TRY(note_read(ctx, u, &note));
    return find(ctx, u, s, &note, ret);
}

static struct err *systemd_pids(struct ctx *ctx, const struct unit *u, pid_t **ret, size_t *ret_n)
{
    AUTO(sysbus_closep) struct sysbus *bus = NULL;
    AUTO(systemd_unit_clear) struct systemd_unit s = {0};
    AUTO(pids_clear) struct pids found = {0};

    TRY(systemd_connect(ctx, u, &bus, &s));
    TRY(systemd_find(ctx, u, &s, &found));
    *ret = xcalloc(found.n, sizeof(**ret));
    for (size_t i = 0; i < found.n; i++)
        (*ret)[i] = found.items[i].id.pid;
    *ret_n = found.n;
    return NULL;
}

/* --- what it does --- */

static enum unit_phase down_phase(const struct systemd_unit *s, const struct note *note,
                                  struct strbuf *why)
{
    AUTO(freep) char *end = systemd_unit_end(s);
    bool asked = note->stopped && *s->invocation && str_eq(note->stopped, s->invocation);

    if (str_eq(s->load, "not-found"))
        strbuf_printf(why, "systemd has no unit '%s'", s->id);
    if (str_eq(s->load, "not-found") && systemd_unit_is_down(s))
        return note->known ? PH_STOPPED : PH_ABSENT;
    if (str_eq(s->active, "deactivating"))
        return PH_STOPPING;
    if (str_eq(s->active, "activating") && !str_eq(s->sub, "auto-restart"))
        return PH_STARTING;
    if (str_eq(s->active, "activating"))
        strbuf_printf(why, "it ended (%s), and systemd starts it again (Restart=%s)", end,
                      s->restart);
    else if (str_eq(s->active, "failed") && asked)
        strbuf_printf(why, "it was asked to stop, and ended with %s", end);
    else if (str_eq(s->active, "failed"))
        strbuf_printf(why, "it ended without being asked to: %s", end);
    else if (!str_eq(s->active, "inactive"))
        strbuf_printf(why, "systemd calls it %s, and no process of it is there", s->active);
    else if (str_eq(s->load, "masked"))
        strbuf_printf(why, "%s is masked", s->id);
    return str_eq(s->active, "inactive") || asked ? PH_STOPPED : PH_FAILED;
}

static void tell_detail(struct unit_status *st, const char *text)
{
    if (!st->detail[0])
        snprintf(st->detail, sizeof(st->detail), "%s", text);
}

static struct err *tell_down(struct ctx *ctx, const struct systemd_unit *s, const struct note *note,
                             struct unit_status *ret)
{
    AUTO(strbuf_clear) struct strbuf why = {0};
    bool stop = false, hold = false;

    ret->phase = down_phase(s, note, &why);
    TRY(systemd_dropin_there(ctx, s->id, DROPIN_STOP, &stop));
    TRY(systemd_dropin_there(ctx, s->id, DROPIN_HOLD, &hold));
    if (stop || hold)
        strbuf_printf(&why, "%s%s, which only 'agavectl start' starts again", why.len ? "; " : "",
                      stop ? "a stop was not brought to its end" : "held after a stop");
    tell_detail(ret, strbuf_text(&why));
    return NULL;
}

static struct err *systemd_status(struct ctx *ctx, const struct unit *u, struct unit_status *ret)
{
    AUTO(sysbus_closep) struct sysbus *bus = NULL;
    AUTO(systemd_unit_clear) struct systemd_unit s = {0};
    AUTO(pids_clear) struct pids found = {0};
    AUTO(note_clear) struct note note = {0};
    bool stop = false;

    *ret = (struct unit_status){.age_s = UINT64_MAX};
    TRY(systemd_connect(ctx, u, &bus, &s));
    TRY(note_read(ctx, u, &note));
    TRY(find(ctx, u, &s, &note, &found));
    ret->restarts = (uint32_t)(note.restarts + s.restarts);
    if (found.n == 0)
        return tell_down(ctx, &s, &note, ret);
    if (s.main_pid && has_pid(&found, (pid_t)s.main_pid) && s.started_us &&
        s.started_us / 1000 <= clock_wall_ms(ctx))
        ret->age_s = (clock_wall_ms(ctx) - s.started_us / 1000) / 1000;
    TRY(systemd_dropin_there(ctx, s.id, DROPIN_STOP, &stop));
    if (stop || str_eq(s.active, "deactivating") ||
        (note.this_boot && !note.wanted && note.id.pid != 0)) {
        ret->phase = PH_STOPPING;
        return NULL;
    }
    ret->phase = unit_phase_by_admin(ctx, u, ret);
    return NULL;
}

static struct err *systemd_program(struct ctx *ctx, const struct unit *u, char **ret)
{
    AUTO(sysbus_closep) struct sysbus *bus = NULL;
    AUTO(systemd_unit_clear) struct systemd_unit s = {0};

    TRY(systemd_connect(ctx, u, &bus, &s));
    *ret = *s.program ? xstrdup(s.program) : NULL;
    return NULL;
}

/* --- start --- */

static struct err *is_startable(const struct systemd_unit *s)
{
    if (str_eq(s->load, "not-found"))
        return err_new(ERR_ABSENT,
                       "systemd has no unit '%s': make it, or name the validator's in "
                       "validator.unit",
                       s->id);
    if (str_eq(s->load, "masked"))
        return err_new(ERR_REFUSED,
                       "'%s' is masked: somebody wants it not to be started; "
                       "'systemctl unmask %s' takes that back",
                       s->id, s->id);
    if (!str_eq(s->load, "loaded"))
        return err_new(ERR_REFUSED, "systemd cannot use '%s' (%s): %s; see 'systemctl status %s'",
                       s->id, s->load, s->load_error, s->id);
    return NULL;
}

static struct err *systemd_may_start(struct ctx *ctx, const struct unit *u)
{
    AUTO(sysbus_closep) struct sysbus *bus = NULL;
    AUTO(systemd_unit_clear) struct systemd_unit s = {0};

    TRY(systemd_connect(ctx, u, &bus, &s));
    return is_startable(&s);
}

/* Why it did not come up: what the job says is a word. */
static struct err *not_started(struct sysbus *bus, const struct unit *u, const char *result)
{
    AUTO(systemd_unit_clear) struct systemd_unit s = {0};
    AUTO(freep) char *end = NULL;
    const char *why = str_eq(result, "dependency") ? "a unit that it requires did not start"
                      : str_eq(result, "assert")   ? "one of its Assert…= lines is not met"
                      : str_eq(result, "skipped")  ? "one of its conditions is not met"
                      : str_eq(result, "canceled") ? "somebody else took the job away"
                      : str_eq(result, "timeout")  ? "it took too long"
                                                   : NULL;
    struct err *e = why ? NULL : systemd_unit_read(bus, u->systemd->unit, &s);

    if (!why && !e)
        end = systemd_unit_end(&s);
    err_free(e); /* the job's word must do */
    return err_new(ERR_REMOTE, "systemd did not start '%s': %s; see 'systemctl status %s'",
                   u->systemd->unit,
                   why   ? why
                   : end ? end
                         : result,
                   u->systemd->unit);
}

/* A notify service, or one with long commands before it, is not waited for: the program runs. */
static struct err *is_executed(struct sysbus *bus, const struct unit *u, bool *ret)
{
    AUTO(systemd_unit_clear) struct systemd_unit s = {0};

    TRY(systemd_unit_read(bus, u->systemd->unit, &s));
    *ret = s.main_pid != 0;
    return NULL;
}

static struct err *run_start(struct ctx *ctx, struct sysbus *bus, const struct unit *u)
{
    AUTO(sysbus_job_freep) struct sysbus_job *job = NULL;
    uint64_t deadline_ns = deadline_in_ms(ctx, START_MS);
    const char *result = NULL;
    bool executed = false;

    TRY(sysbus_job_begin(bus, "StartUnit", u->systemd->unit, "start the unit", &job));
    while (!result && !executed) {
        if (deadline_passed(ctx, deadline_ns))
            return err_new(ERR_TIMEOUT,
                           "'%s' has not been started after %d s; see 'systemctl status %s'",
                           u->systemd->unit, START_MS / 1000, u->systemd->unit);
        TRY(sysbus_job_wait(ctx, job, SLICE_MS, &result));
        if (!result)
            TRY(is_executed(bus, u, &executed));
    }
    if (result && !str_eq(result, "done"))
        return not_started(bus, u, result);
    return NULL;
}

static struct err *forget_failures(struct sysbus *bus, const struct unit *u)
{
    struct err *e =
        sysbus_call(bus, "ResetFailedUnit", (const char *const[]){u->systemd->unit, NULL}, CALL_MS,
                    "forget the unit's failures", NULL);

    return e && e->kind == ERR_NOTFOUND ? err_free(e) : e; /* it has none */
}

static struct err *systemd_start(struct ctx *ctx, const struct unit *u)
{
    AUTO(sysbus_closep) struct sysbus *bus = NULL;
    AUTO(systemd_unit_clear) struct systemd_unit s = {0};
    AUTO(pids_clear) struct pids found = {0};
    AUTO(note_clear) struct note note = {0};

    TRY(systemd_connect(ctx, u, &bus, &s));
    TRY(note_read(ctx, u, &note));
    TRY(find(ctx, u, &s, &note, &found));
    if (found.n)
        return err_new(ERR_REFUSED, "process %d already runs on ledger '%s'", found.items[0].id.pid,
                       u->ledger);
    TRY(is_startable(&s));
    note.restarts = note.known ? note.restarts + s.restarts + 1 : 0;
    note.known = note.this_boot = note.wanted = true;
    note.started_ms = clock_wall_ms(ctx);
    note.id = (struct pid_id){0};
    free(TAKE(note.stopped));
    TRY(note_write(ctx, u, &note));
    FAULT_AT("acting", "start");
    if (str_eq(s.sub, "auto-restart")) /* a start would wait for RestartSec= as well */
        TRY(systemd_hold(ctx, bus, s.id));
    TRY(systemd_dropins_keep(ctx, bus, s.id, 0));
    if (s.need_reload) /* what its files say now is what is started */
        TRY(systemd_read_again(bus));
    TRY(forget_failures(bus, u)); /* the operator's word is worth more than StartLimitBurst= */
    return run_start(ctx, bus, u);
}

const struct runtime runtime_systemd = {
    .name = "systemd",
    .status = systemd_status,
    .may_start = systemd_may_start,
    .start = systemd_start,
    .stop_look = systemd_stop_look,
    .stop_begin = systemd_stop_begin,
    .stop_over = systemd_stop_over,
    .stop_end = systemd_stop_end,
    .pids = systemd_pids,
    .program = systemd_program,
};
