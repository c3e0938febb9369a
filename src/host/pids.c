/* Processes and threads as the host sees them. This feeds the stop proof, so a process on its way
 * out (no memory, no executable any more, threads in D state) must still be found. Signals go
 * through pidfds. Nothing is killed here on its own account. */
#include "host/pids.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "base/str.h"
#include "host/procfs.h"

#define COMM_MAX   15
#define ARGV_MAX_B (4U << 20)

static void pid_info_clear(struct pid_info *x)
{
    free(x->comm);
    free(x->exe);
    free(x->cgroup);
    for (size_t i = 0; x->argv && x->argv[i]; i++)
        free(x->argv[i]);
    free(x->argv);
    *x = (struct pid_info){0};
}

void pids_clear(struct pids *p)
{
    for (size_t i = 0; i < p->n; i++)
        pid_info_clear(&p->items[i]);
    free(p->items);
    *p = (struct pids){0};
}

static void pids_take(struct pids *p, struct pid_info *x)
{
    p->items = xgrow(p->items, &p->cap, p->n + 1, sizeof(*p->items));
    p->items[p->n++] = *x;
    *x = (struct pid_info){0};
}

/* A part that may be missing or forbidden while the process itself is there. */
static struct err *maybe(struct err *e)
{
    if (e &&
        (e->kind == ERR_NOTFOUND || (e->kind == ERR_SYS && (e->sys == EACCES || e->sys == EPERM))))
        return err_free(e);
    return e;
}

static struct err *read_argv(int fd, char ***ret)
{
    AUTO(freep) char *text = NULL;
    AUTO(strlist_clear) struct strlist l = {0};
    size_t n = 0;

    TRY(procfs_read(fd, "cmdline", ARGV_MAX_B, &text, &n));
    for (size_t at = 0; at < n; at += strlen(text + at) + 1)
        strlist_add(&l, text + at);
    if (!l.items)
        l.items = xcalloc(1, sizeof(*l.items));
    *ret = l.items;
    l = (struct strlist){0};
    return NULL;
}

/* The line of the unified hierarchy, or where that says only "/" the longest of the old ones. */
static struct err *read_cgroup(int fd, char **ret)
{
    AUTO(freep) char *text = NULL;
    const char *best = NULL;
    char *save = NULL;

    TRY(maybe(procfs_read(fd, "cgroup", 65536, &text, NULL)));
    for (char *l = text ? strtok_r(text, "\n", &save) : NULL; l; l = strtok_r(NULL, "\n", &save)) {
        const char *colon = strchr(l, ':'), *path = colon ? strchr(colon + 1, ':') : NULL;

        if (path && (!best || strlen(path + 1) > strlen(best)))
            best = path + 1;
    }
    *ret = best ? xstrdup(best) : NULL;
    return NULL;
}

static struct err *read_uid(int fd, uint32_t *ret)
{
    AUTO(freep) char *text = NULL;
    unsigned long long uid = 0;

    TRY(procfs_read(fd, "status", 65536, &text, NULL));
    const char *line = strstr(text, "\nUid:");
    if (!line || sscanf(line, "\nUid: %*u %llu", &uid) != 1 || uid > UINT32_MAX)
        return err_new(ERR_CORRUPT, "a process's status has no Uid");
    *ret = (uint32_t)uid;
    return NULL;
}

/* live: a thread that still has what the main thread may have given up. */
static struct err *read_parts(int fd, int live, struct pid_info *x)
{
    struct proc_stat s;

    TRY(procfs_stat(fd, "stat", &s));
    x->id.start = s.start;
    x->ppid = s.ppid;
    x->state = s.state;
    x->comm = xstrdup(s.comm);
    TRY(read_argv(live, &x->argv));
    TRY(read_uid(live, &x->uid));
    TRY(maybe(procfs_link(live, "exe", &x->exe)));
    TRY(read_cgroup(live, &x->cgroup));
    TRY(maybe(procfs_ns(live, "mnt", &x->ns_mnt)));
    TRY(maybe(procfs_ns(live, "net", &x->ns_net)));
    return maybe(procfs_ns(live, "pid", &x->ns_pid));
}

static struct err *read_info(struct ctx *ctx, pid_t pid, struct pid_info *ret)
{
    AUTO(closep) int fd = -1;
    AUTO(closep) int live = -1;
    AUTO(pid_info_clear) struct pid_info x = {.id.pid = pid};

    TRY(procfs_open(ctx, pid, &fd));
    TRY(procfs_open_live(ctx, pid, &live));
    TRY(read_parts(fd, live, &x));
    *ret = x;
    x = (struct pid_info){0};
    return NULL;
}

struct err *pids_get(struct ctx *ctx, pid_t pid, struct pids *list)
{
    struct pid_info x;

    TRY_CTX(read_info(ctx, pid, &x), "process %d", (int)pid);
    pids_take(list, &x);
    return NULL;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* "/usr/bin/x (deleted)" is still the program that runs. */
static bool exe_is(const char *exe, const char *want)
{
    size_t n = strlen(want);

    return strncmp(exe, want, n) == 0 && (exe[n] == '\0' || str_eq(exe + n, " (deleted)"));
}

static bool name_matches(const struct pid_info *x, const char *name)
{
    if (x->exe && exe_is(base_name(x->exe), name))
        return true;
    if (x->argv[0])
        return str_eq(base_name(x->argv[0]), name);
    return !x->exe && strncmp(x->comm, name, COMM_MAX) == 0;
}

static bool matches(const struct pid_info *x, const struct pids_match *m)
{
    bool arg = !m->arg;

    for (size_t i = 0; !arg && x->argv[i]; i++)
        arg = str_eq(x->argv[i], m->arg);
    return arg && (!m->name || name_matches(x, m->name)) &&
           (!m->exe || (x->exe && exe_is(x->exe, m->exe)));
}

struct err *pids_find(struct ctx *ctx, const struct pids_match *m, struct pids *ret)
{
    AUTO(pids_clear) struct pids found = {0};
    AUTO(freep) pid_t *pids = NULL;
    size_t n = 0;

    TRY(procfs_pids(ctx, &pids, &n));
    for (size_t i = 0; i < n; i++) {
        AUTO(pid_info_clear) struct pid_info x = {0};
        struct err *e = read_info(ctx, pids[i], &x);

        if (procfs_gone(&e))
            continue;
        TRY_CTX(e, "process %d", (int)pids[i]);
        if (matches(&x, m))
            pids_take(&found, &x);
    }
    *ret = found;
    found = (struct pids){0};
    return NULL;
}

void threads_clear(struct threads *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->items[i].comm);
        free(t->items[i].wchan);
        free(t->items[i].stack);
    }
    free(t->items);
    *t = (struct threads){0};
}

static struct err *read_thread(int proc_fd, pid_t tid, struct threads *t)
{
    struct proc_stat s;
    AUTO(freep) char *stat = xasprintf("task/%d/stat", (int)tid);
    AUTO(freep) char *wchan_name = xasprintf("task/%d/wchan", (int)tid);
    AUTO(freep) char *stack_name = xasprintf("task/%d/stack", (int)tid);
    AUTO(freep) char *wchan = NULL;
    AUTO(freep) char *stack = NULL;

    TRY(procfs_stat(proc_fd, stat, &s));
    TRY(maybe(procfs_read(proc_fd, wchan_name, 256, &wchan, NULL)));
    if (s.state == 'D')
        TRY(maybe(procfs_read(proc_fd, stack_name, 65536, &stack, NULL)));
    bool no_wchan = !wchan || str_eq(wchan, "0") || !*wchan;
    t->items = xgrow(t->items, &t->cap, t->n + 1, sizeof(*t->items));
    t->items[t->n++] = (struct thread_info){
        .tid = tid,
        .state = s.state,
        .comm = xstrdup(s.comm),
        .wchan = no_wchan ? NULL : TAKE(wchan),
        .stack = stack && *stack ? TAKE(stack) : NULL,
    };
    return NULL;
}

static struct err *read_threads(int fd, struct threads *t)
{
    AUTO(freep) pid_t *tids = NULL;
    size_t n = 0;

    TRY(procfs_numbers(fd, "task", &tids, &n));
    for (size_t i = 0; i < n; i++) {
        struct err *e = read_thread(fd, tids[i], t);

        if (!procfs_gone(&e))
            TRY(e);
    }
    return NULL;
}

/* *ret_fd is -1 when that very process does not exist any more. */
static struct err *open_same(struct ctx *ctx, struct pid_id id, int *ret_fd)
{
    AUTO(closep) int fd = -1;
    struct proc_stat s = {0};
    struct err *e = procfs_open(ctx, id.pid, &fd);

    *ret_fd = -1;
    e = e ? e : procfs_stat(fd, "stat", &s);
    if (procfs_gone(&e))
        return procfs_mounted(ctx);
    TRY_CTX(e, "process %d", (int)id.pid);
    if (s.start == id.start)
        *ret_fd = TAKE_FD(fd);
    return NULL;
}

struct err *pid_threads(struct ctx *ctx, struct pid_id id, struct threads *ret)
{
    AUTO(threads_clear) struct threads t = {0};
    AUTO(closep) int fd = -1;

    TRY(open_same(ctx, id, &fd));
    if (fd >= 0) {
        struct err *e = read_threads(fd, &t);

        if (!procfs_gone(&e))
            TRY_CTX(e, "process %d", (int)id.pid);
    }
    *ret = t;
    t = (struct threads){0};
    return NULL;
}

struct err *pid_threads_stuck(struct ctx *ctx, struct pid_id id, struct threads *ret)
{
    AUTO(threads_clear) struct threads all = {0};
    struct threads stuck = {0};

    TRY(pid_threads(ctx, id, &all));
    for (size_t i = 0; i < all.n; i++) {
        if (all.items[i].state != 'D')
            continue;
        stuck.items = xgrow(stuck.items, &stuck.cap, stuck.n + 1, sizeof(*stuck.items));
        stuck.items[stuck.n++] = all.items[i];
        all.items[i] = (struct thread_info){0};
    }
    *ret = stuck;
    return NULL;
}

struct err *pids_threads_left(struct ctx *ctx, pid_t pid, uint64_t start, uint32_t *ret)
{
    AUTO(threads_clear) struct threads t = {0};
    uint32_t left = 0;

    TRY(pid_threads(ctx, (struct pid_id){.pid = pid, .start = start}, &t));
    for (size_t i = 0; i < t.n; i++)
        left += t.items[i].state != 'Z' && t.items[i].state != 'X';
    *ret = left;
    return NULL;
}

struct err *pid_start(struct ctx *ctx, pid_t pid, uint64_t *ret)
{
    AUTO(closep) int fd = -1;
    struct proc_stat s;

    TRY_CTX(procfs_open(ctx, pid, &fd), "process %d", (int)pid);
    TRY_CTX(procfs_stat(fd, "stat", &s), "process %d", (int)pid);
    *ret = s.start;
    return NULL;
}

struct err *pid_open(struct ctx *ctx, struct pid_id id, int *ret_fd)
{
    AUTO(closep) int fd = pidfd_open(id.pid, 0);
    uint64_t start = 0;

    if (fd < 0)
        return errno == ESRCH ? err_new(ERR_NOTFOUND, "process %d is gone", (int)id.pid)
                              : err_sys(errno, "cannot open process %d", (int)id.pid);
    /* After the open, not before it: now the pid cannot change hands unseen. */
    TRY(pid_start(ctx, id.pid, &start));
    if (start != id.start)
        return err_new(ERR_NOTFOUND, "process %d is gone; its number belongs to another one",
                       (int)id.pid);
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

struct err *pid_signal(struct ctx *ctx, struct pid_id id, int sig)
{
    AUTO(closep) int fd = -1;

    TRY(pid_open(ctx, id, &fd));
    if (pidfd_send_signal(fd, sig, NULL, 0) == 0)
        return NULL;
    return errno == ESRCH ? err_new(ERR_NOTFOUND, "process %d is gone", (int)id.pid)
                          : err_sys(errno, "cannot signal process %d", (int)id.pid);
}
