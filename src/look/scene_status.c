/* The status as a fact of a scene. */
#include "look/scene_status.h"

#include "look/scene_parts.h"
#include "look/unit_config.h"

static struct err *gather(struct ctx *ctx, struct scene *s)
{
    AUTO(unit_config_freep) struct unit_config *u = NULL;
    const struct pids *pids = NULL;

    TRY(unit_config_look(ctx, NULL, &u));
    struct status_params p = unit_config_status(ctx, u);
    p.state_dir = NULL; /* a check leaves nothing behind */
    if (!p.runtime) {
        struct err *e = scene_validator(ctx, s, &pids);

        if (!e && pids->n)
            p.pid = pids->items[0].id.pid;
        err_free(e); /* the validator's own stage tells it */
    }
    return status_gather(ctx, &p, &s->status);
}

void scene_clear_status(struct scene *s)
{
    status_clear(&s->status);
    err_free(s->status_asked.err);
}

struct err *scene_status(struct ctx *ctx, struct scene *s, const struct status **ret)
{
    TRY(scene_once(ctx, s, &s->status_asked, gather));
    *ret = &s->status;
    return NULL;
}
