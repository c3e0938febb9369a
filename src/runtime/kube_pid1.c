/* Which process of a container gets the kubelet's stop signal, and what comes of it. Decided by
 * what the kernel would do with the signal; a name tells what one that takes it does with it, and
 * of which it is sure that they take it. No signal is sent here. */
#include "runtime/kube_pid1.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define ID_LEN 64

static const char *const kinds[] = {
    [KUBE_PID1_NONE] = "none",         [KUBE_PID1_VALIDATOR] = "validator",
    [KUBE_PID1_AGAVECTL] = "agavectl", [KUBE_PID1_INIT] = "init",
    [KUBE_PID1_SHELL] = "shell",       [KUBE_PID1_OTHER] = "other",
};
static const char *const does[] = {
    [KUBE_SIGNAL_NOTHING] = "nothing",
    [KUBE_SIGNAL_ASKS] = "asks",
    [KUBE_SIGNAL_KILLS] = "kills",
    [KUBE_SIGNAL_UNKNOWN] = "unknown",
};

const char *kube_pid1_kind_name(enum kube_pid1_kind k)
{
    return kinds[k];
}

const char *kube_signal_does_name(enum kube_signal_does d)
{
    return does[d];
}

void kube_pid1_clear(struct kube_pid1 *p)
{
    free(p->name);
    *p = (struct kube_pid1){0};
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* The 64 digits behind "containerd://", "cri-o://", "docker://". */
static struct err *digits_of(const char *container_id, const char **ret)
{
    const char *mark = container_id ? strstr(container_id, "://") : NULL;
    const char *id = mark ? mark + 3 : "";

    if (strlen(id) != ID_LEN || strspn(id, "0123456789abcdef") != ID_LEN)
        return err_new(ERR_BADINPUT, "the API server names no container id, but '%s'",
                       container_id ? container_id : "");
    *ret = id;
    return NULL;
}

/* A process that is exiting has no executable any more, but still a name. */
static char *name_of(const struct pid_info *p)
{
    if (!p->exe)
        return xstrdup(p->comm);
    const char *name = base_name(p->exe);
    size_t n = strlen(name);

    return xstrndup(name, str_ends(name, " (deleted)") ? n - strlen(" (deleted)") : n);
}

static enum kube_pid1_kind kind_of(const char *name, const char *bin)
{
    static const struct {
        const char *name;
        enum kube_pid1_kind kind;
    } known[] = {
        {"agave-validator", KUBE_PID1_VALIDATOR},
        {"solana-validator", KUBE_PID1_VALIDATOR},
        {"agavectl", KUBE_PID1_AGAVECTL},
        {"tini", KUBE_PID1_INIT},
        {"tini-static", KUBE_PID1_INIT},
        {"docker-init", KUBE_PID1_INIT},
        {"dumb-init", KUBE_PID1_INIT},
        {"catatonit", KUBE_PID1_INIT},
        {"sh", KUBE_PID1_SHELL},
        {"dash", KUBE_PID1_SHELL},
        {"bash", KUBE_PID1_SHELL},
        {"busybox", KUBE_PID1_SHELL},
    };

    if (str_eq(name, base_name(bin)))
        return KUBE_PID1_VALIDATOR;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(name, known[i].name))
            return known[i].kind;
    return KUBE_PID1_OTHER;
}

/* The first process is 1 in a namespace of its own; where the pod shares one, or the host's, it is
 * the oldest. What a probe or 'kubectl exec' has brought in is neither. */
static bool is_before(const struct pid_info *a, const struct pid_signals *as,
                      const struct kube_pid1 *b)
{
    if ((as->ns_pid == 1) != (b->signals.ns_pid == 1))
        return as->ns_pid == 1;
    return a->id.start < b->id.start;
}

/* Of one process of the container. One that has ended meanwhile is left out. */
static struct err *take(struct ctx *ctx, const struct pid_info *p, const char *bin,
                        struct kube_pid1 *ret)
{
    struct pid_signals s = {0};
    AUTO(freep) char *name = name_of(p);
    enum kube_pid1_kind kind = kind_of(name, bin);
    struct err *e = pid_signals_read(ctx, p->id, &s);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    if (kind == KUBE_PID1_VALIDATOR && p->state != 'Z' &&
        (!ret->validator.pid || p->id.start < ret->validator.start)) {
        ret->validator = p->id;
        ret->validator_signals = s;
    }
    if (ret->kind != KUBE_PID1_NONE && !is_before(p, &s, ret))
        return NULL;
    free(ret->name);
    ret->name = TAKE(name);
    ret->kind = kind;
    ret->id = p->id;
    ret->signals = s;
    return NULL;
}

struct err *kube_pid1_read(struct ctx *ctx, const char *container_id, const char *bin,
                           struct kube_pid1 *ret)
{
    AUTO(kube_pid1_clear) struct kube_pid1 found = {0};
    AUTO(pids_clear) struct pids all = {0};
    const char *id = NULL;

    TRY(digits_of(container_id, &id));
    TRY(pids_find(ctx, &(struct pids_match){0}, &all));
    for (size_t i = 0; i < all.n; i++) {
        const struct pid_info *p = &all.items[i];

        if (p->cgroup && strstr(p->cgroup, id))
            TRY_CTX(take(ctx, p, bin, &found), "process %d", (int)p->id.pid);
    }
    *ret = found;
    found = (struct kube_pid1){0};
    return NULL;
}

/* An init waits for signals all the time. Of one whose name says nothing it must be seen that it
 * does not. */
static bool takes_signal(const struct kube_pid1 *p, int sig)
{
    const struct pid_signals *s = &p->signals;

    return pid_signals_has(s->caught | s->blocked, sig) || p->kind == KUBE_PID1_INIT ||
           s->waits == SIGNAL_WAIT_YES ||
           (p->kind == KUBE_PID1_OTHER && s->waits == SIGNAL_WAIT_UNKNOWN);
}

enum kube_signal_does kube_pid1_on_signal(const struct kube_pid1 *p, int sig)
{
    const struct pid_signals *s = &p->signals;
    const struct pid_signals *v = &p->validator_signals;

    if (sig == SIGKILL)
        return KUBE_SIGNAL_KILLS;
    if (!sig)
        return KUBE_SIGNAL_UNKNOWN;
    if (!takes_signal(p, sig)) /* when it ends the runtime kills what is left in the container */
        return s->ns_pid == 1 || pid_signals_has(s->ignored, sig) ? KUBE_SIGNAL_NOTHING
                                                                  : KUBE_SIGNAL_KILLS;
    if (p->kind == KUBE_PID1_AGAVECTL)
        return KUBE_SIGNAL_ASKS;
    if (p->kind != KUBE_PID1_INIT || (p->validator.pid && pid_signals_has(v->caught, sig)))
        return KUBE_SIGNAL_UNKNOWN;
    return p->validator.pid && pid_signals_has(v->ignored, sig) ? KUBE_SIGNAL_NOTHING
                                                                : KUBE_SIGNAL_KILLS;
}
