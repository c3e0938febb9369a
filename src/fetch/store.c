/* See store.h. Renames within one file system only: an archive has its place whole or not at all,
 * and a crash between two of them leaves a full archive without its incremental, which loads. */
#include "fetch/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "fetch/provenance.h"
#include "fetch/prune.h"
#include "fetch/target.h"
#include "io/fsroot.h"

struct err *store_target(struct ctx *ctx, const char *dir, bool running, char **ret)
{
    AUTO(closep) int fd = -1;

    if (running)
        TRY(store_dir_open(ctx, dir, true, &fd));
    *ret = running ? xasprintf("%s/" STORE_DIR, dir) : xstrdup(dir);
    return NULL;
}

static uint64_t sum(uint64_t a, uint64_t b)
{
    uint64_t r;

    return __builtin_add_overflow(a, b, &r) ? UINT64_MAX : r;
}

/* ---- what waits -------------------------------------------------------------------------------
 */

static bool waits(const struct snaplocal_file *f)
{
    return f->kind == SNAPLOCAL_ARCHIVE && f->place == SNAPLOCAL_STAGED && !f->name.legacy &&
           f->size_b > 0;
}

/* What the archives alone would give, if those that wait had their place; incrementals: only such,
 * since a full archive that waits hides the incrementals of the one that is there. Into ret when
 * that is further than ret->slot. */
static void try_places(struct snaplocal *l, const struct snapload_rules *rules, bool incrementals,
                       struct store_move *ret)
{
    AUTO(freep) bool *moved = xcalloc(l->n + 1, sizeof(*moved));
    AUTO(snapload_clear) struct snapload then = {0};
    struct snapload_rules archives = *rules;

    archives.use = SNAPLOAD_ALWAYS;
    for (size_t i = 0; i < l->n; i++) {
        moved[i] = waits(&l->files[i]) && (!incrementals || l->files[i].name.incremental);
        if (moved[i])
            l->files[i].place = SNAPLOCAL_TOP;
    }
    snapload_decide(l, &archives, &then);
    for (size_t i = 0; i < l->n; i++)
        if (moved[i])
            l->files[i].place = SNAPLOCAL_STAGED;
    if (then.full == SNAPLOAD_NONE || then.slot <= ret->slot)
        return;
    *ret = (struct store_move){.slot = then.slot};
    if (moved[then.full])
        ret->files[ret->n++] = then.full;
    if (then.incr != SNAPLOAD_NONE && moved[then.incr])
        ret->files[ret->n++] = then.incr;
}

/* The slot of a fast boot that the next start would do: of the highest, where the version is not
 * known. 0: none. */
static uint64_t fast_boot_slot(struct snaplocal *l, const struct snapload_rules *rules)
{
    static const struct agave_version all[] = {{true, 3, 0, 0}, {true, 3, 1, 0}, {true, 4, 0, 0}};
    uint64_t slot = 0;

    for (size_t i = 0; i < (rules->version.known ? 1 : ARRAY_LEN(all)); i++) {
        AUTO(snapload_clear) struct snapload d = {0};
        struct snapload_rules r = *rules;

        r.version = rules->version.known ? rules->version : all[i];
        snapload_decide(l, &r, &d);
        if (d.from == SNAPLOAD_BANK && d.slot > slot)
            slot = d.slot;
    }
    return slot;
}

/* What only has the name of an archive is no reason to leave one where it waits. */
static void hide_what_is_no_file(struct snaplocal *l, bool hide)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->files[i].no_file)
            l->files[i].kind = hide ? SNAPLOCAL_LEFT : SNAPLOCAL_ARCHIVE;
}

void store_unstage_plan(struct snaplocal *l, const struct snapload_rules *rules,
                        uint64_t gain_slots, struct store_move *ret)
{
    AUTO(snapload_clear) struct snapload now = {0};
    struct store_move best = {0};

    hide_what_is_no_file(l, true);
    try_places(l, rules, true, &best);
    try_places(l, rules, false, &best);
    best.fast_boot = fast_boot_slot(l, rules);
    snapload_decide(l, rules, &now); /* last: loaded and why are those of now */
    hide_what_is_no_file(l, false);
    *ret = (struct store_move){0};
    if (best.fast_boot && best.slot <= sum(best.fast_boot, gain_slots))
        return;
    if (best.n && (now.from == SNAPLOAD_GENESIS || best.slot > now.slot))
        *ret = best;
}

/* Plain files alone, and never over another one. */
static struct err *move_one(const char *dir, int store_fd, int dir_fd, const char *name)
{
    struct stat st;

    if (fstatat(store_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(errno, "cannot look at '%s/" STORE_DIR "/%s'", dir, name);
    if (!S_ISREG(st.st_mode))
        return err_new(ERR_REFUSED, "'%s/" STORE_DIR "/%s' is no plain file", dir, name);
    if (renameat2(store_fd, name, dir_fd, name, RENAME_NOREPLACE) == 0)
        return NULL;
    if (errno == EEXIST)
        return err_new(ERR_REFUSED,
                       "'%s/%s' is there already; remove the one that waits in '%s/" STORE_DIR "'",
                       dir, name, dir);
    return err_sys(errno, "cannot rename '%s/" STORE_DIR "/%s'", dir, name);
}

static struct err *move_of(struct ctx *ctx, const struct snaplocal_file *f)
{
    AUTO(closep) int dir_fd = -1, store_fd = -1;

    TRY(fsroot_openat(ctx->root, f->home, O_RDONLY | O_DIRECTORY, 0, &dir_fd));
    TRY(store_dir_open(ctx, f->home, false, &store_fd));
    TRY(move_one(f->home, store_fd, dir_fd, f->file));
    if (fsync(dir_fd) < 0 || fsync(store_fd) < 0)
        return err_sys(errno, "cannot write the folder '%s'", f->home);
    return NULL;
}

static struct err *move_all(struct ctx *ctx, const struct snaplocal *l, const struct store_move *m,
                            struct strlist *ret)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct snaplocal_file *f = &l->files[m->files[i]];

        TRY(move_of(ctx, f));
        strlist_add(ret, f->file);
    }
    return NULL;
}

struct err *store_unstage(struct ctx *ctx, const struct snapdirs *dirs,
                          const struct snapload_rules *rules, uint64_t gain_slots,
                          struct strlist *ret_moved, char **ret_text)
{
    AUTO(snaplocal_clear) struct snaplocal l = {0};
    AUTO(strlist_clear) struct strlist moved = {0};
    struct store_move m;

    TRY(snaplocal_read_dirs(ctx, dirs, NULL, &l));
    store_unstage_plan(&l, rules, gain_slots, &m);
    if (m.n)
        TRY(move_all(ctx, &l, &m, &moved));
    *ret_text = NULL;
    if (m.n && m.fast_boot)
        *ret_text = xasprintf("what waited has its place: the start begins at slot %" PRIu64
                              " from archives, and no more at %" PRIu64 " from the local state",
                              m.slot, m.fast_boot);
    else if (m.n)
        *ret_text =
            xasprintf("what waited has its place: the start begins at slot %" PRIu64, m.slot);
    *ret_moved = moved;
    moved = (struct strlist){0};
    return NULL;
}

/* ---- room -------------------------------------------------------------------------------------
 */

void store_forecast(const struct store_room *r, struct store_forecast *ret)
{
    uint64_t files = sum(r->full_b, sum(r->incremental_b, r->incremental_b));
    uint64_t have =
        r->have_b < sum(r->full_b, r->incremental_b) ? r->have_b : sum(r->full_b, r->incremental_b);

    ret->need_b = files == UINT64_MAX ? files : sum(files - have, r->spare_b);
    ret->fits = ret->need_b <= r->free_b;
    ret->fits_pruned = ret->need_b != UINT64_MAX && ret->need_b <= sum(r->free_b, r->prunable_b);
}

char *store_forecast_text(const struct store_room *r, const struct store_forecast *f)
{
    char need[32], have[32], more[32];

    fmt_size(f->need_b, need, sizeof(need));
    fmt_size(r->free_b, have, sizeof(have));
    fmt_size(r->prunable_b, more, sizeof(more));
    if (f->fits)
        return xasprintf("%s of %s free are needed", need, have);
    if (r->prunable_b)
        return xasprintf("%s are needed, %s are free; 'agavectl snapshot prune' would free %s%s",
                         need, have, more, f->fits_pruned ? "" : ", which is not enough");
    return xasprintf("%s are needed, %s are free, and there is nothing to prune: "
                     "make room, or take another folder",
                     need, have);
}

static uint64_t half_of(const struct snaplocal *l, enum snaplocal_place place, const char *name)
{
    for (size_t i = 0; name && i < l->n; i++) {
        const struct snaplocal_file *f = &l->files[i];

        if (f->kind == SNAPLOCAL_HALF && f->maker == SNAPLOCAL_OURS && f->place == place &&
            str_eq(f->file + strlen("tmp-"), name))
            return f->disk_b < f->size_b || !f->size_b ? f->disk_b : f->size_b;
    }
    return 0;
}

struct err *store_room_look(struct ctx *ctx, const char *dir, const char *full,
                            const char *incremental, struct store_room *r)
{
    AUTO(prune_plan_clear) struct prune_plan plan = {0};
    AUTO(snaplocal_clear) struct snaplocal l = {0};
    const struct snapload_rules rules = {0};
    const struct prune_want want = {.running = true};
    bool waits = str_ends(dir, "/" STORE_DIR);
    enum snaplocal_place place = waits ? SNAPLOCAL_STAGED : SNAPLOCAL_TOP;
    /* What prune would free lies above what waits, for the most part. */
    AUTO(freep) char *home = xstrndup(dir, strlen(dir) - (waits ? strlen("/" STORE_DIR) : 0));
    AUTO(freep) char *part = NULL;
    struct statvfs vfs;

    TRY(target_part(ctx, dir, &part));
    TRY(fsroot_statvfs(ctx->root, part, &vfs));
    if (str_eq(part, dir) || str_eq(part, home)) {
        TRY(snaplocal_read(ctx, home, NULL, &l));
        TRY(prune_plan_make(&l, &rules, &want, &plan));
    }
    r->have_b = sum(half_of(&l, place, full), half_of(&l, place, incremental));
    if (__builtin_mul_overflow((uint64_t)vfs.f_bavail, (uint64_t)vfs.f_frsize, &r->free_b))
        r->free_b = UINT64_MAX;
    r->prunable_b = plan.freed_b;
    return NULL;
}
