/* Facts of one look, gathered once. A failure is remembered as well: asking again would be another
 * look, with another answer. */
#include "look/scene.h"

/* Was it asked for, and how did that end? */
struct asked {
    bool done;
    struct err *err;
};

struct scene {
    struct asked mounts_asked;
    struct mounts mounts;
};

struct scene *scene_new(void)
{
    return xcalloc(1, sizeof(struct scene));
}

struct scene *scene_free(struct scene *s)
{
    if (!s)
        return NULL;
    mounts_clear(&s->mounts);
    err_free(s->mounts_asked.err);
    free(s);
    return NULL;
}

void scene_freep(struct scene **s)
{
    *s = scene_free(*s);
}

struct err *scene_mounts(struct ctx *ctx, struct scene *s, const struct mounts **ret)
{
    if (!s->mounts_asked.done) {
        s->mounts_asked.err = mounts_read(ctx, &s->mounts);
        s->mounts_asked.done = true;
    }
    TRY(err_copy(s->mounts_asked.err));
    *ret = &s->mounts;
    return NULL;
}
