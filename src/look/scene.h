#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "host/mounts.h"
#include "host/pids.h"

/* What one look at a host has seen so far: facts that several checks need, each gathered when it is
 * first asked for and kept, its failure as well. A scene is as old as its first answer: a new look
 * takes a new scene. */
struct scene;
struct scene *scene_new(void);
struct scene *scene_free(struct scene *s); /* NULL is fine; returns NULL */
void scene_freep(struct scene **s);

/* The host's mounts, as of mounts_read. Owned by the scene. */
struct err *scene_mounts(struct ctx *ctx, struct scene *s, const struct mounts **ret) MUST_CHECK;
/* The validator's processes: who holds the lock of its ledger; where nobody is seen to hold it, who
 * has the name of its program (or agave-validator) and is given this ledger. Empty: it does not
 * run. A failed look at the lock is an error only when the names give nobody either. Owned by the
 * scene.
 */
struct err *scene_validator(struct ctx *ctx, struct scene *s, const struct pids **ret) MUST_CHECK;
