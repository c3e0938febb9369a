/* Running programs: to their end with a deadline and bounded output, or as a daemon that outlives
 * us. Between fork and execve only calls that are safe there (signal-safety(7)): the parent may
 * have threads. Standard input is a memfd, so that nothing has to be written while output is read.
 */
#include "io/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "io/clock.h"

#define OUT_MAX_B      (1024 * 1024)
#define TIMEOUT_S      60
#define CANCEL_POLL_MS 100
#define NO_PIDFD_MS    20    /* how often to look for the end of a child without a pidfd */
#define REAP_MS        10000 /* less is not enough where the disks are busy */
#define START_MS       30000
#define NS_PER_MS      1000000ULL

static const char *const plain_env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL};

/* What a child that could not exec says through the last pipe, in at most one piece each. */
struct report {
    int what; /* enum report_what */
    int value;
};
enum report_what { REPORT_PID, REPORT_EXEC, REPORT_IDS, REPORT_CWD, REPORT_FORK };

/* Everything that the child needs, prepared before the fork. */
struct child {
    const char *path;
    char *const *argv, *const *env;
    const char *cwd; /* NULL: stay */
    int in, out, err, report;
    uint32_t uid, gid; /* UINT32_MAX: as we are */
    uint64_t nofile, memlock_b;
};

static char *const *exec_list(const char *const *list)
{
    return (char *const *)(uintptr_t)list; /* execve's prototype is older than const */
}

static const char *short_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* ---- in the child ------------------------------------------------------------------------- */

static void child_die(const struct child *c, enum report_what what, int value)
{
    struct report r = {.what = (int)what, .value = value};

    if (write(c->report, &r, sizeof(r)) < 0)
        _exit(126);
    _exit(127);
}

static void child_signals(void)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int sig = 1; sig < NSIG; sig++)
        sigaction(sig, &plain, NULL); /* fails for SIGKILL and libc's own: as it should */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Ours are all O_CLOEXEC; this is for what our own caller or a library left open. */
static void child_descriptors(void)
{
    struct rlimit lim = {.rlim_cur = 1024};

    if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return;
    getrlimit(RLIMIT_NOFILE, &lim);
    for (int fd = 3; fd < (int)(lim.rlim_cur < 65536 ? lim.rlim_cur : 65536); fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* The raw calls: libc's versions talk to the other threads, of which there are none here. */
static void child_ids(const struct child *c)
{
    if (c->uid == UINT32_MAX && c->gid == UINT32_MAX)
        return;
    if (syscall(SYS_setgroups, 0, NULL) < 0)
        child_die(c, REPORT_IDS, errno);
    if (c->gid != UINT32_MAX && syscall(SYS_setresgid, c->gid, c->gid, c->gid) < 0)
        child_die(c, REPORT_IDS, errno);
    if (c->uid != UINT32_MAX && syscall(SYS_setresuid, c->uid, c->uid, c->uid) < 0)
        child_die(c, REPORT_IDS, errno);
}

/* The program says itself what it lacks, and `check` said so before. */
static void child_raise(int which, uint64_t least)
{
    struct rlimit lim;

    if (least == 0 || getrlimit(which, &lim) < 0 || lim.rlim_max >= least)
        return;
    lim.rlim_max = least;
    (void)setrlimit(which, &lim);
}

static void child_exec(const struct child *c)
{
    dup2(c->in, 0);
    dup2(c->out, 1);
    dup2(c->err, 2);
    child_descriptors();
    child_raise(RLIMIT_NOFILE, c->nofile);
    child_raise(RLIMIT_MEMLOCK, c->memlock_b);
    child_ids(c);
    if (c->cwd && chdir(c->cwd) < 0)
        child_die(c, REPORT_CWD, errno);
    child_signals();
    execve(c->path, c->argv, c->env);
    child_die(c, REPORT_EXEC, errno);
}

/* ---- in the parent ------------------------------------------------------------------------ */

/* A pipe whose ends are above 2: the child puts its own files there. */
static struct err *pipe_above(int ret[2])
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(errno, "cannot make a pipe");
    for (int i = 0; i < 2; i++) {
        int old = ends[i];

        ends[i] = old > 2 ? old : fcntl(old, F_DUPFD_CLOEXEC, 3);
        if (old <= 2)
            close(old);
    }
    if (ends[0] < 0 || ends[1] < 0) {
        closep(&ends[0]);
        closep(&ends[1]);
        return err_new(ERR_SYS, "cannot make a pipe: no descriptor left");
    }
    ret[0] = ends[0];
    ret[1] = ends[1];
    return NULL;
}

static struct err *fd_above(int fd, int *ret)
{
    AUTO(closep) int low = fd;

    if (fd > 2) {
        *ret = TAKE_FD(low);
        return NULL;
    }
    *ret = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return *ret < 0 ? err_sys(errno, "cannot move a descriptor") : NULL;
}

static struct err *open_null(int flags, int *ret)
{
    int fd = open("/dev/null", flags | O_CLOEXEC);

    if (fd < 0)
        return err_sys(errno, "cannot open '/dev/null'");
    return fd_above(fd, ret);
}

static struct err *open_input(const struct proc_spec *spec, int *ret)
{
    AUTO(closep) int fd = -1;
    size_t done = 0;

    if (!spec->in)
        return open_null(O_RDONLY, ret);
    fd = memfd_create("input", MFD_CLOEXEC);
    if (fd < 0)
        return err_sys(errno, "cannot make the input of '%s'", spec->path);
    while (done < spec->in_n) {
        ssize_t n = write(fd, spec->in + done, spec->in_n - done);

        if (n < 0 && errno != EINTR)
            return err_sys(errno, "cannot make the input of '%s'", spec->path);
        done += n > 0 ? (size_t)n : 0;
    }
    if (lseek(fd, 0, SEEK_SET) < 0)
        return err_sys(errno, "cannot make the input of '%s'", spec->path);
    return fd_above(TAKE_FD(fd), ret);
}

/* fork with every signal blocked, so that no handler of ours runs in the child. */
static pid_t quiet_fork(void)
{
    sigset_t all, old;
    pid_t pid;
    int sys;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pid = fork();
    sys = errno;
    if (pid != 0)
        pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = sys;
    return pid;
}

static struct err *report_err(const struct report *r, const char *path, const char *cwd)
{
    switch ((enum report_what)r->what) {
    case REPORT_EXEC:
        if (r->value == ENOENT)
            return err_new_(__FILE__, __LINE__, ERR_ABSENT, ENOENT, 0, "cannot run '%s'", path);
        return err_sys(r->value, "cannot run '%s'", path);
    case REPORT_IDS:
        return err_sys(r->value, "cannot take the user and group for '%s'", path);
    case REPORT_CWD:
        return err_sys(r->value, "cannot run '%s' in '%s'", path, cwd);
    case REPORT_FORK:
        return err_sys(r->value, "cannot start a process for '%s'", path);
    case REPORT_PID:
        break;
    }
    return err_new(ERR_BUG, "'%s': report %d from the child", path, r->what);
}

enum { OUT, ERR, REPORT, N_STREAMS };

struct stream {
    int fd; /* -1: at its end */
    struct strbuf text;
    size_t max_b;
    bool over;
};

struct running {
    const struct proc_spec *spec;
    const char *name;
    pid_t pid; /* 0: reaped */
    int pidfd; /* -1: the kernel has none, or reaped */
    int status;
    uint32_t timeout_s;
    struct stream streams[N_STREAMS];
};

static bool reaped(struct running *run, struct err **ret)
{
    pid_t rc = waitpid(run->pid, &run->status, WNOHANG);

    if (rc == 0 || (rc < 0 && errno == EINTR))
        return false;
    if (rc < 0) /* ECHILD: somebody ignores SIGCHLD or waits for any child */
        *ret = err_sys(errno, "%s: cannot learn how it ended", run->name);
    run->pid = 0;
    return true;
}

/* True when it is gone. A process in uninterruptible sleep outlives SIGKILL: the wait is bounded.
 */
static bool kill_and_reap(struct running *run)
{
    AUTO(err_freep) struct err *ignored = NULL;
    uint64_t until = clock_system.mono_ns() + REAP_MS * NS_PER_MS;

    kill(-run->pid, SIGKILL);
    kill(run->pid, SIGKILL); /* its own session may not have been made yet */
    while (!reaped(run, &ignored)) {
        struct pollfd p = {.fd = run->pidfd, .events = POLLIN};

        if (clock_system.mono_ns() >= until)
            return false;
        poll(&p, 1, run->pidfd < 0 ? NO_PIDFD_MS : CANCEL_POLL_MS);
    }
    return true;
}

static void running_clear(struct running *run)
{
    if (run->pid > 0)
        kill_and_reap(run);
    closep(&run->pidfd);
    for (int i = 0; i < N_STREAMS; i++) {
        closep(&run->streams[i].fd);
        strbuf_clear(&run->streams[i].text);
    }
}

static void drain(struct stream *s)
{
    char piece[16384];

    while (s->fd >= 0 && !s->over) {
        ssize_t n = read(s->fd, piece, sizeof(piece));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            closep(&s->fd);
            s->fd = -1;
            return;
        }
        s->over = (size_t)n > s->max_b - s->text.len;
        if (!s->over)
            strbuf_add(&s->text, piece, (size_t)n);
    }
}

/* The last line that is not blank, without control characters, for an error text. */
static char *last_line(const char *text)
{
    size_t end = strlen(text), start;
    char *line;

    while (end > 0 && strchr(" \t\r\n", text[end - 1]))
        end--;
    for (start = end; start > 0 && text[start - 1] != '\n'; start--)
        ;
    if (end - start > 400)
        end = start + 400;
    line = xstrndup(text + start, end - start);
    for (char *p = line; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    return line;
}

/* Ends the child and appends what it said last. */
static struct err *give_up(struct running *run, struct err *e)
{
    AUTO(freep) char *line = last_line(strbuf_text(&run->streams[ERR].text));
    pid_t pid = run->pid;

    if (*line)
        e = err_hint(e, "its last words: %s", line);
    if (kill_and_reap(run))
        return e;
    run->pid = 0; /* nothing more can be done about it */
    return err_hint(e, "pid %d does not die, it may wait for a device: look at its kernel stack",
                    (int)pid);
}

static struct err *watch_once(struct ctx *ctx, struct running *run, uint64_t deadline)
{
    uint64_t now = clock_system.mono_ns();
    int wait_ms = run->pidfd < 0 ? NO_PIDFD_MS : CANCEL_POLL_MS;
    struct pollfd p[1 + N_STREAMS] = {{.fd = run->pidfd, .events = POLLIN}};

    if (ctx_cancelled(ctx))
        return give_up(run, err_new(ERR_CANCELLED, "%s: interrupted", run->name));
    if (now >= deadline)
        return give_up(run, err_new(ERR_TIMEOUT, "%s: did not end within %u s and was killed",
                                    run->name, run->timeout_s));
    if ((deadline - now) / NS_PER_MS < (uint64_t)wait_ms)
        wait_ms = (int)((deadline - now) / NS_PER_MS) + 1;
    for (int i = 0; i < N_STREAMS; i++)
        p[1 + i] = (struct pollfd){.fd = run->streams[i].fd, .events = POLLIN};
    poll(p, ARRAY_LEN(p), wait_ms);
    return NULL;
}

/* Until the child has ended; a grandchild that keeps the pipes open is not waited for. */
static struct err *watch(struct ctx *ctx, struct running *run)
{
    uint64_t deadline = clock_system.mono_ns() + NS_PER_MS * 1000 * run->timeout_s;

    for (;;) {
        struct err *e = NULL;
        bool ended = reaped(run, &e); /* before the drain: all it wrote is then in the pipes */

        if (e)
            return e;
        for (int i = 0; i < N_STREAMS; i++) {
            drain(&run->streams[i]);
            if (run->streams[i].over && !ended)
                return give_up(run, err_new(ERR_REMOTE, "%s: more than %zu bytes of output",
                                            run->name, run->streams[i].max_b));
            if (run->streams[i].over)
                return err_new(ERR_REMOTE, "%s: more than %zu bytes of output", run->name,
                               run->streams[i].max_b);
        }
        if (ended)
            return NULL;
        TRY(watch_once(ctx, run, deadline));
    }
}

static struct err *start(struct running *run)
{
    int ends[N_STREAMS][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
    AUTO(closep) int in = -1;
    struct err *e = open_input(run->spec, &in);
    struct child c;

    for (int i = 0; i < N_STREAMS && !e; i++) {
        e = pipe_above(ends[i]);
        run->streams[i].fd = ends[i][0];
        if (!e && fcntl(ends[i][0], F_SETFL, O_NONBLOCK) < 0)
            e = err_sys(errno, "cannot make a pipe");
    }
    c = (struct child){.path = run->spec->path,
                       .argv = exec_list(run->spec->argv),
                       .env = exec_list(run->spec->env ? run->spec->env : plain_env),
                       .in = in,
                       .out = ends[OUT][1],
                       .err = ends[ERR][1],
                       .report = ends[REPORT][1],
                       .uid = run->spec->as ? run->spec->as->uid : UINT32_MAX,
                       .gid = run->spec->as ? run->spec->as->gid : UINT32_MAX};
    run->pid = e ? 0 : quiet_fork();
    if (run->pid < 0)
        e = err_sys(errno, "cannot start a process for '%s'", run->spec->path);
    if (!e && run->pid == 0) {
        setsid(); /* its own group to kill, and no terminal to stop at */
        child_exec(&c);
    }
    for (int i = 0; i < N_STREAMS; i++)
        closep(&ends[i][1]);
    if (!e)
        run->pidfd = (int)syscall(SYS_pidfd_open, run->pid, 0);
    if (run->pidfd >= 0)
        fcntl(run->pidfd, F_SETFD, FD_CLOEXEC);
    return e;
}

static struct err *outcome(struct running *run, struct proc_result *ret)
{
    AUTO(freep) char *line = last_line(strbuf_text(&run->streams[ERR].text));
    struct report r;

    if (run->streams[REPORT].text.len >= sizeof(r)) {
        memcpy(&r, run->streams[REPORT].text.data, sizeof(r));
        return report_err(&r, run->spec->path, "");
    }
    if (WIFSIGNALED(run->status)) {
        int sig = WTERMSIG(run->status);
        struct err *e = err_remote(128 + sig, "%s: killed by signal %d (SIG%s)", run->name, sig,
                                   sigabbrev_np(sig) ? sigabbrev_np(sig) : "?");

        return *line ? err_hint(e, "its last words: %s", line) : e;
    }
    *ret = (struct proc_result){.exit = WEXITSTATUS(run->status),
                                .out_n = run->streams[OUT].text.len,
                                .err_n = run->streams[ERR].text.len};
    ret->out = strbuf_take(&run->streams[OUT].text);
    ret->err = strbuf_take(&run->streams[ERR].text);
    return NULL;
}

static struct err *proc_system_run(struct ctx *ctx, const struct proc_spec *spec,
                                   struct proc_result *ret)
{
    size_t max_b = spec->out_max_b ? spec->out_max_b : OUT_MAX_B;
    AUTO(running_clear)
    struct running run = {.spec = spec,
                          .name = short_name(spec->path),
                          .pidfd = -1,
                          .timeout_s = spec->timeout_s ? spec->timeout_s : TIMEOUT_S,
                          .streams = {{-1, {0}, max_b}, {-1, {0}, max_b}, {-1, {0}, 4096}}};

    if (*spec->path != '/')
        return err_new(ERR_BUG, "'%s' is not an absolute path", spec->path);
    log_debug("run %s", spec->path);
    TRY(start(&run));
    TRY(watch(ctx, &run));
    return outcome(&run, ret);
}

struct err *proc_self(char **ret)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (n < 0)
        return err_sys(errno, "cannot read '/proc/self/exe'");
    path[n] = 0;
    *ret = xstrdup(path);
    return NULL;
}

const struct proc_ops proc_system = {.run = proc_system_run};

void proc_result_clear(struct proc_result *r)
{
    free(r->out);
    free(r->err);
    *r = (struct proc_result){0};
}

struct err *proc_run(struct ctx *ctx, const char *const *argv, uint32_t timeout_s,
                     struct proc_result *ret)
{
    const struct proc_spec spec = {.path = argv[0], .argv = argv, .timeout_s = timeout_s};
    AUTO(proc_result_clear) struct proc_result res = {0};
    AUTO(freep) char *line = NULL;

    TRY(ctx->proc->run(ctx, &spec, &res));
    if (res.exit != 0) {
        line = last_line(*res.err ? res.err : res.out);
        return err_remote(res.exit, "%s: exit %d%s%s", short_name(argv[0]), res.exit,
                          *line ? ": " : "", line);
    }
    if (ret) {
        *ret = res;
        res = (struct proc_result){0};
    }
    return NULL;
}

/* ---- finding programs --------------------------------------------------------------------- */

static bool runnable(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* First hit in a list of folders; a relative folder is no place to take a program from. */
static char *find_in(const char *folders, const char *name)
{
    while (*folders) {
        size_t n = strcspn(folders, ":");
        AUTO(freep) char *path = xasprintf("%.*s/%s", (int)n, folders, name);

        if (*folders == '/' && runnable(path))
            return TAKE(path);
        folders += n + (folders[n] == ':');
    }
    return NULL;
}

struct err *proc_find(struct ctx *ctx, const char *name, char **ret)
{
    static const char *const usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    const char *env = getenv("PATH");
    AUTO(freep) char *path = NULL;

    if (strchr(name, '/')) {
        AUTO(freep) char *cwd = *name == '/' ? xstrdup("") : getcwd(NULL, 0);

        if (!cwd)
            return err_sys(errno, "cannot learn the current folder");
        path = xasprintf("%s%s%s", cwd, *name == '/' || str_ends(cwd, "/") ? "" : "/", name);
        if (!runnable(path))
            return err_new(ERR_ABSENT, "'%s' is not a program that can be run", path);
    } else if (*name) {
        path = find_in(env ? env : "", name);
        if (!path)
            path = find_in(usual, name);
    }
    if (!path)
        return err_new(ERR_ABSENT, "no program '%s' in PATH; install it or give its full path",
                       name);
    *ret = TAKE(path);
    return NULL;
}

/* ---- daemons ------------------------------------------------------------------------------ */

/* The user that will run may not be allowed to open its log: a new one is given to it. */
static struct err *open_log(const struct proc_daemon_spec *spec, int *ret)
{
    const int flags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC;
    AUTO(closep) int fd = -1;
    struct stat st;

    if (!spec->log)
        return open_null(O_WRONLY, ret);
    fd = open(spec->log, flags | O_CREAT | O_EXCL, 0640);
    if (fd >= 0 && (spec->uid != UINT32_MAX || spec->gid != UINT32_MAX) &&
        fchown(fd, spec->uid, spec->gid) < 0)
        return err_sys(errno, "cannot give '%s' to user %u", spec->log, spec->uid);
    if (fd < 0 && errno == EEXIST)
        fd = open(spec->log, flags);
    if (fd < 0)
        return err_sys(errno, "cannot open the log '%s'", spec->log);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return err_new(ERR_BADINPUT, "the log '%s' is not a regular file", spec->log);
    if (fcntl(fd, F_SETFL, O_APPEND) < 0) /* O_NONBLOCK was for a pipe in its place */
        return err_sys(errno, "cannot open the log '%s'", spec->log);
    return fd_above(TAKE_FD(fd), ret);
}

/* In the middle process: the daemon is its child, so that it belongs to init from the start. */
static void middle(const struct child *c)
{
    pid_t pid = fork();
    struct report r = {.what = REPORT_PID, .value = (int)pid};

    if (pid == 0) {
        setsid();
        child_exec(c);
    }
    if (pid < 0)
        child_die(c, REPORT_FORK, errno);
    _exit(write(c->report, &r, sizeof(r)) == sizeof(r) ? 0 : 126);
}

/* Reads reports until the pipe closes, which a successful exec does. */
static struct err *hear_start(int fd, const struct proc_daemon_spec *spec, pid_t *ret_pid)
{
    uint64_t until = clock_system.mono_ns() + START_MS * NS_PER_MS;
    struct err *e = NULL;
    pid_t pid = 0;
    struct report r;

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t n = 0;

        if (poll(&p, 1, CANCEL_POLL_MS) > 0) {
            n = read(fd, &r, sizeof(r)); /* written in one piece: PIPE_BUF */
            if (n == 0)
                break;
        }
        if (n == sizeof(r) && r.what == REPORT_PID)
            pid = r.value;
        else if (n == sizeof(r) && !e)
            e = report_err(&r, spec->path, spec->cwd ? spec->cwd : "/");
        if (clock_system.mono_ns() >= until)
            break;
    }
    if (!e && clock_system.mono_ns() >= until)
        e = err_new(ERR_TIMEOUT, "'%s': pid %d has not begun to run within %d s", spec->path,
                    (int)pid, START_MS / 1000);
    if (!e && pid == 0)
        e = err_new(ERR_SYS, "cannot start '%s': its first process died", spec->path);
    if (!e)
        *ret_pid = pid;
    return e;
}

struct err *proc_spawn_daemon(const struct proc_daemon_spec *spec, pid_t *ret_pid)
{
    int ends[2] = {-1, -1};
    AUTO(closep) int in = -1;
    AUTO(closep) int log = -1;
    AUTO(closep) int hear = -1;
    struct child c;
    pid_t pid;

    if (*spec->path != '/')
        return err_new(ERR_BUG, "'%s' is not an absolute path", spec->path);
    TRY(open_null(O_RDONLY, &in));
    TRY(open_log(spec, &log));
    TRY(pipe_above(ends));
    hear = ends[0];
    c = (struct child){.path = spec->path,
                       .argv = exec_list(spec->argv),
                       .env = exec_list(spec->env ? spec->env : plain_env),
                       .cwd = spec->cwd ? spec->cwd : "/",
                       .in = in,
                       .out = log,
                       .err = log,
                       .report = ends[1],
                       .uid = spec->uid,
                       .gid = spec->gid,
                       .nofile = spec->nofile,
                       .memlock_b = spec->memlock_b};
    pid = quiet_fork();
    if (pid == 0)
        middle(&c);
    close(ends[1]);
    if (pid < 0)
        return err_sys(errno, "cannot start a process for '%s'", spec->path);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return hear_start(hear, spec, ret_pid);
}
