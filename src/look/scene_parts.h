#pragma once

#include "look/scene.h"
#include "look/scene_cluster.h"
#include "look/scene_contact.h"
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

/* Has this one, and all that are expected, asked the first question, unless that was done. Then
 * docker_met, pvs_asked and status_asked say how it ended. */
void scene_meet(struct ctx *ctx, struct scene *s, enum party who);
/* Returns e, the end of a question to the API server, and keeps it in mind when that was silent. */
struct err *scene_heard(struct scene *s, struct err *e) MUST_CHECK;

struct scene {
    struct asked mounts_asked;
    struct mounts mounts;
    struct asked validator_asked;
    struct pids validator;

    /* scene_contact.c */
    unsigned expected, met;  /* sets of enum party */
    struct err *docker_met;  /* how the first contact with Docker ended */
    struct err *kube_silent; /* the first question that the API server left without an answer */

    /* scene_cluster.c; pvs are asked for in scene_contact.c */
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

    /* scene_status.c; asked for in scene_contact.c */
    struct asked status_asked;
    struct status status;

    /* scene_firewall.c */
    struct asked firewall_asked;
    struct firewall firewall;
};
void scene_clear_cluster(struct scene *s);
void scene_clear_status(struct scene *s);
void scene_clear_firewall(struct scene *s);
