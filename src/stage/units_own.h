#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"
#include "look/scene.h"
#include "stage/units_text.h"

/* Our own files as they must be on this host, and as they are. */
struct units_own {
    struct units_facts facts; /* its texts are below */
    char *program, *config, *validator, *formatter;
    struct units_files files;
    char *states;          /* for files, one letter each: '=', '+' is missing, '*' is missing with
                              its folder, '~' is another, '!' is somebody else's */
    struct strlist why;    /* of what is somebody else's */
    struct strlist late;   /* why program or config are not there when a boot needs them */
    char *unsafe;          /* why root must not run that program at every boot; NULL: it may */
    struct strlist masked; /* units that would need a drop-in and cannot be started anyway */
    bool there;            /* at least one of our units (not a drop-in) is there */
};
void units_own_clear(struct units_own *o);
/* What must be; looks at the host for who needs a drop-in. ret: {0}, to be cleared. */
struct err *units_own_want(struct ctx *ctx, struct scene *scene, struct units_own *ret) MUST_CHECK;
/* Fills states, why and there. */
struct err *units_own_look(struct ctx *ctx, struct units_own *o) MUST_CHECK;
/* Is our unit that formats the RAM disk there? */
struct err *units_own_formats(struct ctx *ctx, bool *ret) MUST_CHECK;
