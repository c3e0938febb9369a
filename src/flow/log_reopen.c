/* The validator's log, opened anew. No process is ever picked by its name here, and none is sent a
 * signal that it has not prepared for: SIGUSR1 ends a validator that logs to no file. */
#include "flow/log_reopen.h"

#include <signal.h>
#include <sys/stat.h>

#include "base/str.h"
#include "config/config.h"
#include "host/pid_files.h"
#include "host/signals.h"
#include "io/clock.h"
#include "io/fsroot.h"

#define LOOK_MS 50

/* Who holds the lock, the process that took it before those that inherited it: a child has a larger
 * start time. */
static struct err *find(struct ctx *ctx, struct pid_id *ret)
{
    AUTO(freep) char *lock = xasprintf("%s/ledger.lock", ctx->cfg->validator.ledger);
    AUTO(pids_clear) struct pids found = {0};
    struct err *e = pids_flock_holders(ctx, lock, &found);

    *ret = (struct pid_id){0};
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e); /* no lock file: never started */
    TRY_CTX(e, "cannot look for the validator");
    for (size_t i = 0; i < found.n; i++)
        if (ret->pid == 0 || found.items[i].id.start < ret->start)
            *ret = found.items[i].id;
    return NULL;
}

/* Does the process have the file of that name open? Compared by what it is, not by its path, which
 * in a container is another. */
static struct err *has_open(struct ctx *ctx, pid_t pid, const char *path, bool *ret)
{
    AUTO(freep) char *dir = xasprintf("/proc/%d/fd", (int)pid);
    AUTO(strlist_clear) struct strlist fds = {0};
    struct stat want, st;
    struct err *e = fsroot_stat(ctx->root, path, &want);

    *ret = false;
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e); /* not made yet */
    TRY(e);
    TRY(fsroot_list(ctx->root, dir, &fds));
    for (size_t i = 0; i < fds.n && !*ret; i++) {
        AUTO(freep) char *fd = xasprintf("%s/%s", dir, fds.items[i]);

        e = fsroot_stat(ctx->root, fd, &st);
        *ret = !e && st.st_dev == want.st_dev && st.st_ino == want.st_ino;
        err_free(e); /* closed meanwhile */
    }
    return NULL;
}

static struct err *has_it(struct ctx *ctx, void *arg, bool *ret_done)
{
    const struct pid_id *id = arg;

    return has_open(ctx, id->pid, ctx->cfg->validator.log, ret_done);
}

struct err *log_reopen(struct ctx *ctx, pid_t *ret_pid)
{
    struct pid_id id;
    bool lives = false;

    *ret_pid = 0;
    TRY(find(ctx, &id));
    if (id.pid == 0)
        return NULL;
    TRY(pid_survives_signal(ctx, id, SIGUSR1, &lives));
    if (!lives)
        return err_new(ERR_REFUSED,
                       "process %d holds the ledger's lock and would be ended by SIGUSR1: nothing "
                       "was sent; does it log to a file ('--log')?",
                       (int)id.pid);
    TRY(pid_signal(ctx, id, SIGUSR1));
    TRY(err_hint(wait_until(ctx, "the validator opens its log again", LOG_REOPEN_S * 1000ULL,
                            LOOK_MS, has_it, &id),
                 "it was told (process %d); is '%s' its log?", (int)id.pid,
                 ctx->cfg->validator.log));
    *ret_pid = id.pid;
    return NULL;
}
