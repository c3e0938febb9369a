#pragma once

#include "look/scene.h"

/* The inside of a scene: for the files that fill it. */

/* Was it asked for, and how did that end? */
struct asked {
    bool done;
    struct err *err;
};
/* Calls gather the first time, and returns a copy of how that ended every time. */
struct err *scene_once(struct ctx *ctx, struct scene *s, struct asked *a,
                       struct err *(*gather)(struct ctx *ctx, struct scene *s)) MUST_CHECK;

struct scene {
    struct asked mounts_asked;
    struct mounts mounts;
    struct asked validator_asked;
    struct pids validator;
};
