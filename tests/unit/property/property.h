#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "config/config.h"
#include "fixture.h"
#include "real.h"

/* What holds for every stage with a plan: a host with its fault; after prepare its check is clean
 * and the plan empty; after undo the host is as before, but for what is said to be kept; also when
 * agavectl is killed between any two changes. One row each, in rows.c; a stage without one fails
 * the test. */

/* A host. Either real (the machine's own root; devices and mounts in a mount namespace of the
 * test's own, everything in one folder) or a made-up tree of files. */
struct bed {
    struct real *real;   /* NULL: a tree */
    struct fixture tree; /* of a tree */
    struct ctx ctx;
    char *dir; /* on this machine: what is compared */
    struct config *cfg;
    char *device[2]; /* the row's own, see bed_loop; detached with the bed */
};
/* A fresh loop device for this bed, the same one of each index. */
const char *bed_loop(struct bed *b, size_t at, unsigned long long size_b);
/* Of a real bed: the path below its folder, as the config names it; to be freed. */
char *bed_path(const struct bed *b, const char *path);
/* YAML; "@" stands for the folder of a real bed, and for nothing in a tree. journal_dir and
 * state_dir are added. */
void bed_config(struct bed *b, const char *fmt, ...) PRINTF(2, 3);

struct row {
    const char *name;
    const char *const *stages; /* prepared together, NULL-terminated; the first is what it is for */
    bool real;
    void (*break_it)(struct bed *b); /* makes the host and the config */
    /* Each text must be in the reason of one thing that is kept, and no other may be kept; NULL:
     * nothing is. */
    const char *const *kept;
    bool adopt; /* with --adopt */
};
extern const struct row *const rows[]; /* NULL-terminated */
