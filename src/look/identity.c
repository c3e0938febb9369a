/* The same folder on host, in kind node and in the validator's pod? Gathers the names that each
 * place has in each space, looks at all of them through the root of a process there, and says what
 * is there instead. What follows from it (a finding, no start) is decided elsewhere. */
#include "look/identity.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "config/config.h"
#include "io/fsroot.h"
#include "look/boot_proof.h"
#include "look/discover_args.h"
#include "look/identity_spot.h"
#include "look/scene_cluster.h"

struct look {
    struct ctx *ctx;
    struct identity *ret;
    struct spot_space spaces[IDENTITY_SPACES];
    const struct docker_inspect *node; /* the scene's; NULL: there is none */
    struct pids in_pods;
};
static void look_clear(struct look *l)
{
    for (size_t i = 0; i < IDENTITY_SPACES; i++)
        if (l->spaces[i].ctx)
            spot_space_clear(&l->spaces[i]);
    pids_clear(&l->in_pods);
}

void identity_clear(struct identity *i)
{
    for (size_t k = 0; k < i->n; k++) {
        for (size_t v = 0; v < IDENTITY_SPACES; v++) {
            free(i->places[k].views[v].path);
            free(i->places[k].views[v].is);
            free(i->places[k].views[v].why);
        }
        free(i->places[k].name);
    }
    free(i->places);
    for (size_t k = 0; k < i->n_receives; k++)
        free(i->receives[k].path);
    free(i->receives);
    for (size_t k = 0; k < IDENTITY_SPACES; k++)
        err_free(i->spaces[k].err);
    *i = (struct identity){0};
}

const struct identity_place *identity_find(const struct identity *i, const char *name)
{
    for (size_t k = 0; k < i->n; k++)
        if (str_eq(i->places[k].name, name))
            return &i->places[k];
    return NULL;
}

/* The part of a path at or below base ("" or "/…"), or NULL. */
static const char *rest_below(const char *path, const char *base)
{
    size_t n = strlen(base);

    if (!n || strncmp(path, base, n) != 0)
        return NULL;
    return path[n] == '/' || !path[n] ? path + n : NULL;
}

static bool is_kubernetes(const struct config *c)
{
    return str_eq(c->validator.runtime, "kubernetes");
}

/* The name below kind_root of a folder of the host: its own, or through the bind; NULL: none. */
static char *below_kind_root(const struct config *c, const char *path)
{
    const char *rest = rest_below(path, c->storage.volume.mount);

    if (rest_below(path, c->storage.kind_root))
        return xstrdup(path);
    if (!rest || !rest_below(c->storage.bind, c->storage.kind_root))
        return NULL;
    return xasprintf("%s%s", c->storage.bind, rest);
}

/* A folder of the host as the node names it, or NULL: nothing of the host that it has holds it. */
static char *in_node(const struct look *l, const char *path)
{
    const struct config *c = l->ctx->cfg;
    AUTO(freep) char *bound = below_kind_root(c, path);

    if (bound)
        return xasprintf("%s%s", c->kind.mount, rest_below(bound, c->storage.kind_root));
    for (size_t i = 0; l->node && i < l->node->n_mounts; i++) {
        const struct docker_mount *m = &l->node->mounts[i];
        const char *rest = str_eq(m->type, "bind") ? rest_below(path, m->source) : NULL;

        if (rest)
            return xasprintf("%s%s", m->destination, rest);
    }
    return NULL;
}

/* Owns the paths; each may be NULL. */
static struct identity_place *add_place(struct identity *i, const char *name, char *host,
                                        char *node, char *pod)
{
    i->places = xrealloc(i->places, (i->n + 1) * sizeof(*i->places));
    struct identity_place *p = &i->places[i->n++];
    *p = (struct identity_place){.name = xstrdup(name)};
    p->views[IDENTITY_HOST].path = host;
    p->views[IDENTITY_NODE].path = node;
    p->views[IDENTITY_POD].path = pod;
    return p;
}

static void set_view(struct identity_view *v, enum identity_answer answer,
                     enum identity_wrong wrong, char *why)
{
    free(v->why);
    v->answer = answer;
    v->wrong = wrong;
    v->why = why;
}

/* What the validator writes, by the names that its own flags say. */
static void add_written(struct look *l, const struct pid_info *validator)
{
    const struct config *c = l->ctx->cfg;
    const struct {
        const char *name, *key, *path;
    } all[] = {{"ledger", "validator.ledger", c->validator.ledger},
               {"accounts", "validator.accounts", c->validator.accounts},
               {"snapshots", "validator.snapshots", c->validator.snapshots}};
    AUTO(discovered_args_clear) struct discovered_args args = {0};

    if (validator && validator->argv[0])
        discover_args(validator->argv + 1, &args);
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        const struct arg_value *a = discovered_arg(&args, all[i].key);
        const char *pod = a && a->items.n && *a->items.items[0] == '/' ? a->items.items[0] : NULL;
        const bool node = !l->ret->spaces[IDENTITY_NODE].none;

        if (!*all[i].path)
            continue;
        /* On the host itself another name is another folder by intent: stage unit tells it. */
        if (!is_kubernetes(c) && !str_eq(pod, all[i].path) && !node)
            pod = NULL;
        struct identity_place *p =
            add_place(l->ret, all[i].name, xstrdup(all[i].path),
                      node ? in_node(l, all[i].path) : NULL, pod ? xstrdup(pod) : NULL);
        if (node && !p->views[IDENTITY_NODE].path && is_kubernetes(c))
            set_view(&p->views[IDENTITY_NODE], IDENTITY_ABSENT, IDENTITY_WRONG_NONE,
                     xasprintf("nothing of the host that it has holds '%s'", all[i].path));
    }
}

/* A mount point, where something is mounted; else its own stage says so. */
static void add_mount(struct look *l, const char *name, const char *path)
{
    if (*path && mounts_at(&l->spaces[IDENTITY_HOST].mounts, path))
        add_place(l->ret, name, xstrdup(path), in_node(l, path), NULL);
}

static void add_sentinel(struct look *l)
{
    const struct config *c = l->ctx->cfg;
    const char *dir = *c->storage.bind ? c->storage.bind : c->storage.volume.mount;
    AUTO(freep) char *path = xasprintf("%s/" BOOT_PROOF_SENTINEL, dir);

    add_place(l->ret, "sentinel", xstrdup(path), in_node(l, path),
              is_kubernetes(c) ? NULL : xstrdup(path));
}

static bool in_node_already(const struct identity *i, const char *path)
{
    for (size_t k = 0; k < i->n; k++)
        if (str_eq(i->places[k].views[IDENTITY_NODE].path, path))
            return true;
    return false;
}

/* Persistent volumes are named as the node has them. */
static void add_volumes(struct look *l)
{
    const struct config *c = l->ctx->cfg;

    for (size_t i = 0; i < c->kubernetes.volumes.n; i++) {
        const char *item = c->kubernetes.volumes.items[i], *equals = strchr(item, '=');
        const char *rest = equals ? rest_below(equals + 1, c->kind.mount) : NULL;

        if (!rest || in_node_already(l->ret, equals + 1))
            continue;
        AUTO(freep) char *name = xstrndup(item, (size_t)(equals - item));
        add_place(l->ret, name, xasprintf("%s%s", c->storage.kind_root, rest), xstrdup(equals + 1),
                  NULL);
    }
}

static void add_places(struct look *l, const struct pid_info *validator)
{
    const struct config *c = l->ctx->cfg;

    add_written(l, validator);
    if (!l->ret->spaces[IDENTITY_NODE].none) {
        add_mount(l, "volume", c->storage.volume.mount);
        if (!str_eq(c->storage.ramdisk.kind, "none"))
            add_mount(l, "ramdisk", c->storage.ramdisk.mount);
        add_volumes(l);
    }
    add_sentinel(l);
}

static struct err *find_node(struct look *l, struct scene *scene, pid_t *ret)
{
    const struct docker_inspect *node = NULL;

    TRY(scene_node(l->ctx, scene, &node));
    l->node = node;
    if (!node->running || node->pid <= 0)
        return err_new(ERR_NOTFOUND, "the kind node '%s' does not run", node->name);
    *ret = node->pid;
    return NULL;
}

static void open_node(struct look *l, struct scene *scene)
{
    AUTO(freep) char *name = scene_node_name(l->ctx);
    struct identity *i = l->ret;
    pid_t pid = 0;

    i->spaces[IDENTITY_NODE].who = "the kind node";
    i->spaces[IDENTITY_NODE].none = !name || !*l->ctx->cfg->storage.kind_root;
    if (i->spaces[IDENTITY_NODE].none)
        return;
    struct err *e = find_node(l, scene, &pid);
    e = e ? e : spot_space_open(l->ctx, pid, &l->spaces[IDENTITY_NODE]);
    i->spaces[IDENTITY_NODE].err = e;
    i->spaces[IDENTITY_NODE].pid = e ? 0 : pid;
}

/* In the control group of a pod: "kubepods" is the kubelet's own name (cgroupRoot's child), the id
 * that of the node's container. */
static bool is_in_pod(const struct look *l, const struct pid_info *p)
{
    const char *id = l->node ? l->node->id : NULL;

    if (!p->cgroup)
        return false;
    return strstr(p->cgroup, "kubepods") || (id && *id && strstr(p->cgroup, id));
}

/* The validator of a pod that has the wrong ledger: it holds no lock in the right one, and in the
 * pod the folder has a name of its own. Looked for by the name of its program. */
static struct err *find_in_pods(struct look *l)
{
    const char *slash = strrchr(l->ctx->cfg->validator.bin, '/');
    const char *const names[] = {"agave-validator", slash ? slash + 1 : l->ctx->cfg->validator.bin};

    for (size_t k = 0; k < ARRAY_LEN(names) && !l->in_pods.n; k++) {
        AUTO(pids_clear) struct pids named = {0};

        TRY(pids_find(l->ctx, &(struct pids_match){.name = names[k]}, &named));
        for (size_t i = 0; i < named.n; i++) {
            const struct pid_info *p = &named.items[i];

            if (!p->argv[0] || !discover_args_runs(p->argv + 1) || !is_in_pod(l, p))
                continue;
            struct err *e = pids_get(l->ctx, p->id.pid, &l->in_pods);
            if (e && e->kind != ERR_NOTFOUND)
                return e;
            err_free(e); /* ended meanwhile */
        }
    }
    return NULL;
}

/* The validator's process stands for its pod. An empty list: none runs. */
static struct err *find_pod(struct look *l, struct scene *scene, const struct pids **ret)
{
    TRY(scene_validator(l->ctx, scene, ret));
    if ((*ret)->n || !is_kubernetes(l->ctx->cfg))
        return NULL;
    *ret = &l->in_pods;
    return find_in_pods(l);
}

/* *ret NULL: none runs, or it could not be seen. */
static void open_pod(struct look *l, struct scene *scene, const struct pid_info **ret)
{
    struct identity *i = l->ret;
    const struct pids *v = NULL;

    *ret = NULL;
    i->spaces[IDENTITY_POD].who =
        is_kubernetes(l->ctx->cfg) ? "the validator's pod" : "the validator";
    struct err *e = find_pod(l, scene, &v);
    i->spaces[IDENTITY_POD].none = !e && !v->n;
    if (!e && v->n)
        e = spot_space_open(l->ctx, v->items[0].id.pid, &l->spaces[IDENTITY_POD]);
    if (e && v && e->kind == ERR_NOTFOUND) { /* it ended meanwhile */
        i->spaces[IDENTITY_POD].none = true;
        e = err_free(e);
    }
    i->spaces[IDENTITY_POD].err = e;
    if (!l->spaces[IDENTITY_POD].ctx)
        return;
    *ret = &v->items[0];
    i->spaces[IDENTITY_POD].pid = v->items[0].id.pid;
}

static bool has_device(const struct mounts *m, const struct mount_info *x)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->items[i].major == x->major && m->items[i].minor == x->minor)
            return true;
    return false;
}

/* b stands where a should be, and the host has nothing of that file system any more, or of that
 * folder (a bind of a folder that was removed ends in "//deleted", fs/proc_namespace.c). */
static bool is_stale(const struct look *l, const struct spot *a, const struct spot *b)
{
    if (!b->on || !a->on || str_eq(b->on->target, "/"))
        return false;
    if (str_ends(b->on->root, "//deleted"))
        return true;
    return !has_device(&l->spaces[IDENTITY_HOST].mounts, b->on) &&
           str_eq(a->on->fstype, b->on->fstype) && str_eq(a->on->source, b->on->source);
}

/* What is there instead. host: the place's name on the host. */
static void say_different(const struct look *l, const char *host, const struct spot *a,
                          const struct spot *b, struct identity_view *v)
{
    const struct spot_space *top = &l->spaces[IDENTITY_HOST];
    AUTO(freep) char *bound = below_kind_root(l->ctx->cfg, host);
    const struct mount_info *hides = bound ? spot_hidden_by(top, bound, b) : NULL;

    hides = hides ? hides : spot_hidden_by(top, host, b);
    if (hides)
        set_view(v, IDENTITY_DIFFERENT, IDENTITY_WRONG_BELOW,
                 xasprintf("the folder below the mount point '%s', since what is mounted on it "
                           "did not get through",
                           hides->target));
    else if (is_stale(l, a, b))
        set_view(v, IDENTITY_DIFFERENT, IDENTITY_WRONG_STALE,
                 xstrdup("a mount or folder that the host does not have any more"));
    else if (b->on && str_eq(b->on->target, "/"))
        set_view(v, IDENTITY_DIFFERENT, IDENTITY_WRONG_OTHER,
                 xstrdup("a folder of its own root, since nothing is mounted there"));
    else
        set_view(v, IDENTITY_DIFFERENT, IDENTITY_WRONG_OTHER, xstrdup("another folder"));
}

/* The host's own. *ret is empty unless the answer is SAME. */
static void look_host(struct look *l, struct identity_view *v, struct spot *ret)
{
    struct err *e = spot_look(&l->spaces[IDENTITY_HOST], v->path, ret);

    if (e && e->kind == ERR_NOTFOUND) {
        set_view(v, IDENTITY_ABSENT, IDENTITY_WRONG_NONE, xstrdup(e->text));
    } else if (e) {
        set_view(v, IDENTITY_UNSEEN, IDENTITY_WRONG_NONE, xstrdup(e->text));
    } else {
        set_view(v, IDENTITY_SAME, IDENTITY_WRONG_NONE, NULL);
        v->is = spot_text(ret);
    }
    err_free(e);
}

static void compare(struct look *l, struct identity_place *p, enum identity_space space,
                    const struct spot *a)
{
    const struct identity_view *host = &p->views[IDENTITY_HOST];
    struct identity_view *v = &p->views[space];
    AUTO(spot_clear) struct spot b = {0};
    struct err *e = spot_look(&l->spaces[space], v->path, &b);

    if (e && e->kind == ERR_NOTFOUND) {
        const bool neither = host->answer == IDENTITY_ABSENT;

        set_view(v, neither ? IDENTITY_NOT_APPLICABLE : IDENTITY_ABSENT, IDENTITY_WRONG_NONE,
                 neither ? NULL : xstrdup(e->text));
        err_free(e);
        return;
    }
    if (e) {
        set_view(v, IDENTITY_UNSEEN, IDENTITY_WRONG_NONE, xstrdup(e->text));
        err_free(e);
        return;
    }
    v->is = spot_text(&b);
    if (host->answer == IDENTITY_UNSEEN)
        set_view(v, IDENTITY_UNSEEN, IDENTITY_WRONG_NONE,
                 xasprintf("the host's own could not be looked at: %s", host->why));
    else if (host->answer == IDENTITY_ABSENT)
        set_view(v, IDENTITY_DIFFERENT, IDENTITY_WRONG_OTHER,
                 xstrdup("something that the host does not have"));
    else if (spot_same(a, &b))
        set_view(v, IDENTITY_SAME, IDENTITY_WRONG_NONE, NULL);
    else
        say_different(l, host->path, a, &b, v);
}

static void look_place(struct look *l, struct identity_place *p)
{
    AUTO(spot_clear) struct spot host = {0};

    look_host(l, &p->views[IDENTITY_HOST], &host);
    for (enum identity_space s = IDENTITY_NODE; s < IDENTITY_SPACES; s++) {
        struct identity_view *v = &p->views[s];

        if (!v->path || l->ret->spaces[s].none)
            continue;
        if (l->ret->spaces[s].err)
            set_view(v, IDENTITY_UNSEEN, IDENTITY_WRONG_NONE, xstrdup(l->ret->spaces[s].err->text));
        else
            compare(l, p, s, &host);
    }
}

/* Is the proof at this name of this boot? ERR_CORRUPT: it is damaged. */
static struct err *of_this_boot(struct look *l, enum identity_space space, const char *path,
                                bool *ret)
{
    AUTO(boot_proof_clear) struct boot_proof p = {0};
    AUTO(freep) char *text = NULL;
    size_t n = 0;
    char id[40];

    TRY(boot_id_read(l->ctx, id));
    TRY(spot_read(&l->spaces[space], path, BOOT_PROOF_MAX_B, &text, &n));
    TRY(boot_proof_parse(text, n, path, &p));
    *ret = str_eq(p.boot_id, id);
    return NULL;
}

static void look_boot(struct look *l, struct identity_view *v, enum identity_space space)
{
    bool now = false;
    struct err *e = of_this_boot(l, space, v->path, &now);

    if (e && (e->kind == ERR_CORRUPT || e->kind == ERR_BADINPUT))
        set_view(v, IDENTITY_DIFFERENT, IDENTITY_WRONG_OLD_BOOT,
                 xasprintf("a damaged proof of the boot (%s)", e->text));
    else if (e && e->kind != ERR_NOTFOUND)
        set_view(v, IDENTITY_UNSEEN, IDENTITY_WRONG_NONE, xstrdup(e->text));
    else if (!e && !now)
        set_view(v, IDENTITY_DIFFERENT, IDENTITY_WRONG_OLD_BOOT,
                 xstrdup("the proof of another boot"));
    err_free(e);
}

/* A host without the units of the boot has none: then there is nothing to compare. */
static void look_sentinel(struct look *l, struct identity_place *p)
{
    struct identity_view *host = &p->views[IDENTITY_HOST];
    struct stat st;
    struct err *e =
        fsroot_captured(l->ctx->root) ? fsroot_stat(l->ctx->root, host->path, &st) : NULL;

    if (e) { /* a captured host's table of mounts says nothing about a file */
        err_free(e);
        return;
    }
    look_place(l, p);
    if (host->answer == IDENTITY_ABSENT) {
        for (enum identity_space s = IDENTITY_HOST; s < IDENTITY_SPACES; s++)
            set_view(&p->views[s], IDENTITY_NOT_APPLICABLE, IDENTITY_WRONG_NONE, NULL);
        return;
    }
    for (enum identity_space s = IDENTITY_NODE; s < IDENTITY_SPACES; s++)
        if (p->views[s].answer == IDENTITY_DIFFERENT)
            look_boot(l, &p->views[s], s);
    if (host->answer == IDENTITY_SAME)
        look_boot(l, host, IDENTITY_HOST);
}

static void add_receives(struct look *l, const char *path, const struct mount_info *at)
{
    struct identity *i = l->ret;

    i->receives = xrealloc(i->receives, (i->n_receives + 1) * sizeof(*i->receives));
    i->receives[i->n_receives++] = (struct identity_receives){
        .path = xstrdup(path),
        .ok = at && (at->master || at->shared),
        .got = at ? mount_propagation(at) : NULL,
    };
}

/* The RAM disk is mounted below the volume: there the volume's mount in the node must receive. */
static void look_receives(struct look *l)
{
    const struct config *c = l->ctx->cfg;
    const struct mounts *m = &l->spaces[IDENTITY_NODE].mounts;
    AUTO(freep) char *volume = in_node(l, c->storage.volume.mount);

    if (!l->ret->spaces[IDENTITY_NODE].pid)
        return;
    add_receives(l, c->kind.mount, mounts_at(m, c->kind.mount));
    if (volume && !str_eq(volume, c->kind.mount) && mounts_at(m, volume))
        add_receives(l, volume, mounts_at(m, volume));
}

struct err *identity_look(struct ctx *ctx, struct scene *scene, struct identity *ret)
{
    AUTO(identity_clear) struct identity i = {0};
    AUTO(look_clear) struct look l = {.ctx = ctx, .ret = &i};
    const struct pid_info *validator = NULL;

    i.spaces[IDENTITY_HOST].who = "the host";
    TRY(spot_space_open(ctx, 0, &l.spaces[IDENTITY_HOST]));
    open_node(&l, scene);
    open_pod(&l, scene, &validator);
    add_places(&l, validator);
    for (size_t k = 0; k < i.n; k++) {
        if (str_eq(i.places[k].name, "sentinel"))
            look_sentinel(&l, &i.places[k]);
        else
            look_place(&l, &i.places[k]);
    }
    look_receives(&l);
    *ret = i;
    i = (struct identity){0};
    return NULL;
}

enum identity_answer identity_sum(const struct identity *i, enum identity_space space,
                                  char **ret_why)
{
    static const int rank[] = {
        [IDENTITY_NOT_APPLICABLE] = 0, [IDENTITY_SAME] = 1,   [IDENTITY_ABSENT] = 2,
        [IDENTITY_DIFFERENT] = 3,      [IDENTITY_UNSEEN] = 4,
    };
    enum identity_answer worst = IDENTITY_NOT_APPLICABLE;
    AUTO(strbuf_clear) struct strbuf b = {0};

    for (size_t k = 0; k < i->n; k++) {
        const struct identity_view *v = &i->places[k].views[space];

        if (rank[v->answer] > rank[worst])
            worst = v->answer;
        if (v->why && v->answer != IDENTITY_NOT_APPLICABLE)
            strbuf_printf(&b, "%s%s: %s", b.len ? "; " : "", v->path ? v->path : i->places[k].name,
                          v->why);
    }
    if (i->spaces[space].err)
        worst = IDENTITY_UNSEEN;
    *ret_why = rank[worst] < 2        ? NULL
               : i->spaces[space].err ? xstrdup(i->spaces[space].err->text)
                                      : strbuf_take(&b);
    return worst;
}
