/* agavectl snapshot get: the snapshot with which the tip is reached soonest, from all who have it.
 * What is decided is decided by fetch/pair; here are options, the folder and the display. */
#include "cmd/commands.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "cmd/get_show.h"
#include "cmd/path_arg.h"
#include "cmd/snapshot_who.h"
#include "config/config.h"
#include "fetch/pair.h"
#include "fetch/provenance.h"
#include "fetch/store.h"
#include "fetch/target.h"
#include "flow/snapshot_fetch.h"
#include "flow/unit_state.h"
#include "io/fsroot.h"
#include "io/io_class.h"
#include "look/snapshot_rules.h"

struct get_opts {
    struct snapshot_who_opts who;
    const char *dir, *verify, *io_class;
    bool full_only, incr_only, dry_run;
    uint64_t max_rate_b_s;
};

static const char *const verifies[] = {"none", "structure", "full", NULL};
static const char *const io_classes[] = {"idle", "best-effort", NULL};

static const struct opt get_options[] = {
    SNAPSHOT_WHO_OPTS(struct get_opts, who),
    {.type = OPT_STR,
     .lng = "out",
     .arg = "DIR",
     .help = "the folder; default: validator.snapshots of the config",
     .offset = offsetof(struct get_opts, dir)},
    {.type = OPT_FLAG,
     .lng = "full-only",
     .help = "no incremental",
     .offset = offsetof(struct get_opts, full_only)},
    {.type = OPT_FLAG,
     .lng = "incremental-only",
     .help = "only what goes on from the full snapshot in the folder",
     .offset = offsetof(struct get_opts, incr_only)},
    {.type = OPT_STR,
     .lng = "verify",
     .arg = "HOW",
     .help = "none, structure (default), or full: the name's hash as well",
     .offset = offsetof(struct get_opts, verify),
     .choices = verifies},
    {.type = OPT_SIZE,
     .lng = "max-rate",
     .arg = "SIZE",
     .help = "all sources together send at most this much in a second",
     .offset = offsetof(struct get_opts, max_rate_b_s)},
    {.type = OPT_STR,
     .lng = "io-class",
     .arg = "CLASS",
     .help = "idle or best-effort: let others have the disk first",
     .offset = offsetof(struct get_opts, io_class),
     .choices = io_classes},
    {.type = OPT_FLAG,
     .lng = "dry-run",
     .help = "print what would be fetched, from whom and how long it takes; fetch nothing",
     .offset = offsetof(struct get_opts, dry_run)},
    {0},
};

static struct err *check_options(const struct ctx *ctx, const struct get_opts *o)
{
    if (o->full_only && o->incr_only)
        return err_new(ERR_BADINPUT, "'--full-only' and '--incremental-only' exclude each other");
    if (!o->dir && !ctx->cfg)
        return err_new(ERR_BADINPUT, "no folder is known; give --out DIR or --config FILE");
    if (o->dir && !*o->dir)
        return err_new(ERR_BADINPUT, "option '--out' must not be empty");
    return NULL;
}

/* Absolute, as all paths below are. What stands in its way is said before anybody is asked for
 * anything; it is made when there is something to put into it. */
static struct err *folder_of(struct ctx *ctx, const struct get_opts *o, char **ret)
{
    AUTO(freep) char *dir = NULL;
    bool there = false;
    size_t n;

    if (o->dir)
        TRY(path_arg(o->dir, &dir));
    else
        dir = xstrdup(ctx->cfg->validator.snapshots);
    for (n = strlen(dir); n > 1 && dir[n - 1] == '/'; n--)
        dir[n - 1] = 0;
    TRY(fsroot_is_folder(ctx->root, dir, &there));
    if (!there && !o->dir)
        return err_new(ERR_NOTFOUND, "'%s' is not there; 'agavectl prepare' makes it", dir);
    TRY(target_check(ctx, dir, o->dry_run ? 0 : PAIR_SPARE_B, &there));
    *ret = TAKE(dir);
    return NULL;
}

static bool is_folder(struct ctx *ctx, const char *dir, const char *other)
{
    AUTO(freep) char *path = fsroot_path(ctx->root, dir);
    AUTO(freep) char *its = other ? fsroot_path(ctx->root, other) : NULL;
    struct stat a, b;

    if (str_eq(dir, other))
        return true;
    return its && stat(path, &a) == 0 && stat(its, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* Is it a folder of a validator that runs, or may run? Of another folder nobody is asked. */
static struct err *is_in_use(struct ctx *ctx, const char *dir, bool *ret)
{
    AUTO(unit_config_freep) struct unit_config *u = NULL;
    struct snapdirs its;

    *ret = false;
    if (!ctx->cfg)
        return NULL;
    its = snapshot_dirs(ctx->cfg);
    if (!is_folder(ctx, dir, its.dir) && !is_folder(ctx, dir, its.full) &&
        !is_folder(ctx, dir, its.incremental))
        return NULL;
    TRY(unit_config_look(ctx, NULL, &u));
    return unit_look(ctx, u, ret);
}

/* While it runs nothing changes in its folders: what is fetched waits beside it. */
static char *target_of(const char *dir, bool in_use, bool say)
{
    char *target = in_use ? xasprintf("%s/" STORE_DIR, dir) : xstrdup(dir);

    if (in_use && say)
        log_note("a validator runs on '%s': what is fetched waits in '%s' until it is stopped", dir,
                 target);
    return target;
}

struct place_asked {
    struct ctx *ctx;
    const char *dir, *full_dir, *incr_dir;
    bool in_use;
};

static struct err *make_place(void *arg)
{
    const struct place_asked *p = arg;
    const char *const dirs[] = {p->full_dir, p->incr_dir};

    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        AUTO(freep) char *target = NULL;

        TRY(fsroot_mkdirs(p->ctx->root, dirs[i], 0755));
        TRY(store_target(p->ctx, dirs[i], p->in_use, &target));
    }
    return NULL;
}

/* It may have been started while the archive was fetched. */
static struct err *still_unused(void *arg)
{
    const struct place_asked *p = arg;
    bool in_use = false;

    TRY(is_in_use(p->ctx, p->dir, &in_use));
    if (!in_use)
        return NULL;
    return err_new(ERR_REFUSED,
                   "a validator was started on '%s' meanwhile: nothing is put before it; what has "
                   "arrived is kept: the same command goes on with it after 'agavectl stop'",
                   p->dir);
}

static enum fetch_verify verify_of(const struct ctx *ctx, const struct get_opts *o)
{
    const char *v = o->verify ? o->verify : ctx->cfg ? ctx->cfg->snapshot.verify : "structure";

    return str_eq(v, "none")   ? FETCH_VERIFY_NONE
           : str_eq(v, "full") ? FETCH_VERIFY_FULL
                               : FETCH_VERIFY_STRUCTURE;
}

static struct pair_job job_of(struct ctx *ctx, const struct get_opts *o, struct snapshot_scope *who,
                              const struct pair_events *events)
{
    const struct config *c = ctx->cfg;
    bool chown = c && geteuid() == 0 && !o->dir;
    struct pair_job job = {
        .uid = chown ? (uint32_t)c->validator.uid : UINT32_MAX,
        .gid = chown ? (uint32_t)c->validator.gid : UINT32_MAX,
        .verify = verify_of(ctx, o),
        /* agavectl starts none but 3.0 and later, which end at another hash. */
        .hash_must = c && verify_of(ctx, o) == FETCH_VERIFY_FULL,
        .events = events,
    };

    snapshot_job_fill(who, c, &job);
    if (o->max_rate_b_s)
        job.max_rate_b_s = o->max_rate_b_s;
    if (c && !o->dir) /* whoever is asked: a validator of this one starts from it */
        job.limits.shred_version = snapshot_shred_version(c);
    job.limits.full_only = o->full_only;
    job.limits.incr_only = o->incr_only;
    return job;
}

static struct err *get(struct ctx *ctx, const struct get_opts *o, struct snapshot_scope *who,
                       const char *dir, struct get_show *show)
{
    AUTO(pair_local_clear) struct pair_local local = {0};
    AUTO(pair_report_clear) struct pair_report done = {0};
    struct pair_job job = job_of(ctx, o, who, &show->events);
    struct place_asked asked = {.ctx = ctx, .dir = dir};
    struct snapdirs dirs = o->dir ? (struct snapdirs){0} : snapshot_dirs(ctx->cfg);
    const char *full_dir = dirs.full ? dirs.full : dir;
    const char *incr_dir = dirs.incremental ? dirs.incremental : dir;
    AUTO(freep) char *target = NULL, *incr_target = NULL;
    bool in_use = false;
    struct err *e;

    TRY(is_in_use(ctx, dir, &in_use));
    target = target_of(full_dir, in_use, true);
    incr_target = target_of(incr_dir, in_use, false);
    dirs.dir = dir;
    const struct pair_look look = {
        .dirs = dirs, .waiting = in_use, .by_notes = true, .hash_must = job.hash_must};
    job.dir = target;
    job.incr_dir = incr_target;
    job.waiting = in_use;
    asked.in_use = in_use;
    asked.full_dir = full_dir;
    asked.incr_dir = incr_dir;
    job.make_dir = make_place;
    job.may_arg = &asked;
    if (!in_use)
        job.may_name = still_unused;
    e = pair_local_look(ctx, &look, &show->events, &local);
    if (!e && o->incr_only && !local.full)
        e = err_new(ERR_NOTFOUND,
                    "'%s' has no full snapshot that an incremental could go on from; leave "
                    "'--incremental-only' out",
                    dir);
    if (!e)
        e = pair_get(ctx, &job, &local, &done);
    if (e && e->kind == ERR_CANCELLED)
        e = err_hint(e, "what has arrived is kept; the same command goes on with it");
    get_show_result(show, dir, &done, &local, e);
    return e;
}

/* What was learned is kept, whatever became of the rest. */
static void save_blacklist(struct ctx *ctx, struct snapshot_scope *who)
{
    struct err *e = snapshot_scope_save(ctx, who);

    if (e)
        log_note("warning: what failed is not remembered: %s", e->text);
    err_free(e);
}

static struct err *snapshot_get_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                                    struct out *out)
{
    AUTO(snapshot_scope_clear) struct snapshot_scope who = {0};
    AUTO(freep) char *dir = NULL;
    const struct get_opts *o = opts;
    struct get_show show;
    struct err *e;

    TRY(check_options(ctx, o));
    TRY(snapshot_who_choose(ctx, &o->who, &who));
    TRY(folder_of(ctx, o, &dir));
    if (o->io_class)
        TRY(io_class_set(str_eq(o->io_class, "idle") ? IO_CLASS_IDLE : IO_CLASS_BEST_EFFORT));
    get_show_init(&show, out, o->dry_run);
    show.replay_slots_s = who.limits.rates.replay_slots_s;
    show.replay_from = who.replay_from;
    show.unpack_b_s = who.limits.rates.unpack_b_s;
    show.unpack_from = who.unpack_from;
    e = get(ctx, o, &who, dir, &show);
    get_show_close(&show);
    if (!o->dry_run)
        save_blacklist(ctx, &who);
    return e;
}

const struct cmd cmd_snapshot_get = {
    .name = "get",
    .summary = "fetch a full snapshot and the newest incremental",
    .usage = "",
    .detail =
        "Finds who has what (see 'snapshot find'), chooses the full snapshot and incremental with "
        "which the tip is reached soonest, and fetches each from all nodes that have the same "
        "file: pieces from those that honour Range, whole streams that are compared and replaced "
        "when they are slow from those that do not, as Agave itself. The incremental is looked "
        "for again when the full one is here, and another one is fetched until the end is within "
        "snapshot.convergence_slots of the tip. A full snapshot that is in the folder, with a "
        "note of what was proven or verified anew, is not fetched again.\n\n"
        "What arrives is verified while it arrives (--verify) and has its final name only when it "
        "is whole, proven, on the disk and its owner's. Interrupted or killed, the same command "
        "goes on where it was. Before the first byte the disk is asked for room for the full "
        "snapshot, two incrementals and 1 GiB. Nodes and hashes that turn out bad are remembered "
        "('snapshot find --blacklist').\n\n"
        "Nothing is asked: nothing is removed or replaced. While the validator of the config "
        "runs, nothing changes in its folder: archives wait in .agavectl/ there.\n\n"
        "-o json: a line each on stdout, the member event tells which: step {text}, plan {full, "
        "incremental, their sizes, sources and trust, slot, tip, minutes_to_tip, replay_slots_s, "
        "replay_from, unpack_b_s, unpack_from, disk_need_b, "
        "disk_free_b}, progress {file, done_b, total_b, verified_b, again_b, rate_b_s, eta_s, "
        "sources[]}, dropped {addr, why}, fetched {file, size_b, wire_b, seconds, hash, "
        "sources[]}, and last result {ok, error, fetched[], full, incremental, slot, tip}.",
    .example = "agavectl snapshot get --rpc http://203.0.113.7:8899 --out /srv/snapshots",
    .flags = CMD_CONFIG_MAYBE | CMD_JSON,
    .opts = get_options,
    .opts_size = sizeof(struct get_opts),
    .run = snapshot_get_run,
};
