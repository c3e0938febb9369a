/* disk-full: not a block of the volume is free. Stop must work, up must refuse with the reason and
 * leave nothing half behind; with room again it goes on. */
#include "lab/drill_run.h"

#include <stdlib.h>

#include "io/clock.h"

static struct err *nothing_half(struct drill_run *d)
{
    AUTO(freep) char *names = NULL;

    TRY(drill_snapshots(d, &names));
    return *names ? err_new(ERR_REMOTE, "on a full disk it left: %s", names) : NULL;
}

struct seen {
    struct drill_run *d;
    char *health;
};

static struct err *is_felt(struct ctx *ctx, void *arg, bool *ret)
{
    AUTO(json_freep) struct json *status = NULL;
    struct seen *s = arg;
    const char *health;

    TRY(drill_status(s->d, &status));
    TRY(json_as_str(json_get(status, "health"), &health));
    *ret = !str_eq(health, "ok");
    if (*ret)
        s->health = xstrdup(health);
    return NULL;
}

/* The validator cannot write its ledger any more, and status must see it. */
static struct err *felt(struct drill_run *d)
{
    struct seen s = {.d = d};

    TRY(wait_until(d->ctx, "status sees the full disk", DRILL_TIP_S * 1000, 300, is_felt, &s));
    drill_say(d, "status sees it: %s", s.health);
    free(s.health);
    return NULL;
}

static struct err *run(struct drill_run *d)
{
    AUTO(drill_child_clear) struct drill_child c = {0};

    TRY(drill_fill(d));
    drill_say(d, "full: not a block of the volume is free");
    TRY(felt(d));
    TRY(drill_stop(d));
    drill_say(d, "stop works on a full disk, with its proof");
    TRY(drill_remove_snapshots(d));
    TRY(drill_fill(d));
    drill_say(d, "the snapshots are removed, and their room is taken as well");
    TRY(drill_agavectl(d, 1, DRILL_ARGS("up"), &c));
    TRY(drill_must_say("up", c.err, "No space left on device"));
    TRY(nothing_half(d));
    drill_say(d, "up refuses, says why and leaves nothing half behind");
    TRY(drill_unfill(d->ctx));
    TRY(drill_up(d));
    drill_say(d, "with room again: at the tip");
    return NULL;
}

const struct drill drill_disk_full = {
    .name = "disk-full",
    .summary = "not a block of the volume is free",
    .run = run,
};
