#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "host/limits.h"
#include "look/scene.h"

/* Limits of what would start the validator next, which a process that runs already does not have:
 * its systemd service, the container daemon, or a login of its user. */
struct limits_next {
    struct limit nofile, memlock;
    char *who, *source; /* for people */
    bool indirect;      /* something between it and the validator may get more */
    /* A file of ours that would raise them: its path, and the lines that the host's own files leave
     * to us. text NULL: there is nothing to raise, or ours would not count. */
    char *path, *text;
    bool raises_nofile, raises_memlock; /* what of it text has lines for */
    char *when;                         /* from when on it holds, for people */
    bool systemd;                       /* which reads it again then */
};
void limits_next_clear(struct limits_next *n);
/* ERR_NOTFOUND: there is no such service, or no such user. ret: {0}, to be cleared. */
struct err *limits_next_find(struct ctx *ctx, struct scene *scene, struct limits_next *ret)
    MUST_CHECK;
