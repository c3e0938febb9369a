/* Which processes use which files. Places are compared as (device, path within its file system): a
 * process in a container names the same file by another path. */
#include "host/pid_files.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/str.h"
#include "host/mounts.h"
#include "host/procfs.h"
#include "io/fsroot.h"

#define LOCKS_MAX_B (8U << 20)

/* A folder in a file system, wherever that is mounted. */
struct place {
    uint32_t major, minor;
    char *inner;
};
struct places {
    struct place *items;
    size_t n, cap;
};

static void places_clear(struct places *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->items[i].inner);
    free(p->items);
    *p = (struct places){0};
}

static bool at_or_below(const char *path, const char *base)
{
    size_t n = strlen(base);

    if (n == 1)
        return path[0] == '/';
    return strncmp(path, base, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static void places_add(struct places *p, const struct mount_info *m, char *inner)
{
    p->items = xgrow(p->items, &p->cap, p->n + 1, sizeof(*p->items));
    p->items[p->n++] = (struct place){.major = m->major, .minor = m->minor, .inner = inner};
}

/* The folder itself and every mount below it. */
static struct err *places_of(struct ctx *ctx, const char *folder, struct places *ret)
{
    AUTO(mounts_clear) struct mounts m = {0};
    AUTO(freep) char *real = NULL;
    struct stat st;

    TRY(fsroot_stat(ctx->root, folder, &st));
    TRY(fsroot_real(ctx->root, folder, &real));
    TRY(mounts_read(ctx, &m));
    const struct mount_info *on = mounts_over(&m, real);
    if (!on)
        return err_new(ERR_CORRUPT, "the table of mounts has no root");
    places_add(ret, on, mount_inner_path(on, real));
    for (size_t i = 0; i < m.n; i++)
        if (at_or_below(m.items[i].target, real))
            places_add(ret, &m.items[i], xstrdup(m.items[i].root));
    return NULL;
}

/* One mount namespace's table, kept while the processes of that namespace are looked at. */
struct view {
    uint64_t ns;
    struct mounts mounts;
};
struct search {
    struct places places;
    struct view *views;
    size_t n, cap;
};

static void search_clear(struct search *s)
{
    places_clear(&s->places);
    for (size_t i = 0; i < s->n; i++)
        mounts_clear(&s->views[i].mounts);
    free(s->views);
}

static struct err *view_of(struct ctx *ctx, struct search *s, int proc_fd, pid_t pid,
                           const struct mounts **ret)
{
    struct view v = {0};

    TRY(procfs_ns(proc_fd, "mnt", &v.ns));
    for (size_t i = 0; i < s->n; i++) {
        if (s->views[i].ns == v.ns) {
            *ret = &s->views[i].mounts;
            return NULL;
        }
    }
    TRY(mounts_read_of(ctx, pid, &v.mounts));
    s->views = xgrow(s->views, &s->cap, s->n + 1, sizeof(*s->views));
    s->views[s->n++] = v;
    *ret = &s->views[s->n - 1].mounts;
    return NULL;
}

static bool inside(const struct search *s, const struct mounts *view, const char *path)
{
    const struct mount_info *m = path[0] == '/' ? mounts_over(view, path) : NULL;
    bool found = false;

    if (!m)
        return false; /* a socket, a pipe, an anonymous file */
    AUTO(freep) char *inner = mount_inner_path(m, path);
    for (size_t i = 0; i < s->places.n && !found; i++) {
        const struct place *p = &s->places.items[i];

        found = p->major == m->major && p->minor == m->minor && at_or_below(inner, p->inner);
    }
    return found;
}

static struct err *link_inside(const struct search *s, const struct mounts *view, int proc_fd,
                               const char *name, bool *ret)
{
    AUTO(freep) char *path = NULL;
    struct err *e = procfs_link(proc_fd, name, &path);

    if (procfs_gone(&e)) /* this link: a closed descriptor, a kernel thread's exe */
        return NULL;
    TRY(e);
    *ret = *ret || inside(s, view, path);
    return NULL;
}

/* Line by line: the table of a validator that maps its accounts is a hundred megabytes. */
static struct err *maps_inside(const struct search *s, const struct mounts *view, int proc_fd,
                               bool *ret)
{
    AUTO(freep) char *line = NULL;
    size_t cap = 0;
    int fd = -1;
    struct err *e = procfs_openat(proc_fd, "maps", 0, &fd);

    if (procfs_gone(&e))
        return NULL;
    TRY(e);
    AUTO(fclosep) FILE *f = fdopen(fd, "re");
    if (!f) {
        close(fd);
        return err_sys(ENOMEM, "cannot read a process's maps");
    }
    while (!*ret && getline(&line, &cap, f) >= 0) {
        char *path = strchr(line, '/');

        line[strcspn(line, "\n")] = '\0';
        *ret = path && inside(s, view, path);
    }
    /* ESRCH: it ended between the open and here. */
    return ferror(f) && errno != ESRCH ? err_sys(errno, "cannot read a process's maps") : NULL;
}

static struct err *uses(const struct search *s, const struct mounts *view, int proc_fd, bool *ret)
{
    static const char *const links[] = {"cwd", "root", "exe"};
    AUTO(freep) pid_t *fds = NULL;
    size_t n = 0;

    *ret = false;
    for (size_t i = 0; i < ARRAY_LEN(links) && !*ret; i++)
        TRY(link_inside(s, view, proc_fd, links[i], ret));
    TRY(procfs_numbers(proc_fd, "fd", &fds, &n));
    for (size_t i = 0; i < n && !*ret; i++) {
        AUTO(freep) char *name = xasprintf("fd/%d", (int)fds[i]);

        TRY(link_inside(s, view, proc_fd, name, ret));
    }
    return *ret ? NULL : maps_inside(s, view, proc_fd, ret);
}

static struct err *using_one(struct ctx *ctx, struct search *s, pid_t pid, struct pids *found)
{
    AUTO(closep) int fd = -1;
    const struct mounts *view = NULL;
    bool yes = false;

    TRY(procfs_open_live(ctx, pid, &fd));
    TRY(view_of(ctx, s, fd, pid, &view));
    TRY(uses(s, view, fd, &yes));
    return yes ? pids_get(ctx, pid, found) : NULL;
}

struct err *pids_using(struct ctx *ctx, const char *folder, struct pids *ret)
{
    AUTO(pids_clear) struct pids found = {0};
    AUTO(search_clear) struct search s = {0};
    AUTO(freep) pid_t *pids = NULL;
    size_t n = 0;

    TRY_CTX(places_of(ctx, folder, &s.places), "cannot look for users of '%s'", folder);
    TRY(procfs_pids(ctx, &pids, &n));
    for (size_t i = 0; i < n; i++) {
        struct err *e = using_one(ctx, &s, pids[i], &found);

        if (procfs_hidden(&e))
            found.unseen++;
        else if (!procfs_gone(&e))
            TRY_CTX(e, "cannot look for users of '%s' in process %d", folder, (int)pids[i]);
    }
    *ret = found;
    found = (struct pids){0};
    return NULL;
}

/* Does this descriptor carry an flock? fdinfo shows the locks of its open file description, also to
 * a child that inherited it. */
static struct err *fd_has_flock(int proc_fd, pid_t n, bool *ret)
{
    AUTO(freep) char *name = xasprintf("fdinfo/%d", (int)n);
    AUTO(freep) char *text = NULL;
    char *save = NULL;

    TRY(procfs_read(proc_fd, name, 1U << 20, &text, NULL));
    for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
        *ret = *ret || (str_starts(l, "lock:") && strstr(l, " FLOCK "));
    return NULL;
}

static struct err *holds_flock(int proc_fd, const struct stat *want, bool *ret)
{
    AUTO(freep) pid_t *fds = NULL;
    size_t n = 0;

    TRY(procfs_numbers(proc_fd, "fd", &fds, &n));
    for (size_t i = 0; i < n && !*ret; i++) {
        AUTO(freep) char *name = xasprintf("fd/%d", (int)fds[i]);
        struct stat st;
        struct err *e = procfs_stat_file(proc_fd, name, &st);

        if (procfs_gone(&e))
            continue; /* closed meanwhile */
        TRY(e);
        if (st.st_dev != want->st_dev || st.st_ino != want->st_ino)
            continue;
        e = fd_has_flock(proc_fd, fds[i], ret);
        if (!procfs_gone(&e))
            TRY(e);
    }
    return NULL;
}

/* "1: FLOCK  ADVISORY  WRITE 8563 fe:00:5309626 0 EOF"; a line with "->" only waits. */
static bool flock_line(const char *line, const struct stat *want, int *ret_pid)
{
    unsigned maj = 0, min = 0;
    unsigned long long ino = 0;

    return sscanf(line, "%*u: FLOCK %*s %*s %d %x:%x:%llu", ret_pid, &maj, &min, &ino) == 4 &&
           maj == major(want->st_dev) && min == minor(want->st_dev) && ino == want->st_ino;
}

static bool has_pid(const struct pids *p, pid_t pid)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->items[i].id.pid == pid)
            return true;
    return false;
}

/* The kernel's own table: knows a holder whose descriptors could not be seen. */
static struct err *from_locks(struct ctx *ctx, const struct stat *want, struct pids *found)
{
    AUTO(freep) char *text = NULL;
    char *save = NULL;
    bool any = false;

    TRY(fsroot_read(ctx->root, "/proc/locks", LOCKS_MAX_B, &text, NULL));
    for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        int pid = 0;

        if (!flock_line(l, want, &pid))
            continue;
        any = true;
        if (pid <= 0 || has_pid(found, pid))
            continue;
        struct err *e = pids_get(ctx, pid, found);
        if (!procfs_gone(&e))
            TRY(e);
    }
    if (any && !found->n)
        return err_new(ERR_SYS, "it is locked by a process that cannot be seen from here");
    return NULL;
}

static struct err *flock_one(struct ctx *ctx, pid_t pid, const struct stat *want,
                             struct pids *found)
{
    AUTO(closep) int fd = -1;
    bool yes = false;

    TRY(procfs_open_live(ctx, pid, &fd));
    TRY(holds_flock(fd, want, &yes));
    return yes ? pids_get(ctx, pid, found) : NULL;
}

struct err *pids_flock_holders(struct ctx *ctx, const char *file, struct pids *ret)
{
    AUTO(pids_clear) struct pids found = {0};
    AUTO(freep) pid_t *pids = NULL;
    struct stat want;
    size_t n = 0;

    TRY(fsroot_stat(ctx->root, file, &want));
    TRY(procfs_pids(ctx, &pids, &n));
    if (fsroot_captured(ctx->root))
        n = 0; /* its descriptors' links would lead to files of this machine; /proc/locks knows */
    for (size_t i = 0; i < n; i++) {
        struct err *e = flock_one(ctx, pids[i], &want, &found);

        if (procfs_hidden(&e)) /* /proc/locks knows it all the same */
            found.unseen++;
        else if (!procfs_gone(&e))
            TRY_CTX(e, "cannot look for the lock's holder in process %d", (int)pids[i]);
    }
    TRY_CTX(from_locks(ctx, &want, &found), "'%s'", file);
    *ret = found;
    found = (struct pids){0};
    return NULL;
}
