#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "flow/report.h"

/* Flows and their one engine. A flow decides once, from a look at the world: what is decided is a
 * plan, plain data, and goes into the journal's first record. The engine then carries out the steps
 * of that plan and nothing else, also when it goes on after a crash. */
enum step_class {
    STEP_IDEMPOTENT,  /* found half done: run again */
    STEP_PROBE_FIRST, /* found half done: verify decides whether it is run again */
    STEP_ONCE,        /* found half done: stop and ask the operator; a comment at the step says what
                         a second run would destroy */
};

/* What a step's functions are given. */
struct step_run {
    const struct flow_report *report; /* for progress; begin and end are the engine's */
    const struct json *inputs;        /* of the flow, frozen */
    const struct json *data;          /* of this step, frozen; NULL: none */
    const struct json *before;        /* what this step learned when it was carried out before */
    const struct json *earlier; /* what the steps before it learned, by their names; an object */
    void *state;                /* of the flow: what open made */
    const char *op;             /* id of the operation */
    unsigned changed_before;    /* steps of this operation that changed something so far */
    bool probing; /* verify: the step may be half done, or not be begun; not so is no error */
    uint64_t timeout_ms; /* of the wait for verify: the step's, which ready and act may change */

    /* Written by the step. */
    bool nothing;         /* ready: there is nothing to do, act is left out */
    bool changed;         /* for the report and the count; set by the engine when it acts */
    char *text;           /* what is true now; NULL: nothing is reported. The engine frees it */
    struct json *learned; /* an object, goes into the DONE record; NULL: nothing */
};

struct step {
    const char *name; /* unique within its flow; stands in journals */
    enum step_class cls;
    /* Its outcome ends with a process or with the boot: looked at again before an operation that
     * was cut off goes on (verify; without one the step is run again). */
    bool bound;
    /* A plan that still holds a step that asks is confirmed before it is carried out; the others do
     * what the command is named for. One that only looks or waits is left out of what is shown. */
    bool asks, looks;
    const char *waits_for; /* for the error when verify does not come true; NULL: one look */
    const char *goes_on;   /* said when nobody waits any more; or NULL */
    uint64_t timeout_ms, poll_ms;
    /* Each may be NULL. ready: may it be done now? Reads only. act: once. verify: is it done? Asked
     * until it is, at most timeout_ms. */
    struct err *(*ready)(struct ctx *ctx, struct step_run *s);
    struct err *(*act)(struct ctx *ctx, struct step_run *s);
    struct err *(*verify)(struct ctx *ctx, struct step_run *s, bool *ret_done);
    /* Of a once step that was begun: is what is there its middle, from which act goes on without
     * harm? The operator is not asked then. NULL: never. */
    struct err *(*cut_off)(struct ctx *ctx, struct step_run *s, bool *ret);
};

/* One step as it was decided. */
struct flow_item {
    const struct step *step;
    char *title;       /* as reported: "volume"; NULL: it reports nothing by itself */
    char *what;        /* what would be done, for people: "create /srv/solana: xfs of /dev/sdb" */
    char *destroys;    /* the object whose data is lost, or NULL */
    struct json *data; /* frozen for the step, or NULL */
    bool in_place;     /* found at the decision: there will be nothing to do */
};
struct flow;
struct op_dirs;
struct flow_plan {
    const struct flow *flow;
    struct json *inputs; /* an object */
    struct flow_item *items;
    size_t n, cap;
    struct strlist notes; /* said beside it, for people */
    char *not_allowed; /* an object that it would destroy without permission, or NULL: such a plan
                          can be shown and is not carried out */
};
/* Texts are copied, data is taken over. */
struct flow_item *flow_plan_add(struct flow_plan *p, const struct step *step, const char *title,
                                struct json *data, const char *what_fmt, ...) PRINTF(5, 6);
void flow_plan_clear(struct flow_plan *p);

struct flow {
    const char *name, *summary; /* never NULL */
    const char *command;        /* as it is typed to decide anew; NULL: its name */
    uint32_t version; /* of its steps and inputs: an operation of another one is not gone on with */
    const struct step *const *steps; /* NULL-terminated: all that a plan may hold */
    bool always; /* stop alone: never refused, and its journal lies in the state dir */
    /* Flows whose unfinished operation is given up in favour of this one; NULL-terminated. NULL:
     * none, one of another flow is in the way. */
    const char *const *gives_up;
    /* Looks at the world, changes nothing. opts: the flow's own. May refuse. */
    struct err *(*decide)(struct ctx *ctx, const void *opts, struct flow_plan *ret);
    /* The caller's wish, to compare: the same command goes on with an unfinished operation when
     * its wish is the same. Owned by the caller. NULL: nothing but the config counts. */
    struct json *(*wish)(struct ctx *ctx, const void *opts);
    /* What the steps share, from the frozen inputs alone; ret_state is closed by close. */
    struct err *(*open)(struct ctx *ctx, const struct json *inputs, void **ret_state);
    void (*close)(void *state);
};
extern const struct flow *const flow_table[];      /* NULL-terminated */
const struct flow *flow_by_name(const char *name); /* NULL: no such flow */

/* What a run of agavectl would do, as data; nothing is changed. To be cleared. The errors are those
 * of decide: ERR_REFUSED names what must be otherwise first. */
struct err *flow_plan_make(struct ctx *ctx, const struct flow *f, const void *opts,
                           struct flow_plan *ret) MUST_CHECK;

/* How a flow is carried out; all may be NULL. */
struct flow_how {
    const struct flow_report *report;
    /* Asked after the decision and before anything is written or changed, with what is still to be
     * done: items from..n of the plan. An error ends the flow; it is returned as it is. */
    struct err *(*confirm)(void *arg, const struct flow_plan *plan, size_t from);
    void *arg;
    void *state;                /* in place of what open would make; not closed */
    const struct op_dirs *dirs; /* where journals are, in place of what the config says */
};
struct flow_result {
    unsigned changed; /* steps that changed something, those before a crash included */
    char id[80];      /* of the operation */
    bool resumed;     /* an unfinished operation was gone on with */
};
/* Decides, writes BEGIN, carries out. While another operation is unfinished: ERR_REFUSED with its
 * name and the commands that lead on; but an unfinished one of the same flow and wish is gone on
 * with, and one of the same flow whose wish was another is given up in favour of the new one,
 * unless a step that may run only once may be half done. `always` flows suspend it instead, wait
 * for no disk to do so, and go on where their own journal cannot be written.
 * Once a step has been entered, a failure leaves the operation unfinished. Needs the host lock. */
struct err *flow_run(struct ctx *ctx, const struct flow *f, const void *opts,
                     const struct flow_how *how, struct flow_result *ret) MUST_CHECK;

/* The operator's answer for a step that may run only once and may be half done: for the one that
 * was asked about, and for no other. */
enum flow_answer { FLOW_ASK, FLOW_AGAIN, FLOW_IS_DONE };
/* Goes on with an unfinished operation; id NULL: the one that there is. ERR_REFUSED: the config has
 * changed since it began, it is of another version, or the operator is to be asked; ERR_NOTFOUND.
 */
struct err *flow_resume(struct ctx *ctx, const char *id, enum flow_answer answer,
                        const struct flow_how *how, struct flow_result *ret) MUST_CHECK;
/* Ends an unfinished operation without doing or undoing anything. A journal that cannot be read is
 * put aside. ERR_NOTFOUND; ERR_REFUSED: it is under way, or has ended. */
struct err *flow_abandon(struct ctx *ctx, const char *id) MUST_CHECK;
