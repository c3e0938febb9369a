/* A made-up host: files in a temporary folder that fsroot takes for "/". */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/str.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "io/proc.h"

void assert_ok_(struct err *e, const char *file, int line)
{
    if (!e)
        return;
    print_error("%s (%s)\n", e->text, err_kind_name(e->kind));
    err_free(e);
    _fail(file, line);
}

void assert_err_(struct err *e, int kind, const char *part, const char *file, int line)
{
    bool right = e && e->kind == (enum err_kind)kind && (!part || strstr(e->text, part));

    if (!right)
        print_error("wanted '%s' (%s), got %s\n", part ? part : "", err_kind_name(kind),
                    e ? e->text : "no error");
    err_free(e);
    if (!right)
        _fail(file, line);
}

/* Folders that this process made: a test that fails jumps over fixture_clear. */
static struct {
    pid_t pid;
    struct strlist dirs;
} made;

static void remove_made(void)
{
    for (size_t i = 0; getpid() == made.pid && i < made.dirs.n; i++)
        remove_tree(made.dirs.items[i]);
    strlist_clear(&made.dirs);
}

static void note_made(const char *dir)
{
    if (made.pid != getpid()) { /* a child leaves its parent's alone */
        strlist_clear(&made.dirs);
        made.pid = getpid();
        atexit(remove_made);
    }
    strlist_add(&made.dirs, dir);
}

void fixture_new(struct fixture *f)
{
    char dir[] = "/tmp/agavectl-unit-XXXXXX";

    assert_non_null(mkdtemp(dir));
    note_made(dir);
    f->dir = xstrdup(dir);
    f->ctx = (struct ctx){.clock = &clock_system, .proc = &proc_system};
    assert_ok(fsroot_open(dir, &f->ctx.root));
}

void fill_disk(const char *dir)
{
    AUTO(freep) char *path = xasprintf("%s/filler", dir);
    char block[4096] = "x";
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    while (write(fd, block, sizeof(block)) > 0)
        ;
    assert_int_equal(errno, ENOSPC);
    close(fd);
}

void fixture_clear(struct fixture *f)
{
    f->ctx.root = fsroot_close(f->ctx.root);
    remove_tree(f->dir);
    freep(&f->dir);
}

static void parents(struct fixture *f, const char *path)
{
    AUTO(freep) char *dir = xstrdup(path);

    *strrchr(dir, '/') = '\0';
    if (*dir)
        assert_ok(fsroot_mkdirs(f->ctx.root, dir, 0755));
}

void fixture_dir(struct fixture *f, const char *path)
{
    assert_ok(fsroot_mkdirs(f->ctx.root, path, 0755));
}

bool fixture_has(const struct fixture *f, const char *path)
{
    AUTO(freep) char *full = xasprintf("%s%s", f->dir, path);
    struct stat st;

    return lstat(full, &st) == 0;
}

void fixture_put(struct fixture *f, const char *path, const char *fmt, ...)
{
    AUTO(freep) char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    assert_true(vasprintf(&text, fmt, ap) >= 0);
    va_end(ap);
    parents(f, path);
    assert_ok(fsroot_write_atomic(f->ctx.root, path, text, strlen(text), 0644));
}

void fixture_link(struct fixture *f, const char *path, const char *target)
{
    AUTO(freep) char *full = fsroot_path(f->ctx.root, path);

    parents(f, path);
    unlink(full);
    assert_int_equal(symlink(target, full), 0);
}

static void put_stat(struct fixture *f, const char *path, int pid, const char *comm, char state,
                     unsigned long long start)
{
    fixture_put(f, path, "%d (%s) %c 1 1 1 0 -1 4194560 9 0 0 0 1 2 3 4 20 0 1 0 %llu 99 7\n", pid,
                comm, state, start);
}

void fixture_thread(struct fixture *f, int pid, int tid, const char *comm, char state,
                    const char *wchan, const char *stack)
{
    AUTO(freep) char *dir = xasprintf("/proc/%d/task/%d", pid, tid);
    AUTO(freep) char *stat = xasprintf("%s/stat", dir);
    AUTO(freep) char *wchan_name = xasprintf("%s/wchan", dir);
    AUTO(freep) char *stack_name = xasprintf("%s/stack", dir);

    put_stat(f, stat, tid, comm, state, 5);
    fixture_put(f, wchan_name, "%s", wchan);
    if (stack)
        fixture_put(f, stack_name, "%s", stack);
}

void fixture_process(struct fixture *f, int pid, const char *comm, const char *exe,
                     const char *argv, unsigned long long start)
{
    AUTO(freep) char *dir = xasprintf("/proc/%d", pid);
    AUTO(freep) char *stat = xasprintf("%s/stat", dir);
    AUTO(freep) char *cmdline = xasprintf("%s/cmdline", dir);
    AUTO(freep) char *status = xasprintf("%s/status", dir);
    AUTO(freep) char *cgroup = xasprintf("%s/cgroup", dir);
    AUTO(freep) char *exe_name = xasprintf("%s/exe", dir);
    AUTO(freep) char *mnt = xasprintf("%s/ns/mnt", dir);
    AUTO(freep) char *net = xasprintf("%s/ns/net", dir);
    AUTO(freep) char *fd = xasprintf("%s/fd", dir);
    AUTO(strbuf_clear) struct strbuf words = {0};

    put_stat(f, stat, pid, comm, 'S', start);
    for (const char *c = argv; *c; c++)
        strbuf_add(&words, *c == ' ' ? "" : c, 1);
    if (words.len)
        strbuf_add(&words, "", 1);
    parents(f, cmdline);
    assert_ok(fsroot_write_atomic(f->ctx.root, cmdline, strbuf_text(&words), words.len, 0644));
    fixture_put(f, status, "Name:\t%s\nUmask:\t0022\nUid:\t1000\t1001\t1000\t1000\n", comm);
    fixture_put(f, cgroup, "1:cpu:/\n0::/system.slice/%s.service\n", comm);
    if (exe)
        fixture_link(f, exe_name, exe);
    fixture_link(f, mnt, "mnt:[4026531840]");
    fixture_link(f, net, "net:[4026531900]");
    fixture_dir(f, fd);
    fixture_thread(f, pid, pid, comm, 'S', "futex_wait_queue", NULL);
}
