#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "runtime/kube.h"
#include "runtime/kube_pid1.h"

/* What way a stop of a pod must take. Decided from what was read of the live pod, since it is that
 * pod's grace, hooks and PID 1 that count, and not the template's. Nothing is asked or changed
 * here.
 *
 * The kubelet runs the preStop hook, then signals PID 1, and kills when the grace is over, which
 * counts from the deletion (Kubernetes 1.34, "Pod Lifecycle"). A grace that runs can only be made
 * shorter. So either there is enough of it from the beginning and the signal does no harm, or the
 * kubelet must not be there. */

/* Beyond what a stop may need, when the grace is ours to choose: nobody is killed while the stop
 * still waits. */
#define KUBE_WAY_SPARE_S 120

/* All borrowed; what is not said otherwise is of one look. */
struct kube_way_facts {
    uint32_t need_s; /* how long the validator may need to end */
    const char *api; /* why the API server cannot be asked; NULL: it answers */
    /* NULL only when it does not answer. */
    const struct kube_deployment *deployment;
    const struct kube_pod *pod; /* that runs the validator, or will; NULL: none lives */
    const char *container;      /* the validator's, by name; NULL: the first */
    size_t others;              /* more live pods of that Deployment */
    const char *rivals;         /* other Deployments that select these pods as well; NULL: none */
    const char *keepers;        /* of kube_keepers, or NULL */
    bool keepers_act;           /* they give it replicas again by themselves */
    const struct kube_node *node;
    size_t nodes;                 /* of the cluster */
    const struct kube_pid1 *pid1; /* NULL as KUBE_PID1_NONE */
    const char *kubelet; /* why the node's kubelet cannot be stopped from here; NULL: it can */
    int64_t left_s;      /* of a pod that is being deleted: at least so long until it is killed */
    /* Who may not do what, in the server's words (of a dry run); NULL: allowed, or not asked. */
    const char *no_scale, *no_delete, *no_cordon;
};

enum kube_way_kind {
    KUBE_WAY_NO_POD,  /* nothing runs: only the Deployment is seen to */
    KUBE_WAY_SCALE,   /* scale to 0, then ask */
    KUBE_WAY_DELETE,  /* cordon, delete with a grace that is enough, scale to 0, then ask */
    KUBE_WAY_KUBELET, /* kubelet away, ask, prove, scale to 0, kubelet back */
    KUBE_WAY_ENDING,  /* somebody else's deletion leaves enough time: scale to 0, ask */
    KUBE_WAY_LATE,    /* it does not: kubelet away at once where that can be done; scale, ask */
};
struct kube_way {
    enum kube_way_kind kind;
    bool cordon;  /* and uncordon with the proof in hand; a node that others cordoned is left */
    bool remove;  /* delete the pod, with grace_s */
    bool scale;   /* to 0: it wants replicas */
    bool kubelet; /* it is stopped first, and started when everything else is done */
    /* With the kubelet away: scale before the validator is asked, and not with the proof. The pod
     * would be replaced on another node, or is deleted already. */
    bool scale_early;
    int64_t grace_s;                        /* what the pod gets or has; -1: it does not matter */
    struct kube_meta deployment, pod, node; /* name, namespace, uid and generation alone; name NULL:
                                               none, or not known */
    char *text;                             /* what was read, what is done: one line */
    char *fix;                              /* what makes the next stop a plain one, or NULL */
    struct json *read;                      /* what was read, for the journal */
};
void kube_way_clear(struct kube_way *w);
const char *kube_way_name(enum kube_way_kind k);

/* ERR_REFUSED: it cannot be stopped safely as it is, and what to do about that. ret: {0}. */
struct err *kube_way_decide(const struct kube_way_facts *f, struct kube_way *ret) MUST_CHECK;

/* As runtime.h wants a way: "text", "instance" (the pod's UID), and the rest. To be freed. */
struct json *kube_way_json(const struct kube_way *w);
/* And back, without read. ret: {0}. ERR_CORRUPT. */
struct err *kube_way_from_json(const struct json *j, struct kube_way *ret) MUST_CHECK;

/* The signal that stops a container, by its spec; 0: a name that is not known. What an image says
 * (STOPSIGNAL) is not in the API: without a word of the spec it is SIGTERM. */
int kube_stop_signal(const struct kube_container *c);
