#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/json.h"
#include "io/http.h"
#include "runtime/kube.h"

/* How a request to the Kubernetes API is made and what its failure means: for the kube*.c files
 * alone. The paths and media types are those of Kubernetes 1.34. */
#define KUBE_BODY_MAX_B (16u << 20)

/* Where the objects of a kind are. */
struct kube_kind_info {
    const char *kind, *api_version; /* "Deployment", "apps/v1" */
    const char *root, *plural;      /* "/apis/apps/v1", "deployments" */
    bool of_cluster;                /* in no namespace */
};
const struct kube_kind_info *kube_kind_info(enum kube_kind kind);
/* By apiVersion and kind; false: none of ours. */
bool kube_kind_of(const char *api_version, const char *kind, enum kube_kind *ret);
/* "/apis/apps/v1/namespaces/x/deployments/y"; name NULL: that of the list. name_space is not looked
 * at where the kind has none; NULL: of all namespaces. To be freed. ERR_BADINPUT: a name that no
 * object can have. */
struct err *kube_path(enum kube_kind kind, const char *name_space, const char *name, char **ret)
    MUST_CHECK;
/* For a query: all but letters, digits and a few marks as %XX. To be freed. */
char *kube_escaped(const char *text);

/* What a server, or a proxy before it, says in place of an answer (meta/v1 Status). Members that it
 * does not have are 0 and NULL. ERR_REMOTE: no object. */
struct kube_status {
    uint32_t code;
    char *reason, *message;
    uint32_t retry_after_s;
};
void kube_status_clear(struct kube_status *s);
struct err *kube_parse_status(const char *body, size_t n, struct kube_status *ret) MUST_CHECK;
struct err *kube_read_status(const struct json *j, struct kube_status *ret) MUST_CHECK;
/* The error for an HTTP status (or a Status in a watch) that is no success. */
struct err *kube_refusal(const struct kube *k, int status, const char *body, size_t n) MUST_CHECK;

/* A GET, to be sent by somebody else; nothing is asked or run here. */
void kube_question(const struct kube *k, const char *path, struct http_question *ret);
/* Is what came a success? r->err is handed over. */
struct err *kube_verdict(const struct kube *k, const struct http_question *q,
                         struct http_response *r) MUST_CHECK;

/* One request, with fresh credentials; when they are refused and come from a plugin, it is asked
 * anew and the request sent once more. So it is after a 403, when the server says that it is ready
 * (/readyz): one that has just started refuses everybody, which is ERR_REMOTE here, 503. */
struct kube_call {
    const char *method;
    const char *path;        /* with its query */
    const struct json *body; /* NULL: none */
    const char *content;     /* of the body; NULL: application/json */
};
struct err *kube_call(struct ctx *ctx, const struct kube *k, const struct kube_call *c,
                      struct http_response *ret) MUST_CHECK;
/* GET, again and again for k->retry_ms while it may help. */
struct err *kube_ask(struct ctx *ctx, const struct kube *k, const char *path,
                     struct http_response *ret) MUST_CHECK;
/* Could the same request get another answer in a moment: no connection, no answer in time, a server
 * that cannot now. A change that ended so may have been made. */
bool kube_may_pass(const struct err *e);
/* Waits before try number n (from 1): 0.2 s, doubled up to 2 s. ERR_CANCELLED. */
struct err *kube_wait_to_retry(struct ctx *ctx, unsigned n, uint64_t deadline_ns) MUST_CHECK;
/* The answer's own faults, with the place that they came from. */
struct err *kube_from(struct err *e, const struct kube *k, const char *path) MUST_CHECK;
