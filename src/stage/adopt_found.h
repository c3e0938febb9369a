#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"
#include "look/scene.h"

/* Units of others that are to be turned off because ours do the same: files below UNITS_ETC. */
struct adopt_file {
    char *path;
    char *links; /* in *.wants and *.requires: "PATH\nTARGET\n" each; "": none */
    bool dropin;
};
struct adopt_found {
    struct adopt_file *items; /* drop-ins first: who requires a unit goes before it */
    size_t n, cap;
    struct strlist names;   /* of the services among them */
    struct strlist blocked; /* why one cannot be turned off, for people */
    size_t n_lines;         /* lines of fstab for our places that are not ours */
};
void adopt_found_clear(struct adopt_found *a);
/* ret: {0}, to be cleared in any case. */
struct err *adopt_find(struct ctx *ctx, struct scene *scene, struct adopt_found *ret) MUST_CHECK;
/* Can it not be taken over whole? Then nothing of it is: two would format one RAM disk at boot. */
struct err *adopt_is_blocked(struct ctx *ctx, struct scene *scene, bool *ret) MUST_CHECK;
/* Is what takes the place of this one there? Who still needs it? ERR_REFUSED with the first. */
struct err *adopt_may_go(struct ctx *ctx, const struct adopt_file *f) MUST_CHECK;
