/* The dataset behind the folder that the kind node sees: looked at, made, and taken back while it
 * is empty. Pools and the datasets above it are the operator's, and so is every property of one
 * that is there already. */
#include "stage/kind_dataset.h"

#include <errno.h>

#include "base/str.h"
#include "config/config.h"
#include "host/zfs.h"
#include "io/fsroot.h"
#include "stage/folders.h"
#include "stage/unmount.h"

#define ID        "kindroot.dataset"
#define DEPTH_MAX 8 /* of folders that lead to mount points */

static bool is_zfs(const struct mount_info *m)
{
    return str_eq(m->fstype, "zfs") || str_eq(m->fstype, "fuse.zfs");
}

/* zfs could not answer, or there is none. */
static void add_failure(struct findings *ret, struct err *e)
{
    bool told = e->kind == ERR_ABSENT || e->kind == ERR_BADINPUT || e->kind == ERR_REFUSED;

    findings_add(ret, ID, 2, told ? SEV_FAIL : SEV_UNKNOWN, "%s%s",
                 told ? "" : "could not look: ", e->text);
    err_free(e);
}

/* It is there, and not mounted where it belongs. */
static void check_unmounted(const char *name, const char *root, const struct zfs_dataset *d,
                            struct findings *ret)
{
    if (d->type != ZFS_FILESYSTEM)
        findings_add(ret, ID, 2, SEV_FAIL,
                     "dataset '%s' is no file system: name another one in the config", name);
    else if (!str_eq(d->mountpoint, root))
        findings_add(ret, ID, 2, SEV_FAIL,
                     "dataset '%s' has the mount point '%s', not '%s': zfs set mountpoint=%s %s",
                     name, d->mountpoint ? d->mountpoint : "", root, root, name);
    else if (str_eq(d->canmount, "off"))
        findings_add(ret, ID, 2, SEV_FAIL,
                     "dataset '%s' may not be mounted (canmount=off): zfs set canmount=on %s", name,
                     name);
    else
        findings_add(ret, ID, 2, SEV_FAIL, "dataset '%s' is not mounted at '%s': zfs mount %s",
                     name, root, name);
}

/* What is above it must be there: a missing one would be made with somebody's guess of its
 * properties. */
static struct err *check_parent(struct ctx *ctx, const char *name, struct findings *ret,
                                bool *ret_ok)
{
    AUTO(freep) char *parent = zfs_parent(name);
    AUTO(zfs_dataset_clear) struct zfs_dataset d = {0};
    struct err *e = parent ? zfs_get(ctx, parent, &d) : NULL;

    *ret_ok = parent && !e && d.type == ZFS_FILESYSTEM;
    if (e && e->kind != ERR_NOTFOUND)
        return e;
    err_free(e);
    if (*ret_ok)
        return NULL;
    bool pool = !parent || !strchr(parent, '/');
    findings_add(ret, ID, 2, SEV_FAIL,
                 pool
                     ? "pool '%s' is not there: import it (zpool import), or correct "
                       "storage.kind_dataset"
                     : "dataset '%s' is not there, and '%s' would lie in it: make it first, as you "
                       "want it",
                 parent ? parent : name, name);
    return NULL;
}

static struct err *check_missing(struct ctx *ctx, const char *name, const char *root,
                                 struct findings *ret)
{
    AUTO(strlist_clear) struct strlist names = {0};
    bool ok = false;

    TRY(check_parent(ctx, name, ret, &ok));
    if (!ok)
        return NULL;
    struct err *e = fsroot_list(ctx->root, root, &names);
    if (e && e->kind == ERR_NOTFOUND)
        e = err_free(e);
    TRY(e);
    if (names.n) {
        findings_add(ret, ID, 2, SEV_FAIL,
                     "dataset '%s' is not made: '%s' has content of its own ('%s'), which it would "
                     "hide; move that away first",
                     name, root, names.items[0]);
        return NULL;
    }
    struct finding *f =
        findings_add(ret, ID, 2, SEV_FAIL, "dataset '%s' for '%s' does not exist", name, root);
    f->repair = "kind-root";
    return folders_missing(ctx, root, &f->old);
}

struct err *kind_dataset_check(struct ctx *ctx, const struct mounts *m, struct findings *ret,
                               bool *ret_mounted)
{
    const char *name = ctx->cfg->storage.kind_dataset, *root = ctx->cfg->storage.kind_root;
    const struct mount_info *at = mounts_at(m, root);
    AUTO(zfs_dataset_clear) struct zfs_dataset d = {0};
    struct err *e = NULL;

    *ret_mounted = at && is_zfs(at) && str_eq(at->source, name);
    if (at) {
        finding_compare(findings_add(ret, ID, 2, *ret_mounted ? SEV_OK : SEV_FAIL,
                                     "'%s' is %s '%s'%s", root, at->fstype, at->source,
                                     *ret_mounted ? "" : ", not the dataset of the config"),
                        name, at->source, "/proc/self/mountinfo");
        return NULL;
    }
    e = zfs_get(ctx, name, &d);
    if (e && e->kind == ERR_NOTFOUND) {
        err_free(e);
        e = check_missing(ctx, name, root, ret);
    } else if (!e) {
        check_unmounted(name, root, &d, ret);
    }
    if (e)
        add_failure(ret, e);
    return NULL;
}

void kind_dataset_plan(const struct ctx *ctx, const struct findings *f, struct plan *ret)
{
    const struct finding *x = findings_find(f, ID);

    if (!x || x->sev != SEV_FAIL || !x->repair)
        return;
    AUTO(freep) char *after = xasprintf("dataset %s", ctx->cfg->storage.kind_dataset);
    struct change *c = plan_undoable(
        plan_add(ret, CHANGE_CREATE, KIND_DATASET_VERB, ctx->cfg->storage.kind_root, NULL, after),
        x->old);
    c->arg = xstrdup(ctx->cfg->storage.kind_dataset);
}

struct err *kind_dataset_apply(struct ctx *ctx, const struct change *c)
{
    AUTO(strlist_clear) struct strlist names = {0};
    AUTO(mounts_clear) struct mounts m = {0};
    struct err *e = fsroot_list(ctx->root, c->object, &names);

    if (e && e->kind == ERR_NOTFOUND)
        e = err_free(e);
    TRY(e);
    if (names.n) /* ZFS on Linux mounts over it without a word */
        return err_new(ERR_REFUSED, "'%s' has content of its own ('%s') by now: move it away first",
                       c->object, names.items[0]);
    TRY(zfs_create_filesystem(ctx, c->arg, c->object));
    TRY(mounts_read(ctx, &m));
    const struct mount_info *at = mounts_at(&m, c->object);
    if (at && str_eq(at->source, c->arg))
        return NULL;
    return err_new(ERR_REMOTE, "dataset '%s' was made and is not mounted at '%s': zfs mount %s",
                   c->arg, c->object, c->arg);
}

/* Does everything in it lead to mount points alone? They are taken away before it, or hold it. */
static struct err *only_mounts(struct ctx *ctx, const struct mounts *m, const char *dir, int depth,
                               char **ret_other)
{
    AUTO(strlist_clear) struct strlist names = {0};
    struct err *e = fsroot_list(ctx->root, dir, &names);
    bool file = e && (e->sys == ENOTDIR || e->sys == ELOOP);

    if (file)
        e = err_free(e);
    TRY(e);
    if (file || depth == 0 || (names.n == 0 && depth < DEPTH_MAX)) {
        *ret_other = xstrdup(dir);
        return NULL;
    }
    for (size_t i = 0; i < names.n && !*ret_other; i++) {
        AUTO(freep) char *path = xasprintf("%s/%s", dir, names.items[i]);

        if (!mounts_at(m, path))
            TRY(only_mounts(ctx, m, path, depth - 1, ret_other));
    }
    return NULL;
}

static struct undo_look keep(const char *name, const char *why)
{
    return (struct undo_look){
        .verdict = UNDO_KEEP,
        .what = xasprintf("dataset '%s' stays: %s; 'zfs destroy -r %s' removes it with all that is "
                          "in it",
                          name, why, name)};
}

static struct err *look_inside(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    AUTO(strlist_clear) struct strlist below = {0};
    AUTO(mounts_clear) struct mounts m = {0};
    AUTO(freep) char *other = NULL, *why = NULL;

    TRY(zfs_below(ctx, c->arg, &below));
    TRY(mounts_read(ctx, &m));
    const struct mount_info *at = mounts_at(&m, c->object);
    if (below.n) {
        why = xasprintf("it has '%s'", below.items[0]);
    } else if (!at || !str_eq(at->source, c->arg)) {
        why = xasprintf("it is not mounted at '%s', and what is in it is not seen", c->object);
    } else {
        TRY(only_mounts(ctx, &m, c->object, DEPTH_MAX, &other));
        why = other ? xasprintf("it has content ('%s')", other) : NULL;
    }
    *ret = why ? keep(c->arg, why)
               : (struct undo_look){.verdict = UNDO_DO,
                                    .what = xasprintf("destroy the empty dataset '%s'", c->arg),
                                    .unmounts = UNDO_MOUNT};
    return NULL;
}

struct err *kind_dataset_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    bool gone = false;
    struct err *e = zfs_is_gone(ctx, c->arg, &gone);

    if (e && e->kind == ERR_NOTFOUND) {
        err_free(e);
        *ret = keep(c->arg, "its pool is not imported");
        return NULL;
    }
    TRY(e);
    return gone ? folders_look(ctx, c->old, ret) : look_inside(ctx, c, ret);
}

/* Whoever was busy in it may have left something there. */
static struct err *still_empty(struct ctx *ctx, void *arg)
{
    AUTO(strlist_clear) struct strlist names = {0};
    const struct change *c = arg;

    TRY(unmount_may(ctx, c->object, UNDO_MOUNT, NULL));
    TRY(fsroot_list(ctx->root, c->object, &names));
    if (names.n)
        return err_new(ERR_REFUSED, "dataset '%s' is not destroyed: '%s' has content ('%s')",
                       c->arg, c->object, names.items[0]);
    return NULL;
}

struct err *kind_dataset_undo(struct ctx *ctx, const struct change *c)
{
    AUTO(undo_look_clear) struct undo_look now = {0};
    struct change which = *c;

    TRY(kind_dataset_undo_look(ctx, c, &now));
    if (now.verdict == UNDO_DO && now.unmounts) /* unmounts it, when nobody holds it */
        TRY(zfs_destroy(ctx, c->arg, still_empty, &which));
    return folders_remove(ctx, c->old);
}
