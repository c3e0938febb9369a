/* Mounts: the table as the kernel shows it, and single changes of it. Reading and mounting go
 * through libmount; binds and propagation through the mount API of Linux 5.12, because only there a
 * tree can be given its propagation before it is attached. Persistence (fstab) is not done here. */
#include "host/mounts.h"

#include <libmount/libmount.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

#include "base/str.h"
#include "io/fsroot.h"

#define MOUNTINFO_MAX_B (16U << 20)

void mounts_clear(struct mounts *m)
{
    for (size_t i = 0; i < m->n; i++) {
        struct mount_info *x = &m->items[i];

        free(x->root);
        free(x->target);
        free(x->options);
        free(x->fs_options);
        free(x->fstype);
        free(x->source);
    }
    free(m->items);
    *m = (struct mounts){0};
}

static char *text_or(const char *s, const char *other)
{
    return xstrdup(s && *s ? s : other);
}

/* "shared:7 master:2 propagate_from:1", "unbindable" */
static struct err *parse_fields(const char *fields, struct mount_info *ret)
{
    AUTO(freep) char *copy = xstrdup(fields ? fields : "");
    char *save = NULL;

    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        uint32_t *slot = str_starts(w, "shared:")   ? &ret->shared
                         : str_starts(w, "master:") ? &ret->master
                                                    : NULL;
        uint64_t v = 0;

        if (str_eq(w, "unbindable"))
            ret->unbindable = true;
        if (!slot)
            continue; /* the kernel may add fields */
        TRY_CTX(parse_u64(strchr(w, ':') + 1, 1, UINT32_MAX, &v), "mount field '%s'", w);
        *slot = (uint32_t)v;
    }
    return NULL;
}

static struct err *add_fs(struct mounts *m, struct libmnt_fs *fs)
{
    const char *root = mnt_fs_get_root(fs), *target = mnt_fs_get_target(fs);
    dev_t dev = mnt_fs_get_devno(fs);

    /* libmount also accepts lines of fstab's form: they have neither. */
    if (!root || !target || target[0] != '/' || mnt_fs_get_id(fs) <= 0 || !mnt_fs_get_fstype(fs))
        return err_new(ERR_CORRUPT, "the table of mounts has a line that is not mountinfo");
    m->items = xgrow(m->items, &m->cap, m->n + 1, sizeof(*m->items));
    struct mount_info *x = &m->items[m->n++];
    *x = (struct mount_info){
        .id = mnt_fs_get_id(fs),
        .parent_id = mnt_fs_get_parent_id(fs),
        .major = major(dev),
        .minor = minor(dev),
        .root = xstrdup(root),
        .target = xstrdup(target),
        .options = text_or(mnt_fs_get_vfs_options(fs), ""),
        .fs_options = text_or(mnt_fs_get_fs_options(fs), ""),
        .fstype = xstrdup(mnt_fs_get_fstype(fs)),
        .source = text_or(mnt_fs_get_source(fs), "none"),
    };
    return parse_fields(mnt_fs_get_optional_fields(fs), x);
}

/* Without a callback libmount skips a line that it cannot read, and we would call its device free.
 */
static int bad_line(struct libmnt_table *tb, const char *filename, int line)
{
    (void)tb;
    (void)filename;
    (void)line;
    return -EINVAL;
}

static void table_unref(struct libmnt_table **t)
{
    mnt_unref_table(*t);
}

static void iter_free(struct libmnt_iter **i)
{
    mnt_free_iter(*i);
}

struct err *mounts_parse(const char *text, size_t n, struct mounts *ret)
{
    AUTO(mounts_clear) struct mounts m = {0};
    AUTO(table_unref) struct libmnt_table *tb = mnt_new_table();
    AUTO(iter_free) struct libmnt_iter *it = mnt_new_iter(MNT_ITER_FORWARD);
    AUTO(fclosep) FILE *f = n ? fmemopen((void *)(uintptr_t)text, n, "re") : NULL;
    struct libmnt_fs *fs = NULL;
    int rc;

    if (n && memchr(text, '\0', n))
        return err_new(ERR_CORRUPT, "the table of mounts has a zero byte");
    if (!tb || !it || (n && !f))
        return err_sys(ENOMEM, "cannot read the table of mounts");
    mnt_table_set_parser_errcb(tb, bad_line);
    rc = f ? mnt_table_parse_stream(tb, f, "mountinfo") : 0;
    if (rc)
        return err_new(ERR_CORRUPT, "the table of mounts has a line that is not mountinfo");
    while ((rc = mnt_table_next_fs(tb, it, &fs)) == 0)
        TRY(add_fs(&m, fs));
    *ret = m;
    m = (struct mounts){0};
    return NULL;
}

static struct err *read_table(struct ctx *ctx, const char *path, struct mounts *ret)
{
    AUTO(freep) char *text = NULL;
    size_t n = 0;

    TRY(fsroot_read(ctx->root, path, MOUNTINFO_MAX_B, &text, &n));
    return err_wrap(mounts_parse(text, n, ret), "%s", path);
}

struct err *mounts_read(struct ctx *ctx, struct mounts *ret)
{
    return read_table(ctx, "/proc/self/mountinfo", ret);
}

struct err *mounts_read_of(struct ctx *ctx, pid_t pid, struct mounts *ret)
{
    AUTO(freep) char *path = xasprintf("/proc/%d/mountinfo", (int)pid);
    struct err *e = read_table(ctx, path, ret);

    if (e && e->kind == ERR_SYS && e->sys == EINVAL) { /* what a zombie's table says */
        err_free(e);
        return err_new(ERR_NOTFOUND, "process %d is gone", (int)pid);
    }
    return e;
}

/* Is path at or below base, by whole components? */
static bool below(const char *path, const char *base)
{
    size_t n = strlen(base);

    if (n == 1)
        return path[0] == '/';
    return strncmp(path, base, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static bool has_id(const struct mounts *m, int id)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->items[i].id == id)
            return true;
    return false;
}

/* The next mount that a walk to path meets when it stands on cur (NULL: nowhere yet): of the mounts
 * on cur the one with the shortest mount point. */
static const struct mount_info *next_on_path(const struct mounts *m, const struct mount_info *cur,
                                             const char *path)
{
    const struct mount_info *best = NULL;

    for (size_t i = 0; i < m->n; i++) {
        const struct mount_info *x = &m->items[i];
        bool child = cur ? x->parent_id == cur->id && x != cur
                         : x->parent_id == x->id || !has_id(m, x->parent_id);

        if (child && below(path, x->target) && (!best || strlen(x->target) < strlen(best->target)))
            best = x;
    }
    return best;
}

const struct mount_info *mounts_over(const struct mounts *m, const char *path)
{
    const struct mount_info *cur = NULL;

    for (size_t hops = 0; hops <= m->n; hops++) {
        const struct mount_info *next = next_on_path(m, cur, path);

        if (!next)
            break;
        cur = next;
    }
    return cur;
}

const struct mount_info *mounts_at(const struct mounts *m, const char *path)
{
    const struct mount_info *x = mounts_over(m, path);

    return x && str_eq(x->target, path) ? x : NULL;
}

char *mount_inner_path(const struct mount_info *m, const char *path)
{
    size_t n = strlen(m->target);
    const char *rest = n == 1 ? path : path + n;
    const char *root = str_eq(m->root, "/") ? "" : m->root;

    if (str_eq(rest, "/"))
        rest = "";
    return *root || *rest ? xasprintf("%s%s", root, rest) : xstrdup("/");
}

static bool has_option(const char *options, const char *want)
{
    size_t n = strlen(want);

    for (const char *at = options; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, want, n) == 0 && (at[n] == '\0' || at[n] == ','))
            return true;
    return false;
}

bool mount_is_read_only(const struct mount_info *m)
{
    return has_option(m->options, "ro") || has_option(m->fs_options, "ro");
}

const char *mount_propagation(const struct mount_info *m)
{
    if (m->shared)
        return m->master ? "shared and slave" : "shared";
    if (m->master)
        return "slave";
    return m->unbindable ? "unbindable" : "private";
}

static void context_free(struct libmnt_context **c)
{
    mnt_free_context(*c);
}

static struct err *mount_context(struct libmnt_context *c, const char *source, const char *target,
                                 const char *fstype, const char *options)
{
    int rc = mnt_context_set_source(c, source);

    rc = rc ? rc : mnt_context_set_target(c, target);
    rc = rc ? rc : mnt_context_set_fstype(c, fstype);
    rc = rc || !options ? rc : mnt_context_set_options(c, options);
    rc = rc ? rc : mnt_context_set_optsmode(c, MNT_OMODE_NOTAB);
    rc = rc ? rc : mnt_context_disable_helpers(c, true);
    rc = rc ? rc : mnt_context_disable_mtab(c, true);
    /* A device that turns out to be read-only is an error, not a read-only mount. */
    rc = rc ? rc : mnt_context_enable_rwonly_mount(c, true);
    return rc ? err_sys(-rc, "cannot prepare the mount of '%s'", source) : NULL;
}

struct err *mounts_mount(const char *source, const char *target, const char *fstype,
                         const char *options)
{
    AUTO(context_free) struct libmnt_context *c = mnt_new_context();
    int rc;

    if (!c)
        return err_sys(ENOMEM, "cannot prepare the mount of '%s'", source);
    TRY(mount_context(c, source, target, fstype, options));
    rc = mnt_context_mount(c);
    if (rc == 0 && mnt_context_get_status(c) == 1)
        return NULL;
    if (mnt_context_syscall_called(c))
        rc = -mnt_context_get_syscall_errno(c);
    return err_sys(rc < 0 ? -rc : EIO, "cannot mount '%s' (%s) at '%s'", source, fstype, target);
}

static struct err *propagate_tree(int tree, unsigned flags, uint64_t type, const char *source)
{
    struct mount_attr attr = {.propagation = type};

    if (mount_setattr(tree, "", AT_EMPTY_PATH | flags, &attr, sizeof(attr)) < 0)
        return err_sys(errno, "cannot set the propagation of a bind of '%s'", source);
    return NULL;
}

static struct err *attach_tree(int tree, const char *source, const char *target)
{
    if (move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_sys(errno, "cannot bind '%s' at '%s'", source, target);
    return NULL;
}

struct err *mounts_rbind(const char *source, const char *target)
{

    AUTO(closep)
    int tree = open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

    if (tree < 0)
        return err_sys(errno, "cannot take the mounts of '%s'", source);
    TRY(propagate_tree(tree, AT_RECURSIVE, MS_SLAVE, source));
    TRY(propagate_tree(tree, AT_RECURSIVE, MS_SHARED, source));
    return attach_tree(tree, source, target);
}

struct err *mounts_bind(const char *source, const char *target)
{
    AUTO(closep) int tree = open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (tree < 0)
        return err_sys(errno, "cannot take the mount of '%s'", source);
    TRY(propagate_tree(tree, 0, MS_PRIVATE, source));
    return attach_tree(tree, source, target);
}

struct err *mounts_set_propagation(const char *target, unsigned long type, bool recursive)
{
    if (mount(NULL, target, NULL, type | (recursive ? MS_REC : 0), NULL) < 0)
        return err_sys(errno, "cannot change the propagation of the mount at '%s'", target);
    return NULL;
}

struct err *mounts_make_shared(const char *target, bool recursive)
{
    return mounts_set_propagation(target, MS_SHARED, recursive);
}

struct err *mounts_make_private(const char *target, bool recursive)
{
    return mounts_set_propagation(target, MS_PRIVATE, recursive);
}

struct err *mounts_umount(const char *target)
{
    int e;

    if (umount2(target, UMOUNT_NOFOLLOW) == 0)
        return NULL;
    e = errno;
    if (e == EBUSY)
        return err_new(ERR_REFUSED, "cannot unmount '%s': it is in use", target);
    if (e == EINVAL || e == ENOENT)
        return err_new(ERR_NOTFOUND, "cannot unmount '%s': nothing is mounted there", target);
    return err_sys(e, "cannot unmount '%s'", target);
}
