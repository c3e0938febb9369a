/* Operations from their decision to their end: what may begin while another is unfinished, what is
 * written down before anything is done, and how one goes on after a crash. The steps themselves are
 * carried out by carry.c. */
#include "flow/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/blake3.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/str.h"
#include "config/config.h"
#include "flow/carry.h"
#include "flow/journal.h"
#include "flow/op.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "io/probe.h"

#define KEEP_N    200  /* operations that have ended, in each folder */
#define TRIES_N   100  /* names for operations of the same second */
#define ANSWER_MS 3000 /* for all journals to be read */

static const struct flow_how how_none; /* nobody listens, nobody is asked */

struct flow_item *flow_plan_add(struct flow_plan *p, const struct step *step, const char *title,
                                struct json *data, const char *what_fmt, ...)
{
    va_list ap;

    p->items = xgrow(p->items, &p->cap, p->n + 1, sizeof(*p->items));
    va_start(ap, what_fmt);
    p->items[p->n] = (struct flow_item){
        .step = step,
        .title = title ? xstrdup(title) : NULL,
        .what = xvasprintf(what_fmt, ap),
        .data = data,
    };
    va_end(ap);
    return &p->items[p->n++];
}

void flow_plan_clear(struct flow_plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->items[i].title);
        free(p->items[i].what);
        free(p->items[i].destroys);
        json_free(p->items[i].data);
    }
    free(p->items);
    json_free(p->inputs);
    strlist_clear(&p->notes);
    free(p->not_allowed);
    *p = (struct flow_plan){0};
}

const struct flow *flow_by_name(const char *name)
{
    for (size_t i = 0; flow_table[i]; i++)
        if (str_eq(flow_table[i]->name, name))
            return flow_table[i];
    return NULL;
}

struct err *flow_plan_make(struct ctx *ctx, const struct flow *f, const void *opts,
                           struct flow_plan *ret)
{
    AUTO(flow_plan_clear) struct flow_plan p = {.flow = f, .inputs = json_new_object()};

    TRY(f->decide(ctx, opts, &p));
    *ret = p;
    p = (struct flow_plan){0};
    return NULL;
}

/* What a config says, as 64 hex digits. The values themselves stay out of journals: some are
 * secrets. */
static char *config_digest(const struct config *c)
{
    AUTO(json_freep) struct json *all = json_new_object();
    AUTO(strbuf_clear) struct strbuf hex = {0};
    uint8_t hash[32];

    for (const struct config_key *k = config_keys; k->name; k++)
        json_put(all, k->name, config_json(c, k));
    AUTO(freep) char *text = json_text(all, false);
    blake3_256(text, strlen(text), hash);
    for (size_t i = 0; i < sizeof(hash); i++)
        strbuf_printf(&hex, "%02x", hash[i]);
    return strbuf_take(&hex);
}

static struct json *wish_of(struct ctx *ctx, const struct flow *f, const void *opts)
{
    struct json *j = json_new_object();
    AUTO(freep) char *digest = ctx->cfg ? config_digest(ctx->cfg) : NULL;

    /* Whatever the config says now, what runs must be stopped. */
    json_put(j, "config", f->always ? NULL : json_new_str(digest));
    json_put(j, "opts", f->wish ? f->wish(ctx, opts) : NULL);
    return j;
}

static bool same_json(const struct json *a, const struct json *b)
{
    AUTO(freep) char *x = a ? json_text(a, false) : NULL, *y = b ? json_text(b, false) : NULL;

    return str_eq(x, y);
}

/* The plan as it was written down. ERR_REFUSED: this agavectl has other steps. */
static struct err *plan_of_op(const struct op *op, struct flow_plan *ret)
{
    AUTO(flow_plan_clear) struct flow_plan p = {.flow = flow_by_name(op->flow)};

    if (op->state == OP_UNREADABLE)
        return err_new(ERR_REFUSED, "%s", op->error);
    if (!p.flow || p.flow->version != op->flow_version)
        return err_new(ERR_REFUSED,
                       "operation %s is a '%s' of agavectl %s, whose steps this one does not know: "
                       "go on with that one, or give it up with 'agavectl op abandon %s'",
                       op->id, op->flow, op->program, op->id);
    p.inputs = json_ref(op->inputs);
    for (size_t i = 0; i < op->n_steps; i++) {
        const struct op_step *s = &op->steps[i];
        size_t k = 0;

        while (p.flow->steps[k] && !str_eq(p.flow->steps[k]->name, s->name))
            k++;
        if (!p.flow->steps[k])
            return err_new(ERR_CORRUPT, "operation %s has an unknown step '%s'", op->id, s->name);
        flow_plan_add(&p, p.flow->steps[k], s->title, json_ref(s->data), "%s", s->what)->destroys =
            s->destroys ? xstrdup(s->destroys) : NULL;
    }
    *ret = p;
    p = (struct flow_plan){0};
    return NULL;
}

/* What stands in the way of a new operation, or can be gone on with. */
struct past {
    struct op mine,
        other;       /* the latest unfinished one of this flow, and of any other; id NULL: none */
    uint64_t number; /* of the next operation */
};
static void past_clear(struct past *p)
{
    op_clear(&p->mine);
    op_clear(&p->other);
}

static void past_add(struct past *p, const struct flow *f, struct ops *o)
{
    for (size_t i = o->n; i-- > 0;) {
        struct op *op = &o->items[i];
        bool same = str_eq(op->flow, f->name) && op->state != OP_UNREADABLE;
        struct op *to = same ? &p->mine : &p->other;

        if (op->state != OP_UNREADABLE && op->number >= p->number && op->number < UINT64_MAX)
            p->number = op->number + 1;
        if (!op_is_unfinished(op) || to->id)
            continue;
        *to = *op;
        *op = (struct op){0};
    }
}

static void look_for_ops(struct ctx *ctx, const void *arg)
{
    const struct op_dirs *dirs = arg;
    AUTO(ops_clear) struct ops o = {0};

    err_free(op_list(ctx, dirs, &o));
}

/* A folder on a disk that is gone would hold a stop for ever. */
static struct err *must_answer(struct ctx *ctx, const struct op_dirs *dirs)
{
    bool back = false;

    TRY(probe_comes_back(ctx, ANSWER_MS, look_for_ops, dirs, &back));
    return back ? NULL
                : err_new(ERR_TIMEOUT, "'%s' does not answer", dirs->journal ? dirs->journal : "");
}

static void past_add_from(struct ctx *ctx, const struct flow *f, char *dir, struct past *ret)
{
    const struct op_dirs one = {.state = dir};
    AUTO(ops_clear) struct ops o = {0};
    struct err *e = op_list(ctx, &one, &o);

    if (e)
        log_debug("%s", e->text);
    else
        past_add(ret, f, &o);
    err_free(e);
}

/* A flow that is never refused does without a folder that cannot be looked at. */
static struct err *past_look(struct ctx *ctx, const struct flow *f, const struct op_dirs *dirs,
                             struct past *ret, struct err **ret_blind)
{
    AUTO(ops_clear) struct ops o = {0};
    struct err *mute = f->always && dirs->journal ? must_answer(ctx, dirs) : NULL;
    struct err *e = mute ? mute : op_list(ctx, dirs, &o);

    if (e && f->always) {
        *ret_blind = e;
        past_add_from(ctx, f, dirs->state, ret);
        if (!mute && dirs->journal)
            past_add_from(ctx, f, dirs->journal, ret);
        return NULL;
    }
    TRY(e);
    past_add(ret, f, &o);
    return NULL;
}

static struct err *boot_id(struct ctx *ctx, char **ret)
{
    return fsroot_read_line(ctx->root, "/proc/sys/kernel/random/boot_id", ret);
}

static struct json *plan_steps(const struct flow_plan *p)
{
    struct json *all = json_new_array();

    for (size_t i = 0; i < p->n; i++) {
        struct json *j = json_new_object();

        json_put(j, "step", json_new_str(p->items[i].step->name));
        json_put(j, "title", json_new_str(p->items[i].title));
        json_put(j, "what", json_new_str(p->items[i].what));
        json_put(j, "destroys", json_new_str(p->items[i].destroys));
        json_put(j, "data", json_ref(p->items[i].data));
        json_push(all, j);
    }
    return all;
}

static struct err *begin_record(struct ctx *ctx, const struct flow_plan *p, const struct json *wish,
                                uint64_t number, struct json **ret)
{
    AUTO(freep) char *boot = NULL;
    struct json *j;

    TRY(boot_id(ctx, &boot));
    j = json_new_object();
    json_put(j, "flow", json_new_str(p->flow->name));
    json_put(j, "flow_version", json_new_u64(p->flow->version));
    json_put(j, "agavectl", json_new_str(AGAVECTL_VERSION));
    json_put(j, "boot_id", json_new_str(boot));
    json_put(j, "number", json_new_u64(number));
    json_put(j, "at_ms", json_new_u64(clock_wall_ms(ctx)));
    json_put(j, "wish", json_ref(wish));
    json_put(j, "inputs", json_ref(p->inputs));
    json_put(j, "steps", plan_steps(p));
    *ret = j;
    return NULL;
}

/* "20261123T044422Z-up": the time is for people, the order is the number's. */
static char *new_id(struct ctx *ctx, const struct flow *f, int try)
{
    char utc[40], stamp[40];
    size_t n = 0;

    fmt_utc(clock_wall_ms(ctx), utc, sizeof(utc));
    for (const char *p = utc; *p && *p != 'U'; p++)
        if (*p == ' ')
            stamp[n++] = p[1] == 'U' ? 'Z' : 'T';
        else if (*p != '-' && *p != ':')
            stamp[n++] = *p;
    stamp[n] = 0;
    return try ? xasprintf("%s-%s-%d", stamp, f->name, try + 1)
               : xasprintf("%s-%s", stamp, f->name);
}

static const char *folder_of(const struct flow *f, const struct op_dirs *d)
{
    return f->always || !d->journal ? d->state : d->journal;
}

/* Whatever a clock says that jumps back: a name that is taken gets a number. */
static struct err *write_begin(struct ctx *ctx, const struct op_dirs *dirs,
                               const struct flow_plan *p, const struct json *begin, char **ret_id,
                               struct journal **ret)
{
    const char *dir = folder_of(p->flow, dirs);

    for (int i = 0; i < TRIES_N; i++) {
        AUTO(freep) char *id = new_id(ctx, p->flow, i);
        struct err *e = journal_new(ctx, dir, id, begin, ret);

        if (!e) {
            *ret_id = TAKE(id);
            return NULL;
        }
        if (e->sys != EEXIST)
            return err_wrap(e, "nothing was begun");
        err_free(e);
    }
    return err_new(ERR_REFUSED, "'%s' has too many operations of this second; try again", dir);
}

static struct err *confirm(const struct flow_how *how, const struct flow_plan *p, size_t from)
{
    return how->confirm ? how->confirm(how->arg, p, from) : NULL;
}

static void fill_result(const struct carry *c, bool resumed, struct flow_result *ret)
{
    *ret = (struct flow_result){.changed = c->changed, .resumed = resumed};
    snprintf(ret->id, sizeof(ret->id), "%s", c->op->id);
}

static struct err *with_state(struct ctx *ctx, struct carry *c, const struct flow_how *how)
{
    const struct flow *f = c->plan->flow;

    if (how->state || !f->open) {
        c->state = how->state;
        return carry_out(ctx, c);
    }
    TRY(f->open(ctx, c->plan->inputs, &c->state));
    struct err *e = carry_out(ctx, c);
    if (f->close)
        f->close(c->state);
    return e;
}

/* What a stop interrupts is named in its BEGIN; when the stop is over it is told so itself, as far
 * as that can be written: a disk that does not take it must not hold the stop. */
static void suspend(struct ctx *ctx, const struct flow_how *how, const struct op *op,
                    const char *by)
{
    AUTO(journal_closep) struct journal *journal = NULL;
    AUTO(journal_records_clear) struct journal_records r = {0};
    AUTO(json_freep) struct json *data = json_new_object();

    if (!op->id || op->state == OP_SUSPENDED)
        return;
    report_begin(how->report, "suspend");
    json_put(data, "by", json_new_str(by));
    json_put(data, "at_ms", json_new_u64(clock_wall_ms(ctx)));
    struct err *e = journal_open(ctx, op->dir, op->id, &journal, &r);
    if (!e)
        e = journal_append(journal, REC_SUSPEND, data);
    report_end(how->report, !e, "operation %s%s%s", op->id,
               e ? ", not written into its journal: "
                 : "; after the stop it goes on with 'agavectl op resume'",
               e ? e->text : "");
    err_free(e);
}

static void name_unfinished(const struct op *op, const struct err *blind, struct json *inputs)
{
    struct json *what;

    json_put(inputs, "unfinished_unknown", json_new_str(blind ? blind->text : NULL));
    if (!op->id) {
        json_put(inputs, "unfinished", NULL);
        return;
    }
    what = json_new_object();
    json_put(what, "id", json_new_str(op->id));
    json_put(what, "flow", json_new_str(op->flow));
    json_put(what, "at_step", json_new_u64(op->at));
    json_put(inputs, "unfinished", what);
}

static void tell_unwritten(const struct flow_how *how, const struct err *why)
{
    report_begin(how->report, "journal");
    report_end(how->report, false, "goes on without: %s", why->text);
}

/* A stop is worth more than its record. */
static struct err *begin_op(struct ctx *ctx, const struct op_dirs *dirs, const struct flow_plan *p,
                            const struct json *begin, const struct flow_how *how, char **ret_id,
                            struct journal **ret)
{
    struct err *e = write_begin(ctx, dirs, p, begin, ret_id, ret);

    if (!e || !p->flow->always)
        return e;
    *ret_id = new_id(ctx, p->flow, 0);
    tell_unwritten(how, e);
    return err_free(e);
}

static struct err *carry_new(struct ctx *ctx, const struct op_dirs *dirs, const struct flow_plan *p,
                             const struct json *wish, const struct past *past,
                             const struct flow_how *how, struct flow_result *ret)
{
    AUTO(journal_closep) struct journal *journal = NULL;
    AUTO(json_freep) struct json *begin = NULL;
    AUTO(op_clear) struct op op = {.n_steps = p->n, .steps = xcalloc(p->n + 1, sizeof(*op.steps))};
    const char *dir = folder_of(p->flow, dirs);

    TRY(begin_record(ctx, p, wish, past->number, &begin));
    TRY(begin_op(ctx, dirs, p, begin, how, &op.id, &journal));
    FAULT("begun");
    struct carry c = {.plan = p, .op = &op, .journal = journal, .report = how->report};
    struct err *e = with_state(ctx, &c, how);
    fill_result(&c, false, ret);
    if (p->flow->always)
        suspend(ctx, how, &past->other, op.id);
    journal = journal_close(journal);
    struct err *litter = journal_prune(ctx, dir, KEEP_N);
    if (litter)
        log_debug("%s", litter->text); /* the next one tries again */
    err_free(litter);
    return e;
}

static void tell_resume(struct ctx *ctx, const struct flow_how *how, const struct op *op,
                        bool other_boot)
{
    char utc[40];

    report_begin(how->report, "resume");
    report_end(how->report, false, "operation %s, begun %s%s", op->id,
               fmt_utc(op->begun_ms, utc, sizeof(utc)),
               other_boot ? "; the machine was started since: what ran or was mounted then is "
                            "looked at again"
                          : "");
}

static struct err *write_resume(struct ctx *ctx, struct journal *j, const char *boot,
                                enum flow_answer answer)
{
    static const char *const names[] = {
        [FLOW_ASK] = NULL, [FLOW_AGAIN] = "again", [FLOW_IS_DONE] = "done"};
    AUTO(json_freep) struct json *data = json_new_object();

    json_put(data, "boot_id", json_new_str(boot));
    json_put(data, "agavectl", json_new_str(AGAVECTL_VERSION));
    json_put(data, "at_ms", json_new_u64(clock_wall_ms(ctx)));
    json_put(data, "answer", json_new_str(names[answer]));
    return journal_append(j, REC_RESUME, data);
}

static struct err *answer_fits(const struct flow_plan *p, const struct op *op,
                               enum flow_answer answer)
{
    if (answer == FLOW_ASK || carry_asks(p, op) < op->n_steps)
        return NULL;
    for (size_t i = 0; i < op->n_steps; i++) /* one that a reboot undid may be asked about */
        if (p->items[i].step->cls == STEP_ONCE && p->items[i].step->bound)
            return NULL;
    return err_new(ERR_BADINPUT, "no step of %s waits for an answer; leave it out", op->id);
}

/* op is read again from the journal that is held: what counts is what is on disk. */
static struct err *go_on(struct ctx *ctx, const char *dir, const char *id, enum flow_answer answer,
                         const struct flow_how *how, struct flow_result *ret)
{
    AUTO(journal_closep) struct journal *journal = NULL;
    AUTO(journal_records_clear) struct journal_records r = {0};
    AUTO(op_clear) struct op op = {0};
    AUTO(flow_plan_clear) struct flow_plan p = {0};
    AUTO(freep) char *boot = NULL;

    TRY(journal_open(ctx, dir, id, &journal, &r));
    TRY(op_from_records(dir, id, &r, &op));
    TRY(plan_of_op(&op, &p));
    TRY(answer_fits(&p, &op, answer));
    TRY(confirm(how, &p, op.at));
    TRY(boot_id(ctx, &boot));
    struct err *e = write_resume(ctx, journal, boot, answer);
    if (e && !p.flow->always)
        return e;
    if (e) {
        tell_unwritten(how, e);
        e = err_free(e);
        journal = journal_close(journal);
    }
    FAULT("resumed");
    tell_resume(ctx, how, &op, !str_eq(boot, op.boot_id));
    struct carry c = {
        .plan = &p, .op = &op, .journal = journal, .report = how->report, .answer = answer};
    e = with_state(ctx, &c, how);
    fill_result(&c, true, ret);
    return e;
}

static struct err *write_abandon(struct ctx *ctx, const struct op *op, const char *why)
{
    AUTO(journal_closep) struct journal *journal = NULL;
    AUTO(journal_records_clear) struct journal_records r = {0};
    AUTO(json_freep) struct json *data = json_new_object();

    TRY(journal_open(ctx, op->dir, op->id, &journal, &r));
    json_put(data, "how", json_new_str("abandoned"));
    json_put(data, "why", json_new_str(why));
    json_put(data, "at_ms", json_new_u64(clock_wall_ms(ctx)));
    return journal_append(journal, REC_END, data);
}

/* A new wish for the same flow: the old operation is not gone on with, unless that would hide a
 * step that may have been done by half and may not be done twice. */
static struct err *give_up_for_new(struct ctx *ctx, const struct op *op)
{
    AUTO(flow_plan_clear) struct flow_plan p = {0};

    TRY(plan_of_op(op, &p));
    size_t i = carry_asks(&p, op);
    if (i < op->n_steps)
        return err_new(ERR_REFUSED,
                       "the config or the options are other ones than when operation %s began, and "
                       "its step %zu (%s) may be half done: look yourself, then give it up with "
                       "'agavectl op abandon %s'",
                       op->id, i + 1, p.items[i].what, op->id);
    return write_abandon(ctx, op,
                         "the same command was given with other options or another config");
}

/* What is half done of it does not matter to this one. */
static bool gives_up(const struct flow *f, const struct op *other)
{
    for (size_t i = 0; f->gives_up && f->gives_up[i]; i++)
        if (other->state != OP_UNREADABLE && str_eq(other->flow, f->gives_up[i]))
            return true;
    return false;
}

/* Decided anew. An unfinished one of this flow with another wish is given up first. */
static struct err *run_new(struct ctx *ctx, const struct flow *f, const void *opts,
                           const struct op_dirs *dirs, const struct flow_how *how,
                           const struct past *past, const struct err *blind,
                           const struct json *wish, struct flow_result *ret)
{
    AUTO(flow_plan_clear) struct flow_plan p = {0};

    TRY(flow_plan_make(ctx, f, opts, &p));
    if (p.not_allowed)
        return err_new(ERR_REFUSED,
                       "changing '%s' loses data: it is done only when this very object is named, "
                       "with --destroy='%s'",
                       p.not_allowed, p.not_allowed);
    TRY(confirm(how, &p, 0));
    struct err *e = past->mine.id ? give_up_for_new(ctx, &past->mine) : NULL;
    if (f->always) {
        e = err_free(e); /* an old stop is in nobody's way */
        name_unfinished(&past->other, blind, p.inputs);
    }
    TRY(e);
    if (past->other.id && gives_up(f, &past->other))
        TRY(write_abandon(ctx, &past->other, "what it has made is taken back"));
    return carry_new(ctx, dirs, &p, wish, past, how, ret);
}

static struct err *flow_run_in(struct ctx *ctx, const struct flow *f, const void *opts,
                               const struct op_dirs *dirs, const struct flow_how *how,
                               struct flow_result *ret)
{
    AUTO(past_clear) struct past past = {.number = 1};
    AUTO(json_freep) struct json *wish = wish_of(ctx, f, opts);
    AUTO(err_freep) struct err *blind = NULL;

    TRY(past_look(ctx, f, dirs, &past, &blind));
    if (past.other.id && !f->always && !gives_up(f, &past.other)) {
        AUTO(freep) char *line = op_line(&past.other);

        return err_new(ERR_REFUSED, "%s", line);
    }
    if (!past.mine.id || past.mine.flow_version != f->version || !same_json(past.mine.wish, wish))
        return run_new(ctx, f, opts, dirs, how, &past, blind, wish, ret);
    struct err *e = go_on(ctx, past.mine.dir, past.mine.id, FLOW_ASK, how, ret);
    if (f->always)
        suspend(ctx, how, &past.other, past.mine.id);
    return e;
}

struct err *flow_run(struct ctx *ctx, const struct flow *f, const void *opts,
                     const struct flow_how *how, struct flow_result *ret)
{
    AUTO(op_dirs_clear) struct op_dirs dirs = {0};

    if (!how)
        how = &how_none;
    if (how->dirs)
        return flow_run_in(ctx, f, opts, how->dirs, how, ret);
    op_dirs_get(ctx, &dirs);
    return flow_run_in(ctx, f, opts, &dirs, how, ret);
}

static struct err *find_unfinished(struct ctx *ctx, const struct op_dirs *dirs, const char *id,
                                   struct op *ret)
{
    bool found = false;

    if (!id) {
        TRY(op_unfinished(ctx, dirs, ret, &found));
        return found ? NULL : err_new(ERR_NOTFOUND, "no operation is unfinished");
    }
    TRY(op_get(ctx, dirs, id, ret));
    if (op_is_unfinished(ret))
        return NULL;
    struct err *e =
        err_new(ERR_NOTFOUND, "operation %s has ended: %s", id, op_state_name(ret->state));
    op_clear(ret);
    return e;
}

/* May this one go on now? */
static struct err *resumable(struct ctx *ctx, const struct op_dirs *dirs, const struct op *op)
{
    AUTO(op_clear) struct op latest = {0};
    AUTO(freep) char *digest = ctx->cfg ? config_digest(ctx->cfg) : NULL;
    const struct flow *f = flow_by_name(op->flow);
    const char *then = NULL;
    bool found = false;

    TRY(op_unfinished(ctx, dirs, &latest, &found));
    if (found && !str_eq(latest.id, op->id)) {
        AUTO(freep) char *line = op_line(&latest);

        return err_new(ERR_REFUSED, "first another: %s", line);
    }
    if (!json_get(op->wish, "config"))
        return NULL;
    TRY(json_as_str(json_get(op->wish, "config"), &then));
    if (str_eq(then, digest))
        return NULL;
    return err_new(ERR_REFUSED,
                   "the config has changed since operation %s began, and it goes on with what was "
                   "decided then only: put the config back, or run 'agavectl %s' to decide anew, "
                   "or give it up with 'agavectl op abandon %s'",
                   op->id, f && f->command ? f->command : op->flow, op->id);
}

struct err *flow_resume(struct ctx *ctx, const char *id, enum flow_answer answer,
                        const struct flow_how *how, struct flow_result *ret)
{
    AUTO(op_dirs_clear) struct op_dirs dirs = {0};
    AUTO(op_clear) struct op op = {0};

    op_dirs_get(ctx, &dirs);
    TRY(find_unfinished(ctx, &dirs, id, &op));
    TRY(resumable(ctx, &dirs, &op));
    return go_on(ctx, op.dir, op.id, answer, how ? how : &how_none, ret);
}

struct err *flow_abandon(struct ctx *ctx, const char *id)
{
    AUTO(op_dirs_clear) struct op_dirs dirs = {0};
    AUTO(op_clear) struct op op = {0};

    op_dirs_get(ctx, &dirs);
    TRY(find_unfinished(ctx, &dirs, id, &op));
    if (op.state == OP_UNREADABLE)
        return journal_put_aside(ctx, op.dir, op.id);
    return write_abandon(ctx, &op, "on the operator's word");
}
