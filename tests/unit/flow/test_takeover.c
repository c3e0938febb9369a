/* flow/takeover: who is asked to leave, and who is left alone. */
#include "flow/takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/str.h"
#include "fixture.h"
#include "io/clock.h"
#include "io/fsroot.h"

static char dir[] = "/tmp/agavectl-unit-XXXXXX", lock[64];
static struct ctx ctx = {.clock = &clock_system};

static volatile sig_atomic_t asked;

static void on_term(int sig)
{
    asked = 1;
}

/* Holds the lock until it is asked to leave. The signal may come before it waits for it. */
static void hold_politely(void)
{
    struct hostlock *l;
    sigset_t term;
    int sig;

    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    if (hostlock_take(lock, "up", &l) || sigwait(&term, &sig) != 0)
        _exit(1);
    hostlock_release(l);
    _exit(0);
}

static void hold_deaf(void)
{
    struct hostlock *l;

    signal(SIGTERM, SIG_IGN);
    if (hostlock_take(lock, "up", &l))
        _exit(1);
    for (;;)
        pause();
}

static void hold_a_stop(void)
{
    struct hostlock *l;

    if (hostlock_take(lock, "stop", &l))
        _exit(1);
    for (;;)
        pause();
}

/* The lock of another program, signed as ours is. */
static void hold_as_sleep(void)
{
    int fd = open(lock, O_RDWR | O_CREAT, 0600);

    if (fd < 0 || flock(fd, LOCK_EX) < 0)
        _exit(1);
    dprintf(fd, "%d up\n", (int)getpid());
    execl("/bin/sleep", "sleep", "100", (char *)NULL);
    _exit(1);
}

/* Signed by somebody who does not hold it. */
static void hold_unsigned(void)
{
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 || flock(fd, LOCK_EX) < 0)
        _exit(1);
    dprintf(fd, "%d up\n", (int)getppid());
    for (;;)
        pause();
}

static struct err *is_held(struct ctx *c, void *arg, bool *ret_done)
{
    AUTO(freep) char *what = NULL;
    pid_t pid = 0;
    struct err *e = hostlock_signature(lock, &pid, &what);

    *ret_done = !e && pid > 0;
    err_free(e);
    return NULL;
}

static struct err *is_sleep(struct ctx *c, void *arg, bool *ret_done)
{
    AUTO(freep) char *link = xasprintf("/proc/%d/exe", (int)*(pid_t *)arg);
    char exe[256] = "";

    *ret_done = readlink(link, exe, sizeof(exe) - 1) > 0 && strstr(exe, "test_takeover") == NULL;
    return NULL;
}

static pid_t holder(void (*hold)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        hold();
    }
    assert_ok(wait_until(&ctx, "a holder", 10000, 5, is_held, NULL));
    return pid;
}

/* It is still there, and holds the lock still. */
static void left_alone(pid_t pid)
{
    struct hostlock *l = NULL;

    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
    assert_err(hostlock_take(lock, "x", &l), ERR_REFUSED, "another agavectl is at work");
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    unlink(lock);
}

static void one_that_works_leaves(void **state)
{
    AUTO(hostlock_releasep) struct hostlock *l = NULL;
    int status = 0;
    pid_t pid = holder(hold_politely);

    assert_ok(takeover_lock(&ctx, lock, "stop", 20000, &l));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_free_lock_is_taken(void **state)
{
    AUTO(hostlock_releasep) struct hostlock *l = NULL;

    assert_ok(takeover_lock(&ctx, lock, "stop", 1000, &l));
}

static void one_that_does_not_leave_is_named(void **state)
{
    AUTO(hostlock_releasep) struct hostlock *l = NULL;
    pid_t pid = holder(hold_deaf);
    AUTO(freep) char *who = xasprintf("pid %d (up)", (int)pid);
    struct err *e = takeover_lock(&ctx, lock, "stop", 300, &l);

    assert_non_null(e);
    assert_int_equal(err_exit_code(e), 4);
    assert_non_null(strstr(e->text, who));
    assert_non_null(strstr(e->text, "asked to leave"));
    err_free(e);
    left_alone(pid);
}

static void a_stop_is_waited_for_by_the_operator(void **state)
{
    AUTO(hostlock_releasep) struct hostlock *l = NULL;
    pid_t pid = holder(hold_a_stop);

    assert_err(takeover_lock(&ctx, lock, "stop", 300, &l), ERR_REFUSED, "(stop)");
    left_alone(pid);
}

static void another_program_is_not_touched(void **state)
{
    AUTO(hostlock_releasep) struct hostlock *l = NULL;
    pid_t pid = holder(hold_as_sleep);

    assert_ok(wait_until(&ctx, "its exec", 10000, 5, is_sleep, &pid));
    assert_err(takeover_lock(&ctx, lock, "stop", 300, &l), ERR_REFUSED, "(up)");
    left_alone(pid);
}

static void a_foreign_signature_is_not_believed(void **state)
{
    AUTO(hostlock_releasep) struct hostlock *l = NULL;
    pid_t pid = holder(hold_unsigned);

    asked = 0;
    signal(SIGTERM, on_term); /* the signature names this process */
    assert_err(takeover_lock(&ctx, lock, "stop", 300, &l), ERR_REFUSED, "another agavectl");
    assert_int_equal(asked, 0);
    left_alone(pid);
}

static int setup(void **state)
{
    if (!mkdtemp(dir))
        return -1;
    snprintf(lock, sizeof(lock), "%s/run/lock", dir);
    assert_ok(fsroot_open("/", &ctx.root));
    AUTO(freep) char *folder = xasprintf("%s/run", dir);
    return fsroot_mkdirs(ctx.root, folder, 0700) ? -1 : 0;
}

static int keep_folder(void **state)
{
    AUTO(freep) char *folder = xasprintf("%s/run", dir);

    return fsroot_mkdirs(ctx.root, folder, 0700) ? -1 : 0; /* the last holder removed it */
}

static int teardown(void **state)
{
    ctx.root = fsroot_close(ctx.root);
    remove_tree(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_free_lock_is_taken, keep_folder),
        cmocka_unit_test_setup(one_that_works_leaves, keep_folder),
        cmocka_unit_test_setup(one_that_does_not_leave_is_named, keep_folder),
        cmocka_unit_test_setup(a_stop_is_waited_for_by_the_operator, keep_folder),
        cmocka_unit_test_setup(another_program_is_not_touched, keep_folder),
        cmocka_unit_test_setup(a_foreign_signature_is_not_believed, keep_folder),
    };

    if (geteuid() != 0) {
        printf("1..0 # SKIP whose lock it is can be seen by root only\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, setup, teardown);
}
