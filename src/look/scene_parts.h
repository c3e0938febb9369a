#pragma once

#include "look/scene.h"
#include "look/scene_cluster.h"
#include "look/scene_firewall.h"
#include "look/status.h"

/* The inside of a scene: for the files that fill it. */

/* Was it asked for, and how did that end? */
struct asked {
    bool done;
    struct err *err;
};
/* Calls gather the first time, and returns a copy of how that ended every time. */
struct err *scene_once(struct ctx *ctx, struct scene *s, struct asked *a,
                       struct err *(*gather)(struct ctx *ctx, struct scene *s)) MUST_CHECK;

struct scene {
    struct asked mounts_asked;
    struct mounts mounts;
    struct asked validator_asked;
    struct pids validator;

    /* scene_cluster.c */
    struct asked docker_asked, node_asked, node_mounts_asked;
    struct docker docker;
    struct docker_info docker_info;
    struct docker_inspect node;
    struct mounts node_mounts;
    struct asked kube_asked, deployment_asked, pods_asked, pvs_asked, pvcs_asked, kube_node_asked;
    struct kube_access access;
    struct kube kube;
    struct kube_deployment deployment;
    struct kube_pods pods;
    struct kube_pvs pvs;
    struct kube_pvcs pvcs;
    struct kube_node kube_node;

    /* scene_status.c */
    struct asked status_asked;
    struct status status;

    /* scene_firewall.c */
    struct asked firewall_asked;
    struct firewall firewall;
};
void scene_clear_cluster(struct scene *s);
void scene_clear_status(struct scene *s);
void scene_clear_firewall(struct scene *s);
