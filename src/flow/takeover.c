/* A stop takes the host lock over. An agavectl that gets SIGTERM leaves by its own door: the step
 * that it is in ends or gives up, its journal says so, and the lock is free. */
#include "flow/takeover.h"

#include <signal.h>
#include <string.h>

#include "base/str.h"
#include "host/pid_files.h"
#include "host/pids.h"
#include "io/clock.h"
#include "io/proc.h"

#define POLL_MS 50
#define DELETED " (deleted)" /* the program was replaced while it ran */

static const char *base_name(char *path)
{
    char *slash = strrchr(path, '/');

    if (str_ends(path, DELETED))
        path[strlen(path) - strlen(DELETED)] = 0;
    return slash ? slash + 1 : path;
}

static struct err *same_program(const struct pid_info *p, bool *ret)
{
    AUTO(freep) char *self = NULL, *theirs = p->exe ? xstrdup(p->exe) : NULL;

    TRY(proc_self(&self));
    *ret = theirs && str_eq(base_name(theirs), base_name(self));
    return NULL;
}

/* *ret_id.pid 0: it went away meanwhile, or is none that may be asked (busy says who it is). */
static struct err *who_may_be_asked(struct ctx *ctx, const char *path, struct pid_id *ret_id)
{
    AUTO(pids_clear) struct pids holders = {0};
    AUTO(freep) char *what = NULL;
    pid_t signed_by = 0;
    bool same = false;

    *ret_id = (struct pid_id){0};
    TRY(pids_flock_holders(ctx, path, &holders));
    TRY(hostlock_signature(path, &signed_by, &what));
    for (size_t i = 0; i < holders.n; i++) {
        if (holders.items[i].id.pid != signed_by || str_eq(what, "stop"))
            continue;
        TRY(same_program(&holders.items[i], &same));
        if (same)
            *ret_id = holders.items[i].id;
    }
    return NULL;
}

struct attempt {
    const char *path, *what;
    struct hostlock **ret;
    struct err *busy; /* who has it */
};

static struct err *try_lock(struct ctx *ctx, void *arg, bool *ret_done)
{
    struct attempt *a = arg;
    struct err *e = hostlock_take(a->path, a->what, a->ret);

    *ret_done = !e;
    if (e && e->kind != ERR_REFUSED)
        return e;
    if (e) {
        err_free(a->busy);
        a->busy = e;
    }
    return NULL;
}

struct err *takeover_lock(struct ctx *ctx, const char *path, const char *what, uint64_t timeout_ms,
                          struct hostlock **ret)
{
    struct attempt a = {.path = path, .what = what, .ret = ret};
    struct pid_id holder;
    bool done = false;
    struct err *e;

    TRY(try_lock(ctx, &a, &done));
    if (done)
        return NULL;
    e = who_may_be_asked(ctx, path, &holder);
    if (!e && holder.pid)
        e = pid_signal(ctx, holder, SIGTERM);
    if (e && e->kind != ERR_NOTFOUND) {
        err_free(e); /* who it is cannot be seen: what the lock says about it is all there is */
        return a.busy;
    }
    bool gone = e != NULL;
    err_free(e);
    if (!holder.pid && !gone)
        return a.busy;
    e = wait_until(ctx, "the host lock", timeout_ms, POLL_MS, try_lock, &a);
    if (e && e->kind == ERR_TIMEOUT) {
        err_free(e);
        return err_hint(a.busy, "it was asked to leave and has not yet; try again");
    }
    err_free(a.busy);
    return e;
}
