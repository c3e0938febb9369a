#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/secret.h"
#include "base/str.h"

/* Credentials that a program hands out: `exec` of a kubeconfig's user (client.authentication.k8s.io
 * v1 and v1beta1; kubernetes/client-go 0.34, pkg/apis/clientauthentication). */

struct kube_credentials {
    char *cert; /* PEM; NULL: none */
    size_t cert_n;
    struct secret *key, *token; /* of cert; NULL: none */
    int64_t expires_at;         /* seconds since 1970; 0: not said */
};
void kube_credentials_clear(struct kube_credentials *c);

struct kube_exec {
    char *config, *user; /* who names it, for messages */
    char *api_version;
    char *command;               /* as written; with a slash: made absolute */
    struct strlist args, env;    /* env: "NAME=value", beside a PATH and a HOME of ours */
    char *hint;                  /* installHint, or NULL */
    char *cluster;               /* provideClusterInfo: JSON for KUBERNETES_EXEC_INFO, or NULL */
    uid_t owner;                 /* of the kubeconfig */
    struct kube_credentials now; /* what it said last; empty before the first time */
};
struct kube_exec *kube_exec_free(struct kube_exec *x); /* NULL is fine; returns NULL */

#define KUBE_EXEC_S 20

/* Makes x->now good for at least the next 10 seconds: runs the program when it has not been run,
 * when what it said has expired by this host's clock, or when anew. At most KUBE_EXEC_S. It is run
 * without a shell and without a terminal, with an environment of its own; by root with the rights
 * of who owns the kubeconfig, by others only when that is they or root.
 * ERR_ABSENT (no such program: with its hint), ERR_REFUSED (a kubeconfig of another user),
 * ERR_REMOTE (it failed, or said nonsense), ERR_TIMEOUT, ERR_CANCELLED, ERR_SYS. */
struct err *kube_exec_fresh(struct ctx *ctx, struct kube_exec *x, bool anew) MUST_CHECK;

/* The part that looks at foreign bytes: what such a program printed. Nothing of a value is in a
 * message. ERR_REMOTE. */
struct err *kube_exec_parse(const char *text, size_t n, const char *api_version,
                            struct kube_credentials *ret) MUST_CHECK;
