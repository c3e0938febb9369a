/* kill-anywhere: agavectl is killed with SIGKILL at random points of up and of stop. The next run
 * must go on from there: one validator, at the tip; and a stop that proves. What is random follows
 * from the seed. */
#include "lab/drill_run.h"

#include <inttypes.h>
#include <string.h>

#include "io/clock.h"

/* More often early, where the steps are short. */
static struct err *cut_off(struct drill_run *d, const char *command, uint64_t within_ms)
{
    AUTO(drill_child_clear) struct drill_child c = {0};
    uint64_t r = drill_random(d, 1000), after_ms = 3 + within_ms * r * r / 1000000;
    bool ended = false;

    TRY(drill_spawn(d, DRILL_ARGS(command), &c));
    d->ctx->clock->wait(after_ms * 1000000, d->ctx->cancelled);
    TRY(drill_ended(d, &c, &ended));
    drill_kill(&c);
    drill_say(d, "%s %s after %" PRIu64 " ms", command, ended ? "had ended" : "was killed",
              after_ms);
    return ctx_cancelled(d->ctx) ? err_new(ERR_CANCELLED, "interrupted") : NULL;
}

static struct err *timed(struct drill_run *d, const char *command, uint64_t *ret_ms)
{
    uint64_t begun = clock_mono_ns(d->ctx);

    TRY(drill_agavectl(d, 0, DRILL_ARGS(command), NULL));
    *ret_ms = (clock_mono_ns(d->ctx) - begun) / 1000000;
    return NULL;
}

/* How many operations say that they were cut off. */
static struct err *unfinished(struct drill_run *d, size_t *ret)
{
    AUTO(drill_child_clear) struct drill_child c = {0};
    AUTO(json_freep) struct json *j = NULL;

    TRY(drill_agavectl(d, 0, DRILL_ARGS("op", "list", "-o", "json"), &c));
    TRY(json_parse(c.out, strlen(c.out), &j));
    *ret = json_len(json_get(j, "operations"));
    return NULL;
}

/* Both ways lead on: the command again, and op resume. */
static struct err *up_again(struct drill_run *d, bool resume)
{
    size_t n = 0;

    TRY(unfinished(d, &n));
    if (n && resume) {
        TRY(drill_go_on(d, DRILL_ARGS("op", "resume")));
        drill_say(d, "its operation was resumed");
    }
    TRY(drill_go_on(d, DRILL_ARGS("up")));
    TRY(drill_tip(d));
    TRY(unfinished(d, &n));
    return n ? err_new(ERR_REMOTE, "%zu operations are unfinished after it", n) : NULL;
}

static struct err *one_round(struct drill_run *d, uint64_t up_ms, uint64_t stop_ms)
{
    struct pid_id id;
    uint32_t left = 0;

    TRY(cut_off(d, "up", up_ms));
    TRY(up_again(d, drill_random(d, 2)));
    TRY(drill_validator(d, &id));
    drill_say(d, "up again: one validator, process %d, at the tip", id.pid);
    TRY(cut_off(d, "stop", stop_ms));
    TRY(drill_go_on(d, DRILL_ARGS("stop")));
    TRY(pids_threads_left(d->ctx, id.pid, id.start, &left));
    if (left)
        return err_new(ERR_REMOTE, "stop says that it proved, but process %d is there", id.pid);
    drill_say(d, "stop again: proven");
    return NULL;
}

static struct err *run(struct drill_run *d)
{
    uint64_t up_ms, stop_ms;

    TRY(timed(d, "stop", &stop_ms));
    TRY(timed(d, "up", &up_ms));
    TRY(drill_stop(d));
    drill_say(d, "uninterrupted: up %" PRIu64 " ms, stop %" PRIu64 " ms; seed %" PRIu64, up_ms,
              stop_ms, d->opts.seed);
    for (uint64_t i = 0; i < d->opts.rounds; i++)
        TRY(one_round(d, up_ms, stop_ms));
    TRY(drill_up(d));
    drill_say(d, "at the tip after %" PRIu64 " rounds", d->opts.rounds);
    return NULL;
}

const struct drill drill_kill_anywhere = {
    .name = "kill-anywhere",
    .summary = "agavectl is killed at random points of up and stop",
    .run = run,
};
