/* runtime/kube_pid1: who gets the stop signal of a container: on a /proc as a kind host shows it,
 * and what the kernel really does with that signal. */
#include "runtime/kube_pid1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "fixture.h"
#include "io/clock.h"
#include "io/fsroot.h"

#define OURS   "1111111111111111111111111111111111111111111111111111111111111111"
#define OTHERS "2222222222222222222222222222222222222222222222222222222222222222"
#define NODE   "3333333333333333333333333333333333333333333333333333333333333333"
#define BIN    "/usr/local/bin/agave-validator"

/* Of a node container of kind: its cgroup, then those that its own systemd and containerd made. */
#define V2                                                                                         \
    "0::/system.slice/docker-" NODE ".scope/kubelet.slice/kubelet-kubepods.slice/"                 \
    "kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod5f0c.slice/cri-containerd-"
#define V1                                                                                         \
    "12:pids:/docker/" NODE "/kubelet/kubepods/besteffort/pod5f0c/"                                \
    "%s\n1:name=systemd:/docker/" NODE "/kubelet/kubepods/besteffort/pod5f0c/%s\n"

static void member(struct fixture *f, int pid, const char *exe, const char *argv,
                   unsigned long long start, const char *id, const char *status)
{
    AUTO(freep) char *cgroup = xasprintf("/proc/%d/cgroup", pid);
    AUTO(freep) char *at = xasprintf("/proc/%d/status", pid);
    const char *slash = strrchr(exe, '/');

    fixture_process(f, pid, slash + 1, exe, argv, start);
    fixture_put(f, cgroup, V2 "%s.scope\n", id);
    fixture_put(f, at, "Name:\t%s\nUmask:\t0022\nUid:\t1000\t1001\t1000\t1000\n%s", slash + 1,
                status);
}

#define STATUS(ns, blk, ign, cgt)                                                                  \
    "NSpid:\t" ns "\nSigQ:\t0/63432\nSigPnd:\t0000000000000000\nSigBlk:\t" blk "\nSigIgn:\t" ign   \
    "\nSigCgt:\t" cgt "\n"
#define NO "0000000000000000"
/* tini blocks all but what a fault of its own would send, and has no handler at all */
#define ALL_BUT "fffffffe7ffbfaef"
/* what a Rust program catches: SIGSEGV, SIGBUS, and SIGUSR1 for its log */
#define RUST     "0000000100000640"
#define SIGPIPE_ "0000000000001000"

static void below_tini(struct fixture *f)
{
    fixture_new(f);
    fixture_put(f, "/proc/self/stat", "1 (test) S 0\n");
    /* a probe that is older by its pid, and not the first in its namespace */
    member(f, 90, "/bin/sh", "sh -c true", 1500, OURS, STATUS("90\t88\t44", NO, NO, NO));
    member(f, 100, "/sbin/tini", "/sbin/tini -- run", 1000, OURS,
           STATUS("100\t90\t1", ALL_BUT, NO, NO));
    member(f, 101, "/bin/bash", "bash run", 1001, OURS, STATUS("101\t91\t7", NO, NO, "10002"));
    member(f, 102, BIN, BIN " --ledger /l", 1002, OURS, STATUS("102\t92\t8", NO, SIGPIPE_, RUST));
    member(f, 103, BIN, BIN " --ledger /l exit", 1600, OURS, STATUS("103\t93\t9", NO, NO, RUST));
    member(f, 200, BIN, BIN " --ledger /x", 900, OTHERS, STATUS("200\t99\t1", NO, NO, RUST));
    fixture_put(f, "/proc/uptime", "1 1\n");
}

static void an_init_and_what_is_below(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(kube_pid1_clear) struct kube_pid1 p = {0};

    below_tini(&f);
    assert_ok(kube_pid1_read(&f.ctx, "containerd://" OURS, BIN, &p));
    assert_int_equal(p.id.pid, 100);
    assert_true(p.id.start == 1000);
    assert_int_equal(p.kind, KUBE_PID1_INIT);
    assert_string_equal(p.name, "tini");
    assert_int_equal(p.signals.ns_pid, 1);
    assert_int_equal(p.validator.pid, 102); /* not the command that asks it to exit */
    assert_int_equal(p.validator_signals.ns_pid, 8);
    assert_true(p.validator_signals.caught == 0x100000640 && p.validator_signals.ignored == 0x1000);
    assert_int_equal(kube_pid1_on_signal(&p, SIGTERM), KUBE_SIGNAL_KILLS);
    assert_int_equal(kube_pid1_on_signal(&p, SIGUSR1), KUBE_SIGNAL_UNKNOWN);
    assert_int_equal(kube_pid1_on_signal(&p, 0), KUBE_SIGNAL_UNKNOWN);
}

static void the_validator_itself(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(kube_pid1_clear) struct kube_pid1 p = {0};

    below_tini(&f);
    assert_ok(kube_pid1_read(&f.ctx, "cri-o://" OTHERS, BIN, &p));
    assert_int_equal(p.id.pid, 200);
    assert_int_equal(p.kind, KUBE_PID1_VALIDATOR);
    assert_int_equal(p.validator.pid, 200);
    assert_int_equal(kube_pid1_on_signal(&p, SIGTERM), KUBE_SIGNAL_NOTHING);
    assert_int_equal(kube_pid1_on_signal(&p, SIGKILL), KUBE_SIGNAL_KILLS);
    assert_int_equal(kube_pid1_on_signal(&p, SIGUSR1), KUBE_SIGNAL_UNKNOWN);
}

static void put_wchan(struct fixture *f, int pid, const char *text)
{
    AUTO(freep) char *path = xasprintf("/proc/%d/task/%d/wchan", pid, pid);

    fixture_put(f, path, "%s", text);
}

/* tini as it is nearly always: in sigtimedwait, where none of the masks has what it waits for; and
 * another program of the same state, whose name says nothing. */
static void what_waits_for_a_signal_shows_none(void **state)
{
    static const struct {
        const char *exe, *wchan;
        enum kube_signal_does does;
    } cases[] = {
        {"/sbin/tini", "do_sigtimedwait.isra.0", KUBE_SIGNAL_KILLS},
        {"/sbin/tini", "0", KUBE_SIGNAL_KILLS},
        {"/sbin/tini", "hrtimer_nanosleep", KUBE_SIGNAL_KILLS},
        {"/sbin/mine", "do_sigtimedwait", KUBE_SIGNAL_UNKNOWN},
        {"/sbin/mine", "0", KUBE_SIGNAL_UNKNOWN},
        {"/sbin/mine", "do_wait", KUBE_SIGNAL_NOTHING},
        {"/bin/bash", "do_wait", KUBE_SIGNAL_NOTHING},
        {"/bin/bash", "0", KUBE_SIGNAL_NOTHING},
        {BIN, "0", KUBE_SIGNAL_NOTHING},
        {BIN, "do_sigtimedwait", KUBE_SIGNAL_UNKNOWN},
        {"/bin/agavectl", "do_sigtimedwait", KUBE_SIGNAL_ASKS},
        {"/bin/agavectl", "do_wait", KUBE_SIGNAL_NOTHING},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(fixture_clear) struct fixture f = {0};
        AUTO(kube_pid1_clear) struct kube_pid1 p = {0};

        fixture_new(&f);
        fixture_put(&f, "/proc/self/stat", "1 (test) S 0\n");
        member(&f, 100, cases[i].exe, "x", 1000, OURS, STATUS("100\t90\t1", NO, NO, NO));
        put_wchan(&f, 100, cases[i].wchan);
        fixture_put(&f, "/proc/uptime", "1 1\n");
        assert_ok(kube_pid1_read(&f.ctx, "containerd://" OURS, BIN, &p));
        if (kube_pid1_on_signal(&p, SIGTERM) != cases[i].does)
            fail_msg("%s in %s: %s", cases[i].exe, cases[i].wchan,
                     kube_signal_does_name(kube_pid1_on_signal(&p, SIGTERM)));
    }
}

static void of_version_1_and_a_shared_namespace(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(kube_pid1_clear) struct kube_pid1 p = {0};

    fixture_new(&f);
    fixture_put(&f, "/proc/self/stat", "1 (test) S 0\n");
    member(&f, 50, "/bin/sh", "sh", 3000, OURS, STATUS("50\t40\t20", NO, NO, NO));
    member(&f, 60, "/opt/validator (deleted)", "validator", 2000, OURS,
           STATUS("60\t41\t12", NO, NO, NO));
    fixture_put(&f, "/proc/60/cgroup", V1, OURS, OURS);
    fixture_put(&f, "/proc/uptime", "1 1\n");
    assert_ok(kube_pid1_read(&f.ctx, "docker://" OURS, "/srv/bin/validator", &p));
    assert_int_equal(p.id.pid, 60); /* the oldest */
    assert_int_equal(p.kind, KUBE_PID1_VALIDATOR);
    assert_string_equal(p.name, "validator");
    assert_int_equal(kube_pid1_on_signal(&p, SIGTERM), KUBE_SIGNAL_KILLS);
}

static void nobody_and_nonsense(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(kube_pid1_clear) struct kube_pid1 p = {0};

    below_tini(&f);
    fixture_put(&f, "/proc/200/cgroup", "0::/\n");
    assert_ok(kube_pid1_read(&f.ctx, "containerd://" OTHERS, BIN, &p));
    assert_int_equal(p.kind, KUBE_PID1_NONE);
    assert_err(kube_pid1_read(&f.ctx, NULL, BIN, &p), ERR_BADINPUT, "no container id");
    assert_err(kube_pid1_read(&f.ctx, "containerd://", BIN, &p), ERR_BADINPUT, "no container id");
    assert_err(kube_pid1_read(&f.ctx, "containerd://" OURS "1", BIN, &p), ERR_BADINPUT, NULL);
    static const char head[] = "Name:\ttini\nUid:\t0\t0\t0\t0\n";
    fixture_put(&f, "/proc/100/status", "%sNSpid:\t100\t1\nSigIgn:\t0\nSigCgt:\t0\n", head);
    assert_err(kube_pid1_read(&f.ctx, "containerd://" OURS, BIN, &p), ERR_CORRUPT,
               "process 100: '/proc/100/status' does not say what it does with signals");
    fixture_put(&f, "/proc/100/status", "%sNSpid:\nSigBlk:\t0\nSigIgn:\t0\nSigCgt:\t0\n", head);
    assert_err(kube_pid1_read(&f.ctx, "containerd://" OURS, BIN, &p), ERR_CORRUPT, "no NSpid");
    assert_null(p.name);
}

/* What the decision rests on, by the kernel itself. */
enum what { DEFAULT, WAITS };

static void child_of(enum what what)
{
    sigset_t term;
    int sig = 0;

    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    if (what == WAITS)
        _exit(sigwait(&term, &sig) ? 1 : 42);
    for (;;)
        pause();
}

static struct err *is_waiting(struct ctx *ctx, void *arg, bool *ret)
{
    struct kube_pid1 *p = arg;

    TRY(pid_signals_read(ctx, p->id, &p->signals));
    *ret = p->signals.waits == SIGNAL_WAIT_YES && !pid_signals_has(p->signals.blocked, SIGTERM);
    return NULL;
}

/* What SIGTERM would do by our word, and how the process then ended: it is killed at last. */
static bool real(enum what what, unsigned long flags, enum kube_signal_does *ret, int *ret_status)
{
    AUTO(fsroot_closep) struct fsroot *root = NULL;
    struct ctx ctx = {.clock = &clock_system};
    struct kube_pid1 p = {.kind = what == WAITS ? KUBE_PID1_OTHER : KUBE_PID1_SHELL};
    sigset_t term, before;

    assert_ok(fsroot_open("/", &root));
    ctx.root = root;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(what == WAITS ? SIG_BLOCK : SIG_UNBLOCK, &term, &before); /* is inherited */
    pid_t pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0)
        child_of(what);
    int why = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid < 0 && why == EPERM)
        return false;
    assert_true(pid > 0);
    p.id.pid = pid;
    assert_ok(pid_start(&ctx, pid, &p.id.start));
    assert_ok(pid_signals_read(&ctx, p.id, &p.signals));
    if (what == WAITS) /* from before its wait into it, where the masks do not tell any more */
        assert_int_equal(kube_pid1_on_signal(&p, SIGTERM), KUBE_SIGNAL_UNKNOWN);
    if (what == WAITS)
        assert_ok(wait_until(&ctx, "a wait for a signal", 20000, 1, is_waiting, &p));
    *ret = kube_pid1_on_signal(&p, SIGTERM);
    assert_int_equal(kill(pid, SIGTERM), 0);
    if (what != WAITS)
        assert_int_equal(kill(pid, SIGKILL), 0); /* one that dies of SIGTERM has done so by now */
    assert_int_equal(waitpid(pid, ret_status, 0), pid);
    return true;
}

static void the_kernel_agrees(void **state)
{
    enum kube_signal_does d = KUBE_SIGNAL_ASKS;
    int status = 0;

    assert_true(real(DEFAULT, 0, &d, &status));
    assert_int_equal(d, KUBE_SIGNAL_KILLS);
    assert_int_equal(WTERMSIG(status), SIGTERM);
    if (!real(DEFAULT, CLONE_NEWPID, &d, &status)) {
        print_message("# not real: namespaces: a pid namespace of its own is not allowed here\n");
        return;
    }
    print_message("# real: namespaces: SIGTERM to the first process of a pid namespace\n");
    assert_int_equal(d, KUBE_SIGNAL_NOTHING);
    assert_int_equal(WTERMSIG(status), SIGKILL);
    /* What is blocked or waited for is not dropped, even without a handler: so does tini get it. */
    assert_true(real(WAITS, CLONE_NEWPID, &d, &status));
    assert_int_equal(d, KUBE_SIGNAL_UNKNOWN);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_init_and_what_is_below),
        cmocka_unit_test(the_validator_itself),
        cmocka_unit_test(what_waits_for_a_signal_shows_none),
        cmocka_unit_test(of_version_1_and_a_shared_namespace),
        cmocka_unit_test(nobody_and_nonsense),
        cmocka_unit_test(the_kernel_agrees),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
