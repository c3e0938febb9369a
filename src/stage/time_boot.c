/* Layer 4: which time service the next boot starts. One that is installed and not enabled is
 * enabled by the link that its file asks for (WantedBy=), and nothing more: it is not started,
 * since it may set the clock with a jump, which a running validator would vote through. systemd is
 * not told to read its files again either: it does so at the boot. */
#include "stage/time_boot.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "config/config.h"
#include "host/own_file.h"
#include "host/pids.h"
#include "host/systemd.h"
#include "host/unit_file.h"
#include "io/fsroot.h"
#include "stage/etc.h"
#include "stage/units_text.h"

#define ID "time.boot"

enum { VERB_LINK = 1 };

/* In the order of preference. set_up: runs only by what the operator has set up for it. */
static const struct {
    const char *program, *unit; /* program: comm, which the kernel cuts at 15 bytes */
    bool set_up;
} services[] = {
    {"chronyd", "chrony", false},
    {"chronyd", "chronyd", false},
    {"systemd-timesyn", "systemd-timesyncd", false},
    {"ntpd", "ntp", false},
    {"ntpd", "ntpsec", false},
    {"ntpd", "ntpd", false},
    {"openntpd", "openntpd", false},
    {"phc2sys", "phc2sys", true},
};

void time_services_clear(struct time_services *s)
{
    free(s->enabled);
    free(s->masked);
    free(s->unit);
    free(s->file);
    free(s->link);
    free(s->unset);
    *s = (struct time_services){0};
}

static const char *running(const struct pids *p)
{
    for (size_t i = 0; i < p->n; i++)
        for (size_t k = 0; k < ARRAY_LEN(services); k++)
            if (str_eq(p->items[i].comm, services[k].program))
                return services[k].program;
    return NULL;
}

static void keep_first(char **at, const char *name)
{
    if (!*at)
        *at = xstrdup(name);
}

static bool is_target(const char *name)
{
    return str_ends(name, ".target") && !strchr(name, '/') && !str_has_control(name);
}

/* A unit that is not masked and that nothing starts. Beside a program that runs none of another
 * program is enabled: who started the first may do so again. */
static void add_waiting(const struct unit_file *u, size_t at, struct time_services *s)
{
    AUTO(strlist_clear) struct strlist by = {0};

    if (s->runs && !str_eq(s->runs, services[at].program))
        return;
    unit_file_words(u, "Install", "WantedBy", &by);
    if (services[at].set_up || !by.n || !is_target(by.items[0]) || str_starts(u->path, "/run/")) {
        keep_first(&s->unset, u->name);
    } else if (!s->unit) {
        s->unit = xstrdup(u->name);
        s->file = xstrdup(u->path);
        s->link = xasprintf(UNITS_ETC "/%s.wants/%s", by.items[0], u->name);
    }
}

static struct err *look_at(struct ctx *ctx, size_t at, struct time_services *s)
{
    AUTO(freep) char *name = xasprintf("%s.service", services[at].unit);
    AUTO(strlist_clear) struct strlist by = {0};
    AUTO(unit_file_clear) struct unit_file u = {0};
    struct err *e = unit_file_load(ctx, name, &u);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    if (u.masked) {
        keep_first(&s->masked, u.name);
        return NULL;
    }
    TRY(unit_file_wanted_by(ctx, u.name, &by)); /* behind aliases, whose links have other names */
    if (!by.n && !str_eq(u.name, name))
        TRY(unit_file_wanted_by(ctx, name, &by));
    if (by.n)
        keep_first(&s->enabled, u.name);
    else
        add_waiting(&u, at, s);
    return NULL;
}

struct err *time_services_find(struct ctx *ctx, struct time_services *ret)
{
    AUTO(pids_clear) struct pids all = {0};

    TRY(pids_find(ctx, &(struct pids_match){0}, &all));
    ret->runs = running(&all);
    for (size_t i = 0; i < ARRAY_LEN(services) && !ret->enabled; i++)
        TRY(look_at(ctx, i, ret));
    if (!ret->enabled)
        return NULL;
    free(TAKE(ret->unit));
    free(TAKE(ret->file));
    free(TAKE(ret->link));
    return NULL;
}

static struct err *add_unit(struct ctx *ctx, const struct time_services *s, struct findings *ret)
{
    bool there = false, ours = false;
    struct finding *f;

    TRY(etc_link_look(ctx, s->link, &there, &ours));
    f = findings_add(
        ret, ID, 4, SEV_WARN,
        "nothing starts a time service at boot: '%s' is installed%s, but not enabled%s", s->unit,
        s->runs ? " and runs" : "",
        there ? ": look at what has the name of its link"
              : "; it is enabled for the next boot and not started now, since it may "
                "set the clock with a jump");
    finding_compare(f, s->file, NULL, s->link);
    f->repair = there || !ctx->cfg->host.persist ? NULL : "time";
    return own_file_new_folders(ctx, s->link, &f->old);
}

struct err *time_boot_check(struct ctx *ctx, const struct time_services *s, struct findings *ret)
{
    bool systemd = false;

    TRY(systemd_booted(ctx, &systemd));
    if (!systemd)
        return NULL;
    if (s->enabled)
        findings_add(ret, ID, 4, SEV_OK, "%s is started at boot", s->enabled);
    else if (s->unit)
        TRY(add_unit(ctx, s, ret));
    else if (s->unset)
        findings_add(
            ret, ID, 4, SEV_WARN,
            "nothing starts a time service at boot: '%s' is installed, but is started only "
            "where you have set it up",
            s->unset);
    else if (s->masked)
        findings_add(ret, ID, 4, SEV_WARN,
                     "nothing starts a time service at boot: '%s' is masked; systemctl unmask %s, "
                     "then 'agavectl prepare --apply time'",
                     s->masked, s->masked);
    else if (s->runs)
        findings_add(ret, ID, 4, SEV_WARN,
                     "%s runs, but no unit that is known for it is there: see that the next boot "
                     "starts it",
                     s->runs);
    return NULL;
}

struct err *time_boot_plan(const struct ctx *ctx, const struct findings *f, struct plan *ret)
{
    const struct finding *x = findings_find(f, ID);

    if (!x || !x->repair)
        return NULL;
    AUTO(freep)
    char *after =
        xasprintf("%s from the next boot on; it is not started now, since it may set the clock "
                  "with a jump",
                  strrchr(x->source, '/') + 1);
    struct change *c = plan_add(ret, CHANGE_CREATE, VERB_LINK, x->source, NULL, after);
    plan_undoable(c, x->old)->live = true;
    c->arg = xstrdup(x->want);
    c->writes = WRITES_LINK;
    return NULL;
}

struct err *time_boot_apply(struct ctx *ctx, const struct change *c)
{
    if (c->verb != VERB_LINK || !c->arg)
        return err_new(ERR_BUG, "stage 'time' has no change %d", c->verb);
    return etc_link_make(ctx, c->object, c->arg);
}

struct err *time_boot_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    return etc_link_undo_look(ctx, c, ret);
}

/* What runs goes on. */
struct err *time_boot_undo(struct ctx *ctx, const struct change *c)
{
    return etc_link_undo(ctx, c);
}
