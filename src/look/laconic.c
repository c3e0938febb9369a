/* laconic-so's deployment folder, as its own code reads it: host paths below kind-mount-root appear
 * below /mnt in the node, the others at /mnt/<volume> each. What kind was told (kind-config.yml)
 * wins over what it should have been told, and the difference is noted. Nothing is written. */
#include "look/laconic.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/yaml.h"
#include "io/fsroot.h"

#define DEPLOYMENTS "/srv/deployments"
#define SPEC        "spec.yml"
#define DEPLOYMENT  "deployment.yml"
#define KIND        "kind-config.yml"
#define NODE_ROOT   "/mnt"
#define FILE_MAX_B  (256 << 10)
#define VOLUMES_MAX 256
#define NAME_MAX_B  63 /* of a DNS label: it becomes part of one */

void laconic_clear(struct laconic *l)
{
    for (size_t i = 0; i < l->n_volumes; i++) {
        free(l->volumes[i].name);
        free(l->volumes[i].host);
        free(l->volumes[i].node);
    }
    for (size_t i = 0; i < l->n_mounts; i++) {
        free(l->mounts[i].host);
        free(l->mounts[i].node);
        free(l->mounts[i].propagation);
    }
    free(l->volumes);
    free(l->mounts);
    free(l->dir);
    free(l->cluster);
    free(l->kind_root);
    strlist_clear(&l->flags);
    strlist_clear(&l->notes);
    *l = (struct laconic){0};
}

char *laconic_namespace(const struct laconic *l)
{
    return xasprintf("laconic-%s", l->cluster);
}

char *laconic_deployment(const struct laconic *l)
{
    return xasprintf("%s-deployment", l->cluster);
}

char *laconic_node(const struct laconic *l)
{
    return xasprintf("%s-control-plane", l->cluster);
}

const struct laconic_volume *laconic_volume(const struct laconic *l, const char *name)
{
    for (size_t i = 0; i < l->n_volumes; i++)
        if (str_eq(l->volumes[i].name, name))
            return &l->volumes[i];
    return NULL;
}

static struct err *bad(const char *file, int line, const char *what, const char *text)
{
    AUTO(freep) char *shown = str_shown(text, 100);

    return err_new(ERR_BADINPUT, "%s:%d: '%s' %s", file, line, shown, what);
}

/* A scalar that says something, or *ret NULL when it is "key:" alone. */
static struct err *text_of(const char *file, const struct yaml_node *n, const char **ret)
{
    if (n->kind != YAML_SCALAR)
        return bad(file, n->key ? n->key_line : n->line, "must be one value",
                   n->key ? n->key : "item");
    bool none = !n->quoted && (!*n->text || str_eq(n->text, "~") || str_eq(n->text, "null"));
    if (str_has_control(n->text))
        return bad(file, n->line, "has control characters", n->text);
    *ret = none ? NULL : n->text;
    return NULL;
}

/* Cluster ids and volume names end in names of containers and Kubernetes objects. */
static struct err *check_name(const char *file, int line, const char *name)
{
    size_t n = strlen(name);

    if (!n || n > NAME_MAX_B || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != n ||
        *name == '-' || name[n - 1] == '-')
        return bad(file, line, "is not a name (a-z, 0-9 and '-', at most 63)", name);
    return NULL;
}

/* An absolute path in its shortest form; "./x" is relative to the deployment folder, which base
 * is (NULL: a relative one is refused). */
static struct err *path_of(const char *file, const struct yaml_node *n, const char *base,
                           const char *text, char **ret)
{
    AUTO(strbuf_clear) struct strbuf b = {0};
    const char *p = text;

    if (*text != '/' && !base)
        return bad(file, n->line, "is not an absolute path", text);
    if (*text != '/')
        strbuf_puts(&b, base);
    while (*(p += strspn(p, "/"))) {
        size_t part = strcspn(p, "/");

        if (part == 2 && p[0] == '.' && p[1] == '.')
            return bad(file, n->line, "must not contain '..'", text);
        if (part != 1 || *p != '.')
            strbuf_printf(&b, "/%.*s", (int)part, p);
        p += part;
    }
    *ret = b.len ? strbuf_take(&b) : xstrdup("/");
    return NULL;
}

/* Keys that laconic-so knows are skipped in silence; another one is noted, and one that looks like
 * a slip of the pen is an error: what it was meant to say would be missing without a word. */
static struct err *check_keys(const char *file, const struct yaml_node *map,
                              const char *const *known, struct laconic *l)
{
    for (size_t i = 0; i < map->n; i++) {
        const struct yaml_node *n = map->items[i];
        const char *near = NULL;
        bool found = false;

        for (size_t k = 0; known[k] && !found; k++)
            found = str_eq(known[k], n->key);
        if (found)
            continue;
        near = str_nearest(n->key, known);
        if (near && !yaml_get(map, near)) {
            AUTO(freep) char *shown = str_shown(n->key, 60);
            return err_new(ERR_BADINPUT, "%s:%d: unknown key '%s'; did you mean '%s'?", file,
                           n->key_line, shown, near);
        }
        AUTO(freep) char *shown = str_shown(n->key, 60);
        strlist_addf(&l->notes, "%s:%d: key '%s' is not known to this version and was not used",
                     file, n->key_line, shown);
    }
    return NULL;
}

static struct err *need_map(const char *file, const struct yaml_node *n, const char *what)
{
    return n->kind == YAML_MAP
               ? NULL
               : err_new(ERR_BADINPUT, "%s:%d: %s must be a map", file, n->line, what);
}

static struct err *add_volume(const struct yaml_node *n, const char *base, struct laconic *l)
{
    struct laconic_volume *v = &l->volumes[l->n_volumes];
    const char *text = NULL;

    TRY(check_name(SPEC, n->key_line, n->key));
    TRY(text_of(SPEC, n, &text));
    *v = (struct laconic_volume){.line = n->key_line};
    if (text && *text)
        TRY(path_of(SPEC, n, base, text, &v->host));
    v->name = xstrdup(n->key);
    l->n_volumes++;
    return NULL;
}

static struct err *read_volumes(const struct yaml_node *map, const char *base, struct laconic *l)
{
    if (!map || (map->kind == YAML_SCALAR && !*map->text))
        return NULL;
    TRY(need_map(SPEC, map, "volumes"));
    if (map->n > VOLUMES_MAX)
        return err_new(ERR_BADINPUT, "%s:%d: more than %d volumes", SPEC, map->line, VOLUMES_MAX);
    l->volumes = xcalloc(map->n + 1, sizeof(*l->volumes));
    for (size_t i = 0; i < map->n; i++)
        TRY(add_volume(map->items[i], base, l));
    return NULL;
}

/* "--limit-ledger-size 50000000" among the container's environment: the validator's flags. Words
 * only; quotes and escapes are a shell's business, and such a value is left alone. */
static void add_flags(const char *text, struct laconic *l)
{
    const char *p = str_starts(text, "--") ? text : NULL;

    if (!p || strpbrk(text, "\"'\\$`"))
        return;
    while (*(p += strspn(p, " "))) {
        size_t n = strcspn(p, " ");
        AUTO(freep) char *word = xstrndup(p, n);

        strlist_add(&l->flags, word);
        p += n;
    }
}

static struct err *read_config(const struct yaml_node *map, struct laconic *l)
{
    if (!map || map->kind == YAML_SCALAR)
        return NULL;
    TRY(need_map(SPEC, map, "config"));
    for (size_t i = 0; i < map->n; i++) {
        const char *text = NULL;

        TRY(text_of(SPEC, map->items[i], &text));
        if (text)
            add_flags(text, l);
    }
    return NULL;
}

static struct err *read_spec(struct laconic_text t, const char *base, struct laconic *l)
{
    static const char *const known[] = {
        "stack",     "deploy-to",       "network",          "volumes",         "configmaps",
        "resources", "security",        "config",           "annotations",     "labels",
        "replicas",  "image-registry",  "namespace",        "secrets",         "kind-mount-root",
        "env",       "node-affinities", "node-tolerations", "image-overrides", NULL};
    AUTO(yaml_tree_freep) struct yaml_node *root = NULL;
    const struct yaml_node *n;

    TRY(yaml_parse(t.text, t.n, SPEC, &root));
    TRY(need_map(SPEC, root, "the file"));
    TRY(check_keys(SPEC, root, known, l));
    n = yaml_get(root, "kind-mount-root");
    if (n) {
        const char *text = NULL;

        TRY(text_of(SPEC, n, &text));
        if (text)
            TRY(path_of(SPEC, n, NULL, text, &l->kind_root));
    }
    TRY(read_volumes(yaml_get(root, "volumes"), base, l));
    TRY(read_config(yaml_get(root, "config"), l));
    return read_config(yaml_get(root, "env"), l);
}

static struct err *read_deployment(struct laconic_text t, struct laconic *l)
{
    AUTO(yaml_tree_freep) struct yaml_node *root = NULL;
    const struct yaml_node *n;
    const char *text = NULL;

    TRY(yaml_parse(t.text, t.n, DEPLOYMENT, &root));
    TRY(need_map(DEPLOYMENT, root, "the file"));
    n = yaml_get(root, "cluster-id");
    if (n)
        TRY(text_of(DEPLOYMENT, n, &text));
    if (!text)
        return err_new(ERR_BADINPUT,
                       "%s:%d: no cluster-id: laconic-so writes one when it makes "
                       "the deployment folder",
                       DEPLOYMENT, n ? n->line : root->line);
    TRY(check_name(DEPLOYMENT, n->line, text));
    l->cluster = xstrdup(text);
    return NULL;
}

static struct err *path_member(const struct yaml_node *mount, const char *key, char **ret)
{
    const struct yaml_node *n = yaml_get(mount, key);
    const char *text = NULL;

    if (n)
        TRY(text_of(KIND, n, &text));
    if (!text || !*text)
        return err_new(ERR_BADINPUT, "%s:%d: a mount without %s", KIND, mount->line, key);
    return path_of(KIND, n, NULL, text, ret);
}

static struct err *add_mount(const struct yaml_node *n, struct laconic *l)
{
    struct laconic_mount *m = &l->mounts[l->n_mounts];
    const struct yaml_node *propagation;
    const char *text = NULL;

    TRY(need_map(KIND, n, "each of extraMounts"));
    *m = (struct laconic_mount){0};
    l->n_mounts++; /* what is there of it is cleared after a failure */
    TRY(path_member(n, "hostPath", &m->host));
    TRY(path_member(n, "containerPath", &m->node));
    propagation = yaml_get(n, "propagation");
    if (propagation)
        TRY(text_of(KIND, propagation, &text));
    if (text)
        m->propagation = xstrdup(text);
    return NULL;
}

static struct err *read_node(const struct yaml_node *node, struct laconic *l)
{
    const struct yaml_node *mounts;

    TRY(need_map(KIND, node, "each of nodes"));
    mounts = yaml_get(node, "extraMounts");
    if (!mounts)
        return NULL;
    if (mounts->kind != YAML_LIST || mounts->n > VOLUMES_MAX)
        return err_new(ERR_BADINPUT, "%s:%d: extraMounts must be a list of at most %d", KIND,
                       mounts->line, VOLUMES_MAX);
    l->mounts = xcalloc(mounts->n + 1, sizeof(*l->mounts));
    for (size_t i = 0; i < mounts->n; i++)
        TRY(add_mount(mounts->items[i], l));
    return NULL;
}

static struct err *read_kind(struct laconic_text t, struct laconic *l)
{
    AUTO(yaml_tree_freep) struct yaml_node *root = NULL;
    const struct yaml_node *kind, *nodes;

    TRY(yaml_parse(t.text, t.n, KIND, &root));
    TRY(need_map(KIND, root, "the file"));
    kind = yaml_get(root, "kind");
    if (!kind || kind->kind != YAML_SCALAR || !str_eq(kind->text, "Cluster"))
        return err_new(ERR_BADINPUT, "%s:%d: not a Cluster config of kind", KIND, root->line);
    l->has_kind = true;
    nodes = yaml_get(root, "nodes");
    if (!nodes)
        return NULL; /* one node without mounts */
    if (nodes->kind != YAML_LIST)
        return err_new(ERR_BADINPUT, "%s:%d: nodes must be a list", KIND, nodes->line);
    /* Only the first node has our mounts: with a second, where the pod runs is not known. */
    if (nodes->n > 1)
        strlist_addf(&l->notes, "%s:%d: the cluster has %zu nodes; only the first was looked at",
                     KIND, nodes->line, nodes->n);
    return nodes->n ? read_node(nodes->items[0], l) : NULL;
}

/* What follows dir in path: "" for dir itself, NULL when it is not below. */
static const char *below(const char *path, const char *dir)
{
    size_t n = str_eq(dir, "/") ? 0 : strlen(dir);

    if (strncmp(path, dir, n) != 0 || (path[n] != '/' && path[n]))
        return NULL;
    return str_eq(path, "/") ? "" : path + n;
}

/* As laconic-so translates it when it makes the PV. */
static char *node_by_rule(const struct laconic *l, const struct laconic_volume *v)
{
    const char *rest = l->kind_root ? below(v->host, l->kind_root) : NULL;

    return rest ? xasprintf(NODE_ROOT "%s", rest) : xasprintf(NODE_ROOT "/%s", v->name);
}

/* As kind was told to mount it; NULL: not at all. The longest mount wins, as in the kernel. */
static char *node_by_kind(const struct laconic *l, const struct laconic_volume *v)
{
    const struct laconic_mount *best = NULL;
    const char *rest = NULL;

    for (size_t i = 0; i < l->n_mounts; i++) {
        const char *r = below(v->host, l->mounts[i].host);

        if (r && (!best || strlen(l->mounts[i].host) >= strlen(best->host))) {
            best = &l->mounts[i];
            rest = r;
        }
    }
    if (!best)
        return NULL;
    return xasprintf("%s%s", str_eq(best->node, "/") && *rest ? "" : best->node, rest);
}

static void place_volumes(struct laconic *l)
{
    for (size_t i = 0; i < l->n_volumes; i++) {
        struct laconic_volume *v = &l->volumes[i];

        if (!v->host)
            continue;
        char *rule = node_by_rule(l, v), *kind = node_by_kind(l, v);

        if (l->has_kind && !kind)
            strlist_addf(&l->notes,
                         "%s:%d: volume '%s' is at '%s', which no extraMount of %s holds: the node "
                         "does not see it",
                         SPEC, v->line, v->name, v->host, KIND);
        else if (kind && !str_eq(rule, kind))
            strlist_addf(
                &l->notes,
                "%s:%d: volume '%s' ('%s') should be at '%s' in the node, and %s mounts it "
                "at '%s'",
                SPEC, v->line, v->name, v->host, rule, KIND, kind);
        v->node = rule; /* the PV says this, whatever the node has there */
        free(kind);
    }
}

static struct err *parse(struct laconic_text spec, struct laconic_text deployment,
                         const struct laconic_text *kind, const char *base, struct laconic *l)
{
    TRY(read_spec(spec, base, l));
    TRY(read_deployment(deployment, l));
    if (kind)
        TRY(read_kind(*kind, l));
    place_volumes(l);
    return NULL;
}

struct err *laconic_parse(struct laconic_text spec, struct laconic_text deployment,
                          const struct laconic_text *kind, struct laconic *ret)
{
    AUTO(laconic_clear) struct laconic l = {0};

    TRY(parse(spec, deployment, kind, NULL, &l));
    *ret = l;
    l = (struct laconic){0};
    return NULL;
}

/* One of the files, without following a link in its place. */
static struct err *read_file(struct ctx *ctx, const char *dir, const char *name, char **ret,
                             size_t *ret_n)
{
    AUTO(freep) char *path = xasprintf("%s/%s", dir, name);
    AUTO(freep) char *link = NULL;
    AUTO(closep) int fd = -1;
    struct stat st;

    struct err *e =
        fsroot_openat(ctx->root, path, O_RDONLY | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0, &fd);
    if (e && e->kind == ERR_SYS && e->sys == ELOOP) {
        err_free(e);
        return err_new(ERR_REFUSED,
                       "'%s' is a symbolic link; a deployment folder has files of its own", path);
    }
    TRY(e);
    if (fstat(fd, &st) < 0)
        return err_sys(errno, "cannot stat '%s'", path);
    if (!S_ISREG(st.st_mode))
        return err_new(ERR_REFUSED, "'%s' is not a regular file", path);
    AUTO(strbuf_clear) struct strbuf text = {0};
    for (;;) {
        char piece[16384];
        ssize_t n = read(fd, piece, sizeof(piece));

        if (n < 0)
            return err_sys(errno, "cannot read '%s'", path);
        if (n == 0)
            break;
        strbuf_add(&text, piece, (size_t)n);
        if (text.len > FILE_MAX_B)
            return err_new(ERR_BADINPUT, "'%s' is larger than %d KiB", path, FILE_MAX_B >> 10);
    }
    *ret_n = text.len;
    *ret = strbuf_take(&text);
    return NULL;
}

struct err *laconic_load(struct ctx *ctx, const char *dir, struct laconic *ret)
{
    AUTO(laconic_clear) struct laconic l = {0};
    AUTO(freep) char *spec = NULL;
    AUTO(freep) char *deployment = NULL;
    AUTO(freep) char *kind = NULL;
    struct laconic_text s = {0}, d = {0}, k = {0};

    TRY(read_file(ctx, dir, SPEC, &spec, &s.n));
    TRY(read_file(ctx, dir, DEPLOYMENT, &deployment, &d.n));
    struct err *e = read_file(ctx, dir, KIND, &kind, &k.n);
    if (e && e->kind == ERR_NOTFOUND)
        strlist_addf(&l.notes, "%s: not there; what the node mounts is taken from " SPEC, KIND);
    if (e && e->kind == ERR_NOTFOUND)
        e = err_free(e);
    TRY(e);
    s.text = spec;
    d.text = deployment;
    k.text = kind;
    TRY_CTX(parse(s, d, kind ? &k : NULL, dir, &l), "%s", dir);
    l.dir = xstrdup(dir);
    *ret = l;
    l = (struct laconic){0};
    return NULL;
}

static struct err *is_deployment(struct ctx *ctx, const char *dir, bool *ret)
{
    static const char *const names[] = {SPEC, DEPLOYMENT};

    *ret = false;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO(freep) char *path = xasprintf("%s/%s", dir, names[i]);
        struct stat st;
        struct err *e = fsroot_stat(ctx->root, path, &st);
        bool absent = e && (e->kind == ERR_NOTFOUND || e->sys == ENOTDIR);

        if (absent) {
            err_free(e);
            return NULL;
        }
        TRY(e);
    }
    *ret = true;
    return NULL;
}

struct err *laconic_find(struct ctx *ctx, struct strlist *ret)
{
    AUTO(strlist_clear) struct strlist names = {0};
    struct err *e = fsroot_list(ctx->root, DEPLOYMENTS, &names);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    for (size_t i = 0; i < names.n; i++) {
        AUTO(freep) char *dir = xasprintf(DEPLOYMENTS "/%s", names.items[i]);
        bool is = false;

        TRY(is_deployment(ctx, dir, &is));
        if (is)
            strlist_add(ret, dir);
    }
    return NULL;
}
