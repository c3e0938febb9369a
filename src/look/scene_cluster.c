/* Docker's and Kubernetes' part of a scene. Each answer is asked for once, and what it needs before
 * it: the pod list needs the Deployment's selector, everything of Kubernetes the kubeconfig. */
#include "look/scene_cluster.h"

#include <stdlib.h>

#include "base/str.h"
#include "config/config.h"
#include "io/fsroot.h"
#include "look/scene_parts.h"

void scene_clear_cluster(struct scene *s)
{
    struct asked *const all[] = {
        &s->docker_asked, &s->node_asked,       &s->node_mounts_asked,
        &s->kube_asked,   &s->deployment_asked, &s->pods_asked,
        &s->pvs_asked,    &s->pvcs_asked,       &s->kube_node_asked,
    };

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        err_free(all[i]->err);
    err_free(s->docker_met);
    err_free(s->kube_silent);
    docker_info_clear(&s->docker_info);
    docker_inspect_clear(&s->node);
    mounts_clear(&s->node_mounts);
    kube_access_clear(&s->access);
    kube_deployment_clear(&s->deployment);
    kube_pods_clear(&s->pods);
    kube_pvs_clear(&s->pvs);
    kube_pvcs_clear(&s->pvcs);
    kube_node_clear(&s->kube_node);
}

char *scene_node_name(const struct ctx *ctx)
{
    if (*ctx->cfg->kind.node)
        return xstrdup(ctx->cfg->kind.node);
    return *ctx->cfg->kind.cluster ? xasprintf("%s-control-plane", ctx->cfg->kind.cluster) : NULL;
}

static struct err *gather_docker(struct ctx *ctx, struct scene *s)
{
    if (!*ctx->cfg->docker.socket)
        return err_new(ERR_ABSENT, "docker.socket is empty: there is no Docker to ask");
    scene_meet(ctx, s, PARTY_DOCKER);
    TRY(err_copy(s->docker_met));
    return docker_get_info(ctx, &s->docker, &s->docker_info);
}

struct err *scene_docker(struct ctx *ctx, struct scene *s, const struct docker_info **ret,
                         const char **ret_version)
{
    TRY(scene_once(ctx, s, &s->docker_asked, gather_docker));
    *ret = &s->docker_info;
    *ret_version = s->docker.version;
    return NULL;
}

static struct err *gather_node(struct ctx *ctx, struct scene *s)
{
    AUTO(freep) char *name = scene_node_name(ctx);

    if (!name)
        return err_new(ERR_ABSENT, "the config names no kind node");
    TRY(scene_once(ctx, s, &s->docker_asked, gather_docker));
    return docker_inspect(ctx, &s->docker, name, &s->node);
}

struct err *scene_node(struct ctx *ctx, struct scene *s, const struct docker_inspect **ret)
{
    TRY(scene_once(ctx, s, &s->node_asked, gather_node));
    *ret = &s->node;
    return NULL;
}

static struct err *gather_node_mounts(struct ctx *ctx, struct scene *s)
{
    TRY(scene_once(ctx, s, &s->node_asked, gather_node));
    if (!s->node.running || s->node.pid <= 0)
        return err_new(ERR_NOTFOUND, "the kind node '%s' does not run", s->node.name);
    return mounts_read_of(ctx, s->node.pid, &s->node_mounts);
}

struct err *scene_node_mounts(struct ctx *ctx, struct scene *s, const struct mounts **ret)
{
    TRY(scene_once(ctx, s, &s->node_mounts_asked, gather_node_mounts));
    *ret = &s->node_mounts;
    return NULL;
}

static const char *or_null(const char *text)
{
    return text && *text ? text : NULL;
}

static struct err *gather_kube(struct ctx *ctx, struct scene *s)
{
    bool here = !fsroot_captured(ctx->root); /* our environment says nothing about another host */
    const struct kubeconfig_places where = {
        .env = here ? or_null(getenv("KUBECONFIG")) : NULL,
        .config = or_null(ctx->cfg->kubernetes.kubeconfig),
        .sudo_uid = here ? or_null(getenv("SUDO_UID")) : NULL,
        .deployment = or_null(ctx->cfg->laconic.deployment_dir),
    };
    AUTO(kubeconfig_paths_clear) struct kubeconfig_paths paths = {0};

    TRY(kubeconfig_find(ctx, &where, &paths));
    TRY(kubeconfig_load(ctx, &paths, or_null(ctx->cfg->kubernetes.context), &s->access));
    s->kube =
        (struct kube){.access = &s->access, .timeout_ms = (uint32_t)ctx->cfg->status.timeout_ms};
    return NULL;
}

struct err *scene_kube_access(struct ctx *ctx, struct scene *s, const struct kube_access **ret)
{
    TRY(scene_once(ctx, s, &s->kube_asked, gather_kube));
    *ret = &s->access;
    return NULL;
}

/* Before every question but the first. */
static struct err *reach_kube(struct ctx *ctx, struct scene *s)
{
    scene_meet(ctx, s, PARTY_KUBE);
    TRY(scene_once(ctx, s, &s->kube_asked, gather_kube));
    return err_copy(s->kube_silent);
}

static struct err *gather_deployment(struct ctx *ctx, struct scene *s)
{
    TRY(reach_kube(ctx, s));
    return scene_heard(s, kube_get_deployment(ctx, &s->kube, ctx->cfg->kubernetes.namespace,
                                              ctx->cfg->kubernetes.deployment, &s->deployment));
}

struct err *scene_deployment(struct ctx *ctx, struct scene *s, const struct kube_deployment **ret)
{
    TRY(scene_once(ctx, s, &s->deployment_asked, gather_deployment));
    *ret = &s->deployment;
    return NULL;
}

static struct err *gather_pods(struct ctx *ctx, struct scene *s)
{
    TRY(scene_once(ctx, s, &s->deployment_asked, gather_deployment));
    TRY(reach_kube(ctx, s));
    return scene_heard(s, kube_list_pods(ctx, &s->kube, ctx->cfg->kubernetes.namespace,
                                         s->deployment.selector, &s->pods));
}

struct err *scene_pods(struct ctx *ctx, struct scene *s, const struct kube_pods **ret)
{
    TRY(scene_once(ctx, s, &s->pods_asked, gather_pods));
    *ret = &s->pods;
    return NULL;
}

struct err *scene_pvs(struct ctx *ctx, struct scene *s, const struct kube_pvs **ret)
{
    scene_meet(ctx, s, PARTY_KUBE);
    TRY(err_copy(s->pvs_asked.err));
    *ret = &s->pvs;
    return NULL;
}

static struct err *gather_pvcs(struct ctx *ctx, struct scene *s)
{
    TRY(reach_kube(ctx, s));
    return scene_heard(s, kube_list_pvcs(ctx, &s->kube, ctx->cfg->kubernetes.namespace, &s->pvcs));
}

struct err *scene_pvcs(struct ctx *ctx, struct scene *s, const struct kube_pvcs **ret)
{
    TRY(scene_once(ctx, s, &s->pvcs_asked, gather_pvcs));
    *ret = &s->pvcs;
    return NULL;
}

static struct err *gather_kube_node(struct ctx *ctx, struct scene *s)
{
    AUTO(freep) char *name = NULL;

    TRY(scene_once(ctx, s, &s->pods_asked, gather_pods));
    if (s->pods.n && s->pods.items[0].spec.node)
        name = xstrdup(s->pods.items[0].spec.node);
    else
        name = scene_node_name(ctx);
    if (!name)
        return err_new(ERR_ABSENT, "no pod runs and the config names no kind node");
    TRY(reach_kube(ctx, s));
    return scene_heard(s, kube_get_node(ctx, &s->kube, name, &s->kube_node));
}

struct err *scene_kube_node(struct ctx *ctx, struct scene *s, const struct kube_node **ret)
{
    TRY(scene_once(ctx, s, &s->kube_node_asked, gather_kube_node));
    *ret = &s->kube_node;
    return NULL;
}
