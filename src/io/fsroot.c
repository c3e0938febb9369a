/* Files below a root directory, so that a captured or made-up host can stand in for "/". The kernel
 * keeps the paths inside (openat2 with RESOLVE_IN_ROOT, see openat2(2)); on a kernel or in a
 * sandbox without it, links are followed here, which is good enough for tests but not against
 * somebody who swaps links meanwhile. For the root "/" there is nothing to leave and plain openat
 * does: it also opens the magic links of /proc (exe, ns/mnt), which RESOLVE_IN_ROOT refuses. */
#include "io/fsroot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/captured.h"

#define LINKS_MAX   40
#define LINE_MAX_B  65536
#define RACES_MAX   16
#define FACTS_MAX_B (64U << 20)

struct fsroot {
    int fd;
    bool whole; /* the root is "/" */
    char *dir;
    struct json *captured; /* host.json, or NULL */
};

/* ENOENT and its kin are one case for callers; ESRCH: a file of a process that has just ended. */
static struct err *fs_err(int sys, const char *what, const char *path)
{
    bool gone = sys == ENOENT || sys == ENOTDIR || sys == ESRCH;

    return err_new_(__FILE__, __LINE__, gone ? ERR_NOTFOUND : ERR_SYS, sys, 0, "cannot %s '%s'",
                    what, path);
}

struct err *fsroot_open(const char *dir, struct fsroot **ret)
{
    AUTO(closep) int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    size_t n = strlen(dir);

    if (fd < 0)
        return fs_err(errno, "open the root directory", dir);
    while (n > 1 && dir[n - 1] == '/')
        n--;
    *ret = xcalloc(1, sizeof(**ret));
    (*ret)->dir = xstrndup(dir, n);
    (*ret)->whole = str_eq((*ret)->dir, "/");
    (*ret)->fd = TAKE_FD(fd);
    return NULL;
}

struct err *fsroot_open_captured(const char *dir, struct fsroot **ret)
{
    AUTO(fsroot_closep) struct fsroot *r = NULL;
    AUTO(freep) char *text = NULL;
    size_t n;

    TRY(fsroot_open(dir, &r));
    r->whole = false; /* also for "/": what leaves the folder is not the captured host */
    struct err *e = fsroot_read(r, "/host.json", FACTS_MAX_B, &text, &n);
    if (e && e->kind == ERR_NOTFOUND) {
        err_free(e); /* it names the file as that host would */
        return err_new(ERR_NOTFOUND,
                       "'%s' holds no host.json: it is no captured host; tools/capture-host makes "
                       "one",
                       dir);
    }
    TRY(e);
    e = json_parse(text, n, &r->captured);
    if (!e && !json_is_object(r->captured))
        e = err_new(ERR_REMOTE, "not an object");
    if (e) {
        struct err *bad = err_new(ERR_BADINPUT, "'%s/host.json': %s", dir, e->text);
        err_free(e);
        return bad;
    }
    *ret = TAKE(r);
    return NULL;
}

const struct json *fsroot_captured(const struct fsroot *r)
{
    return r ? r->captured : NULL;
}

struct fsroot *fsroot_close(struct fsroot *r)
{
    if (r) {
        close(r->fd);
        free(r->dir);
        json_free(r->captured);
        free(r);
    }
    return NULL;
}

void fsroot_closep(struct fsroot **r)
{
    *r = fsroot_close(*r);
}

const char *fsroot_dir(const struct fsroot *r)
{
    return r->dir;
}

char *fsroot_path(const struct fsroot *r, const char *path)
{
    const char *slash = *path == '/' ? "" : "/";

    return xasprintf("%s%s%s", r->whole ? "" : r->dir, slash, path);
}

/* Takes the first component off *rest into name; false at the end. */
static bool next_part(const char **rest, struct strbuf *name)
{
    const char *p = *rest + strspn(*rest, "/");
    size_t n = strcspn(p, "/");

    strbuf_clear(name);
    strbuf_add(name, p, n);
    *rest = p + n;
    return n > 0;
}

static void drop_last(struct strbuf *path)
{
    char *slash = path->data ? strrchr(path->data, '/') : NULL;

    path->len = slash ? (size_t)(slash - path->data) : 0;
    if (path->data)
        path->data[path->len] = 0;
}

/* One link: its target takes the place of the component; an absolute one starts at the root. */
static void enter_link(char **pending, const char *rest, const char *target, struct strbuf *at)
{
    char *joined = xasprintf("%s/%s", target, rest);

    drop_last(at);
    if (*target == '/')
        strbuf_clear(at);
    free(*pending);
    *pending = joined;
}

/* The path without links and dots, relative to the root; "" is the root. 0 or -errno. */
static int resolve_by_hand(int root, const char *path, bool follow_last, struct strbuf *ret)
{
    AUTO(freep) char *pending = xstrdup(path);
    AUTO(strbuf_clear) struct strbuf name = {0};
    const char *rest = pending;
    char target[4096];
    int links = 0;

    while (next_part(&rest, &name)) {
        ssize_t n = -1;

        if (str_eq(name.data, "."))
            continue;
        if (str_eq(name.data, "..")) {
            drop_last(ret);
            continue;
        }
        strbuf_printf(ret, "%s%s", ret->len ? "/" : "", name.data);
        if (follow_last || rest[strspn(rest, "/")])
            n = readlinkat(root, ret->data, target, sizeof(target) - 1);
        if (n < 0)
            continue; /* no link, or absent: the open says which */
        if (++links > LINKS_MAX)
            return -ELOOP;
        target[n] = 0;
        enter_link(&pending, rest, target, ret);
        rest = pending;
    }
    return 0;
}

static int open_by_hand(int root, const char *path, int flags, mode_t mode)
{
    AUTO(strbuf_clear) struct strbuf real = {0};
    int rc = resolve_by_hand(root, path, !(flags & O_NOFOLLOW), &real), fd;

    if (rc < 0)
        return rc;
    fd = openat(root, real.len ? real.data : ".", flags | O_NOFOLLOW, mode);
    return fd < 0 ? -errno : fd;
}

/* A descriptor or -errno. */
static int open_below(const struct fsroot *r, const char *path, int flags, mode_t mode)
{
    struct open_how how = {.flags = (uint64_t)(unsigned int)(flags | O_CLOEXEC),
                           .mode = flags & O_CREAT ? mode : 0,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    int fd = -1, sys = EAGAIN;

    if (!*path)
        return -ENOENT;
    if (r->captured && flags & (O_WRONLY | O_RDWR | O_CREAT))
        return -EROFS;
    if (r->whole) {
        fd = openat(r->fd, path, flags | O_CLOEXEC, mode);
        return fd < 0 ? -errno : fd;
    }
    /* EAGAIN: something was renamed while ".." was walked */
    for (int i = 0; i < RACES_MAX && fd < 0 && (sys == EAGAIN || sys == EINTR); i++) {
        fd = (int)syscall(SYS_openat2, r->fd, path, &how, sizeof(how));
        sys = errno;
    }
    if (fd >= 0)
        return fd;
    /* a sandbox that does not know the call says EPERM */
    if (sys == ENOSYS || sys == EPERM)
        return open_by_hand(r->fd, path, flags | O_CLOEXEC, mode);
    return -sys;
}

/* The folder that holds path, and the last component (points into path, may have slashes behind).
 */
static struct err *open_parent(struct fsroot *r, const char *path, char **ret_name, int *ret_fd)
{
    size_t n = strlen(path), start;
    AUTO(freep) char *name = NULL;
    AUTO(freep) char *folder = NULL;
    int fd;

    if (r->captured)
        return err_new(ERR_REFUSED, "'%s': nothing is changed on a captured host", path);

    while (n > 0 && path[n - 1] == '/')
        n--;
    for (start = n; start > 0 && path[start - 1] != '/'; start--)
        ;
    name = xstrndup(path + start, n - start);
    if (!*name || str_eq(name, ".") || str_eq(name, ".."))
        return err_new(ERR_BADINPUT, "'%s' does not name a file", path);
    folder = start > 0 ? xstrndup(path, start) : xstrdup("/");
    fd = open_below(r, folder, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fs_err(-fd, "open the folder", folder);
    *ret_name = TAKE(name);
    *ret_fd = fd;
    return NULL;
}

struct err *fsroot_openat(struct fsroot *r, const char *path, int flags, mode_t mode, int *ret_fd)
{
    int fd = open_below(r, path, flags, mode);

    if (fd < 0)
        return fs_err(-fd, "open", path);
    *ret_fd = fd;
    return NULL;
}

struct err *fsroot_read_fd(int fd, const char *path, size_t max_b, char **ret, size_t *ret_n)
{
    AUTO(strbuf_clear) struct strbuf text = {0};
    char piece[16384];
    ssize_t n;

    while ((n = read(fd, piece, sizeof(piece))) != 0) {
        int sys = errno;

        if (n < 0 && sys == EINTR)
            continue;
        if (n < 0)
            return fs_err(sys, "read", path);
        if ((size_t)n > max_b - text.len)
            return err_new(ERR_BADINPUT, "'%s' is larger than %zu bytes", path, max_b);
        strbuf_add(&text, piece, (size_t)n);
    }
    if (ret_n)
        *ret_n = text.len;
    *ret = strbuf_take(&text);
    return NULL;
}

struct err *fsroot_read(struct fsroot *r, const char *path, size_t max_b, char **ret, size_t *ret_n)
{
    AUTO(closep) int fd = -1;

    /* O_NONBLOCK: a named pipe in the place of the file must not hang us */
    TRY(fsroot_openat(r, path, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0, &fd));
    return fsroot_read_fd(fd, path, max_b, ret, ret_n);
}

struct err *fsroot_read_tail(struct fsroot *r, const char *path, size_t max_b, char **ret,
                             size_t *ret_n)
{
    AUTO(closep) int fd = -1;
    char *text = xmalloc(max_b + 1);
    struct stat st;
    ssize_t n;

    struct err *e = fsroot_openat(r, path, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0, &fd);
    if (!e && fstat(fd, &st) < 0)
        e = fs_err(errno, "stat", path);
    if (e) {
        free(text);
        return e;
    }
    /* One read: a file that grows meanwhile gives a part of it, which is all that a tail promises.
     */
    n = pread(fd, text, max_b, st.st_size > (off_t)max_b ? st.st_size - (off_t)max_b : 0);
    if (n < 0) {
        e = fs_err(errno, "read", path);
        free(text);
        return e;
    }
    text[n] = 0;
    *ret = text;
    if (ret_n)
        *ret_n = (size_t)n;
    return NULL;
}

struct err *fsroot_read_line(struct fsroot *r, const char *path, char **ret)
{
    char *text;

    TRY(fsroot_read(r, path, LINE_MAX_B, &text, NULL));
    text[strcspn(text, "\n")] = 0;
    *ret = text;
    return NULL;
}

struct err *fsroot_read_u64(struct fsroot *r, const char *path, uint64_t *ret)
{
    AUTO(freep) char *text = NULL;
    const char *number;
    size_t n;

    TRY(fsroot_read_line(r, path, &text));
    number = text + strspn(text, " \t"); /* some files of /sys pad the figure */
    for (n = strlen(text); n > (size_t)(number - text) && strchr(" \t", text[n - 1]); n--)
        text[n - 1] = 0;
    TRY_CTX(parse_u64(number, 0, UINT64_MAX, ret), "'%s'", path);
    return NULL;
}

static struct err *write_all(int fd, const char *path, const void *data, size_t n)
{
    size_t done = 0;

    while (done < n) {
        ssize_t rc = write(fd, (const char *)data + done, n - done);
        int sys = errno;

        if (rc < 0 && sys != EINTR)
            return err_sys(sys, "cannot write '%s'", path);
        done += rc > 0 ? (size_t)rc : 0;
    }
    return NULL;
}

struct err *fsroot_write(struct fsroot *r, const char *path, const char *text)
{
    AUTO(closep) int fd = -1;
    size_t n = strlen(text);
    ssize_t rc;

    TRY(fsroot_openat(r, path, O_WRONLY | O_TRUNC | O_NOCTTY | O_NONBLOCK, 0, &fd));
    rc = write(fd, text, n); /* the kernel takes a setting in one piece only */
    if (rc < 0)
        return err_sys(errno, "cannot write '%s'", path);
    if ((size_t)rc != n)
        return err_sys(EIO, "cannot write '%s': %zd of %zu bytes went in", path, rc, n);
    if (close(TAKE_FD(fd)) < 0)
        return err_sys(errno, "cannot write '%s'", path);
    return NULL;
}

static struct err *fill(int fd, const char *path, const void *data, size_t n,
                        const struct stat *like)
{
    struct stat st;

    TRY(write_all(fd, path, data, n));
    if (fstat(fd, &st) < 0)
        return err_sys(errno, "cannot look at '%s'", path);
    if ((st.st_uid != like->st_uid || st.st_gid != like->st_gid) &&
        fchown(fd, like->st_uid, like->st_gid) < 0)
        return err_sys(errno, "cannot set the owner of '%s'", path);
    if (fchmod(fd, like->st_mode & 07777) < 0) /* open(2)'s mode is cut by the umask */
        return err_sys(errno, "cannot set the mode of '%s'", path);
    if (fsync(fd) < 0)
        return err_sys(errno, "cannot write '%s' to the disk", path);
    return NULL;
}

/* Moves the finished file to its name. EINVAL: a file system that has no fsync of folders. */
static struct err *put_in_place(int dir_fd, const char *tmp, const char *name, const char *path)
{
    if (renameat(dir_fd, tmp, dir_fd, name) < 0)
        return err_sys(errno, "cannot replace '%s'", path);
    if (fsync(dir_fd) < 0 && errno != EINVAL)
        return err_sys(errno, "cannot write the folder of '%s' to the disk", path);
    return NULL;
}

struct err *fsroot_replace(struct fsroot *r, const char *path, const void *data, size_t n,
                           const struct stat *like)
{
    AUTO(freep) char *name = NULL;
    AUTO(freep) char *tmp = NULL;
    AUTO(closep) int dir_fd = -1;
    AUTO(closep) int fd = -1;
    struct err *e;
    uint64_t salt;

    TRY(open_parent(r, path, &name, &dir_fd));
    if (getrandom(&salt, sizeof(salt), 0) != sizeof(salt))
        return err_sys(errno, "cannot get random bytes");
    /* a leading dot and a foreign ending: no drop-in folder reads a half-written file */
    tmp = xasprintf(".%s.tmp-%016llx", name, (unsigned long long)salt);
    fd = openat(dir_fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(errno, "cannot make a file beside '%s'", path);
    e = fill(fd, path, data, n, like);
    if (close(TAKE_FD(fd)) < 0 && !e)
        e = err_sys(errno, "cannot write '%s'", path);
    if (!e)
        e = put_in_place(dir_fd, tmp, name, path);
    if (e)
        unlinkat(dir_fd, tmp, 0); /* already moved when only the folder's fsync failed */
    return e;
}

struct err *fsroot_write_atomic(struct fsroot *r, const char *path, const void *data, size_t n,
                                mode_t mode)
{
    /* chown(2) leaves alone what is -1 */
    struct stat like = {.st_mode = mode, .st_uid = (uid_t)-1, .st_gid = (gid_t)-1};

    return fsroot_replace(r, path, data, n, &like);
}

/* On a captured host a link may lead to what host.json alone knows: to a device. */
static struct err *captured_real(const struct fsroot *r, const char *path, char **ret)
{
    AUTO(strbuf_clear) struct strbuf real = {0};
    int rc = resolve_by_hand(r->fd, path, true, &real);

    if (rc < 0)
        return fs_err(-rc, "look at", path);
    *ret = xasprintf("/%s", strbuf_text(&real));
    return NULL;
}

static struct err *captured_said(const struct fsroot *r, const char *path, struct stat *ret,
                                 bool *ret_said)
{
    AUTO(freep) char *real = NULL;

    TRY(captured_stat(r->captured, path, ret, ret_said));
    if (*ret_said)
        return NULL;
    TRY(captured_real(r, path, &real));
    return captured_stat(r->captured, real, ret, ret_said);
}

struct err *fsroot_stat(struct fsroot *r, const char *path, struct stat *ret)
{
    AUTO(closep) int fd = -1;
    struct stat st;
    bool said = false;

    if (r->captured)
        TRY(captured_said(r, path, ret, &said));
    if (said)
        return NULL;
    fd = open_below(r, path, O_PATH, 0);
    if (fd < 0)
        return fs_err(-fd, "look at", path);
    if (fstat(fd, &st) < 0)
        return err_sys(errno, "cannot look at '%s'", path);
    if (r->captured) { /* who owns the copy says nothing about that host */
        st.st_uid = st.st_gid = 0;
        st.st_dev = 0;
        st.st_mode = (st.st_mode & S_IFMT) | (S_ISDIR(st.st_mode) ? 0755 : 0644);
    }
    *ret = st;
    return NULL;
}

struct err *fsroot_statvfs(struct fsroot *r, const char *path, struct statvfs *ret)
{
    AUTO(closep) int fd = -1;
    struct statvfs v;

    if (r->captured)
        return captured_statvfs(r->captured, path, ret);
    fd = open_below(r, path, O_PATH, 0);
    if (fd < 0)
        return fs_err(-fd, "look at", path);
    if (fstatvfs(fd, &v) < 0)
        return err_sys(errno, "cannot ask how much is free at '%s'", path);
    *ret = v;
    return NULL;
}

struct err *fsroot_readlink(struct fsroot *r, const char *path, char **ret)
{
    AUTO(closep) int fd = open_below(r, path, O_PATH | O_NOFOLLOW, 0);
    char target[PATH_MAX];

    if (fd < 0)
        return fs_err(-fd, "read the link", path);
    ssize_t n = readlinkat(fd, "", target, sizeof(target));
    int sys = n < 0 ? errno : ENAMETOOLONG;
    /* with an empty path the kernel says ENOENT for what is no link (readlink(2)) */
    if (n < 0 || (size_t)n == sizeof(target))
        return err_sys(sys == ENOENT ? EINVAL : sys, "cannot read the link '%s'", path);
    *ret = xstrndup(target, (size_t)n);
    return NULL;
}

static struct err *fd_path(int fd, char **ret)
{
    char link[32], buf[PATH_MAX];

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, buf, sizeof(buf));
    if (n < 0 || (size_t)n == sizeof(buf))
        return err_sys(n < 0 ? errno : ENAMETOOLONG, "cannot read '%s'", link);
    *ret = xstrndup(buf, (size_t)n);
    return NULL;
}

/* The descriptor of the longest part of path that exists, and where the rest begins. */
static struct err *open_existing_part(struct fsroot *r, const char *path, int *ret_fd,
                                      size_t *ret_n)
{
    AUTO(freep) char *part = xstrdup(path);
    size_t n = strlen(part);

    for (;;) {
        while (n > 1 && part[n - 1] == '/')
            n--;
        part[n] = 0;
        int fd = open_below(r, n ? part : "/", O_PATH, 0);

        if (fd >= 0) {
            *ret_fd = fd;
            *ret_n = n;
            return NULL;
        }
        if ((fd != -ENOENT && fd != -ENOTDIR) || n <= 1)
            return fs_err(-fd, "look at", part);
        while (n > 1 && part[n - 1] != '/')
            n--;
    }
}

struct err *fsroot_real(struct fsroot *r, const char *path, char **ret)
{
    AUTO(closep) int fd = -1;
    AUTO(freep) char *root = NULL;
    AUTO(freep) char *real = NULL;
    size_t n = 0;

    if (r->captured)
        return captured_real(r, path, ret);
    TRY(open_existing_part(r, path, &fd, &n));
    TRY(fd_path(r->fd, &root));
    TRY(fd_path(fd, &real));
    const char *below = real + (r->whole ? 0 : strlen(root)), *rest = path + n;
    if (!r->whole && strncmp(real, root, strlen(root)) != 0)
        return err_new(ERR_BUG, "'%s' is not below '%s'", real, root);
    rest += strspn(rest, "/");
    if (*rest)
        *ret = xasprintf("%s%s%s", below, str_ends(below, "/") ? "" : "/", rest);
    else
        *ret = xstrdup(*below ? below : "/");
    return NULL;
}

static struct err *make_dir(struct fsroot *r, const char *path, mode_t mode)
{
    AUTO(freep) char *name = NULL;
    AUTO(closep) int dir_fd = -1;
    AUTO(closep) int fd = -1;

    TRY(open_parent(r, path, &name, &dir_fd));
    if (mkdirat(dir_fd, name, mode) < 0) {
        if (errno == EEXIST)
            return NULL; /* somebody was quicker; the next open says what it is */
        return fs_err(errno, "make the folder", path);
    }
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, mode) < 0)
        return err_sys(errno, "cannot set the mode of '%s'", path);
    return NULL;
}

struct err *fsroot_is_folder(struct fsroot *r, const char *path, bool *ret)
{
    struct stat st;
    struct err *e = fsroot_stat(r, path, &st);

    *ret = !e && S_ISDIR(st.st_mode);
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    if (!e && !*ret)
        return err_new(ERR_BADINPUT, "'%s' is not a folder", path);
    return e;
}

struct err *fsroot_mkdirs(struct fsroot *r, const char *path, mode_t mode)
{
    AUTO(freep) char *upto = xstrdup(path);
    size_t n = 0, len = strlen(path);

    while (n < len) {
        AUTO(closep) int fd = -1;

        n += strspn(path + n, "/");
        n += strcspn(path + n, "/");
        upto[n] = 0;
        fd = open_below(r, upto, O_PATH | O_DIRECTORY, 0);
        if (fd == -ENOENT) {
            TRY(make_dir(r, upto, mode));
            fd = open_below(r, upto, O_PATH | O_DIRECTORY, 0);
        }
        if (fd < 0)
            return err_sys(-fd, "cannot make the folder '%s'", upto);
        upto[n] = path[n];
    }
    return NULL;
}

static struct err *delete_name(struct fsroot *r, const char *path, int flags)
{
    AUTO(freep) char *name = NULL;
    AUTO(closep) int dir_fd = -1;
    struct err *e = open_parent(r, path, &name, &dir_fd);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e); /* no folder, so no such name in it */
    if (e)
        return e;
    if (unlinkat(dir_fd, name, flags) < 0 && errno != ENOENT)
        return err_sys(errno, "cannot delete '%s'", path);
    return NULL;
}

struct err *fsroot_unlink(struct fsroot *r, const char *path)
{
    return delete_name(r, path, 0);
}

struct err *fsroot_rmdir(struct fsroot *r, const char *path)
{
    return delete_name(r, path, AT_REMOVEDIR);
}

/* EINVAL: a file system that has no fsync of folders. */
static struct err *sync_parent(int dir_fd, const char *path)
{
    if (fsync(dir_fd) < 0 && errno != EINVAL)
        return err_sys(errno, "cannot write the folder of '%s' to the disk", path);
    return NULL;
}

struct err *fsroot_symlink(struct fsroot *r, const char *target, const char *path)
{
    AUTO(freep) char *name = NULL;
    AUTO(closep) int dir_fd = -1;

    TRY(open_parent(r, path, &name, &dir_fd));
    if (symlinkat(target, dir_fd, name) < 0)
        return err_sys(errno, "cannot make the link '%s'", path);
    return sync_parent(dir_fd, path);
}

/* 0 or errno. OpenZFS before 2.2 does not know RENAME_NOREPLACE (EINVAL): there a name that
 * somebody takes in this very moment would be lost. */
static int rename_new(int dir_fd, const char *old, const char *name)
{
    struct stat st;

    if (renameat2(dir_fd, old, dir_fd, name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL)
        return errno;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return EEXIST;
    return renameat(dir_fd, old, dir_fd, name) < 0 ? errno : 0;
}

struct err *fsroot_rename(struct fsroot *r, const char *path, const char *name)
{
    AUTO(freep) char *old = NULL;
    AUTO(closep) int dir_fd = -1;

    if (strchr(name, '/'))
        return err_new(ERR_BUG, "'%s' is no name in the folder of '%s'", name, path);
    TRY(open_parent(r, path, &old, &dir_fd));
    int sys = rename_new(dir_fd, old, name);
    if (sys)
        return err_sys(sys, "cannot rename '%s' to '%s'", path, name);
    return sync_parent(dir_fd, path);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void closedirp(DIR **d)
{
    if (*d)
        closedir(*d);
}

struct err *fsroot_list(struct fsroot *r, const char *path, struct strlist *ret)
{
    AUTO(strlist_clear) struct strlist names = {0};
    AUTO(closedirp) DIR *d = NULL;
    AUTO(closep) int fd = -1;
    const struct dirent *entry;

    TRY(fsroot_openat(r, path, O_RDONLY | O_DIRECTORY, 0, &fd));
    d = fdopendir(fd);
    if (!d)
        return err_sys(errno, "cannot list '%s'", path);
    (void)TAKE_FD(fd);
    for (;;) {
        errno = 0;
        entry = readdir(d);
        if (!entry)
            break;
        if (!str_eq(entry->d_name, ".") && !str_eq(entry->d_name, ".."))
            strlist_add(&names, entry->d_name);
    }
    if (errno)
        return fs_err(errno, "list", path);
    if (names.n > 1)
        qsort(names.items, names.n, sizeof(*names.items), by_bytes);
    *ret = names;
    names = (struct strlist){0};
    return NULL;
}
