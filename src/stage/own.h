#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "stage/finding.h"
#include "stage/stage.h"

/* Files that are ours alone, as changes of a stage: host/own_file.h in the words of check, plan and
 * undo. The finding carries all that the plan needs: source is the path, want the text. */
struct own_file {
    const char *path, *text; /* text: lines, without the mark */
    const char *id, *stage;  /* of the finding; static */
    uint8_t layer;
    enum severity missing; /* when it is not there, or has another text */
    const char *what;      /* what it is for, put behind a colon: "kept over a reboot by it" */
};
/* One finding: ok, missing (repaired by the stage, where host.persist allows it), or a warning when
 * somebody else's file has the name. Returns it, until the next add. ERR_SYS, ERR_BADINPUT. */
struct err *own_check(struct ctx *ctx, const struct own_file *f, struct findings *ret) MUST_CHECK;
/* Nothing where the finding is not there or has no repair. after: for people. NULL: nothing. */
struct change *own_plan(const struct findings *f, const char *id, int verb, const char *after,
                        struct plan *ret);
struct err *own_apply(struct ctx *ctx, const struct change *c) MUST_CHECK;
struct err *own_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
    MUST_CHECK;
struct err *own_undo(struct ctx *ctx, const struct change *c) MUST_CHECK;
/* For a change whose file is not there: is the folder that was made for it (c->old), empty? A crash
 * in the middle of its making or taking back leaves it. */
struct err *own_folder_left(struct ctx *ctx, const struct change *c, bool *ret) MUST_CHECK;
