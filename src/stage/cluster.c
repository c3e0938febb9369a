/* Layer 3: the kind node runs with the right mount, its API answers, and nothing in Kubernetes can
 * kill the validator behind our back. */
#include <string.h>

#include "base/str.h"
#include "config/config.h"
#include "look/scene_cluster.h"
#include "stage/cluster_parts.h"
#include "stage/table.h"

static bool has_node(const struct ctx *ctx)
{
    return *ctx->cfg->kind.node || *ctx->cfg->kind.cluster;
}

static bool has_deployment(const struct ctx *ctx)
{
    return *ctx->cfg->kubernetes.namespace && *ctx->cfg->kubernetes.deployment;
}

static bool cluster_enabled(const struct ctx *ctx)
{
    return ctx->cfg && (has_node(ctx) || has_deployment(ctx));
}

static bool passes_on(const char *propagation)
{
    return str_eq(propagation, "rslave") || str_eq(propagation, "slave") ||
           str_eq(propagation, "rshared") || str_eq(propagation, "shared");
}

/* As Docker was told when the node was made; what the node really sees is stage propagation's. */
static void check_extra_mount(const struct ctx *ctx, const struct docker_inspect *node,
                              struct findings *ret)
{
    const struct config *c = ctx->cfg;
    const struct docker_mount *m = NULL;
    struct finding *f;

    for (size_t i = 0; i < node->n_mounts && !m; i++)
        if (str_eq(node->mounts[i].destination, c->kind.mount))
            m = &node->mounts[i];
    bool right = m && str_eq(m->source, c->storage.kind_root) && m->rw;
    f = findings_add(ret, "cluster.mount", CLUSTER_LAYER, right ? SEV_OK : SEV_FAIL,
                     right
                         ? "the node has '%s' as '%s'"
                         : "the node does not have '%s' at '%s', writable: extra mounts are fixed "
                           "when a node is made, so the cluster must be made again",
                     c->storage.kind_root, c->kind.mount);
    finding_compare(f, c->storage.kind_root, m ? m->source : NULL, "Docker's inspect of the node");
    f->blinds = !right; /* how a mount that is not there passes mounts on, for one */
    if (!right)
        return;
    bool passes = passes_on(m->propagation);
    f = findings_add(ret, "cluster.propagation", CLUSTER_LAYER, passes ? SEV_OK : SEV_FAIL,
                     passes ? "mounts made later below '%s' reach the node"
                            : "mounts made later below '%s' do not reach the node: its extra mount "
                              "needs 'propagation: HostToContainer', and the cluster must be made "
                              "again",
                     c->storage.kind_root);
    finding_compare(f, "rslave or rshared", m->propagation, "Docker's inspect of the node");
}

static void check_limits(const struct docker_inspect *node, struct findings *ret)
{
    if (node->memory_b) {
        char size[32];

        findings_add(ret, "cluster.node.memory", CLUSTER_LAYER, SEV_WARN,
                     "the node's container has a memory limit of %s of its own: at it the kernel "
                     "kills a process in it, most likely the validator",
                     fmt_size(node->memory_b, size, sizeof(size)));
    }
    if (node->oom_killed)
        findings_add(ret, "cluster.node.oom", CLUSTER_LAYER, SEV_WARN,
                     "Docker says that a process of the node was killed for lack of memory");
}

static struct err *check_node(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    const struct docker_inspect *node;
    AUTO(freep) char *name = scene_node_name(ctx);
    struct err *e = scene_node(ctx, scene, &node);

    if (e && e->kind == ERR_NOTFOUND) {
        err_free(e);
        findings_add(ret, "cluster.node", CLUSTER_LAYER, SEV_FAIL,
                     "there is no kind node '%s': the cluster is not made yet, or has another name "
                     "than kind.cluster says",
                     name)
            ->blinds = true;
        return NULL;
    }
    TRY(e);
    finding_compare(findings_add(ret, "cluster.node", CLUSTER_LAYER,
                                 node->running && !node->restarting ? SEV_OK : SEV_FAIL,
                                 "the kind node '%s' is %s", name,
                                 node->restarting ? "restarting again and again"
                                                  : (node->status ? node->status : "stopped")),
                    "running", node->status, "Docker's inspect of the node");
    check_extra_mount(ctx, node, ret);
    check_limits(node, ret);
    return NULL;
}

static void unknown(struct findings *ret, const char *id, struct err *e)
{
    if (!e)
        return;
    findings_add(ret, id, CLUSTER_LAYER, SEV_UNKNOWN, "could not look: %s", e->text);
    err_free(e);
}

/* A kubeconfig that is broken is said once, not for every question that needs it. */
static bool api_answers(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    const struct kube_access *access;
    const struct kube_pvs *pvs;
    struct err *e = scene_kube_access(ctx, scene, &access);

    if (e) {
        unknown(ret, "cluster.kubeconfig", e);
        return false;
    }
    if (access->loose)
        findings_add(ret, "cluster.kubeconfig", CLUSTER_LAYER, SEV_WARN,
                     "every user of this host can read the key in '%s': chmod 600 it",
                     access->path);
    e = scene_pvs(ctx, scene, &pvs);
    if (e) {
        unknown(ret, "cluster.api", e);
        return false;
    }
    finding_compare(
        findings_add(ret, "cluster.api", CLUSTER_LAYER, SEV_OK, "the API server answers"),
        "an answer", NULL, access->server);
    return true;
}

static struct err *cluster_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    if (has_node(ctx)) {
        unknown(ret, "cluster.node", check_node(ctx, scene, ret));
        unknown(ret, "cluster.kubelet", cluster_kubelet_check(ctx, scene, ret));
    }
    if (!has_deployment(ctx) || !api_answers(ctx, scene, ret))
        return NULL;
    unknown(ret, "cluster.deployment", cluster_unit_check(ctx, scene, ret));
    unknown(ret, "cluster.volumes", cluster_volumes_check(ctx, scene, ret));
    return NULL;
}

static const char *const after[] = {"docker", "volume", "bind", NULL};

const struct stage stage_cluster = {
    .name = "cluster",
    .summary = "the kind node, its API, and what could kill the validator there",
    .layer = CLUSTER_LAYER,
    .after = after,
    .order_reason =
        "the node is a container, and what it shows the validator must be mounted first",
    .enabled = cluster_enabled,
    .asks = PARTY_DOCKER | PARTY_KUBE,
    .check = cluster_check,
};
