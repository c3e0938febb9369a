/* What the stages that write below /etc share. */
#include "stage/etc.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/str.h"
#include "io/fsroot.h"
#include "stage/own.h"

#define ETC "/etc/"

bool etc_is_written(const struct plan *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (str_starts(p->items[i].object, ETC))
            return true;
    return false;
}

/* What the stage would write there by itself, and what only where others' work is taken over. */
static struct err *what_is_due(const struct ctx *ctx, const struct stage *s,
                               const struct findings *f, bool *ret_due, bool *ret_adopt)
{
    AUTO(plan_clear) struct plan p = {.stage = s};

    TRY(s->plan(ctx, f, &p));
    for (size_t i = 0; i < p.n; i++)
        if (str_starts(p.items[i].object, ETC))
            *(p.items[i].adopt ? ret_adopt : ret_due) = true;
    return NULL;
}

struct err *etc_check(struct ctx *ctx, const struct stage *s, struct findings *ret)
{
    struct statvfs v = {0};
    bool due = false, adopt = false;

    if (!s->plan)
        return NULL;
    TRY(what_is_due(ctx, s, ret, &due, &adopt));
    if (!due && !adopt)
        return NULL;
    assert(s->readonly);
    struct err *e = fsroot_statvfs(ctx->root, "/etc", &v);
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    if (v.f_flag & ST_RDONLY)
        findings_add(ret, s->readonly, s->layer,
                     !due      ? SEV_NOTE
                     : s->gate ? SEV_WARN
                               : SEV_FAIL,
                     "'/etc' is read-only: nothing can be written there; make it writable "
                     "(mount -o remount,rw), then run the command again");
    return NULL;
}

struct err *etc_remove_folders(struct ctx *ctx, const char *folders)
{
    AUTO(freep) char *copy = xstrdup(folders ? folders : "");
    char *save = NULL;

    for (char *d = strtok_r(copy, "\n", &save); d; d = strtok_r(NULL, "\n", &save)) {
        struct err *e = fsroot_rmdir(ctx->root, d);

        if (e && (e->sys == ENOTEMPTY || e->sys == EEXIST || e->sys == EBUSY || e->sys == ENOTDIR))
            return err_free(e);
        TRY(e);
    }
    return NULL;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

struct err *etc_link_look(struct ctx *ctx, const char *path, bool *ret_there, bool *ret_ours)
{
    AUTO(freep) char *to = NULL;
    struct err *e = fsroot_readlink(ctx->root, path, &to);

    *ret_there = !e || e->kind != ERR_NOTFOUND;
    *ret_ours = !e && str_eq(base_name(to), base_name(path));
    /* not a link: through its descriptor the kernel says ENOENT */
    return e && (e->kind == ERR_NOTFOUND || e->sys == EINVAL || e->sys == ENOENT) ? err_free(e) : e;
}

struct err *etc_link_make(struct ctx *ctx, const char *path, const char *target)
{
    AUTO(freep) char *folder = xstrndup(path, (size_t)(base_name(path) - path) - 1);
    bool there = false, ours = false;

    TRY(etc_link_look(ctx, path, &there, &ours));
    if (ours)
        return NULL;
    if (there)
        return err_new(ERR_REFUSED, "'%s' is there and is no link to '%s'; move it away", path,
                       target);
    TRY(fsroot_mkdirs(ctx->root, folder, 0755));
    return fsroot_symlink(ctx->root, target, path);
}

struct err *etc_folder_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    bool left = false;

    TRY(own_folder_left(ctx, c, &left));
    ret->verdict = left ? UNDO_DO : UNDO_GONE;
    ret->what = left ? xasprintf("remove the empty folder of '%s'", c->object) : NULL;
    return NULL;
}

struct err *etc_link_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    bool there = false, ours = false;

    TRY(etc_link_look(ctx, c->object, &there, &ours));
    if (!there)
        return etc_folder_undo_look(ctx, c, ret);
    ret->verdict = ours ? UNDO_DO : UNDO_KEEP;
    ret->what = ours ? xasprintf("remove '%s'", c->object)
                     : xasprintf("'%s' leads to another unit now", c->object);
    return NULL;
}

struct err *etc_link_undo(struct ctx *ctx, const struct change *c)
{
    TRY(fsroot_unlink(ctx->root, c->object));
    return etc_remove_folders(ctx, c->old);
}
