/* A stop that does not come to its end, with the process driver and a validator that is stubborn in
 * one way or another (stubborn.c; STUBBORN: its path). Whatever happens: nothing is killed, the
 * text says who is left, and the next stop goes on. */
#include "real.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "fixture.h"
#include "flow/stop.h"
#include "host/loop.h"
#include "host/mkfs.h"
#include "host/mounts.h"
#include "host/pids.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "io/proc.h"

#define MIB   (1ULL << 20)
#define UP_MS 10000

static struct real *real;
static volatile sig_atomic_t cancelled;

struct world {
    struct ctx *ctx;
    const struct runtime *rt;
    struct unit u;
    char *dir, *ledger, *log, *bin, *other_bin;
    const char *argv[8];
};

/* The same program under a name of its own. */
static char *named(const char *dir, const char *name)
{
    char *path = xasprintf("%s/%s", dir, name);

    assert_int_equal(symlink(getenv("STUBBORN"), path), 0);
    return path;
}

static int setup(void **state)
{
    static const char *const env[] = {"PATH=/usr/bin:/bin", NULL};
    struct world *w = xcalloc(1, sizeof(*w));

    cancelled = 0;
    w->ctx = &real->ctx;
    w->rt = &runtime_process;
    w->dir = real_dir(real, "world");
    w->ledger = real_dir(real, "world/ledger");
    w->log = real_path(real, "world/log");
    w->bin = named(w->dir, "of-the-config");
    w->other_bin = named(w->dir, "of-the-command-line");
    w->u = (struct unit){.name = "stubborn",
                         .bin = w->bin,
                         .argv = w->argv,
                         .env = env,
                         .uid = UINT32_MAX,
                         .gid = UINT32_MAX,
                         .ledger = w->ledger,
                         .log = w->log,
                         .state_dir = w->dir,
                         .ladder_s = 1};
    *state = w;
    return 0;
}

static struct err *nobody(struct ctx *ctx, void *arg, bool *ret_done)
{
    struct pids_match match = {.exe = getenv("STUBBORN")};
    AUTO(pids_clear) struct pids found = {0};

    TRY(pids_find(ctx, &match, &found));
    *ret_done = true;
    for (size_t i = 0; i < found.n; i++) {
        struct err *e = pid_signal(ctx, found.items[i].id, SIGKILL); /* ours */

        err_free(e);
        *ret_done = false;
    }
    return NULL;
}

static int teardown(void **state)
{
    struct world *w = *state;

    cancelled = 0;
    assert_ok(wait_until(w->ctx, "the end of all", UP_MS, 20, nobody, NULL));
    remove_tree(w->dir);
    free(w->dir);
    free(w->ledger);
    free(w->log);
    free(w->bin);
    free(w->other_bin);
    free(w);
    return 0;
}

static void argv_of(struct world *w, const char *bin, const char *flag, const char *value)
{
    const char *argv[] = {bin, "--ledger", w->ledger, flag, value};

    memset(w->argv, 0, sizeof(w->argv));
    memcpy(w->argv, argv, sizeof(argv));
}

static struct err *is_running(struct ctx *ctx, void *arg, bool *ret_done)
{
    struct world *w = arg;
    struct unit_status st = {0};

    TRY(w->rt->status(ctx, &w->u, &st));
    *ret_done = st.phase == PH_RUNNING;
    return NULL;
}

static void until_running(struct world *w)
{
    assert_ok(wait_until(w->ctx, "the validator", UP_MS, 20, is_running, w));
}

static void start(struct world *w, const char *flag)
{
    argv_of(w, w->u.bin, flag, NULL);
    assert_ok(w->rt->start(w->ctx, &w->u));
    until_running(w);
}

static pid_t main_pid(struct world *w)
{
    AUTO(freep) pid_t *pids = NULL;
    size_t n = 0;

    assert_ok(w->rt->pids(w->ctx, &w->u, &pids, &n));
    return n ? pids[0] : 0;
}

static enum unit_phase phase(struct world *w)
{
    struct unit_status st = {0};

    assert_ok(w->rt->status(w->ctx, &w->u, &st));
    return st.phase;
}

static void has(const char *text, const char *want)
{
    if (!strstr(text, want))
        fail_msg("'%s' is not in: %s", want, text);
}

/* What it says about pid, and that the process is still there. */
static void stop_times_out(struct world *w, pid_t pid, const char *want)
{
    AUTO(freep) char *who = xasprintf("process %d (", pid);
    bool changed = false;
    AUTO(err_freep) struct err *e = flow_stop(w->ctx, w->rt, &w->u, NULL, &changed, NULL);

    assert_non_null(e);
    if (e->kind != ERR_TIMEOUT)
        fail_msg("%s: %s", err_kind_name(e->kind), e->text);
    assert_int_equal(err_exit_code(e), 5);
    has(e->text, who);
    has(e->text, want);
    has(e->text, "nothing was killed");
    has(e->text, "'agavectl stop'");
    assert_int_equal(kill(pid, 0), 0);
    assert_int_equal(main_pid(w), pid);
    assert_int_equal(phase(w), PH_STOPPING);
}

/* Ends the process when the stop has come to its wait, and sees it through. */
static void end_it_now(void *arg, const char *text)
{
    kill(*(pid_t *)arg, SIGCONT);
    kill(*(pid_t *)arg, SIGTERM);
}
static void on_begin(void *arg, const char *step)
{
}
static void on_end(void *arg, bool changed, const char *text)
{
}

static void stop_goes_on(struct world *w, pid_t pid)
{
    struct flow_report r = {.begin = on_begin, .progress = end_it_now, .end = on_end, .arg = &pid};
    bool changed = false;

    w->u.ladder_s = 30;
    assert_ok(flow_stop(w->ctx, w->rt, &w->u, &r, &changed, NULL));
    assert_true(changed);
    assert_int_equal(phase(w), PH_STOPPED);
}

static void one_that_never_ends_is_left_and_the_next_stop_goes_on(void **state)
{
    struct world *w = *state;

    start(w, NULL);
    pid_t pid = main_pid(w);
    stop_times_out(w, pid, "sleeping");
    stop_times_out(w, pid, "sleeping");
    stop_goes_on(w, pid);
}

static void one_that_closed_its_socket_is_waited_for_again(void **state)
{
    struct world *w = *state;

    start(w, "--deaf");
    pid_t pid = main_pid(w);
    stop_times_out(w, pid, "sleeping");
    stop_times_out(w, pid, "sleeping");
    stop_goes_on(w, pid);
}

static void one_that_somebody_else_started_is_waited_for_again(void **state)
{
    struct world *w = *state;
    struct proc_daemon_spec spec = {
        .path = w->bin, .argv = w->argv, .log = w->log, .uid = UINT32_MAX, .gid = UINT32_MAX};
    pid_t pid = 0;

    argv_of(w, w->bin, "--deaf", NULL);
    assert_ok(proc_spawn_daemon(&spec, &pid));
    until_running(w);
    stop_times_out(w, pid, "sleeping");
    stop_times_out(w, pid, "sleeping");
    stop_goes_on(w, pid);
}

static void one_that_was_halted_is_told(void **state)
{
    struct world *w = *state;

    start(w, "--halt");
    pid_t pid = main_pid(w);
    stop_times_out(w, pid, "stopped by a signal");
    stop_goes_on(w, pid);
}

static void a_child_that_holds_the_lock_is_told(void **state)
{
    struct world *w = *state;
    bool changed;

    start(w, "--child");
    pid_t leader = main_pid(w);
    struct err *e = flow_stop(w->ctx, w->rt, &w->u, NULL, &changed, NULL);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_TIMEOUT);
    pid_t child = main_pid(w);
    AUTO(freep) char *who = xasprintf("process %d (", child);
    has(e->text, who);
    err_free(e);
    assert_true(child > 0 && child != leader);
    assert_int_equal(kill(child, 0), 0);
    /* The admin socket is a dead one by now: the next stop waits for the child all the same. */
    stop_goes_on(w, child);
}

static void proof_is_refused(struct world *w, const char *want)
{
    struct stop_proof *proof = NULL;
    AUTO(err_freep) struct err *e = stop_prove(w->ctx, w->rt, &w->u, &proof);

    assert_non_null(e);
    if (e->kind != ERR_REFUSED)
        fail_msg("%s: %s", err_kind_name(e->kind), e->text);
    assert_null(proof);
    has(e->text, want);
    has(e->text, "process ");
}

/* up --agave-bin X, then a plain stop: the config names another program. */
static void what_is_left_of_another_program_is_found(void **state)
{
    struct world *w = *state;
    bool changed;

    w->u.bin = w->other_bin;
    start(w, "--idle-child");
    w->u.bin = w->bin;
    struct err *e = flow_stop(w->ctx, w->rt, &w->u, NULL, &changed, NULL);
    assert_non_null(e);
    has(e->text, "of-the-command-line");
    has(e->text, "nothing was killed");
    assert_int_equal(err_exit_code(e), 4);
    err_free(e);
    proof_is_refused(w, "of-the-command-line");
}

static pid_t spawn_as_agave(struct world *w, const char *file)
{
    AUTO(freep) char *bin = named(w->dir, "agave-validator");
    struct proc_daemon_spec spec = {
        .path = bin, .argv = w->argv, .log = w->log, .uid = UINT32_MAX, .gid = UINT32_MAX};
    pid_t pid = 0;

    argv_of(w, bin, "--no-lock", file ? "--write" : NULL);
    w->argv[5] = file;
    assert_ok(proc_spawn_daemon(&spec, &pid));
    return pid;
}

static void an_agave_validator_without_lock_is_found(void **state)
{
    struct world *w = *state;

    spawn_as_agave(w, NULL);
    proof_is_refused(w, "agave-validator");
}

/* The same place in other words. */
static void an_agave_validator_is_found_however_its_ledger_is_written(void **state)
{
    struct world *w = *state;
    AUTO(freep) char *bin = named(w->dir, "agave-validator");
    AUTO(freep) char *arg = xasprintf("--ledger=%s//", w->ledger);
    struct proc_daemon_spec spec = {
        .path = bin, .argv = w->argv, .log = w->log, .uid = UINT32_MAX, .gid = UINT32_MAX};
    pid_t pid = 0;

    argv_of(w, bin, NULL, NULL);
    w->argv[1] = arg;
    w->argv[2] = "--no-lock";
    assert_ok(proc_spawn_daemon(&spec, &pid));
    proof_is_refused(w, "agave-validator");
}

/* The ledger was unmounted under it, or hidden: its place cannot be compared any more. */
static void one_whose_ledger_cannot_be_seen_is_found(void **state)
{
    struct world *w = *state;

    spawn_as_agave(w, NULL);
    assert_int_equal(rmdir(w->ledger), 0);
    proof_is_refused(w, "agave-validator");
}

/* agavectl was killed after it had started the program and before it could note the pid; the
 * program does not have its lock yet. */
static void a_start_that_was_cut_off_is_not_repeated(void **state)
{
    struct world *w = *state;
    AUTO(freep) char *boot = NULL;
    AUTO(freep) char *path = xasprintf("%s/stubborn.json", w->dir);
    struct proc_daemon_spec spec = {
        .path = w->bin, .argv = w->argv, .log = w->log, .uid = UINT32_MAX, .gid = UINT32_MAX};
    pid_t pid = 0;

    assert_ok(fsroot_read_line(w->ctx->root, "/proc/sys/kernel/random/boot_id", &boot));
    AUTO(freep)
    char *note = xasprintf("{\"wanted\":true,\"pid\":0,\"start\":0,\"boot_id\":\"%s\","
                           "\"started_ms\":1,\"restarts\":0,\"bin\":\"%s\"}",
                           boot, w->bin);
    assert_ok(fsroot_write_atomic(w->ctx->root, path, note, strlen(note), 0644));
    argv_of(w, w->bin, "--no-lock", NULL);
    assert_ok(proc_spawn_daemon(&spec, &pid));
    assert_int_equal(main_pid(w), pid);
    assert_err(w->rt->start(w->ctx, &w->u), ERR_REFUSED, "already runs");
}

static void cancel_it(void *arg, const char *text)
{
    cancelled = 1;
}

static void an_interrupted_stop_says_so_and_goes_on(void **state)
{
    struct world *w = *state;
    struct flow_report r = {.begin = on_begin, .progress = cancel_it, .end = on_end};
    bool changed;

    start(w, NULL);
    pid_t pid = main_pid(w);
    w->u.ladder_s = 30;
    struct err *e = flow_stop(w->ctx, w->rt, &w->u, &r, &changed, NULL);
    cancelled = 0;
    assert_non_null(e);
    assert_int_equal(err_exit_code(e), 5);
    has(e->text, "it was asked to exit");
    has(e->text, "'agavectl stop'");
    err_free(e);
    assert_int_equal(main_pid(w), pid);
    stop_goes_on(w, pid);
}

/* Interrupted before the question: nothing has changed, and it is no refusal. */
static void an_interrupt_is_not_a_refusal(void **state)
{
    struct world *w = *state;
    bool changed;

    start(w, NULL);
    cancelled = 1;
    struct err *e = flow_stop(w->ctx, w->rt, &w->u, NULL, &changed, NULL);
    cancelled = 0;
    assert_non_null(e);
    assert_int_equal(err_exit_code(e), 5);
    err_free(e);
    assert_int_equal(phase(w), PH_RUNNING);
}

struct stuck {
    pid_t pid;
};

static struct err *is_stuck(struct ctx *ctx, void *arg, bool *ret_done)
{
    struct stuck *s = arg;
    AUTO(strlist_clear) struct strlist threads = {0};

    TRY(stop_stuck(ctx, &s->pid, 1, &threads));
    *ret_done = threads.n == 1;
    return NULL;
}

/* Without a broken disk: the file system is frozen under a writer. */
static void one_in_uninterruptible_sleep_is_in_the_refusal(void **state)
{
    struct world *w = *state;
    AUTO(freep) char *dev = real_loop(real, "frozen", 400 * MIB);
    AUTO(freep) char *at = real_dir(real, "frozen.mnt");
    AUTO(freep) char *file = xasprintf("%s/file", at);
    struct stop_proof *proof = NULL;
    struct stuck s = {0};
    bool changed = true;

    assert_ok(mkfs_xfs(w->ctx, dev, NULL));
    assert_ok(mounts_mount(dev, at, "xfs", NULL));
    int fd = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(ioctl(fd, FIFREEZE, 0), 0);
    s.pid = spawn_as_agave(w, file);
    /* nothing is asserted while it is frozen: a failed test must not leave it so */
    struct err *hang = wait_until(w->ctx, "the writer to hang", 5000, 10, is_stuck, &s);
    struct err *refused = stop_prove(w->ctx, w->rt, &w->u, &proof);
    struct err *stop = flow_stop(w->ctx, w->rt, &w->u, NULL, &changed, NULL);
    int thawed = ioctl(fd, FITHAW, 0);
    close(fd);
    assert_int_equal(thawed, 0);
    assert_ok(hang);
    assert_null(proof);
    assert_non_null(refused);
    assert_non_null(stop);
    AUTO(freep) char *who = xasprintf("process %d (", s.pid);
    AUTO(freep)
    char *thread = xasprintf("thread %d (agave-validator) in uninterruptible sleep in ", s.pid);
    has(refused->text, who);
    has(refused->text, thread);
    has(stop->text, thread);
    assert_int_equal(err_exit_code(stop), 4);
    print_message("# %s\n# real: block devices: a frozen file system holds a validator\n",
                  refused->text);
    if (access("/proc/self/wchan", R_OK) == 0)
        assert_null(strstr(refused->text, "an unknown place"));
    err_free(refused);
    err_free(stop);
    assert_ok(wait_until(w->ctx, "the end of the writer", UP_MS, 20, nobody, NULL));
    assert_ok(mounts_umount(at));
    assert_ok(loop_detach(w->ctx, dev));
}

int main(void)
{
    static const char *const parts[] = {"block devices", "mounts", NULL};
    const struct CMUnitTest tests[] = {
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
        CASE(one_that_never_ends_is_left_and_the_next_stop_goes_on),
        CASE(one_that_closed_its_socket_is_waited_for_again),
        CASE(one_that_somebody_else_started_is_waited_for_again),
        CASE(one_that_was_halted_is_told),
        CASE(a_child_that_holds_the_lock_is_told),
        CASE(what_is_left_of_another_program_is_found),
        CASE(an_agave_validator_without_lock_is_found),
        CASE(an_agave_validator_is_found_however_its_ledger_is_written),
        CASE(one_whose_ledger_cannot_be_seen_is_found),
        CASE(a_start_that_was_cut_off_is_not_repeated),
        CASE(an_interrupted_stop_says_so_and_goes_on),
        CASE(an_interrupt_is_not_a_refusal),
        CASE(one_in_uninterruptible_sleep_is_in_the_refusal),
    };

    real = real_new(parts);
    if (!real)
        return 0;
    real->ctx.cancelled = &cancelled;
    int failed = cmocka_run_group_tests_name("stop", tests, NULL, NULL);
    real_end(real);
    return failed;
}
