/* Folders that were made and may go again. Nothing that has content is ever removed, and whether it
 * has is the kernel's own word (rmdir), not a look of before. */
#include "stage/folders.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "host/mounts.h"
#include "io/folder.h"
#include "io/fsroot.h"

static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash && slash > path ? xstrndup(path, (size_t)(slash - path)) : xstrdup("");
}

struct err *folders_missing(struct ctx *ctx, const char *path, char **ret)
{
    AUTO(strbuf_clear) struct strbuf b = {0};
    AUTO(freep) char *at = xstrdup(path);

    while (*at) {
        struct stat st;
        struct err *e = fsroot_stat(ctx->root, at, &st);

        if (!e)
            break;
        if (e->kind != ERR_NOTFOUND)
            return e;
        err_free(e);
        strbuf_printf(&b, "%s\n", at);
        char *above = parent_of(at);
        free(at);
        at = above;
    }
    *ret = b.len ? strbuf_take(&b) : NULL;
    return NULL;
}

struct walk {
    struct ctx *ctx;
    struct mounts mounts;
    char *below; /* name of the one below that would be gone by then, or NULL */
    char *first; /* the first that would go, or NULL */
    char *kept;  /* why the first that stays does, or NULL */
};

static void walk_clear(struct walk *w)
{
    mounts_clear(&w->mounts);
    free(w->below);
    free(w->first);
    free(w->kept);
}

static void forget_below(struct walk *w)
{
    free(w->below);
    w->below = NULL;
}

static void keep(struct walk *w, char *why)
{
    if (w->kept)
        free(why);
    else
        w->kept = why;
    forget_below(w);
}

/* Anything in it but what would be gone. */
static const char *content(const struct walk *w, const struct strlist *names)
{
    for (size_t i = 0; i < names->n; i++)
        if (!str_eq(names->items[i], w->below))
            return names->items[i];
    return NULL;
}

static struct err *look_at(struct walk *w, const char *path, bool *ret_stop)
{
    AUTO(strlist_clear) struct strlist names = {0};
    AUTO(freep) char *real = NULL;
    bool there = false;

    TRY(fsroot_real(w->ctx->root, path, &real));
    if (!str_eq(real, path)) {
        keep(w, xasprintf("'%s' is behind a symbolic link by now", path));
        return NULL;
    }
    struct err *e = fsroot_is_folder(w->ctx->root, path, &there);
    if (e && e->kind == ERR_BADINPUT) {
        keep(w, xasprintf("'%s' is no folder any more", path));
        return err_free(e);
    }
    TRY(e);
    *ret_stop = mounts_at(&w->mounts, path) != NULL;
    if (!there || *ret_stop) {
        forget_below(w);
        return NULL;
    }
    TRY(fsroot_list(w->ctx->root, path, &names));
    const char *in = content(w, &names);
    if (in) {
        keep(w, xasprintf("folder '%s' has content ('%s')", path, in));
        return NULL;
    }
    free(w->below);
    w->below = xstrdup(strrchr(path, '/') + 1);
    if (!w->first)
        w->first = xstrdup(path);
    return NULL;
}

struct err *folders_look(struct ctx *ctx, const char *list, struct undo_look *ret)
{
    AUTO(walk_clear) struct walk w = {.ctx = ctx};
    AUTO(freep) char *copy = xstrdup(list ? list : "");
    char *save = NULL;
    bool stop = false;

    TRY(mounts_read(ctx, &w.mounts));
    for (char *d = strtok_r(copy, "\n", &save); d && !stop; d = strtok_r(NULL, "\n", &save))
        TRY(look_at(&w, d, &stop));
    if (w.first)
        *ret = (struct undo_look){.verdict = UNDO_DO,
                                  .what = xasprintf("remove the empty folder '%s'", w.first)};
    else if (w.kept)
        *ret = (struct undo_look){.verdict = UNDO_KEEP, .what = TAKE(w.kept)};
    else
        *ret = (struct undo_look){.verdict = UNDO_GONE};
    return NULL;
}

struct err *folders_remove(struct ctx *ctx, const char *list)
{
    AUTO(freep) char *copy = xstrdup(list ? list : "");
    char *save = NULL;

    for (char *d = strtok_r(copy, "\n", &save); d; d = strtok_r(NULL, "\n", &save)) {
        /* not through a link that somebody has put there since the look */
        struct err *e = folder_remove(ctx->root, d);
        bool stays = e && (e->kind == ERR_REFUSED || e->sys == ENOTEMPTY || e->sys == EEXIST ||
                           e->sys == EBUSY || e->sys == ENOTDIR);

        if (stays) /* it has content or is a mount point: the next look says so */
            return err_free(e);
        TRY(e);
    }
    return NULL;
}
