/* The stop of a service. systemd is told first, by a drop-in of this boot, to leave the unit alone:
 * not to start it again, and not to kill it or to signal anything that a program dies of. Then the
 * stop flow asks the validator itself. When it is proven gone the drop-in goes.
 *
 * A drop-in lies in /run, so that a boot takes it away, and its name is always the same, so that
 * whoever comes next finds one that was left behind. StopUnit is called in one case only: the unit
 * has no process, and systemd waits to start it again. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/str.h"
#include "host/cgroup.h"
#include "io/fsroot.h"
#include "runtime/note.h"
#include "runtime/systemd_parts.h"

#define RELOAD_MS 90000
#define CANCEL_MS 30000
#define DEPTH_MAX 64

/* Every start fails while one of ours is there, and 'systemctl status' shows this path: a
 * condition would be passed over without a word. Nobody can make a file there. */
#define ASSERTION "[Unit]\nAssertPathExists=/proc/agavectl-holds-it.use-agavectl-start\n"

static const struct {
    const char *name, *text;
} dropins[DROPIN_N] = {
    /* Drop-ins count in the order of their names. SIGCONT hurts nobody: whoever else stops the unit
     * meanwhile, or shuts the machine down, waits for the validator like we do. An empty value
     * takes back those before it. */
    [DROPIN_STOP] = {"zzz-agavectl-stop.conf",
                     "# A stop by agavectl is under way, or was cut off: 'agavectl stop' goes on, "
                     "and removes this.\n" ASSERTION "[Service]\n"
                     "Restart=no\n"
                     "RestartForceExitStatus=\n"
                     "RemainAfterExit=no\n"
                     "ExecStop=\n"
                     "KillSignal=SIGCONT\n"
                     "RestartKillSignal=SIGCONT\n"
                     "SendSIGHUP=no\n"
                     "SendSIGKILL=no\n"
                     "TimeoutStopSec=infinity\n"},
    [DROPIN_HOLD] = {"zzz-agavectl-hold.conf",
                     "# agavectl has stopped this unit, and something else would start it at once: "
                     "'agavectl start' removes this.\n" ASSERTION},
    [DROPIN_LEAVE] = {"zzz-agavectl-leave.conf",
                      "# 'agavectl stop' was this unit's ExecStop, and was not to be ended by "
                      "TimeoutStopSec=: the next stop or start by agavectl removes this.\n"
                      "[Service]\n"
                      "TimeoutStopSec=infinity\n"},
};

static char *folder_of(const char *id)
{
    return xasprintf("/run/systemd/system/%s.d", id);
}

char *systemd_dropin_path(const char *id, enum systemd_dropin which)
{
    AUTO(freep) char *folder = folder_of(id);

    return xasprintf("%s/%s", folder, dropins[which].name);
}

struct err *systemd_dropin_there(struct ctx *ctx, const char *id, enum systemd_dropin which,
                                 bool *ret)
{
    AUTO(freep) char *path = systemd_dropin_path(id, which);
    struct stat st;
    struct err *e = fsroot_stat(ctx->root, path, &st);

    *ret = !e;
    return e && e->kind == ERR_NOTFOUND ? err_free(e) : e;
}

static struct err *write_dropin(struct ctx *ctx, const char *id, enum systemd_dropin which)
{
    AUTO(freep) char *folder = folder_of(id);
    AUTO(freep) char *path = systemd_dropin_path(id, which);
    const char *text = dropins[which].text;

    TRY(fsroot_mkdirs(ctx->root, folder, 0755));
    return fsroot_write_atomic(ctx->root, path, text, strlen(text), 0644);
}

/* *ret: something was there. */
static struct err *remove_dropin(struct ctx *ctx, const char *id, enum systemd_dropin which,
                                 bool *ret)
{
    AUTO(freep) char *path = systemd_dropin_path(id, which);
    AUTO(freep) char *folder = folder_of(id);
    bool there = false;

    TRY(systemd_dropin_there(ctx, id, which, &there));
    if (!there)
        return NULL;
    TRY(fsroot_unlink(ctx->root, path));
    *ret = true;
    err_free(fsroot_rmdir(ctx->root, folder)); /* others may have theirs in it */
    return NULL;
}

struct err *systemd_read_again(struct sysbus *bus)
{
    return sysbus_call(bus, "Reload", NULL, RELOAD_MS, "read its files again", NULL);
}

/* Has the manager read others of ours than those to be kept? One was removed and not read again,
 * when the one who did so was killed. */
static struct err *has_read_others(struct sysbus *bus, const char *id, unsigned keep, bool *ret)
{
    AUTO(systemd_unit_clear) struct systemd_unit s = {0};

    TRY(systemd_unit_read(bus, id, &s));
    for (unsigned i = 0; i < DROPIN_N; i++) {
        AUTO(freep) char *path = systemd_dropin_path(id, i);

        *ret |= strlist_has(&s.dropins, path) != !!(keep & 1U << i);
    }
    return NULL;
}

struct err *systemd_dropins_keep(struct ctx *ctx, struct sysbus *bus, const char *id, unsigned keep)
{
    bool changed = false;

    for (unsigned i = 0; i < DROPIN_N; i++) {
        bool there = false;

        TRY(systemd_dropin_there(ctx, id, i, &there));
        if (!(keep & 1U << i) || there)
            continue;
        TRY(write_dropin(ctx, id, i));
        changed = true;
    }
    FAULT_AT("acting", "kept");
    for (unsigned i = 0; i < DROPIN_N; i++)
        if (!(keep & 1U << i))
            TRY(remove_dropin(ctx, id, i, &changed));
    FAULT_AT("acting", "removed");
    if (!changed)
        TRY(has_read_others(bus, id, keep, &changed));
    return changed ? systemd_read_again(bus) : NULL;
}

/* --- look --- */

static struct err *is_below(struct ctx *ctx, pid_t pid, pid_t top, bool *ret)
{
    *ret = false;
    for (unsigned depth = 0; pid > 1 && depth < DEPTH_MAX && !*ret; depth++) {
        AUTO(pids_clear) struct pids one = {0};

        *ret = pid == top;
        struct err *e = pids_get(ctx, pid, &one);
        if (e && e->kind == ERR_NOTFOUND)
            return err_free(e);
        TRY(e);
        pid = one.items[0].ppid;
    }
    return NULL;
}

static bool is_in_group(const char *path, const char *group)
{
    size_t n = strlen(group);

    return n && path && strncmp(path, group, n) == 0 && (path[n] == '/' || !path[n]);
}

/* Another service that has it as its own would start it again, and is not the one that we hold. */
static struct err *not_anothers(struct ctx *ctx, struct sysbus *bus, const struct systemd_unit *s,
                                const struct pid_info *p)
{
    AUTO(freep) char *unit = unit_of_cgroup(p->cgroup);
    AUTO(systemd_unit_clear) struct systemd_unit other = {0};
    bool its = false;

    if (!unit || is_in_group(p->cgroup, s->cgroup) || str_eq(unit, s->id))
        return NULL;
    if (strstr(p->cgroup, "kubepods") || strstr(p->cgroup, "/docker"))
        return err_new(ERR_REFUSED,
                       "process %d runs in a container ('%s'), and the config says that it is "
                       "systemd's '%s': see validator.runtime",
                       p->id.pid, p->cgroup, s->id);
    if (strstr(p->cgroup, "/user@") && str_ends(unit, ".service"))
        return err_new(ERR_REFUSED,
                       "process %d is of '%s' of a user's own systemd, which agavectl does not "
                       "drive: make it a service of the system",
                       p->id.pid, unit);
    if (!str_ends(unit, ".service"))
        return NULL; /* a session: whoever sits there started it once */
    TRY(systemd_unit_read(bus, unit, &other));
    if (other.main_pid)
        TRY(is_below(ctx, p->id.pid, (pid_t)other.main_pid, &its));
    return its ? err_new(ERR_REFUSED,
                         "process %d is of '%s', and validator.unit is '%s': name the unit that "
                         "it is of",
                         p->id.pid, unit, s->id)
               : NULL;
}

/* Units that would start it again when nothing holds it: active timers, sockets, paths, Upholds=.
 */
static struct err *find_starters(struct sysbus *bus, const struct systemd_unit *s,
                                 struct strlist *ret)
{
    const struct strlist *const all[] = {&s->triggers, &s->upholders};

    for (size_t k = 0; k < ARRAY_LEN(all); k++)
        for (size_t i = 0; i < all[k]->n; i++) {
            AUTO(systemd_unit_clear) struct systemd_unit other = {0};

            TRY(systemd_unit_read(bus, all[k]->items[i], &other));
            if (!systemd_unit_is_down(&other) && !strlist_has(ret, other.id))
                strlist_add(ret, other.id);
        }
    return NULL;
}

/* With no process, no job and no restart to come there is nothing to be put off. */
static bool must_hold(const struct systemd_unit *s)
{
    return !systemd_unit_is_down(s) || s->job;
}

static void tell_settings(const struct systemd_unit *s, struct strbuf *b)
{
    const char *signal = sigabbrev_np((int)s->kill_signal);
    char limit[32] = "infinity";

    if (s->stop_us != UINT64_MAX)
        fmt_duration((double)s->stop_us / 1e6, limit, sizeof(limit));
    strbuf_printf(b, "%s has Restart=%s, KillSignal=SIG%s, TimeoutStopSec=%s and %s", s->id,
                  s->restart, signal ? signal : "?", limit,
                  s->stops_by_exit ? "an ExecStop that asks it to exit"
                  : s->stops.n     ? "an ExecStop that is not its exit"
                                   : "no ExecStop");
}

static char *way_text(const struct systemd_unit *s, const struct strlist *starters)
{
    AUTO(freep) char *path = systemd_dropin_path(s->id, DROPIN_STOP);
    struct strbuf b = {0};

    if (must_hold(s)) {
        tell_settings(s, &b);
        if (str_eq(s->active, "deactivating"))
            strbuf_puts(&b, "; somebody is stopping it already");
        strbuf_printf(&b, "; '%s' counts until the proof", path);
        if (s->need_reload)
            strbuf_puts(&b, "; its files have changed and are read again");
    }
    for (size_t i = 0; i < starters->n; i++)
        strbuf_printf(&b, "%s%s would start it again%s", b.len ? "; " : "", starters->items[i],
                      i + 1 == starters->n ? ": it is held until 'agavectl start'" : "");
    return strbuf_take(&b);
}

static struct json *texts_json(const struct strlist *l)
{
    struct json *j = json_new_array();

    for (size_t i = 0; i < l->n; i++)
        json_push(j, json_new_str(l->items[i]));
    return j;
}

static struct json *way_json(const struct systemd_unit *s, const struct strlist *starters)
{
    AUTO(freep) char *text = way_text(s, starters);
    AUTO(freep) char *path = systemd_dropin_path(s->id, DROPIN_STOP);
    bool limited = s->stop_us != UINT64_MAX;
    struct json *j = json_new_object();

    json_put(j, "text", json_new_str(text));
    json_put(j, "instance", json_new_str(*s->invocation ? s->invocation : NULL));
    json_put(j, "unit", json_new_str(s->id));
    json_put(j, "file", json_new_str(s->file));
    json_put(j, "dropins", texts_json(&s->dropins));
    json_put(j, "load", json_new_str(s->load));
    json_put(j, "active", json_new_str(s->active));
    json_put(j, "sub", json_new_str(s->sub));
    json_put(j, "main_pid", json_new_u64(s->main_pid));
    json_put(j, "type", json_new_str(s->type));
    json_put(j, "restart", json_new_str(s->restart));
    json_put(j, "kill_mode", json_new_str(s->kill_mode));
    json_put(j, "kill_signal", json_new_u64(s->kill_signal));
    json_put(j, "send_sigkill", json_new_bool(s->send_sigkill));
    json_put(j, "timeout_stop_s", limited ? json_new_u64(s->stop_us / 1000000) : NULL);
    json_put(j, "exec_stop", texts_json(&s->stops));
    json_put(j, "exec_stop_is_exit", json_new_bool(s->stops_by_exit));
    json_put(j, "bound_to", texts_json(&s->bound));
    json_put(j, "started_by", texts_json(starters));
    json_put(j, "writes", json_new_str(must_hold(s) ? path : NULL));
    return j;
}

struct err *systemd_stop_look(struct ctx *ctx, const struct unit *u, uint32_t grace_s,
                              struct json **ret_way)
{
    AUTO(sysbus_closep) struct sysbus *bus = NULL;
    AUTO(systemd_unit_clear) struct systemd_unit s = {0};
    AUTO(pids_clear) struct pids found = {0};
    AUTO(strlist_clear) struct strlist starters = {0};

    (void)grace_s; /* the drop-in knows no limit */
    TRY(systemd_connect(ctx, u, &bus, &s));
    TRY(systemd_find(ctx, u, &s, &found));
    for (size_t i = 0; i < found.n; i++)
        TRY(not_anothers(ctx, bus, &s, &found.items[i]));
    TRY(find_starters(bus, &s, &starters));
    *ret_way = way_json(&s, &starters);
    return NULL;
}

/* --- begin --- */

/* Of a unit that is masked, or whose file is gone, no drop-in is read: systemd's defaults count,
 * under which nothing starts it again, and nothing signals it while nobody stops it. */
static struct err *must_hold_now(const struct systemd_unit *s)
{
    bool plain = !str_eq(s->load, "loaded");

    if (str_eq(s->restart, "no") &&
        (plain || (!s->send_sigkill && s->kill_signal == SIGCONT && s->stop_us == UINT64_MAX &&
                   !s->remain && !s->stops.n)))
        return NULL;
    return err_new(ERR_REFUSED,
                   "systemd does not take '%s' for '%s' (Restart=%s, KillSignal=%" PRIu64
                   ", SendSIGKILL=%s): is there a drop-in whose name comes after it? See "
                   "'systemctl cat %s'",
                   dropins[DROPIN_STOP].name, s->id, s->restart, s->kill_signal,
                   s->send_sigkill ? "yes" : "no", s->id);
}

/* It has no process, and systemd waits to start it again. Our drop-in is read by now: should the
 * wait be over this very moment, the start fails; and should a start have come before it, what this
 * stop sends to the process is SIGCONT. */
static struct err *call_off(struct ctx *ctx, struct sysbus *bus, const struct systemd_unit *s)
{
    AUTO(sysbus_job_freep) struct sysbus_job *job = NULL;
    const char *result = NULL;

    if (!str_eq(s->sub, "auto-restart"))
        return NULL;
    TRY(sysbus_job_begin(bus, "StopUnit", s->id, "call off the unit's restart", &job));
    TRY(sysbus_job_wait(ctx, job, CANCEL_MS, &result));
    log_debug("the restart of '%s' is called off: %s", s->id, result ? result : "not yet");
    return NULL;
}

static struct err *hold(struct ctx *ctx, struct sysbus *bus, const char *id)
{
    AUTO(systemd_unit_clear) struct systemd_unit now = {0};

    TRY(write_dropin(ctx, id, DROPIN_STOP));
    FAULT_AT("acting", "dropin");
    TRY(systemd_read_again(bus));
    FAULT_AT("acting", "reloaded");
    TRY(systemd_unit_read(bus, id, &now));
    TRY(must_hold_now(&now));
    return call_off(ctx, bus, &now);
}

struct err *systemd_hold(struct ctx *ctx, struct sysbus *bus, const char *id)
{
    bool before = false;

    TRY(systemd_dropin_there(ctx, id, DROPIN_STOP, &before));
    struct err *e = hold(ctx, bus, id);
    if (!e || before)
        return e;
    struct err *left = systemd_dropins_keep(ctx, bus, id, 0);
    if (left)
        e = err_hint(e, "its drop-in could not be taken away: %s", left->text);
    err_free(left);
    return e;
}

static struct err *note_stopping(struct ctx *ctx, const struct unit *u, const struct pids *found)
{
    AUTO(note_clear) struct note note = {0};

    TRY(note_read(ctx, u, &note));
    if (found->n)
        note_adopt(&note, &found->items[0]);
    note.wanted = false;
    return note.known ? note_write_stop(ctx, u, &note) : NULL;
}

static struct err *unnote_stopping(struct ctx *ctx, const struct unit *u, struct err *e)
{
    AUTO(note_clear) struct note note = {0};
    struct err *unread = note_read(ctx, u, &note);

    if (!unread && note.known) {
        note.wanted = true;
        note.id = (struct pid_id){0};
        unread = note_write(ctx, u, &note);
    }
    err_free(unread); /* the first failure is the one to tell */
    return e;
}

struct err *systemd_stop_begin(struct ctx *ctx, const struct unit *u, uint32_t grace_s,
                               const struct json *way, struct json **ret_undo)
{
    AUTO(sysbus_closep) struct sysbus *bus = NULL;
    AUTO(systemd_unit_clear) struct systemd_unit s = {0};
    AUTO(pids_clear) struct pids found = {0};

    (void)grace_s;
    TRY(systemd_connect(ctx, u, &bus, &s));
    TRY(systemd_find(ctx, u, &s, &found));
    TRY(note_stopping(ctx, u, &found));
    if (must_hold(&s)) {
        struct err *e = systemd_hold(ctx, bus, s.id);

        if (e)
            return unnote_stopping(ctx, u, e);
    }
    *ret_undo = way ? json_ref(way) : json_new_object();
    return NULL;
}

/* --- over, end --- */

/* As one of the unit's own commands (ExecStop=agavectl stop) we keep it from being inactive. */
static struct err *is_its_command(struct ctx *ctx, const struct systemd_unit *s, bool *ret)
{
    *ret = false;
    return s->control_pid ? is_below(ctx, getpid(), (pid_t)s->control_pid, ret) : NULL;
}

struct err *systemd_stop_over(struct ctx *ctx, const struct unit *u, bool *ret, char **ret_what)
{
    AUTO(sysbus_closep) struct sysbus *bus = NULL;
    AUTO(systemd_unit_clear) struct systemd_unit s = {0};

    TRY(systemd_connect(ctx, u, &bus, &s));
    *ret = systemd_unit_is_down(&s);
    if (!*ret)
        TRY(is_its_command(ctx, &s, ret));
    if (!*ret)
        *ret_what = xasprintf("systemd says that %s is %s (%s)", s.id, s.active, s.sub);
    return NULL;
}

/* What ended by our stop is stopped, however it ended. */
static struct err *note_stopped(struct ctx *ctx, const struct unit *u, const char *invocation)
{
    AUTO(note_clear) struct note note = {0};

    TRY(note_read(ctx, u, &note));
    if (!note.known && !*invocation)
        return NULL;
    note.known = true;
    note.wanted = false;
    note.id = (struct pid_id){0};
    free(note.stopped);
    note.stopped = *invocation ? xstrdup(invocation) : NULL;
    return note_write_stop(ctx, u, &note);
}

/* As its ExecStop we are still there when our drop-in goes: its own limit would count at once, from
 * the moment when the stop began. undo: what stop_look read before anything was done. */
static struct err *must_leave_late(struct ctx *ctx, const struct systemd_unit *s,
                                   const struct json *undo, bool *ret)
{
    bool had_none = json_has(undo, "timeout_stop_s") && !json_get(undo, "timeout_stop_s");

    TRY(is_its_command(ctx, s, ret));
    *ret &= !had_none;
    return NULL;
}

struct err *systemd_stop_end(struct ctx *ctx, const struct unit *u, const struct json *undo)
{
    AUTO(sysbus_closep) struct sysbus *bus = NULL;
    AUTO(systemd_unit_clear) struct systemd_unit s = {0};
    AUTO(strlist_clear) struct strlist starters = {0};
    bool late = false;

    TRY(systemd_connect(ctx, u, &bus, &s));
    TRY(note_stopped(ctx, u, s.invocation));
    TRY(find_starters(bus, &s, &starters));
    TRY(must_leave_late(ctx, &s, undo, &late));
    return systemd_dropins_keep(
        ctx, bus, s.id, (starters.n ? 1U << DROPIN_HOLD : 0) | (late ? 1U << DROPIN_LEAVE : 0));
}
