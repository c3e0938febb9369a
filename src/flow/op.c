/* What the records of a journal mean: which steps of an operation were entered and done, how it
 * stands, and what there is to say about it. Reads only; the engine writes. */
#include "flow/op.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "config/config.h"

#define STEPS_MAX   4096
#define DEF_JOURNAL "/var/lib/agavectl/op"
#define DEF_STATE   "/run/agavectl"

const char *op_state_name(enum op_state s)
{
    static const char *const names[] = {
        [OP_RUNNING] = "running",     [OP_UNFINISHED] = "unfinished",
        [OP_SUSPENDED] = "suspended", [OP_UNREADABLE] = "unreadable",
        [OP_FAILED] = "failed",       [OP_DONE] = "done",
        [OP_ABANDONED] = "abandoned",
    };

    return names[s];
}

const char *op_step_state_name(enum op_step_state s)
{
    static const char *const names[] = {
        [OP_STEP_TODO] = "todo",
        [OP_STEP_ENTERED] = "entered",
        [OP_STEP_FAILED] = "failed",
        [OP_STEP_DONE] = "done",
    };

    return names[s];
}

void op_clear(struct op *op)
{
    char *texts[] = {op->id,      op->dir,   op->flow,        op->program,
                     op->boot_id, op->error, op->suspended_by};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(texts[i]);
    for (size_t i = 0; i < op->n_steps; i++) {
        free(op->steps[i].name);
        free(op->steps[i].title);
        free(op->steps[i].what);
        free(op->steps[i].destroys);
    }
    free(op->steps);
    journal_records_clear(&op->records);
    *op = (struct op){0};
}

void ops_clear(struct ops *o)
{
    for (size_t i = 0; i < o->n; i++)
        op_clear(&o->items[i]);
    free(o->items);
    *o = (struct ops){0};
}

void op_dirs_get(const struct ctx *ctx, struct op_dirs *ret)
{
    ret->journal = xstrdup(ctx->cfg ? ctx->cfg->journal_dir : DEF_JOURNAL);
    ret->state = xasprintf("%s/op", ctx->cfg ? ctx->cfg->state_dir : DEF_STATE);
}

void op_dirs_clear(struct op_dirs *d)
{
    free(d->journal);
    free(d->state);
    *d = (struct op_dirs){0};
}

static struct err *get_text(const struct json *j, const char *key, char **ret)
{
    const char *text;

    TRY_CTX(json_as_str(json_get(j, key), &text), "%s", key);
    *ret = xstrdup(text);
    return NULL;
}

static struct err *get_text_or_null(const struct json *j, const char *key, char **ret)
{
    return json_get(j, key) ? get_text(j, key, ret) : NULL;
}

static struct err *get_u64(const struct json *j, const char *key, uint64_t *ret)
{
    TRY_CTX(json_as_u64(json_get(j, key), ret), "%s", key);
    return NULL;
}

static struct err *one_step(const struct json *j, struct op_step *s)
{
    TRY(get_text(j, "step", &s->name));
    TRY(get_text_or_null(j, "title", &s->title));
    TRY(get_text(j, "what", &s->what));
    TRY(get_text_or_null(j, "destroys", &s->destroys));
    s->data = json_get(j, "data");
    return NULL;
}

static struct err *fold_begin(struct op *op, const struct json *j)
{
    const struct json *steps = json_get(j, "steps");
    size_t n = json_len(steps);

    TRY(get_text(j, "flow", &op->flow));
    TRY(get_u64(j, "flow_version", &op->flow_version));
    TRY(get_u64(j, "number", &op->number));
    TRY(get_text(j, "agavectl", &op->program));
    TRY(get_text(j, "boot_id", &op->boot_id));
    TRY(get_u64(j, "at_ms", &op->begun_ms));
    op->wish = json_get(j, "wish");
    op->inputs = json_get(j, "inputs");
    if (!json_is_object(op->inputs) || !json_is_array(steps) || n > STEPS_MAX)
        return err_new(ERR_CORRUPT, "no inputs, no steps, or too many");
    op->steps = xcalloc(n + 1, sizeof(*op->steps));
    op->n_steps = n; /* before they are filled: a half-filled list is freed as well */
    for (size_t i = 0; i < n; i++)
        TRY(one_step(json_at(steps, i), &op->steps[i]));
    op->failed_at = n;
    op->state = OP_UNFINISHED;
    return NULL;
}

/* The step that a record is about. */
static struct err *step_of(struct op *op, const struct json *j, struct op_step **ret)
{
    uint64_t i;

    TRY(get_u64(j, "step", &i));
    if (i >= op->n_steps)
        return err_new(ERR_CORRUPT, "there is no step %" PRIu64, i);
    *ret = &op->steps[i];
    return NULL;
}

static struct err *fold_enter(struct op *op, const struct json *j)
{
    struct op_step *s;

    TRY(step_of(op, j, &s));
    TRY(get_u64(j, "at_ms", &s->begun_ms));
    s->state = OP_STEP_ENTERED;
    s->entered = op->entered = true;
    op->failed_at = op->n_steps;
    return NULL;
}

static struct err *fold_done(struct op *op, const struct json *j)
{
    struct op_step *s;
    bool changed;

    TRY(step_of(op, j, &s));
    TRY(get_u64(j, "at_ms", &s->ended_ms));
    TRY(json_as_bool(json_get(j, "changed"), &changed));
    s->changed |= changed;
    s->learned = json_get(j, "learned");
    s->state = OP_STEP_DONE;
    op->failed_at = op->n_steps;
    return NULL;
}

static struct err *fold_fail(struct op *op, const struct json *j)
{
    struct op_step *s;

    TRY(step_of(op, j, &s));
    if (s->state == OP_STEP_ENTERED)
        s->state = OP_STEP_FAILED;
    op->failed_at = (size_t)(s - op->steps);
    free(TAKE(op->error));
    return get_text(j, "error", &op->error);
}

static struct err *fold_suspend(struct op *op, const struct json *j)
{
    op->state = OP_SUSPENDED;
    free(TAKE(op->suspended_by));
    return get_text(j, "by", &op->suspended_by);
}

static struct err *fold_resume(struct op *op, const struct json *j)
{
    op->state = OP_UNFINISHED;
    free(TAKE(op->suspended_by));
    free(TAKE(op->error));
    free(TAKE(op->boot_id));
    return get_text(j, "boot_id", &op->boot_id);
}

static struct err *fold_end(struct op *op, const struct json *j)
{
    static const struct {
        const char *how;
        enum op_state state;
    } ends[] = {{"done", OP_DONE}, {"failed", OP_FAILED}, {"abandoned", OP_ABANDONED}};
    const char *how;

    TRY(get_u64(j, "at_ms", &op->ended_ms));
    TRY(json_as_str(json_get(j, "how"), &how));
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        if (str_eq(how, ends[i].how)) {
            op->state = ends[i].state;
            return NULL;
        }
    return err_new(ERR_CORRUPT, "it ended in a way that is not known");
}

static struct err *fold(struct op *op)
{
    static struct err *(*const folds[])(struct op *, const struct json *) = {
        [REC_BEGIN] = fold_begin, [REC_ENTER] = fold_enter,     [REC_DONE] = fold_done,
        [REC_FAIL] = fold_fail,   [REC_SUSPEND] = fold_suspend, [REC_RESUME] = fold_resume,
        [REC_END] = fold_end,
    };

    for (size_t i = 0; i < op->records.n; i++) {
        const struct journal_record *r = &op->records.items[i];

        TRY_CTX(folds[r->kind](op, r->data), "record %zu (%s)", i, rec_name(r->kind));
    }
    while (op->at < op->n_steps && op->steps[op->at].state == OP_STEP_DONE)
        op->at++;
    return NULL;
}

struct err *op_from_records(const char *dir, const char *id, struct journal_records *r,
                            struct op *ret)
{
    AUTO(op_clear) struct op op = {.id = xstrdup(id), .dir = xstrdup(dir), .records = *r};
    struct err *e;

    *r = (struct journal_records){0};
    if (op.records.n == 0)
        return err_new(ERR_NOTFOUND, "operation '%s' never began", id);
    e = fold(&op);
    if (e) {
        struct err *wrong =
            err_new(ERR_CORRUPT, "the journal '%s/%s.j' makes no sense: %s", dir, id, e->text);
        err_free(e);
        return wrong;
    }
    *ret = op;
    op = (struct op){0};
    return NULL;
}

/* The flow's name from the id, for a journal that does not tell: "20261123T044422Z-up". */
static char *flow_of_id(const char *id)
{
    const char *dash = strchr(id, '-');

    return dash ? xstrndup(dash + 1, strcspn(dash + 1, "-")) : xstrdup("?");
}

/* ERR_NOTFOUND: it went away, or never began. */
static struct err *read_op(struct ctx *ctx, const char *dir, const char *id, struct op *ret)
{
    AUTO(journal_records_clear) struct journal_records r = {0};
    bool busy = false;
    struct err *e = journal_read(ctx, dir, id, &r, &busy);

    if (!e)
        e = op_from_records(dir, id, &r, ret);
    if (!e) {
        if (busy && op_is_unfinished(ret))
            ret->state = OP_RUNNING;
        return NULL;
    }
    if (e->kind != ERR_CORRUPT && e->kind != ERR_REFUSED)
        return e;
    *ret = (struct op){.id = xstrdup(id),
                       .dir = xstrdup(dir),
                       .flow = flow_of_id(id),
                       .state = OP_UNREADABLE,
                       .number = UINT64_MAX, /* not known: as the latest */
                       .error = xstrdup(e->text)};
    err_free(e);
    return NULL;
}

static struct err *list_dir(struct ctx *ctx, const char *dir, struct ops *ret)
{
    AUTO(strlist_clear) struct strlist ids = {0};

    TRY_CTX(journal_list(ctx, dir, &ids), "cannot look for operations");
    for (size_t i = 0; i < ids.n; i++) {
        struct op op;
        struct err *e = read_op(ctx, dir, ids.items[i], &op);

        if (e && e->kind == ERR_NOTFOUND) {
            err_free(e);
            continue;
        }
        TRY(e);
        ret->items = xgrow(ret->items, &ret->cap, ret->n + 1, sizeof(*ret->items));
        ret->items[ret->n++] = op;
    }
    return NULL;
}

static int by_number(const void *a, const void *b)
{
    const struct op *x = a, *y = b;

    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return strcmp(x->id, y->id);
}

struct err *op_list(struct ctx *ctx, const struct op_dirs *dirs, struct ops *ret)
{
    AUTO(ops_clear) struct ops o = {0};

    if (dirs->journal)
        TRY(list_dir(ctx, dirs->journal, &o));
    if (!dirs->journal || !str_eq(dirs->journal, dirs->state))
        TRY(list_dir(ctx, dirs->state, &o));
    if (o.n)
        qsort(o.items, o.n, sizeof(*o.items), by_number);
    *ret = o;
    o = (struct ops){0};
    return NULL;
}

struct err *op_get(struct ctx *ctx, const struct op_dirs *dirs, const char *id, struct op *ret)
{
    struct err *e = dirs->journal ? read_op(ctx, dirs->journal, id, ret) : NULL;

    if (dirs->journal && (!e || e->kind != ERR_NOTFOUND))
        return e;
    err_free(e);
    return read_op(ctx, dirs->state, id, ret);
}

bool op_is_unfinished(const struct op *op)
{
    return op->state == OP_RUNNING || op->state == OP_UNFINISHED || op->state == OP_SUSPENDED ||
           op->state == OP_UNREADABLE;
}

/* Nothing begins while one is unfinished, so it is later than all others, whatever their numbers
 * are: one that could not look at the others does not know theirs. */
static bool is_stop(const struct op *op)
{
    return str_eq(op->flow, "stop") && op->state != OP_UNREADABLE;
}

struct err *op_unfinished(struct ctx *ctx, const struct op_dirs *dirs, struct op *ret,
                          bool *ret_found)
{
    AUTO(ops_clear) struct ops o = {0};

    struct op *first = NULL;

    TRY(op_list(ctx, dirs, &o));
    for (size_t i = 0; i < o.n; i++)
        if (op_is_unfinished(&o.items[i]) && (!first || !is_stop(first) || is_stop(&o.items[i])))
            first = &o.items[i];
    *ret_found = first != NULL;
    if (first) {
        *ret = *first;
        *first = (struct op){0}; /* handed over */
    }
    return NULL;
}

static const char *step_name(const struct op_step *s)
{
    return s->title ? s->title : s->name;
}

char *op_line(const struct op *op)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    strbuf_printf(&b, "operation %s ", op->id);
    if (op->state == OP_UNREADABLE) {
        strbuf_printf(&b, "cannot be read: %s; 'agavectl op abandon %s' puts it aside", op->error,
                      op->id);
        return strbuf_take(&b);
    }
    strbuf_printf(&b, "is %s", op->state == OP_RUNNING ? "under way" : op_state_name(op->state));
    if (op->state == OP_SUSPENDED)
        strbuf_printf(&b, " by %s", op->suspended_by);
    if (op->at < op->n_steps)
        strbuf_printf(&b, ", at step %zu of %zu (%s)", op->at + 1, op->n_steps,
                      step_name(&op->steps[op->at]));
    if (op->state == OP_RUNNING || !op_is_unfinished(op))
        return strbuf_take(&b);
    if (op->error)
        strbuf_printf(&b, ": %s", op->error);
    strbuf_printf(&b,
                  "; go on with 'agavectl op resume %s', or give it up with 'agavectl op abandon "
                  "%s'",
                  op->id, op->id);
    return strbuf_take(&b);
}

static struct json *ms_or_null(uint64_t ms)
{
    return ms ? json_new_u64(ms) : NULL;
}

static struct json *step_json(const struct op_step *s)
{
    struct json *j = json_new_object();

    json_put(j, "step", json_new_str(s->name));
    json_put(j, "title", json_new_str(s->title));
    json_put(j, "what", json_new_str(s->what));
    json_put(j, "destroys", json_new_str(s->destroys));
    json_put(j, "state", json_new_str(op_step_state_name(s->state)));
    json_put(j, "changed", json_new_bool(s->changed));
    json_put(j, "begun_ms", ms_or_null(s->begun_ms));
    json_put(j, "ended_ms", ms_or_null(s->ended_ms));
    json_put(j, "learned", json_ref(s->learned));
    return j;
}

struct json *op_json(const struct op *op, bool with_steps)
{
    struct json *j = json_new_object(), *steps = json_new_array();

    json_put(j, "id", json_new_str(op->id));
    json_put(j, "flow", json_new_str(op->flow));
    json_put(j, "state", json_new_str(op_state_name(op->state)));
    json_put(j, "unfinished", json_new_bool(op_is_unfinished(op)));
    json_put(j, "agavectl", json_new_str(op->program));
    json_put(j, "begun_ms", ms_or_null(op->begun_ms));
    json_put(j, "ended_ms", ms_or_null(op->ended_ms));
    json_put(j, "steps_done", json_new_u64(op->at));
    json_put(j, "steps_n", json_new_u64(op->n_steps));
    json_put(j, "at", json_new_str(op->at < op->n_steps ? step_name(&op->steps[op->at]) : NULL));
    json_put(j, "error", json_new_str(op->error));
    json_put(j, "suspended_by", json_new_str(op->suspended_by));
    for (size_t i = 0; with_steps && i < op->n_steps; i++)
        json_push(steps, step_json(&op->steps[i]));
    if (with_steps)
        json_put(j, "steps", steps);
    else
        json_free(steps);
    return j;
}
