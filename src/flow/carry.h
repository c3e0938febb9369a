#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "flow/engine.h"
#include "flow/journal.h"
#include "flow/op.h"

/* The inner half of the engine: the steps of one operation whose BEGIN is written. Borrowed for the
 * call. */
struct carry {
    const struct flow_plan *plan;
    const struct op *op;     /* what was entered and done before; its steps are the plan's items */
    struct journal *journal; /* NULL: nothing is written down, for a stop alone */
    const struct flow_report *report;
    void *state;
    enum flow_answer answer; /* for the one step that the operator was asked about */
    struct json *learned;    /* written: by the steps so far, by their names; carry_out's own */
    size_t answers;          /* written: which step that is */
    bool entered;            /* written: a step was, in this run or before */
    unsigned changed;        /* written: steps that changed something, earlier runs included */
};
/* Carries out what is left and writes END. After a failure the operation is unfinished when a step
 * was entered at any time, and ends as failed else. */
struct err *carry_out(struct ctx *ctx, struct carry *c) MUST_CHECK;
/* The step that may run only once and may be half done: its index, or op->n_steps. */
size_t carry_asks(const struct flow_plan *plan, const struct op *op);
