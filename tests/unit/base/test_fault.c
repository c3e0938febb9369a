/* base/fault: an armed point kills or interrupts at its pass and at no other. */
#include "base/fault.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* How many of five rounds over two points a process survives, with that armed. */
static int rounds(const char *armed)
{
    int fds[2], status = 0, n = 0;
    char byte;

    assert_int_equal(pipe(fds), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        setenv("AGAVECTL_FAULT", armed, 1);
        for (int i = 0; i < 5; i++) {
            FAULT("one");
            FAULT_AT("two", i % 2 ? "odd" : "even");
            if (write(fds[1], "x", 1) != 1)
                _exit(1);
        }
        _exit(0);
    }
    close(fds[1]);
    while (read(fds[0], &byte, 1) == 1)
        n++;
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (n == 5)
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    else
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return n;
}

static void kills_at_the_named_pass(void **state)
{
    assert_int_equal(rounds("one"), 0);
    assert_int_equal(rounds("one:1"), 0);
    assert_int_equal(rounds("one:4"), 3);
    assert_int_equal(rounds("two:2"), 1);
    assert_int_equal(rounds("two@odd"), 1);
    assert_int_equal(rounds("two@even:3"), 4);
}

static void nothing_else_kills(void **state)
{
    static const char *const harmless[] = {"",          "one:6", "on",   "one@odd", "two@od",
                                           "two@odder", "one:0", "one:", "three",   "two@"};

    for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
        assert_int_equal(rounds(harmless[i]), 5);
}

static volatile sig_atomic_t interrupted_at;

static void on_term(int sig)
{
    interrupted_at = 1;
}

/* The round of five in which it is interrupted; 0: in none. It goes on in any case. */
static int interrupted(const char *armed)
{
    int status = 0;

    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int at = 0;

        setenv("AGAVECTL_INTERRUPT", armed, 1);
        signal(SIGTERM, on_term);
        for (int i = 1; i <= 5; i++) {
            FAULT("one");
            FAULT_AT("two", i % 2 ? "odd" : "even");
            at = interrupted_at && !at ? i : at;
        }
        _exit(at);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void interrupts_at_the_named_pass(void **state)
{
    assert_int_equal(interrupted("one"), 1);
    assert_int_equal(interrupted("one:4"), 4);
    assert_int_equal(interrupted("two@even:2"), 4);
    assert_int_equal(interrupted("one:6"), 0);
    assert_int_equal(interrupted(""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kills_at_the_named_pass),
        cmocka_unit_test(nothing_else_kills),
        cmocka_unit_test(interrupts_at_the_named_pass),
    };

#ifndef AGAVECTL_FAULTS
    printf("1..0 # SKIP built without fault points\n");
    return 0;
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
