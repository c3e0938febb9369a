#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/json.h"
#include "flow/journal.h"

/* Operations as their journals tell them: what `op`, `history` and the first line of `status` show,
 * and what the engine goes on from. Reading needs the rights of whoever wrote them (root). */
enum op_state {
    OP_RUNNING,    /* another process carries it out now */
    OP_UNFINISHED, /* cut off, or a step failed */
    OP_SUSPENDED,  /* unfinished, and a stop came after it */
    OP_UNREADABLE, /* its journal is of another version, or damaged: counts as unfinished */
    OP_FAILED,     /* ended by an error before anything was done */
    OP_DONE,
    OP_ABANDONED,
};
const char *op_state_name(enum op_state s);

enum op_step_state { OP_STEP_TODO, OP_STEP_ENTERED, OP_STEP_FAILED, OP_STEP_DONE };
const char *op_step_state_name(enum op_step_state s);
struct op_step {
    char *name, *title, *what, *destroys; /* title, destroys: or NULL */
    const struct json *data;              /* borrowed from the operation's records; NULL: none */
    const struct json *learned;           /* the same */
    enum op_step_state state;
    bool entered; /* at any time: it may have changed something */
    bool changed;
    uint64_t begun_ms, ended_ms; /* wall clock, for people alone; 0: not known */
};
struct op {
    char *id, *dir; /* the folder of its journal */
    char *flow;
    enum op_state state;
    uint64_t flow_version;
    uint64_t number;             /* later operations have larger ones, whatever the clock says */
    char *program;               /* version of agavectl that began it */
    char *boot_id;               /* of the last BEGIN or RESUME */
    uint64_t begun_ms, ended_ms; /* wall clock; 0: not ended */
    char *error;                 /* the last failure, what is wrong with the journal, or NULL */
    char *suspended_by;          /* id of the stop, or NULL */
    struct op_step *steps;
    size_t n_steps;
    size_t at;        /* the first step that is not done; n_steps: none */
    size_t failed_at; /* the step that the last failure was about, when none was begun or done
                         since; n_steps: none */
    bool entered;     /* any step was */
    const struct json *wish, *inputs;
    struct journal_records records;
};
void op_clear(struct op *op);
struct ops {
    struct op *items;
    size_t n, cap;
};
void ops_clear(struct ops *o);

/* Where journals are: the config's folder, and that of the state dir, in which stops are kept. */
struct op_dirs {
    char *journal; /* NULL: none */
    char *state;
};
void op_dirs_get(const struct ctx *ctx, struct op_dirs *ret); /* ctx->cfg NULL: the defaults */
void op_dirs_clear(struct op_dirs *d);

/* Takes the records over. ERR_CORRUPT: they make no sense together. */
struct err *op_from_records(const char *dir, const char *id, struct journal_records *r,
                            struct op *ret) MUST_CHECK;
/* All operations, the latest last. One whose journal cannot be read is OP_UNREADABLE with the
 * reason. A folder that cannot be looked at is an error. */
struct err *op_list(struct ctx *ctx, const struct op_dirs *dirs, struct ops *ret) MUST_CHECK;
/* ERR_NOTFOUND. */
struct err *op_get(struct ctx *ctx, const struct op_dirs *dirs, const char *id, struct op *ret)
    MUST_CHECK;
bool op_is_unfinished(const struct op *op); /* OP_RUNNING counts as well */
/* The operation that is unfinished or under way; *ret_found false: none. With several the latest: a
 * stop comes before the one that it suspended. `status` begins with its op_line. */
struct err *op_unfinished(struct ctx *ctx, const struct op_dirs *dirs, struct op *ret,
                          bool *ret_found) MUST_CHECK;
/* One line for people: "operation X is unfinished, at step 3 of 7 (snapshot): …; go on with
 * 'agavectl op resume X', or give it up with 'agavectl op abandon X'". To be freed. */
char *op_line(const struct op *op);
/* For -o json: {id, flow, state, …, steps[]}. Owned by the caller. */
struct json *op_json(const struct op *op, bool with_steps);
