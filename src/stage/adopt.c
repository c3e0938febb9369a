/* Layer 4: what others made for the same end is turned off, once ours is in place: their units are
 * renamed in their folder, so that systemd does not see them, and links that start them go. All of
 * it only when it is asked for; nothing is stopped, and nothing of what runs is touched. Their
 * lines of fstab are the stage fstab's: it exchanges them in one write. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "config/config.h"
#include "io/fsroot.h"
#include "stage/adopt_found.h"
#include "stage/etc.h"
#include "stage/reload.h"
#include "stage/table.h"
#include "stage/units_own.h"

enum { VERB_ASIDE = 1, VERB_RELOAD };
#define RULES_PATH  "/etc/iptables/rules.v4"
#define RULES_MAX_B (4U << 20)

static bool adopt_enabled(const struct ctx *ctx)
{
    return ctx->cfg && ctx->cfg->host.persist && *ctx->cfg->storage.ramdisk.mount;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static char *folder_of(const char *path)
{
    return xstrndup(path, (size_t)(base_name(path) - path) - 1);
}

/* Saved for every boot by iptables-persistent: seen, and left to whoever owns it. */
static struct err *check_rules(struct ctx *ctx, struct findings *ret)
{
    AUTO(freep) char *text = NULL;
    struct err *e = fsroot_read(ctx->root, RULES_PATH, RULES_MAX_B, &text, NULL);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    if (strstr(text, "-j DNAT"))
        findings_add(ret, "adopt.rules", 4, SEV_NOTE,
                     "'" RULES_PATH "' has a rule that sends packets elsewhere (DNAT), which "
                     "iptables-persistent loads at every boot: it is left as it is");
    return NULL;
}

static void add_summary(const struct adopt_found *a, struct findings *ret)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    for (size_t i = 0; i < a->n; i++)
        strbuf_printf(&b, "%s%s", i ? ", " : "", a->items[i].path + strlen(UNITS_ETC) + 1);
    if (a->n_lines)
        strbuf_printf(&b, "%s%zu line%s of /etc/fstab", b.len ? ", " : "", a->n_lines,
                      a->n_lines > 1 ? "s" : "");
    if (!b.len)
        return;
    finding_fix(findings_add(ret, "adopt.host", 4, SEV_NOTE,
                             "this host was prepared by other means (%s): what of it is right "
                             "stays so; 'agavectl prepare --adopt' shows how it is taken over",
                             strbuf_text(&b)),
                "agavectl prepare --adopt");
}

static struct err *adopt_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    AUTO(adopt_found_clear) struct adopt_found a = {0};

    TRY(adopt_find(ctx, scene, &a));
    add_summary(&a, ret);
    for (size_t i = 0; i < a.n; i++)
        finding_compare(findings_add(ret, "adopt.unit", 4, SEV_OK, "'%s' can be turned off by %s",
                                     a.items[i].path, "'agavectl prepare --adopt'"),
                        NULL, a.items[i].links, a.items[i].path);
    for (size_t i = 0; i < a.blocked.n; i++)
        findings_add(ret, "adopt.blocked", 4, SEV_NOTE, "it cannot be taken over whole: %s",
                     a.blocked.items[i]);
    TRY(check_rules(ctx, ret));
    return reload_check(ctx, "adopt.reload", "adopt", ret);
}

/* All or nothing: what is blocked requires one of the others. */
static struct err *adopt_plan(const struct ctx *ctx, const struct findings *f, struct plan *ret)
{
    bool blocked = findings_find(f, "adopt.blocked");

    for (size_t i = 0; i < f->n && !blocked; i++) {
        const struct finding *x = &f->items[i];

        if (!str_eq(x->id, "adopt.unit"))
            continue;
        AUTO(freep) char *after = xasprintf("renamed to %s" UNITS_ASIDE, base_name(x->source));
        struct change *c =
            plan_add(ret, CHANGE_DELETE, VERB_ASIDE, x->source, "read by systemd", after);
        c->adopt = true;
        c->live = true;
        c->undoable = true;
        c->old = xstrdup(x->got ? x->got : "");
    }
    reload_plan(f, "adopt.reload", VERB_RELOAD, ret);
    return NULL;
}

/* Links are remembered as they were: "PATH\nTARGET\n" each. False at the end. */
static bool next_link(char **at, const char **ret_path, const char **ret_target)
{
    char *path = *at, *target = path ? strchr(path, '\n') : NULL, *end;

    if (!target)
        return false;
    *target++ = '\0';
    end = strchr(target, '\n');
    if (!end)
        return false;
    *end = '\0';
    *at = end + 1;
    *ret_path = path;
    *ret_target = target;
    return str_starts(path, UNITS_ETC "/");
}

static const struct adopt_file *find_file(const struct adopt_found *a, const char *path)
{
    for (size_t i = 0; i < a->n; i++)
        if (str_eq(a->items[i].path, path))
            return &a->items[i];
    return NULL;
}

static struct err *turn_off(struct ctx *ctx, const struct change *c)
{
    AUTO(scene_freep) struct scene *scene = scene_new();
    AUTO(adopt_found_clear) struct adopt_found a = {0};
    AUTO(freep) char *aside = xasprintf("%s" UNITS_ASIDE, base_name(c->object));
    AUTO(freep) char *links = NULL;
    const struct adopt_file *f;
    const char *path, *target;

    TRY(adopt_find(ctx, scene, &a));
    f = find_file(&a, c->object);
    if (!f)
        return err_new(ERR_REFUSED, "'%s' is not what it was when this was planned", c->object);
    TRY(adopt_may_go(ctx, f));
    TRY(reload_note(ctx));
    links = xstrdup(f->links);
    for (char *at = links; next_link(&at, &path, &target);)
        TRY(fsroot_unlink(ctx->root, path));
    return fsroot_rename(ctx->root, c->object, aside);
}

static struct err *adopt_apply(struct ctx *ctx, const struct change *c)
{
    switch (c->verb) {
    case VERB_ASIDE:
        return turn_off(ctx, c);
    case VERB_RELOAD:
        return reload_do(ctx);
    default:
        return err_new(ERR_BUG, "stage 'adopt' has no change %d", c->verb);
    }
}

/* Of the name itself, also of a link that leads nowhere. */
static struct err *is_named(struct ctx *ctx, const char *path, bool *ret)
{
    AUTO(freep) char *folder = folder_of(path);
    AUTO(strlist_clear) struct strlist names = {0};
    struct err *e = fsroot_list(ctx->root, folder, &names);

    *ret = !e && strlist_has(&names, base_name(path));
    return e && e->kind == ERR_NOTFOUND ? err_free(e) : e;
}

static struct err *adopt_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    AUTO(freep) char *aside = xasprintf("%s" UNITS_ASIDE, c->object);
    bool there = false, kept = false;

    TRY(is_named(ctx, c->object, &there));
    TRY(is_named(ctx, aside, &kept));
    ret->verdict = !kept ? UNDO_GONE : there ? UNDO_KEEP : UNDO_DO;
    if (kept)
        ret->what = there ? xasprintf("'%s' was made anew: '%s' stays as well", c->object, aside)
                          : xasprintf("put '%s' back", c->object);
    return NULL;
}

/* Links first: what ends this in the middle leaves a file that is still aside, and this is done
 * again. */
static struct err *adopt_undo(struct ctx *ctx, const struct change *c)
{
    AUTO(freep) char *aside = xasprintf("%s" UNITS_ASIDE, c->object);
    AUTO(freep) char *links = xstrdup(c->old ? c->old : "");
    const char *path, *target;

    TRY(reload_note(ctx));
    for (char *at = links; next_link(&at, &path, &target);) {
        AUTO(freep) char *folder = folder_of(path);
        bool there = false;

        TRY(fsroot_mkdirs(ctx->root, folder, 0755));
        TRY(is_named(ctx, path, &there));
        if (!there)
            TRY(fsroot_symlink(ctx->root, target, path));
    }
    TRY(fsroot_rename(ctx->root, aside, base_name(c->object)));
    return reload_do(ctx);
}

static const char *const adopt_after[] = {"units", "fstab", NULL};

const struct stage stage_adopt = {
    .name = "adopt",
    .summary = "what others prepared for the next boot",
    .layer = 4,
    .after = adopt_after,
    .order_reason = "what others prepared is turned off when ours is in place, and not before",
    .enabled = adopt_enabled,
    .readonly = "adopt.readonly",
    .check = adopt_check,
    .plan = adopt_plan,
    .apply = adopt_apply,
    .undo_look = adopt_undo_look,
    .undo = adopt_undo,
};
