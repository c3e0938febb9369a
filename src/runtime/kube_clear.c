/* What the objects of runtime/kube.h own, and the small questions that need no server. */
#include "runtime/kube.h"

void kube_meta_clear(struct kube_meta *m)
{
    free(m->name);
    free(m->name_space);
    free(m->uid);
    free(m->resource_version);
    free(m->owner_kind);
    free(m->owner_name);
    free(m->owner_uid);
    strlist_clear(&m->labels);
    strlist_clear(&m->annotations);
    strlist_clear(&m->finalizers);
    *m = (struct kube_meta){0};
}

const char *kube_value(const struct strlist *pairs, const char *key)
{
    size_t n = strlen(key);

    for (size_t i = 0; i < pairs->n; i++)
        if (strncmp(pairs->items[i], key, n) == 0 && pairs->items[i][n] == '=')
            return pairs->items[i] + n + 1;
    return NULL;
}

static void container_clear(struct kube_container *c)
{
    for (size_t i = 0; i < c->n_mounts; i++) {
        free(c->mounts[i].volume);
        free(c->mounts[i].path);
        free(c->mounts[i].sub_path);
        free(c->mounts[i].propagation);
    }
    free(c->mounts);
    free(c->name);
    free(c->image);
    strlist_clear(&c->command);
    strlist_clear(&c->args);
    strlist_clear(&c->pre_stop);
    free(c->stop_signal);
}

static void spec_clear(struct kube_pod_spec *s)
{
    for (size_t i = 0; i < s->n_containers; i++)
        container_clear(&s->containers[i]);
    free(s->containers);
    for (size_t i = 0; i < s->n_volumes; i++) {
        free(s->volumes[i].name);
        free(s->volumes[i].source);
        free(s->volumes[i].type);
    }
    free(s->volumes);
    free(s->restart_policy);
    free(s->node);
    free(s->priority_class);
}

void kube_deployment_clear(struct kube_deployment *d)
{
    kube_meta_clear(&d->meta);
    free(d->strategy);
    free(d->selector);
    free(d->template_text);
    strlist_clear(&d->managers);
    free(d->replicas_by);
    spec_clear(&d->spec);
    *d = (struct kube_deployment){0};
}

void kube_deployments_clear(struct kube_deployments *l)
{
    for (size_t i = 0; i < l->n; i++)
        kube_deployment_clear(&l->items[i]);
    free(l->items);
    *l = (struct kube_deployments){0};
}

void kube_pod_clear(struct kube_pod *p)
{
    for (size_t i = 0; i < p->n_statuses; i++) {
        struct kube_container_status *s = &p->statuses[i];

        free(s->name);
        free(s->image);
        free(s->container_id);
        free(s->state.reason);
        free(s->last.reason);
    }
    free(p->statuses);
    kube_meta_clear(&p->meta);
    free(p->phase);
    free(p->reason);
    free(p->pod_ip);
    free(p->host_ip);
    free(p->qos);
    spec_clear(&p->spec);
    *p = (struct kube_pod){0};
}

void kube_pods_clear(struct kube_pods *p)
{
    for (size_t i = 0; i < p->n; i++)
        kube_pod_clear(&p->items[i]);
    free(p->items);
    *p = (struct kube_pods){0};
}

void kube_pvs_clear(struct kube_pvs *p)
{
    for (size_t i = 0; i < p->n; i++) {
        struct kube_pv *v = &p->items[i];

        kube_meta_clear(&v->meta);
        free(v->phase);
        free(v->storage_class);
        free(v->reclaim_policy);
        free(v->host_path);
        free(v->host_path_type);
        free(v->claim_namespace);
        free(v->claim);
    }
    free(p->items);
    *p = (struct kube_pvs){0};
}

void kube_pvcs_clear(struct kube_pvcs *p)
{
    for (size_t i = 0; i < p->n; i++) {
        kube_meta_clear(&p->items[i].meta);
        free(p->items[i].phase);
        free(p->items[i].volume);
        free(p->items[i].storage_class);
    }
    free(p->items);
    *p = (struct kube_pvcs){0};
}

void kube_conditions_free(struct kube_condition *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(items[i].type);
        free(items[i].status);
        free(items[i].reason);
        free(items[i].message);
    }
    free(items);
}

void kube_node_clear(struct kube_node *n)
{
    kube_meta_clear(&n->meta);
    free(n->internal_ip);
    free(n->hostname);
    free(n->kubelet_version);
    kube_conditions_free(n->conditions, n->n_conditions);
    strlist_clear(&n->taints);
    *n = (struct kube_node){0};
}

void kube_namespace_clear(struct kube_namespace *n)
{
    kube_meta_clear(&n->meta);
    free(n->phase);
    kube_conditions_free(n->conditions, n->n_conditions);
    *n = (struct kube_namespace){0};
}

void kube_events_clear(struct kube_events *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->items[i].type);
        free(l->items[i].reason);
        free(l->items[i].message);
        free(l->items[i].by);
    }
    free(l->items);
    *l = (struct kube_events){0};
}

void kube_hpas_clear(struct kube_hpas *l)
{
    for (size_t i = 0; i < l->n; i++) {
        kube_meta_clear(&l->items[i].meta);
        free(l->items[i].target_kind);
        free(l->items[i].target);
    }
    free(l->items);
    *l = (struct kube_hpas){0};
}

const struct kube_condition *kube_node_condition(const struct kube_node *n, const char *type)
{
    for (size_t i = 0; i < n->n_conditions; i++)
        if (str_eq(n->conditions[i].type, type))
            return &n->conditions[i];
    return NULL;
}

const char *kube_volume_path(const struct kube_volume *v, const char *name_space,
                             const struct kube_pvs *pvs, const struct kube_pvcs *pvcs)
{
    const char *volume = NULL;

    if (v->kind == KUBE_VOL_HOST_PATH)
        return v->source;
    for (size_t i = 0; v->kind == KUBE_VOL_CLAIM && i < pvcs->n; i++)
        if (str_eq(pvcs->items[i].meta.name, v->source) &&
            str_eq(pvcs->items[i].meta.name_space, name_space))
            volume = pvcs->items[i].volume;
    for (size_t i = 0; volume && i < pvs->n; i++)
        if (str_eq(pvs->items[i].meta.name, volume))
            return pvs->items[i].host_path;
    return NULL;
}
