/* frozen-fs: the file system under the ledger hangs while the validator writes. Its threads are
 * then in uninterruptible sleep, which no signal ends, as on a ZFS that waits for itself. Stop must
 * name them and what they wait for, and must not claim a proof. The freeze is real (FIFREEZE). */
#include "lab/drill_run.h"

#include "io/clock.h"

#define STOP_S 60

struct stuck_arg {
    struct pid_id id;
    pid_t tid;
    char *wchan;
};

static struct err *is_stuck(struct ctx *ctx, void *arg, bool *ret)
{
    AUTO(threads_clear) struct threads t = {0};
    struct stuck_arg *a = arg;

    TRY(pid_threads_stuck(ctx, a->id, &t));
    *ret = t.n > 0;
    if (t.n) {
        a->tid = t.items[0].tid;
        a->wchan = xstrdup(t.items[0].wchan ? t.items[0].wchan : "?");
    }
    return NULL;
}

static struct err *is_gone(struct ctx *ctx, void *arg, bool *ret)
{
    const struct stuck_arg *a = arg;
    uint32_t left = 0;

    TRY(pids_threads_left(ctx, a->id.pid, a->id.start, &left));
    *ret = left == 0;
    return NULL;
}

/* Whether the validator can still be asked depends on which of its threads got stuck: the one that
 * answers logs first. Either way stop must end without a proof, and say the same about the threads.
 */
static struct err *stop_tells(struct drill_run *d, const struct stuck_arg *a)
{
    AUTO(drill_child_clear) struct drill_child c = {0};
    AUTO(freep) char *thread = xasprintf("thread %d (", a->tid);

    TRY(drill_spawn(d, DRILL_ARGS("stop"), &c));
    TRY(drill_wait(d, &c, STOP_S));
    if (c.exit != 4 && c.exit != 5)
        return err_new(ERR_REMOTE, "stop: exit %d: %s", c.exit, c.err);
    TRY(drill_must_say("stop", c.err, "in uninterruptible sleep in "));
    TRY(drill_must_say("stop", c.err, thread));
    TRY(drill_must_say("stop", c.err, a->wchan));
    TRY(drill_must_say("stop", c.err, "on the mount '" DRILL_VOLUME "' (xfs)"));
    TRY(drill_must_say("stop", c.err, "nothing was killed"));
    drill_say(d, "stop proves nothing (exit %d) and names thread %d, %s and the mount", c.exit,
              a->tid, a->wchan);
    return NULL;
}

static struct err *watch(struct drill_run *d, struct stuck_arg *a)
{
    bool gone = false;

    TRY(wait_until(d->ctx, "a thread in uninterruptible sleep", 60000, 100, is_stuck, a));
    drill_say(d, "frozen: thread %d of process %d sleeps uninterruptibly in %s", a->tid, a->id.pid,
              a->wchan);
    TRY(stop_tells(d, a));
    TRY(drill_agavectl(d, 4, DRILL_ARGS("start"), NULL));
    TRY(drill_thaw(d->ctx));
    TRY(drill_stop(d));
    TRY(is_gone(d->ctx, a, &gone));
    if (!gone)
        return err_new(ERR_REMOTE, "stop says that it proved, but process %d is there", a->id.pid);
    drill_say(d, "thawed: it ended, and stop proved it");
    return NULL;
}

static struct err *run(struct drill_run *d)
{
    struct stuck_arg a = {.tid = 0};
    struct err *e;

    TRY(drill_config(d, "stop: {ladder_s: 5}\n"));
    TRY(drill_validator(d, &a.id));
    TRY(drill_freeze(d));
    e = watch(d, &a);
    free(a.wchan);
    TRY(e);
    TRY(drill_up(d));
    drill_say(d, "at the tip");
    return NULL;
}

const struct drill drill_frozen_fs = {
    .name = "frozen-fs",
    .summary = "the ledger's file system hangs under the writing validator",
    .run = run,
};
