/* A way of a stop in words, for the operator before it is gone and for the journal; and what would
 * make the next stop a plain one. Nothing is decided here. */
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "base/str.h"
#include "runtime/kube_way_parts.h"

#define SHOWN 64

static const struct kube_container *container_of(const struct kube_way_facts *f)
{
    return kube_way_container(&f->pod->spec, f->container);
}

static void tell_hook(const struct kube_way_facts *f, struct strbuf *b)
{
    const struct kube_container *c = container_of(f);

    switch (kube_way_hook(c, f->need_s)) {
    case HOOK_NONE:
        strbuf_puts(b, c && c->has_pre_stop ? ", a preStop hook that is over too soon"
                                            : ", no preStop hook");
        break;
    case HOOK_ASKS:
        strbuf_puts(b, ", a preStop hook that asks it to exit and waits");
        break;
    case HOOK_SLEEPS:
        strbuf_printf(b, ", a preStop hook that waits for %" PRIu64 " s", c->pre_stop_sleep_s);
        break;
    case HOOK_UNKNOWN:
        strbuf_printf(b, ", a preStop hook (%s) that may do anything to the validator",
                      c->pre_stop_how);
        break;
    }
}

static const char *does_text(const struct kube_pid1 *p, enum kube_signal_does d)
{
    switch (d) {
    case KUBE_SIGNAL_NOTHING:
        return p->kind == KUBE_PID1_INIT ? "which the validator ignores"
                                         : "which takes no notice of it";
    case KUBE_SIGNAL_ASKS:
        return "which asks the validator to exit then";
    case KUBE_SIGNAL_KILLS:
        return p->kind == KUBE_PID1_INIT
                   ? "which passes it on: the validator would die in mid-write"
                   : "which would die of it in mid-write";
    case KUBE_SIGNAL_UNKNOWN:
        break;
    }
    return "which takes it, and nobody knows whether the validator would live";
}

static void tell_pid1(const struct kube_way_facts *f, struct strbuf *b)
{
    if (!kube_way_has_pid1(f)) {
        strbuf_puts(b, ", and no process of the container");
        return;
    }
    int sig = kube_stop_signal(container_of(f));
    const char *name = sig ? sigabbrev_np(sig) : NULL;
    AUTO(freep) char *program = str_shown(f->pid1->name, SHOWN);
    strbuf_printf(b, "; the kubelet's %s%s goes to '%s' (process %d), %s", name ? "SIG" : "signal",
                  name ? name : "", program, (int)f->pid1->id.pid,
                  does_text(f->pid1, kube_pid1_on_signal(f->pid1, sig)));
}

static void tell_pod(const struct kube_way_facts *f, struct strbuf *b)
{
    const struct kube_meta *m = &f->pod->meta;

    if (m->deleting)
        strbuf_printf(b, "pod '%s' is being deleted already, with %" PRIi64 " s left", m->name,
                      f->left_s);
    else
        strbuf_printf(b, "pod '%s' has a grace of %" PRIi64 " s", m->name, f->pod->spec.grace_s);
    strbuf_printf(b, " (a stop may need %" PRIu32 " s)", f->need_s);
    tell_hook(f, b);
    tell_pid1(f, b);
}

static const char *node_of(const struct kube_way_facts *f)
{
    if (f->node && f->node->meta.name)
        return f->node->meta.name;
    return f->pod && f->pod->spec.node ? f->pod->spec.node : "?";
}

static void tell_kubelet(const struct kube_way_facts *f, const struct kube_way *w, struct strbuf *b)
{
    strbuf_puts(b, "; the node's kubelet is stopped first, so that nothing signals, kills or "
                   "starts it, and is started again after the proof");
    if (w->scale_early)
        strbuf_puts(b, "; the Deployment is scaled to 0 as soon as the kubelet is stopped");
    else if (w->scale)
        strbuf_printf(b, "; the scale to 0 %s before that",
                      f->api ? "is owed, and done when the API server is back," : "comes");
}

static void tell_way(const struct kube_way_facts *f, const struct kube_way *w, struct strbuf *b)
{
    const char *scaled = w->scale ? "; the Deployment is scaled to 0" : "";

    switch (w->kind) {
    case KUBE_WAY_NO_POD:
        strbuf_printf(b, "no pod of Deployment '%s' lives%s", f->deployment->meta.name, scaled);
        return;
    case KUBE_WAY_SCALE:
        strbuf_printf(b, "%s and the validator asked at once", w->scale ? scaled : "");
        return;
    case KUBE_WAY_DELETE:
        strbuf_printf(b, "; %s node '%s', the pod is deleted with a grace of %" PRIi64 " s%s",
                      w->cordon ? "after a cordon of" : "others have cordoned", node_of(f),
                      w->grace_s, scaled);
        return;
    case KUBE_WAY_KUBELET:
        tell_kubelet(f, w, b);
        return;
    case KUBE_WAY_ENDING:
        strbuf_printf(b, "%s; that is enough: the validator is asked at once", scaled);
        return;
    case KUBE_WAY_LATE:
        if (w->kubelet)
            tell_kubelet(f, w, b);
        else
            strbuf_printf(b,
                          "%s; nobody can give it more time, and the kubelet cannot be stopped "
                          "(%s): the validator is asked at once, and may be killed before it "
                          "has ended",
                          scaled, f->kubelet);
    }
}

static void tell_around(const struct kube_way_facts *f, struct strbuf *b)
{
    if (f->pod)
        for (size_t i = 0; i < f->pod->meta.finalizers.n; i++) {
            AUTO(freep) char *name = str_shown(f->pod->meta.finalizers.items[i], SHOWN);

            strbuf_printf(b, "; the pod's object stays until '%s' lets it go", name);
        }
    if (f->others)
        strbuf_printf(b, "; %zu pods that were to replace it go as well", f->others);
    if (f->keepers)
        strbuf_printf(b, "; it may get replicas again by %s", f->keepers);
}

char *kube_way_words(const struct kube_way_facts *f, const struct kube_way *w)
{
    struct strbuf b = {0};

    if (f->api)
        strbuf_printf(&b, "the API server cannot be asked (%s)", f->api);
    else if (f->pod)
        tell_pod(f, &b);
    tell_way(f, w, &b);
    if (!f->api)
        tell_around(f, &b);
    return strbuf_take(&b);
}

/* Of the template: a pod that was made before it was put right has nothing left to be written. */
static bool lacks_hook(const struct kube_way_facts *f)
{
    const struct kube_container *c = kube_way_container(&f->deployment->spec, f->container);

    if (!c || kube_way_hook(c, f->need_s) == HOOK_ASKS || !kube_way_has_pid1(f))
        return false;
    if (kube_way_hook(c, f->need_s) == HOOK_UNKNOWN)
        return true;
    enum kube_signal_does d = kube_pid1_on_signal(f->pid1, kube_stop_signal(c));
    return d == KUBE_SIGNAL_KILLS || d == KUBE_SIGNAL_UNKNOWN;
}

char *kube_way_fix(const struct kube_way_facts *f)
{
    struct strbuf b = {0};

    if (f->api || !f->pod)
        return NULL;
    if (f->deployment->spec.grace_s < f->need_s)
        strbuf_printf(&b, "a terminationGracePeriodSeconds of at least %" PRIu32, f->need_s);
    if (lacks_hook(f))
        strbuf_printf(&b,
                      "%sa preStop hook that asks it to exit and waits (agave-validator --ledger "
                      "LEDGER exit --force), or the validator run by agavectl as the container's "
                      "command",
                      b.len ? "; and " : "");
    if (b.len)
        strbuf_puts(&b,
                    "; to be written into the template only while the Deployment has 0 replicas "
                    "and no pod");
    return b.len ? strbuf_take(&b) : NULL;
}
