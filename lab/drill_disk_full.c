/* disk-full: not a block of the volume is free. Stop must work, up must refuse with the reason and
 * leave nothing half behind; with room again it goes on. */
#include "lab/drill_run.h"

#include <string.h>

static struct err *nothing_half(struct drill_run *d)
{
    AUTO(freep) char *names = NULL;

    TRY(drill_snapshots(d, &names));
    return *names ? err_new(ERR_REMOTE, "on a full disk it left: %s", names) : NULL;
}

static struct err *run(struct drill_run *d)
{
    AUTO(drill_child_clear) struct drill_child c = {0};

    TRY(drill_fill(d));
    drill_say(d, "full: not a block of the volume is free");
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
