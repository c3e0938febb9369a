/* The unit as the steps see it: made anew from what was frozen, also when an operation goes on. */
#include "flow/unit_state.h"

#include <stdlib.h>

#include "host/pids.h"
#include "look/scene.h"

static struct err *anybody(struct ctx *ctx, bool *ret)
{
    AUTO(scene_freep) struct scene *scene = scene_new();
    AUTO(pids_clear) struct pids named = {0};
    const struct pids *ours;

    TRY(scene_validator(ctx, scene, &ours));
    TRY(pids_find(ctx, &(struct pids_match){.name = "agave-validator"}, &named));
    *ret = ours->n || named.n;
    return NULL;
}

struct err *unit_look(struct ctx *ctx, const struct unit_config *u, bool *ret_there)
{
    struct unit_status st = {0};

    if (!u->runtime)
        return anybody(ctx, ret_there);
    TRY(u->runtime->status(ctx, &u->unit, &st));
    *ret_there = unit_is_there(&st);
    return NULL;
}

static struct err *open_with(struct ctx *ctx, const struct json *inputs, bool any, void **ret)
{
    const struct json *program = json_get(inputs, "program");
    struct unit_state *s = xcalloc(1, sizeof(*s));
    const char *path = NULL;
    struct err *e = program ? json_as_str(program, &path) : NULL;

    if (!e)
        e = any ? unit_config_look(ctx, path, &s->u) : unit_config_new(ctx, path, &s->u);
    if (e)
        unit_state_close(s);
    else
        *ret = s;
    return e;
}

struct err *unit_state_open(struct ctx *ctx, const struct json *inputs, void **ret)
{
    return open_with(ctx, inputs, false, ret);
}

struct err *unit_state_open_any(struct ctx *ctx, const struct json *inputs, void **ret)
{
    return open_with(ctx, inputs, true, ret);
}

void unit_state_close(void *state)
{
    struct unit_state *s = state;

    if (!s)
        return;
    unit_config_free(s->u);
    free(s->waited);
    free(s);
}

bool unit_runs(const struct unit_status *st)
{
    return st->phase == PH_RUNNING || st->phase == PH_STARTING;
}

bool unit_is_there(const struct unit_status *st)
{
    return unit_runs(st) || st->phase == PH_STOPPING || st->phase == PH_UNKNOWN;
}
