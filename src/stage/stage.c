/* Plans: changes as plain data, which are printed, tested and carried out from the same object. */
#include "stage/stage.h"

#include "base/str.h"

const char *change_kind_name(enum change_kind k)
{
    static const char *const names[] = {
        [CHANGE_CREATE] = "create",
        [CHANGE_UPDATE] = "update",
        [CHANGE_DELETE] = "delete",
        [CHANGE_RUN] = "run",
    };

    return names[k];
}

struct change *plan_add(struct plan *p, enum change_kind kind, int verb, const char *object,
                        const char *before, const char *after)
{
    p->items = xgrow(p->items, &p->cap, p->n + 1, sizeof(*p->items));
    p->items[p->n] = (struct change){
        .kind = kind,
        .verb = verb,
        .object = xstrdup(object),
        .before = before ? xstrdup(before) : NULL,
        .after = after ? xstrdup(after) : NULL,
    };
    return &p->items[p->n++];
}

struct change *plan_undoable(struct change *c, const char *old)
{
    c->undoable = true;
    free(c->old);
    c->old = old ? xstrdup(old) : NULL;
    return c;
}

const char *change_writes_name(enum change_writes w)
{
    static const char *const names[] = {
        [WRITES_FILE] = "file", [WRITES_BLOCK] = "block", [WRITES_LINK] = "link"};

    return names[w];
}

struct err *change_was_other(const struct change *c)
{
    return err_new(ERR_REFUSED,
                   "'%s' is not written: the host has changed, and what would be written now is "
                   "not what the plan showed; look at a new plan (agavectl prepare)",
                   c->object);
}

void change_clear(struct change *c)
{
    free(c->object);
    free(c->before);
    free(c->after);
    free(c->arg);
    free(c->old);
    *c = (struct change){0};
}

void undo_look_clear(struct undo_look *l)
{
    free(l->what);
    free(l->source);
    *l = (struct undo_look){0};
}

void plan_clear(struct plan *p)
{
    for (size_t i = 0; i < p->n; i++)
        change_clear(&p->items[i]);
    free(p->items);
    *p = (struct plan){.stage = p->stage};
}
