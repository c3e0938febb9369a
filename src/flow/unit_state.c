/* The unit as the steps see it: made anew from what was frozen, also when an operation goes on. */
#include "flow/unit_state.h"

#include <stdlib.h>

struct err *unit_state_open(struct ctx *ctx, const struct json *inputs, void **ret)
{
    const struct json *program = json_get(inputs, "program");
    struct unit_state *s = xcalloc(1, sizeof(*s));
    const char *path = NULL;
    struct err *e = program ? json_as_str(program, &path) : NULL;

    if (!e)
        e = unit_config_new(ctx, path, &s->u);
    if (e)
        unit_state_close(s);
    else
        *ret = s;
    return e;
}

void unit_state_close(void *state)
{
    struct unit_state *s = state;

    if (!s)
        return;
    unit_config_free(s->u);
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
