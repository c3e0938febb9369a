/* Named mount and network namespaces: made by a child, bound on a file by the parent, so that they
 * live without a process. A half-made one is taken apart again. */
#include "host/ns.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "host/mounts.h"
#include "io/fsroot.h"

static int clone_flag(enum ns_kind kind)
{
    return kind == NS_MNT ? CLONE_NEWNS : CLONE_NEWNET;
}

/* Real paths only: a namespace cannot be bound below a made-up root. */
static struct err *mount_over(struct ctx *ctx, const char *path, bool *ret_shared,
                              bool *ret_at_path)
{
    AUTO(mounts_clear) struct mounts m = {0};

    TRY(mounts_read(ctx, &m));
    const struct mount_info *on = mounts_over(&m, path);
    if (!on)
        return err_new(ERR_CORRUPT, "the table of mounts has no root");
    *ret_shared = on->shared != 0;
    *ret_at_path = str_eq(on->target, path);
    return NULL;
}

struct err *ns_dir_make(struct ctx *ctx, const char *dir)
{
    bool shared = false, at = false;

    TRY(fsroot_mkdirs(ctx->root, dir, 0755));
    TRY(mount_over(ctx, dir, &shared, &at));
    if (!shared)
        return NULL;
    return at ? mounts_make_private(dir, false) : mounts_bind(dir, dir);
}

struct err *ns_dir_remove(struct ctx *ctx, const char *dir)
{
    bool shared = false, at = false;
    struct stat st;
    struct err *e = fsroot_stat(ctx->root, dir, &st);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    TRY(mount_over(ctx, dir, &shared, &at));
    if (at)
        TRY(mounts_umount(dir));
    if (rmdir(dir) == 0 || errno == ENOENT)
        return NULL;
    if (errno == ENOTEMPTY || errno == EBUSY || errno == EEXIST)
        return err_new(ERR_REFUSED, "cannot remove '%s': it is not empty", dir);
    return err_sys(errno, "cannot remove '%s'", dir);
}

struct err *ns_lo_up(void)
{
    struct ifreq ifr = {.ifr_name = "lo"};
    AUTO(closep) int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (s < 0)
        return err_sys(errno, "cannot open a socket to bring lo up");
    if (ioctl(s, SIOCGIFFLAGS, &ifr) < 0)
        return err_sys(errno, "cannot read the flags of lo");
    ifr.ifr_flags = (short)(ifr.ifr_flags | IFF_UP);
    if (ioctl(s, SIOCSIFFLAGS, &ifr) < 0)
        return err_sys(errno, "cannot bring lo up");
    return NULL;
}

/* In the child, after fork: system calls only. Says 0 or an errno on ready, then lives until the
 * parent closes its end of go. */
static void child_main(enum ns_kind kind, int cpu, int ready, int go) __attribute__((noreturn));
static void child_main(enum ns_kind kind, int cpu, int ready, int go)
{
    cpu_set_t set;
    int e = 0;
    char c;

    if (cpu >= 0) {
        CPU_ZERO(&set);
        CPU_SET((size_t)cpu, &set);
        (void)sched_setaffinity(0, sizeof(set), &set); /* no such CPU: a second try as any other */
    }
    if (unshare(clone_flag(kind)) < 0)
        e = errno;
    /* Or every mount made in there would show up outside, and the other way round. */
    else if (kind == NS_MNT && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        e = errno;
    if (write(ready, &e, sizeof(e)) == (ssize_t)sizeof(e))
        while (read(go, &c, 1) < 0 && errno == EINTR)
            ;
    _exit(0);
}

struct helper {
    pid_t pid;
    int ready, go; /* our ends */
};

static void helper_end(struct helper *h)
{
    closep(&h->ready);
    closep(&h->go);
    if (h->pid > 0)
        while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
            ;
}

static struct err *helper_start(enum ns_kind kind, int cpu, struct helper *h)
{
    int ready[2], go[2], e = 0;

    if (pipe2(ready, O_CLOEXEC) < 0)
        return err_sys(errno, "cannot make a pipe");
    h->ready = ready[0];
    AUTO(closep) int ready_w = ready[1];
    if (pipe2(go, O_CLOEXEC) < 0)
        return err_sys(errno, "cannot make a pipe");
    h->go = go[1];
    AUTO(closep) int go_r = go[0];
    h->pid = fork();
    if (h->pid < 0)
        return err_sys(errno, "cannot start a process for the namespace");
    if (h->pid == 0) {
        close(h->ready);
        close(h->go); /* or it would wait for itself */
        child_main(kind, cpu, ready_w, go_r);
    }
    close(TAKE_FD(ready_w));
    ssize_t n;
    while ((n = read(h->ready, &e, sizeof(e))) < 0 && errno == EINTR)
        ;
    if (n != (ssize_t)sizeof(e))
        return err_new(ERR_BUG, "the process for the namespace ended at once");
    return e ? err_sys(e, "cannot make a namespace") : NULL;
}

static struct err *bind_ns(const struct helper *h, const char *path, enum ns_kind kind)
{
    AUTO(freep)
    char *source = xasprintf("/proc/%d/ns/%s", (int)h->pid, kind == NS_MNT ? "mnt" : "net");

    if (mount(source, path, NULL, MS_BIND, NULL) == 0)
        return NULL;
    return err_sys(errno, "cannot bind a namespace at '%s'", path);
}

/* lo must go up inside: a child joins, because joining cannot be undone in every process. */
static struct err *lo_up_in(const char *path)
{
    int status = 0;
    pid_t pid = fork();

    if (pid < 0)
        return err_sys(errno, "cannot start a process for the namespace");
    if (pid == 0) {
        struct err *e = ns_enter(path, NS_NET);

        e = e ? e : ns_lo_up();
        _exit(e ? 1 : 0);
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_sys(errno, "cannot wait for a process");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_new(ERR_SYS, "cannot bring lo up in the namespace '%s'", path);
    return NULL;
}

/* One try; the namespace is on the path afterwards, or it is gone. */
static struct err *create_on(const char *path, enum ns_kind kind, int cpu)
{
    AUTO(helper_end) struct helper h = {.ready = -1, .go = -1};

    TRY(helper_start(kind, cpu, &h));
    return bind_ns(&h, path, kind);
}

static bool refused(const struct err *e)
{
    return e && e->kind == ERR_SYS && e->sys == EINVAL;
}

/* The kernel binds only a mount namespace that is younger than ours, and takes the id as its age.
 * On Linux 6.18 ids grow on each CPU by themselves, so that a new one may look older (seen in one
 * of two tries where ours is not the machine's first): then another CPU's does not. */
static struct err *create(const char *path, enum ns_kind kind)
{
    long cpus = sysconf(_SC_NPROCESSORS_CONF);
    struct err *e = create_on(path, kind, -1);

    for (int cpu = 0; refused(e) && kind == NS_MNT && cpu < cpus && cpu < CPU_SETSIZE; cpu++) {
        err_free(e);
        e = create_on(path, kind, cpu);
    }
    if (!refused(e))
        return e;
    err_free(e);
    return err_new(ERR_REFUSED,
                   "cannot bind a namespace at '%s': it is on a mount that is shared with others",
                   path);
}

struct err *ns_create(struct ctx *ctx, const char *path, enum ns_kind kind)
{
    AUTO(closep) int fd = -1;
    struct err *e;

    (void)ctx;
    fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
    if (fd < 0)
        return errno == EEXIST ? err_new(ERR_REFUSED, "'%s' exists already", path)
                               : err_sys(errno, "cannot make '%s'", path);
    e = create(path, kind);
    if (!e && kind == NS_NET) {
        e = lo_up_in(path);
        if (e)
            (void)err_free(mounts_umount(path)); /* the first failure is the one to tell */
    }
    if (e)
        unlink(path);
    return e;
}

struct err *ns_enter(const char *path, enum ns_kind kind)
{
    AUTO(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? err_new(ERR_NOTFOUND, "no namespace '%s'", path)
                               : err_sys(errno, "cannot open the namespace '%s'", path);
    if (setns(fd, clone_flag(kind)) < 0)
        return err_sys(errno, "cannot enter the namespace '%s'", path);
    return NULL;
}

struct err *ns_delete(struct ctx *ctx, const char *path)
{
    struct err *e = mounts_umount(path);

    (void)ctx;
    if (e && e->kind != ERR_NOTFOUND)
        return e;
    err_free(e); /* bound nowhere: a file that was left behind */
    if (unlink(path) < 0 && errno != ENOENT)
        return err_sys(errno, "cannot remove '%s'", path);
    return NULL;
}
