#pragma once

#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"

/* Drills: something fails in the lab, and what an operator's commands make of it is watched. Each
 * starts agavectl as a program, as an operator would, and is done only when the end that it
 * promises was seen. */
struct drill_run; /* lab/drill_run.h: for the drills themselves */

struct drill {
    const char *name, *summary;
    const char *needs; /* what is missing for it in this release; NULL: it can be run */
    struct err *(*run)(struct drill_run *d);
};
extern const struct drill *const lab_drills[]; /* NULL-terminated, alphabetical */
/* NULL: there is none of this name. */
const struct drill *lab_drill_find(const char *name);

struct drill_opts {
    uint64_t seed;   /* of what is random in a drill */
    uint64_t rounds; /* of drills that repeat themselves */
};
/* One line a step: seconds since the drill began, and what was done or seen. */
struct drill_report {
    void (*step)(void *arg, double seconds, const char *text);
    void *arg;
};

/* Needs root and a lab that is up; the validator is brought to the tip first. Whatever it injected
 * is taken back before it returns, also on failure. NULL: the end was seen. ERR_ABSENT: see needs;
 * ERR_REFUSED: another drill is at work; ERR_TIMEOUT: what it waited for did not come;
 * ERR_CANCELLED; ERR_REMOTE: agavectl did something else than it should; ERR_NOTFOUND: no lab. */
struct err *lab_drill(struct ctx *ctx, const struct drill *drill, const struct drill_opts *opts,
                      const struct drill_report *report) MUST_CHECK;
/* Takes back whatever a drill may have left behind that was killed. Nothing left: fine. */
struct err *lab_drill_heal(struct ctx *ctx) MUST_CHECK;
