/* What is here already, and may be built upon. */
#include "fetch/pair.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fetch/provenance.h"
#include "io/fsroot.h"
#include "solana/snapshot_archive.h"
#include "solana/snapshot_local.h"

#define SEEN_MAX 8

void pair_local_clear(struct pair_local *l)
{
    free(l->full);
    free(l->incr);
    *l = (struct pair_local){0};
}

static bool is_archive(const struct snaplocal_file *f, bool incremental, bool waiting)
{
    return f->kind == SNAPLOCAL_ARCHIVE && f->named && !f->name.legacy && !f->apart &&
           f->name.incremental == incremental && (waiting || f->place != SNAPLOCAL_STAGED);
}

/* The highest; files are in that order. base NULL: a full one. */
static const struct snaplocal_file *highest(const struct snaplocal *l, const uint64_t *base,
                                            bool waiting)
{
    for (size_t i = 0; i < l->n; i++)
        if (is_archive(&l->files[i], base != NULL, waiting) &&
            (!base || l->files[i].name.base == *base))
            return &l->files[i];
    return NULL;
}

/* Was it proven by us, as it is now? Whoever may write into the folder can write notes too: only
 * our own counts, and only about a file that nobody has written to since. */
static bool proven_before(struct ctx *ctx, const struct pair_look *look,
                          const struct snaplocal_file *f)
{
    AUTO(provenance_clear) struct provenance p = {0};
    struct err *e = provenance_read(ctx, f->home, f->file, &p);
    bool known = !e && p.ours && p.size_b == f->size_b && f->mtime_s <= p.at_ms / 1000;

    err_free(e); /* without a note it is read */
    return known && p.verify && !str_eq(p.verify, "none") &&
           (!look->hash_must || str_eq(p.hash, "proven"));
}

struct reading {
    const struct pair_look *look;
    const struct pair_events *events;
    const char *file;
};

static struct err *on_read(void *arg, uint64_t done_b, uint64_t total_b)
{
    const struct reading *r = arg;
    const struct pair_look *look = r->look;
    char text[256];

    snprintf(text, sizeof(text), "verifying '%s', %.0f %%", r->file,
             total_b ? 100.0 * (double)done_b / (double)total_b : 100.0);
    if (r->events && r->events->say)
        r->events->say(r->events->arg, text);
    return look->may_go_on ? look->may_go_on(look->may_arg) : NULL;
}

/* The file as it is now: whatever is written to it or put in its place has another text. NULL: it
 * cannot be told. To be freed. */
static char *sight_of(struct ctx *ctx, const struct snaplocal_file *f)
{
    struct stat st;
    struct err *e = fsroot_stat(ctx->root, f->path, &st);

    if (e)
        return err_free(e), NULL;
    return xasprintf("%ju:%ju %jd %jd.%09ld %s", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino,
                     (intmax_t)st.st_size, (intmax_t)st.st_ctim.tv_sec, st.st_ctim.tv_nsec,
                     f->path);
}

/* What the operator is to do about it: who has stopped it himself knows. */
static struct err *hint(struct err *e)
{
    return e && (e->kind == ERR_CORRUPT || e->kind == ERR_BADINPUT || e->kind == ERR_SYS)
               ? err_hint(e, "move it away and run this again")
               : e;
}

static struct err *verify(struct ctx *ctx, const struct pair_look *look,
                          const struct snaplocal_file *f, const struct pair_events *events)
{
    const struct snapcheck_limits limits = {.hash_must = look->hash_must};
    struct reading r = {.look = look, .events = events, .file = f->file};
    AUTO(freep) char *sight = look->seen ? sight_of(ctx, f) : NULL;
    struct snapcheck_report check;

    if (look->by_notes && proven_before(ctx, look, f))
        return NULL;
    if (sight && strlist_has(look->seen, sight))
        return NULL;
    TRY(on_read(&r, 0, f->size_b));
    TRY(hint(snapshot_archive_verify_file(ctx, f->path, &limits, on_read, &r, &check)));
    if (!sight)
        return NULL;
    if (look->seen->n >= SEEN_MAX)
        strlist_clear(look->seen);
    strlist_add(look->seen, sight);
    return NULL;
}

struct err *pair_local_look(struct ctx *ctx, const struct pair_look *look,
                            const struct pair_events *events, struct pair_local *ret)
{
    AUTO(snaplocal_clear) struct snaplocal l = {0};
    const struct snaplocal_file *full, *incr;
    struct err *e = snaplocal_read_dirs(ctx, &look->dirs, NULL, &l);

    *ret = (struct pair_local){0};
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    full = highest(&l, NULL, look->waiting);
    if (!full)
        return NULL;
    TRY(verify(ctx, look, full, events));
    incr = highest(&l, &full->name.slot, look->waiting);
    if (incr)
        TRY(verify(ctx, look, incr, events));
    *ret = (struct pair_local){
        .full = xstrdup(full->file),
        .incr = incr ? xstrdup(incr->file) : NULL,
        .full_slot = full->name.slot,
        .slot = incr ? incr->name.slot : full->name.slot,
        .full_b = full->size_b,
    };
    return NULL;
}
