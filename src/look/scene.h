#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "host/mounts.h"

/* What one look at a host has seen so far: facts that several checks need, each gathered when it is
 * first asked for and kept, its failure as well. A scene is as old as its first answer: a new look
 * takes a new scene. */
struct scene;
struct scene *scene_new(void);
struct scene *scene_free(struct scene *s); /* NULL is fine; returns NULL */
void scene_freep(struct scene **s);

/* The host's mounts, as of mounts_read. Owned by the scene. */
struct err *scene_mounts(struct ctx *ctx, struct scene *s, const struct mounts **ret) MUST_CHECK;
