#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "stage/stage.h"

/* What agavectl has made on this host and can take back: made.json in the journals' folder (0600).
 * A change is noted before it is made: a crash between the two leaves a note too many, which undo
 * finds to be nothing, and never one too few. */
struct made {
    const struct stage *stage;
    /* Of one that was made again while something of it was left: kind, before and old of the first
     * time. */
    struct change change;
    char *op;      /* the operation that made it */
    uint64_t at_s; /* of the clock, UTC */
};
struct made_list { /* in the order in which they were made */
    struct made *items;
    size_t n, cap;
};
void made_list_clear(struct made_list *l);

/* Needs the host lock, all three. No file: empty. A note of a stage that this version does not know
 * is left out and stays in the file. ERR_CORRUPT, ERR_REFUSED (not ours alone), ERR_SYS. */
struct err *made_load(struct ctx *ctx, struct made_list *ret) MUST_CHECK;
/* Durable on return. A change is known by stage, verb and object. Of one that is noted already, its
 * stage is asked (undo_look) whether anything of it is left: if not, the new note takes its place,
 * as the last one; else it keeps its old value and goes behind the others of its stage. */
struct err *made_note(struct ctx *ctx, const struct stage *s, const struct change *c,
                      const char *op) MUST_CHECK;
/* Durable on return; the file goes with its last note. Not noted is fine. */
struct err *made_forget(struct ctx *ctx, const struct stage *s, const struct change *c) MUST_CHECK;
