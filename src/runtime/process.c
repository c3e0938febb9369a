/* The validator as a plain process of this host: started detached, found again by its ledger.
 *
 * What runs is asked of the kernel: whoever holds the flock on <ledger>/ledger.lock (Agave takes it
 * first of all, validator lib.rs lock_ledger of 3.0.14) is the validator, whether we started it or
 * not. Our own note in <state_dir>/<unit>.json only adds what the kernel cannot know: that somebody
 * wanted it to run, which process to watch before it has the lock, and of which program it is.
 *
 * There is no kill here. A stop is asked over the admin socket by the stop flow; this driver says
 * that nothing will start the unit again, and who is left. */
#include "runtime/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/str.h"
#include "host/limits.h"
#include "host/pid_files.h"
#include "host/pids.h"
#include "io/clock.h"
#include "io/proc.h"
#include "runtime/note.h"

static bool has_pid(const struct pids *p, pid_t pid)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->items[i].id.pid == pid)
            return true;
    return false;
}

/* A start that was cut off between the process and the note of it, before it has the lock. */
static struct err *find_unnoted(struct ctx *ctx, const struct unit *u, const struct note *note,
                                struct pids *ret)
{
    const char *slash = note->bin ? strrchr(note->bin, '/') : NULL;
    struct pids_match match = {.name = slash ? slash + 1 : note->bin, .arg = u->ledger};

    if (!note->bin || !note->wanted || note->id.pid != 0 || ret->n)
        return NULL;
    return pids_find(ctx, &match, ret);
}

/* Every process of the unit: holders of the ledger's lock, then the one that we started. */
static struct err *find(struct ctx *ctx, const struct unit *u, const struct note *note,
                        struct pids *ret)
{
    AUTO(freep) char *lock = xasprintf("%s/ledger.lock", u->ledger);
    AUTO(pids_clear) struct pids own = {0};
    struct err *e = pids_flock_holders(ctx, lock, ret);
    uint32_t left = 0;

    if (e && e->kind != ERR_NOTFOUND)
        return err_wrap(e, "cannot look for the validator");
    err_free(e); /* no lock file: never started here */
    if (!note->known || !note->this_boot)
        return NULL;
    if (note->id.pid == 0 || has_pid(ret, note->id.pid))
        return find_unnoted(ctx, u, note, ret);
    TRY(pids_threads_left(ctx, note->id.pid, note->id.start, &left));
    if (left == 0)
        return NULL;
    e = pids_get(ctx, note->id.pid, &own);
    if (e && e->kind == ERR_NOTFOUND) { /* gone between the two looks */
        err_free(e);
        return NULL;
    }
    if (e)
        return e;
    ret->items = xgrow(ret->items, &ret->cap, ret->n + 1, sizeof(*ret->items));
    ret->items[ret->n++] = own.items[0];
    own.n = 0; /* handed over */
    return NULL;
}

static struct err *process_pids(struct ctx *ctx, const struct unit *u, pid_t **ret, size_t *ret_n)
{
    AUTO(pids_clear) struct pids found = {0};
    AUTO(note_clear) struct note note = {0};

    TRY(note_read(ctx, u, &note));
    TRY(find(ctx, u, &note, &found));
    *ret = xcalloc(found.n, sizeof(**ret));
    for (size_t i = 0; i < found.n; i++)
        (*ret)[i] = found.items[i].id.pid;
    *ret_n = found.n;
    return NULL;
}

static struct err *process_status(struct ctx *ctx, const struct unit *u, struct unit_status *ret)
{
    AUTO(pids_clear) struct pids found = {0};
    AUTO(note_clear) struct note note = {0};
    bool ours;

    *ret = (struct unit_status){.age_s = UINT64_MAX};
    TRY(note_read(ctx, u, &note));
    TRY(find(ctx, u, &note, &found));
    ret->restarts = (uint32_t)note.restarts;
    if (found.n == 0) {
        ret->phase = !note.known ? PH_ABSENT : note.wanted ? PH_FAILED : PH_STOPPED;
        if (ret->phase == PH_FAILED)
            snprintf(ret->detail, sizeof(ret->detail), "%s",
                     note.this_boot ? "it ended without being asked to"
                                    : "it has not been started since the machine was");
        return NULL;
    }
    ours = note.this_boot && note.id.pid == found.items[0].id.pid &&
           note.id.start == found.items[0].id.start;
    if (ours && note.started_ms && note.started_ms <= clock_wall_ms(ctx))
        ret->age_s = (clock_wall_ms(ctx) - note.started_ms) / 1000;
    /* After a stop that came to its end the note names no process: one that is there now was
     * started by somebody else and runs. Before that it is on its way out, or a child that it left.
     */
    bool stopping = note.this_boot && !note.wanted && note.id.pid != 0;
    ret->phase = stopping ? PH_STOPPING : unit_phase_by_admin(ctx, u, ret);
    return NULL;
}

static struct err *process_start(struct ctx *ctx, const struct unit *u)
{
    AUTO(pids_clear) struct pids found = {0};
    struct proc_daemon_spec spec = {.path = u->bin,
                                    .argv = u->argv,
                                    .env = u->env,
                                    .log = u->log,
                                    .uid = u->uid,
                                    .gid = u->gid,
                                    .nofile = LIMIT_NOFILE_LEAST,
                                    .memlock_b = LIMIT_MEMLOCK_LEAST};
    AUTO(note_clear) struct note note = {0};
    pid_t pid = 0;

    TRY(note_read(ctx, u, &note));
    TRY(find(ctx, u, &note, &found));
    if (found.n)
        return err_new(ERR_REFUSED, "process %d already runs on ledger '%s'", found.items[0].id.pid,
                       u->ledger);
    note.restarts = note.known ? note.restarts + 1 : 0;
    note.known = note.this_boot = note.wanted = true;
    note.started_ms = clock_wall_ms(ctx);
    note.id = (struct pid_id){0};
    free(note.bin);
    note.bin = xstrdup(u->bin);
    /* The wish is durable before the process is there; should we die in between, the ledger's lock
     * still leads to the process. */
    TRY(note_write(ctx, u, &note));
    struct err *e = proc_spawn_daemon(&spec, &pid);
    if (e) {
        free(TAKE(note.bin));                      /* there is nobody to look for */
        (void)err_free(note_write(ctx, u, &note)); /* the first failure is the one to tell */
        return err_wrap(e, "cannot start '%s'", u->bin);
    }
    FAULT_AT("acting", "start");
    note.id.pid = pid;
    e = pid_start(ctx, pid, &note.id.start);
    if (e && e->kind == ERR_NOTFOUND) {
        err_free(e);
        return err_new(ERR_REMOTE, "'%s' ended at once; its output is in '%s'", u->bin, u->log);
    }
    if (e)
        return e;
    return note_write(ctx, u, &note);
}

static struct err *process_stop_begin(struct ctx *ctx, const struct unit *u, uint32_t grace_s,
                                      const struct json *way, struct json **ret_undo)
{
    AUTO(note_clear) struct note note = {0};
    AUTO(pids_clear) struct pids found = {0};

    TRY(note_read(ctx, u, &note));
    TRY(find(ctx, u, &note, &found));
    bool wanted = note.wanted;
    if (found.n)
        note_adopt(&note, &found.items[0]);
    note.wanted = false;
    if (note.known)
        TRY(note_write_stop(ctx, u, &note));
    *ret_undo = json_new_object();
    json_put(*ret_undo, "wanted", json_new_bool(wanted));
    return NULL;
}

static struct err *process_stop_end(struct ctx *ctx, const struct unit *u, const struct json *undo)
{
    AUTO(note_clear) struct note note = {0};

    TRY(note_read(ctx, u, &note));
    if (!note.known)
        return NULL;
    note.id = (struct pid_id){0};
    return note_write_stop(ctx, u, &note);
}

static struct err *process_program(struct ctx *ctx, const struct unit *u, char **ret)
{
    AUTO(note_clear) struct note note = {0};

    TRY(note_read(ctx, u, &note));
    *ret = TAKE(note.bin);
    return NULL;
}

const struct runtime runtime_process = {
    .name = "process",
    .status = process_status,
    .start = process_start,
    .stop_begin = process_stop_begin,
    .stop_end = process_stop_end,
    .pids = process_pids,
    .program = process_program,
};
