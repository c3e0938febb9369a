/* host/pids: processes and threads, on a made-up /proc and on our own real children. */
#include "host/pids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/str.h"
#include "fixture.h"
#include "host/pid_files.h"
#include "host/procfs.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "io/proc.h"

static void made_up(struct fixture *f)
{
    fixture_new(f);
    fixture_put(f, "/proc/self/stat", "1 (test) S 0\n");
    fixture_process(f, 10, "agave-validator", "/opt/agave/bin/agave-validator",
                    "/opt/agave/bin/agave-validator --ledger /srv/solana/ledger", 1000);
    fixture_process(f, 11, "agave-validator", "/opt/old/agave-validator (deleted)", "sleep 9",
                    1100);
    fixture_process(f, 12, "bash", "/bin/bash", "bash agave-validator", 1200);
    /* on its way out: no memory, so neither executable nor arguments */
    fixture_process(f, 13, "agave-validator", NULL, "", 1300);
    fixture_process(f, 14, "a) R (b", "/bin/odd", "odd", 1400);
    fixture_put(f, "/proc/uptime", "1 1\n");
}

static void stat_with_brackets_in_the_name(void **state)
{
    struct proc_stat s;

    assert_ok(procfs_stat_parse("14 (a) R (b) S 3 1 1 0 -1 4194560 9 0 0 0 1 2 3 4 20 0 1 0 "
                                "18446744073709551615 99\n",
                                &s));
    assert_string_equal(s.comm, "a) R (b");
    assert_int_equal(s.state, 'S');
    assert_int_equal(s.ppid, 3);
    assert_true(s.start == UINT64_MAX);
    assert_err(procfs_stat_parse("14 (a) S 3 1 1", &s), ERR_CORRUPT, "fields");
    assert_err(procfs_stat_parse("14 a S 3", &s), ERR_CORRUPT, NULL);
    assert_err(procfs_stat_parse("", &s), ERR_CORRUPT, NULL);
}

/* A child in a pid namespace of its own still has its parent's /proc: nothing in it can be
 * believed.
 */
static void a_proc_of_another_pid_namespace_is_refused(void **state)
{
    AUTO(fsroot_closep) struct fsroot *root = NULL;
    struct ctx ctx = {.clock = &clock_system};
    int status = -1;

    assert_ok(fsroot_open("/", &root));
    ctx.root = root;
    assert_ok(procfs_mounted(&ctx));
    pid_t outer = fork();
    assert_true(outer >= 0);
    if (outer == 0) {
        if (unshare(CLONE_NEWPID) < 0)
            _exit(77);
        pid_t inner = fork();
        if (inner == 0) {
            AUTO(freep) pid_t *pids = NULL;
            size_t n = 0;
            struct err *e = procfs_pids(&ctx, &pids, &n);
            _exit(e && e->kind == ERR_SYS && strstr(e->text, "another pid namespace") ? 0 : 1);
        }
        _exit(waitpid(inner, &status, 0) == inner && WIFEXITED(status) ? WEXITSTATUS(status) : 2);
    }
    assert_int_equal(waitpid(outer, &status, 0), outer);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        print_message("# not real: namespaces: a pid namespace of its own is not allowed here\n");
    else
        assert_int_equal(WEXITSTATUS(status), 0);
}

static void found_by_name_even_on_the_way_out(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(pids_clear) struct pids p = {0};
    AUTO(pids_clear) struct pids by_arg = {0};
    AUTO(pids_clear) struct pids by_exe = {0};

    made_up(&f);
    assert_ok(pids_find(&f.ctx, &(struct pids_match){.name = "agave-validator"}, &p));
    assert_int_equal(p.n, 3);
    assert_int_equal(p.items[0].id.pid, 10);
    assert_true(p.items[0].id.start == 1000);
    assert_int_equal(p.items[0].uid, 1001);
    assert_string_equal(p.items[0].cgroup, "/system.slice/agave-validator.service");
    assert_true(p.items[0].ns_mnt == 4026531840);
    assert_string_equal(p.items[0].argv[2], "/srv/solana/ledger");
    assert_null(p.items[0].argv[3]);
    assert_int_equal(p.items[1].id.pid, 11);
    assert_int_equal(p.items[2].id.pid, 13);
    assert_null(p.items[2].exe);
    const struct pids_match arg = {.name = "agave-validator", .arg = "/srv/solana/ledger"};
    assert_ok(pids_find(&f.ctx, &arg, &by_arg));
    assert_int_equal(by_arg.n, 1);
    assert_ok(pids_find(&f.ctx, &(struct pids_match){.exe = "/opt/old/agave-validator"}, &by_exe));
    assert_int_equal(by_exe.n, 1);
    assert_int_equal(by_exe.items[0].id.pid, 11);
}

/* Whoever made the tree does not decide which files of this machine are read. */
static void no_link_leads_out_of_a_tree(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(closep) int fd = -1, out = -1;
    AUTO(freep) char *text = NULL;
    AUTO(freep) pid_t *list = NULL;
    struct stat st;
    size_t n = 0;

    fixture_new(&f);
    fixture_process(&f, 70, "x", "/opt/x", "x", 5);
    fixture_link(&f, "/proc/70/cgroup", "/etc/passwd");
    fixture_link(&f, "/proc/70/wchan", "../../../../../../etc/passwd");
    fixture_link(&f, "/proc/70/net", "/proc/self/net");
    fixture_link(&f, "/proc/70/fdinfo", "/proc/self/fd");
    fixture_link(&f, "/proc/70/fd/3", "/etc/passwd");
    AUTO(freep) char *pipe_path = fsroot_path(f.ctx.root, "/proc/70/limits");
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    assert_ok(procfs_open(&f.ctx, 70, &fd));
    assert_err(procfs_read(fd, "cgroup", 1 << 20, &text, NULL), ERR_SYS, "cgroup");
    assert_err(procfs_read(fd, "wchan", 1 << 20, &text, NULL), ERR_SYS, "wchan");
    assert_err(procfs_read(fd, "net/dev", 1 << 20, &text, NULL), ERR_SYS, "net/dev");
    assert_err(procfs_numbers(fd, "fdinfo", &list, &n), ERR_SYS, "fdinfo");
    assert_err(procfs_openat(fd, "../71", O_DIRECTORY, &out), ERR_SYS, NULL);
    assert_ok(procfs_read(fd, "limits", 1 << 20, &text, &n)); /* does not wait for a writer */
    assert_int_equal(n, 0);
    assert_ok(procfs_stat_file(fd, "fd/3", &st));
    assert_true(S_ISLNK(st.st_mode));
}

static void without_proc_nothing_is_gone(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(pids_clear) struct pids p = {0};
    uint32_t left = 77;

    fixture_new(&f);
    fixture_dir(&f, "/proc");
    assert_err(pids_find(&f.ctx, &(struct pids_match){.name = "x"}, &p), ERR_SYS, "/proc");
    assert_err(pids_threads_left(&f.ctx, 10, 1000, &left), ERR_SYS, "/proc");
    assert_int_equal(left, 77);
}

static uint32_t left_of(struct fixture *f, int pid, uint64_t start)
{
    uint32_t left = 99;

    assert_ok(pids_threads_left(&f->ctx, pid, start, &left));
    return left;
}

static void threads_left_and_stuck(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(threads_clear) struct threads t = {0};

    made_up(&f);
    fixture_thread(&f, 10, 21, "solReplay", 'S', "0", NULL);
    fixture_thread(&f, 10, 22, "iou-wrk-21", 'D', "io_wq_put_and_exit",
                   "[<0>] io_wq_put_and_exit+0x1\n[<0>] dsl_dir_tempreserve_space+0x2\n");
    assert_int_equal(left_of(&f, 10, 1000), 3);
    assert_int_equal(left_of(&f, 10, 1001), 0); /* the number belongs to another process now */
    assert_int_equal(left_of(&f, 4242, 1), 0);
    assert_ok(pid_threads_stuck(&f.ctx, (struct pid_id){10, 1000}, &t));
    assert_int_equal(t.n, 1);
    assert_int_equal(t.items[0].tid, 22);
    assert_string_equal(t.items[0].comm, "iou-wrk-21");
    assert_string_equal(t.items[0].wchan, "io_wq_put_and_exit");
    assert_non_null(strstr(t.items[0].stack, "dsl_dir_tempreserve_space"));
    /* a zombie leader whose thread is left still counts; alone it does not */
    fixture_thread(&f, 10, 10, "agave-validator", 'Z', "0", NULL);
    fixture_thread(&f, 10, 21, "solReplay", 'X', "0", NULL);
    assert_int_equal(left_of(&f, 10, 1000), 1);
    fixture_thread(&f, 10, 22, "iou-wrk-21", 'Z', "0", NULL);
    assert_int_equal(left_of(&f, 10, 1000), 0);
}

static struct ctx real_ctx(void)
{
    struct ctx ctx = {.clock = &clock_system, .proc = &proc_system};

    assert_ok(fsroot_open("/", &ctx.root));
    return ctx;
}

static void ctx_clear(struct ctx *ctx)
{
    ctx->root = fsroot_close(ctx->root);
}

struct child {
    pid_t pid;
    int ready, go;
};

/* Runs body in a child and returns when it said that it is ready; it then waits to be ended. */
static struct child child_start(void (*body)(void *), void *arg)
{
    int ready[2], go[2];
    char c;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(ready[0]);
        close(go[1]);
        body(arg);
        if (write(ready[1], "", 1) == 1)
            while (read(go[0], &c, 1) < 0)
                ;
        _exit(0);
    }
    assert_true(pid > 0);
    close(ready[1]);
    close(go[0]);
    assert_int_equal(read(ready[0], &c, 1), 1);
    return (struct child){.pid = pid, .ready = ready[0], .go = go[1]};
}

static void child_end(struct child *c)
{
    closep(&c->ready);
    closep(&c->go);
    if (c->pid > 0)
        waitpid(c->pid, NULL, 0);
}

static void lock_file(void *arg)
{
    int fd = open(arg, O_RDWR | O_CLOEXEC);

    if (fd < 0 || flock(fd, LOCK_EX) < 0)
        _exit(1);
}

static void lock_and_pass_on(void *arg)
{
    lock_file(arg);
    /* the child that holds it now is not the process that took it */
    if (fork() > 0)
        _exit(0);
}

static void temp_file(char *path)
{
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 8192), 0);
    close(fd);
}

static void a_real_flock_has_a_holder(void **state)
{
    AUTO(ctx_clear) struct ctx ctx = real_ctx();
    char path[] = "/tmp/agavectl-lock-XXXXXX";
    AUTO(pids_clear) struct pids none = {0};
    AUTO(pids_clear) struct pids p = {0};

    temp_file(path);
    assert_ok(pids_flock_holders(&ctx, path, &none));
    assert_int_equal(none.n, 0);
    AUTO(child_end) struct child c = child_start(lock_file, path);
    assert_ok(pids_flock_holders(&ctx, path, &p));
    assert_int_equal(p.n, 1);
    assert_int_equal(p.items[0].id.pid, c.pid);
    unlink(path);
}

static void an_inherited_flock_has_a_holder(void **state)
{
    AUTO(ctx_clear) struct ctx ctx = real_ctx();
    char path[] = "/tmp/agavectl-lock-XXXXXX";
    AUTO(pids_clear) struct pids p = {0};

    temp_file(path);
    AUTO(child_end) struct child c = child_start(lock_and_pass_on, path);
    waitpid(c.pid, NULL, 0); /* the one that took the lock is gone for good */
    assert_ok(pids_flock_holders(&ctx, path, &p));
    assert_int_equal(p.n, 1);
    assert_int_not_equal(p.items[0].id.pid, c.pid);
    c.pid = 0;
    unlink(path);
}

static void map_file(void *arg)
{
    int fd = open(arg, O_RDWR | O_CLOEXEC);

    if (fd < 0 || mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
        _exit(1);
    close(fd);
}

static void open_file(void *arg)
{
    if (open(arg, O_RDONLY | O_CLOEXEC) < 0)
        _exit(1);
}

static void go_there(void *arg)
{
    if (chdir(arg) < 0)
        _exit(1);
}

static void real_users_of_a_folder(void **state)
{
    AUTO(ctx_clear) struct ctx ctx = real_ctx();
    char dir[] = "/tmp/agavectl-dir-XXXXXX";
    AUTO(pids_clear) struct pids none = {0};
    AUTO(pids_clear) struct pids p = {0};

    assert_non_null(mkdtemp(dir));
    AUTO(freep) char *file = xasprintf("%s/file-XXXXXX", dir);
    temp_file(file);
    assert_ok(pids_using(&ctx, dir, &none));
    assert_int_equal(none.n, 0);
    AUTO(child_end) struct child a = child_start(map_file, file);
    AUTO(child_end) struct child b = child_start(open_file, file);
    AUTO(child_end) struct child c = child_start(go_there, dir);
    assert_ok(pids_using(&ctx, dir, &p));
    assert_int_equal(p.n, 3);
    unlink(file); /* still in use, under a name with " (deleted)" */
    AUTO(pids_clear) struct pids q = {0};
    assert_ok(pids_using(&ctx, dir, &q));
    assert_int_equal(q.n, 3);
    rmdir(dir);
}

static void nothing(void *arg)
{
    (void)arg;
}

static void signals_reach_only_the_same_process(void **state)
{
    AUTO(ctx_clear) struct ctx ctx = real_ctx();
    AUTO(child_end) struct child c = child_start(nothing, NULL);
    struct pid_id id = {.pid = c.pid}, other;
    uint32_t left = 9;
    siginfo_t info;

    assert_ok(pid_start(&ctx, id.pid, &id.start));
    other = (struct pid_id){.pid = id.pid, .start = id.start + 1};
    assert_err(pid_signal(&ctx, other, SIGKILL), ERR_NOTFOUND, "another one");
    assert_ok(pid_signal(&ctx, id, 0));
    assert_ok(pids_threads_left(&ctx, id.pid, id.start, &left));
    assert_int_equal(left, 1);
    assert_ok(pid_signal(&ctx, id, SIGKILL));
    assert_int_equal(waitid(P_PID, (id_t)id.pid, &info, WEXITED | WNOWAIT), 0);
    /* not reaped yet: a zombie, which counts as gone */
    assert_ok(pids_threads_left(&ctx, id.pid, id.start, &left));
    assert_int_equal(left, 0);
    waitpid(c.pid, NULL, 0);
    c.pid = 0;
    assert_err(pid_signal(&ctx, id, SIGKILL), ERR_NOTFOUND, "gone");
}

static void *stay(void *arg)
{
    char c;

    while (read(*(int *)arg, &c, 1) < 0)
        ;
    _exit(0);
}

/* A thread that never ends keeps the file open. */
static void leave_a_thread(const char *path)
{
    static int ends[2];
    pthread_t t;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (pipe(ends) < 0 || open(path, O_RDONLY | O_CLOEXEC) < 0 ||
        pthread_create(&t, NULL, stay, &ends[0]) != 0)
        _exit(1);
    pthread_exit(NULL);
}

static bool leader_is_zombie(pid_t pid)
{
    AUTO(freep) char *path = xasprintf("/proc/%d/stat", (int)pid);
    AUTO(fclosep) FILE *f = fopen(path, "re");
    char state = 0;

    return f && fscanf(f, "%*d (%*[^)]) %c", &state) == 1 && state == 'Z';
}

static struct err *zombie_probe(struct ctx *ctx, void *arg, bool *ret)
{
    *ret = leader_is_zombie(*(pid_t *)arg);
    return NULL;
}

static void a_zombie_leader_with_a_thread_is_not_gone(void **state)
{
    AUTO(ctx_clear) struct ctx ctx = real_ctx();
    char path[] = "/tmp/agavectl-open-XXXXXX";
    AUTO(pids_clear) struct pids p = {0};
    struct pid_id id = {0};
    uint32_t left = 9;

    temp_file(path);
    id.pid = fork();
    if (id.pid == 0)
        leave_a_thread(path);
    assert_ok(wait_until(&ctx, "the main thread to end", 5000, 10, zombie_probe, &id.pid));
    assert_ok(pid_start(&ctx, id.pid, &id.start));
    assert_ok(pids_threads_left(&ctx, id.pid, id.start, &left));
    assert_int_equal(left, 1);
    /* its open files are seen through the thread that is left */
    assert_ok(pids_using(&ctx, path, &p));
    assert_int_equal(p.n, 1);
    assert_int_equal(p.items[0].id.pid, id.pid);
    assert_ok(pid_signal(&ctx, id, SIGKILL));
    waitpid(id.pid, NULL, 0);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stat_with_brackets_in_the_name),
        cmocka_unit_test(found_by_name_even_on_the_way_out),
        cmocka_unit_test(no_link_leads_out_of_a_tree),
        cmocka_unit_test(without_proc_nothing_is_gone),
        cmocka_unit_test(threads_left_and_stuck),
        cmocka_unit_test(signals_reach_only_the_same_process),
        /* from here on other users' descriptors must be seen */
        cmocka_unit_test(a_real_flock_has_a_holder),
        cmocka_unit_test(a_proc_of_another_pid_namespace_is_refused),
        cmocka_unit_test(an_inherited_flock_has_a_holder),
        cmocka_unit_test(real_users_of_a_folder),
        cmocka_unit_test(a_zombie_leader_with_a_thread_is_not_gone),
    };
    size_t n = ARRAY_LEN(tests) - (geteuid() == 0 ? 0 : 4);

    if (n < ARRAY_LEN(tests))
        printf("# not real: namespaces: users of files are looked for by root only\n");
    return _cmocka_run_group_tests("pids", tests, n, NULL, NULL);
}
