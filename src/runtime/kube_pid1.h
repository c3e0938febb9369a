#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "host/pids.h"
#include "host/signals.h"

/* The first process of a container as the host sees it: the one that the kubelet's stop signal goes
 * to, and what becomes of the validator by it. */
enum kube_pid1_kind {
    KUBE_PID1_NONE, /* the container has no process */
    KUBE_PID1_VALIDATOR,
    KUBE_PID1_AGAVECTL, /* it asks the validator to exit, and waits for it */
    KUBE_PID1_INIT,     /* tini, dumb-init…: passes on what it gets */
    KUBE_PID1_SHELL,
    KUBE_PID1_OTHER,
};
struct kube_pid1 {
    enum kube_pid1_kind kind;
    struct pid_id id;
    char *name; /* of its executable; foreign text */
    struct pid_signals signals;
    struct pid_id validator; /* in that container; pid 0: none */
    struct pid_signals validator_signals;
};
void kube_pid1_clear(struct kube_pid1 *p);

/* Looks for the container's processes among all of this host, by its id in their cgroup's path
 * (version 1 and 2, whatever lies above: a kind node's own container). container_id:
 * "containerd://<64 digits>", as the API has it. bin: the validator's program, of which only the
 * base name counts. *ret: {0}, to be cleared; kind NONE: no process of it is here. ERR_BADINPUT (no
 * id), ERR_SYS, ERR_CORRUPT. */
struct err *kube_pid1_read(struct ctx *ctx, const char *container_id, const char *bin,
                           struct kube_pid1 *ret) MUST_CHECK;

/* What the stop signal does to the validator, as the kernel and PID 1 are at this moment. */
enum kube_signal_does {
    KUBE_SIGNAL_NOTHING, /* nobody takes notice */
    KUBE_SIGNAL_ASKS,    /* PID 1 asks the validator to exit */
    KUBE_SIGNAL_KILLS,   /* the validator dies where it is */
    KUBE_SIGNAL_UNKNOWN, /* PID 1 takes it, and nobody knows what it does then */
};
/* p->kind must not be NONE. sig 0: a signal that is not known. */
enum kube_signal_does kube_pid1_on_signal(const struct kube_pid1 *p, int sig);
const char *kube_signal_does_name(enum kube_signal_does d);
const char *kube_pid1_kind_name(enum kube_pid1_kind k);
