/* Which units of others do what ours do, and who depends on them: a unit that Docker's drop-in
 * requires cannot be turned off while that drop-in is there, or Docker is not started at the next
 * boot. Looks only. */
#include "stage/adopt_found.h"

#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "host/fstab.h"
#include "host/own_file.h"
#include "host/unit_file.h"
#include "io/fsroot.h"
#include "stage/fstab_own.h"
#include "stage/ramdisk.h"
#include "stage/units_found.h"
#include "stage/units_own.h"

#define UNIT_MAX_B (1U << 20)

static const char *const folders[] = {UNITS_ETC, "/run/systemd/system",
                                      "/usr/local/lib/systemd/system"};

void adopt_found_clear(struct adopt_found *a)
{
    for (size_t i = 0; i < a->n; i++) {
        free(a->items[i].path);
        free(a->items[i].links);
    }
    free(a->items);
    strlist_clear(&a->names);
    strlist_clear(&a->blocked);
    *a = (struct adopt_found){0};
}

static bool has_path(const struct adopt_found *a, const char *path)
{
    for (size_t i = 0; i < a->n; i++)
        if (str_eq(a->items[i].path, path))
            return true;
    return false;
}

static struct adopt_file *add_file(struct adopt_found *a, const char *path, bool dropin)
{
    a->items = xgrow(a->items, &a->cap, a->n + 1, sizeof(*a->items));
    a->items[a->n] =
        (struct adopt_file){.path = xstrdup(path), .links = xstrdup(""), .dropin = dropin};
    return &a->items[a->n++];
}

static struct err *list(struct ctx *ctx, const char *folder, struct strlist *ret)
{
    struct err *e = fsroot_list(ctx->root, folder, ret);

    return e && e->kind == ERR_NOTFOUND ? err_free(e) : e;
}

/* Is that "X.requires" of somebody who starts without that unit once ours are there? Docker and
 * kubelet have our drop-ins, and a target is reached in any case. */
static bool may_lose(const struct adopt_found *a, const char *folder)
{
    AUTO(freep) char *who = xstrndup(folder, strlen(folder) - strlen(".requires"));

    return str_ends(who, ".target") || str_eq(who, "docker.service") ||
           str_eq(who, "kubelet.service") || strlist_has(&a->names, who);
}

/* Links to a unit in the folders of /etc that pull it in. */
static struct err *find_links(struct ctx *ctx, struct adopt_file *f, struct adopt_found *found)
{
    const char *name = strrchr(f->path, '/') + 1;
    AUTO(strlist_clear) struct strlist names = {0};
    AUTO(strbuf_clear) struct strbuf b = {0};

    TRY(list(ctx, UNITS_ETC, &names));
    for (size_t i = 0; i < names.n; i++) {
        AUTO(freep) char *path = xasprintf(UNITS_ETC "/%s/%s", names.items[i], name);
        AUTO(freep) char *to = NULL;
        struct err *e = NULL;

        if (!str_ends(names.items[i], ".wants") && !str_ends(names.items[i], ".requires"))
            continue;
        e = fsroot_readlink(ctx->root, path, &to);
        if (!e && str_ends(names.items[i], ".requires") && !may_lose(found, names.items[i]))
            strlist_addf(&found->blocked, "'%s' requires %s: remove that", path, name);
        else if (!e && !strchr(to, '\n'))
            strbuf_printf(&b, "%s\n%s\n", path, to);
        err_free(e); /* no such link */
    }
    free(f->links);
    f->links = strbuf_take(&b);
    return NULL;
}

typedef struct err *visit_fn(void *arg, const char *path, bool dropin, const struct unit_file *u);

static struct err *visit_file(struct ctx *ctx, const char *path, bool dropin, visit_fn *visit,
                              void *arg)
{
    AUTO(unit_file_clear) struct unit_file u = {0};
    AUTO(freep) char *text = NULL;
    size_t n = 0;
    struct err *e = fsroot_read(ctx->root, path, UNIT_MAX_B, &text, &n);

    if (e && (e->kind == ERR_NOTFOUND || e->kind == ERR_SYS)) /* a dangling link, a folder */
        return err_free(e);
    TRY(e);
    unit_file_parse(text, n, path, &u);
    return visit(arg, path, dropin, &u);
}

static struct err *visit_folder(struct ctx *ctx, const char *folder, bool dropins, visit_fn *visit,
                                void *arg)
{
    AUTO(strlist_clear) struct strlist names = {0};

    TRY(list(ctx, folder, &names));
    for (size_t i = 0; i < names.n; i++) {
        AUTO(freep) char *path = xasprintf("%s/%s", folder, names.items[i]);

        if (!dropins && str_ends(path, ".d"))
            TRY(visit_folder(ctx, path, true, visit, arg));
        else if (dropins == str_ends(path, ".conf") && !str_ends(path, ".wants") &&
                 !str_ends(path, ".requires"))
            TRY(visit_file(ctx, path, dropins, visit, arg));
    }
    return NULL;
}

/* All units and drop-ins of the administrator. */
static struct err *visit_all(struct ctx *ctx, visit_fn *visit, void *arg)
{
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        TRY(visit_folder(ctx, folders[i], false, visit, arg));
    return NULL;
}

/* Does it not start without that unit? */
static bool requires(const struct unit_file *u, const char *name)
{
    static const char *const keys[] = {"Requires", "BindsTo", "Requisite"};

    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (unit_file_has_word(u, "Unit", keys[i], name))
            return true;
    return false;
}

struct cover {
    struct strlist points, units;
};
static void cover_clear(struct cover *c)
{
    strlist_clear(&c->points);
    strlist_clear(&c->units);
}

static void cover_fill(const struct config *cfg, const struct strlist *services, struct cover *c)
{
    units_mount_points(cfg, &c->points);
    strlist_add(&c->points, cfg->storage.volume.mount);
    for (size_t i = 0; i < c->points.n; i++) {
        AUTO(freep) char *unit = units_mount_unit(c->points.items[i]);

        strlist_add(&c->units, unit);
    }
    for (size_t i = 0; i < services->n; i++)
        strlist_add(&c->units, services->items[i]);
}

static bool all_in(const char *value, const struct strlist *known)
{
    AUTO(strlist_clear) struct strlist words = {0};

    unit_file_split(value, &words);
    for (size_t i = 0; i < words.n; i++)
        if (!strlist_has(known, words.items[i]))
            return false;
    return words.n > 0;
}

/* Does our drop-in say all that this one says? Else the first setting that it does not. */
static const struct unit_setting *not_covered(const struct cover *c, const struct unit_file *u)
{
    static const struct {
        const char *key;
        bool paths;
    } known[] = {
        {"RequiresMountsFor", true},
        {"AssertPathIsMountPoint", true},
        {"Requires", false},
        {"Wants", false},
        {"After", false},
        {"BindsTo", false},
    };

    for (size_t i = 0; i < u->n; i++) {
        bool ok = false;

        for (size_t k = 0; k < ARRAY_LEN(known) && str_eq(u->items[i].section, "Unit"); k++)
            ok = ok || (str_eq(u->items[i].key, known[k].key) &&
                        all_in(u->items[i].value, known[k].paths ? &c->points : &c->units));
        if (!ok)
            return &u->items[i];
    }
    return NULL;
}

struct search {
    struct adopt_found *found;
    struct cover cover;
};

/* Drop-ins that require one of the services: ours takes their place, or the service stays. */
static struct err *see_dropin(void *arg, const char *path, bool dropin, const struct unit_file *u)
{
    struct search *s = arg;
    const struct strlist *names = &s->found->names;
    const struct unit_setting *more = NULL;
    const char *name = NULL;

    for (size_t i = 0; i < names->n && !name; i++)
    name = requires(u, names->items[i]) ? names->items[i] : NULL;
    if (!name || has_path(s->found, path))
        return NULL;
    more = not_covered(&s->cover, u);
    if (dropin && str_starts(path, UNITS_ETC "/") && !more)
        add_file(s->found, path, true);
    else if (dropin && more)
        strlist_addf(&s->found->blocked,
                     "'%s' requires %s, and sets %s= as well: move that into a drop-in of its own",
                     path, name, more->key);
    else
        strlist_addf(&s->found->blocked, "'%s' requires %s: remove that", path, name);
    return NULL;
}

static void add_service(const struct unit_file *u, struct adopt_found *ret)
{
    AUTO(freep) char *own = xasprintf(UNITS_ETC "/%s", u->name);

    if (has_path(ret, own))
        return;
    if (!str_eq(u->path, own)) {
        strlist_addf(&ret->blocked, "'%s' is not in '" UNITS_ETC "': systemctl disable it",
                     u->path);
        return;
    }
    strlist_add(&ret->names, u->name);
    add_file(ret, own, false);
}

static int dropins_first(const void *a, const void *b)
{
    const struct adopt_file *x = a, *y = b;

    return x->dropin != y->dropin ? (x->dropin ? -1 : 1) : strcmp(x->path, y->path);
}

static struct err *count_lines(struct ctx *ctx, size_t *ret)
{
    const struct config *c = ctx->cfg;
    const char *const places[] = {c->storage.volume.mount, c->storage.ramdisk.mount,
                                  c->storage.bind};
    AUTO(fstab_clear) struct fstab f = {0};
    AUTO(fstab_own_clear) struct fstab_own o = {0};
    struct err *e = fstab_read(ctx, &f);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    TRY(fstab_own_block(ctx, &o));
    for (size_t i = 0; i < f.n; i++)
        for (size_t k = 0; k < ARRAY_LEN(places); k++)
            *ret += str_eq(f.items[i].target, places[k]) && !fstab_own_has(&o, &f.items[i]);
    return NULL;
}

struct err *adopt_find(struct ctx *ctx, struct scene *scene, struct adopt_found *ret)
{
    AUTO(units_look_clear) struct units_look l = {0};
    AUTO(unit_file_clear) struct unit_file formatter = {0};
    AUTO(unit_file_clear) struct unit_file maker = {0};
    struct search s = {.found = ret};
    bool formats = false, makes = false;

    TRY(units_look_open(ctx, scene, &l));
    TRY(units_find_formatter(&l, &formatter, &formats));
    TRY(units_find_maker(&l, &maker, &makes));
    if (formats)
        add_service(&formatter, ret);
    if (makes)
        add_service(&maker, ret);
    for (size_t i = 0; i < ret->n; i++) /* all of them are known by then */
        TRY(find_links(ctx, &ret->items[i], ret));
    cover_fill(ctx->cfg, &ret->names, &s.cover);
    struct err *e = visit_all(ctx, see_dropin, &s);
    cover_clear(&s.cover);
    TRY(e);
    if (ret->n)
        qsort(ret->items, ret->n, sizeof(*ret->items), dropins_first);
    return count_lines(ctx, &ret->n_lines);
}

struct err *adopt_is_blocked(struct ctx *ctx, struct scene *scene, bool *ret)
{
    AUTO(adopt_found_clear) struct adopt_found a = {0};

    TRY(adopt_find(ctx, scene, &a));
    *ret = a.blocked.n > 0;
    return NULL;
}

struct needs {
    const char *name;
    char *by;
};

static struct err *see_need(void *arg, const char *path, bool dropin, const struct unit_file *u)
{
    struct needs *n = arg;

    (void)dropin;
    if (!n->by && requires(u, n->name))
        n->by = xstrdup(path);
    return NULL;
}

static struct err *must_be_ours(struct ctx *ctx, const char *path)
{
    enum own_state state;

    TRY(own_file_look(ctx, path, NULL, &state, NULL));
    if (state == OWN_OTHER || state == OWN_SAME)
        return NULL;
    return err_new(ERR_REFUSED,
                   "'%s' is not there yet: nothing of others is turned off before it is; "
                   "'agavectl prepare --adopt --apply' does all of it in order",
                   path);
}

/* A drop-in of ours beside theirs. */
static struct err *dropin_may_go(struct ctx *ctx, const struct adopt_file *f)
{
    AUTO(freep) char *folder = xstrndup(f->path, (size_t)(strrchr(f->path, '/') - f->path));
    AUTO(freep) char *ours = xasprintf("%s/" UNITS_DROPIN, folder);

    return must_be_ours(ctx, ours);
}

struct err *adopt_may_go(struct ctx *ctx, const struct adopt_file *f)
{
    struct needs n = {.name = strrchr(f->path, '/') + 1};

    if (f->dropin)
        return dropin_may_go(ctx, f);
    TRY(must_be_ours(ctx, UNITS_ETC "/" UNITS_BOOT));
    if (ramdisk_is_device(ctx->cfg))
        TRY(must_be_ours(ctx, UNITS_ETC "/" UNITS_RAMDISK));
    TRY(visit_all(ctx, see_need, &n));
    if (!n.by)
        TRY(fstab_own_needs(ctx, n.name, &n.by));
    AUTO(freep) char *by = n.by;
    if (by)
        return err_new(ERR_REFUSED,
                       "'%s' still requires %s, which is not turned off before that; run the "
                       "command again",
                       by, n.name);
    return NULL;
}
