/* Layer 4: what happens to the storage at a boot, before anything uses it: the RAM disk is made
 * blank, its accounts folder is made, and Docker, kubelet and the validator wait for both. Done by
 * units of our own (units_text.c), or by somebody else's that do the same (units_found.c): those
 * are left alone, and taken over only when that is asked for. Nothing is started or stopped here.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "config/config.h"
#include "host/own_file.h"
#include "host/systemd.h"
#include "io/fsroot.h"
#include "stage/adopt_found.h"
#include "stage/etc.h"
#include "stage/fstab_own.h"
#include "stage/own.h"
#include "stage/ramdisk.h"
#include "stage/reload.h"
#include "stage/table.h"
#include "stage/units_found.h"
#include "stage/units_own.h"

enum { VERB_FILE = 1, VERB_LINK, VERB_RELOAD };

static bool units_enabled(const struct ctx *ctx)
{
    return ctx->cfg && *ctx->cfg->storage.ramdisk.mount;
}

/* The plan reads it: "~agavectl-boot.service +docker.service.d/ +docker.service.d/50-agavectl.conf"
 * (another text, a new folder and a new file). */
static char *list_of(const struct units_own *o)
{
    struct strbuf b = {0};

    for (size_t i = 0; i < o->files.n; i++) {
        const char *name = o->files.items[i].path + strlen(UNITS_ETC) + 1;
        const char *slash = strrchr(name, '/');
        char state = o->states[i];

        if (state == '=')
            continue;
        strbuf_puts(&b, b.len ? " " : "");
        if (state == '*')
            strbuf_printf(&b, "+%.*s/ ", slash ? (int)(slash - name) : 0, name);
        strbuf_printf(&b, "%c%s", state == '*' ? '+' : state, name);
    }
    return strbuf_take(&b);
}

/* For the plan: what each file of that list says, as "PATH LENGTH\n" and so many bytes. */
static char *texts_of(const struct units_own *o)
{
    struct strbuf b = {0};

    for (size_t i = 0; i < o->files.n; i++) {
        const struct units_file *f = &o->files.items[i];
        const char *text = f->text ? f->text : f->link;

        if (o->states[i] != '=')
            strbuf_printf(&b, "%s %zu\n%s", f->path, strlen(text), text);
    }
    return strbuf_take(&b);
}

/* To be freed; NULL: it is not among them. */
static char *text_of(const char *texts, const char *path)
{
    size_t n = strlen(path);

    while (texts && *texts) {
        const char *space = strchr(texts, ' ');
        size_t len = space ? strtoul(space + 1, NULL, 10) : 0;
        const char *text = space ? strchr(space, '\n') : NULL;

        if (!text)
            return NULL;
        if ((size_t)(space - texts) == n && strncmp(texts, path, n) == 0)
            return xstrndup(text + 1, len);
        texts = text + 1 + len;
    }
    return NULL;
}

static size_t count(const char *states, const char *letters)
{
    size_t n = 0;

    for (const char *s = states; *s; s++)
        n += strchr(letters, *s) != NULL;
    return n;
}

static void add_foreign(const struct units_own *o, struct findings *ret)
{
    for (size_t i = 0; i < o->why.n; i++)
        findings_add(ret, "units.foreign", 4, SEV_FAIL, "%s; nothing is changed until then",
                     o->why.items[i]);
}

static void add_masked(const struct units_own *o, struct findings *ret)
{
    for (size_t i = 0; i < o->masked.n; i++)
        findings_add(ret, "units.masked", 4, SEV_WARN,
                     "%s is masked: nothing starts it at boot, nor by hand; systemctl unmask %s, "
                     "if it should",
                     o->masked.items[i], o->masked.items[i]);
}

static void add_files(const struct units_own *o, const char *repair, struct findings *ret)
{
    size_t missing = count(o->states, "+*"), other = count(o->states, "~");
    AUTO(freep) char *list = list_of(o);
    AUTO(freep) char *got = xasprintf("%zu missing, %zu other", missing, other);

    if (!missing && !other) {
        findings_add(ret, "units.files", 4, SEV_OK,
                     "all %zu files of agavectl's in '" UNITS_ETC "' are as they must be",
                     o->files.n);
        return;
    }
    struct finding *f = findings_add(ret, "units.files", 4, SEV_WARN,
                                     "of agavectl's %zu files in '" UNITS_ETC
                                     "' %zu are missing and %zu have another text",
                                     o->files.n, missing, other);
    finding_compare(f, list, got, UNITS_ETC);
    f->old = texts_of(o);
    f->repair = repair;
}

/* Ours are there, whole or in part. */
static struct err *check_own(const struct units_look *l, const struct units_own *o,
                             struct scene *scene, struct findings *ret)
{
    add_files(o, l->repair, ret);
    if (ramdisk_is_device(l->ctx->cfg) &&
        units_files_find(&o->files, UNITS_ETC "/" UNITS_RAMDISK) && o->states[0] == '=')
        findings_add(ret, "units.format", 4, SEV_OK, UNITS_RAMDISK " formats the RAM disk at boot");
    return units_check_consumers(l, scene, ret);
}

/* Others' do what is needed: that is fine, and the plan takes them over only when it is asked to,
 * and all of them or none. */
static struct err *add_theirs(const struct units_look *l, struct scene *scene,
                              const struct units_own *o, struct findings *ret)
{
    AUTO(freep) char *list = list_of(o);
    struct finding *f = findings_add(ret, "units.files", 4, SEV_OK,
                                     "other units than agavectl's do this on this host");
    bool blocked = false;

    TRY(adopt_is_blocked(l->ctx, scene, &blocked));
    if (blocked)
        return NULL;
    finding_compare(f, list, "theirs", UNITS_ETC);
    f->old = texts_of(o);
    return NULL;
}

static bool is_theirs(const struct finding *files)
{
    return files && files->sev == SEV_OK && str_eq(files->got, "theirs");
}

/* Nothing is written that could not be run, or that others could put to their own use. Where others
 * do all of it, that is only to be known. */
static void add_program(const struct units_own *o, bool persist, struct findings *ret)
{
    const struct finding *files = findings_find(ret, "units.files");
    bool ours = o->there || (files && files->repair);

    if (persist && o->unsafe && (ours || is_theirs(files)))
        findings_add(ret, "units.program", 4, ours ? SEV_FAIL : SEV_NOTE,
                     "root must not run the program '%s' at every boot: %s; install it (make "
                     "install), and call the installed one",
                     o->program, o->unsafe);
    for (size_t i = 0; persist && i < o->late.n && (ours || is_theirs(files)); i++)
        findings_add(ret, "units.late", 4, ours ? SEV_FAIL : SEV_NOTE, "%s", o->late.items[i]);
}

static void findings_take(struct findings *to, struct findings *from, bool adopt)
{
    for (size_t i = 0; i < from->n; i++) {
        struct finding *x = &from->items[i];

        if (adopt && x->sev == SEV_WARN && !x->repair)
            finding_fix(x, "agavectl prepare --adopt --apply");
        to->items = xgrow(to->items, &to->cap, to->n + 1, sizeof(*to->items));
        to->items[to->n++] = *x;
    }
    free(from->items);
    *from = (struct findings){0};
}

/* None of ours is there. What do others have? */
static struct err *check_others(struct units_look *l, const struct units_own *o,
                                struct scene *scene, struct findings *ret)
{
    AUTO(unit_file_clear) struct unit_file formatter = {0};
    AUTO(unit_file_clear) struct unit_file maker = {0};
    AUTO(findings_clear) struct findings f = {0};
    bool formats = false, makes = false;

    TRY(units_find_formatter(l, &formatter, &formats));
    TRY(units_find_maker(l, &maker, &makes));
    if (formats || makes)
        l->repair = NULL; /* a second unit beside one that does it already, right or wrong? No. */
    TRY(units_check_found(l, scene, &f));
    enum severity worst = findings_worst(&f);
    bool any = f.n > 0;
    bool adopt = formats || makes ? worst <= SEV_WARN : any && worst < SEV_WARN;
    findings_take(ret, &f, (formats || makes) && adopt);
    if (adopt)
        TRY(add_theirs(l, scene, o, ret));
    else if (!formats && !makes)
        add_files(o, l->repair, ret);
    return NULL;
}

static struct err *units_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    AUTO(units_look_clear) struct units_look l = {0};
    AUTO(units_own_clear) struct units_own o = {0};
    bool systemd = false;

    TRY(systemd_booted(ctx, &systemd));
    if (!systemd) {
        findings_add(ret, "units.systemd", 4, SEV_NOTE,
                     "this host is not booted by systemd: what makes the RAM disk usable at the "
                     "next boot is not looked at");
        return NULL;
    }
    TRY(units_look_open(ctx, scene, &l));
    TRY(units_own_want(ctx, scene, &o));
    TRY(units_own_look(ctx, &o));
    l.repair = ctx->cfg->host.persist ? "units" : NULL;
    add_masked(&o, ret);
    add_foreign(&o, ret);
    TRY(o.there ? check_own(&l, &o, scene, ret) : check_others(&l, &o, scene, ret));
    add_program(&o, ctx->cfg->host.persist, ret);
    return reload_check(ctx, "units.reload", "units", ret);
}

/* What it is for, for people. */
static char *purpose_of(const char *name)
{
    static const struct {
        const char *name, *what;
    } known[] = {
        {UNITS_RAMDISK, "formats the RAM disk at boot"},
        {UNITS_BOOT, "makes the accounts folder and proves the boot, before Docker"},
        {UNITS_SEEN ".service", "looks whether node and pod see the storage"},
        {UNITS_SEEN ".timer", "starts that after a boot"},
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(known[i].name, name))
            return xstrdup(known[i].what);
    if (str_ends(name, ".d/" UNITS_YIELD))
        return xasprintf("%.*s does not run where ours does",
                         (int)(strlen(name) - strlen(".d/" UNITS_YIELD)), name);
    if (str_ends(name, ".d/" UNITS_DROPIN))
        return xasprintf("%.*s starts with the storage only",
                         (int)(strlen(name) - strlen(".d/" UNITS_DROPIN)), name);
    return xstrdup("enables it");
}

/* word: "+docker.service.d/50-agavectl.conf"; folder: is its folder new? */
static void plan_file(const char *word, bool folder, bool adopt, const char *texts,
                      struct plan *ret)
{
    AUTO(freep) char *path = xasprintf(UNITS_ETC "/%s", word + 1);
    AUTO(freep) char *after = purpose_of(word + 1);
    bool update = *word == '~', link = strstr(word, ".wants/") != NULL;
    struct change *c =
        plan_add(ret, update ? CHANGE_UPDATE : CHANGE_CREATE, link ? VERB_LINK : VERB_FILE, path,
                 update ? "another text of agavectl's" : NULL, after);

    c->live = true;
    c->undoable = true;
    c->adopt = adopt;
    c->arg = text_of(texts, path);
    c->writes = link ? WRITES_LINK : WRITES_FILE;
    if (folder)
        c->old = xasprintf("%.*s\n", (int)(strrchr(path, '/') - path), path);
}

/* In the order of units_text.c: what a drop-in waits for is there first. */
static struct err *units_plan(const struct ctx *ctx, const struct findings *f, struct plan *ret)
{
    const struct finding *files = findings_find(f, "units.files");
    bool adopt = is_theirs(files);
    AUTO(freep) char *list = files && files->want ? xstrdup(files->want) : xstrdup("");
    char *save = NULL;
    bool folder = false;

    for (size_t i = 0; i < f->n; i++)
        if (f->items[i].sev >= SEV_FAIL && !f->items[i].repair)
            return NULL;
    if (findings_find(f, "units.late") || findings_find(f, "units.program"))
        return NULL;
    if (!ctx->cfg->host.persist || (!adopt && !(files && files->repair)))
        *list = '\0';
    for (char *w = strtok_r(list, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        if (strchr("+~", *w) && !str_ends(w, "/"))
            plan_file(w, folder, adopt, files->old, ret);
        folder = str_ends(w, "/");
    }
    reload_plan(f, "units.reload", VERB_RELOAD, ret);
    return NULL;
}

static struct err *make(struct ctx *ctx, const struct change *c)
{
    AUTO(scene_freep) struct scene *scene = scene_new();
    AUTO(units_own_clear) struct units_own o = {0};
    const struct units_file *f;

    TRY(units_own_want(ctx, scene, &o));
    f = units_files_find(&o.files, c->object);
    if (!f || !c->arg || (c->verb == VERB_FILE) != (f->text != NULL))
        return err_new(ERR_REFUSED, "'%s' is not needed on this host any more", c->object);
    if (!str_eq(c->arg, f->text ? f->text : f->link))
        return change_was_other(c);
    TRY(reload_note(ctx));
    return f->text ? own_file_write(ctx, c->object, c->arg) : etc_link_make(ctx, c->object, c->arg);
}

static struct err *units_apply(struct ctx *ctx, const struct change *c)
{
    switch (c->verb) {
    case VERB_FILE:
    case VERB_LINK:
        return make(ctx, c);
    case VERB_RELOAD:
        return reload_do(ctx);
    default:
        return err_new(ERR_BUG, "stage 'units' has no change %d", c->verb);
    }
}

static struct err *units_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    AUTO(freep) char *why = NULL;
    enum own_state state;

    if (c->verb == VERB_LINK)
        return etc_link_undo_look(ctx, c, ret);
    TRY(own_file_look(ctx, c->object, NULL, &state, &why));
    if (state == OWN_ABSENT)
        return etc_folder_undo_look(ctx, c, ret);
    ret->verdict = state == OWN_FOREIGN ? UNDO_KEEP : UNDO_DO;
    ret->what = state == OWN_FOREIGN ? TAKE(why) : xasprintf("remove '%s'", c->object);
    return NULL;
}

/* Asked before the first of them goes: the RAM disk is not mounted at the next boot while its line
 * waits for a unit that is not there, and without the drop-ins Docker would start all the same. */
static struct err *may_go(struct ctx *ctx)
{
    AUTO(freep) char *by = NULL;

    TRY(fstab_own_needs(ctx, UNITS_RAMDISK, &by));
    if (!by)
        return NULL;
    return err_new(ERR_REFUSED,
                   "'%s' waits for " UNITS_RAMDISK ": take that back first, or all of it (agavectl "
                   "prepare --undo)",
                   by);
}

/* A stop is never asked for: what runs goes on, and the next boot is without them. */
static struct err *units_undo(struct ctx *ctx, const struct change *c)
{
    TRY(may_go(ctx));
    TRY(reload_note(ctx));
    if (c->verb == VERB_FILE) {
        TRY(own_file_remove(ctx, c->object, c->old));
        return reload_do(ctx);
    }
    return etc_link_undo(ctx, c);
}

/* A line of fstab waits for the unit that formats, and what others had for a boot is turned off. */
static const char *const units_undo_with[] = {"fstab", "adopt", NULL};
static const char *const units_after[] = {"ramdisk", NULL};

const struct stage stage_units = {
    .name = "units",
    .summary = "what formats the RAM disk at boot, and who waits for it",
    .layer = 4,
    .after = units_after,
    .order_reason = "what is wrong now is told before what will be",
    .enabled = units_enabled,
    .readonly = "units.readonly",
    .check = units_check,
    .plan = units_plan,
    .apply = units_apply,
    .undo_look = units_undo_look,
    .undo = units_undo,
    .undo_with = units_undo_with,
};
