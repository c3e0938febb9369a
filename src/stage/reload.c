/* systemd reads its files again, once for many changes and never too seldom. */
#include "stage/reload.h"

#include "config/config.h"
#include "host/systemd.h"
#include "io/fsroot.h"

static char *note_path(const struct ctx *ctx)
{
    return xasprintf("%s/systemd-reload", ctx->cfg->state_dir);
}

struct err *reload_note(struct ctx *ctx)
{
    AUTO(freep) char *path = note_path(ctx);
    bool booted = false;

    TRY(systemd_booted(ctx, &booted));
    if (!booted)
        return NULL;
    TRY(fsroot_mkdirs(ctx->root, ctx->cfg->state_dir, 0755));
    return fsroot_write_atomic(ctx->root, path, "", 0, 0644);
}

struct err *reload_check(struct ctx *ctx, const char *id, const char *stage, struct findings *ret)
{
    AUTO(freep) char *path = note_path(ctx);
    struct stat st;
    bool booted = false;
    struct err *e = fsroot_stat(ctx->root, path, &st);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    TRY(systemd_booted(ctx, &booted));
    if (!booted)
        return NULL;
    struct finding *f = findings_add(ret, id, 4, SEV_WARN,
                                     "systemd has not read its files again since agavectl changed "
                                     "them: until then it works with the old ones; systemctl "
                                     "daemon-reload");
    f->repair = ctx->cfg->host.persist ? stage : NULL;
    finding_compare(f, NULL, NULL, path);
    return NULL;
}

void reload_plan(const struct findings *f, const char *id, int verb, struct plan *ret)
{
    const struct finding *noted = findings_find(f, id);
    bool due = noted && noted->repair, adopts = !due;

    if (!ret->n && !due)
        return;
    for (size_t i = 0; i < ret->n; i++)
        adopts = adopts && ret->items[i].adopt;
    struct change *c =
        plan_add(ret, CHANGE_RUN, verb, RELOAD_OBJECT, NULL, "reads its files again");
    c->live = true;
    c->adopt = adopts;
    c->follows = !due;
}

struct err *reload_do(struct ctx *ctx)
{
    AUTO(freep) char *path = note_path(ctx);

    TRY(systemd_reload(ctx));
    return fsroot_unlink(ctx->root, path);
}
