/* Persistent volumes: the table of the config against the cluster. A PV with another path is a
 * validator on another disk. */
#include "stage/cluster_parts.h"

#include <string.h>

#include "base/str.h"
#include "config/config.h"
#include "look/scene_cluster.h"

static const struct kube_pv *pv_named(const struct kube_pvs *pvs, const char *name)
{
    for (size_t i = 0; i < pvs->n; i++)
        if (str_eq(pvs->items[i].meta.name, name))
            return &pvs->items[i];
    /* laconic-so puts the cluster's name before its own volumes' */
    for (size_t i = 0; i < pvs->n; i++)
        if (str_ends(pvs->items[i].meta.name, name) &&
            pvs->items[i].meta.name[strlen(pvs->items[i].meta.name) - strlen(name) - 1] == '-')
            return &pvs->items[i];
    return NULL;
}

static void check_pv(const struct ctx *ctx, const char *name, const char *path,
                     const struct kube_pv *pv, struct findings *ret)
{
    const char *got = pv ? pv->host_path : NULL;
    enum severity sev = SEV_OK;
    AUTO(freep) char *what = NULL;

    if (!pv) {
        sev = SEV_FAIL;
        what = xasprintf("there is no persistent volume '%s'", name);
    } else if (!str_eq(got, path)) {
        sev = SEV_FAIL;
        what =
            xasprintf("volume '%s' leads to another place: the pod would run on other data", name);
    } else if (!str_eq(pv->phase, "Bound")) {
        sev = SEV_WARN;
        what = xasprintf("volume '%s' is %s, not Bound: no pod can use it", name, pv->phase);
    } else if (!str_eq(pv->claim_namespace, ctx->cfg->kubernetes.namespace)) {
        sev = SEV_FAIL;
        what = xasprintf("volume '%s' is bound to a claim of namespace '%s'", name,
                         pv->claim_namespace ? pv->claim_namespace : "");
    } else {
        what = xasprintf("volume '%s' leads to '%s'", name, path);
    }
    finding_compare(findings_add(ret, "cluster.volumes", CLUSTER_LAYER, sev, "%s", what), path, got,
                    "the API server");
}

static struct err *check_claims(struct ctx *ctx, struct scene *scene, const struct kube_pvs *pvs,
                                struct findings *ret)
{
    const struct kube_pvcs *claims;

    TRY(scene_pvcs(ctx, scene, &claims));
    for (size_t i = 0; i < claims->n; i++) {
        const struct kube_pvc *c = &claims->items[i];

        if (!str_eq(c->phase, "Bound"))
            findings_add(ret, "cluster.claims", CLUSTER_LAYER, SEV_FAIL,
                         "claim '%s' is %s: its volume is gone or belongs to another one",
                         c->meta.name, c->phase ? c->phase : "in no phase");
    }
    /* A claim that was deleted and made again has another UID: its old PV waits for the old one. */
    for (size_t i = 0; i < pvs->n; i++)
        if (str_eq(pvs->items[i].phase, "Released") &&
            str_eq(pvs->items[i].claim_namespace, ctx->cfg->kubernetes.namespace))
            findings_add(ret, "cluster.claims", CLUSTER_LAYER, SEV_FAIL,
                         "volume '%s' is Released: the claim that it belonged to was deleted",
                         pvs->items[i].meta.name);
    return NULL;
}

struct err *cluster_volumes_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    const struct strlist *want = &ctx->cfg->kubernetes.volumes;
    const struct kube_pvs *pvs;

    TRY(scene_pvs(ctx, scene, &pvs));
    for (size_t i = 0; i < want->n; i++) {
        const char *equals = strchr(want->items[i], '=');
        AUTO(freep) char *name = xstrndup(want->items[i], (size_t)(equals - want->items[i]));

        check_pv(ctx, name, equals + 1, pv_named(pvs, name), ret);
    }
    return check_claims(ctx, scene, pvs, ret);
}
