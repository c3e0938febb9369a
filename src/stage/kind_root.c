/* Layer 2: the folder that the kind node sees. It must be on a shared mount, or what is mounted
 * below it later on the host never reaches the node. */
#include "base/str.h"
#include "config/config.h"
#include "host/mounts.h"
#include "io/fsroot.h"
#include "stage/folders.h"
#include "stage/kind_dataset.h"
#include "stage/shared.h"
#include "stage/table.h"

enum { VERB_FOLDER = 1, VERB_SHARE };

static bool kind_root_enabled(const struct ctx *ctx)
{
    return ctx->cfg && *ctx->cfg->storage.kind_root;
}

/* What it lies on, for whoever wonders where its content goes at a reboot. */
static void check_place(const struct mounts *m, const char *root, struct findings *ret)
{
    const struct mount_info *on = mounts_over(m, root);

    if (!on)
        return; /* said by the question of propagation */
    bool memory = str_eq(on->fstype, "tmpfs") || str_eq(on->fstype, "ramfs");
    findings_add(ret, "kindroot.place", 2, memory ? SEV_WARN : SEV_OK, "'%s' lies on %s ('%s')%s",
                 root, on->fstype, on->source,
                 memory ? ": everything in it is gone after a reboot, the cluster's data as well"
                        : "");
}

static bool ours(const struct findings *all, const char *id)
{
    const struct finding *f = findings_find(all, id);

    return f && f->sev == SEV_FAIL && str_eq(f->repair, "kind-root");
}

static struct err *kind_root_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    const char *root = ctx->cfg->storage.kind_root;
    const struct mounts *m = NULL;
    bool plain = false, there = false;

    TRY(shared_check_path(ctx, root, "kindroot.folder", 2, ret, &plain));
    if (!plain)
        return NULL;
    TRY(scene_mounts(ctx, scene, &m));
    if (*ctx->cfg->storage.kind_dataset) {
        TRY(kind_dataset_check(ctx, m, ret, &there));
        if (!there) { /* what is there now is not what is meant */
            if (ours(ret, "kindroot.dataset"))
                shared_check(m, root, "kindroot.shared", 2, "kind-root", ret);
            return NULL;
        }
    }
    TRY(fsroot_is_folder(ctx->root, root, &there));
    struct finding *f = findings_add(ret, "kindroot.folder", 2, there ? SEV_OK : SEV_FAIL,
                                     "folder '%s' %s", root, there ? "exists" : "does not exist");
    f->repair = there ? NULL : "kind-root";
    if (!there)
        TRY(folders_missing(ctx, root, &f->old));
    shared_check(m, root, "kindroot.shared", 2, "kind-root", ret);
    check_place(m, root, ret);
    return NULL;
}

static struct err *kind_root_plan(const struct ctx *ctx, const struct findings *f, struct plan *ret)
{
    const char *root = ctx->cfg->storage.kind_root;

    if (*ctx->cfg->storage.kind_dataset)
        kind_dataset_plan(ctx, f, ret);
    if (ours(f, "kindroot.folder"))
        plan_undoable(plan_add(ret, CHANGE_CREATE, VERB_FOLDER, root, NULL, "folder"),
                      findings_find(f, "kindroot.folder")->old);
    if (ours(f, "kindroot.shared"))
        plan_undoable(plan_add(ret, CHANGE_UPDATE, VERB_SHARE, root, "not shared", "shared"),
                      findings_find(f, "kindroot.shared")->old);
    return NULL;
}

static struct err *kind_root_apply(struct ctx *ctx, const struct change *c)
{
    switch (c->verb) {
    case VERB_FOLDER:
        return fsroot_mkdirs(ctx->root, c->object, 0755);
    case VERB_SHARE:
        return shared_make(ctx, c->object);
    case KIND_DATASET_VERB:
        return kind_dataset_apply(ctx, c);
    default:
        return err_new(ERR_BUG, "stage 'kind-root' has no change %d", c->verb);
    }
}

static struct err *kind_root_undo_look(struct ctx *ctx, const struct change *c,
                                       struct undo_look *ret)
{
    if (c->verb == KIND_DATASET_VERB)
        return kind_dataset_undo_look(ctx, c, ret);
    return c->verb == VERB_FOLDER ? folders_look(ctx, c->old, ret) : shared_undo_look(ctx, c, ret);
}

static struct err *kind_root_undo(struct ctx *ctx, const struct change *c)
{
    if (c->verb == KIND_DATASET_VERB)
        return kind_dataset_undo(ctx, c);
    return c->verb == VERB_FOLDER ? folders_remove(ctx, c->old) : shared_undo(ctx, c);
}

const struct stage stage_kind_root = {
    .name = "kind-root",
    .summary = "the folder that the kind node sees, on a shared mount",
    .layer = 2,
    .gate = true,
    .order_reason = "needs nothing of the others",
    .enabled = kind_root_enabled,
    .check = kind_root_check,
    .plan = kind_root_plan,
    .apply = kind_root_apply,
    .undo_look = kind_root_undo_look,
    .undo = kind_root_undo,
};
