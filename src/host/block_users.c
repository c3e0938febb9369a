/* Who uses a block device: all mount namespaces with a process (by /proc), holders, swap, loop
 * devices and open descriptors, each by device number and never by name; last an exclusive open,
 * which is the kernel's own answer for what has no process to be seen by. */
#include "host/block_users.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/str.h"
#include "host/mounts.h"
#include "host/procfs.h"
#include "io/clock.h"
#include "io/fsroot.h"

void block_users_clear(struct block_users *u)
{
    for (size_t i = 0; i < u->n; i++)
        free(u->items[i].text);
    free(u->items);
    *u = (struct block_users){0};
}

/* Takes text. */
static void add(struct block_users *u, enum block_user_kind kind, pid_t pid, char *text)
{
    u->items = xgrow(u->items, &u->cap, u->n + 1, sizeof(*u->items));
    u->items[u->n++] = (struct block_user){.kind = kind, .pid = pid, .text = text};
}

/* The device being asked about and what was seen on the way. */
struct look {
    uint32_t major, minor;
    uint64_t own_ns;
    uint64_t *seen; /* mount namespaces whose table was read */
    size_t n, cap;
    struct block_users users;
};

static void look_clear(struct look *l)
{
    free(l->seen);
    block_users_clear(&l->users);
}

static bool is_device(const struct look *l, const struct stat *st)
{
    return S_ISBLK(st->st_mode) && major(st->st_rdev) == l->major && minor(st->st_rdev) == l->minor;
}

/* Is this path a node of the device? A path that does not exist (any more) is not. */
static struct err *path_is_device(struct ctx *ctx, const struct look *l, const char *path,
                                  bool *ret)
{
    struct stat st;

    *ret = false;
    if (path[0] != '/')
        return NULL;
    struct err *e = fsroot_stat(ctx->root, path, &st);
    if (e && e->kind == ERR_NOTFOUND) {
        err_free(e);
        return NULL;
    }
    TRY(e);
    *ret = is_device(l, &st);
    return NULL;
}

static bool ns_seen(const struct look *l, uint64_t ns)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->seen[i] == ns)
            return true;
    return false;
}

static struct err *add_mounts(struct ctx *ctx, struct look *l, const struct mounts *m, pid_t pid,
                              uint64_t ns, const char *comm)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct mount_info *x = &m->items[i];
        bool hit = x->major == l->major && x->minor == l->minor;

        /* btrfs and the like show an anonymous device; their source is the node. */
        if (!hit && x->major == 0 && ns == l->own_ns)
            TRY(path_is_device(ctx, l, x->source, &hit));
        if (hit && ns == l->own_ns)
            add(&l->users, BLOCK_USER_MOUNT, 0, xasprintf("mounted at '%s'", x->target));
        else if (hit)
            add(&l->users, BLOCK_USER_MOUNT, pid,
                xasprintf("mounted at '%s' in the mount namespace of process %d (%s)", x->target,
                          (int)pid, comm));
    }
    return NULL;
}

static struct err *mounts_in(struct ctx *ctx, struct look *l, pid_t pid, uint64_t ns,
                             const char *comm)
{
    AUTO(mounts_clear) struct mounts m = {0};

    TRY(mounts_read_of(ctx, pid, &m));
    TRY(add_mounts(ctx, l, &m, pid, ns, comm));
    if (ns) {
        l->seen = xgrow(l->seen, &l->cap, l->n + 1, sizeof(*l->seen));
        l->seen[l->n++] = ns;
    }
    return NULL;
}

/* On a captured host the link's own text counts: what it leads to is this machine's. */
static struct err *fd_is_device(struct ctx *ctx, const struct look *l, int proc_fd,
                                const char *name, bool *ret)
{
    AUTO(freep) char *path = NULL;
    struct stat st;

    *ret = false;
    if (fsroot_captured(ctx->root)) {
        TRY(procfs_link(proc_fd, name, &path));
        return path_is_device(ctx, l, path, ret);
    }
    TRY(procfs_stat_file(proc_fd, name, &st));
    *ret = is_device(l, &st);
    return NULL;
}

static struct err *open_in(struct ctx *ctx, struct look *l, int proc_fd, pid_t pid,
                           const char *comm)
{
    AUTO(freep) pid_t *fds = NULL;
    size_t n = 0;

    TRY(procfs_numbers(proc_fd, "fd", &fds, &n));
    for (size_t i = 0; i < n; i++) {
        AUTO(freep) char *name = xasprintf("fd/%d", (int)fds[i]);
        bool hit = false;
        struct err *e = fd_is_device(ctx, l, proc_fd, name, &hit);

        if (procfs_gone(&e))
            continue; /* closed meanwhile */
        TRY(e);
        if (!hit)
            continue;
        add(&l->users, BLOCK_USER_OPEN, pid, xasprintf("open in process %d (%s)", (int)pid, comm));
        return NULL;
    }
    return NULL;
}

static struct err *look_at_process(struct ctx *ctx, struct look *l, pid_t pid)
{
    AUTO(closep) int fd = -1;
    struct proc_stat s;
    uint64_t ns = 0;

    TRY(procfs_open_live(ctx, pid, &fd));
    TRY(procfs_stat(fd, "stat", &s));
    struct err *e = open_in(ctx, l, fd, pid, s.comm);
    if (procfs_hidden(&e))
        l->users.unseen++;
    TRY(e);
    /* Where the namespace's number is hidden, its table is not: 0 is never "seen". */
    e = procfs_ns(fd, "mnt", &ns);
    if (!procfs_hidden(&e))
        TRY(e);
    return ns && ns_seen(l, ns) ? NULL : mounts_in(ctx, l, pid, ns, s.comm);
}

/* A captured host has the table of its own namespace, and of other processes what was worth it. */
static struct err *look_at_own_mounts(struct ctx *ctx, struct look *l)
{
    AUTO(mounts_clear) struct mounts m = {0};

    TRY(mounts_read(ctx, &m));
    TRY(add_mounts(ctx, l, &m, 0, l->own_ns, ""));
    l->seen = xgrow(l->seen, &l->cap, l->n + 1, sizeof(*l->seen));
    l->seen[l->n++] = l->own_ns;
    return NULL;
}

static struct err *look_at_processes(struct ctx *ctx, struct look *l)
{
    AUTO(freep) pid_t *pids = NULL;
    AUTO(closep) int self = -1;
    size_t n = 0;

    TRY(fsroot_openat(ctx->root, "/proc/self", O_RDONLY | O_DIRECTORY, 0, &self));
    struct err *self_e = procfs_ns(self, "mnt", &l->own_ns);
    if (fsroot_captured(ctx->root)) {
        if (!procfs_gone(&self_e))
            TRY(self_e);
        TRY(look_at_own_mounts(ctx, l));
    }
    TRY(self_e);
    TRY(procfs_pids(ctx, &pids, &n));
    for (size_t i = 0; i < n; i++) {
        struct err *e = look_at_process(ctx, l, pids[i]);

        if (!procfs_gone(&e))
            TRY_CTX(e, "cannot look at process %d", (int)pids[i]);
    }
    return NULL;
}

static struct err *look_at_holders(struct ctx *ctx, struct look *l)
{
    AUTO(freep) char *path = xasprintf("/sys/dev/block/%u:%u/holders", l->major, l->minor);
    AUTO(strlist_clear) struct strlist names = {0};

    TRY(fsroot_list(ctx->root, path, &names));
    for (size_t i = 0; i < names.n; i++)
        add(&l->users, BLOCK_USER_HOLDER, 0, xasprintf("part of device '%s'", names.items[i]));
    return NULL;
}

static struct err *look_at_swap(struct ctx *ctx, struct look *l)
{
    AUTO(freep) char *text = NULL;
    char *save = NULL;

    struct err *e = fsroot_read(ctx->root, "/proc/swaps", 1U << 20, &text, NULL);
    if (e && e->kind == ERR_NOTFOUND) {
        err_free(e); /* a kernel without swap */
        return NULL;
    }
    TRY(e);
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        bool hit = false;

        line[strcspn(line, " \t")] =
            '\0'; /* device nodes have no blanks; files are not asked for */
        TRY(path_is_device(ctx, l, line, &hit));
        if (hit)
            add(&l->users, BLOCK_USER_SWAP, 0, xstrdup("used as swap"));
    }
    return NULL;
}

static struct err *look_at_loops(struct ctx *ctx, struct look *l)
{
    AUTO(strlist_clear) struct strlist names = {0};

    TRY(fsroot_list(ctx->root, "/sys/block", &names));
    for (size_t i = 0; i < names.n; i++) {
        AUTO(freep) char *path = xasprintf("/sys/block/%s/loop/backing_file", names.items[i]);
        AUTO(freep) char *file = NULL;
        bool hit = false;

        if (!str_starts(names.items[i], "loop"))
            continue;
        struct err *e = fsroot_read_line(ctx->root, path, &file);
        if (procfs_gone(&e))
            continue; /* not attached */
        TRY(e);
        TRY(path_is_device(ctx, l, file, &hit));
        if (hit)
            add(&l->users, BLOCK_USER_LOOP, 0, xasprintf("behind '/dev/%s'", names.items[i]));
    }
    return NULL;
}

struct err *block_users_of(struct ctx *ctx, uint32_t major, uint32_t minor, struct block_users *ret)
{
    AUTO(look_clear) struct look l = {.major = major, .minor = minor};

    TRY(look_at_processes(ctx, &l));
    TRY(look_at_holders(ctx, &l));
    TRY(look_at_swap(ctx, &l));
    TRY(look_at_loops(ctx, &l));
    *ret = l.users;
    l.users = (struct block_users){0};
    return NULL;
}

/* Would an exclusive open work? It does not while a file system, swap or another device has it. */
static struct err *claimed(struct ctx *ctx, const char *dev, bool *ret)
{
    AUTO(closep) int fd = -1;
    struct err *e = fsroot_openat(ctx->root, dev, O_RDONLY | O_EXCL | O_NONBLOCK, 0, &fd);

    *ret = e && e->kind == ERR_SYS && e->sys == EBUSY;
    return *ret ? err_free(e) : e;
}

static bool names_the_claim(const struct block_users *u)
{
    for (size_t i = 0; i < u->n; i++)
        if (u->items[i].kind != BLOCK_USER_OPEN && u->items[i].kind != BLOCK_USER_LOOP)
            return true;
    return false;
}

struct err *block_users(struct ctx *ctx, const char *dev, struct block_users *ret)
{
    AUTO(block_users_clear) struct block_users u = {0};
    struct stat st;
    bool busy = false;

    TRY_CTX(fsroot_stat(ctx->root, dev, &st), "device '%s'", dev);
    if (!S_ISBLK(st.st_mode))
        return err_new(ERR_BADINPUT, "device '%s': it is not a block device", dev);
    if (!fsroot_captured(ctx->root))
        TRY_CTX(claimed(ctx, dev, &busy), "device '%s'", dev);
    TRY_CTX(block_users_of(ctx, major(st.st_rdev), minor(st.st_rdev), &u),
            "cannot find out who uses '%s'", dev);
    if (busy && !names_the_claim(&u))
        add(&u, BLOCK_USER_KERNEL, 0,
            xstrdup("claimed by the kernel or by an exclusive open (it may be mounted in a mount "
                    "namespace without processes)"));
    *ret = u;
    u = (struct block_users){0};
    return NULL;
}

struct settle {
    const char *dev;
    struct block_users last;
};

static void settle_clear(struct settle *s)
{
    block_users_clear(&s->last);
}

static struct err *nobody_opens(struct ctx *ctx, void *arg, bool *ret_done)
{
    struct settle *s = arg;

    block_users_clear(&s->last);
    TRY(block_users(ctx, s->dev, &s->last));
    *ret_done = true;
    for (size_t i = 0; i < s->last.n; i++)
        *ret_done = *ret_done && s->last.items[i].kind != BLOCK_USER_OPEN;
    return NULL;
}

struct err *block_users_settled(struct ctx *ctx, const char *dev, uint64_t timeout_ms,
                                struct block_users *ret)
{
    AUTO(settle_clear) struct settle s = {.dev = dev};

    if (fsroot_captured(ctx->root))
        return block_users(ctx, dev, ret);
    struct err *e = wait_until(ctx, "the device to be closed", timeout_ms, 50, nobody_opens, &s);
    if (e && e->kind != ERR_TIMEOUT)
        return e;
    err_free(e);
    *ret = s.last;
    s.last = (struct block_users){0};
    return NULL;
}

char *block_users_text(const struct block_users *u)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    for (size_t i = 0; i < u->n; i++)
        strbuf_printf(&b, "%s%s", i ? "; " : "", u->items[i].text);
    return u->n ? strbuf_take(&b) : xstrdup("nobody");
}
