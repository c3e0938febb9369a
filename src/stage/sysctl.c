/* Layer 4: settings of the kernel that Agave asks for, now and at the next boot. Agave 3.0.14 looks
 * itself (core/src/system_monitor_service.rs) and refuses to start when one of the first three is
 * too low, unless it is told not to look.
 *
 * Values are raised, never lowered: what is high enough stays, and our file sets only what the
 * host's own files do not. It sorts behind those of distributions (10-, 50-) and before 99-, which
 * is the operator's last word: a file there that sets less is reported and neither changed nor
 * outdone by a later name, because somebody meant it. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/str.h"
#include "config/config.h"
#include "host/pids.h"
#include "host/sysctl_conf.h"
#include "io/fsroot.h"
#include "stage/own.h"
#include "stage/table.h"

#define NO_TEST  "--no-os-network-limits-test"
#define OWN_NAME "95-agavectl.conf"
#define OWN_PATH "/etc/sysctl.d/" OWN_NAME
#define OWN_ID   "sysctl.file"

enum { VERB_FILE = 1, VERB_LIVE };

struct setting {
    const char *id, *id_boot;
    const char *key; /* a path below /proc/sys */
    uint64_t least;
    enum severity sev; /* below it */
    const char *why;
    bool def_enough; /* the kernel's default is: nothing must be kept */
};
static const struct setting settings[] = {
    {"sysctl.rmem", "sysctl.rmem.boot", "net/core/rmem_max", 134217728, SEV_FAIL,
     "the validator refuses to start", false},
    {"sysctl.wmem", "sysctl.wmem.boot", "net/core/wmem_max", 134217728, SEV_FAIL,
     "the validator refuses to start", false},
    {"sysctl.maps", "sysctl.maps.boot", "vm/max_map_count", 1000000, SEV_FAIL,
     "the validator refuses to start", false},
    {"sysctl.files", "sysctl.files.boot", "fs/nr_open", 1000000, SEV_FAIL,
     "no process can be allowed the 1000000 open files that the validator wants", true},
};
/* Reported by Agave, with no value that it wants. */
static const struct {
    const char *id, *key;
} reported[] = {
    {"sysctl.optmem", "net/core/optmem_max"},
    {"sysctl.backlog", "net/core/netdev_max_backlog"},
};

static bool sysctl_enabled(const struct ctx *ctx)
{
    return ctx->cfg && *ctx->cfg->validator.ledger;
}

/* "net/core/rmem_max" → "net.core.rmem_max"; to be freed. */
static char *dotted(const char *key)
{
    char *s = xstrdup(key);

    for (char *p = s; *p; p++)
        *p = *p == '/' ? '.' : *p;
    return s;
}

static enum severity severity_of(const struct ctx *ctx, const struct setting *s)
{
    bool untested = strlist_has(&ctx->cfg->validator.args, NO_TEST) && !s->def_enough;

    return untested ? SEV_WARN : s->sev;
}

static bool is_enough(const struct sysctl_setting *kept, const struct setting *s)
{
    uint64_t v = 0;
    AUTO(err_freep) struct err *bad = kept ? parse_u64(kept->value, 0, UINT64_MAX, &v) : NULL;

    return kept ? !bad && v >= s->least : s->def_enough;
}

/* What the files of others set. items are conf's; only the list is to be freed. */
static struct sysctl_conf others_of(const struct sysctl_conf *conf)
{
    struct sysctl_conf others = {.items = xcalloc(conf->n + 1, sizeof(*others.items))};

    for (size_t i = 0; i < conf->n; i++)
        if (!str_eq(conf->items[i].file, OWN_PATH))
            others.items[others.n++] = conf->items[i];
    return others;
}

/* Would a line of ours count? Not before a later file that names the key itself. */
static bool counts_over(const struct sysctl_setting *theirs)
{
    const char *slash = theirs ? strrchr(theirs->file, '/') : NULL;

    return !theirs || strpbrk(theirs->key, "*?[") || strcmp(slash ? slash + 1 : "", OWN_NAME) < 0;
}

/* The lines that the host's own files leave to us; to be freed. */
static char *own_text(const struct sysctl_conf *conf)
{
    struct sysctl_conf others = others_of(conf);
    struct strbuf b = {0};

    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        const struct sysctl_setting *theirs = sysctl_conf_get(&others, settings[i].key);
        AUTO(freep) char *name = dotted(settings[i].key);

        if (!is_enough(theirs, &settings[i]) && counts_over(theirs))
            strbuf_printf(&b, "%s = %" PRIu64 "\n", name, settings[i].least);
    }
    free(others.items);
    return strbuf_take(&b);
}

static char *boot_text(const struct sysctl_setting *kept, const struct setting *s, bool live_ok,
                       bool ours)
{
    AUTO(freep) char *name = dotted(s->key);

    if (!kept)
        return ours ? xasprintf("no file of sysctl.d sets %s: it is lost at the next boot", name)
                    : xasprintf("no file of sysctl.d sets %s: it is lost at the next boot; put '%s "
                                "= %" PRIu64 "' into /etc/sysctl.d/21-agave-validator.conf",
                                name, name, s->least);
    if (!is_enough(kept, s))
        return xasprintf("the next boot sets %s to %s (%s)%s", name, kept->value, kept->file,
                         ours ? "" : ": raise it there");
    if (!live_ok)
        return xasprintf("%s is set at boot, but is not in force now: sysctl --system", name);
    return xasprintf("the next boot sets %s to %s", name, kept->value);
}

/* *ret_ours: our file would put it right. */
static void check_boot(const struct ctx *ctx, const struct sysctl_conf *conf,
                       const struct setting *s, bool live_ok, bool *ret_ours, struct findings *ret)
{
    struct sysctl_conf others = others_of(conf);
    const struct sysctl_setting *kept = sysctl_conf_get(conf, s->key);
    bool ok = is_enough(kept, s);
    bool ours = !ok && ctx->cfg->host.persist && counts_over(sysctl_conf_get(&others, s->key));
    AUTO(freep) char *want = xasprintf("at least %" PRIu64, s->least);
    AUTO(freep) char *source = kept ? xasprintf("%s:%u", kept->file, kept->line) : NULL;
    enum severity sev = ok ? SEV_OK : live_ok ? SEV_WARN : severity_of(ctx, s);
    AUTO(freep) char *what = kept || !ok ? boot_text(kept, s, live_ok, ours) : NULL;
    struct finding *f;

    free(others.items);
    *ret_ours |= ours;
    if (!what) /* the default, which is enough */
        return;
    f = findings_add(ret, s->id_boot, 4, sev, "%s", what);
    finding_compare(f, want, kept ? kept->value : NULL, source);
    f->repair = ours ? "sysctl" : NULL;
}

/* needed: some setting is to be kept by it. */
static struct err *check_own(struct ctx *ctx, const struct sysctl_conf *conf, bool needed,
                             struct findings *ret)
{
    AUTO(freep) char *text = own_text(conf);
    const struct own_file f = {.path = OWN_PATH,
                               .text = text,
                               .id = OWN_ID,
                               .stage = "sysctl",
                               .layer = 4,
                               .missing = SEV_NOTE,
                               .what = "what the host's own files do not set is kept by it"};

    return needed ? own_check(ctx, &f, ret) : NULL;
}

/* Not to be seen in another network namespace, before Linux 6.9. */
static void check_live(struct ctx *ctx, const struct setting *s, bool *ret_ok, struct findings *ret)
{
    AUTO(freep) char *path = xasprintf("/proc/sys/%s", s->key);
    AUTO(freep) char *name = dotted(s->key);
    AUTO(freep) char *want = xasprintf("at least %" PRIu64, s->least);
    AUTO(freep) char *got = NULL;
    uint64_t v = 0;
    AUTO(err_freep) struct err *e = fsroot_read_u64(ctx->root, path, &v);

    *ret_ok = !e && v >= s->least;
    got = e ? NULL : xasprintf("%" PRIu64, v);
    struct finding *f =
        e ? findings_add(ret, s->id, 4, SEV_UNKNOWN, "%s could not be looked at: %s", name, e->text)
        : *ret_ok ? findings_add(ret, s->id, 4, SEV_OK, "%s is %" PRIu64, name, v)
                  : findings_add(ret, s->id, 4, severity_of(ctx, s),
                                 "%s is %" PRIu64 ": %s; sysctl -w %s=%" PRIu64, name, v, s->why,
                                 name, s->least);
    finding_compare(f, want, got, path);
    f->repair = !e && !*ret_ok && ctx->cfg->host.persist ? "sysctl" : NULL;
}

static struct err *sysctl_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    AUTO(sysctl_conf_clear) struct sysctl_conf conf = {0};
    AUTO(err_freep) struct err *blind = sysctl_conf_read(ctx, &conf);
    bool needed = false;

    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        bool ok = false;

        check_live(ctx, &settings[i], &ok, ret);
        if (!blind)
            check_boot(ctx, &conf, &settings[i], ok, &needed, ret);
    }
    for (size_t i = 0; i < ARRAY_LEN(reported); i++) {
        AUTO(freep) char *path = xasprintf("/proc/sys/%s", reported[i].key);
        uint64_t v = 0;
        struct err *e = fsroot_read_u64(ctx->root, path, &v);

        if (!e)
            findings_add(ret, reported[i].id, 4, SEV_OK, "%s is %" PRIu64, path, v);
        err_free(e); /* nobody wants a value of it */
    }
    for (size_t i = 0; i < conf.faults.n; i++)
        findings_add(ret, "sysctl.syntax", 4, SEV_NOTE, "%s: nothing is set by it",
                     conf.faults.items[i]);
    if (blind)
        findings_add(ret, "sysctl.syntax", 4, SEV_UNKNOWN,
                     "what the next boot sets could not be looked at: %s", blind->text);
    return blind ? NULL : check_own(ctx, &conf, needed, ret);
}

/* "a = 1\nb = 2\n" → "a = 1, b = 2"; to be freed. */
static char *one_line(const char *text)
{
    struct strbuf b = {0};

    for (const char *p = text; *p; p++)
        strbuf_add(&b, *p == '\n' ? ", " : p, *p != '\n' ? 1 : p[1] ? 2 : 0);
    return strbuf_take(&b);
}

/* The file first: a value that was raised and is not kept would be forgotten silently. */
static struct err *sysctl_plan(const struct ctx *ctx, const struct findings *f, struct plan *ret)
{
    const struct finding *own = findings_find(f, OWN_ID);
    AUTO(freep) char *lines = own && own->want ? one_line(own->want) : NULL;

    own_plan(f, OWN_ID, VERB_FILE, lines, ret);
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        const struct finding *live = findings_find(f, settings[i].id);
        AUTO(freep) char *name = dotted(settings[i].key);
        AUTO(freep) char *value = xasprintf("%" PRIu64, settings[i].least);

        if (live && live->repair)
            plan_undoable(plan_add(ret, CHANGE_UPDATE, VERB_LIVE, name, live->got, value),
                          live->got)
                ->live = true;
    }
    return NULL;
}

/* "net.core.rmem_max" → its file; to be freed. */
static char *live_path(const struct change *c)
{
    char *path = xasprintf("/proc/sys/%s", c->object);

    for (char *p = path; *p; p++)
        *p = *p == '.' ? '/' : *p;
    return path;
}

static struct err *write_live(struct ctx *ctx, const char *path, const char *value)
{
    AUTO(freep) char *line = xasprintf("%s\n", value ? value : "");
    uint64_t v;

    TRY(parse_u64(value ? value : "", 0, UINT64_MAX, &v));
    return fsroot_write(ctx->root, path, line);
}

static struct err *sysctl_apply(struct ctx *ctx, const struct change *c)
{
    AUTO(freep) char *path = live_path(c);
    uint64_t now = 0, want = 0;

    if (c->verb == VERB_FILE)
        return own_apply(ctx, c);
    TRY(fsroot_read_u64(ctx->root, path, &now));
    TRY(parse_u64(c->after ? c->after : "", 0, UINT64_MAX, &want));
    return now >= want ? NULL : write_live(ctx, path, c->after);
}

/* A validator that has more maps or files than the old value allows dies at its next one. */
static struct err *must_not_run(struct ctx *ctx, const char *object)
{
    AUTO(pids_clear) struct pids found = {0};

    TRY(pids_find(ctx, &(struct pids_match){.name = "agave-validator"}, &found));
    if (!found.n)
        return NULL;
    return err_new(ERR_REFUSED,
                   "%s is not lowered while a validator runs (process %d), which may need it: stop "
                   "it first",
                   object, (int)found.items[0].id.pid);
}

static struct err *sysctl_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    AUTO(freep) char *path = live_path(c);
    AUTO(freep) char *now = NULL;

    if (c->verb == VERB_FILE)
        return own_undo_look(ctx, c, ret);
    struct err *e = fsroot_read_line(ctx->root, path, &now);
    if (e && e->kind == ERR_NOTFOUND) {
        ret->verdict = UNDO_GONE; /* the module or the namespace that had it */
        return err_free(e);
    }
    TRY(e);
    if (str_eq(now, c->old)) {
        ret->verdict = UNDO_GONE; /* a boot, or an undo that was cut off */
        return NULL;
    }
    if (!str_eq(now, c->after) || !c->old) {
        ret->verdict = UNDO_KEEP;
        ret->what = xasprintf("%s is %s by now, which somebody else has set", c->object, now);
        return NULL;
    }
    TRY(must_not_run(ctx, c->object));
    ret->verdict = UNDO_DO;
    ret->what = xasprintf("%s goes back from %s to %s", c->object, now, c->old);
    return NULL;
}

static struct err *sysctl_undo(struct ctx *ctx, const struct change *c)
{
    AUTO(freep) char *path = live_path(c);

    return c->verb == VERB_FILE ? own_undo(ctx, c) : write_live(ctx, path, c->old);
}

const struct stage stage_sysctl = {
    .name = "sysctl",
    .summary = "the kernel's settings that Agave asks for, now and at the next boot",
    .layer = 4,
    .order_reason = "needs nothing of the others",
    .enabled = sysctl_enabled,
    .readonly = "sysctl.readonly",
    .check = sysctl_check,
    .plan = sysctl_plan,
    .apply = sysctl_apply,
    .undo_look = sysctl_undo_look,
    .undo = sysctl_undo,
};
