/* Whose status it is. Found validators are named on stderr, so that nobody takes one for another.
 */
#include "cmd/status_subject.h"

#include "base/log.h"
#include "base/str.h"
#include "config/config.h"
#include "look/scene.h"

void subject_clear(struct subject *s)
{
    unit_config_freep(&s->unit);
    founds_clear(&s->found);
}

static struct err *name_all(const struct founds *f)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    for (size_t i = 0; i < f->n; i++)
        strbuf_printf(&b, "%sprocess %d on ledger '%s'", i ? ", " : "", (int)f->items[i].pid,
                      f->items[i].ledger);
    return err_new(ERR_BADINPUT,
                   "no config, and %zu validators run here: %s; say in a config which one is meant "
                   "(validator.ledger)",
                   f->n, strbuf_text(&b));
}

/* Without a config: the one validator that runs on this host. */
static struct err *find_subject(struct ctx *ctx, struct subject *ret)
{
    size_t unseen = 0;

    TRY(found_validators(ctx, &ret->found, &unseen));
    if (ret->found.n == 0 && unseen)
        return err_new(ERR_REFUSED,
                       "no config, and %zu processes with locks cannot be looked at by this user; "
                       "run it with sudo",
                       unseen);
    if (ret->found.n == 0)
        return err_new(ERR_BADINPUT, "no config, and no validator runs on this host; begin with "
                                     "'agavectl config example'");
    if (ret->found.n > 1)
        return name_all(&ret->found);
    ret->params = found_status(&ret->found.items[0]);
    log_note("agavectl: no config: this is process %d (%s) on ledger '%s'", (int)ret->params.pid,
             ret->found.items[0].name, ret->found.items[0].ledger);
    return NULL;
}

/* Without a driver for the config's runtime: who holds the ledger. */
static struct err *find_process(struct ctx *ctx, struct status_params *p)
{
    AUTO(scene_freep) struct scene *scene = scene_new();
    const struct pids *found;

    p->pid = 0;
    TRY(scene_validator(ctx, scene, &found));
    if (found->n)
        p->pid = found->items[0].id.pid;
    return NULL;
}

struct err *subject_choose(struct ctx *ctx, struct subject *ret)
{
    struct err *e = NULL;

    if (ctx->cfg) {
        TRY(unit_config_look(ctx, NULL, &ret->unit));
        ret->params = unit_config_status(ctx, ret->unit);
    } else {
        TRY(find_subject(ctx, ret));
    }
    if (ret->unit && !ret->unit->runtime) {
        log_note("agavectl: this version has no driver for runtime '%s' yet: its unit is not "
                 "looked at",
                 ctx->cfg->validator.runtime);
        e = find_process(ctx, &ret->params);
    }
    if (e)
        log_note("agavectl: %s", e->text);
    err_free(e);
    ret->params.host = true;
    return NULL;
}

static void take_again(struct found *now, struct subject *s)
{
    struct status_params old = s->params;
    struct found gone = s->found.items[0];

    s->found.items[0] = *now;
    *now = gone; /* to be cleared with the others */
    s->params = found_status(&s->found.items[0]);
    s->params.host = old.host;
    s->params.book = old.book;
}

void subject_find_again(struct ctx *ctx, struct subject *s)
{
    AUTO(founds_clear) struct founds now = {0};
    struct err *e = NULL;
    bool there = false;
    size_t unseen;

    if (s->unit && s->unit->runtime)
        return; /* its driver asks each time */
    if (s->unit) {
        err_free(find_process(ctx, &s->params)); /* then none is known: the frame says so */
        return;
    }
    e = found_validators(ctx, &now, &unseen);
    for (size_t i = 0; i < now.n && !there; i++) {
        there = str_eq(now.items[i].ledger, s->found.items[0].ledger);
        if (there)
            take_again(&now.items[i], s);
    }
    if (!there)
        s->params.pid = 0;
    err_free(e);
}
