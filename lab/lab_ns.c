/* The lab's mount and network namespace. A process cannot leave a mount namespace that it has
 * entered without losing its view of files, so each piece of work there is a forked child that
 * answers through a pipe: one byte for "done", or the kind and text of its error. */
#include "lab/lab_ns.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "host/mounts.h"
#include "host/ns.h"
#include "host/pids.h"
#include "io/fsroot.h"
#include "lab/lab.h"

struct answer {
    int failed; /* 0, or 1 + enum err_kind */
    pid_t pid;
    char text[LAB_NS_SAID_B];
};

typedef struct err *work_fn(struct ctx *ctx, void *arg, struct answer *a);

static struct err *work_inside(struct ctx *ctx, work_fn *fn, void *arg, struct answer *a)
{
    AUTO(fsroot_closep) struct fsroot *root = NULL;
    struct ctx inside = *ctx;

    TRY(ns_enter(LAB_NS_NET, NS_NET));
    TRY(ns_enter(LAB_NS_MNT, NS_MNT));
    /* The old root's descriptor would still lead to the host's mounts. */
    TRY(fsroot_open("/", &root));
    inside.root = root;
    return fn(&inside, arg, a);
}

static struct err *in_lab(struct ctx *ctx, work_fn *fn, void *arg, struct answer *ret)
{
    AUTO(closep) int rd = -1;
    AUTO(closep) int wr = -1;
    struct answer a = {0};
    int fds[2], status;
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_sys(errno, "cannot make a pipe");
    rd = fds[0];
    wr = fds[1];
    pid = fork();
    if (pid < 0)
        return err_sys(errno, "cannot fork");
    if (pid == 0) {
        struct err *e = work_inside(ctx, fn, arg, &a);

        a.failed = e ? 1 + (int)e->kind : 0;
        if (e)
            snprintf(a.text, sizeof(a.text), "%s", e->text);
        _exit(write(fds[1], &a, sizeof(a)) == sizeof(a) ? 0 : 1);
    }
    close(TAKE_FD(wr));
    ssize_t n;
    while ((n = read(rd, &a, sizeof(a))) < 0 && errno == EINTR)
        ;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (n != sizeof(a))
        return err_new(ERR_BUG, "the helper in the lab's namespaces died without a word");
    if (a.failed)
        return err_new((enum err_kind)(a.failed - 1), "%s", a.text);
    *ret = a;
    return NULL;
}

static bool exists(struct ctx *ctx, const char *path)
{
    struct stat st;
    struct err *e = fsroot_stat(ctx->root, path, &st);

    err_free(e);
    return !e;
}

struct err *lab_ns_make(struct ctx *ctx, bool *ret_changed)
{
    *ret_changed = false;
    TRY(ns_dir_make(ctx, LAB_NS));
    if (!exists(ctx, LAB_NS_NET)) {
        TRY(ns_create(ctx, LAB_NS_NET, NS_NET));
        *ret_changed = true;
    }
    if (!exists(ctx, LAB_NS_MNT)) {
        TRY(ns_create(ctx, LAB_NS_MNT, NS_MNT));
        *ret_changed = true;
    }
    return NULL;
}

static struct err *mount_srv(struct ctx *ctx, void *arg, struct answer *a)
{
    AUTO(mounts_clear) struct mounts m = {0};

    TRY(mounts_read(ctx, &m));
    const struct mount_info *at = mounts_at(&m, "/srv");
    if (at && str_eq(at->source, "agavectl-lab"))
        return NULL;
    if (!exists(ctx, "/srv"))
        return err_new(ERR_ABSENT, "'/srv' is not there; make it with 'mkdir /srv'");
    return mounts_mount("agavectl-lab", "/srv", "tmpfs", "mode=0755,size=16M");
}

struct err *lab_ns_mount_srv(struct ctx *ctx)
{
    struct answer a;

    return in_lab(ctx, mount_srv, NULL, &a);
}

static bool below_srv(const char *path)
{
    return str_eq(path, "/srv") || str_starts(path, "/srv/");
}

/* Later mounts first: that is the order in which nothing is covered by anything. The table is read
 * anew after each one, because unmounting a shared mount may take its copies along. */
static struct err *umount_srv(struct ctx *ctx, void *arg, struct answer *a)
{
    for (int round = 0; round < 64; round++) {
        AUTO(mounts_clear) struct mounts m = {0};
        const char *last = NULL;

        TRY(mounts_read(ctx, &m));
        for (size_t i = 0; i < m.n; i++)
            if (below_srv(m.items[i].target))
                last = m.items[i].target;
        if (!last)
            return NULL;
        TRY(mounts_umount(last));
    }
    return err_new(ERR_REFUSED, "more than 64 mounts below '/srv' of the lab");
}

/* Is there a namespace, or only the file that one was to be bound on when `lab up` was killed? */
static bool bound(const char *path)
{
    struct statfs st;

    return statfs(path, &st) == 0 && st.f_type == NSFS_MAGIC;
}

struct err *lab_ns_umount_srv(struct ctx *ctx)
{
    struct answer a;

    return lab_ns_there() ? in_lab(ctx, umount_srv, NULL, &a) : NULL;
}

struct err *lab_ns_remove(struct ctx *ctx)
{
    TRY(ns_delete(ctx, LAB_NS_MNT));
    TRY(ns_delete(ctx, LAB_NS_NET));
    return ns_dir_remove(ctx, LAB_NS);
}

static struct err *spawn(struct ctx *ctx, void *arg, struct answer *a)
{
    return proc_spawn_daemon(arg, &a->pid);
}

struct err *lab_ns_spawn(struct ctx *ctx, const struct proc_daemon_spec *spec, pid_t *ret_pid)
{
    struct proc_daemon_spec copy = *spec;
    struct answer a;

    TRY(in_lab(ctx, spawn, &copy, &a));
    *ret_pid = a.pid;
    return NULL;
}

struct work {
    lab_ns_work *fn;
    void *arg;
};

static struct err *run_work(struct ctx *ctx, void *arg, struct answer *a)
{
    const struct work *w = arg;

    return w->fn(ctx, w->arg, a->text);
}

struct err *lab_ns_run(struct ctx *ctx, lab_ns_work *fn, void *arg, char ret_said[LAB_NS_SAID_B])
{
    struct work w = {fn, arg};
    struct answer a;

    TRY(in_lab(ctx, run_work, &w, &a));
    if (ret_said)
        memcpy(ret_said, a.text, sizeof(a.text));
    return NULL;
}

bool lab_ns_there(void)
{
    return bound(LAB_NS_MNT) && bound(LAB_NS_NET);
}

struct err *lab_ns_users(struct ctx *ctx, char **ret)
{
    AUTO(pids_clear) struct pids all = {0};
    AUTO(strbuf_clear) struct strbuf who = {0};
    struct pids_match anyone = {0};
    struct stat st;
    struct err *e = fsroot_stat(ctx->root, LAB_NS_MNT, &st);

    *ret = NULL;
    if (e && e->kind == ERR_NOTFOUND) {
        err_free(e);
        return NULL;
    }
    if (e)
        return e;
    TRY(pids_find(ctx, &anyone, &all));
    for (size_t i = 0; i < all.n; i++)
        if (all.items[i].ns_mnt == st.st_ino && all.items[i].id.pid != getpid())
            strbuf_printf(&who, "%sprocess %d (%s)", who.len ? ", " : "", all.items[i].id.pid,
                          all.items[i].comm);
    if (who.len)
        *ret = strbuf_take(&who);
    return NULL;
}

struct err *lab_enter(void)
{
    AUTO(freep) char *cwd = getcwd(NULL, 0);

    TRY(ns_enter(LAB_NS_NET, NS_NET));
    TRY(ns_enter(LAB_NS_MNT, NS_MNT));
    /* Entering moved us to the root; a folder that does not exist in the lab leaves us there. */
    if (cwd && chdir(cwd) < 0 && chdir("/") < 0)
        return err_sys(errno, "cannot enter '/'");
    return NULL;
}
