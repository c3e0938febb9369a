/* Objects of the Kubernetes API: whatever the bytes are, an error or a whole value. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/kube.h"
#include "runtime/kube_lease.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void look_at_spec(const struct kube_pod_spec *s)
{
    static const struct kube_pvs pvs;
    static const struct kube_pvcs pvcs;

    for (size_t i = 0; i < s->n_containers; i++)
        assert(s->containers[i].name && s->containers[i].liveness.how);
    for (size_t i = 0; i < s->n_volumes; i++) {
        const struct kube_volume *v = &s->volumes[i];

        assert(v->name &&
               (v->kind == KUBE_VOL_OTHER || v->kind == KUBE_VOL_EMPTY_DIR || v->source));
        assert(!kube_volume_path(v, "x", &pvs, &pvcs) == (v->kind != KUBE_VOL_HOST_PATH));
    }
}

static void pods(const char *text, size_t n)
{
    struct kube_pods l = {0};
    struct err *e = kube_parse_pods(text, n, &l);

    for (size_t i = 0; !e && i < l.n; i++) {
        assert(l.items[i].meta.name && l.items[i].meta.name_space && l.items[i].started_at >= 0);
        look_at_spec(&l.items[i].spec);
        for (size_t k = 0; k < l.items[i].n_statuses; k++)
            assert(l.items[i].statuses[k].name);
    }
    assert(!e || !l.items);
    err_free(e);
    kube_pods_clear(&l);
}

static void deployment(const char *text, size_t n)
{
    struct kube_deployment d = {0};
    struct err *e = kube_parse_deployment(text, n, &d);

    assert(e ? !d.meta.name : d.meta.name && d.selector && d.template_text);
    if (!e) {
        look_at_spec(&d.spec);
        free(kube_keepers(&d, NULL));
    }
    err_free(e);
    kube_deployment_clear(&d);
}

static void volumes_and_nodes(const char *text, size_t n)
{
    struct kube_pvs pvs = {0};
    struct kube_pvcs pvcs = {0};
    struct kube_node node = {0};

    err_free(kube_parse_pvs(text, n, &pvs));
    err_free(kube_parse_pvcs(text, n, &pvcs));
    struct err *e = kube_parse_node(text, n, &node);
    assert(e ? !node.meta.name : node.meta.name != NULL);
    for (size_t i = 0; i < node.n_conditions; i++)
        assert(kube_node_condition(&node, node.conditions[i].type));
    err_free(e);
    kube_node_clear(&node);
    kube_pvs_clear(&pvs);
    kube_pvcs_clear(&pvcs);
}

static void around(const char *text, size_t n)
{
    struct kube_pod pod = {0};
    struct kube_namespace ns = {0};
    struct kube_events events = {0};
    struct kube_hpas hpas = {0};
    struct kube_lease lease = {0};
    struct kube_deployments all = {0};
    struct kube_deployment d = {.meta.name = strdup("d")};
    struct err *e = kube_parse_lease(text, n, &lease);

    assert(e ? !lease.meta.name : lease.meta.uid && lease.meta.resource_version);
    err_free(e);
    err_free(kube_parse_pod(text, n, &pod));
    err_free(kube_parse_deployments(text, n, &all));
    kube_deployments_clear(&all);
    err_free(kube_parse_namespace(text, n, &ns));
    err_free(kube_parse_events(text, n, &events));
    for (size_t i = 0; i < events.n; i++)
        assert(events.items[i].type && events.items[i].count);
    err_free(kube_parse_hpas(text, n, &hpas));
    free(kube_namespace_stuck(&ns));
    free(kube_keepers(&d, &hpas));
    kube_deployment_clear(&d);
    kube_pod_clear(&pod);
    kube_namespace_clear(&ns);
    kube_events_clear(&events);
    kube_hpas_clear(&hpas);
    kube_lease_clear(&lease);
}

static void quantity(const char *text, size_t n)
{
    char *copy = strndup(text, n);
    uint64_t whole = 0, milli = 0;
    struct err *e = kube_parse_quantity(copy, 1, &whole),
               *m = kube_parse_quantity(copy, 1000, &milli);

    assert(e || m || milli / 1000 <= whole);
    err_free(e);
    err_free(m);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *text = (const char *)data;

    pods(text, n);
    deployment(text, n);
    volumes_and_nodes(text, n);
    around(text, n);
    quantity(text, n);
    return 0;
}
