/* Changes that write and take away whole files of ours. */
#include "stage/own.h"

#include "base/str.h"
#include "config/config.h"
#include "host/own_file.h"
#include "io/fsroot.h"

#define GOT_OTHER "another text"

struct err *own_check(struct ctx *ctx, const struct own_file *f, struct findings *ret)
{
    AUTO(freep) char *why = NULL;
    AUTO(freep) char *folders = NULL;
    enum own_state state;
    struct finding *x;

    TRY(own_file_look(ctx, f->path, f->text, &state, &why));
    TRY(own_file_new_folders(ctx, f->path, &folders));
    if (state == OWN_SAME) {
        x = findings_add(ret, f->id, f->layer, SEV_OK, "'%s' is in place: %s", f->path, f->what);
    } else if (state == OWN_FOREIGN) {
        x = findings_add(ret, f->id, f->layer, SEV_WARN,
                         "%s: agavectl leaves it alone; move it away if nobody needs it", why);
    } else {
        x = findings_add(ret, f->id, f->layer, f->missing, "'%s' %s: %s", f->path,
                         state == OWN_ABSENT ? "is not there" : "is agavectl's, with another text",
                         f->what);
        x->repair = ctx->cfg->host.persist ? f->stage : NULL;
    }
    finding_compare(x, f->text,
                    state == OWN_SAME    ? f->text
                    : state == OWN_OTHER ? GOT_OTHER
                                         : NULL,
                    f->path);
    x->old = TAKE(folders);
    return NULL;
}

struct change *own_plan(const struct findings *f, const char *id, int verb, const char *after,
                        struct plan *ret)
{
    const struct finding *x = findings_find(f, id);
    struct change *c;

    if (!x || !x->repair)
        return NULL;
    c = plan_undoable(plan_add(ret, x->got ? CHANGE_UPDATE : CHANGE_CREATE, verb, x->source,
                               x->got ? "other settings" : NULL, after),
                      x->old);
    c->arg = xstrdup(x->want);
    c->writes = WRITES_FILE;
    c->live = true;
    return c;
}

struct err *own_apply(struct ctx *ctx, const struct change *c)
{
    return own_file_write(ctx, c->object, c->arg ? c->arg : "");
}

struct err *own_folder_left(struct ctx *ctx, const struct change *c, bool *ret)
{
    AUTO(freep) char *dir = xstrndup(c->old ? c->old : "", c->old ? strcspn(c->old, "\n") : 0);
    AUTO(strlist_clear) struct strlist names = {0};
    struct err *e = *dir ? fsroot_list(ctx->root, dir, &names) : NULL;

    *ret = *dir && !e && names.n == 0;
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    return e;
}

struct err *own_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    AUTO(freep) char *why = NULL;
    enum own_state state;
    bool empty = false;

    TRY(own_file_look(ctx, c->object, c->arg ? c->arg : "", &state, &why));
    if (state == OWN_ABSENT)
        TRY(own_folder_left(ctx, c, &empty));
    if (state == OWN_SAME || empty) {
        ret->verdict = UNDO_DO;
        ret->what = xasprintf("'%s' is removed%s", c->object, empty ? " with its folder" : "");
    } else if (state == OWN_ABSENT) {
        ret->verdict = UNDO_GONE;
    } else {
        ret->verdict = UNDO_KEEP;
        ret->what = state == OWN_OTHER
                        ? xasprintf("'%s' was changed since agavectl wrote it: remove it yourself "
                                    "if nobody needs it",
                                    c->object)
                        : TAKE(why);
    }
    return NULL;
}

struct err *own_undo(struct ctx *ctx, const struct change *c)
{
    return own_file_remove(ctx, c->object, c->old);
}
