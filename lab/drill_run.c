/* What drills are made of: agavectl as a program in the lab's namespaces, and looks at what it
 * says. */
#include "lab/drill_run.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/fsroot.h"
#include "lab/lab.h"

#define CONFIG     DRILL_DIR "/agavectl.yaml"
#define SAID_MAX_B (1u << 20)
#define COMMAND_S  180
#define BUSY_S     30
#define POLL_MS    20
#define ARGS_MAX   16

void drill_say(struct drill_run *d, const char *fmt, ...)
{
    AUTO(freep) char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = xvasprintf(fmt, ap);
    va_end(ap);
    d->report->step(d->report->arg, (double)(clock_mono_ns(d->ctx) - d->begun_ns) / 1e9, text);
}

/* xorshift64* */
uint64_t drill_random(struct drill_run *d, uint64_t n)
{
    d->random ^= d->random >> 12;
    d->random ^= d->random << 25;
    d->random ^= d->random >> 27;
    return n ? (d->random * 0x2545f4914f6cdd1du >> 16) % n : 0;
}

struct err *drill_config(struct drill_run *d, const char *more)
{
    AUTO(freep) char *text = NULL;
    AUTO(freep) char *all = NULL;

    TRY(fsroot_read(d->ctx->root, LAB_CONFIG, SAID_MAX_B, &text, NULL));
    all = xasprintf("%s%s", text, more);
    TRY(fsroot_write_atomic(d->ctx->root, CONFIG, all, strlen(all), 0600));
    free(d->config);
    d->config = xstrdup(CONFIG);
    return NULL;
}

void drill_kill(struct drill_child *c)
{
    int status;

    if (c->pid <= 0)
        return;
    kill(c->pid, SIGKILL);
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
        ;
    c->pid = 0;
    c->exit = 128 + SIGKILL;
}

void drill_child_clear(struct drill_child *c)
{
    drill_kill(c);
    free(c->out);
    free(c->err);
    *c = (struct drill_child){0};
}

static bool redirect(const char *path, int to)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

    return fd >= 0 && dup2(fd, to) == to;
}

/* In the child. The reason of a failure goes where its other words go. */
static void become(const struct drill_run *d, const char *const *argv)
{
    AUTO(err_freep) struct err *e = NULL;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0); /* an interrupt of the terminal is the drill's alone */
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || !redirect(DRILL_DIR "/out", STDOUT_FILENO) ||
        !redirect(DRILL_DIR "/err", STDERR_FILENO))
        _exit(127);
    e = lab_enter();
    if (!e)
        execv(d->self, (char *const *)(uintptr_t)argv);
    dprintf(STDERR_FILENO, "cannot run '%s': %s\n", d->self, e ? e->text : "exec failed");
    _exit(127);
}

struct err *drill_spawn(struct drill_run *d, const char *const *args, struct drill_child *ret)
{
    const char *argv[ARGS_MAX + 5] = {d->self, "--config", d->config};
    size_t n = 0;
    pid_t pid;

    for (; args[n] && n < ARGS_MAX; n++)
        argv[3 + n] = args[n];
    if (str_eq(args[0], "up"))
        argv[3 + n] = "--yes"; /* nobody is there to be asked */
    pid = fork();
    if (pid < 0)
        return err_sys(errno, "cannot fork");
    if (pid == 0)
        become(d, argv);
    *ret = (struct drill_child){.pid = pid};
    return NULL;
}

static struct err *take_words(struct drill_run *d, struct drill_child *c)
{
    TRY(fsroot_read_tail(d->ctx->root, DRILL_DIR "/out", SAID_MAX_B, &c->out, NULL));
    return fsroot_read_tail(d->ctx->root, DRILL_DIR "/err", SAID_MAX_B, &c->err, NULL);
}

struct err *drill_ended(struct drill_run *d, struct drill_child *c, bool *ret)
{
    int status;
    pid_t got = c->pid ? waitpid(c->pid, &status, WNOHANG) : 0;

    *ret = c->pid == 0 || got == c->pid;
    if (got != c->pid || c->pid == 0)
        return NULL;
    c->pid = 0;
    c->exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return take_words(d, c);
}

struct ended_arg {
    struct drill_run *d;
    struct drill_child *c;
};

static struct err *ended(struct ctx *ctx, void *arg, bool *ret)
{
    struct ended_arg *a = arg;

    return drill_ended(a->d, a->c, ret);
}

struct err *drill_wait(struct drill_run *d, struct drill_child *c, uint32_t timeout_s)
{
    struct ended_arg a = {d, c};

    return wait_until(d->ctx, "the end of the command", (uint64_t)timeout_s * 1000, POLL_MS, ended,
                      &a);
}

/* The last line that it said, for a message. */
static const char *last_line(char *text)
{
    size_t n = strlen(text);
    const char *newline;

    while (n && text[n - 1] == '\n')
        text[--n] = 0;
    newline = strrchr(text, '\n');
    return newline ? newline + 1 : text;
}

struct err *drill_agavectl(struct drill_run *d, int want_exit, const char *const *args,
                           struct drill_child *ret)
{
    AUTO(drill_child_clear) struct drill_child c = {0};

    TRY(drill_spawn(d, args, &c));
    TRY_CTX(drill_wait(d, &c, COMMAND_S), "agavectl %s", args[0]);
    if (c.exit != want_exit)
        return err_new(ERR_REMOTE, "agavectl %s: exit %d, not %d: %s", args[0], c.exit, want_exit,
                       last_line(c.err));
    if (ret) {
        *ret = c;
        c = (struct drill_child){0};
    }
    return NULL;
}

struct again {
    struct drill_run *d;
    const char *const *args;
    struct drill_child c;
};

static struct err *not_busy(struct ctx *ctx, void *arg, bool *ret)
{
    struct again *a = arg;

    drill_child_clear(&a->c);
    TRY(drill_spawn(a->d, a->args, &a->c));
    TRY_CTX(drill_wait(a->d, &a->c, COMMAND_S), "agavectl %s", a->args[0]);
    *ret = a->c.exit != 4 ||
           (!strstr(a->c.err, "another agavectl is at work") && !strstr(a->c.err, "mkfs.xfs"));
    return NULL;
}

struct err *drill_go_on(struct drill_run *d, const char *const *args)
{
    struct again a = {.d = d, .args = args};
    struct err *e = wait_until(d->ctx, "the host lock", BUSY_S * 1000, 200, not_busy, &a);
    bool resume = !e && a.c.exit == 4 && strstr(a.c.err, "op resume");

    if (!e && !resume && a.c.exit != 0)
        e = err_new(ERR_REMOTE, "%s after a kill: exit %d: %s", args[0], a.c.exit,
                    last_line(a.c.err));
    drill_child_clear(&a.c);
    TRY(e);
    if (!resume)
        return NULL;
    drill_say(d, "an operation was cut off before: op resume");
    TRY(drill_agavectl(d, 0, DRILL_ARGS("op", "resume"), NULL));
    return drill_agavectl(d, 0, args, NULL);
}

struct err *drill_status(struct drill_run *d, struct json **ret)
{
    AUTO(drill_child_clear) struct drill_child c = {0};

    TRY(drill_agavectl(d, 0, DRILL_ARGS("status", "-o", "json"), &c));
    return json_parse(c.out, strlen(c.out), ret);
}

static struct err *at_the_tip(struct ctx *ctx, void *arg, bool *ret)
{
    AUTO(json_freep) struct json *s = NULL;
    const char *health;

    TRY(drill_status(arg, &s));
    TRY(json_as_str(json_get(s, "health"), &health));
    *ret = str_eq(health, "ok");
    return NULL;
}

struct err *drill_tip(struct drill_run *d)
{
    return wait_until(d->ctx, "status says ok", DRILL_TIP_S * 1000, 300, at_the_tip, d);
}

struct err *drill_up(struct drill_run *d)
{
    TRY(drill_agavectl(d, 0, DRILL_ARGS("up"), NULL));
    return drill_tip(d);
}

struct err *drill_stop(struct drill_run *d)
{
    return drill_agavectl(d, 0, DRILL_ARGS("stop"), NULL);
}

struct err *drill_validator(struct drill_run *d, struct pid_id *ret)
{
    AUTO(json_freep) struct json *s = NULL;
    const struct json *pids;
    uint64_t pid;

    TRY(drill_status(d, &s));
    pids = json_get(json_get(s, "unit"), "pids");
    if (json_len(pids) != 1)
        return err_new(ERR_NOTFOUND, "not one validator runs in the lab, but %zu", json_len(pids));
    TRY(json_as_u64(json_at(pids, 0), &pid));
    ret->pid = (pid_t)pid;
    return pid_start(d->ctx, ret->pid, &ret->start);
}

struct err *drill_must_say(const char *what, const char *text, const char *word)
{
    AUTO(freep) char *shown = NULL;

    if (strstr(text, word))
        return NULL;
    shown = str_shown(text, 400);
    return err_new(ERR_REMOTE, "%s does not say '%s', but: %s", what, word, shown);
}
