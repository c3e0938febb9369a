/* io/proc with real programs. What a child sees of itself is asked of the kernel (/proc/self). */
#include "io/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "io/clock.h"

#define SLACK_MS 8000

static volatile sig_atomic_t cancel;
static struct ctx ctx = {.proc = &proc_system, .clock = &clock_system, .cancelled = &cancel};

static uint64_t now_ms(void)
{
    return clock_system.mono_ns() / 1000000;
}

static void assert_err(const struct err *e, enum err_kind kind, const char *part)
{
    assert_non_null(e);
    if (e->kind != kind || !strstr(e->text, part))
        fail_msg("want %s '%s', got %s '%s'", err_kind_name(kind), part, err_kind_name(e->kind),
                 e->text);
}

#define SH(script) ((const char *const[]){"/bin/sh", "-c", script, NULL})

static struct err *sh(const char *script, struct proc_result *ret)
{
    struct proc_spec spec = {.path = "/bin/sh", .argv = SH(script), .timeout_s = 20};

    return ctx.proc->run(&ctx, &spec, ret);
}

static int fds_of(pid_t pid)
{
    AUTO(freep) char *path = xasprintf("/proc/%d/fd", (int)pid);
    DIR *d = opendir(path);
    int n = -2; /* "." and ".." */

    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static int fds_open(void)
{
    return fds_of(getpid());
}

/* No child is left: neither running nor waiting to be reaped. */
static void assert_no_child(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void an_exit_code_is_a_result(void **state)
{
    AUTO(proc_result_clear) struct proc_result r = {0};

    assert_null(sh("echo out; echo err >&2; exit 7", &r));
    assert_int_equal(r.exit, 7);
    assert_string_equal(r.out, "out\n");
    assert_string_equal(r.err, "err\n");
    assert_int_equal(r.out_n, 4);
    assert_no_child();
}

static void silence_is_an_empty_text(void **state)
{
    AUTO(proc_result_clear) struct proc_result r = {0};

    assert_null(sh(":", &r));
    assert_string_equal(r.out, "");
    assert_string_equal(r.err, "");
}

static void run_wants_exit_0_and_quotes_the_last_line(void **state)
{
    const char *const *bad = SH("echo first >&2; printf 'the \\033[1mreason\\n\\n' >&2; exit 3");
    const char *const *quiet = SH("exit 1");
    AUTO(proc_result_clear) struct proc_result r = {0};

    AUTO(err_freep) struct err *e = proc_run(&ctx, bad, 20, NULL);
    assert_err(e, ERR_REMOTE, "");
    assert_string_equal(e->text, "sh: exit 3: the  [1mreason");
    assert_int_equal(e->remote, 3);
    AUTO(err_freep) struct err *none = proc_run(&ctx, quiet, 20, NULL);
    assert_err(none, ERR_REMOTE, "sh: exit 1");
    assert_null(proc_run(&ctx, SH("echo fine"), 20, &r));
    assert_string_equal(r.out, "fine\n");
    assert_null(proc_run(&ctx, SH("echo fine"), 20, NULL));
}

static void death_by_a_signal_is_an_error(void **state)
{
    struct proc_result r;
    AUTO(err_freep) struct err *e = sh("echo oops >&2; kill -SEGV $$", &r);

    assert_err(e, ERR_REMOTE, "sh: killed by signal 11 (SIGSEGV); its last words: oops");
    assert_int_equal(e->remote, 128 + SIGSEGV);
    assert_no_child();
}

static void what_is_not_there_is_absent(void **state)
{
    static const char *const argv[] = {"/no/such/program", NULL};
    struct proc_spec spec = {.path = argv[0], .argv = argv};
    struct proc_result r;

    AUTO(err_freep) struct err *e = ctx.proc->run(&ctx, &spec, &r);
    assert_err(e, ERR_ABSENT, "cannot run '/no/such/program'");
    spec.path = "/etc/passwd";
    AUTO(err_freep) struct err *no_x = ctx.proc->run(&ctx, &spec, &r);
    assert_err(no_x, ERR_SYS, "cannot run '/etc/passwd'");
    assert_int_equal(no_x->sys, EACCES);
    spec.path = "sh";
    AUTO(err_freep) struct err *relative = ctx.proc->run(&ctx, &spec, &r);
    assert_err(relative, ERR_BUG, "not an absolute path");
    assert_no_child();
}

/* The process that sh started must be gone as well: its whole group is killed. */
static void a_deadline_kills_the_whole_group(void **state)
{
    struct proc_spec spec = {
        .path = "/bin/sh", .argv = SH("sleep 100 & echo $! >&2; wait"), .timeout_s = 1};
    uint64_t begun = now_ms(), until;
    struct proc_result r;
    const char *words;
    AUTO(err_freep) struct err *e = ctx.proc->run(&ctx, &spec, &r);
    pid_t sleeper;

    assert_err(e, ERR_TIMEOUT, "sh: did not end within 1 s and was killed; its last words: ");
    assert_in_range(now_ms() - begun, 995, 1000 + SLACK_MS);
    words = strstr(e->text, "words: ") + 7;
    sleeper = (pid_t)strtol(words, NULL, 10);
    assert_true(sleeper > 1);
    /* we are its reaper (main), so that it can be waited for */
    for (until = now_ms() + SLACK_MS; waitpid(sleeper, NULL, WNOHANG) != sleeper;)
        assert_true(now_ms() < until);
    assert_no_child();
}

static void the_operator_can_leave(void **state)
{
    struct proc_spec spec = {.path = "/bin/sleep",
                             .argv = (const char *const[]){"sleep", "100", NULL}};
    uint64_t begun = now_ms();
    struct proc_result r;

    cancel = 1;
    AUTO(err_freep) struct err *e = ctx.proc->run(&ctx, &spec, &r);
    cancel = 0;
    assert_err(e, ERR_CANCELLED, "sleep: interrupted");
    assert_true(now_ms() - begun < 100 + SLACK_MS);
    assert_no_child();
}

static void output_is_capped(void **state)
{
    struct proc_spec spec = {.path = "/bin/sh",
                             .argv = SH("while :; do echo 0123456789; done"),
                             .out_max_b = 1000,
                             .timeout_s = 20};
    AUTO(proc_result_clear) struct proc_result r = {0};

    AUTO(err_freep) struct err *e = ctx.proc->run(&ctx, &spec, &r);
    assert_err(e, ERR_REMOTE, "sh: more than 1000 bytes of output");
    spec.argv = SH("exec head -c 1001 /dev/zero >&2");
    AUTO(err_freep) struct err *err_too = ctx.proc->run(&ctx, &spec, &r);
    assert_err(err_too, ERR_REMOTE, "sh: more than 1000 bytes of output");
    spec.argv = SH("exec head -c 1000 /dev/zero");
    assert_null(ctx.proc->run(&ctx, &spec, &r));
    assert_int_equal(r.out_n, 1000);
    assert_no_child();
}

static void much_output_on_both_ends_does_not_hang(void **state)
{
    AUTO(proc_result_clear) struct proc_result r = {0};

    assert_null(sh("head -c 500000 /dev/zero; head -c 500000 /dev/zero >&2", &r));
    assert_int_equal(r.out_n, 500000);
    assert_int_equal(r.err_n, 500000);
}

static void a_grandchild_that_keeps_the_pipe_is_not_waited_for(void **state)
{
    AUTO(proc_result_clear) struct proc_result r = {0};
    uint64_t begun = now_ms();
    pid_t pid;

    assert_null(sh("sleep 100 & echo $!", &r));
    assert_true(now_ms() - begun < SLACK_MS);
    pid = (pid_t)strtol(r.out, NULL, 10);
    assert_true(pid > 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void input_arrives_whole(void **state)
{
    size_t n = 300000; /* more than a pipe holds */
    AUTO(freep) char *text = xmalloc(n);
    AUTO(proc_result_clear) struct proc_result r = {0};
    AUTO(proc_result_clear) struct proc_result none = {0};
    struct proc_spec spec = {
        .path = "/bin/cat", .argv = (const char *const[]){"cat", NULL}, .in = text, .in_n = n};

    memset(text, 'x', n);
    assert_null(ctx.proc->run(&ctx, &spec, &r));
    assert_int_equal(r.out_n, n);
    assert_memory_equal(r.out, text, n);
    spec.in = NULL;
    assert_null(ctx.proc->run(&ctx, &spec, &none));
    assert_int_equal(none.out_n, 0);
}

static void the_environment_does_not_leak(void **state)
{
    struct proc_spec spec = {.path = "/usr/bin/env", .argv = (const char *const[]){"env", NULL}};
    AUTO(proc_result_clear) struct proc_result r = {0};
    AUTO(proc_result_clear) struct proc_result own = {0};

    setenv("SECRET", "s3cret", 1);
    assert_null(ctx.proc->run(&ctx, &spec, &r));
    assert_string_equal(r.out, "PATH=/usr/sbin:/usr/bin:/sbin:/bin\nLC_ALL=C\n");
    spec.env = (const char *const[]){"A=1", NULL};
    assert_null(ctx.proc->run(&ctx, &spec, &own));
    assert_string_equal(own.out, "A=1\n");
    unsetenv("SECRET");
}

static void descriptors_do_not_leak(void **state)
{
    AUTO(closep) int careless = open("/etc/passwd", O_RDONLY); /* no O_CLOEXEC, on purpose */
    AUTO(proc_result_clear) struct proc_result r = {0};
    int before = fds_open();

    assert_true(careless > 2);
    assert_null(proc_run(&ctx, (const char *const[]){"/bin/ls", "/proc/self/fd", NULL}, 20, &r));
    assert_string_equal(r.out, "0\n1\n2\n3\n"); /* 3 is the folder that ls reads */
    for (int i = 0; i < 20; i++) {
        struct proc_result none;
        AUTO(err_freep) struct err *e = sh("kill -9 $$", &none);

        assert_non_null(e);
    }
    assert_int_equal(fds_open(), before);
}

/* Every signal but 32 and 33, which are libc's own: it lets nobody change them, and posix_spawn
 * (as make uses it) has children begin with them ignored. */
static uint64_t signals_of(const char *status, const char *name)
{
    const char *at = strstr(status, name);

    assert_non_null(at);
    return strtoull(at + strlen(name), NULL, 16) & ~(3ULL << 31);
}

static void signals_are_as_new(void **state)
{
    static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTSTP, 40};
    AUTO(proc_result_clear) struct proc_result r = {0};
    sigset_t set;

    for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
        signal(ignored[i], SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    /* not of sh, which sets its own */
    struct proc_spec spec = {
        .path = "/bin/grep",
        .argv = (const char *const[]){"grep", "-E", "Sig(Blk|Ign)", "/proc/self/status", NULL}};
    struct err *e = ctx.proc->run(&ctx, &spec, &r);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
        signal(ignored[i], SIG_DFL);
    assert_null(e);
    assert_int_equal(signals_of(r.out, "SigBlk:"), 0);
    assert_int_equal(signals_of(r.out, "SigIgn:"), 0);
}

static void closed_standard_files_do_no_harm(void **state)
{
    AUTO(proc_result_clear) struct proc_result r = {0};
    int saved[2] = {fcntl(0, F_DUPFD_CLOEXEC, 10), fcntl(1, F_DUPFD_CLOEXEC, 10)};

    close(0);
    close(1);
    struct err *e = sh("echo out; echo err >&2", &r);
    dup2(saved[0], 0);
    dup2(saved[1], 1);
    for (size_t i = 0; i < ARRAY_LEN(saved); i++)
        close(saved[i]);
    assert_null(e);
    assert_string_equal(r.out, "out\n");
    assert_string_equal(r.err, "err\n");
}

static void programs_are_found(void **state)
{
    AUTO(freep) char *old = xstrdup(getenv("PATH"));
    AUTO(freep) char *sh_path = NULL;
    AUTO(freep) char *odd = NULL;
    AUTO(freep) char *full = NULL;
    char *none = NULL;

    assert_null(proc_find(&ctx, "sh", &sh_path));
    assert_int_equal(*sh_path, '/');
    assert_int_equal(access(sh_path, X_OK), 0);
    setenv("PATH", ".::relative:/nowhere", 1); /* nothing there: the usual places are looked at */
    struct err *e = proc_find(&ctx, "sh", &odd);
    setenv("PATH", old, 1);
    assert_null(e);
    assert_int_equal(*odd, '/');
    assert_null(proc_find(&ctx, "/bin/sh", &full));
    assert_string_equal(full, "/bin/sh");
    static const char *const bad[] = {"no-such-program", "", "/etc/passwd", "/etc", "./nothing"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(err_freep) struct err *absent = proc_find(&ctx, bad[i], &none);

        assert_err(absent, ERR_ABSENT, "");
    }
}

static void a_path_with_a_slash_is_made_absolute(void **state)
{
    AUTO(freep) char *cwd = getcwd(NULL, 0);
    AUTO(freep) char *path = NULL;

    assert_int_equal(chdir("/"), 0);
    struct err *e = proc_find(&ctx, "bin/sh", &path);
    assert_int_equal(chdir(cwd), 0);
    assert_null(e);
    assert_string_equal(path, "/bin/sh");
}

/* ---- daemons ---- */

static char *slurp(const char *path)
{
    AUTO(fclosep) FILE *f = fopen(path, "r");
    char text[4096];

    if (!f)
        return xstrdup("");
    text[fread(text, 1, sizeof(text) - 1, f)] = 0;
    return xstrdup(text);
}

/* The word behind name in /proc/PID/status. */
static char *status_of(pid_t pid, const char *name)
{
    AUTO(freep) char *path = xasprintf("/proc/%d/status", (int)pid);
    AUTO(freep) char *text = slurp(path);
    const char *at = strstr(text, name);

    if (!at)
        return xstrdup("");
    at += strlen(name);
    at += strspn(at, ":\t");
    return xstrndup(at, strcspn(at, "\n"));
}

/* A new empty file's name; the file itself is deleted again. */
static char *fresh_name(void)
{
    char *path = xstrdup("/tmp/agavectl-test-log-XXXXXX");
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    unlink(path);
    return path;
}

static void assert_text_comes(const char *path, const char *want)
{
    uint64_t until = now_ms() + 10000;

    for (;;) {
        AUTO(freep) char *text = slurp(path);

        if (strcmp(text, want) == 0)
            return;
        if (now_ms() > until)
            fail_msg("want '%s', got '%s'", want, text);
        clock_system.wait(10000000, NULL);
    }
}

static void a_daemon_stands_on_its_own(void **state)
{
    AUTO(freep) char *log = fresh_name();
    AUTO(freep) char *want = NULL;
    struct proc_daemon_spec spec = {
        .path = "/bin/sh",
        .argv = SH("echo pid $$ in $(pwd) env $A; echo bad >&2; exec sleep 100"),
        .env = (const char *const[]){"A=1", "PATH=/usr/bin:/bin", NULL},
        .log = log,
        .uid = UINT32_MAX,
        .gid = UINT32_MAX};
    AUTO(closep) int careless = open("/etc/passwd", O_RDONLY);
    int before = fds_open();
    struct stat st;
    pid_t pid = 0;

    assert_true(careless > 2);
    assert_null(proc_spawn_daemon(&spec, &pid));
    assert_true(pid > 1);
    want = xasprintf("pid %d in / env 1\nbad\n", (int)pid);
    assert_text_comes(log, want);
    assert_int_equal(getsid(pid), pid);
    assert_int_equal(fds_of(pid), 3);
    assert_int_equal(stat(log, &st), 0);
    assert_int_equal(st.st_mode & 07777 & ~0640, 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid); /* we are the subreaper here: see main */
    assert_no_child();
    assert_int_equal(fds_open(), before);

    spec.argv = SH("echo again");
    assert_null(proc_spawn_daemon(&spec, &pid));
    AUTO(freep) char *both = xasprintf("%sagain\n", want); /* appended */
    assert_text_comes(log, both);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    unlink(log);
}

/* Where we may raise a hard limit the daemon has it, as a user who may not; elsewhere it starts all
 * the same. */
static void a_daemon_gets_the_limits_that_it_needs(void **state)
{
    AUTO(freep) char *log = fresh_name();
    struct rlimit old, low, more;
    struct proc_daemon_spec spec = {.path = "/bin/sh",
                                    .argv = SH("ulimit -Hn; ulimit -Hl; exec sleep 100"),
                                    .log = log,
                                    .uid = UINT32_MAX,
                                    .gid = UINT32_MAX,
                                    .memlock_b = 1024}; /* less than there is: never lowered */
    pid_t pid = 0;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    more = (struct rlimit){old.rlim_cur, old.rlim_max + 1};
    bool may = setrlimit(RLIMIT_NOFILE, &more) == 0;
    if (may)
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    spec.nofile = old.rlim_max + 1;
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &low), 0);
    assert_null(proc_spawn_daemon(&spec, &pid));
    AUTO(freep)
    char *memory = low.rlim_max == RLIM_INFINITY
                       ? xstrdup("unlimited")
                       : xasprintf("%llu", (unsigned long long)low.rlim_max / 1024);
    AUTO(freep)
    char *want = xasprintf("%llu\n%s\n", (unsigned long long)old.rlim_max + may, memory);
    assert_text_comes(log, want);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    unlink(log);
}

static void a_program_runs_as_another_user(void **state)
{
    static const char *const argv[] = {"grep", "-E", "^(Uid|Gid|Groups):", "/proc/self/status",
                                       NULL};
    static const struct proc_user as = {.uid = 12345, .gid = 23456};
    const struct proc_spec spec = {.path = "/bin/grep", .argv = argv, .as = &as};
    AUTO(proc_result_clear) struct proc_result r = {0};

    if (geteuid() != 0) {
        AUTO(err_freep) struct err *e = ctx.proc->run(&ctx, &spec, &r);

        assert_err(e, ERR_SYS, "cannot take the user and group");
        return;
    }
    assert_null(ctx.proc->run(&ctx, &spec, &r));
    assert_true(str_starts(r.out, "Uid:\t12345\t12345\t12345\t12345\n"
                                  "Gid:\t23456\t23456\t23456\t23456\n"
                                  "Groups:\t"));
    assert_null(strpbrk(strstr(r.out, "Groups:"), "0123456789"));
}

static void a_daemon_takes_its_user_and_loses_its_groups(void **state)
{
    AUTO(freep) char *log = fresh_name();
    struct proc_daemon_spec spec = {.path = "/bin/sleep",
                                    .argv = (const char *const[]){"sleep", "100", NULL},
                                    .log = log,
                                    .uid = 65534,
                                    .gid = 65533};
    static const gid_t ours[] = {7, 8}; /* something to lose */
    gid_t old[64];
    int n_old = getgroups(ARRAY_LEN(old), old);
    struct stat st;
    pid_t pid = 0;

    assert_true(n_old >= 0);
    assert_int_equal(setgroups(ARRAY_LEN(ours), ours), 0);
    struct err *e = proc_spawn_daemon(&spec, &pid);
    assert_int_equal(setgroups((size_t)n_old, old), 0);
    assert_null(e);
    AUTO(freep) char *uids = status_of(pid, "Uid");
    AUTO(freep) char *gids = status_of(pid, "Gid");
    AUTO(freep) char *groups = status_of(pid, "Groups");
    AUTO(freep) char *caps = status_of(pid, "CapEff");
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_string_equal(uids, "65534\t65534\t65534\t65534");
    assert_string_equal(gids, "65533\t65533\t65533\t65533");
    assert_int_equal(strspn(groups, " "), strlen(groups));
    assert_string_equal(caps, "0000000000000000");
    assert_int_equal(stat(log, &st), 0);
    assert_int_equal(st.st_uid, 65534);
    unlink(log);
}

static void a_daemon_that_cannot_start_is_told_here(void **state)
{
    struct proc_daemon_spec spec = {.path = "/no/such/daemon",
                                    .argv = (const char *const[]){"d", NULL},
                                    .uid = UINT32_MAX,
                                    .gid = UINT32_MAX};
    pid_t pid = -7;

    AUTO(err_freep) struct err *e = proc_spawn_daemon(&spec, &pid);
    assert_err(e, ERR_ABSENT, "cannot run '/no/such/daemon'");
    spec.path = "/bin/sleep";
    spec.cwd = "/no/such/folder";
    AUTO(err_freep) struct err *cwd = proc_spawn_daemon(&spec, &pid);
    assert_err(cwd, ERR_SYS, "cannot run '/bin/sleep' in '/no/such/folder'");
    spec.cwd = NULL;
    spec.log = "/no/such/folder/log";
    AUTO(err_freep) struct err *log = proc_spawn_daemon(&spec, &pid);
    assert_err(log, ERR_SYS, "cannot open the log '/no/such/folder/log'");
    spec.log = "/tmp";
    AUTO(err_freep) struct err *folder = proc_spawn_daemon(&spec, &pid);
    assert_non_null(folder);
    spec.log = "/proc/self/fd/0"; /* a link, wherever it leads */
    AUTO(err_freep) struct err *link = proc_spawn_daemon(&spec, &pid);
    assert_non_null(link);
    assert_int_equal(pid, -7);
    while (waitpid(-1, NULL, 0) > 0)
        ; /* the ones that could not exec are ours as the subreaper */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exit_code_is_a_result),
        cmocka_unit_test(silence_is_an_empty_text),
        cmocka_unit_test(run_wants_exit_0_and_quotes_the_last_line),
        cmocka_unit_test(death_by_a_signal_is_an_error),
        cmocka_unit_test(what_is_not_there_is_absent),
        cmocka_unit_test(a_deadline_kills_the_whole_group),
        cmocka_unit_test(the_operator_can_leave),
        cmocka_unit_test(output_is_capped),
        cmocka_unit_test(much_output_on_both_ends_does_not_hang),
        cmocka_unit_test(a_grandchild_that_keeps_the_pipe_is_not_waited_for),
        cmocka_unit_test(input_arrives_whole),
        cmocka_unit_test(the_environment_does_not_leak),
        cmocka_unit_test(descriptors_do_not_leak),
        cmocka_unit_test(signals_are_as_new),
        cmocka_unit_test(closed_standard_files_do_no_harm),
        cmocka_unit_test(programs_are_found),
        cmocka_unit_test(a_path_with_a_slash_is_made_absolute),
        cmocka_unit_test(a_daemon_stands_on_its_own),
        cmocka_unit_test(a_daemon_gets_the_limits_that_it_needs),
        cmocka_unit_test(a_daemon_that_cannot_start_is_told_here),
        cmocka_unit_test(a_program_runs_as_another_user),
        cmocka_unit_test(a_daemon_takes_its_user_and_loses_its_groups), /* last: root only */
    };
    size_t n = ARRAY_LEN(tests) - (geteuid() == 0 ? 0 : 1);

    if (geteuid() != 0)
        puts("# not real: users: needs root, to start a daemon as another one");
    /* orphans come to us: whoever is pid 1 here may not reap, and the tests want to wait for them
     */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return _cmocka_run_group_tests("proc", tests, n, NULL, NULL);
}
