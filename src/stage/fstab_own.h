#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"
#include "host/fstab.h"
#include "host/mounts.h"
#include "look/scene.h"
#include "stage/fstab_lines.h"

#define FSTAB_PATH "/etc/fstab"

/* Our lines on one host: as they must be, and the block that is there. */
struct fstab_own {
    char *data; /* of the file, "" when there is none */
    size_t n;
    uint32_t begin, end;       /* lines of our block, its marks included; 0, 0: none */
    char *lines[FSTAB_PLACES]; /* NULL: we have none for that place */
    char *why;                 /* why there is none for the volume, or NULL */
    char *theirs; /* the RAM disk's line while another unit formats it and ours is not there */
    char *spec, *options;
    struct strlist turned_off; /* services of others that are taken over */
};
void fstab_own_clear(struct fstab_own *o);
/* ret: {0}, to be cleared in any case. */
struct err *fstab_own_look(struct ctx *ctx, struct scene *scene, const struct mounts *now,
                           const struct fstab *f, struct fstab_own *ret) MUST_CHECK;
/* Fills data, begin and end alone. No file: as an empty one. */
struct err *fstab_own_block(struct ctx *ctx, struct fstab_own *ret) MUST_CHECK;
bool fstab_own_has(const struct fstab_own *o, const struct fstab_entry *e);
/* The line as it stands in the file, for people and to compare; to be freed. */
char *fstab_own_raw(const struct fstab_own *o, uint32_t line);

/* In one write: block becomes our block's text, and lines of others for the same places are taken
 * over. And back again: the lines of others as they were, our block without lines for their places.
 */
struct err *fstab_own_adopt(struct ctx *ctx, const char *block) MUST_CHECK;
struct err *fstab_own_unadopt(struct ctx *ctx) MUST_CHECK;
/* The line that requires this unit ("/etc/fstab:3"), to be freed; NULL: none. */
struct err *fstab_own_needs(struct ctx *ctx, const char *unit, char **ret) MUST_CHECK;
/* A unit that a line which is taken over requires, and that is turned off as well; NULL: none. To
 * be freed. */
struct err *fstab_own_lacks(struct ctx *ctx, char **ret) MUST_CHECK;
/* How many lines are taken over. No file: 0. */
struct err *fstab_own_adopted(struct ctx *ctx, size_t *ret) MUST_CHECK;
