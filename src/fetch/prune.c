/* See prune.h. What goes is decided from names and slots alone; then the start is decided twice,
 * with and without what goes, and what would change it is not done without the operator's word. */
#include "fetch/prune.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fetch/partial_sweep.h"
#include "fetch/provenance.h"
#include "io/fsroot.h"

#define OURS "tmp-"

static const enum snaplocal_place places[] = {SNAPLOCAL_TOP, SNAPLOCAL_REMOTE, SNAPLOCAL_STAGED};

void prune_plan_clear(struct prune_plan *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->items[i].why);
    free(p->items);
    free(p->refused);
    free(p->refused_name);
    strlist_clear(&p->notes);
    *p = (struct prune_plan){0};
}

/* What is decided about. */
struct plan {
    struct snaplocal *l;
    const struct prune_want *w;
    struct prune_plan *p;
};

static void say(struct plan *s, size_t i, bool remove, char *why)
{
    struct prune_item *item = &s->p->items[i];

    free(item->why);
    item->remove = remove;
    item->why = why;
}

/* ---- archives ---------------------------------------------------------------------------------
 */

static bool is_usable(const struct snaplocal_file *f)
{
    return f->kind == SNAPLOCAL_ARCHIVE && !f->name.legacy && f->size_b > 0 && !f->apart &&
           !f->unfinished;
}

/* No file, and not a link that could go either. */
static bool is_thing(const struct snaplocal_file *f)
{
    return f->no_file && !f->link;
}

static bool is_seen(const struct snaplocal_file *f)
{
    return f->place != SNAPLOCAL_STAGED;
}

/* The highest slot below limit of usable full archives that are seen, or that wait. */
static bool next_full(const struct snaplocal *l, bool seen, uint64_t limit, uint64_t *ret)
{
    bool any = false;

    for (size_t i = 0; i < l->n; i++) {
        const struct snaplocal_file *f = &l->files[i];

        if (!is_usable(f) || f->name.incremental || is_seen(f) != seen || f->name.slot >= limit)
            continue;
        if (!any || f->name.slot > *ret)
            *ret = f->name.slot;
        any = true;
    }
    return any;
}

/* A copy of it, which is not when one of the two was cut off, lies in a better place: one that is
 * seen before one that waits, the folder before remote/. Files of one slot are sorted by place. */
static bool is_copy(const struct snaplocal *l, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (is_usable(&l->files[i]) && str_eq(l->files[i].file, l->files[at].file) &&
            l->files[i].size_b == l->files[at].size_b)
            return true;
    return false;
}

/* The highest incremental of a base, of those that are seen or of those that wait. */
static uint64_t highest_incremental(const struct snaplocal *l, uint64_t base, bool seen)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct snaplocal_file *f = &l->files[i];

        if (is_usable(f) && f->name.incremental && f->name.base == base && is_seen(f) == seen)
            return f->name.slot;
    }
    return 0;
}

static void keep_full(struct plan *s, uint64_t slot, bool seen)
{
    uint64_t here = highest_incremental(s->l, slot, true);

    for (size_t i = 0; i < s->l->n; i++) {
        const struct snaplocal_file *f = &s->l->files[i];
        uint64_t top = highest_incremental(s->l, slot, is_seen(f));

        if (!is_usable(f) || is_copy(s->l, i))
            continue;
        if (!f->name.incremental && f->name.slot == slot && is_seen(f) == seen)
            say(s, i, false,
                xstrdup(seen ? "one of the highest full archives"
                             : "waits until the validator is stopped"));
        else if (f->name.incremental && f->name.base == slot && f->name.slot == top &&
                 (is_seen(f) || f->name.slot > here))
            say(s, i, false, xasprintf("the highest incremental of slot %" PRIu64, slot));
    }
}

static char *why_goes(const struct snaplocal *l, size_t i)
{
    const struct snaplocal_file *f = &l->files[i];

    if (f->name.legacy)
        return xstrdup("in a format that 3.0 and later do not read");
    if (f->no_file)
        return xstrdup("a link to nothing: a start would end on it");
    if (f->size_b == 0)
        return xstrdup("it is empty: a start would end on it");
    if (is_copy(l, i))
        return xstrdup("the same archive is there a second time");
    return xstrdup(f->name.incremental ? "a higher one is there, or its full archive is not kept"
                                       : "higher full archives are there");
}

static void decide_archives(struct plan *s)
{
    uint64_t limit = UINT64_MAX, slot = 0, highest = 0;
    uint64_t n = s->w->keep_full ? s->w->keep_full : 1;
    bool any = false;

    for (size_t i = 0; i < s->l->n; i++) {
        const struct snaplocal_file *f = &s->l->files[i];

        if (f->kind == SNAPLOCAL_ARCHIVE && f->apart) /* somebody's, and no start's */
            say(s, i, false, xstrdup("in a folder where the validator does not look for it"));
        else if (f->unfinished)
            say(s, i, false, xstrdup("half downloaded by another program (its .aria2 is there)"));
        else if (is_thing(f))
            say(s, i, false, xstrdup("no file: look what it is, and move it away by hand"));
        else if (f->kind == SNAPLOCAL_ARCHIVE)
            say(s, i, true, why_goes(s->l, i));
    }
    for (uint64_t k = 0; k < n && next_full(s->l, true, limit, &slot); k++) {
        keep_full(s, slot, true);
        highest = any ? highest : slot;
        any = true;
        limit = slot;
    }
    /* Only the highest of those that wait is of any use, and only when it is higher. */
    if (next_full(s->l, false, UINT64_MAX, &slot) && (!any || slot > highest)) {
        keep_full(s, slot, false);
        any = true;
    }
    for (size_t i = 0; i < s->l->n && !any; i++)
        if (s->l->files[i].kind == SNAPLOCAL_ARCHIVE)
            say(s, i, false, xstrdup("no full archive is there that can be used"));
}

/* ---- halves -----------------------------------------------------------------------------------
 */

/* Nobody would go on with it: what it would become is there, or something better. */
static bool is_overtaken(const struct plan *s, const struct snaplocal_file *half)
{
    bool base_kept = !half->name.incremental;

    for (size_t i = 0; i < s->l->n; i++) {
        const struct snaplocal_file *f = &s->l->files[i];

        if (!is_usable(f) || s->p->items[i].remove)
            continue;
        if (f->name.incremental == half->name.incremental && f->name.slot >= half->name.slot &&
            (!half->name.incremental || f->name.base == half->name.base))
            return true;
        base_kept |= !f->name.incremental && f->name.slot == half->name.base;
    }
    for (size_t i = 0; i < s->l->n; i++) {
        const struct snaplocal_file *f = &s->l->files[i];

        base_kept |= f->kind == SNAPLOCAL_HALF && f->named && !f->name.incremental &&
                     f->name.slot == half->name.base;
    }
    return !base_kept;
}

/* Agave removes its own staging at its next start, and downloads into remote/tmp-* anew. */
static void decide_agaves(struct plan *s, size_t i)
{
    bool download = s->l->files[i].place == SNAPLOCAL_REMOTE;

    if (s->w->running)
        say(s, i, false, xstrdup("the validator's own, and it may be at work on it"));
    else if (download)
        say(s, i, true, xstrdup("half a download of the validator's own: it begins anew"));
    else
        say(s, i, false, xstrdup("the validator removes it at its next start"));
}

static void decide_rest(struct plan *s)
{
    for (size_t i = 0; i < s->l->n; i++) {
        const struct snaplocal_file *f = &s->l->files[i];

        if (f->kind == SNAPLOCAL_ARCHIVE)
            continue;
        if (f->kind == SNAPLOCAL_LEFT)
            say(s, i, true, xstrdup("about an archive that is not there"));
        else if (f->maker == SNAPLOCAL_ANYBODY)
            say(s, i, false, xstrdup("of another program: remove it if nothing downloads"));
        else if (f->maker == SNAPLOCAL_AGAVE)
            decide_agaves(s, i);
        else if (f->busy)
            say(s, i, false, xstrdup("being fetched"));
        else if (is_overtaken(s, f))
            say(s, i, true, xstrdup("half a download of what is not needed any more"));
        else
            say(s, i, s->w->halves, xstrdup("half a download that can be gone on with"));
    }
}

/* ---- names ------------------------------------------------------------------------------------
 */

static struct err *find(const struct snaplocal *l, const char *name, size_t *ret)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct snaplocal_file *f = &l->files[i];

        if (!str_eq(f->file, name) || f->kind == SNAPLOCAL_LEFT)
            continue;
        if (f->busy)
            return err_new(ERR_REFUSED, "'%s' is being fetched", f->path);
        if (is_thing(f) || (f->kind == SNAPLOCAL_HALF && f->maker != SNAPLOCAL_OURS))
            return err_new(ERR_REFUSED, "'%s' is not agavectl's: remove it by hand", f->path);
        *ret = i;
        return NULL;
    }
    return err_new(ERR_NOTFOUND, "there is no '%.200s' in '%s'; see 'agavectl snapshot list'", name,
                   l->dir);
}

static struct err *decide_names(struct plan *s)
{
    size_t i = 0;

    for (size_t k = 0; s->w->names && k < s->w->names->n; k++) {
        TRY(find(s->l, s->w->names->items[k], &i));
        say(s, i, true, xstrdup("named"));
    }
    return NULL;
}

/* ---- what it costs ----------------------------------------------------------------------------
 */

/* Which of the files that go are taken to be gone. */
struct gone {
    size_t only;                 /* this one alone; SNAPLOAD_NONE: not so */
    const struct strlist *named; /* these alone, or NULL */
};

static bool is_gone_in(const struct gone *g, const struct plan *s, size_t i)
{
    return s->p->items[i].remove && (g->only == SNAPLOAD_NONE || g->only == i) &&
           (!g->named || strlist_has(g->named, s->l->files[i].file));
}

/* What a start would begin from without them. */
static void decide_without(const struct plan *s, const struct snapload_rules *rules,
                           const struct gone *gone, struct snapload *ret)
{
    AUTO(freep) enum snaplocal_kind *kinds = xcalloc(s->l->n + 1, sizeof(*kinds));

    for (size_t i = 0; i < s->l->n; i++) {
        kinds[i] = s->l->files[i].kind;
        if (is_gone_in(gone, s, i) && kinds[i] == SNAPLOCAL_ARCHIVE)
            s->l->files[i].kind = SNAPLOCAL_LEFT;
    }
    snapload_decide(s->l, rules, ret);
    for (size_t i = 0; i < s->l->n; i++)
        s->l->files[i].kind = kinds[i];
}

static bool is_same(const struct snapload *a, const struct snapload *b)
{
    return a->from == b->from && a->slot == b->slot && a->full == b->full && a->incr == b->incr &&
           a->bank == b->bank;
}

static char *cost(const struct snapload *now, const struct snapload *then)
{
    if (now->from == SNAPLOAD_BANK && then->from != SNAPLOAD_BANK)
        return xasprintf("without it the local state of slot %" PRIu64
                         " is not loaded any more (fast boot): a start would take %s",
                         now->slot, then->why);
    if (then->full == SNAPLOAD_NONE)
        return xstrdup("it is the last full archive that can be used");
    return xasprintf("a start would then take %s", then->why);
}

/* Each by itself, so that the one that costs is named; what is not named is not done then. */
static void weigh(struct plan *s, const struct snapload_rules *rules, const struct snapload *now)
{
    for (size_t i = 0; i < s->l->n; i++) {
        const struct snaplocal_file *f = &s->l->files[i];
        AUTO(snapload_clear) struct snapload then = {0};

        if (!s->p->items[i].remove || f->kind != SNAPLOCAL_ARCHIVE)
            continue;
        decide_without(s, rules, &(struct gone){.only = i}, &then);
        if (is_same(now, &then))
            continue;
        AUTO(freep) char *why = cost(now, &then);
        if (!s->w->names || !strlist_has(s->w->names, f->file)) {
            say(s, i, false, xstrdup(why));
        } else if (!s->w->destroy || !strlist_has(s->w->destroy, f->file)) {
            if (!s->p->refused) {
                s->p->refused = xstrdup(why);
                s->p->refused_name = xstrdup(f->file);
            }
        } else {
            strlist_addf(&s->p->notes, "'%s': %s", f->file, why);
        }
    }
}

/* All of it together must be as good as now, or as it is without what the operator has named: what
 * takes the place of a named one is not to go with it. */
static void weigh_all(struct plan *s, const struct snapload_rules *rules,
                      const struct snapload *now)
{
    const struct gone all = {.only = SNAPLOAD_NONE},
                      named = {.only = SNAPLOAD_NONE, .named = s->w->destroy};
    AUTO(snapload_clear) struct snapload then = {0}, asked = {0};

    if (s->p->refused)
        return;
    decide_without(s, rules, &all, &then);
    if (s->p->notes.n)
        decide_without(s, rules, &named, &asked);
    if (is_same(s->p->notes.n ? &asked : now, &then))
        return;
    for (size_t i = 0; i < s->l->n; i++)
        if (s->p->items[i].remove && s->l->files[i].kind == SNAPLOCAL_ARCHIVE &&
            !(s->w->destroy && strlist_has(s->w->destroy, s->l->files[i].file)))
            say(s, i, false, cost(s->p->notes.n ? &asked : now, &then));
}

struct err *prune_plan_make(struct snaplocal *l, const struct snapload_rules *rules,
                            const struct prune_want *w, struct prune_plan *ret)
{
    AUTO(prune_plan_clear)
    struct prune_plan p = {.items = xcalloc(l->n + 1, sizeof(*p.items)), .n = l->n};
    AUTO(snapload_clear) struct snapload now = {0}, again = {0};
    struct plan s = {.l = l, .w = w, .p = &p};

    snapload_decide(l, rules, &now);
    decide_archives(&s);
    decide_rest(&s);
    TRY(decide_names(&s));
    weigh(&s, rules, &now);
    weigh_all(&s, rules, &now);
    snapload_decide(l, rules, &again); /* loaded and why are those of now */
    for (size_t i = 0; i < l->n; i++) {
        p.n_removed += p.items[i].remove;
        p.freed_b += p.items[i].remove ? l->files[i].disk_b : 0;
    }
    *ret = p;
    p = (struct prune_plan){0};
    return NULL;
}

/* ---- carrying it out --------------------------------------------------------------------------
 */

static struct err *open_place(struct ctx *ctx, const char *dir, enum snaplocal_place place,
                              int *ret_fd)
{
    AUTO(closep) int dir_fd = -1;
    int fd;

    if (place == SNAPLOCAL_STAGED)
        return store_dir_open(ctx, dir, false, ret_fd);
    TRY(fsroot_openat(ctx->root, dir, O_RDONLY | O_DIRECTORY, 0, &dir_fd));
    if (place == SNAPLOCAL_TOP) {
        *ret_fd = TAKE_FD(dir_fd);
        return NULL;
    }
    fd = openat(dir_fd, "remote", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_sys(errno, "cannot open '%s/remote'", dir);
    *ret_fd = fd;
    return NULL;
}

static struct err *is_in(struct ctx *ctx, const char *dir, enum snaplocal_place place,
                         const char *name, bool *ret)
{
    AUTO(closep) int fd = -1;
    struct err *e = open_place(ctx, dir, place, &fd);
    struct stat st;

    *ret = false;
    if (e && (e->kind == ERR_NOTFOUND || e->sys == ENOENT))
        return err_free(e);
    TRY(e);
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        *ret = true;
    else if (errno != ENOENT)
        return err_sys(errno, "cannot look for '%.200s' in '%s'", name, dir);
    return NULL;
}

/* By now, wherever in its folder it has its place: who fetches it or gives it its place may just
 * have renamed it, and its note is all that says who vouches for it. */
static struct err *is_anywhere(struct ctx *ctx, const char *dir, const char *name, bool *ret)
{
    AUTO(freep) char *half = xasprintf(OURS "%s", name);
    bool there = false;

    for (size_t i = 0; i < ARRAY_LEN(places) && !there; i++) {
        TRY(is_in(ctx, dir, places[i], name, &there));
        if (!there)
            TRY(is_in(ctx, dir, places[i], half, &there));
    }
    *ret = there;
    return NULL;
}

/* The note of an archive that is not there any more. */
static struct err *remove_note(struct ctx *ctx, const char *dir, const char *name)
{
    bool there = true;

    TRY(is_anywhere(ctx, dir, name, &there));
    return there ? NULL : provenance_remove(ctx, dir, name);
}

/* Not a folder, and not what has another name by now: *ret_gone says whether it was removed here.
 */
static struct err *unlink_one(int fd, const struct snaplocal_file *f, bool *ret_gone)
{
    *ret_gone = unlinkat(fd, f->file, 0) == 0;
    if (!*ret_gone && errno != ENOENT)
        return err_sys(errno, "cannot remove '%s'", f->path);
    return NULL;
}

static struct err *remove_one(struct ctx *ctx, int fd, const struct snaplocal_file *f,
                              size_t *ret_n)
{
    AUTO(freep) char *stem = xstrndup(f->file, strlen(f->file) - strlen(".json"));
    bool gone = false, there = false;

    if (f->kind == SNAPLOCAL_LEFT)
        TRY(is_anywhere(ctx, f->home, stem, &there));
    if (!there)
        TRY(unlink_one(fd, f, &gone));
    *ret_n += gone;
    return gone && f->kind == SNAPLOCAL_ARCHIVE ? remove_note(ctx, f->home, f->file) : NULL;
}

/* Halves of ours go by way of their lock. */
static bool is_swept(const struct snaplocal_file *f)
{
    bool map = f->kind == SNAPLOCAL_LEFT && str_ends(f->file, ".map");

    return map || (f->kind == SNAPLOCAL_HALF && f->maker == SNAPLOCAL_OURS);
}

static struct err *remove_of(struct ctx *ctx, const struct snaplocal *l, const struct prune_plan *p,
                             const char *home, enum snaplocal_place place, size_t *ret_n)
{
    AUTO(closep) int fd = -1;

    for (size_t i = 0; i < l->n; i++) {
        const struct snaplocal_file *f = &l->files[i];

        if (!p->items[i].remove || f->place != place || is_swept(f) || !str_eq(f->home, home))
            continue;
        if (fd < 0)
            TRY(open_place(ctx, home, place, &fd));
        TRY(remove_one(ctx, fd, f, ret_n));
    }
    if (fd >= 0 && fsync(fd) < 0)
        return err_sys(errno, "cannot write the folder '%s'", home);
    return NULL;
}

static bool is_gone(struct ctx *ctx, const struct snaplocal_file *f)
{
    struct stat st;
    struct err *e = fsroot_stat(ctx->root, f->path, &st);
    bool gone = e && e->kind == ERR_NOTFOUND;

    err_free(e);
    return gone;
}

/* The halves of one folder; those that stay are named. */
static struct err *sweep(struct ctx *ctx, const struct snaplocal *l, const struct prune_plan *p,
                         const char *home, enum snaplocal_place place)
{
    AUTO(freep)
    char *dir = place == SNAPLOCAL_TOP ? xstrdup(home) : xasprintf("%s/" STORE_DIR, home);
    AUTO(strlist_clear) struct strlist keep = {0};
    uint64_t freed_b = 0;
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++) {
        const struct snaplocal_file *f = &l->files[i];
        bool half = f->kind == SNAPLOCAL_HALF && f->maker == SNAPLOCAL_OURS;
        /* A map that is left lies in .agavectl and belongs to the folder above. */
        bool here = half ? f->place == place : place == SNAPLOCAL_TOP;

        if (!is_swept(f) || !here || !str_eq(f->home, home))
            continue;
        if (p->items[i].remove)
            n++;
        else if (half)
            strlist_add(&keep, f->file + strlen(OURS));
    }
    if (!n)
        return NULL;
    return partial_sweep(ctx, dir, &keep, &freed_b);
}

static struct err *carry_out(struct ctx *ctx, const struct snaplocal *l, const struct prune_plan *p,
                             size_t *ret_n)
{
    const char *const homes[] = {l->dir, l->full_dir, l->incr_dir};
    size_t n = 0;

    for (size_t h = 0; h < ARRAY_LEN(homes); h++) {
        TRY(sweep(ctx, l, p, homes[h], SNAPLOCAL_TOP));
        TRY(sweep(ctx, l, p, homes[h], SNAPLOCAL_STAGED));
    }
    for (size_t i = 0; i < l->n; i++)
        n += p->items[i].remove && is_swept(&l->files[i]) && is_gone(ctx, &l->files[i]);
    for (size_t h = 0; h < ARRAY_LEN(homes); h++) /* of one name twice: nothing is left then */
        for (size_t i = 0; i < ARRAY_LEN(places); i++)
            TRY(remove_of(ctx, l, p, homes[h], places[i], &n));
    *ret_n = n;
    return NULL;
}

/* ---- the second look --------------------------------------------------------------------------
 */

/* One prune at a time in a folder: two that keep different archives would leave none. */
static struct err *lock_folder(struct ctx *ctx, const char *dir, int *ret_fd)
{
    AUTO(closep) int fd = -1;

    TRY(fsroot_openat(ctx->root, dir, O_RDONLY | O_DIRECTORY, 0, &fd));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK
                   ? err_new(ERR_REFUSED,
                             "another prune is at work in '%s'; look again when it is done", dir)
                   : err_sys(errno, "cannot lock '%s'", dir);
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

/* Those of the names that are still there. */
static void still_there(const struct snaplocal *l, const struct strlist *names, struct strlist *ret)
{
    for (size_t k = 0; names && k < names->n; k++)
        for (size_t i = 0; i < l->n; i++)
            if (str_eq(l->files[i].file, names->items[k]) && !strlist_has(ret, names->items[k]))
                strlist_add(ret, names->items[k]);
}

static bool was_planned(const struct snaplocal *l, const struct prune_plan *p, const char *path)
{
    for (size_t i = 0; i < l->n; i++)
        if (p->items[i].remove && str_eq(l->files[i].path, path))
            return true;
    return false;
}

/* What was decided, as far as it is still right; nothing is added to it. */
static struct err *narrow(const struct snaplocal *l, const struct prune_plan *p,
                          const struct snaplocal *now, struct prune_plan *again)
{
    if (again->refused)
        return err_new(ERR_REFUSED, "'%s' is not removed any more: %s; the folder has changed",
                       again->refused_name, again->refused);
    for (size_t i = 0; i < now->n; i++) {
        bool planned = was_planned(l, p, now->files[i].path);

        if (planned && !again->items[i].remove && now->files[i].kind == SNAPLOCAL_ARCHIVE)
            return err_new(ERR_REFUSED,
                           "nothing is removed: the folder has changed since it was looked at, and "
                           "'%s' is to stay now (%s); run it again",
                           now->files[i].path, again->items[i].why);
        again->items[i].remove &= planned;
    }
    return NULL;
}

/* A confirmation can take an hour, and Agave, keep and others go on meanwhile: what was to stay may
 * be gone. */
struct err *prune(struct ctx *ctx, const struct snaplocal *l, const struct snapload_rules *rules,
                  const struct prune_want *w, const struct prune_plan *p, size_t *ret_n)
{
    AUTO(prune_plan_clear) struct prune_plan again = {0};
    AUTO(snaplocal_clear) struct snaplocal now = {0};
    AUTO(strlist_clear) struct strlist names = {0}, destroy = {0};
    AUTO(closep) int lock = -1;
    const struct snapdirs dirs = snaplocal_dirs(l);
    struct prune_want want = *w;

    if (p->refused)
        return err_new(ERR_REFUSED, "'%s' is not removed: %s", p->refused_name, p->refused);
    *ret_n = 0;
    TRY(lock_folder(ctx, l->dir, &lock));
    TRY(snaplocal_read_dirs(ctx, &dirs, NULL, &now));
    still_there(&now, w->names, &names);
    still_there(&now, w->destroy, &destroy);
    want.names = w->names ? &names : NULL;
    want.destroy = w->destroy ? &destroy : NULL;
    TRY(prune_plan_make(&now, rules, &want, &again));
    TRY(narrow(l, p, &now, &again));
    return carry_out(ctx, &now, &again, ret_n);
}
