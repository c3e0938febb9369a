/* Layer 4: the volume as the kind node sees it. It appears below the kind root as an rbind that
 * receives from the volume (slave) and passes on (shared). A plain rbind would be a peer of the
 * volume: unmounting below it would unmount the volume's own RAM disk. */
#include "base/str.h"
#include "config/config.h"
#include "host/mounts.h"
#include "io/fsroot.h"
#include "stage/folders.h"
#include "stage/shared.h"
#include "stage/table.h"
#include "stage/unmount.h"

enum { VERB_SHARE = 1, VERB_RBIND, VERB_SUBMOUNT };

static const char *source_of(const struct ctx *ctx)
{
    return ctx->cfg->storage.volume.mount;
}

static bool bind_enabled(const struct ctx *ctx)
{
    return ctx->cfg && *ctx->cfg->storage.bind;
}

static void note_got(struct finding *f, const char *want, const char *got)
{
    f->want = xstrdup(want);
    f->got = xstrdup(got);
    f->source = xstrdup("/proc/self/mountinfo");
}

/* The same folder of the same file system? */
static bool same_place(const struct mount_info *a, const char *a_path, const struct mount_info *b,
                       const char *b_path)
{
    AUTO(freep) char *x = mount_inner_path(a, a_path);
    AUTO(freep) char *y = mount_inner_path(b, b_path);

    return a->major == b->major && a->minor == b->minor && str_eq(x, y);
}

/* The bind is there: will later mounts arrive, and is the source safe from it? Not a failure: the
 * validator runs, and putting it right means an unmount. */
static void check_propagation(const struct mount_info *bind, const struct mount_info *source,
                              struct findings *ret)
{
    bool peer = bind->shared && bind->shared == source->shared;
    bool follows = peer || (bind->master && bind->master == source->shared);
    const char *wrong = peer       ? "an unmount below it unmounts the volume's own mounts as well"
                        : !follows ? "mounts made below the volume later do not arrive there"
                        : !bind->shared
                            ? "mounts made below the volume later do not go on into the kind node"
                            : NULL;
    struct finding *f =
        findings_add(ret, "bind.propagation", 4, wrong ? SEV_WARN : SEV_OK, "'%s' is %s%s%s%s",
                     bind->target, peer ? "a peer of its source" : mount_propagation(bind),
                     wrong ? ": " : "", wrong ? wrong : "",
                     wrong ? "; unmount it when the validator is stopped, and run this again" : "");

    note_got(f, "shared and slave of its source", peer ? "peer" : mount_propagation(bind));
}

/* One mount below the source must appear below the bind. */
static void check_submount(const struct ctx *ctx, const struct mounts *m,
                           const struct mount_info *sub, struct findings *ret)
{
    const char *rest = sub->target + strlen(source_of(ctx));
    AUTO(freep) char *there = xasprintf("%s%s", ctx->cfg->storage.bind, rest);
    const struct mount_info *got = mounts_at(m, there);
    bool ok = got && same_place(got, there, sub, sub->target);
    struct finding *f = findings_add(ret, "bind.submount", 4, ok ? SEV_OK : SEV_FAIL,
                                     "'%s' %s at '%s'", sub->target,
                                     ok    ? "appears"
                                     : got ? "is hidden by another mount"
                                           : "is missing",
                                     there);

    f->want = xstrdup(there);
    f->got = got ? xstrdup(got->source) : NULL;
    f->source = xstrdup(sub->target); /* the plan reads it */
    f->repair = ok || got ? NULL : "bind";
}

static bool strictly_below(const char *path, const char *base)
{
    size_t n = strlen(base);

    return strncmp(path, base, n) == 0 && path[n] == '/' && path[n + 1];
}

static void check_bound(const struct ctx *ctx, const struct mounts *m,
                        const struct mount_info *bind, struct findings *ret)
{
    const char *path = ctx->cfg->storage.bind, *source = source_of(ctx);
    const struct mount_info *on = mounts_over(m, source);
    bool ok = on && same_place(bind, path, on, source);
    struct finding *f =
        findings_add(ret, "bind.mount", 4, ok ? SEV_OK : SEV_FAIL,
                     ok ? "'%s' shows '%s'"
                        : "'%s' does not show "
                          "'%s': something else is mounted there; unmount it when nothing uses it",
                     path, source);

    note_got(f, source, bind->source);
    if (!ok)
        return;
    check_propagation(bind, on, ret);
    for (size_t i = 0; i < m->n; i++) {
        const struct mount_info *x = &m->items[i];

        if (strictly_below(x->target, source) && mounts_at(m, x->target) == x)
            check_submount(ctx, m, x, ret);
    }
}

static struct err *check_hidden(struct ctx *ctx, struct findings *ret)
{
    const char *path = ctx->cfg->storage.bind;
    AUTO(strlist_clear) struct strlist names = {0};
    struct err *e = fsroot_list(ctx->root, path, &names);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    if (names.n)
        findings_add(ret, "bind.hidden", 4, SEV_WARN,
                     "'%s' has content of its own (%zu entries, e.g. '%s') that the bind will hide",
                     path, names.n, names.items[0]);
    return NULL;
}

/* Whether the source is there is the volume's own question; this stage waits for it. */
static struct err *check_unbound(struct ctx *ctx, const struct mounts *m, struct findings *ret)
{
    struct finding *f = findings_add(ret, "bind.mount", 4, SEV_FAIL, "'%s' does not show '%s'",
                                     ctx->cfg->storage.bind, source_of(ctx));

    note_got(f, source_of(ctx), "no mount");
    f->repair = "bind";
    TRY(folders_missing(ctx, ctx->cfg->storage.bind, &f->old));
    shared_check(m, source_of(ctx), "bind.source", 4, "bind", ret);
    return check_hidden(ctx, ret);
}

static struct err *bind_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    const struct mounts *m = NULL;
    bool plain = false;

    TRY(shared_check_path(ctx, ctx->cfg->storage.bind, "bind.mount", 4, ret, &plain));
    if (!plain)
        return NULL;
    TRY(scene_mounts(ctx, scene, &m));
    const struct mount_info *bind = mounts_at(m, ctx->cfg->storage.bind);
    if (!bind)
        return check_unbound(ctx, m, ret);
    check_bound(ctx, m, bind, ret);
    return NULL;
}

static bool ours(const struct finding *f)
{
    return f && f->sev == SEV_FAIL && str_eq(f->repair, "bind");
}

/* A bind made before its target's mount and its source are shared would not pass mounts on. */
static struct err *bind_plan(const struct ctx *ctx, const struct findings *f, struct plan *ret)
{
    const char *bind = ctx->cfg->storage.bind;

    if (ours(findings_find(f, "bind.mount"))) {
        if (ours(findings_find(f, "bind.source")))
            plan_undoable(
                plan_add(ret, CHANGE_UPDATE, VERB_SHARE, source_of(ctx), "not shared", "shared"),
                findings_find(f, "bind.source")->old);
        AUTO(freep) char *after = xasprintf("rbind of %s (rslave, rshared)", source_of(ctx));
        struct change *c = plan_add(ret, CHANGE_CREATE, VERB_RBIND, bind, NULL, after);
        c->arg = xstrdup(source_of(ctx));
        plan_undoable(c, findings_find(f, "bind.mount")->old);
        return NULL;
    }
    for (size_t i = 0; i < f->n; i++) {
        const struct finding *x = &f->items[i];

        if (!str_eq(x->id, "bind.submount") || !ours(x))
            continue;
        AUTO(freep) char *after = xasprintf("rbind of %s (rslave, rshared)", x->source);
        struct change *c = plan_add(ret, CHANGE_CREATE, VERB_SUBMOUNT, x->want, NULL, after);
        c->arg = xstrdup(x->source);
        plan_undoable(c, NULL);
    }
    return NULL;
}

static struct err *rbind(struct ctx *ctx, const char *source, const char *target)
{
    AUTO(freep) char *from = fsroot_path(ctx->root, source);
    AUTO(freep) char *to = fsroot_path(ctx->root, target);

    return mounts_rbind(from, to);
}

static struct err *bind_apply(struct ctx *ctx, const struct change *c)
{
    switch (c->verb) {
    case VERB_SHARE:
        return shared_make(ctx, c->object);
    case VERB_RBIND:
        TRY(fsroot_mkdirs(ctx->root, c->object, 0755));
        return rbind(ctx, c->arg, c->object);
    case VERB_SUBMOUNT:
        return rbind(ctx, c->arg, c->object);
    default:
        return err_new(ERR_BUG, "stage 'bind' has no change %d", c->verb);
    }
}

/* Is what is mounted there still what was bound? A source that was unmounted since says nothing. */
static bool shows_source(const struct mounts *m, const struct mount_info *at,
                         const struct change *c)
{
    const struct mount_info *on = c->arg ? mounts_over(m, c->arg) : NULL;

    return on && same_place(at, c->object, on, c->arg);
}

static struct err *bind_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    AUTO(mounts_clear) struct mounts m = {0};

    if (c->verb == VERB_SHARE)
        return shared_undo_look(ctx, c, ret);
    TRY(mounts_read(ctx, &m));
    const struct mount_info *at = mounts_at(&m, c->object);
    if (!at)
        return folders_look(ctx, c->old, ret);
    if (shows_source(&m, at, c))
        *ret = (struct undo_look){
            .verdict = UNDO_DO,
            .what = xasprintf("unmount '%s', which shows '%s'", c->object, c->arg),
            .unmounts = UNDO_RBIND,
            .source = xstrdup(c->arg)};
    else
        *ret = (struct undo_look){.verdict = UNDO_KEEP,
                                  .what = xasprintf("'%s' does not show '%s' any more: another "
                                                    "mount (of '%s') is there",
                                                    c->object, c->arg, at->source)};
    return NULL;
}

static struct err *bind_undo(struct ctx *ctx, const struct change *c)
{
    if (c->verb == VERB_SHARE)
        return shared_undo(ctx, c);
    TRY(unmount_now(ctx, c->object, UNDO_RBIND));
    return folders_remove(ctx, c->old);
}

static const char *const bind_after[] = {"kind-root", "volume", "ramdisk", NULL};

const struct stage stage_bind = {
    .name = "bind",
    .summary = "the volume as the kind node sees it",
    .layer = 4,
    .gate = true,
    .after = bind_after,
    .order_reason = "a bind shows what is mounted when it is made, and without them the plain disk",
    .enabled = bind_enabled,
    .check = bind_check,
    .plan = bind_plan,
    .apply = bind_apply,
    .undo_look = bind_undo_look,
    .undo = bind_undo,
};
