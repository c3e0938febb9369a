/* A way of a stop as the journal keeps it: with everything that is needed to go it, and to take it
 * back, after a crash; and what was read, which is never read back. */
#include <stddef.h>
#include <string.h>

#include "base/str.h"
#include "runtime/fields.h"
#include "runtime/kube_way_parts.h"

static const char *const names[] = {
    [KUBE_WAY_NO_POD] = "no-pod",   [KUBE_WAY_SCALE] = "scale",   [KUBE_WAY_DELETE] = "delete",
    [KUBE_WAY_KUBELET] = "kubelet", [KUBE_WAY_ENDING] = "ending", [KUBE_WAY_LATE] = "late",
};
static const char *const hooks[] = {
    [HOOK_NONE] = "none",
    [HOOK_ASKS] = "asks",
    [HOOK_SLEEPS] = "sleeps",
    [HOOK_UNKNOWN] = "unknown",
};

const char *kube_way_name(enum kube_way_kind k)
{
    return names[k];
}

/* --- what was read --- */

/* Seconds below 0 say that there are none. */
static struct json *seconds(int64_t s)
{
    return s < 0 ? NULL : json_new_u64((uint64_t)s);
}

static struct json *texts_json(const struct strlist *l)
{
    struct json *j = json_new_array();

    for (size_t i = 0; i < l->n; i++)
        json_push(j, json_new_str(l->items[i]));
    return j;
}

static struct json *pid1_json(const struct kube_pid1 *p, int sig)
{
    struct json *j = json_new_object();
    AUTO(freep) char *blocked = xasprintf("%016llx", (unsigned long long)p->signals.blocked);
    AUTO(freep) char *ignored = xasprintf("%016llx", (unsigned long long)p->signals.ignored);
    AUTO(freep) char *caught = xasprintf("%016llx", (unsigned long long)p->signals.caught);

    json_put(j, "pid", json_new_u64((uint64_t)p->id.pid));
    json_put(j, "start", json_new_u64(p->id.start));
    json_put(j, "ns_pid", json_new_u64((uint64_t)p->signals.ns_pid));
    json_put(j, "name", json_new_str(p->name));
    json_put(j, "kind", json_new_str(kube_pid1_kind_name(p->kind)));
    json_put(j, "sig_blk", json_new_str(blocked));
    json_put(j, "sig_ign", json_new_str(ignored));
    json_put(j, "sig_cgt", json_new_str(caught));
    json_put(j, "waits_for_signals",
             p->signals.waits == SIGNAL_WAIT_UNKNOWN
                 ? NULL
                 : json_new_bool(p->signals.waits == SIGNAL_WAIT_YES));
    json_put(j, "signal", sig ? json_new_u64((uint64_t)sig) : NULL);
    json_put(j, "signal_does", json_new_str(kube_signal_does_name(kube_pid1_on_signal(p, sig))));
    json_put(j, "validator_pid",
             p->validator.pid ? json_new_u64((uint64_t)p->validator.pid) : NULL);
    return j;
}

static void read_pod(const struct kube_way_facts *f, struct json *j)
{
    const struct kube_pod *pod = f->pod;
    const struct kube_container *c = kube_way_container(&pod->spec, f->container);

    json_put(j, "grace_s", seconds(pod->spec.grace_s));
    json_put(j, "deleting", json_new_bool(pod->meta.deleting));
    json_put(j, "deletion_grace_s", seconds(pod->meta.deletion_grace_s));
    json_put(j, "left_s", pod->meta.deleting ? seconds(f->left_s) : NULL);
    json_put(j, "restart_policy", json_new_str(pod->spec.restart_policy));
    json_put(j, "controller", json_new_str(pod->meta.owner_kind));
    json_put(j, "controller_name", json_new_str(pod->meta.owner_name));
    json_put(j, "finalizers", texts_json(&pod->meta.finalizers));
    json_put(j, "container", json_new_str(c ? c->name : NULL));
    json_put(j, "pre_stop", c ? json_new_str(hooks[kube_way_hook(c, f->need_s)]) : NULL);
    json_put(j, "pre_stop_how", json_new_str(c && c->has_pre_stop ? c->pre_stop_how : NULL));
    json_put(j, "pre_stop_command", c ? texts_json(&c->pre_stop) : NULL);
    json_put(j, "pid1", kube_way_has_pid1(f) ? pid1_json(f->pid1, kube_stop_signal(c)) : NULL);
}

struct json *kube_way_read(const struct kube_way_facts *f)
{
    struct json *j = json_new_object();
    const struct kube_deployment *d = f->deployment;

    json_put(j, "need_s", json_new_u64(f->need_s));
    json_put(j, "api", json_new_str(f->api));
    json_put(j, "replicas", d ? json_new_u64(d->replicas) : NULL);
    json_put(j, "replicas_now", d ? json_new_u64(d->now) : NULL);
    json_put(j, "template_grace_s", d ? seconds(d->spec.grace_s) : NULL);
    json_put(j, "keepers", json_new_str(f->keepers));
    json_put(j, "others", json_new_u64(f->others));
    json_put(j, "nodes", f->nodes ? json_new_u64(f->nodes) : NULL);
    json_put(j, "cordoned", f->node ? json_new_bool(f->node->cordoned) : NULL);
    if (f->pod)
        read_pod(f, j);
    return j;
}

/* --- there and back --- */

#define AT(member) offsetof(struct kube_way, member)
static const struct field fields[] = {
    {"text", FIELD_STR, AT(text)},
    {"fix", FIELD_STR, AT(fix)},
    {"cordon", FIELD_BOOL, AT(cordon)},
    {"remove", FIELD_BOOL, AT(remove)},
    {"scale", FIELD_BOOL, AT(scale)},
    {"kubelet", FIELD_BOOL, AT(kubelet)},
    {"scale_early", FIELD_BOOL, AT(scale_early)},
    {"grace_s", FIELD_I64, AT(grace_s)},
};
#undef AT
#define AT(member) offsetof(struct kube_meta, member)
static const struct field object_fields[] = {
    {"name", FIELD_STR, AT(name)},
    {"namespace", FIELD_STR, AT(name_space)},
    {"uid", FIELD_STR, AT(uid)},
    {"generation", FIELD_U64, AT(generation)},
};
#undef AT

static struct json *object_json(const struct kube_meta *m)
{
    if (!m->name)
        return NULL;
    struct json *j = json_new_object();

    json_put(j, "name", json_new_str(m->name));
    json_put(j, "namespace", json_new_str(m->name_space));
    json_put(j, "uid", json_new_str(m->uid));
    json_put(j, "generation", json_new_u64(m->generation));
    return j;
}

struct json *kube_way_json(const struct kube_way *w)
{
    struct json *j = json_new_object();

    json_put(j, "text", json_new_str(w->text));
    json_put(j, "instance", json_new_str(w->pod.uid));
    json_put(j, "way", json_new_str(names[w->kind]));
    json_put(j, "fix", json_new_str(w->fix));
    json_put(j, "cordon", json_new_bool(w->cordon));
    json_put(j, "remove", json_new_bool(w->remove));
    json_put(j, "scale", json_new_bool(w->scale));
    json_put(j, "kubelet", json_new_bool(w->kubelet));
    json_put(j, "scale_early", json_new_bool(w->scale_early));
    json_put(j, "grace_s", seconds(w->grace_s));
    json_put(j, "deployment", object_json(&w->deployment));
    json_put(j, "pod", object_json(&w->pod));
    json_put(j, "node", object_json(&w->node));
    json_put(j, "read", w->read ? json_ref(w->read) : NULL);
    return j;
}

static struct err *object_from(const struct json *j, const char *key, struct kube_meta *ret)
{
    const struct json *o = json_get(j, key);

    ret->deletion_grace_s = -1;
    if (json_is_null(o))
        return NULL;
    if (!json_is_object(o))
        return err_new(ERR_CORRUPT, "'%s' is no object", key);
    TRY_CTX(fields_read(o, object_fields, ARRAY_LEN(object_fields), ret), "%s", key);
    return ret->name && ret->uid ? NULL : err_new(ERR_CORRUPT, "'%s' has no name or uid", key);
}

static struct err *kind_from(const struct json *j, enum kube_way_kind *ret)
{
    const char *name = "";

    TRY_CTX(json_as_str(json_get(j, "way"), &name), "way");
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(name, names[i])) {
            *ret = (enum kube_way_kind)i;
            return NULL;
        }
    return err_new(ERR_CORRUPT, "there is no way '%s'", name);
}

static struct err *way_from(const struct json *j, struct kube_way *w)
{
    w->grace_s = -1;
    TRY(kind_from(j, &w->kind));
    TRY(fields_read(j, fields, ARRAY_LEN(fields), w));
    TRY(object_from(j, "deployment", &w->deployment));
    TRY(object_from(j, "pod", &w->pod));
    TRY(object_from(j, "node", &w->node));
    if ((w->remove && (!w->pod.name || w->grace_s < 0)) || (w->cordon && !w->node.name))
        return err_new(ERR_CORRUPT, "it does not say what is to be changed");
    return NULL;
}

struct err *kube_way_from_json(const struct json *j, struct kube_way *ret)
{
    AUTO(kube_way_clear) struct kube_way w = {0};
    struct err *e = way_from(j, &w);

    if (e) {
        struct err *bad =
            err_new(ERR_CORRUPT, "the way of the stop as the journal has it: %s", e->text);
        err_free(e);
        return bad;
    }
    *ret = w;
    w = (struct kube_way){0};
    return NULL;
}
