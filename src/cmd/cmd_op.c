/* agavectl op: operations that were cut off, and how they go on. agavectl history is its list with
 * the ones that have ended. */
#include "cmd/cmd.h"

#include <inttypes.h>

#include "base/json.h"
#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/op_table.h"
#include "cmd/progress.h"
#include "flow/engine.h"
#include "flow/op.h"

static struct err *op_list_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                               struct out *out)
{
    AUTO(op_dirs_clear) struct op_dirs dirs = {0};
    AUTO(ops_clear) struct ops all = {0};
    size_t n = 0;

    op_dirs_get(ctx, &dirs);
    TRY(op_list(ctx, &dirs, &all));
    for (size_t i = 0; i < all.n; i++) {
        if (op_is_unfinished(&all.items[i]))
            all.items[n++] = all.items[i];
        else
            op_clear(&all.items[i]);
    }
    all.n = n;
    if (n == 0)
        out_printf(out, "no operation is unfinished\n");
    op_table_print(&all, 0, out);
    for (size_t i = 0; i < n; i++) {
        AUTO(freep) char *line = op_line(&all.items[i]);

        out_printf(out, "%s\n", line);
    }
    return NULL;
}

static void show_text(const struct op *op, struct out *out)
{
    static const char *const headers[] = {">step", "what", "state", "changed", NULL};
    AUTO(freep) char *line = op_line(op);
    AUTO(table_freep) struct table *t = table_new(headers);

    out_printf(out, "%s\n", line);
    for (size_t i = 0; i < op->n_steps; i++) {
        const struct op_step *s = &op->steps[i];
        char number[24];
        const char *cells[] = {number, s->what, op_step_state_name(s->state),
                               s->changed ? "yes" : "no"};

        snprintf(number, sizeof(number), "%zu", i + 1);
        table_row(t, cells);
    }
    if (op->n_steps)
        table_print(t, out);
    if (op->error && op->state != OP_UNREADABLE)
        out_printf(out, "last error: %s\n", op->error);
}

/* id NULL: the unfinished one, else the latest. */
static struct err *find(struct ctx *ctx, const char *id, struct op *ret)
{
    AUTO(op_dirs_clear) struct op_dirs dirs = {0};
    AUTO(ops_clear) struct ops all = {0};
    bool found = false;

    op_dirs_get(ctx, &dirs);
    if (id)
        return op_get(ctx, &dirs, id, ret);
    TRY(op_unfinished(ctx, &dirs, ret, &found));
    if (found)
        return NULL;
    TRY(op_list(ctx, &dirs, &all));
    if (all.n == 0)
        return err_new(ERR_NOTFOUND, "there has been no operation yet");
    *ret = all.items[all.n - 1];
    all.n--;
    return NULL;
}

static struct err *op_show_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                               struct out *out)
{
    AUTO(op_clear) struct op op = {0};

    TRY(find(ctx, argc ? argv[0] : NULL, &op));
    if (out->json) {
        struct json *doc = answer_new();

        json_put(doc, "operation", op_json(&op, true));
        out_json(out, doc);
    } else {
        show_text(&op, out);
    }
    return NULL;
}

struct resume_opts {
    bool again, done;
};
static const struct opt resume_options[] = {
    {.type = OPT_FLAG,
     .lng = "again",
     .help = "the step that asks may be done (again)",
     .offset = offsetof(struct resume_opts, again)},
    {.type = OPT_FLAG,
     .lng = "done",
     .help = "the step that asks has been done",
     .offset = offsetof(struct resume_opts, done)},
    {0},
};

static struct err *op_resume_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                                 struct out *out)
{
    const struct resume_opts *o = opts;
    enum flow_answer answer = o->again ? FLOW_AGAIN : o->done ? FLOW_IS_DONE : FLOW_ASK;
    struct flow_result done = {0};
    struct progress p;

    if (o->again && o->done)
        return err_new(ERR_BADINPUT, "'--again' and '--done' exclude each other");
    progress_init(&p);
    log_note("op resume:");
    struct flow_how how = {.report = &p.report};
    struct err *e = flow_resume(ctx, argc ? argv[0] : NULL, answer, &how, &done);
    progress_close(&p);
    if (e && e->kind == ERR_NOTFOUND && !argc) {
        err_free(e); /* the end that was asked for */
        out_changed(out, false, "", "no operation is unfinished; nothing was changed");
        return NULL;
    }
    if (e)
        return e;
    if (out->json) {
        struct json *doc = answer_new();

        json_put(doc, "changed", json_new_bool(p.changed > 0));
        json_put(doc, "id", json_new_str(done.id));
        out_json(out, doc);
    }
    out_printf(out, "operation %s is done\n", done.id);
    return NULL;
}

static struct err *op_abandon_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                                  struct out *out)
{
    TRY(flow_abandon(ctx, argv[0]));
    out_changed(out, true, "given up; what it did is left as it is, look with 'agavectl check'",
                "");
    return NULL;
}

static const struct cmd list_cmd = {
    .name = "list",
    .summary = "print the operations that are unfinished",
    .usage = "",
    .detail = "Lists the operations that were cut off or failed and have not been given up, with "
              "the step that they stand at. There is at most one, and a stop beside it.",
    .example = "agavectl op list",
    .flags = CMD_ROOT | CMD_CONFIG | CMD_JSON,
    .run = op_list_run,
};
static const struct cmd show_cmd = {
    .name = "show",
    .summary = "print the steps of an operation",
    .usage = "[ID]",
    .detail = "Prints every step of an operation and how it stands. Without an ID: of the one that "
              "is unfinished, else of the latest.",
    .example = "agavectl op show",
    .flags = CMD_ROOT | CMD_CONFIG | CMD_JSON,
    .max_args = 1,
    .run = op_show_run,
};
static const struct cmd resume_cmd = {
    .name = "resume",
    .summary = "go on with an unfinished operation",
    .usage = "[ID]",
    .detail =
        "Goes on where the operation was cut off, with what was decided when it began: nothing is "
        "decided again, so the config must say the same as then. What ends with a process or a "
        "reboot is looked at again first. A step of which it is not known whether it came to its "
        "end, and which could do harm a second time (making a file system), is never repeated by "
        "itself: look, and then say --done or --again.",
    .example = "agavectl op resume",
    .flags = CMD_ROOT | CMD_LOCK | CMD_CONFIG | CMD_JSON,
    .max_args = 1,
    .opts = resume_options,
    .opts_size = sizeof(struct resume_opts),
    .run = op_resume_run,
};
static const struct cmd abandon_cmd = {
    .name = "abandon",
    .summary = "give an unfinished operation up",
    .usage = "ID",
    .detail = "Ends an unfinished operation without doing or undoing anything: the way is free for "
              "other operations. A journal that cannot be read is put aside.",
    .example = "agavectl op abandon 20260901T120000Z-up",
    .flags = CMD_ROOT | CMD_LOCK | CMD_CONFIG | CMD_JSON,
    .min_args = 1,
    .max_args = 1,
    .run = op_abandon_run,
};
static const struct cmd *const op_subs[] = {&abandon_cmd, &list_cmd, &resume_cmd, &show_cmd, NULL};

const struct cmd cmd_op = {
    .name = "op",
    .summary = "operations that were cut off: list, resume, abandon",
    .usage = "",
    .detail = "Every operation that changes something writes down what it decided before it "
              "begins, and each step before and after it is done. After a crash or an interrupt "
              "the operation is unfinished: other operations are refused until it was gone on with "
              "or given up, except 'agavectl stop', which suspends it.",
    .subs = op_subs,
};
