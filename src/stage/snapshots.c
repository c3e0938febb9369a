/* Layer 5: what a start would begin from. The newest archives against the tip, and what lies in the
 * folder and is none, or is one in name only. A running validator does not need them; one that is
 * stopped or starting does, and one that starts from an old snapshot may never catch up. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "config/config.h"
#include "io/fsroot.h"
#include "look/scene_status.h"
#include "look/snapshot_rules.h"
#include "look/snapshot_trust.h"
#include "solana/snapshot_name.h"
#include "stage/table.h"

static const char *full_dir(const struct config *c)
{
    const struct snapdirs dirs = snapshot_dirs(c);

    return dirs.full ? dirs.full : dirs.dir;
}

static const char *incr_dir(const struct config *c)
{
    const struct snapdirs dirs = snapshot_dirs(c);

    return dirs.incremental ? dirs.incremental : dirs.dir;
}

struct look {
    struct ctx *ctx;
    const struct config *cfg;
    bool needed;  /* stopped or starting: it begins, or will begin, from these */
    bool stopped; /* and then ours to start */
    const struct status *status;
    struct snapshot_dir dir;
    struct findings *ret;
};

static void look_clear(struct look *l)
{
    snapshot_dir_clear(&l->dir);
}

static bool snapshots_enabled(const struct ctx *ctx)
{
    return ctx->cfg && *ctx->cfg->validator.snapshots;
}

/* ---- how old -----------------------------------------------------------------------------------
 */

/* A start of ours brings fresh ones. */
static void fix(const struct look *l, struct finding *f)
{
    if (l->stopped && f->sev >= SEV_WARN)
        finding_fix(f, "agavectl up");
}

static void check_age(struct look *l)
{
    const struct snapshot_dir *d = &l->dir;
    uint64_t slot = d->has_incremental ? d->incremental.name.slot : d->full.name.slot;
    uint64_t max = l->cfg->snapshot.max_age_slots;
    AUTO(freep) char *want = xasprintf("at most %" PRIu64 " slots behind the tip", max);
    AUTO(freep) char *got = NULL;

    if (!l->status->tip.known) {
        findings_add(l->ret, "snapshots.age", 5, SEV_UNKNOWN,
                     "no reference tells the tip, so the age of the snapshot at slot %" PRIu64
                     " is not known",
                     slot);
        return;
    }
    uint64_t age = l->status->tip.v > slot ? l->status->tip.v - slot : 0;
    bool old = age > max;
    enum severity sev = !old ? SEV_OK : l->needed ? SEV_FAIL : SEV_NOTE;
    got = xasprintf("%" PRIu64, age);
    struct finding *f = findings_add(
        l->ret, "snapshots.age", 5, sev,
        "the newest snapshot (slot %" PRIu64 ") is %" PRIu64 " slots behind the tip%s", slot, age,
        !old        ? ""
        : l->needed ? ": starting from it may never catch up; fetch a fresh one"
                    : ": too old for a restart, which would fetch another one");
    finding_compare(f, want, got, l->cfg->validator.snapshots);
    fix(l, f);
}

/* From then on: as long as a start would begin from it. */
static void check_trust(struct look *l, const struct snapshot_file *f)
{
    const char *dir = f->name.incremental ? incr_dir(l->cfg) : full_dir(l->cfg);
    AUTO(freep) char *trust = snapshot_trust(l->ctx, dir, f->path);

    if (snapshot_trust_is_any(trust))
        findings_add(l->ret, "snapshots.trust", 5, SEV_WARN,
                     "nobody vouches for '%s': it was taken with --trust-any", f->path);
}

static void check_newest(struct look *l)
{
    const struct snapshot_dir *d = &l->dir;

    if (!d->has_full) {
        fix(l, findings_add(l->ret, "snapshots.full", 5, l->needed ? SEV_WARN : SEV_NOTE,
                            "no full snapshot is in '%s'%s%s", full_dir(l->cfg),
                            d->n_legacy ? " that 3.0 can read" : "",
                            l->needed ? ": a start has nothing to begin from" : ""));
        return;
    }
    findings_add(l->ret, "snapshots.full", 5, SEV_OK, "full snapshot of slot %" PRIu64 "%s",
                 d->full.name.slot, d->has_incremental ? ", with an incremental" : "");
    check_age(l);
    check_trust(l, &d->full);
    if (d->has_incremental)
        check_trust(l, &d->incremental);
}

/* ---- what lies there ---------------------------------------------------------------------------
 */

static bool is_there(const struct strlist *names, const char *name)
{
    return strlist_has(names, name);
}

/* A control file of aria2 beside a final name: the file is not whole, and Agave would take it. */
static void check_half(struct look *l, const char *folder, const struct strlist *names,
                       const char *name)
{
    AUTO(freep) char *final = xstrndup(name, strlen(name) - strlen(".aria2"));
    struct snapshot_name n;
    struct err *e = snapshot_name_parse(final, &n);
    bool worn = !e && is_there(names, final);

    err_free(e); /* no archive: then it is only left over */
    if (worn)
        findings_add(l->ret, "snapshots.half", 5, SEV_FAIL,
                     "'%s/%s' is half downloaded and wears its final name: a start takes it for "
                     "whole and fails; remove it and its .aria2, or let the download end",
                     folder, final);
    else
        findings_add(l->ret, "snapshots.partial", 5, SEV_NOTE,
                     "'%s/%s' is left over from a download: remove it", folder, name);
}

static bool is_name(const char *text, struct snapshot_name *ret)
{
    struct err *e = snapshot_name_parse(text, ret);

    return e ? err_free(e), false : true;
}

/* tmp-snapshot-archive-* is Agave's own, written while it runs and removed by its next start
 * (solana-runtime 3.0.14, snapshot_utils.rs); the others are half files of downloads. */
static void check_partial(struct look *l, const char *folder, const char *name)
{
    AUTO(freep) char *shown = str_shown(name, 150);
    const char *what = "an unfinished download; remove it if nothing downloads";
    struct snapshot_name n;

    if (str_starts(name, "tmp-snapshot-archive-") && !l->needed)
        return;
    if (str_starts(name, "tmp-snapshot-archive-"))
        what = "the next start removes it";
    else if (str_ends(folder, "/remote") && str_starts(name, "tmp-"))
        what = "the validator's own download; it begins anew";
    else if (str_starts(name, "tmp-") && is_name(name + strlen("tmp-"), &n))
        what = "'agavectl snapshot get' goes on with it, 'agavectl snapshot prune --partial' "
               "removes it";
    findings_add(l->ret, "snapshots.partial", 5, SEV_NOTE, "'%s/%s' is half an archive: %s", folder,
                 shown, what);
}

/* May the validator read it? */
static bool readable(const struct look *l, const struct stat *st)
{
    if (st->st_uid == l->cfg->validator.uid)
        return st->st_mode & S_IRUSR;
    if (st->st_gid == l->cfg->validator.gid)
        return st->st_mode & S_IRGRP;
    return st->st_mode & S_IROTH;
}

static struct err *check_file(struct look *l, const char *folder, const char *name)
{
    AUTO(freep) char *path = xasprintf("%s/%s", folder, name);
    struct stat st;
    struct err *e = fsroot_stat(l->ctx->root, path, &st);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e); /* gone meanwhile */
    TRY(e);
    if (st.st_size == 0)
        findings_add(l->ret, "snapshots.empty", 5, SEV_FAIL,
                     "'%s' is empty and wears its final name: a start fails on it; remove it",
                     path);
    if (st.st_uid == l->cfg->validator.uid && readable(l, &st))
        return NULL;
    AUTO(freep) char *want = xasprintf("%" PRIu64, l->cfg->validator.uid);
    AUTO(freep) char *got = xasprintf("%u, mode %04o", st.st_uid, st.st_mode & 07777);
    finding_compare(findings_add(l->ret, "snapshots.owner", 5,
                                 readable(l, &st) ? SEV_NOTE : SEV_FAIL,
                                 "'%s' belongs to user %u%s", path, st.st_uid,
                                 readable(l, &st) ? ": the validator can read it"
                                                  : ", and the validator cannot read it: chown it"),
                    want, got, path);
    return NULL;
}

/* Does a full archive of this slot lie in one of the folders? */
static bool has_base(const struct strlist *a, const struct strlist *b, uint64_t base)
{
    const struct strlist *const lists[] = {a, b};

    for (size_t k = 0; k < ARRAY_LEN(lists); k++)
        for (size_t i = 0; i < lists[k]->n; i++) {
            struct snapshot_name n;
            struct err *e = snapshot_name_parse(lists[k]->items[i], &n);
            bool yes = !e && !n.incremental && !n.legacy && n.slot == base;

            err_free(e); /* anything may lie there */
            if (yes)
                return true;
        }
    return false;
}

static struct err *check_archive(struct look *l, const char *folder, const char *name,
                                 const struct snapshot_name *n, bool base_is_there)
{
    if (n->legacy)
        findings_add(l->ret, "snapshots.format", 5, SEV_NOTE,
                     "'%s/%s' is in a format that Agave 3.0 does not read (only .tar.zst and "
                     ".tar.lz4): 'agavectl snapshot prune' removes it",
                     folder, name);
    if (n->incremental && !base_is_there)
        findings_add(l->ret, "snapshots.orphan", 5, SEV_NOTE,
                     "'%s/%s' needs the full snapshot of slot %" PRIu64 ", which is not there: "
                     "'agavectl snapshot prune' removes it",
                     folder, name, n->base);
    return n->legacy ? NULL : check_file(l, folder, name);
}

static struct err *check_names(struct look *l, const char *folder, const struct strlist *names,
                               const struct strlist *others)
{
    for (size_t i = 0; i < names->n; i++) {
        const char *name = names->items[i];
        struct snapshot_name n;
        struct err *e = snapshot_name_parse(name, &n);

        if (!e) {
            TRY(check_archive(l, folder, name, &n, has_base(names, others, n.base)));
            continue;
        }
        err_free(e); /* no archive */
        if (str_ends(name, ".aria2"))
            check_half(l, folder, names, name);
        else if (str_starts(name, "tmp-") || str_ends(name, ".part") || str_ends(name, ".partial"))
            check_partial(l, folder, name);
    }
    return NULL;
}

static struct err *list(struct ctx *ctx, const char *folder, struct strlist *ret)
{
    struct err *e = fsroot_list(ctx->root, folder, ret);

    return e && e->kind == ERR_NOTFOUND ? err_free(e) : e;
}

/* Agave looks into the folder and into its remote/. */
static struct err *check_folders(struct look *l, const char *here)
{
    AUTO(freep) char *remote = xasprintf("%s/remote", here);
    AUTO(strlist_clear) struct strlist a = {0}, b = {0};

    TRY(list(l->ctx, here, &a));
    TRY(list(l->ctx, remote, &b));
    TRY(check_names(l, here, &a, &b));
    return check_names(l, remote, &b, &a);
}

static struct err *check_all_folders(struct look *l)
{
    const char *full = full_dir(l->cfg), *incr = incr_dir(l->cfg);

    TRY(check_folders(l, full));
    return str_eq(full, incr) ? NULL : check_folders(l, incr);
}

static struct err *snapshots_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    AUTO(look_clear) struct look l = {.ctx = ctx, .cfg = ctx->cfg, .ret = ret};
    const struct pids *pids = NULL;

    TRY(scene_validator(ctx, scene, &pids));
    TRY(scene_status(ctx, scene, &l.status));
    l.needed = !pids->n || l.status->health == HEALTH_STARTING;
    l.stopped = !pids->n && str_eq(ctx->cfg->validator.runtime, "process");
    struct err *e = snapshot_dirs_scan(ctx->root, full_dir(ctx->cfg), incr_dir(ctx->cfg), &l.dir);
    if (e && e->kind != ERR_NOTFOUND)
        return e;
    err_free(e); /* no folder, no snapshots */
    check_newest(&l);
    return check_all_folders(&l);
}

static const char *const snapshots_after[] = {"dirs", NULL};

const struct stage stage_snapshots = {
    .name = "snapshots",
    .summary = "what a start would begin from",
    .layer = 5,
    .after = snapshots_after,
    .order_reason = "they lie in one of the validator's folders",
    .enabled = snapshots_enabled,
    .asks = PARTY_STATUS,
    .check = snapshots_check,
};
