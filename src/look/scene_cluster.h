#pragma once

#include "look/scene.h"
#include "runtime/docker.h"
#include "runtime/kube.h"

/* What Docker and Kubernetes say, once in a look. Everything returned is the scene's. Errors as in
 * runtime/docker.h, runtime/kubeconfig.h and runtime/kube.h. Each call blocks at most about as long
 * as status.timeout_ms allows. All need ctx->cfg. */

/* The kind node's container as the config names it: kind.node, else <kind.cluster>-control-plane,
 * else NULL: there is none. To be freed. */
char *scene_node_name(const struct ctx *ctx);

struct err *scene_docker(struct ctx *ctx, struct scene *s, const struct docker_info **ret,
                         const char **ret_version) MUST_CHECK;
struct err *scene_node(struct ctx *ctx, struct scene *s, const struct docker_inspect **ret)
    MUST_CHECK;
/* The mounts that the node's first process sees. ERR_NOTFOUND: the node does not run. */
struct err *scene_node_mounts(struct ctx *ctx, struct scene *s, const struct mounts **ret)
    MUST_CHECK;

struct err *scene_kube_access(struct ctx *ctx, struct scene *s, const struct kube_access **ret)
    MUST_CHECK;
/* kubernetes.deployment in kubernetes.namespace, and its pods. */
struct err *scene_deployment(struct ctx *ctx, struct scene *s, const struct kube_deployment **ret)
    MUST_CHECK;
struct err *scene_pods(struct ctx *ctx, struct scene *s, const struct kube_pods **ret) MUST_CHECK;
struct err *scene_pvs(struct ctx *ctx, struct scene *s, const struct kube_pvs **ret) MUST_CHECK;
struct err *scene_pvcs(struct ctx *ctx, struct scene *s, const struct kube_pvcs **ret) MUST_CHECK;
/* The node that the pod runs on, else the one that the kind node's container is. */
struct err *scene_kube_node(struct ctx *ctx, struct scene *s, const struct kube_node **ret)
    MUST_CHECK;
