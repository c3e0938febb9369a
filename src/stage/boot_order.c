/* The order of the next boot as a graph. Only units that a boot starts count: an order between
 * units of which one is not started makes no circle. What a unit adds by means other than its
 * files (PrivateTmp=, sockets, D-Bus names) is left out: it leads to units of packages, which do
 * not wait for the validator's storage. */
#include "stage/boot_order.h"

#include <stdlib.h>
#include <string.h>

#include "host/fstab.h"
#include "host/unit_file.h"
#include "io/fsroot.h"

#define NODES_MAX 1024
#define UNIT      "Unit"

struct node {
    char *name, *alias;    /* alias: the name that it was asked for by, or NULL */
    bool defaults, loaded; /* DefaultDependencies= */
    struct strlist before; /* is started before these */
    struct strlist after;  /* waits for these */
    struct strlist pulls;  /* starts these */
    enum { NEW, OPEN, DONE } state;
};
struct graph {
    struct ctx *ctx;
    struct fstab fstab;
    struct node *items;
    size_t n, cap;
};

static void graph_clear(struct graph *g)
{
    for (size_t i = 0; i < g->n; i++) {
        free(g->items[i].name);
        free(g->items[i].alias);
        strlist_clear(&g->items[i].before);
        strlist_clear(&g->items[i].after);
        strlist_clear(&g->items[i].pulls);
    }
    free(g->items);
    fstab_clear(&g->fstab);
}

static struct node *find(const struct graph *g, const char *name)
{
    for (size_t i = 0; i < g->n; i++)
        if (str_eq(g->items[i].name, name) || str_eq(g->items[i].alias, name))
            return &g->items[i];
    return NULL;
}

/* Those of devices and slices wait for nothing of ours; those of the shutdown are not started. */
static bool is_left_out(const char *name)
{
    return str_ends(name, ".device") || str_ends(name, ".slice") || str_ends(name, ".swap") ||
           str_eq(name, "shutdown.target") || str_eq(name, "umount.target") ||
           str_eq(name, "-.mount");
}

static struct err *add(struct graph *g, const char *name)
{
    if (is_left_out(name) || find(g, name))
        return NULL;
    if (g->n == NODES_MAX)
        return err_new(ERR_CORRUPT, "more than %d units are started at boot", NODES_MAX);
    g->items = xgrow(g->items, &g->cap, g->n + 1, sizeof(*g->items));
    g->items[g->n++] = (struct node){.name = xstrdup(name), .defaults = true};
    return NULL;
}

static void words(const struct unit_file *u, const char *const *keys, struct strlist *ret)
{
    for (; *keys; keys++)
        unit_file_words(u, UNIT, *keys, ret);
}

/* The mount of every folder above a path, and of the path itself. */
static void mounts_for(const struct graph *g, const char *path, struct node *n)
{
    for (size_t i = 0; i < g->fstab.n; i++) {
        const char *target = g->fstab.items[i].target;
        size_t len = strlen(target);
        AUTO(freep) char *stem = unit_path_escape(target);
        AUTO(freep) char *unit = xasprintf("%s.mount", stem);

        if (*target != '/' || !target[1] || strncmp(path, target, len) != 0 ||
            (path[len] && path[len] != '/') || str_eq(unit, n->name))
            continue;
        strlist_add(&n->after, unit);
        strlist_add(&n->pulls, unit);
    }
}

static void all_mounts_for(const struct graph *g, const struct strlist *paths, struct node *n)
{
    for (size_t i = 0; i < paths->n; i++)
        mounts_for(g, paths->items[i], n);
}

/* systemd-fstab-generator(8) and systemd.mount(5). */
static void from_fstab(const struct graph *g, const struct fstab_entry *e, struct node *n)
{
    AUTO(strlist_clear) struct strlist paths = {0};
    AUTO(strlist_clear) struct strlist needs = {0};
    bool net = fstab_option(e, "_netdev", NULL);
    AUTO(freep) char *above = xstrdup(e->target);
    char *slash = strrchr(above, '/');

    fstab_option_all(e, "x-systemd.requires", &needs);
    for (size_t i = 0; i < needs.n; i++)
        strlist_add(*needs.items[i] == '/' ? &paths : &n->pulls, needs.items[i]);
    for (size_t i = 0; i < n->pulls.n; i++)
        strlist_add(&n->after, n->pulls.items[i]);
    fstab_option_all(e, "x-systemd.after", &n->after);
    fstab_option_all(e, "x-systemd.before", &n->before);
    fstab_option_all(e, "x-systemd.requires-mounts-for", &paths);
    if (slash)
        *slash = '\0';
    strlist_add(&paths, above);
    if (fstab_option(e, "bind", NULL) || fstab_option(e, "rbind", NULL) ||
        fstab_option(e, "loop", NULL))
        strlist_add(&paths, e->spec);
    all_mounts_for(g, &paths, n);
    strlist_add(&n->after, net ? "remote-fs-pre.target" : "local-fs-pre.target");
    if (!fstab_option(e, "nofail", NULL))
        strlist_add(&n->before, net ? "remote-fs.target" : "local-fs.target");
}

static const struct fstab_entry *mount_of(const struct graph *g, const char *name)
{
    for (size_t i = 0; i < g->fstab.n; i++) {
        AUTO(freep) char *stem = unit_path_escape(g->fstab.items[i].target);
        AUTO(freep) char *unit = xasprintf("%s.mount", stem);

        if (*g->fstab.items[i].target == '/' && str_eq(unit, name))
            return &g->fstab.items[i];
    }
    return NULL;
}

/* Links in its .wants and .requires folders. */
static struct err *linked(struct ctx *ctx, const char *name, struct strlist *ret)
{
    static const char *const places[] = {
        "/etc/systemd/system",           "/run/systemd/system",     "/run/systemd/generator",
        "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system",
    };
    static const char *const kinds[] = {"wants", "requires"};

    for (size_t i = 0; i < ARRAY_LEN(places) * ARRAY_LEN(kinds); i++) {
        AUTO(freep)
        char *dir =
            xasprintf("%s/%s.%s", places[i / ARRAY_LEN(kinds)], name, kinds[i % ARRAY_LEN(kinds)]);
        AUTO(strlist_clear) struct strlist names = {0};
        struct err *e = fsroot_list(ctx->root, dir, &names);

        if (e && e->kind != ERR_NOTFOUND)
            return e;
        err_free(e);
        for (size_t k = 0; k < names.n; k++)
            strlist_add(ret, names.items[k]);
    }
    return NULL;
}

static void add_defaults(struct node *n)
{
    if (!n->defaults || str_ends(n->name, ".target") || str_ends(n->name, ".mount"))
        return;
    strlist_add(&n->after, "sysinit.target");
    strlist_add(&n->pulls, "sysinit.target");
    if (str_ends(n->name, ".service"))
        strlist_add(&n->after, "basic.target");
    if (str_ends(n->name, ".socket"))
        strlist_add(&n->before, "sockets.target");
    if (str_ends(n->name, ".timer"))
        strlist_add(&n->before, "timers.target");
    if (str_ends(n->name, ".path"))
        strlist_add(&n->before, "paths.target");
}

static void from_unit(const struct graph *g, const struct unit_file *u, struct node *n)
{
    static const char *const pulls[] = {"Requires", "Wants", "BindsTo", "Upholds", NULL};
    static const char *const after[] = {"After", NULL}, *const before[] = {"Before", NULL};
    AUTO(strlist_clear) struct strlist paths = {0};

    words(u, pulls, &n->pulls);
    words(u, after, &n->after);
    words(u, before, &n->before);
    unit_file_words(u, UNIT, "RequiresMountsFor", &paths);
    all_mounts_for(g, &paths, n);
    n->defaults = unit_file_bool(u, UNIT, "DefaultDependencies", true);
    add_defaults(n);
    if (n->defaults && str_ends(n->name, ".mount") && !mount_of(g, n->name)) {
        strlist_add(&n->after, "local-fs-pre.target");
        strlist_add(&n->before, "local-fs.target");
    }
}

/* Made from fstab at the last boot, a mount's own file says what fstab said then: only its drop-ins
 * count. */
static struct err *load(struct graph *g, size_t at)
{
    struct node *n = &g->items[at];
    AUTO(unit_file_clear) struct unit_file u = {0};
    const struct fstab_entry *entry = mount_of(g, n->name);
    struct err *e = unit_file_load(g->ctx, n->name, &u);

    n->loaded = true;
    if (entry)
        from_fstab(g, entry, n);
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    if (u.masked)
        return NULL;
    for (size_t i = 0; i < u.n && entry; i++)
        if (str_eq(u.items[i].file, u.path))
            u.items[i].value[0] = '\0';
    if (!str_eq(u.name, n->name)) {
        n->alias = n->name;
        n->name = xstrdup(u.name);
    }
    from_unit(g, &u, n);
    TRY(linked(g->ctx, n->name, &n->pulls));
    return n->alias ? linked(g->ctx, n->alias, &n->pulls) : NULL;
}

/* Every unit that the given ones start. */
static struct err *load_all(struct graph *g)
{
    for (size_t i = 0; i < g->n; i++) {
        TRY(load(g, i));
        for (size_t k = 0; k < g->items[i].pulls.n; k++)
            TRY(add(g, g->items[i].pulls.items[k]));
    }
    return NULL;
}

/* A target waits for what it pulls in, unless one of both wants no such thing, or is before it
 * (unit.c, unit_add_default_target_dependency). */
static void order_targets(struct graph *g)
{
    for (size_t i = 0; i < g->n; i++) {
        struct node *t = &g->items[i];

        if (!str_ends(t->name, ".target") || !t->defaults)
            continue;
        for (size_t k = 0; k < t->pulls.n; k++) {
            struct node *n = find(g, t->pulls.items[k]);

            if (n && n != t && n->defaults && !strlist_has(&t->before, n->name) &&
                !strlist_has(&n->after, t->name))
                strlist_add(&t->after, n->name);
        }
    }
}

/* One direction only, for the walk. */
static void turn_after(struct graph *g)
{
    for (size_t i = 0; i < g->n; i++)
        for (size_t k = 0; k < g->items[i].after.n; k++) {
            struct node *n = find(g, g->items[i].after.items[k]);

            if (n && n != &g->items[i])
                strlist_add(&n->before, g->items[i].name);
        }
}

static bool walk(struct graph *g, struct node *n, struct strlist *path)
{
    n->state = OPEN;
    strlist_add(path, n->name);
    for (size_t i = 0; i < n->before.n; i++) {
        struct node *next = find(g, n->before.items[i]);

        if (!next || next == n || next->state == DONE)
            continue;
        if (next->state == OPEN) {
            strlist_add(path, next->name);
            return true;
        }
        if (walk(g, next, path))
            return true;
    }
    n->state = DONE;
    free(path->items[--path->n]);
    path->items[path->n] = NULL;
    return false;
}

/* The circle itself is at the end of the path. */
static char *text_of(const struct strlist *path)
{
    AUTO(strbuf_clear) struct strbuf b = {0};
    const char *last = path->items[path->n - 1];
    size_t at = 0;

    while (!str_eq(path->items[at], last))
        at++;
    for (size_t i = at; i < path->n; i++)
        strbuf_printf(&b, "%s%s", i > at ? ", " : "", path->items[i]);
    return strbuf_take(&b);
}

static struct err *add_starts(struct graph *g, const struct strlist *units)
{
    static const char *const early[] = {"local-fs.target", "sysinit.target", "basic.target"};
    AUTO(strlist_clear) struct strlist local = {0};

    for (size_t i = 0; i < ARRAY_LEN(early); i++)
        TRY(add(g, early[i]));
    for (size_t i = 0; i < units->n; i++)
        TRY(add(g, units->items[i]));
    for (size_t i = 0; i < g->fstab.n; i++) {
        const struct fstab_entry *e = &g->fstab.items[i];
        AUTO(freep) char *stem = unit_path_escape(e->target);
        AUTO(freep) char *unit = xasprintf("%s.mount", stem);

        if (*e->target == '/' && e->target[1] && !fstab_option(e, "noauto", NULL))
            TRY(add(g, unit));
    }
    TRY(unit_files_local(g->ctx, &local));
    for (size_t i = 0; i < local.n; i++) {
        AUTO(strlist_clear) struct strlist by = {0};

        TRY(unit_file_wanted_by(g->ctx, local.items[i], &by));
        if (by.n)
            TRY(add(g, local.items[i]));
    }
    return NULL;
}

struct err *boot_order_circle(struct ctx *ctx, const struct strlist *units, char **ret_circle)
{
    AUTO(graph_clear) struct graph g = {.ctx = ctx};
    AUTO(strlist_clear) struct strlist path = {0};
    struct err *e = fstab_read(ctx, &g.fstab);

    *ret_circle = NULL;
    if (e && e->kind == ERR_NOTFOUND)
        e = err_free(e);
    TRY(e);
    TRY(add_starts(&g, units));
    TRY(load_all(&g));
    order_targets(&g);
    turn_after(&g);
    for (size_t i = 0; i < g.n && !*ret_circle; i++)
        if (g.items[i].state == NEW && walk(&g, &g.items[i], &path))
            *ret_circle = text_of(&path);
    return NULL;
}
