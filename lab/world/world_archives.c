/* The world's snapshot archives: the good ones as the finalized slot moves on, big ones when
 * somebody wants to measure a download, and copies of them that are not what their names say or are
 * the same in other bytes. */
#include "lab/world/world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "lab/node/archives.h"
#include "lab/node/snapshot_maker.h"

#define FINALIZED_DEPTH 32
#define OTHER_SEED      0x5eed              /* of archives that are not what their names say */
#define OTHER_LEVEL     3                   /* of zstd */
#define BIG_FILE_B      ((uint64_t)8 << 20) /* of accounts in a big archive */
#define COMPRESSIBLE    0.1                 /* so that another level gives other bytes */

static struct err *make_dir(const char *dir)
{
    return mkdir(dir, 0755) < 0 && errno != EEXIST ? err_sys(errno, "cannot make '%s'", dir) : NULL;
}

struct err *world_make_dirs(struct world *w)
{
    static const char *const names[MIRRORS_N] = {
        [MIRROR_WRONG] = "wrong", [MIRROR_ORDER] = "order", [MIRROR_LEVEL] = "level"};

    w->snapshots = xasprintf("%s/snapshots", w->o.dir);
    TRY(make_dir(w->o.dir));
    TRY(make_dir(w->snapshots));
    archives_purge(w->snapshots, 0, 0); /* what an earlier world left */
    for (size_t m = 0; m < MIRRORS_N; m++) {
        w->mirrors[m] = xasprintf("%s/%s", w->o.dir, names[m]);
        TRY(make_dir(w->mirrors[m]));
        archives_purge(w->mirrors[m], 0, 0);
    }
    return NULL;
}

/* Under files_lock. */
static struct snapshot_maker_spec spec_of(const struct world *w, uint64_t slot, uint64_t base)
{
    struct snapshot_maker_spec s = {
        .seed = w->o.seed, .slot = slot, .base = base, .compressible = COMPRESSIBLE};
    uint64_t size_b = w->big[base > 0].slot == slot ? w->big[base > 0].size_b : 0, files;

    if (!size_b)
        return s;
    files = size_b / BIG_FILE_B + 4;
    s.accounts_files = (uint32_t)files;
    s.accounts_b = (uint64_t)((double)size_b / (double)files / (1 - COMPRESSIBLE));
    return s;
}

/* The archive of a spec in dir, under the name of a. */
static struct err *write_as(const char *dir, const struct snapshot_maker_spec *spec,
                            const struct archive *a)
{
    AUTO(freep) char *name = NULL;
    AUTO(freep) char *from = NULL;
    AUTO(freep) char *to = xasprintf("%s/%s", dir, a->name);

    if (access(to, F_OK) == 0)
        return NULL;
    TRY(snapshot_maker_write(dir, spec, &name));
    from = xasprintf("%s/%s", dir, name);
    return rename(from, to) < 0 ? err_sys(errno, "cannot rename '%s'", from) : NULL;
}

static struct err *mirror_one(struct world *w, enum mirror m, const struct archive *a)
{
    struct snapshot_maker_spec spec = spec_of(w, a->slot, a->base);

    if (m == MIRROR_WRONG)
        spec.seed ^= OTHER_SEED;
    else if (m == MIRROR_ORDER)
        spec.reversed = true;
    else
        spec.level = OTHER_LEVEL;
    return write_as(w->mirrors[m], &spec, a);
}

/* Under files_lock. */
static struct err *mirror(struct world *w, enum mirror m)
{
    struct archive full, incremental;

    TRY(archives_highest(w->snapshots, &full, &incremental));
    TRY(mirror_one(w, m, &full));
    if (incremental.slot)
        TRY(mirror_one(w, m, &incremental));
    archives_purge(w->mirrors[m], 2, 4);
    return NULL;
}

static struct err *mirror_wanted(struct world *w)
{
    for (size_t m = 0; m < MIRRORS_N; m++) {
        bool wanted;

        pthread_mutex_lock(&w->lock);
        wanted = w->mirror_wanted[m];
        pthread_mutex_unlock(&w->lock);
        if (wanted)
            TRY(mirror(w, (enum mirror)m));
    }
    return NULL;
}

struct err *world_want_mirror(struct world *w, enum mirror m)
{
    struct err *e;

    pthread_mutex_lock(&w->lock);
    w->mirror_wanted[m] = true;
    pthread_mutex_unlock(&w->lock);
    pthread_mutex_lock(&w->files_lock);
    e = mirror(w, m);
    pthread_mutex_unlock(&w->files_lock);
    return e;
}

/* Under files_lock. */
static struct err *write_snapshot(struct world *w, uint64_t slot, bool full)
{
    struct snapshot_maker_spec spec = spec_of(w, slot, full ? 0 : w->last_full);
    AUTO(freep) char *name = NULL;

    TRY(snapshot_maker_write(w->snapshots, &spec, &name));
    if (full)
        w->last_full = slot;
    w->last_snapshot = slot;
    archives_purge(w->snapshots, 2, 4);
    return NULL;
}

struct err *world_first_snapshot(struct world *w, uint64_t slot)
{
    struct err *e;

    pthread_mutex_lock(&w->files_lock);
    e = write_snapshot(w, slot, true);
    pthread_mutex_unlock(&w->files_lock);
    return e;
}

/* The finalized slot, or one so many blocks below it; 0: none. */
static uint64_t finalized(struct world *w, uint64_t below)
{
    const struct chain_slot *s;
    uint64_t slot;

    pthread_mutex_lock(&w->lock);
    s = chain_below_tip(w->chain, FINALIZED_DEPTH + below);
    slot = s ? s->slot : 0;
    pthread_mutex_unlock(&w->lock);
    return slot;
}

static struct err *snapshot_if_due(struct world *w)
{
    uint64_t slot = finalized(w, 0), interval = w->o.snapshot_interval;

    if (!slot || slot / interval <= w->last_snapshot / interval)
        return NULL;
    TRY(write_snapshot(w, slot, slot / w->o.full_interval > w->last_full / w->o.full_interval));
    return mirror_wanted(w);
}

struct err *world_snapshot_if_due(struct world *w)
{
    struct err *e;

    if (pthread_mutex_trylock(&w->files_lock) != 0)
        return NULL;
    e = snapshot_if_due(w);
    pthread_mutex_unlock(&w->files_lock);
    return e;
}

static struct err *make_big(struct world *w, uint64_t full_b, uint64_t incremental_b)
{
    uint64_t slot = finalized(w, 0), full = finalized(w, 2);

    if (full <= w->last_snapshot)
        return err_new(ERR_BADINPUT, "no finalized slot without a snapshot yet");
    w->big[0].slot = full;
    w->big[0].size_b = full_b;
    w->big[1].slot = slot;
    w->big[1].size_b = incremental_b;
    TRY(write_snapshot(w, full, true));
    if (incremental_b)
        TRY(write_snapshot(w, slot, false));
    return mirror_wanted(w);
}

struct err *world_make_big(struct world *w, uint64_t full_b, uint64_t incremental_b)
{
    struct err *e;

    pthread_mutex_lock(&w->files_lock);
    e = make_big(w, full_b, incremental_b);
    pthread_mutex_unlock(&w->files_lock);
    return e;
}

/* The node has a folder of its own with one archive: the snapshot of a slot, or what only has its
 * name. */
static struct err *make_folder(struct world *w, struct world_node *n, uint64_t slot, bool wrong)
{
    struct snapshot_maker_spec spec = {.seed = w->o.seed, .slot = slot};
    AUTO(freep)
    char *dir =
        xasprintf("%s/%s-%llu", w->o.dir, wrong ? "newer" : "stale", (unsigned long long)slot);
    AUTO(freep) char *name = snapshot_maker_name(&spec);
    struct archive a;

    TRY(make_dir(dir));
    if (!archive_parse(name, &a))
        return err_new(ERR_BUG, "'%s' is no archive's name", name);
    spec.seed ^= wrong ? OTHER_SEED : 0;
    TRY(write_as(dir, &spec, &a));
    pthread_mutex_lock(&w->lock);
    strlist_add(&w->folders, dir);
    n->archives = w->folders.items[w->folders.n - 1];
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static uint64_t tip_of(struct world *w)
{
    uint64_t tip;

    pthread_mutex_lock(&w->lock);
    tip = chain_last(w->chain);
    pthread_mutex_unlock(&w->lock);
    return tip;
}

struct err *world_make_stale(struct world *w, struct world_node *n, uint64_t slots,
                             uint64_t *ret_stands_at)
{
    uint64_t interval = w->o.snapshot_interval, tip = tip_of(w);
    uint64_t at = tip > slots + 2 * interval ? tip - slots : 2 * interval;

    *ret_stands_at = at;
    return make_folder(w, n, (at - interval / 2) / interval * interval, false);
}

struct err *world_make_newer(struct world *w, struct world_node *n)
{
    return make_folder(w, n, (tip_of(w) / w->o.snapshot_interval + 1) * w->o.snapshot_interval,
                       true);
}
