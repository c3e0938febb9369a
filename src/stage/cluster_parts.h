#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "look/scene.h"
#include "stage/finding.h"

/* The parts of stage cluster. Each reports what it finds and fails only when its own facts cannot
 * be had (which the stage turns into an UNKNOWN finding of that part). */
#define CLUSTER_LAYER 3

/* The Deployment, its pods and everything in them by which Kubernetes could kill the validator. */
struct err *cluster_unit_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
    MUST_CHECK;
/* Persistent volumes and claims against kubernetes.volumes. */
struct err *cluster_volumes_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
    MUST_CHECK;
/* The kubelet's own config, read from the node's files, and the node's conditions. */
struct err *cluster_kubelet_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
    MUST_CHECK;
