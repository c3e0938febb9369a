/* Layer 5: what is mounted on the host is what the kind node and the pod see. A mount that did not
 * get through fails silently: the pod writes into the empty folder below the mount point. Looked at
 * from the outside, through the tables of mounts of a process in each of them. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "config/config.h"
#include "io/fsroot.h"
#include "look/scene_cluster.h"
#include "stage/table.h"

#define LAYER 5

static bool propagation_enabled(const struct ctx *ctx)
{
    return ctx->cfg && (*ctx->cfg->kind.node || *ctx->cfg->kind.cluster) &&
           *ctx->cfg->storage.kind_root;
}

/* The node's /mnt must receive what is mounted below kind_root later. */
static struct err *check_receives(struct ctx *ctx, const struct mounts *node, pid_t pid,
                                  struct findings *ret)
{
    const char *mount = ctx->cfg->kind.mount;
    const struct mount_info *at = mounts_at(node, mount);
    AUTO(freep) char *source = xasprintf("/proc/%d/mountinfo", pid);

    if (!at) {
        finding_compare(findings_add(ret, "propagation.mount", LAYER, SEV_FAIL,
                                     "the kind node sees nothing mounted at '%s': it must be made "
                                     "again with '%s' as an extra mount",
                                     mount, ctx->cfg->storage.kind_root),
                        ctx->cfg->storage.kind_root, NULL, source);
        return NULL;
    }
    bool receives = at->master || at->shared;
    finding_compare(
        findings_add(ret, "propagation.receives", LAYER, receives ? SEV_OK : SEV_FAIL,
                     receives ? "what is mounted below '%s' later appears in the node's '%s'"
                              : "what is mounted below '%s' later does not appear in the node's "
                                "'%s': the extra mount needs propagation HostToContainer, and the "
                                "node must be made again after the validator is stopped with proof",
                     ctx->cfg->storage.kind_root, mount),
        "slave or shared", mount_propagation(at), source);
    return NULL;
}

/* A folder of the host as the node names it, or NULL when it is not below kind_root. */
static char *in_node(const struct config *c, const char *path)
{
    const char *bind = c->storage.bind, *root = c->storage.kind_root,
               *volume = c->storage.volume.mount;
    size_t root_n = strlen(root), volume_n = strlen(volume);

    if (strncmp(path, root, root_n) == 0 && (path[root_n] == '/' || !path[root_n]))
        return xasprintf("%s%s", c->kind.mount, path + root_n);
    /* The volume itself lies elsewhere and appears below kind_root through the bind. */
    if (*bind && strncmp(bind, root, root_n) == 0 && strncmp(path, volume, volume_n) == 0 &&
        (path[volume_n] == '/' || !path[volume_n]))
        return xasprintf("%s%s%s", c->kind.mount, bind + root_n, path + volume_n);
    return NULL;
}

/* Both tables lead to the same folder of the same file system? */
struct place {
    const char *host, *inner; /* paths */
    const char *who;          /* "the kind node", "the validator's pod" */
    const char *id;           /* of the finding */
    pid_t pid;
};

/* The part of a path below its mount. */
static const char *below(const struct mount_info *m, const char *path)
{
    size_t n = strlen(m->target);

    return str_eq(m->target, "/") ? path : path + n;
}

/* The folder of the file system that a path leads to: root of the mount and the rest. */
static char *inside(const struct mount_info *m, const char *path)
{
    return xasprintf("%s%s", str_eq(m->root, "/") ? "" : m->root, below(m, path));
}

static struct err *check_same(const struct mounts *host, const struct mounts *inner,
                              const struct place *p, struct findings *ret)
{
    const struct mount_info *a = mounts_over(host, p->host), *b = mounts_over(inner, p->inner);
    AUTO(freep) char *source = xasprintf("/proc/%d/mountinfo", p->pid);

    if (!a || !b)
        return err_new(ERR_CORRUPT, "a table of mounts has no root");
    AUTO(freep) char *at = inside(a, p->host);
    AUTO(freep) char *bt = inside(b, p->inner);
    bool same = a->major == b->major && a->minor == b->minor && str_eq(at, bt);
    AUTO(freep) char *want = xasprintf("%s %u:%u '%s'", a->fstype, a->major, a->minor, at);
    AUTO(freep) char *got = xasprintf("%s %u:%u '%s'", b->fstype, b->major, b->minor, bt);
    finding_compare(
        findings_add(ret, p->id, LAYER, same ? SEV_OK : SEV_FAIL,
                     same ? "%s sees '%s' as '%s'"
                          : "%s does not see '%s' at '%s' but another file system: nothing may be "
                            "started there; stop the validator with 'agavectl stop', then put the "
                            "mounts right",
                     p->who, p->host, p->inner),
        want, got, source);
    return NULL;
}

static struct err *check_node(struct ctx *ctx, struct scene *scene, const struct mounts *host,
                              struct findings *ret)
{
    const struct config *c = ctx->cfg;
    const char *const folders[] = {c->storage.volume.mount, c->storage.ramdisk.mount};
    const struct docker_inspect *node;
    const struct mounts *inner;

    TRY(scene_node(ctx, scene, &node));
    TRY(scene_node_mounts(ctx, scene, &inner));
    TRY(check_receives(ctx, inner, node->pid, ret));
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        AUTO(freep) char *path = in_node(c, folders[i]);

        if (!path || !mounts_at(host, folders[i]))
            continue; /* its own stage says so */
        struct place p = {folders[i], path, "the kind node", "propagation.node", node->pid};
        TRY(check_same(host, inner, &p, ret));
    }
    return NULL;
}

/* The value of one of its flags ("--ledger X", "--ledger=X"), or NULL. */
static const char *flag_of(const struct pid_info *p, const char *flag)
{
    size_t n = strlen(flag);

    for (char **a = p->argv; *a; a++) {
        if (str_eq(*a, flag) && a[1])
            return a[1];
        if (strncmp(*a, flag, n) == 0 && (*a)[n] == '=')
            return *a + n + 1;
    }
    return NULL;
}

static struct err *check_pod(struct ctx *ctx, struct scene *scene, const struct mounts *host,
                             struct findings *ret)
{
    const struct config *c = ctx->cfg;
    const struct {
        const char *flag, *path;
    } folders[] = {{"--ledger", c->validator.ledger},
                   {"--accounts", c->validator.accounts},
                   {"--snapshots", c->validator.snapshots}};
    AUTO(mounts_clear) struct mounts inner = {0};
    const struct pids *v;

    TRY(scene_validator(ctx, scene, &v));
    if (v->n == 0)
        return NULL; /* nobody is there to see anything; `unit` says so */
    struct err *e = mounts_read_of(ctx, v->items[0].id.pid, &inner);
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        const char *path = flag_of(&v->items[0], folders[i].flag);
        struct place p = {folders[i].path, path, "the validator", "propagation.pod",
                          v->items[0].id.pid};

        if (path && *path == '/')
            TRY(check_same(host, &inner, &p, ret));
    }
    return NULL;
}

static struct err *propagation_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    const struct mounts *host;

    TRY(scene_mounts(ctx, scene, &host));
    struct err *e = check_node(ctx, scene, host, ret);
    if (e) {
        findings_add(ret, "propagation.node", LAYER, SEV_UNKNOWN, "could not look: %s", e->text);
        err_free(e);
    }
    return check_pod(ctx, scene, host, ret);
}

static const char *const after[] = {"cluster", "bind", NULL};

const struct stage stage_propagation = {
    .name = "propagation",
    .summary = "kind node and pod see the host's mounts",
    .layer = 5,
    .after = after,
    .order_reason = "there must be a node, and mounts that it could see",
    .enabled = propagation_enabled,
    .asks = PARTY_DOCKER,
    .check = propagation_check,
};
