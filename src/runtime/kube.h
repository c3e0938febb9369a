#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "io/http.h"
#include "runtime/kubeconfig.h"

/* What a Kubernetes API server says, read only: no call here changes anything. API of Kubernetes
 * 1.34 (apps/v1, core/v1; unchanged for years). Any cluster. Every answer is outside input: members
 * of a wrong type are ERR_REMOTE, members that are not there are 0, false or NULL. What an object
 * says of itself may be old: after a node's restart "Ready" stays true for a while. */
#define KUBE_TIMEOUT_MS 1000

/* Where and as whom; borrowed. */
struct kube {
    const struct kube_access *access;
    uint32_t timeout_ms; /* of each request; 0: KUBE_TIMEOUT_MS */
    /* How long a question is asked again while the server does not answer or says that it cannot
     * now (no connection, 429, 500, 502 to 504); 0: asked once. */
    uint32_t retry_ms;
    bool dry_run; /* of the changes alone (kube_change.h, kube_lease.h) */
};

/* All calls block at most retry_ms and timeout_ms, and where a credential plugin has to be asked
 * anew its time as well. ERR_REMOTE (cannot connect, TLS, an error or nonsense; remote: HTTP
 * status), ERR_REFUSED (401, 403; 409, see kube_change.h), ERR_NOTFOUND (404: no such object),
 * ERR_TIMEOUT, ERR_CANCELLED, ERR_BADINPUT (a name that can be no object's). */

/* What objects there are for us. */
enum kube_kind {
    KUBE_POD,
    KUBE_DEPLOYMENT,
    KUBE_NODE,
    KUBE_NAMESPACE,
    KUBE_PV,
    KUBE_PVC,
    KUBE_EVENT,
    KUBE_HPA,
    KUBE_LEASE,
    KUBE_CONFIG_MAP,
    KUBE_SERVICE,
    KUBE_SECRET,
    KUBE_SERVICE_ACCOUNT,
    KUBE_N_KINDS
};

/* Identity of an object at a moment: what a later change is made conditional on. */
struct kube_meta {
    char *name, *name_space; /* "" for objects of the cluster */
    char *uid, *resource_version;
    uint64_t generation;
    int64_t created_at;       /* seconds since 1970; 0: not said */
    bool deleting;            /* has a deletionTimestamp */
    int64_t deletion_grace_s; /* deletionGracePeriodSeconds; -1: not set */
    int64_t deletion_at;      /* deletionTimestamp: the end of that grace by the server's clock */
    char *owner_kind, *owner_name, *owner_uid; /* its controller, or NULL */
    struct strlist labels, annotations;        /* "key=value" */
    struct strlist finalizers;                 /* who has to agree before it can go */
};
void kube_meta_clear(struct kube_meta *m);
/* The value of a key in labels or annotations, or NULL; borrowed. */
const char *kube_value(const struct strlist *pairs, const char *key);

struct kube_probe {
    bool set;
    const char *how; /* static: "exec", "httpGet", "tcpSocket", "grpc", "other" */
    uint32_t initial_delay_s, period_s, timeout_s, failures,
        successes;   /* with the API's defaults */
    int64_t grace_s; /* its own terminationGracePeriodSeconds; -1: the pod's */
};
struct kube_volume_mount {
    char *volume, *path, *sub_path;
    char *propagation; /* "None", "HostToContainer", "Bidirectional"; NULL: None */
    bool read_only;
};
struct kube_container {
    char *name, *image;
    bool init; /* of initContainers */
    bool privileged;
    struct strlist command, args;
    struct kube_probe liveness, readiness, startup;
    uint64_t memory_limit_b, memory_request_b; /* 0: none */
    uint64_t cpu_limit_m;                      /* thousandths; 0: none */
    bool has_pre_stop;
    const char *pre_stop_how; /* static: "none", "exec", "httpGet", "sleep", "tcpSocket", "other" */
    struct strlist pre_stop;  /* the command of exec */
    uint64_t pre_stop_sleep_s; /* of sleep */
    char *stop_signal;         /* lifecycle.stopSignal, or NULL: the image's, else SIGTERM */
    struct kube_volume_mount *mounts;
    size_t n_mounts;
};
enum kube_volume_kind { KUBE_VOL_OTHER, KUBE_VOL_HOST_PATH, KUBE_VOL_CLAIM, KUBE_VOL_EMPTY_DIR };
struct kube_volume {
    char *name;
    enum kube_volume_kind kind;
    char *source;          /* path on the node, or name of the claim; else NULL */
    char *type;            /* of a hostPath: "", "Directory", "DirectoryOrCreate"... */
    bool in_memory;        /* emptyDir with medium Memory */
    uint64_t size_limit_b; /* emptyDir; 0: none */
};
struct kube_pod_spec {
    int64_t grace_s;      /* terminationGracePeriodSeconds, with the API's default of 30 */
    char *restart_policy; /* "Always", ... */
    char *node;           /* spec.nodeName, or NULL */
    char *priority_class;
    bool host_network, host_pid, share_process_namespace;
    struct kube_container *containers; /* the init containers first */
    size_t n_containers;
    struct kube_volume *volumes;
    size_t n_volumes;
};

struct kube_deployment {
    struct kube_meta meta;
    uint64_t replicas; /* wanted */
    uint64_t now, ready, available, updated;
    uint64_t
        observed_generation; /* below meta.generation: the controller has not seen the change */
    bool paused;
    char *strategy;          /* "Recreate", "RollingUpdate" */
    char *selector;          /* matchLabels as a label selector: "app=x,tier=y" */
    bool selector_whole;     /* false: it has matchExpressions as well, which selector leaves out */
    char *template_text;     /* spec.template as one line of JSON, for "did it change" */
    struct strlist managers; /* who has written parts of it (managedFields), each once */
    /* Who wrote spec.replicas last, and when: of those who write the Deployment itself. The scale
     * subresource (kubectl scale, an autoscaler, kube_scale) leaves no name: NULL. */
    char *replicas_by;
    int64_t replicas_at;
    struct kube_pod_spec spec;
};
void kube_deployment_clear(struct kube_deployment *d);
struct kube_deployments {
    struct kube_deployment *items;
    size_t n;
};
void kube_deployments_clear(struct kube_deployments *l);
/* name_space NULL: of all namespaces. selector as in kube_list_pods. */
struct err *kube_list_deployments(struct ctx *ctx, const struct kube *k, const char *name_space,
                                  const char *selector, struct kube_deployments *ret) MUST_CHECK;
struct err *kube_get_deployment(struct ctx *ctx, const struct kube *k, const char *name_space,
                                const char *name, struct kube_deployment *ret) MUST_CHECK;

enum kube_run { KUBE_RUN_NONE, KUBE_RUN_WAITING, KUBE_RUN_RUNNING, KUBE_RUN_TERMINATED };
struct kube_run_state {
    enum kube_run kind;
    char *reason;      /* "CrashLoopBackOff", "OOMKilled", "Error"... or NULL */
    int64_t exit_code; /* TERMINATED */
    int64_t signal;
    int64_t started_at, finished_at; /* seconds since 1970; 0: not said */
};
struct kube_container_status {
    char *name, *image;
    char *container_id; /* "containerd://…", or NULL */
    bool init, ready, started;
    uint64_t restarts;
    struct kube_run_state state, last;
};
struct kube_pod {
    struct kube_meta meta;
    char *phase;  /* "Pending", "Running", "Succeeded", "Failed", "Unknown" */
    char *reason; /* "Evicted", "NodeLost"... or NULL */
    char *pod_ip, *host_ip;
    char *qos; /* "Guaranteed", "Burstable", "BestEffort" */
    int64_t started_at;
    bool ready; /* its Ready condition is True */
    struct kube_pod_spec spec;
    struct kube_container_status *statuses; /* the init containers first */
    size_t n_statuses;
};
struct kube_pods {
    struct kube_pod *items;
    size_t n;
};
void kube_pods_clear(struct kube_pods *p);
void kube_pod_clear(struct kube_pod *p);
struct err *kube_get_pod(struct ctx *ctx, const struct kube *k, const char *name_space,
                         const char *name, struct kube_pod *ret) MUST_CHECK;
/* selector: a label selector ("app=x"); NULL: all pods of the namespace. None is an empty list. */
struct err *kube_list_pods(struct ctx *ctx, const struct kube *k, const char *name_space,
                           const char *selector, struct kube_pods *ret) MUST_CHECK;

struct kube_pv {
    struct kube_meta meta;
    char *phase; /* "Available", "Bound", "Released", "Failed" */
    char *storage_class, *reclaim_policy;
    char *host_path, *host_path_type; /* NULL: no hostPath volume */
    char *claim_namespace, *claim;    /* NULL: bound to none */
    uint64_t capacity_b;
};
struct kube_pvs {
    struct kube_pv *items;
    size_t n;
};
void kube_pvs_clear(struct kube_pvs *p);
struct err *kube_list_pvs(struct ctx *ctx, const struct kube *k, struct kube_pvs *ret) MUST_CHECK;
/* Its two halves, for a caller that asks others at the same moment: the question (to be cleared;
 * borrows from k->access, with which nothing else may be asked until it is answered), and what
 * became of it. r->err is handed over, the rest of r stays the caller's. Neither blocks. */
void kube_ask_pvs(const struct kube *k, struct http_question *ret);
struct err *kube_take_pvs(const struct kube *k, const struct http_question *q,
                          struct http_response *r, struct kube_pvs *ret) MUST_CHECK;

struct kube_pvc {
    struct kube_meta meta;
    char *phase;  /* "Pending", "Bound", "Lost" */
    char *volume; /* name of the PV, or NULL */
    char *storage_class;
};
struct kube_pvcs {
    struct kube_pvc *items;
    size_t n;
};
void kube_pvcs_clear(struct kube_pvcs *p);
struct err *kube_list_pvcs(struct ctx *ctx, const struct kube *k, const char *name_space,
                           struct kube_pvcs *ret) MUST_CHECK;
/* Where a claim or a hostPath volume of a pod lies on its node, or NULL: borrowed. */
const char *kube_volume_path(const struct kube_volume *v, const char *name_space,
                             const struct kube_pvs *pvs, const struct kube_pvcs *pvcs);

struct kube_condition {
    char *type;      /* "Ready", "MemoryPressure", "DiskPressure", "PIDPressure"... */
    char *status;    /* "True", "False", "Unknown" */
    char *reason;    /* or NULL */
    char *message;   /* or NULL */
    int64_t beat_at; /* lastHeartbeatTime, seconds since 1970 */
};
void kube_conditions_free(struct kube_condition *items, size_t n);
struct kube_node {
    struct kube_meta meta;
    bool cordoned;
    char *internal_ip, *hostname;
    char *kubelet_version;
    uint64_t memory_b, memory_allocatable_b;
    struct kube_condition *conditions;
    size_t n_conditions;
    struct strlist taints; /* "key=value:NoSchedule" */
};
void kube_node_clear(struct kube_node *n);
struct err *kube_get_node(struct ctx *ctx, const struct kube *k, const char *name,
                          struct kube_node *ret) MUST_CHECK;
const struct kube_condition *kube_node_condition(const struct kube_node *n, const char *type);

/* "v1.34.4"; to be freed. The cheapest call: does it answer, and to us? */
struct err *kube_get_version(struct ctx *ctx, const struct kube *k, char **ret) MUST_CHECK;

/* A namespace, and why one that is to be deleted is still there. */
struct kube_namespace {
    struct kube_meta meta;
    char *phase; /* "Active", "Terminating" */
    struct kube_condition *conditions;
    size_t n_conditions;
};
void kube_namespace_clear(struct kube_namespace *n);
struct err *kube_get_namespace(struct ctx *ctx, const struct kube *k, const char *name,
                               struct kube_namespace *ret) MUST_CHECK;
/* What holds it up: the messages of its conditions that are True, or NULL. To be freed. */
char *kube_namespace_stuck(const struct kube_namespace *n);

/* What happened to an object, the oldest first. */
struct kube_event {
    char *type;             /* "Normal", "Warning" */
    char *reason, *message; /* or NULL */
    char *by;               /* component that says so, or NULL */
    uint64_t count;
    int64_t last_at; /* seconds since 1970 */
};
struct kube_events {
    struct kube_event *items;
    size_t n;
};
void kube_events_clear(struct kube_events *l);
/* Of the object with that uid. */
struct err *kube_list_events(struct ctx *ctx, const struct kube *k, const char *name_space,
                             const char *uid, struct kube_events *ret) MUST_CHECK;

struct kube_hpa {
    struct kube_meta meta;
    char *target_kind, *target;
    uint64_t min, max; /* replicas */
};
struct kube_hpas {
    struct kube_hpa *items;
    size_t n;
};
void kube_hpas_clear(struct kube_hpas *l);
struct err *kube_list_hpas(struct ctx *ctx, const struct kube *k, const char *name_space,
                           struct kube_hpas *ret) MUST_CHECK;
/* Who could give a Deployment replicas again after a scale to 0, and what keeps them from it, as
 * one line: an owner, an autoscaler, Argo CD, Flux, Helm, Fleet; NULL: nobody that is known. hpas
 * may be NULL: not looked at. To be freed. (The autoscaler of Kubernetes leaves one with 0 replicas
 * alone; KEDA and those who compare with a repository do not.) */
char *kube_keepers(const struct kube_deployment *d, const struct kube_hpas *hpas);

/* The parts that look at foreign bytes: the body of an answer. ERR_REMOTE. */
struct err *kube_parse_deployment(const char *body, size_t n, struct kube_deployment *ret)
    MUST_CHECK;
struct err *kube_parse_deployments(const char *body, size_t n, struct kube_deployments *ret)
    MUST_CHECK;
struct err *kube_parse_pods(const char *body, size_t n, struct kube_pods *ret) MUST_CHECK;
/* Objects of a watch (kube_watch.h), which need not say their kind. */
struct err *kube_read_pod(const struct json *j, struct kube_pod *ret) MUST_CHECK;
struct err *kube_read_deployment(const struct json *j, struct kube_deployment *ret) MUST_CHECK;
struct err *kube_parse_pod(const char *body, size_t n, struct kube_pod *ret) MUST_CHECK;
struct err *kube_parse_pvs(const char *body, size_t n, struct kube_pvs *ret) MUST_CHECK;
struct err *kube_parse_pvcs(const char *body, size_t n, struct kube_pvcs *ret) MUST_CHECK;
struct err *kube_parse_node(const char *body, size_t n, struct kube_node *ret) MUST_CHECK;
struct err *kube_parse_namespace(const char *body, size_t n, struct kube_namespace *ret) MUST_CHECK;
struct err *kube_parse_events(const char *body, size_t n, struct kube_events *ret) MUST_CHECK;
struct err *kube_parse_hpas(const char *body, size_t n, struct kube_hpas *ret) MUST_CHECK;
/* "512Gi", "1500m", "1e9", "0.5": a quantity in units (scale 1) or thousandths (scale 1000),
 * rounded up. ERR_REMOTE. */
struct err *kube_parse_quantity(const char *text, uint32_t scale, uint64_t *ret) MUST_CHECK;
