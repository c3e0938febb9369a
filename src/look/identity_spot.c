/* What a process has at a path, looked at from outside: below an O_PATH descriptor of its root
 * (openat2(2), RESOLVE_IN_ROOT), so that a link in a container leads where it leads for the
 * container and never to a file of the host. Which mount it is on, the kernel says (statx(2),
 * STATX_MNT_ID, Linux 5.8): a search by name would be fooled by links. Nothing is compared with an
 * expectation here. */
#include "look/identity_spot.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/str.h"
#include "host/procfs.h"
#include "io/captured.h"
#include "io/fsroot.h"

#define MOUNTINFO_MAX_B (16U << 20)
#define RACES_MAX       16

void spot_space_clear(struct spot_space *s)
{
    if (s->ctx && s->root_fd >= 0)
        close(s->root_fd);
    free(s->prefix);
    mounts_clear(&s->mounts);
    *s = (struct spot_space){.root_fd = -1};
}

void spot_clear(struct spot *s)
{
    free(s->inner);
    *s = (struct spot){0};
}

static struct err *open_host(struct spot_space *s)
{
    AUTO(freep) char *dir = fsroot_path(s->ctx->root, "/");

    s->prefix = xstrdup("");
    TRY(mounts_read(s->ctx, &s->mounts));
    if (fsroot_captured(s->ctx->root))
        return NULL;
    s->root_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return s->root_fd < 0 ? err_sys(errno, "cannot open '%s'", dir) : NULL;
}

static struct err *read_table(int proc_fd, struct mounts *ret)
{
    AUTO(freep) char *text = NULL;
    size_t n = 0;

    TRY(procfs_read(proc_fd, "mountinfo", MOUNTINFO_MAX_B, &text, &n));
    return mounts_parse(text, n, ret);
}

static struct err *open_process(struct spot_space *s, pid_t pid)
{
    AUTO(closep) int proc = -1;

    s->prefix = xasprintf("/proc/%d/root", (int)pid);
    if (fsroot_captured(s->ctx->root)) /* its files may be links to one another */
        return mounts_read_of(s->ctx, pid, &s->mounts);
    TRY(procfs_mounted(s->ctx));
    TRY(procfs_open_live(s->ctx, pid, &proc));
    TRY(read_table(proc, &s->mounts));
    s->root_fd = openat(proc, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (s->root_fd >= 0)
        return NULL;
    if (errno == ENOENT || errno == ESRCH)
        return err_new(ERR_NOTFOUND, "process %d is gone", (int)pid);
    return err_sys(errno, "cannot look into the root of process %d%s", (int)pid,
                   geteuid() ? "; run as root" : "");
}

struct err *spot_space_open(struct ctx *ctx, pid_t pid, struct spot_space *ret)
{
    AUTO(spot_space_clear) struct spot_space s = {.ctx = ctx, .root_fd = -1};

    TRY(pid ? open_process(&s, pid) : open_host(&s));
    *ret = s;
    s = (struct spot_space){.root_fd = -1};
    return NULL;
}

/* A race with a rename or a mount, which the kernel cannot rule out, is EAGAIN. */
static struct err *open_below(const struct spot_space *s, const char *path, unsigned flags,
                              int *ret_fd)
{
    struct open_how how = {.flags = flags | O_CLOEXEC,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    int fd = -1;

    for (unsigned i = 0; i < RACES_MAX && fd < 0; i++) {
        fd = (int)syscall(SYS_openat2, s->root_fd, path, &how, sizeof(how));
        if (fd < 0 && errno != EAGAIN)
            break;
    }
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ESRCH))
        return err_new(ERR_NOTFOUND, "there is no '%s'", path);
    if (fd < 0)
        return err_sys(errno, "cannot look at '%s'", path);
    *ret_fd = fd;
    return NULL;
}

static const struct mount_info *by_id(const struct mounts *m, uint64_t id)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->items[i].id >= 0 && (uint64_t)m->items[i].id == id)
            return &m->items[i];
    return NULL;
}

static bool is_below(const char *path, const char *base)
{
    size_t n = strlen(base);

    return str_eq(base, "/") || (strncmp(path, base, n) == 0 && (path[n] == '/' || !path[n]));
}

/* Where a descriptor leads, as its own namespace names it. */
static char *real_path(int fd, const char *path)
{
    AUTO(freep) char *name = xasprintf("/proc/self/fd/%d", fd);
    char buf[4096];
    ssize_t n = readlink(name, buf, sizeof(buf));

    return n > 0 && (size_t)n < sizeof(buf) ? xstrndup(buf, (size_t)n) : xstrdup(path);
}

static void place_on(const struct mount_info *on, const char *path, struct spot *s)
{
    s->on = on;
    s->inner = on && is_below(path, on->target) ? mount_inner_path(on, path) : NULL;
}

static struct err *look_live(const struct spot_space *space, const char *path, struct spot *ret)
{
    AUTO(closep) int fd = -1;
    struct statx x;

    TRY(open_below(space, path, O_PATH, &fd));
    if (statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
              STATX_INO | STATX_MNT_ID, &x) < 0)
        return err_sys(errno, "cannot look at '%s'", path);
    *ret = (struct spot){
        .has_ids = true, .dev = makedev(x.stx_dev_major, x.stx_dev_minor), .ino = x.stx_ino};
    AUTO(freep) char *real = real_path(fd, path);
    const bool says = x.stx_mask & STATX_MNT_ID;
    place_on(says ? by_id(&space->mounts, x.stx_mnt_id) : mounts_over(&space->mounts, real), real,
             ret);
    return NULL;
}

/* The folders of another machine have other numbers here: only what host.json says counts. */
static struct err *look_captured(const struct spot_space *space, const char *path, struct spot *ret)
{
    AUTO(freep) char *named = xasprintf("%s%s", space->prefix, path);
    struct stat st = {0};
    bool listed = false;
    struct spot s = {0};

    TRY(captured_stat(fsroot_captured(space->ctx->root), named, &st, &listed));
    s.has_ids = listed && st.st_ino && st.st_dev;
    s.dev = st.st_dev;
    s.ino = st.st_ino;
    place_on(mounts_over(&space->mounts, path), path, &s);
    *ret = s;
    return NULL;
}

struct err *spot_look(const struct spot_space *s, const char *path, struct spot *ret)
{
    return s->root_fd >= 0 ? look_live(s, path, ret) : look_captured(s, path, ret);
}

static bool same_by_table(const struct mount_info *a, const char *a_inner,
                          const struct mount_info *b, const char *b_inner)
{
    if (a->major != b->major || a->minor != b->minor)
        return false;
    return !a_inner || !b_inner || str_eq(a_inner, b_inner);
}

bool spot_same(const struct spot *a, const struct spot *b)
{
    if (a->has_ids && b->has_ids && (a->dev != b->dev || a->ino != b->ino))
        return false;
    if (a->on && b->on)
        return same_by_table(a->on, a->inner, b->on, b->inner);
    return a->has_ids && b->has_ids; /* with neither there is nothing that says so */
}

char *spot_text(const struct spot *s)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    if (s->on)
        strbuf_printf(&b, "%s %u:%u", s->on->fstype, s->on->major, s->on->minor);
    else
        strbuf_printf(&b, "device %u:%u", major(s->dev), minor(s->dev));
    if (s->inner)
        strbuf_printf(&b, " '%s'", s->inner);
    if (s->has_ids)
        strbuf_printf(&b, ", inode %llu", (unsigned long long)s->ino);
    return strbuf_take(&b);
}

const struct mount_info *spot_hidden_by(const struct spot_space *host, const char *path,
                                        const struct spot *b)
{
    const struct mount_info *top = mounts_over(&host->mounts, path);

    for (size_t hops = 0; top && b->on && b->inner && hops <= host->mounts.n; hops++) {
        const struct mount_info *under = by_id(&host->mounts, (uint64_t)top->parent_id);

        if (!under || under == top || !is_below(path, under->target))
            return NULL;
        AUTO(freep) char *inner = mount_inner_path(under, path);
        if (same_by_table(under, inner, b->on, b->inner))
            return top;
        top = under;
    }
    return NULL;
}

struct err *spot_read(const struct spot_space *s, const char *path, size_t max_b, char **ret,
                      size_t *ret_n)
{
    AUTO(closep) int fd = -1;
    struct stat st;

    if (s->root_fd < 0) {
        AUTO(freep) char *named = xasprintf("%s%s", s->prefix, path);

        return fsroot_read(s->ctx->root, named, max_b, ret, ret_n);
    }
    TRY(open_below(s, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, &fd));
    if (fstat(fd, &st) < 0)
        return err_sys(errno, "cannot look at '%s'", path);
    if (!S_ISREG(st.st_mode))
        return err_new(ERR_BADINPUT, "'%s' is no plain file", path);
    return fsroot_read_fd(fd, path, max_b, ret, ret_n);
}
