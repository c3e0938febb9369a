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

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/str.h"
#include "host/limits.h"
#include "host/pid_files.h"
#include "host/pids.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "io/lock.h"
#include "io/proc.h"
#include "solana/admin.h"

#define NOTE_MAX_B 4096
#define ADMIN_MS   400

struct note {
    bool known;     /* there is a note of this boot or an older one */
    bool wanted;    /* it is meant to run */
    bool this_boot; /* pid and start mean something */
    struct pid_id id;
    uint64_t started_ms; /* wall clock */
    uint64_t restarts;   /* starts after the first */
    char *bin;           /* the program, or NULL */
};

static void note_clear(struct note *n)
{
    free(n->bin);
    *n = (struct note){0};
}

static char *note_path(const struct unit *u)
{
    return xasprintf("%s/%s.json", u->state_dir, u->name);
}

static struct err *boot_id(struct ctx *ctx, char **ret)
{
    return fsroot_read_line(ctx->root, "/proc/sys/kernel/random/boot_id", ret);
}

static struct err *note_fields(const struct json *j, const char *boot, struct note *ret)
{
    const char *text;
    uint64_t pid;

    TRY(json_as_bool(json_get(j, "wanted"), &ret->wanted));
    TRY(json_as_u64(json_get(j, "pid"), &pid));
    TRY(json_as_u64(json_get(j, "start"), &ret->id.start));
    TRY(json_as_u64(json_get(j, "started_ms"), &ret->started_ms));
    TRY(json_as_u64(json_get(j, "restarts"), &ret->restarts));
    TRY(json_as_str(json_get(j, "boot_id"), &text));
    if (pid > INT32_MAX)
        return err_new(ERR_CORRUPT, "pid %" PRIu64 " is no pid", pid);
    if (json_get(j, "bin")) { /* null: adopted at a stop, started by somebody else */
        const char *bin;

        TRY(json_as_str(json_get(j, "bin"), &bin));
        ret->bin = xstrdup(bin);
    }
    ret->id.pid = (pid_t)pid;
    ret->this_boot = str_eq(text, boot);
    ret->known = true;
    return NULL;
}

/* ret: {0}, to be cleared. No note: known is false. */
static struct err *note_read(struct ctx *ctx, const struct unit *u, struct note *ret)
{
    AUTO(freep) char *path = note_path(u), *text = NULL, *boot = NULL;
    AUTO(json_freep) struct json *j = NULL;
    size_t n = 0;
    struct err *e = fsroot_read(ctx->root, path, NOTE_MAX_B, &text, &n);

    if (e && e->kind == ERR_NOTFOUND) {
        err_free(e); /* never started by us */
        return NULL;
    }
    if (e)
        return e;
    TRY(boot_id(ctx, &boot));
    e = json_parse(text, n, &j);
    if (!e)
        e = note_fields(j, boot, ret);
    if (e)
        return err_hint(err_wrap(e, "cannot read '%s'", path),
                        "remove it if the validator does not run");
    return NULL;
}

static struct err *note_write(struct ctx *ctx, const struct unit *u, const struct note *n)
{
    AUTO(freep) char *path = note_path(u), *boot = NULL, *text = NULL;
    AUTO(json_freep) struct json *j = json_new_object();

    TRY(boot_id(ctx, &boot));
    json_put(j, "wanted", json_new_bool(n->wanted));
    json_put(j, "pid", json_new_u64((uint64_t)n->id.pid));
    json_put(j, "start", json_new_u64(n->id.start));
    json_put(j, "boot_id", json_new_str(boot));
    json_put(j, "started_ms", json_new_u64(n->started_ms));
    json_put(j, "restarts", json_new_u64(n->restarts));
    json_put(j, "bin", json_new_str(n->bin));
    text = json_text(j, false);
    TRY(fsroot_mkdirs(ctx->root, u->state_dir, 0755));
    return fsroot_write_atomic(ctx->root, path, text, strlen(text), 0644);
}

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

/* Start-up is over when the admin socket says "Running"; a socket that does not answer yet is a
 * start that has not come that far. */
static enum unit_phase phase_of_running(struct ctx *ctx, const struct unit *u, bool wanted,
                                        struct unit_status *st)
{
    struct admin_progress progress = {0};
    AUTO(err_freep) struct err *e = NULL;

    if (!wanted)
        return PH_STOPPING;
    e = admin_start_progress(ctx, u->ledger, ADMIN_MS, &progress);
    if (e) {
        snprintf(st->detail, sizeof(st->detail), "%s", e->text);
        return PH_STARTING;
    }
    return progress.phase == ADMIN_RUNNING ? PH_RUNNING : PH_STARTING;
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
    ret->phase = phase_of_running(ctx, u, !stopping, ret);
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

/* One that somebody else started is adopted: the next stop then knows that it has been asked, also
 * when it closed its admin socket long before it ended. */
static void adopt(struct note *note, const struct pid_info *p)
{
    bool same = note->known && note->this_boot && note->id.pid == p->id.pid &&
                note->id.start == p->id.start;

    if (same)
        return;
    free(note->bin);
    note->bin = NULL;
    note->known = note->this_boot = true;
    note->id = p->id;
    note->started_ms = 0;
}

/* A note that cannot be written (/run is full) does not keep a validator from being stopped:
 * nothing here starts one by its note. */
static struct err *note_stop(struct ctx *ctx, const struct unit *u, const struct note *n)
{
    struct err *e = note_write(ctx, u, n);

    if (!e || e->kind != ERR_SYS)
        return e;
    log_debug("%s", e->text);
    return err_free(e);
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
        adopt(&note, &found.items[0]);
    note.wanted = false;
    if (note.known)
        TRY(note_stop(ctx, u, &note));
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
    return note_stop(ctx, u, &note);
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
