/* Looking at a place that may never answer, by a child that can be left behind. It does not say
 * what is there: a place that has answered is looked at again by whoever wants to know. */
#include "io/probe.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/fsroot.h"

#define POLL_MS   5
#define NS_PER_MS 1000000ULL

/* Standard output is given up as well: whoever reads it would wait for this child too. */
static _Noreturn void child(const struct ctx *ctx, void (*look)(struct ctx *ctx, const void *arg),
                            const void *arg)
{
    struct ctx own = *ctx;

    own.root = NULL;
    if (close_range(0, ~0U, 0) < 0)
        _exit(1);
    if (!fsroot_open(fsroot_dir(ctx->root), &own.root))
        look(&own, arg);
    _exit(0);
}

/* False: it is not known. */
static bool ended(pid_t pid)
{
    pid_t rc = waitpid(pid, NULL, WNOHANG);

    return rc == pid || (rc < 0 && errno == ECHILD);
}

struct err *probe_comes_back(struct ctx *ctx, uint64_t timeout_ms,
                             void (*look)(struct ctx *ctx, const void *arg), const void *arg,
                             bool *ret)
{
    uint64_t until = clock_system.mono_ns() + timeout_ms * NS_PER_MS;
    pid_t pid = fork();

    if (pid < 0)
        return err_sys(errno, "cannot start a process");
    if (pid == 0)
        child(ctx, look, arg);
    while (!(*ret = ended(pid)) && clock_system.mono_ns() < until)
        poll(NULL, 0, POLL_MS);
    if (!*ret)
        kill(pid, SIGKILL); /* for one that was only slow */
    return NULL;
}
