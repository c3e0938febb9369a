/* The validator's Deployment and pods: everything by which Kubernetes would kill it without asking
 * us. Kubernetes 1.34, apps/v1 and core/v1. */
#include "stage/cluster_parts.h"

#include <inttypes.h>
#include <string.h>

#include "base/str.h"
#include "config/config.h"
#include "look/scene_cluster.h"

#define API "the API server"

/* The container that runs the validator: the first that is no init container. laconic-so's pods
 * have one; of several, the one with a volume mounted at the ledger's name. */
static const struct kube_container *validator_of(const struct kube_pod_spec *spec)
{
    const struct kube_container *first = NULL;

    for (size_t i = 0; i < spec->n_containers; i++) {
        const struct kube_container *c = &spec->containers[i];

        if (c->init)
            continue;
        first = first ? first : c;
        for (size_t k = 0; k < c->n_mounts; k++)
            if (strstr(c->mounts[k].volume, "ledger"))
                return c;
    }
    return first;
}

/* Whose spec it is: the template that the next pod is made from, or a pod that runs. */
struct subject {
    const char *what; /* "the template", "pod 'x'" */
    const struct kube_pod_spec *spec;
    bool live;
};

static void check_grace(const struct ctx *ctx, const struct subject *s, struct findings *ret)
{
    uint64_t ladder = ctx->cfg->stop.ladder_s;
    bool enough = s->spec->grace_s >= 0 && (uint64_t)s->spec->grace_s >= ladder;
    AUTO(freep) char *want = xasprintf("at least %" PRIu64 " s", ladder);
    AUTO(freep) char *got = xasprintf("%" PRIi64 " s", s->spec->grace_s);

    finding_compare(
        findings_add(
            ret, s->live ? "cluster.grace.live" : "cluster.grace", CLUSTER_LAYER,
            enough ? SEV_OK : SEV_FAIL,
            enough    ? "%s gives the validator %s to end"
            : s->live ? "%s is killed %s after a stop begins, in mid-write: never delete or scale "
                        "it by hand; stop it with 'agavectl stop'"
                      : "%s kills the validator %s after a stop begins, in mid-write: set "
                        "terminationGracePeriodSeconds, but only while the Deployment has 0 "
                        "replicas (a changed template replaces the running pod)",
            s->what, got),
        want, got, API);
}

static void check_probe(const struct subject *s, const struct kube_probe *p, const char *kind,
                        const char *id, struct findings *ret)
{
    findings_add(
        ret, id, CLUSTER_LAYER, p->set ? SEV_FAIL : SEV_OK,
        p->set ? "%s has a %s probe (%s, %u failures of %u s): when it fails the kubelet kills "
                 "the validator; remove it while the Deployment has 0 replicas, a readiness "
                 "probe is harmless"
               : "%s has no %s probe",
        s->what, kind, p->how ? p->how : "?", p->failures, p->period_s);
}

static void check_spec(const struct ctx *ctx, const struct subject *s, struct findings *ret)
{
    const struct kube_container *c = validator_of(s->spec);

    check_grace(ctx, s, ret);
    if (!c)
        return;
    check_probe(s, &c->liveness, "liveness", "cluster.liveness", ret);
    check_probe(s, &c->startup, "startup", "cluster.startup", ret);
    if (!s->spec->priority_class || !*s->spec->priority_class)
        findings_add(ret, "cluster.priority", CLUSTER_LAYER, SEV_NOTE,
                     "%s has no priority class: a pod with a higher one may displace it", s->what);
}

static void check_rollout(const struct kube_deployment *d, struct findings *ret)
{
    bool rolling = d->observed_generation < d->meta.generation ||
                   (d->replicas && (d->updated != d->now || d->now != d->replicas));

    finding_compare(
        findings_add(ret, "cluster.strategy", CLUSTER_LAYER,
                     str_eq(d->strategy, "Recreate") ? SEV_OK : SEV_FAIL,
                     str_eq(d->strategy, "Recreate")
                         ? "the Deployment replaces its pod only after the old one is gone"
                         : "a changed template would start a second validator on the same ledger "
                           "beside the first: set the strategy to Recreate"),
        "Recreate", d->strategy, API);
    findings_add(ret, "cluster.rollout", CLUSTER_LAYER, rolling ? SEV_WARN : SEV_OK,
                 rolling ? "the Deployment is being rolled out: a pod is replaced, with the grace "
                           "period that it was made with"
                         : "no rollout is under way");
    if (d->replicas > 1)
        finding_compare(findings_add(ret, "cluster.replicas", CLUSTER_LAYER, SEV_FAIL,
                                     "the Deployment wants %" PRIu64
                                     " pods: two validators on one ledger and one identity",
                                     d->replicas),
                        "0 or 1", NULL, API);
}

static void check_ends(const struct kube_pod *pod, struct findings *ret)
{
    for (size_t i = 0; i < pod->n_statuses; i++) {
        const struct kube_container_status *s = &pod->statuses[i];
        bool oom = s->last.kind == KUBE_RUN_TERMINATED && str_eq(s->last.reason, "OOMKilled");
        bool loops =
            s->state.kind == KUBE_RUN_WAITING && str_eq(s->state.reason, "CrashLoopBackOff");

        if (s->init)
            continue;
        if (oom)
            findings_add(
                ret, "cluster.oom", CLUSTER_LAYER, SEV_WARN,
                "container '%s' ended last because its memory limit was reached: raise the limit "
                "while the Deployment has 0 replicas, or make the RAM disk smaller",
                s->name);
        findings_add(ret, "cluster.restarts", CLUSTER_LAYER,
                     loops         ? SEV_FAIL
                     : s->restarts ? SEV_NOTE
                                   : SEV_OK,
                     loops ? "container '%s' ends again and again (%" PRIu64
                             " restarts): see its log"
                           : "container '%s' was restarted %" PRIu64 " times",
                     s->name, s->restarts);
    }
    if (pod->reason)
        findings_add(ret, "cluster.pod", CLUSTER_LAYER, SEV_FAIL, "pod '%s' is %s: %s",
                     pod->meta.name, pod->phase ? pod->phase : "in no phase", pod->reason);
    if (pod->meta.deleting)
        findings_add(ret, "cluster.pod", CLUSTER_LAYER, SEV_WARN,
                     "pod '%s' is being deleted, with a grace of %" PRIi64 " s", pod->meta.name,
                     pod->meta.deletion_grace_s);
}

static struct err *check_pods(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    const struct kube_pods *pods;
    size_t live = 0;

    TRY(scene_pods(ctx, scene, &pods));
    for (size_t i = 0; i < pods->n; i++) {
        const struct kube_pod *p = &pods->items[i];
        AUTO(freep) char *what = xasprintf("pod '%s'", p->meta.name);
        struct subject s = {.what = what, .spec = &p->spec, .live = true};

        if (str_eq(p->phase, "Succeeded") || str_eq(p->phase, "Failed")) {
            check_ends(p, ret);
            continue;
        }
        live++;
        check_spec(ctx, &s, ret);
        check_ends(p, ret);
    }
    if (live > 1)
        findings_add(ret, "cluster.replicas", CLUSTER_LAYER, SEV_FAIL,
                     "%zu pods of the Deployment live at once: two validators on one ledger", live);
    return NULL;
}

/* Pressure comes before eviction. */
static struct err *check_kube_node(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    static const char *const bad_when_true[] = {"MemoryPressure", "DiskPressure", "PIDPressure"};
    const struct kube_node *n;

    TRY(scene_kube_node(ctx, scene, &n));
    const struct kube_condition *ready = kube_node_condition(n, "Ready");
    bool is_ready = ready && str_eq(ready->status, "True");
    finding_compare(findings_add(ret, "cluster.ready", CLUSTER_LAYER, is_ready ? SEV_OK : SEV_FAIL,
                                 is_ready ? "the node is ready" : "the node is not ready"),
                    "True", ready ? ready->status : NULL, API);
    for (size_t i = 0; i < ARRAY_LEN(bad_when_true); i++) {
        const struct kube_condition *c = kube_node_condition(n, bad_when_true[i]);

        if (c && str_eq(c->status, "True"))
            findings_add(ret, "cluster.pressure", CLUSTER_LAYER, SEV_FAIL,
                         "the node has %s: the kubelet is about to evict pods", c->type);
    }
    if (n->cordoned)
        findings_add(ret, "cluster.cordoned", CLUSTER_LAYER, SEV_WARN,
                     "the node is cordoned: a pod that ends is not made again there");
    return NULL;
}

struct err *cluster_unit_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    const struct kube_deployment *d;
    struct err *e = scene_deployment(ctx, scene, &d);

    if (e && e->kind == ERR_NOTFOUND) {
        err_free(e);
        findings_add(
            ret, "cluster.deployment", CLUSTER_LAYER, SEV_FAIL,
            "there is no Deployment '%s' in namespace '%s': the validator is not deployed, "
            "or the config has another name for it",
            ctx->cfg->kubernetes.deployment, ctx->cfg->kubernetes.namespace);
        return NULL;
    }
    TRY(e);
    findings_add(ret, "cluster.deployment", CLUSTER_LAYER, SEV_OK,
                 "Deployment '%s' wants %" PRIu64 " and has %" PRIu64 " pods", d->meta.name,
                 d->replicas, d->now);
    check_rollout(d, ret);
    check_spec(ctx, &(struct subject){.what = "the Deployment's template", .spec = &d->spec}, ret);
    TRY(check_pods(ctx, scene, ret));
    return check_kube_node(ctx, scene, ret);
}
