/* wont-stop: a validator that was asked to exit and does not. Nothing may be killed, nothing may be
 * started beside it, and stop must say so in time; when it goes at last, stop proves it. */
#include "lab/drill_run.h"

#include "io/clock.h"

static struct err *still_the_same(struct drill_run *d, const struct pid_id *id)
{
    struct pid_id now;

    TRY(drill_validator(d, &now));
    if (now.pid != id->pid || now.start != id->start)
        return err_new(ERR_REMOTE, "process %d was there, now it is process %d", id->pid, now.pid);
    return NULL;
}

static struct err *is_gone(struct ctx *ctx, void *arg, bool *ret)
{
    const struct pid_id *id = arg;
    uint32_t left = 0;

    TRY(pids_threads_left(ctx, id->pid, id->start, &left));
    *ret = left == 0;
    return NULL;
}

static struct err *refused_while_it_is_there(struct drill_run *d, const struct pid_id *id)
{
    AUTO(drill_child_clear) struct drill_child c = {0};

    TRY(drill_agavectl(d, 5, DRILL_ARGS("stop"), &c));
    TRY(drill_must_say("stop", c.err, "nothing was killed"));
    TRY(drill_must_say("stop", c.err, "process"));
    TRY(still_the_same(d, id));
    drill_say(d, "stop gave up after its ladder (exit 5) and killed nothing: process %d", id->pid);
    TRY(drill_agavectl(d, 4, DRILL_ARGS("start"), NULL));
    TRY(drill_agavectl(d, 4, DRILL_ARGS("up"), NULL));
    drill_say(d, "start and up were refused while it is there");
    return still_the_same(d, id);
}

static struct err *run(struct drill_run *d)
{
    struct pid_id id;

    TRY(drill_config(d, "stop: {ladder_s: 5}\n"));
    TRY(drill_validator(d, &id));
    TRY(drill_linger(d));
    drill_say(d, "process %d will not end when it is asked to", id.pid);
    TRY(refused_while_it_is_there(d, &id));
    TRY(drill_unlinger(d->ctx));
    TRY(wait_until(d->ctx, "its end", DRILL_TIP_S * 1000, 100, is_gone, &id));
    TRY(drill_stop(d));
    drill_say(d, "it went by itself, and stop proved it");
    TRY(drill_up(d));
    drill_say(d, "at the tip");
    return NULL;
}

const struct drill drill_wont_stop = {
    .name = "wont-stop",
    .summary = "a validator that does not end when it is asked to",
    .run = run,
};
