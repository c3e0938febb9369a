/* The decision itself: a pure function of what was read. Order matters: first what makes each way
 * wrong (somebody else has a say), then a deletion that runs already, then whether the signal does
 * harm, and only then the grace. The words are in kube_way_text.c. */
#include "runtime/kube_way.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/kube_way_parts.h"

#define SIGNALS 64

void kube_way_clear(struct kube_way *w)
{
    kube_meta_clear(&w->deployment);
    kube_meta_clear(&w->pod);
    kube_meta_clear(&w->node);
    free(w->text);
    free(w->fix);
    json_free(w->read);
    *w = (struct kube_way){0};
}

int kube_stop_signal(const struct kube_container *c)
{
    if (!c || !c->stop_signal)
        return SIGTERM;
    for (int sig = 1; sig <= SIGNALS; sig++) {
        const char *name = sigabbrev_np(sig);

        if (name && str_starts(c->stop_signal, "SIG") && str_eq(c->stop_signal + 3, name))
            return sig;
    }
    return 0;
}

const struct kube_container *kube_way_container(const struct kube_pod_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->n_containers; i++)
        if (!spec->containers[i].init && (!name || str_eq(spec->containers[i].name, name)))
            return &spec->containers[i];
    return NULL;
}

enum kube_hook kube_way_hook(const struct kube_container *c, uint32_t need_s)
{
    if (!c || !c->has_pre_stop)
        return HOOK_NONE;
    if (str_eq(c->pre_stop_how, "exec") && is_admin_exit(&c->pre_stop))
        return HOOK_ASKS;
    if (str_eq(c->pre_stop_how, "sleep"))
        return c->pre_stop_sleep_s >= need_s ? HOOK_SLEEPS : HOOK_NONE;
    return HOOK_UNKNOWN;
}

/* --- what is refused --- */

static const struct kube_container_status *status_of(const struct kube_pod *pod, const char *name)
{
    for (size_t i = 0; i < pod->n_statuses; i++)
        if (!pod->statuses[i].init && str_eq(pod->statuses[i].name, name))
            return &pod->statuses[i];
    return NULL;
}

/* "<deployment>-<hash>" is the name of each ReplicaSet that the Deployment makes. */
static bool is_its_own(const struct kube_deployment *d, const struct kube_meta *pod)
{
    size_t n = strlen(d->meta.name);

    return str_eq(pod->owner_kind, "ReplicaSet") && pod->owner_name &&
           strncmp(pod->owner_name, d->meta.name, n) == 0 && pod->owner_name[n] == '-';
}

static struct err *must_be_its_own(const struct kube_way_facts *f)
{
    const struct kube_meta *pod = &f->pod->meta;

    if (is_its_own(f->deployment, pod))
        return NULL;
    return err_new(
        ERR_REFUSED,
        "pod '%s' belongs to %s '%s', and not to Deployment '%s': a scale to 0 would not "
        "hold it; see kubernetes.deployment",
        pod->name, pod->owner_kind ? pod->owner_kind : "nobody",
        pod->owner_name ? pod->owner_name : "", f->deployment->meta.name);
}

static struct err *must_be_alone(const struct kube_way_facts *f)
{
    const char *name = f->deployment->meta.name;

    if (f->rivals)
        return err_new(ERR_REFUSED,
                       "the pods of Deployment '%s' are selected by others as well (%s): each of "
                       "them would replace what is stopped; give them selectors of their own",
                       name, f->rivals);
    if (f->keepers && f->keepers_act)
        return err_new(ERR_REFUSED,
                       "Deployment '%s' would be given replicas again by %s: put that off first",
                       name, f->keepers);
    /* The pod that replaces one that is being deleted finds the ledger locked. */
    if (f->others && f->pod && !f->pod->meta.deleting)
        return err_new(
            ERR_REFUSED,
            "%zu pods of Deployment '%s' live at once, and only one of them can have the "
            "ledger: find out which by its log, and delete the other",
            f->others + 1, name);
    return f->pod ? must_be_its_own(f) : NULL;
}

static struct err *must_be_seen(const struct kube_way_facts *f)
{
    const struct kube_container *c = kube_way_container(&f->pod->spec, f->container);
    const struct kube_container_status *s = c ? status_of(f->pod, c->name) : NULL;

    if (!c)
        return err_new(ERR_REFUSED, "pod '%s' has no container '%s': see kubernetes.container",
                       f->pod->meta.name, f->container ? f->container : "");
    if (kube_way_has_pid1(f) || !s || s->state.kind != KUBE_RUN_RUNNING)
        return NULL;
    return err_new(ERR_REFUSED,
                   "container '%s' of pod '%s' runs, but no process of it is on this host: run "
                   "agavectl on the host of node '%s'",
                   c->name, f->pod->meta.name, f->pod->spec.node ? f->pod->spec.node : "?");
}

static struct err *must_be_allowed(const struct kube_way_facts *f, const struct kube_way *w)
{
    const struct {
        bool wanted;
        const char *what, *denied;
    } changes[] = {
        {w->scale, "scaled to 0", f->no_scale},
        {w->remove, "deleted (the pod)", f->no_delete},
        {w->cordon, "cordoned (its node)", f->no_cordon},
    };

    if (w->kind == KUBE_WAY_KUBELET && f->kubelet)
        return err_new(ERR_REFUSED, "%s; and the node's kubelet cannot be stopped: %s%s%s", w->text,
                       f->kubelet, w->fix ? "; for the next time: " : "", w->fix ? w->fix : "");
    for (size_t i = 0; i < ARRAY_LEN(changes); i++)
        if (changes[i].wanted && changes[i].denied)
            return err_new(
                ERR_REFUSED,
                "Deployment '%s' cannot be %s: %s; nothing was touched: give the user of "
                "the kubeconfig that right",
                f->deployment ? f->deployment->meta.name : "?", changes[i].what, changes[i].denied);
    return NULL;
}

/* --- the way --- */

bool kube_way_has_pid1(const struct kube_way_facts *f)
{
    return f->pid1 && f->pid1->kind != KUBE_PID1_NONE;
}

/* A hook that waits until the validator is gone, or for as long as that may need, leaves nobody for
 * the signal; one that is not understood may do anything. */
static bool is_harmed(const struct kube_way_facts *f)
{
    const struct kube_container *c = kube_way_container(&f->pod->spec, f->container);
    enum kube_hook hook = kube_way_hook(c, f->need_s);

    if (!kube_way_has_pid1(f) || hook == HOOK_ASKS || hook == HOOK_SLEEPS)
        return false;
    enum kube_signal_does d = kube_pid1_on_signal(f->pid1, kube_stop_signal(c));
    return hook == HOOK_UNKNOWN || d == KUBE_SIGNAL_KILLS || d == KUBE_SIGNAL_UNKNOWN;
}

/* A pod that is gone from a node whose kubelet is silent is made anew on another one after some
 * minutes; and one that is deleted with a grace of ours is replaced there at once. */
static bool may_move(const struct kube_way_facts *f)
{
    return f->nodes > 1;
}

static enum kube_way_kind kind_for(const struct kube_way_facts *f)
{
    if (f->api)
        return KUBE_WAY_KUBELET;
    if (!f->pod)
        return KUBE_WAY_NO_POD;
    if (f->pod->meta.deleting)
        return f->left_s >= f->need_s && !is_harmed(f) ? KUBE_WAY_ENDING : KUBE_WAY_LATE;
    if (is_harmed(f))
        return KUBE_WAY_KUBELET;
    if (f->pod->spec.grace_s >= f->need_s)
        return KUBE_WAY_SCALE;
    return may_move(f) ? KUBE_WAY_KUBELET : KUBE_WAY_DELETE;
}

static void set_changes(const struct kube_way_facts *f, struct kube_way *w)
{
    bool deletes = w->kind == KUBE_WAY_DELETE, late = w->kind == KUBE_WAY_LATE;

    w->remove = deletes;
    w->cordon = deletes && !(f->node && f->node->cordoned);
    w->scale = f->api || f->deployment->replicas;
    w->kubelet = w->kind == KUBE_WAY_KUBELET || (late && !f->kubelet);
    w->scale_early = !f->api && w->kubelet && w->scale && (late || may_move(f));
    w->grace_s = deletes                     ? (int64_t)f->need_s + KUBE_WAY_SPARE_S
                 : !f->pod                   ? -1
                 : f->pod->meta.deleting     ? f->pod->meta.deletion_grace_s
                 : w->kind == KUBE_WAY_SCALE ? f->pod->spec.grace_s
                                             : -1;
}

static void name_object(const struct kube_meta *from, struct kube_meta *to)
{
    to->name = from->name ? xstrdup(from->name) : NULL;
    to->name_space = xstrdup(from->name_space ? from->name_space : "");
    to->uid = from->uid ? xstrdup(from->uid) : NULL;
    to->generation = from->generation;
    to->deletion_grace_s = -1;
}

static void name_objects(const struct kube_way_facts *f, struct kube_way *w)
{
    if (f->deployment)
        name_object(&f->deployment->meta, &w->deployment);
    if (f->pod)
        name_object(&f->pod->meta, &w->pod);
    if (f->node)
        name_object(&f->node->meta, &w->node);
}

struct err *kube_way_decide(const struct kube_way_facts *f, struct kube_way *ret)
{
    AUTO(kube_way_clear) struct kube_way w = {0};

    if (!f->api) {
        TRY(must_be_alone(f));
        if (f->pod && !f->pod->meta.deleting)
            TRY(must_be_seen(f));
    }
    w.kind = kind_for(f);
    set_changes(f, &w);
    name_objects(f, &w);
    w.text = kube_way_words(f, &w);
    w.fix = kube_way_fix(f);
    TRY(must_be_allowed(f, &w));
    w.read = kube_way_read(f);
    *ret = w;
    w = (struct kube_way){0};
    return NULL;
}
