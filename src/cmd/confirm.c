/* Showing a plan and asking whether to go on. The answer is read from the terminal that the command
 * was given on stdin, and only in the foreground: whoever is asked must be able to see it. */
#include "cmd/confirm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <termios.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd/plan_files.h"
#include "config/config.h"
#include "flow/op.h"
#include "flow/prepare.h"
#include "io/clock.h"

#define ANSWER_MS 600000
#define POLL_MS   100

void confirm_destroys(const struct ctx *ctx, const struct confirm_opts *o, struct strlist *ret)
{
    const struct strlist *before = &ctx->cfg->recover.may_destroy;

    for (size_t i = 0; i < o->destroy.n; i++)
        strlist_add(ret, o->destroy.items[i]);
    for (size_t i = 0; i < before->n; i++)
        strlist_add(ret, before->items[i]);
}

static bool is_shown(const struct flow_item *item)
{
    return !item->step->looks && !item->in_place;
}

/* The change of a stage, as flow/change.h writes it? */
static bool item_is_change(const struct flow_item *item)
{
    return item->step == &step_change || item->step == &step_change_once;
}

static bool asks(const struct flow_plan *p, size_t from)
{
    for (size_t i = from; i < p->n; i++)
        if (p->items[i].step->asks && !p->items[i].in_place)
            return true;
    return false;
}

static bool destroys(const struct flow_plan *p, size_t from)
{
    for (size_t i = from; i < p->n; i++)
        if (p->items[i].destroys)
            return true;
    return false;
}

/* As a table; the last column only where something is lost. */
static size_t print_steps(const struct flow_plan *p, size_t from, struct out *out)
{
    static const char *const plain[] = {"STEP", "WHAT", NULL};
    static const char *const losing[] = {"STEP", "WHAT", "DESTROYS", NULL};
    AUTO(table_freep) struct table *t = table_new(destroys(p, from) ? losing : plain);
    size_t n = 0;

    for (size_t i = from; i < p->n; i++) {
        const struct flow_item *item = &p->items[i];
        const char *title = item->title ? item->title : item->step->name;
        const char *cells[] = {title, item->what, item->destroys};

        if (!is_shown(item))
            continue;
        table_row(t, cells);
        n++;
    }
    if (n) {
        out_printf(out, "%s would:\n", p->flow->name);
        table_print(t, out);
    }
    return n;
}

/* A plan that consists of changes of stages alone shows them as such. */
static bool is_of_changes(const struct flow_plan *p, size_t from)
{
    size_t n = 0;

    for (size_t i = from; i < p->n; i++) {
        if (is_shown(&p->items[i]) && !item_is_change(&p->items[i]))
            return false;
        n += is_shown(&p->items[i]);
    }
    return n > 0;
}

static const char *text_at(const struct json *j, const char *key)
{
    const char *text = NULL;

    err_free(json_as_str(json_get(j, key), &text)); /* null: there is none */
    return text;
}

static size_t print_changes(const struct flow_plan *p, size_t from, struct out *out)
{
    static const char *const plain[] = {"STAGE", "KIND", "OBJECT", "CHANGE", NULL};
    static const char *const losing[] = {"STAGE", "KIND", "OBJECT", "CHANGE", "LOSES", NULL};
    AUTO(table_freep) struct table *t = table_new(destroys(p, from) ? losing : plain);
    size_t n = 0;

    for (size_t i = from; i < p->n; i++) {
        const struct flow_item *item = &p->items[i];
        const char *before = text_at(item->data, "before"), *after = text_at(item->data, "after");

        if (!is_shown(item))
            continue;
        AUTO(freep)
        char *change = xasprintf("%s%s%s", before ? before : "", before ? " -> " : "",
                                 after    ? after
                                 : before ? "nothing"
                                          : "");
        AUTO(freep)
        char *loses = item->destroys ? xasprintf("data (--destroy=%s)", item->destroys) : NULL;
        const char *cells[] = {text_at(item->data, "stage"), text_at(item->data, "kind"),
                               text_at(item->data, "object"), change, loses};
        table_row(t, cells);
        n++;
    }
    out_printf(out, "%s would:\n", p->flow->name);
    table_print(t, out);
    return n;
}

static void print_plan(const struct flow_plan *p, size_t from, struct out *out)
{
    size_t n = is_of_changes(p, from) ? print_changes(p, from, out) : print_steps(p, from, out);

    if (!n)
        out_printf(out, "%s: nothing to change\n", p->flow->name);
    for (size_t i = from; i < p->n && log_get_level() == LOG_DEBUG; i++)
        if (is_shown(&p->items[i]) && item_is_change(&p->items[i]))
            plan_files_print(p->items[i].data, out);
    for (size_t i = 0; i < p->notes.n; i++)
        out_printf(out, "left: %s\n", p->notes.items[i]);
    if (p->not_allowed)
        out_printf(out, "it is refused until the loss is named: --destroy='%s'\n", p->not_allowed);
}

static char *plan_text(const struct flow_plan *p, size_t from)
{
    char *text = NULL;
    size_t n = 0;
    struct out out = {.f = open_memstream(&text, &n)};

    if (!out.f)
        abort();
    print_plan(p, from, &out);
    if (fclose(out.f) != 0)
        abort();
    return text;
}

/* What people and programs need to know of a change; what its stage notes for itself stays inside.
 */
static void put_change(struct json *j, const struct json *change)
{
    static const char *const members[] = {"stage",       "kind",     "object", "before", "after",
                                          "destructive", "undoable", "live",   "adopt"};

    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        json_put(j, members[i], json_ref(json_get(change, members[i])));
}

static struct json *notes_json(const struct flow_plan *p)
{
    struct json *j = json_new_array();

    for (size_t i = 0; i < p->notes.n; i++)
        json_push(j, json_new_str(p->notes.items[i]));
    return j;
}

static struct json *plan_items(const struct flow_plan *p)
{
    struct json *all = json_new_array();

    for (size_t i = 0; i < p->n; i++) {
        const struct flow_item *item = &p->items[i];
        struct json *j;

        if (!is_shown(item))
            continue;
        j = json_new_object();
        json_put(j, "step", json_new_str(item->title ? item->title : item->step->name));
        json_put(j, "what", json_new_str(item->what));
        json_put(j, "destroys", json_new_str(item->destroys));
        json_put(j, "asks", json_new_bool(item->step->asks));
        if (json_get(item->data, "stage"))
            put_change(j, item->data);
        if (item_is_change(item))
            json_put(j, "files", plan_files_json(item->data));
        if (!json_get(item->data, "stage"))
            json_put(j, "data", json_ref(item->data));
        json_push(all, j);
    }
    return all;
}

static struct err *tell_unfinished(struct ctx *ctx)
{
    AUTO(op_dirs_clear) struct op_dirs dirs = {0};
    AUTO(op_clear) struct op op = {0};
    bool found = false;

    op_dirs_get(ctx, &dirs);
    TRY(op_unfinished(ctx, &dirs, &op, &found));
    if (!found)
        return NULL;
    AUTO(freep) char *line = op_line(&op);
    log_note("note: %s", line);
    return NULL;
}

struct err *confirm_print_plan(struct ctx *ctx, const struct flow *f, const void *opts,
                               struct out *out)
{
    AUTO(flow_plan_clear) struct flow_plan p = {0};

    TRY(tell_unfinished(ctx));
    TRY(flow_plan_make(ctx, f, opts, &p));
    if (!out->json) {
        print_plan(&p, 0, out);
        return NULL;
    }
    struct json *doc = answer_new();
    json_put(doc, "flow", json_new_str(f->name));
    json_put(doc, "asks", json_new_bool(asks(&p, 0)));
    json_put(doc, "not_allowed", json_new_str(p.not_allowed));
    json_put(doc, "plan", plan_items(&p));
    json_put(doc, "left", notes_json(&p));
    out_json(out, doc);
    return NULL;
}

/* A slip of the pen in --destroy is not a permission for something else, nor for nothing. One that
 * has been destroyed already is none: the same command goes on. */
static struct err *destroys_exist(const struct confirm_opts *o, const struct flow_plan *p)
{
    for (size_t i = 0; i < o->destroy.n; i++) {
        bool found = false;

        for (size_t k = 0; k < p->n && !found; k++)
            found = str_eq(p->items[k].destroys, o->destroy.items[i]);
        if (!found)
            return err_new(ERR_REFUSED,
                           "--destroy: nothing that would be done destroys '%s'; nothing was "
                           "changed",
                           o->destroy.items[i]);
    }
    return NULL;
}

/* Somebody is there to be asked: -1 if not. A process in the background would only be stopped by
 * reading, with the host lock in its hands. The caller closes. */
static int open_terminal(void)
{
    int fd;

    if (!isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) != getpgrp())
        return -1;
    fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    return fd >= 0 ? fd : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
}

static struct err *readable(struct ctx *ctx, void *arg, bool *ret_done)
{
    struct pollfd p = {.fd = *(int *)arg, .events = POLLIN};

    if (poll(&p, 1, 0) < 0 && errno != EINTR)
        return err_sys(errno, "cannot wait for the terminal");
    *ret_done = p.revents != 0;
    return NULL;
}

/* One line; what stands behind it is thrown away. The end of input and a terminal that goes away
 * are no answer, which is no. */
static bool read_yes(int fd)
{
    char line[64];
    ssize_t n = read(fd, line, sizeof(line) - 1);

    if (n <= 0)
        return false;
    tcflush(fd, TCIFLUSH);
    line[n] = 0;
    line[strcspn(line, "\r\n")] = 0;
    return strcasecmp(line, "y") == 0 || strcasecmp(line, "yes") == 0;
}

static struct err *ask(struct ctx *ctx, int fd, const char *plan)
{
    tcflush(fd, TCIFLUSH); /* typed before the question was seen */
    dprintf(fd, "%sGo on? [y/N] ", plan);
    struct err *e = wait_until(ctx, "an answer", ANSWER_MS, POLL_MS, readable, &fd);
    if (e) {
        dprintf(fd, "\n");
        return err_hint(e, "nothing was changed");
    }
    if (read_yes(fd))
        return NULL;
    return err_new(ERR_REFUSED, "not confirmed; nothing was changed");
}

struct err *confirm_text(struct ctx *ctx, const char *plan, const char *command)
{
    AUTO(closep) int fd = open_terminal();

    if (fd >= 0)
        return ask(ctx, fd, plan);
    log_note("%.*s", (int)(strlen(plan) - str_ends(plan, "\n")), plan); /* log_note ends the line */
    return err_new(ERR_REFUSED,
                   "nothing was changed: there is no terminal to ask on; say 'agavectl %s --yes', "
                   "or look first with --plan",
                   command);
}

struct err *confirm_ask(void *arg, const struct flow_plan *p, size_t from)
{
    const struct confirm *c = arg;
    AUTO(freep) char *plan = NULL;

    TRY(destroys_exist(c->opts, p));
    if (c->opts->yes || !asks(p, from))
        return NULL;
    plan = plan_text(p, from);
    return confirm_text(c->ctx, plan, p->flow->name);
}
