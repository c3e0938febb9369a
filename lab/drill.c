/* The list of drills, and what holds for each of them: one at a time, from the tip, healed at the
 * end. */
#include "lab/drill.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/fsroot.h"
#include "io/lock.h"
#include "io/proc.h"
#include "lab/drill_run.h"
#include "lab/lab.h"
#include "lab/lab_faults.h"

#define LOCK LAB_DIR "/drill.lock"

static const struct drill api_gone = {
    .name = "api-gone",
    .summary = "the Kubernetes API goes away; stop and status still work",
    .needs = "a Kubernetes runtime, which this release does not have",
};
static const struct drill propagation_private = {
    .name = "propagation-private",
    .summary = "the node container does not see mounts that are made later",
    .needs = "a kind node, which the lab of this release does not make",
};
static const struct drill relay_outage = {
    .name = "relay-outage",
    .summary = "turbine is lost for long; recover bridges the hole",
    .needs = "'agavectl recover', which this release does not have",
};

const struct drill *const lab_drills[] = {&api_gone,           &drill_disk_full,
                                          &drill_frozen_fs,    &drill_kill_anywhere,
                                          &drill_mirrors_die,  &propagation_private,
                                          &drill_ramdisk_lost, &relay_outage,
                                          &drill_wont_stop,    NULL};

const struct drill *lab_drill_find(const char *name)
{
    for (size_t i = 0; lab_drills[i]; i++)
        if (str_eq(lab_drills[i]->name, name))
            return lab_drills[i];
    return NULL;
}

struct err *lab_drill_heal(struct ctx *ctx)
{
    const struct strlist everywhere = {0};
    struct err *first = drill_thaw(ctx), *e;

    e = drill_unfill(ctx);
    first = first ? (err_free(e), first) : e;
    e = drill_unlinger(ctx);
    first = first ? (err_free(e), first) : e;
    e = lab_fault_heal(ctx, NULL, &everywhere);
    return first ? (err_free(e), first) : e;
}

static struct err *take_lock(struct ctx *ctx, int *ret)
{
    AUTO(closep) int fd = -1;
    struct err *e;

    TRY(fsroot_openat(ctx->root, LOCK, O_RDWR | O_CREAT, 0600, &fd));
    e = flock_take(LOCK, ret);
    return e && e->kind == ERR_REFUSED ? err_hint(e, "another drill is at work") : e;
}

/* A stop that never came to its end is finished first. */
static struct err *to_the_tip(struct drill_run *d)
{
    AUTO(drill_child_clear) struct drill_child c = {0};

    TRY(drill_spawn(d, DRILL_ARGS("up"), &c));
    TRY(drill_wait(d, &c, DRILL_TIP_S));
    if (c.exit != 0 && !strstr(c.err, "op resume"))
        TRY(drill_stop(d));
    if (c.exit != 0)
        TRY(drill_go_on(d, DRILL_ARGS("up")));
    return drill_tip(d);
}

static struct err *begin(struct drill_run *d)
{
    TRY(fsroot_mkdirs(d->ctx->root, DRILL_DIR, 0700));
    TRY(proc_self(&d->self));
    TRY(drill_config(d, ""));
    TRY_CTX(lab_drill_heal(d->ctx), "what an earlier drill left behind");
    TRY(to_the_tip(d));
    drill_say(d, "the validator is at the tip");
    return NULL;
}

struct err *lab_drill(struct ctx *ctx, const struct drill *drill, const struct drill_opts *opts,
                      const struct drill_report *report)
{
    AUTO(lab_state_clear) struct lab_state s = {0};
    AUTO(closep) int lock = -1;
    struct drill_run d = {.ctx = ctx, .opts = *opts, .report = report};
    struct ctx calm = *ctx; /* an interrupt ends the drill, and must not end its healing */
    struct err *e, *left;

    if (drill->needs)
        return err_new(ERR_ABSENT, "it cannot be run: it needs %s", drill->needs);
    TRY(lab_read(ctx, &s));
    TRY(take_lock(ctx, &lock));
    d.begun_ns = clock_mono_ns(ctx);
    d.random = opts->seed * 2 + 1;
    e = begin(&d);
    if (!e)
        e = drill->run(&d);
    calm.cancelled = NULL;
    left = lab_drill_heal(&calm);
    free(d.self);
    free(d.config);
    if (!e)
        return err_wrap(left, "the end was seen, but healing failed");
    if (left)
        e = err_hint(e, "and it could not be healed: %s; try 'agavectl lab heal'", left->text);
    err_free(left);
    return e;
}
