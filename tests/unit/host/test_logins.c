/* Users, their limits, logrotate's files, and what a process does with a signal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "fixture.h"
#include "host/accounts.h"
#include "host/limits_conf.h"
#include "host/logrotate_conf.h"
#include "host/signals.h"
#include "io/fsroot.h"

static void names_and_groups(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(strlist_clear) struct strlist groups = {0};
    AUTO(freep) char *sol = NULL;
    AUTO(freep) char *open = NULL;
    AUTO(freep) char *none = NULL;

    fixture_new(&f);
    assert_err(account_name(&f.ctx, 1000, &none), ERR_NOTFOUND, "/etc/passwd");
    fixture_put(&f, "/etc/passwd",
                "root:x:0:0::/:/bin/sh\n\nbad\nbad:x\nopen::7:7::/:\n"
                "sol:x:1000:1000:a,b:/home/sol:/bin/sh\ntwin:x:1000:1::/:\n");
    fixture_put(&f, "/etc/group",
                "sol:x:1000:\nops:x:50:a,sol\nother:x:51:solo,xsol\nempty::52:sol\n");
    assert_ok(account_name(&f.ctx, 1000, &sol));
    assert_string_equal(sol, "sol");
    assert_ok(account_name(&f.ctx, 7, &open));
    assert_string_equal(open, "open");
    assert_err(account_name(&f.ctx, 8, &none), ERR_NOTFOUND, "number 8");
    assert_ok(account_groups(&f.ctx, "sol", 1000, &groups));
    assert_int_equal(groups.n, 3);
    assert_string_equal(groups.items[1], "ops");
    assert_string_equal(groups.items[2], "empty");
}

/* The line that counts, or 0. */
static uint32_t line_for(const char *text, const char *name, uint64_t uid, enum limits_item item)
{
    AUTO(limits_conf_clear) struct limits_conf c = {0};
    AUTO(strlist_clear) struct strlist groups = {0};

    strlist_add(&groups, "ops");
    limits_conf_parse(text, strlen(text), "f", &c);
    const struct limits_user u = {.name = name, .uid = uid, .gid = uid, .groups = &groups};
    const struct limits_line *found = limits_conf_get(&c, &u, item);
    return found ? found->line : 0;
}

static void whose_limit_counts(void **state)
{
    const char *text =
        "* hard nofile 1\n@ops - nofile 2\nsol hard nofile 3 # c\n@ops hard nofile 4\n"
        "* soft memlock 9\n:1000 hard memlock 5\n900:1100 - memlock 6\n"
        "@:77 hard nofile 8\nroot hard memlock 10\n";

    assert_int_equal(line_for(text, "sol", 1000, LIMITS_NOFILE), 3);
    assert_int_equal(line_for(text, "sol", 1000, LIMITS_MEMLOCK), 7);
    assert_int_equal(line_for(text, NULL, 950, LIMITS_NOFILE), 4);
    assert_int_equal(line_for(text, "x", 77, LIMITS_NOFILE), 8);
    assert_int_equal(line_for(text, "root", 0, LIMITS_NOFILE), 0);
    assert_int_equal(line_for(text, "root", 0, LIMITS_MEMLOCK), 9);
    assert_int_equal(line_for(text, "x", 1101, LIMITS_MEMLOCK), 0);
}

static void limits_are_read_in_order(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(limits_conf_clear) struct limits_conf c = {0};

    fixture_new(&f);
    fixture_put(&f, "/etc/security/limits.d/20-b.conf",
                "sol hard memlock 4\nsol hard nofile many\n");
    fixture_put(&f, "/etc/security/limits.d/10-a.conf", "sol - memlock unlimited\nsol\n");
    fixture_put(&f, "/etc/security/limits.d/x.txt", "sol - memlock 7\n");
    fixture_put(&f, "/etc/security/limits.conf", "sol hard nofile 10\n");
    assert_ok(limits_conf_read(&f.ctx, &c));
    assert_int_equal(c.n, 3);
    assert_int_equal(c.items[0].hard, 10);
    assert_true(c.items[1].hard == UINT64_MAX);
    assert_int_equal(c.items[2].hard, 4096);
    assert_int_equal(c.faults.n, 2);
    assert_string_equal(c.faults.items[0], "/etc/security/limits.d/10-a.conf:2: not domain, type, "
                                           "item and value");
}

static void blocks_of_logrotate(void **state)
{
    static const char text[] = "weekly\n# {\n\"/var/log/a b.log\"\n/srv/*/v.log { # x\n"
                               "  # kill\n  rotate 7\n  postrotate\n    f() { echo ${1}; }\n"
                               "  endscript\n  compress }\n/c { daily } /d {\n}\n/open {\n";
    AUTO(logrotate_conf_clear) struct logrotate_conf c = {0};

    logrotate_conf_parse(text, strlen(text), "f", &c);
    assert_int_equal(c.n, 3);
    assert_true(logrotate_block_means(&c.items[0], "/var/log/a b.log"));
    assert_true(logrotate_block_means(&c.items[0], "/srv/x/v.log"));
    assert_false(logrotate_block_means(&c.items[0], "/srv/x/y/v.log"));
    assert_false(logrotate_block_means(&c.items[0], "/c"));
    assert_int_equal(c.items[0].line, 4);
    assert_non_null(strstr(c.items[0].body, "compress"));
    assert_null(strstr(c.items[0].body, "kill"));
    assert_true(logrotate_block_means(&c.items[1], "/c"));
    assert_string_equal(c.items[1].body, "daily ");
    assert_true(logrotate_block_means(&c.items[2], "/d"));
}

static void ignore(int sig)
{
}

/* A child that has prepared for the signal in one way, or in none. */
static void child_is(struct fixture *f, int way, bool want)
{
    struct pid_id id = {0};
    bool lives = !want;
    int pipe_fds[2];
    char byte;

    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    id.pid = fork();
    if (id.pid == 0) {
        sigset_t set;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        signal(SIGUSR1, way == 1 ? ignore : way == 2 ? SIG_IGN : SIG_DFL);
        sigprocmask(way == 3 ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
        if (write(pipe_fds[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
    assert_ok(pid_start(&f->ctx, id.pid, &id.start));
    assert_ok(pid_survives_signal(&f->ctx, id, SIGUSR1, &lives));
    assert_int_equal(lives, want);
    struct pid_id other = {.pid = id.pid, .start = id.start + 1};
    assert_err(pid_survives_signal(&f->ctx, other, SIGUSR1, &lives), ERR_NOTFOUND, "has ended");
    assert_int_equal(kill(id.pid, SIGKILL), 0);
    assert_int_equal(waitpid(id.pid, NULL, 0), id.pid);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void what_a_signal_does(void **state)
{
    struct fixture f = {.dir = NULL};

    fixture_new(&f);
    f.ctx.root = fsroot_close(f.ctx.root);
    assert_ok(fsroot_open("/", &f.ctx.root));
    child_is(&f, 0, false);
    child_is(&f, 1, true);
    child_is(&f, 2, true);
    child_is(&f, 3, false); /* another thread may take it */
    fixture_clear(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_groups),         cmocka_unit_test(whose_limit_counts),
        cmocka_unit_test(limits_are_read_in_order), cmocka_unit_test(blocks_of_logrotate),
        cmocka_unit_test(what_a_signal_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
