#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"
#include "stage/finding.h"
#include "stage/stage.h"

/* Carries out stages in the order of their table: check, plan, tell, change, check again. A stage
 * is not changed while one that it names in `after` fails; a stage that is not enabled is absent,
 * which is not failing. */
enum stage_moment {
    STAGE_PLANNED, /* told for all changes of a stage before the first is made */
    STAGE_BEGIN,
    STAGE_DONE,
    STAGE_FAILED,
};
struct stage_run_opts {
    const struct stage *const *table; /* NULL: stage_table */
    /* Names of the stages to carry out, NULL-terminated; NULL: all that are gates. */
    const char *const *only;
    bool all;     /* with only NULL: also those that are no gates and have a plan */
    bool dry_run; /* check and plan only */
    bool adopt;   /* changes that take over what others made are made as well */
    /* Objects whose destructive changes are allowed, by their exact name; NULL-terminated, or NULL:
     * none. */
    const char *const *destroy;
    /* Called for each change and each moment; may be NULL. What it is given is the engine's. */
    void (*on_change)(void *arg, const struct stage *s, const struct change *c,
                      enum stage_moment when);
    /* Makes one change, in place of the stage's apply; NULL: that. */
    struct err *(*make)(void *arg, struct ctx *ctx, const struct stage *s, const struct change *c);
    void *arg; /* of both */
};
struct stage_report {
    size_t planned;           /* changes that were or would be made */
    size_t changed;           /* changes made */
    size_t in_place;          /* stages that hold and needed nothing */
    size_t failed;            /* stages that do not hold */
    size_t blocked;           /* stages that were not changed because one before them fails */
    struct findings findings; /* of each enabled stage, as it was looked at last */
    /* Of `all`: why each stage that is no gate does not hold, where nothing more can be done about
     * it here. None of them is a failure. */
    struct strlist left;
};
void stage_report_clear(struct stage_report *r);

/* Goes on with the stages that do not depend on a failed one and then returns the first failure:
 * ERR_REFUSED (a finding that no stage repairs, a destructive change that was not allowed), or the
 * error of the check or change; ERR_CANCELLED. *ret is filled in either case and is to be cleared.
 */
struct err *stages_apply(struct ctx *ctx, const struct stage_run_opts *opts,
                         struct stage_report *ret) MUST_CHECK;
/* How one stage was found. Its findings are items[first .. first + n) of the report's list. */
struct stage_look {
    const struct stage *stage;
    bool absent; /* the config does not ask for it: no findings, and not failing */
    size_t first, n;
    enum severity worst; /* ignored ones left out */
    uint64_t took_us;
};
struct check_report {
    struct findings findings;
    struct stage_look *stages; /* those that were wanted, in the order of the table */
    size_t n_stages;
};
void check_report_clear(struct check_report *r);
struct check_opts {
    const struct stage *const *table; /* NULL: stage_table */
    bool gates_only;
    bool (*wanted)(const void *arg, const struct stage *s); /* NULL: all */
    const void *arg;
};
/* Looks at the stages and at nothing else; all their findings, with stage, fix and what the config
 * ignores filled in. A check that could not look becomes an UNKNOWN finding with the stage's name
 * as id. Never fails; *ret is to be cleared. */
void stages_check(struct ctx *ctx, const struct check_opts *opts, struct check_report *ret);
/* NULL: no such stage. */
const struct stage *stage_by_name(const struct stage *const *table, const char *name);

/* For changes that were planned at another time. Would it be planned now? One that has been made,
 * or is not needed any more, is not. */
struct err *stage_wants(struct ctx *ctx, const struct stage *s, const struct change *c, bool *ret)
    MUST_CHECK;
/* Is it the middle of that change that is there (struct stage's cut_off)? */
struct err *stage_cut_off(struct ctx *ctx, const struct stage *s, const struct change *c, bool *ret)
    MUST_CHECK;
/* What undo will need, as it is now: takes c->old of the same change as it would be planned now.
 * One that would not be planned keeps what it has. */
struct err *stage_refresh(struct ctx *ctx, const struct stage *s, struct change *c) MUST_CHECK;
/* Do all stages hold that s names in `after`? Else ERR_REFUSED with the first finding that fails.
 */
struct err *stage_may_change(struct ctx *ctx, const struct stage *s) MUST_CHECK;
