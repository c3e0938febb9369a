/* What stands around a Deployment: its volumes, node and namespace, what has happened to it, and
 * who else writes it. Read only. Members are those of k8s.io/api 0.34 (core/v1 Event and Namespace,
 * autoscaling/v2). */
#include "base/str.h"
#include "runtime/fields.h"
#include "runtime/kube.h"
#include "runtime/kube_parts.h"

#define AT(type, member)       offsetof(struct type, member)
#define READ(json, table, ret) fields_read(json, table, ARRAY_LEN(table), ret)
#define NAME_SHOWN             80
#define MESSAGE_SHOWN          300

/* ---- volumes -----------------------------------------------------------------------------------
 */

static const struct field pv_fields[] = {
    {"status/phase", FIELD_STR, AT(kube_pv, phase)},
    {"spec/storageClassName", FIELD_STR, AT(kube_pv, storage_class)},
    {"spec/persistentVolumeReclaimPolicy", FIELD_STR, AT(kube_pv, reclaim_policy)},
    {"spec/hostPath/path", FIELD_STR, AT(kube_pv, host_path)},
    {"spec/hostPath/type", FIELD_STR, AT(kube_pv, host_path_type)},
    {"spec/claimRef/namespace", FIELD_STR, AT(kube_pv, claim_namespace)},
    {"spec/claimRef/name", FIELD_STR, AT(kube_pv, claim)},
};

static struct err *read_pv(const struct json *j, void *ret)
{
    struct kube_pv *v = ret;

    TRY(kube_read_meta(j, &v->meta));
    TRY(READ(j, pv_fields, v));
    return kube_read_quantity(j, "spec/capacity/storage", 1, &v->capacity_b);
}

struct err *kube_parse_pvs(const char *body, size_t n, struct kube_pvs *ret)
{
    AUTO(json_freep) struct json *j = NULL;
    AUTO(kube_pvs_clear) struct kube_pvs l = {0};

    TRY(json_parse(body, n, &j));
    TRY(kube_need_list(j, "PersistentVolumeList"));
    TRY(kube_read_list(j, "items", read_pv, sizeof(*l.items), &l.items, &l.n));
    *ret = l;
    l = (struct kube_pvs){0};
    return NULL;
}

static const struct field pvc_fields[] = {
    {"status/phase", FIELD_STR, AT(kube_pvc, phase)},
    {"spec/volumeName", FIELD_STR, AT(kube_pvc, volume)},
    {"spec/storageClassName", FIELD_STR, AT(kube_pvc, storage_class)},
};

static struct err *read_pvc(const struct json *j, void *ret)
{
    struct kube_pvc *c = ret;

    TRY(kube_read_meta(j, &c->meta));
    return READ(j, pvc_fields, c);
}

struct err *kube_parse_pvcs(const char *body, size_t n, struct kube_pvcs *ret)
{
    AUTO(json_freep) struct json *j = NULL;
    AUTO(kube_pvcs_clear) struct kube_pvcs l = {0};

    TRY(json_parse(body, n, &j));
    TRY(kube_need_list(j, "PersistentVolumeClaimList"));
    TRY(kube_read_list(j, "items", read_pvc, sizeof(*l.items), &l.items, &l.n));
    *ret = l;
    l = (struct kube_pvcs){0};
    return NULL;
}

/* ---- nodes -------------------------------------------------------------------------------------
 */

static struct err *read_addresses(const struct json *j, struct kube_node *node)
{
    const struct json *list;

    TRY(fields_list(j, "status/addresses", &list));
    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *one = json_at(list, i);
        const char *type, *address;

        TRY_CTX(json_as_str(json_get(one, "type"), &type), "addresses");
        TRY_CTX(json_as_str(json_get(one, "address"), &address), "addresses");
        if (str_eq(type, "InternalIP") && !node->internal_ip)
            node->internal_ip = xstrdup(address);
        if (str_eq(type, "Hostname") && !node->hostname)
            node->hostname = xstrdup(address);
    }
    return NULL;
}

static struct err *read_taints(const struct json *j, struct strlist *ret)
{
    const struct json *list;

    TRY(fields_list(j, "spec/taints", &list));
    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *one = json_at(list, i);
        const char *key, *value = NULL, *effect;

        TRY_CTX(json_as_str(json_get(one, "key"), &key), "taints");
        TRY_CTX(json_as_str(json_get(one, "effect"), &effect), "taints");
        if (json_get(one, "value"))
            TRY_CTX(json_as_str(json_get(one, "value"), &value), "taints");
        strlist_addf(ret, "%s%s%s:%s", key, value ? "=" : "", value ? value : "", effect);
    }
    return NULL;
}

static const struct field node_fields[] = {
    {"spec/unschedulable", FIELD_BOOL, AT(kube_node, cordoned)},
    {"status/nodeInfo/kubeletVersion", FIELD_STR, AT(kube_node, kubelet_version)},
};

struct err *kube_parse_node(const char *body, size_t n, struct kube_node *ret)
{
    AUTO(json_freep) struct json *j = NULL;
    AUTO(kube_node_clear) struct kube_node node = {0};

    TRY(json_parse(body, n, &j));
    TRY(kube_need_kind(j, "Node"));
    TRY(kube_read_meta(j, &node.meta));
    TRY(READ(j, node_fields, &node));
    TRY(read_addresses(j, &node));
    TRY(read_taints(j, &node.taints));
    TRY(kube_read_quantity(j, "status/capacity/memory", 1, &node.memory_b));
    TRY(kube_read_quantity(j, "status/allocatable/memory", 1, &node.memory_allocatable_b));
    TRY(kube_read_list(j, "status/conditions", kube_read_condition, sizeof(*node.conditions),
                       &node.conditions, &node.n_conditions));
    *ret = node;
    node = (struct kube_node){0};
    return NULL;
}

/* ---- namespaces --------------------------------------------------------------------------------
 */

struct err *kube_parse_namespace(const char *body, size_t n, struct kube_namespace *ret)
{
    static const struct field fields[] = {
        {"status/phase", FIELD_STR, AT(kube_namespace, phase)},
    };
    AUTO(json_freep) struct json *j = NULL;
    AUTO(kube_namespace_clear) struct kube_namespace ns = {0};

    TRY(json_parse(body, n, &j));
    TRY(kube_need_kind(j, "Namespace"));
    TRY(kube_read_meta(j, &ns.meta));
    TRY(fields_read(j, fields, ARRAY_LEN(fields), &ns));
    TRY(kube_read_list(j, "status/conditions", kube_read_condition, sizeof(*ns.conditions),
                       &ns.conditions, &ns.n_conditions));
    *ret = ns;
    ns = (struct kube_namespace){0};
    return NULL;
}

char *kube_namespace_stuck(const struct kube_namespace *n)
{
    struct strbuf text = {0};

    for (size_t i = 0; i < n->n_conditions; i++) {
        const struct kube_condition *c = &n->conditions[i];

        if (!str_eq(c->status, "True") || !c->message)
            continue;
        AUTO(freep) char *shown = str_shown(c->message, MESSAGE_SHOWN);
        strbuf_printf(&text, "%s%s", text.len ? "; " : "", shown);
    }
    if (text.len)
        return strbuf_take(&text);
    strbuf_clear(&text);
    return NULL;
}

/* ---- events ------------------------------------------------------------------------------------
 */

/* Three generations of events: what is missing in one is in another. */
struct event_more {
    uint64_t series_count;
    int64_t series_at, event_at, created_at;
    char *reporter;
};

static struct err *read_event(const struct json *j, void *ret)
{
    static const struct field fields[] = {
        {"type", FIELD_STR, AT(kube_event, type)},
        {"reason", FIELD_STR, AT(kube_event, reason)},
        {"message", FIELD_STR, AT(kube_event, message)},
        {"source/component", FIELD_STR, AT(kube_event, by)},
        {"count", FIELD_U64, AT(kube_event, count)},
        {"lastTimestamp", FIELD_TIME, AT(kube_event, last_at)},
    };
    static const struct field more_fields[] = {
        {"series/count", FIELD_U64, AT(event_more, series_count)},
        {"series/lastObservedTime", FIELD_TIME, AT(event_more, series_at)},
        {"eventTime", FIELD_TIME, AT(event_more, event_at)},
        {"metadata/creationTimestamp", FIELD_TIME, AT(event_more, created_at)},
        {"reportingComponent", FIELD_STR, AT(event_more, reporter)},
    };
    struct kube_event *v = ret;
    struct event_more more = {0};
    struct err *e = fields_read(j, more_fields, ARRAY_LEN(more_fields), &more);

    if (!e)
        e = fields_read(j, fields, ARRAY_LEN(fields), v);
    if (v->by && !*v->by)
        free(TAKE(v->by));
    if (!v->by)
        v->by = TAKE(more.reporter);
    free(more.reporter);
    TRY(e);
    if (!v->count)
        v->count = more.series_count ? more.series_count : 1;
    if (!v->last_at)
        v->last_at = more.series_at  ? more.series_at
                     : more.event_at ? more.event_at
                                     : more.created_at;
    if (!v->type)
        v->type = xstrdup("Normal");
    return NULL;
}

static int by_time(const void *a, const void *b)
{
    const struct kube_event *x = a, *y = b;

    return (x->last_at > y->last_at) - (x->last_at < y->last_at);
}

struct err *kube_parse_events(const char *body, size_t n, struct kube_events *ret)
{
    AUTO(json_freep) struct json *j = NULL;
    AUTO(kube_events_clear) struct kube_events l = {0};

    TRY(json_parse(body, n, &j));
    TRY(kube_need_list(j, "EventList"));
    TRY(kube_read_list(j, "items", read_event, sizeof(*l.items), &l.items, &l.n));
    if (l.n)
        qsort(l.items, l.n, sizeof(*l.items), by_time);
    *ret = l;
    l = (struct kube_events){0};
    return NULL;
}

/* ---- autoscalers -------------------------------------------------------------------------------
 */

static struct err *read_hpa(const struct json *j, void *ret)
{
    static const struct field fields[] = {
        {"spec/scaleTargetRef/kind", FIELD_STR, AT(kube_hpa, target_kind)},
        {"spec/scaleTargetRef/name", FIELD_STR, AT(kube_hpa, target)},
        {"spec/minReplicas", FIELD_U64, AT(kube_hpa, min)},
        {"spec/maxReplicas", FIELD_U64, AT(kube_hpa, max)},
    };
    struct kube_hpa *h = ret;

    h->min = 1; /* the API's default */
    TRY(kube_read_meta(j, &h->meta));
    TRY(fields_read(j, fields, ARRAY_LEN(fields), h));
    return h->target_kind && h->target ? NULL : err_remote(0, "no spec/scaleTargetRef");
}

struct err *kube_parse_hpas(const char *body, size_t n, struct kube_hpas *ret)
{
    AUTO(json_freep) struct json *j = NULL;
    AUTO(kube_hpas_clear) struct kube_hpas l = {0};

    TRY(json_parse(body, n, &j));
    TRY(kube_need_list(j, "HorizontalPodAutoscalerList"));
    TRY(kube_read_list(j, "items", read_hpa, sizeof(*l.items), &l.items, &l.n));
    *ret = l;
    l = (struct kube_hpas){0};
    return NULL;
}

/* ---- who gives it replicas again ---------------------------------------------------------------
 */

/* How each of them marks what it keeps, and what an operator does about it. */
static const struct {
    const char *who;
    bool label; /* else an annotation */
    const char *key;
    const char *value; /* NULL: any; it is shown then */
    const char *then;
} marks[] = {
    {"Argo CD", false, "argocd.argoproj.io/tracking-id", NULL,
     "turn the automated sync of that application off"},
    {"Argo CD", true, "argocd.argoproj.io/instance", NULL,
     "turn the automated sync of that application off"},
    {"Flux", true, "kustomize.toolkit.fluxcd.io/name", NULL, "flux suspend kustomization NAME"},
    {"Flux", true, "helm.toolkit.fluxcd.io/name", NULL, "flux suspend helmrelease NAME"},
    {"Fleet", false, "objectset.rio.cattle.io/owner-name", NULL, "pause its bundle"},
    {"Helm", true, "app.kubernetes.io/managed-by", "Helm", "an upgrade sets the replicas again"},
};

/* What they call themselves when they write (metadata.managedFields). */
static const struct {
    const char *manager, *who;
} managers[] = {
    {"argocd-controller", "Argo CD"},
    {"argocd-application-controller", "Argo CD"},
    {"kustomize-controller", "Flux"},
    {"helm-controller", "Flux"},
    {"fleetagent", "Fleet"},
    {"keda-operator", "KEDA"},
    {"vpa-recommender", "vertical autoscaler"},
    {"kapp-controller", "kapp"},
};

static void add(struct strbuf *b, const char *who, const char *name, const char *then)
{
    AUTO(freep) char *shown = str_shown(name, NAME_SHOWN);

    if (strstr(strbuf_text(b), who))
        return; /* said by its first mark */
    strbuf_printf(b, "%s%s (%s%s%s)", b->len ? "; " : "", who, shown, then ? ": " : "",
                  then ? then : "");
}

static void add_hpas(struct strbuf *b, const struct kube_deployment *d, const struct kube_hpas *l)
{
    for (size_t i = 0; l && i < l->n; i++) {
        const struct kube_hpa *h = &l->items[i];
        const char *keda = kube_value(&h->meta.labels, "scaledobject.keda.sh/name");

        if (!str_eq(h->target_kind, "Deployment") || !str_eq(h->target, d->meta.name))
            continue;
        if (keda)
            add(b, "KEDA", keda,
                "annotate that ScaledObject with autoscaling.keda.sh/paused-replicas: \"0\"");
        else
            add(b, "a HorizontalPodAutoscaler", h->meta.name,
                "it leaves a Deployment with 0 replicas alone");
    }
}

char *kube_keepers(const struct kube_deployment *d, const struct kube_hpas *hpas)
{
    struct strbuf b = {0};

    if (d->meta.owner_kind && d->meta.owner_name) {
        AUTO(freep) char *name = xasprintf("%s '%s'", d->meta.owner_kind, d->meta.owner_name);

        add(&b, "its owner", name, "it may set the replicas again");
    }
    for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
        const char *value =
            kube_value(marks[i].label ? &d->meta.labels : &d->meta.annotations, marks[i].key);

        if (value && (!marks[i].value || str_eq(value, marks[i].value)))
            add(&b, marks[i].who, value, marks[i].then);
    }
    for (size_t i = 0; i < ARRAY_LEN(managers); i++)
        if (strlist_has(&d->managers, managers[i].manager))
            add(&b, managers[i].who, managers[i].manager, NULL);
    add_hpas(&b, d, hpas);
    if (b.len)
        return strbuf_take(&b);
    strbuf_clear(&b);
    return NULL;
}
