/* The status as a fact of a scene; it is gathered in scene_contact.c, with the rest. */
#include "look/scene_status.h"

#include "look/scene_parts.h"

void scene_clear_status(struct scene *s)
{
    status_clear(&s->status);
    err_free(s->status_asked.err);
}

struct err *scene_status(struct ctx *ctx, struct scene *s, const struct status **ret)
{
    scene_meet(ctx, s, PARTY_STATUS);
    TRY(err_copy(s->status_asked.err));
    *ret = &s->status;
    return NULL;
}
