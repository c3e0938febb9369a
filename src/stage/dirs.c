/* Layer 4: the folders that the validator writes exist, belong to it and to nobody else. Only the
 * folder itself is ever changed: a tree that belongs to somebody else is that somebody's to
 * explain, and a recursive chown of a ledger takes minutes and cannot be undone. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "config/config.h"
#include "host/mounts.h"
#include "io/fsroot.h"
#include "look/snapshot_rules.h"
#include "stage/folders.h"
#include "stage/table.h"

enum { VERB_MAKE = 1, VERB_CHOWN, VERB_CHMOD };
#define DIR_MODE 0755 /* others may look: monitoring reads the log */

struct dir {
    const char *id, *id_owner, *id_mode, *id_zfs;
    char *path; /* NULL: there is no such folder */
};
#define DIRS_N     6
#define DIR_IDS(x) .id = x, .id_owner = x ".owner", .id_mode = x ".mode", .id_zfs = x ".zfs"

/* Of archives, where validator.args keep them apart: as the host sees them, which of a container is
 * not known. */
static char *apart(const struct ctx *ctx, const char *path)
{
    bool here = path && *path == '/' && !str_eq(ctx->cfg->validator.runtime, "kubernetes") &&
                !str_eq(path, ctx->cfg->validator.snapshots);

    return here ? xstrdup(path) : NULL;
}

static void dirs_of(const struct ctx *ctx, struct dir ret[static DIRS_N])
{
    const struct snapdirs snapshots = snapshot_dirs(ctx->cfg);
    const char *log = ctx->cfg->validator.log;
    const char *slash = strrchr(log, '/');

    ret[0] = (struct dir){DIR_IDS("dirs.ledger"), .path = xstrdup(ctx->cfg->validator.ledger)};
    ret[1] =
        (struct dir){DIR_IDS("dirs.snapshots"), .path = xstrdup(ctx->cfg->validator.snapshots)};
    ret[2] = (struct dir){DIR_IDS("dirs.accounts"), .path = xstrdup(ctx->cfg->validator.accounts)};
    ret[3] =
        (struct dir){DIR_IDS("dirs.log"),
                     .path = slash > log ? xstrndup(log, (size_t)(slash - log)) : xstrdup("/")};
    ret[4] = (struct dir){DIR_IDS("dirs.full"), .path = apart(ctx, snapshots.full)};
    ret[5] = (struct dir){DIR_IDS("dirs.incremental"), .path = apart(ctx, snapshots.incremental)};
}

struct dirs {
    struct dir items[DIRS_N];
};
static void dirs_clear(struct dirs *d)
{
    for (size_t i = 0; i < DIRS_N; i++)
        free(d->items[i].path);
}

static bool dirs_enabled(const struct ctx *ctx)
{
    return ctx->cfg && *ctx->cfg->validator.ledger;
}

/* A captured host's owners are in its host.json: of what is listed there, if anything is. */
static struct err *foreign_captured(struct ctx *ctx, const char *dir, uint64_t uid, char **ret)
{
    AUTO(strlist_clear) struct strlist names = {0};
    struct err *e = fsroot_list(ctx->root, dir, &names);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    for (size_t i = 0; i < names.n && !*ret; i++) {
        AUTO(freep) char *path = xasprintf("%s/%s", dir, names.items[i]);
        struct stat st;

        TRY(fsroot_stat(ctx->root, path, &st));
        if (st.st_uid != uid)
            *ret = xstrdup(names.items[i]);
    }
    return NULL;
}

/* Something in the folder that belongs to another user: its name, or NULL. To be freed. */
static struct err *foreign_entry(struct ctx *ctx, const char *dir, uint64_t uid, char **ret)
{
    AUTO(strlist_clear) struct strlist list = {0};
    const struct strlist *names = &list;
    AUTO(closep) int dir_fd = -1;

    *ret = NULL;
    if (fsroot_captured(ctx->root))
        return foreign_captured(ctx, dir, uid, ret);
    TRY(fsroot_openat(ctx->root, dir, O_RDONLY | O_DIRECTORY, 0, &dir_fd));
    TRY(fsroot_list(ctx->root, dir, &list));
    for (size_t i = 0; i < names->n && !*ret; i++) {
        struct stat st;

        if (fstatat(dir_fd, names->items[i], &st, AT_SYMLINK_NOFOLLOW) < 0) {
            if (errno == ENOENT)
                continue;
            return err_sys(errno, "cannot look at '%s'", names->items[i]);
        }
        if (st.st_uid != uid)
            *ret = xstrdup(names->items[i]);
    }
    return NULL;
}

static struct err *check_owner(struct ctx *ctx, const struct dir *d, const struct stat *st,
                               struct findings *ret)
{
    uint64_t uid = ctx->cfg->validator.uid, gid = ctx->cfg->validator.gid;
    AUTO(freep) char *foreign = NULL;
    struct finding *f;

    if (st->st_uid == uid) {
        f = findings_add(ret, d->id_owner, 4, st->st_gid == gid ? SEV_OK : SEV_NOTE,
                         "'%s' belongs to %u:%u", d->path, st->st_uid, st->st_gid);
    } else {
        TRY(foreign_entry(ctx, d->path, uid, &foreign));
        f = findings_add(ret, d->id_owner, 4, SEV_FAIL, "'%s' belongs to %u:%u%s%s%s", d->path,
                         st->st_uid, st->st_gid, foreign ? " and so does what is in it ('" : "",
                         foreign ? foreign : "",
                         foreign ? "'): find out why, then chown -R it yourself" : "");
        f->repair = foreign ? NULL : "dirs";
    }
    f->want = xasprintf("%llu:%llu", (unsigned long long)uid, (unsigned long long)gid);
    f->got = xasprintf("%u:%u", st->st_uid, st->st_gid);
    f->source = xstrdup(d->path);
    return NULL;
}

static void check_mode(const struct dir *d, const struct stat *st, struct findings *ret)
{
    unsigned mode = st->st_mode & 07777, want = (mode | 0700) & ~0022U;
    struct finding *f =
        findings_add(ret, d->id_mode, 4, mode == want ? SEV_OK : SEV_FAIL, "'%s' has mode %04o%s",
                     d->path, mode, mode == want ? "" : ": its owner alone must be able to write");

    f->want = xasprintf("%04o", want);
    f->got = xasprintf("%04o", mode);
    f->source = xstrdup(d->path);
    f->repair = mode == want ? NULL : "dirs";
}

/* A link may lead away from the volume; the table of mounts knows real paths only. */
static struct err *check_zfs(struct ctx *ctx, const struct dir *d, const struct mounts *m,
                             struct findings *ret)
{
    AUTO(freep) char *real = NULL;

    TRY(fsroot_real(ctx->root, d->path, &real));
    const struct mount_info *on = mounts_over(m, real);
    if (on && str_eq(on->fstype, "zfs"))
        findings_add(ret, d->id_zfs, 4, SEV_FAIL,
                     "'%s' lies on ZFS, on which io_uring can hang the machine: move it to the "
                     "volume",
                     d->path);
    return NULL;
}

static struct err *check_dir(struct ctx *ctx, const struct dir *d, const struct mounts *m,
                             struct findings *ret)
{
    struct stat st;

    TRY(check_zfs(ctx, d, m, ret));
    struct err *e = fsroot_stat(ctx->root, d->path, &st);
    if (e && e->kind == ERR_NOTFOUND && e->sys == ENOENT) {
        err_free(e);
        struct finding *f =
            findings_add(ret, d->id, 4, SEV_FAIL, "folder '%s' does not exist", d->path);
        f->repair = "dirs";
        return folders_missing(ctx, d->path, &f->old);
    }
    TRY(e);
    if (!S_ISDIR(st.st_mode))
        return err_new(ERR_BADINPUT, "'%s' is not a folder", d->path);
    findings_add(ret, d->id, 4, SEV_OK, "folder '%s' exists", d->path);
    check_mode(d, &st, ret);
    return check_owner(ctx, d, &st, ret);
}

static struct err *dirs_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    AUTO(dirs_clear) struct dirs dirs = {0};
    const struct mounts *m = NULL;

    TRY(scene_mounts(ctx, scene, &m));
    dirs_of(ctx, dirs.items);
    for (size_t i = 0; i < DIRS_N; i++) {
        struct err *e = dirs.items[i].path ? check_dir(ctx, &dirs.items[i], m, ret) : NULL;

        if (e) /* one folder that cannot be looked at does not hide the others */
            findings_add(ret, dirs.items[i].id, 4, SEV_UNKNOWN, "%s", e->text);
        err_free(e);
    }
    return NULL;
}

static bool ours(const struct findings *f, const char *id)
{
    const struct finding *x = findings_find(f, id);

    return x && x->sev == SEV_FAIL && str_eq(x->repair, "dirs");
}

static void plan_dir(const struct ctx *ctx, const struct dir *d, const struct findings *f,
                     struct plan *ret)
{
    const struct finding *mode = findings_find(f, d->id_mode);
    const struct finding *owner = findings_find(f, d->id_owner);

    if (ours(f, d->id)) {
        AUTO(freep)
        char *after = xasprintf("folder of %llu:%llu", (unsigned long long)ctx->cfg->validator.uid,
                                (unsigned long long)ctx->cfg->validator.gid);
        plan_undoable(plan_add(ret, CHANGE_CREATE, VERB_MAKE, d->path, NULL, after),
                      findings_find(f, d->id)->old);
    }
    if (ours(f, d->id_owner))
        plan_undoable(plan_add(ret, CHANGE_UPDATE, VERB_CHOWN, d->path, owner->got, owner->want),
                      owner->got);
    if (ours(f, d->id_mode))
        plan_undoable(plan_add(ret, CHANGE_UPDATE, VERB_CHMOD, d->path, mode->got, mode->want),
                      mode->got);
}

static struct err *dirs_plan(const struct ctx *ctx, const struct findings *f, struct plan *ret)
{
    AUTO(dirs_clear) struct dirs dirs;

    dirs_of(ctx, dirs.items);
    for (size_t i = 0; i < DIRS_N; i++) {
        bool twice = false; /* snapshots may live in the ledger's folder */

        for (size_t k = 0; k < i; k++)
            twice = twice || str_eq(dirs.items[k].path, dirs.items[i].path);
        if (dirs.items[i].path && !twice)
            plan_dir(ctx, &dirs.items[i], f, ret);
    }
    return NULL;
}

/* The last component must be the folder itself: root does not change what a link points to. */
static struct err *open_itself(struct ctx *ctx, const char *path, int *ret_fd)
{
    AUTO(closep) int fd = -1;
    struct stat st;

    TRY(fsroot_openat(ctx->root, path, O_PATH | O_NOFOLLOW, 0, &fd));
    if (fstat(fd, &st) < 0)
        return err_sys(errno, "cannot look at '%s'", path);
    if (S_ISLNK(st.st_mode))
        return err_new(ERR_REFUSED,
                       "will not change '%s': it is a symbolic link; name the folder itself in the "
                       "config",
                       path);
    return fsroot_openat(ctx->root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, ret_fd);
}

static struct err *dirs_apply(struct ctx *ctx, const struct change *c)
{
    AUTO(closep) int fd = -1;
    struct stat st;

    if (c->verb == VERB_MAKE)
        TRY(fsroot_mkdirs(ctx->root, c->object, DIR_MODE));
    TRY(open_itself(ctx, c->object, &fd));
    if (c->verb == VERB_CHMOD) {
        if (fstat(fd, &st) < 0 || fchmod(fd, ((st.st_mode & 07777) | 0700) & ~0022U) < 0)
            return err_sys(errno, "cannot change the mode of '%s'", c->object);
        return NULL;
    }
    if (fchown(fd, (uid_t)ctx->cfg->validator.uid, (gid_t)ctx->cfg->validator.gid) < 0)
        return err_sys(errno, "cannot give '%s' to its user", c->object);
    return NULL;
}

/* "1000:1000" or "0755", as in the change's texts. To be freed. */
static char *state_now(const struct change *c, const struct stat *st)
{
    return c->verb == VERB_CHOWN ? xasprintf("%u:%u", st->st_uid, st->st_gid)
                                 : xasprintf("%04o", st->st_mode & 07777);
}

static struct err *dirs_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    struct stat st;

    if (c->verb == VERB_MAKE)
        return folders_look(ctx, c->old, ret);
    *ret = (struct undo_look){.verdict = UNDO_GONE};
    struct err *e = fsroot_stat(ctx->root, c->object, &st);
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    AUTO(freep) char *now = state_now(c, &st);
    const char *what = c->verb == VERB_CHOWN ? "owner" : "mode";
    if (str_eq(now, c->old))
        return NULL;
    if (str_eq(now, c->after))
        *ret = (struct undo_look){
            .verdict = UNDO_DO,
            .what = xasprintf("give '%s' its %s %s again", c->object, what, c->old)};
    else
        *ret = (struct undo_look){
            .verdict = UNDO_KEEP,
            .what = xasprintf("the %s of '%s' is %s by now", what, c->object, now)};
    return NULL;
}

static struct err *dirs_undo(struct ctx *ctx, const struct change *c)
{
    AUTO(closep) int fd = -1;
    unsigned uid, gid, mode;

    if (c->verb == VERB_MAKE)
        return folders_remove(ctx, c->old);
    TRY(open_itself(ctx, c->object, &fd));
    if (c->verb == VERB_CHOWN) {
        if (!c->old || sscanf(c->old, "%u:%u", &uid, &gid) != 2)
            return err_new(ERR_CORRUPT, "'%s' is no owner of '%s'", c->old, c->object);
        return fchown(fd, uid, gid) < 0 ? err_sys(errno, "cannot give '%s' back", c->object) : NULL;
    }
    if (!c->old || sscanf(c->old, "%o", &mode) != 1)
        return err_new(ERR_CORRUPT, "'%s' is no mode of '%s'", c->old, c->object);
    return fchmod(fd, mode & 07777) < 0
               ? err_sys(errno, "cannot change the mode of '%s'", c->object)
               : NULL;
}

static const char *const dirs_after[] = {"volume", "ramdisk", NULL};

const struct stage stage_dirs = {
    .name = "dirs",
    .summary = "folders of the ledger, snapshots, accounts and log",
    .layer = 4,
    .gate = true,
    .after = dirs_after,
    .order_reason = "made before the mounts they would lie hidden below them, on the wrong disk",
    .enabled = dirs_enabled,
    .check = dirs_check,
    .plan = dirs_plan,
    .apply = dirs_apply,
    .undo_look = dirs_undo_look,
    .undo = dirs_undo,
};
