/* Reading /proc/<pid> by handles, so that a reused pid is never mistaken for the process that was
 * asked about. Follows proc(5). */
#include "host/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/str.h"
#include "io/fsroot.h"

static struct err *sys_or_gone(int e, const char *name)
{
    if (e == ENOENT || e == ESRCH || e == EINVAL)
        return err_new(ERR_NOTFOUND, "the process is gone");
    return err_sys(e, "cannot read '%s' of a process in /proc", name);
}

bool procfs_gone(struct err **e)
{
    if (!*e || (*e)->kind != ERR_NOTFOUND)
        return false;
    *e = err_free(*e);
    return true;
}

bool procfs_hidden(struct err **e)
{
    bool refused = *e && (*e)->kind == ERR_SYS && ((*e)->sys == EACCES || (*e)->sys == EPERM);

    if (!refused || geteuid() != 0)
        return false;
    *e = err_free(*e);
    return true;
}

static int by_number(const void *a, const void *b)
{
    pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

    return (x > y) - (x < y);
}

static struct err *numbers_of(DIR *d, const char *name, pid_t **ret, size_t *ret_n)
{
    AUTO(freep) pid_t *list = NULL;
    size_t n = 0, cap = 0;

    for (;;) {
        uint64_t v = 0;

        errno = 0;
        const struct dirent *de = readdir(d);
        if (!de && errno)
            return sys_or_gone(errno, name);
        if (!de)
            break;
        struct err *e = parse_u64(de->d_name, 0, INT_MAX, &v);
        if (e) {
            err_free(e); /* not a number: another kind of entry */
            continue;
        }
        list = xgrow(list, &cap, n + 1, sizeof(*list));
        list[n++] = (pid_t)v;
    }
    if (n)
        qsort(list, n, sizeof(*list), by_number);
    *ret = TAKE(list);
    *ret_n = n;
    return NULL;
}

struct err *procfs_openat(int dir_fd, const char *name, int flags, int *ret_fd)
{
    /* O_NONBLOCK: a captured tree may hold a named pipe */
    const unsigned f = (unsigned)flags | O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    struct open_how how = {.flags = f, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    int fd = (int)syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));

    /* a sandbox that does not know the call: the last part at least is no link */
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        fd = openat(dir_fd, name, (int)f | O_NOFOLLOW);
    if (fd < 0)
        return sys_or_gone(errno, name);
    *ret_fd = fd;
    return NULL;
}

struct err *procfs_numbers(int dir_fd, const char *name, pid_t **ret, size_t *ret_n)
{
    int fd;

    TRY(procfs_openat(dir_fd, name, O_DIRECTORY, &fd));
    DIR *d = fdopendir(fd);
    if (!d) {
        int e = errno;

        close(fd);
        return sys_or_gone(e, name);
    }
    struct err *e = numbers_of(d, name, ret, ret_n);
    closedir(d);
    return e;
}

/* Its "self" is we ourselves under another number when it was mounted in another pid namespace: its
 * processes are then not those that our pids mean. */
static struct err *is_ours(struct ctx *ctx)
{
    AUTO(freep) char *self = NULL;
    uint64_t pid;
    struct err *e = fsroot_readlink(ctx->root, "/proc/self", &self);

    if (!e)
        e = parse_u64(self, 1, INT32_MAX, &pid);
    if (err_free(e) || !self || !*self || self[strspn(self, "0123456789")])
        return NULL; /* a captured or made-up host: no link */
    if (pid == (uint64_t)getpid())
        return NULL;
    return err_new(ERR_SYS,
                   "/proc belongs to another pid namespace (this is process %d, there it is %s); "
                   "mount /proc anew in this one, or run agavectl on the host",
                   getpid(), self);
}

struct err *procfs_mounted(struct ctx *ctx)
{
    struct stat st;
    struct err *e = fsroot_stat(ctx->root, "/proc/self/stat", &st);

    if (procfs_gone(&e))
        return err_new(ERR_SYS,
                       "/proc shows no processes; is it mounted, and in this pid namespace?");
    TRY(e);
    return fsroot_captured(ctx->root) ? NULL : is_ours(ctx);
}

struct err *procfs_pids(struct ctx *ctx, pid_t **ret, size_t *ret_n)
{
    AUTO(closep) int fd = -1;

    TRY(procfs_mounted(ctx));
    TRY(fsroot_openat(ctx->root, "/proc", O_RDONLY | O_DIRECTORY, 0, &fd));
    return procfs_numbers(fd, ".", ret, ret_n);
}

struct err *procfs_open(struct ctx *ctx, pid_t pid, int *ret_fd)
{
    AUTO(freep) char *path = xasprintf("/proc/%d", (int)pid);

    return fsroot_openat(ctx->root, path, O_RDONLY | O_DIRECTORY, 0, ret_fd);
}

static bool ended(char state)
{
    return state == 'Z' || state == 'X';
}

/* *ret_fd stays -1 when there is none. */
static struct err *open_live_thread(int proc_fd, int *ret_fd)
{
    AUTO(freep) pid_t *tids = NULL;
    size_t n = 0;

    TRY(procfs_numbers(proc_fd, "task", &tids, &n));
    for (size_t i = 0; i < n; i++) {
        AUTO(freep) char *name = xasprintf("task/%d", (int)tids[i]);
        AUTO(closep) int fd = -1;
        struct proc_stat s = {0};
        struct err *e = procfs_openat(proc_fd, name, O_DIRECTORY, &fd);

        if (!e)
            e = procfs_stat(fd, "stat", &s);
        if (procfs_gone(&e))
            continue;
        TRY(e);
        if (!ended(s.state)) {
            *ret_fd = TAKE_FD(fd);
            return NULL;
        }
    }
    return NULL;
}

struct err *procfs_open_live(struct ctx *ctx, pid_t pid, int *ret_fd)
{
    AUTO(closep) int fd = -1;
    int live = -1;
    struct proc_stat s;

    TRY(procfs_open(ctx, pid, &fd));
    TRY(procfs_stat(fd, "stat", &s));
    if (ended(s.state))
        TRY(open_live_thread(fd, &live));
    *ret_fd = live >= 0 ? live : TAKE_FD(fd);
    return NULL;
}

struct err *procfs_read(int dir_fd, const char *name, size_t max_b, char **ret, size_t *ret_n)
{
    AUTO(closep) int fd = -1;
    AUTO(strbuf_clear) struct strbuf b = {0};
    char chunk[8192];

    TRY(procfs_openat(dir_fd, name, 0, &fd));
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof(chunk));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sys_or_gone(errno, name);
        if (n == 0)
            break;
        if (b.len + (size_t)n > max_b)
            return err_new(ERR_CORRUPT, "'%s' of a process is larger than %zu bytes", name, max_b);
        strbuf_add(&b, chunk, (size_t)n);
    }
    if (ret_n)
        *ret_n = b.len;
    *ret = strbuf_take(&b);
    return NULL;
}

struct err *procfs_stat_file(int dir_fd, const char *name, struct stat *ret)
{
    struct statfs fs;

    if (fstatfs(dir_fd, &fs) < 0)
        return sys_or_gone(errno, name);
    int flags = fs.f_type == PROC_SUPER_MAGIC ? 0 : AT_SYMLINK_NOFOLLOW;
    return fstatat(dir_fd, name, ret, flags) < 0 ? sys_or_gone(errno, name) : NULL;
}

struct err *procfs_link(int dir_fd, const char *name, char **ret)
{
    char buf[PATH_MAX];
    ssize_t n = readlinkat(dir_fd, name, buf, sizeof(buf));

    if (n < 0)
        return sys_or_gone(errno, name);
    if ((size_t)n == sizeof(buf))
        return err_new(ERR_CORRUPT, "'%s' of a process is longer than a path can be", name);
    *ret = xstrndup(buf, (size_t)n);
    return NULL;
}

struct err *procfs_ns(int dir_fd, const char *kind, uint64_t *ret)
{
    AUTO(freep) char *name = xasprintf("ns/%s", kind);
    AUTO(freep) char *link = NULL;

    TRY(procfs_link(dir_fd, name, &link));
    char *open = strchr(link, '['), *end = open ? strchr(open, ']') : NULL;
    if (!end)
        return err_new(ERR_CORRUPT, "'%s' of a process is '%s'", name, link);
    *end = '\0';
    return parse_u64(open + 1, 0, UINT64_MAX, ret);
}

/* Field numbers count from 1 as in proc(5); rest starts at field 3. */
static struct err *stat_fields(char *rest, struct proc_stat *ret)
{
    char *save = NULL;
    unsigned field = 3;

    for (char *w = strtok_r(rest, " \n", &save); w; w = strtok_r(NULL, " \n", &save), field++) {
        uint64_t v = 0;

        if (field == 3)
            ret->state = w[0];
        if (field == 4) {
            TRY(parse_u64(w, 0, INT_MAX, &v));
            ret->ppid = (pid_t)v;
        }
        if (field == 22)
            return parse_u64(w, 0, UINT64_MAX, &ret->start);
    }
    return err_new(ERR_CORRUPT, "a process's stat has only %u fields", field - 1);
}

struct err *procfs_stat_parse(const char *text, struct proc_stat *ret)
{
    const char *open = strchr(text, '('), *close = strrchr(text, ')');
    struct proc_stat s = {0};

    if (!open || !close || close < open || close[1] != ' ')
        return err_new(ERR_CORRUPT, "a process's stat cannot be read: '%.80s'", text);
    size_t n = (size_t)(close - open - 1);
    memcpy(s.comm, open + 1, n < sizeof(s.comm) ? n : sizeof(s.comm) - 1);
    AUTO(freep) char *rest = xstrdup(close + 2);
    TRY(stat_fields(rest, &s));
    *ret = s;
    return NULL;
}

struct err *procfs_stat(int dir_fd, const char *name, struct proc_stat *ret)
{
    AUTO(freep) char *text = NULL;
    size_t n = 0;

    TRY(procfs_read(dir_fd, name, 4096, &text, &n));
    return procfs_stat_parse(text, ret);
}
