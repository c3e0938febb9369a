/* The Kubernetes API, read only: GET is the one method here. What the answers mean is read by
 * runtime/kube_read.c and kube_around.c. */
#include "runtime/kube.h"

#include "base/json.h"
#include "base/str.h"
#include "io/http.h"
#include "runtime/kube_wire.h"

struct err *kube_get_deployment(struct ctx *ctx, const struct kube *k, const char *name_space,
                                const char *name, struct kube_deployment *ret)
{
    AUTO(http_response_clear) struct http_response r = {0};
    AUTO(freep) char *path = NULL;

    TRY(kube_path(KUBE_DEPLOYMENT, name_space, name, &path));
    TRY(kube_ask(ctx, k, path, &r));
    return kube_from(kube_parse_deployment(r.body, r.body_n, ret), k, path);
}

struct err *kube_get_pod(struct ctx *ctx, const struct kube *k, const char *name_space,
                         const char *name, struct kube_pod *ret)
{
    AUTO(http_response_clear) struct http_response r = {0};
    AUTO(freep) char *path = NULL;

    TRY(kube_path(KUBE_POD, name_space, name, &path));
    TRY(kube_ask(ctx, k, path, &r));
    return kube_from(kube_parse_pod(r.body, r.body_n, ret), k, path);
}

/* A list, or those of it that a label selector takes. */
static struct err *list(struct ctx *ctx, const struct kube *k, enum kube_kind kind,
                        const char *name_space, const char *selector, char **ret_path,
                        struct http_response *ret)
{
    AUTO(freep) char *query = selector ? kube_escaped(selector) : NULL;
    AUTO(freep) char *all = NULL;

    TRY(kube_path(kind, name_space, NULL, &all));
    *ret_path = xasprintf("%s%s%s", all, query ? "?labelSelector=" : "", query ? query : "");
    return kube_ask(ctx, k, *ret_path, ret);
}

struct err *kube_list_deployments(struct ctx *ctx, const struct kube *k, const char *name_space,
                                  const char *selector, struct kube_deployments *ret)
{
    AUTO(http_response_clear) struct http_response r = {0};
    AUTO(freep) char *path = NULL;

    TRY(list(ctx, k, KUBE_DEPLOYMENT, name_space, selector, &path, &r));
    return kube_from(kube_parse_deployments(r.body, r.body_n, ret), k, path);
}

struct err *kube_list_pods(struct ctx *ctx, const struct kube *k, const char *name_space,
                           const char *selector, struct kube_pods *ret)
{
    AUTO(http_response_clear) struct http_response r = {0};
    AUTO(freep) char *path = NULL;

    TRY(list(ctx, k, KUBE_POD, name_space, selector, &path, &r));
    return kube_from(kube_parse_pods(r.body, r.body_n, ret), k, path);
}

static const char pvs_path[] = "/api/v1/persistentvolumes";

void kube_ask_pvs(const struct kube *k, struct http_question *ret)
{
    kube_question(k, pvs_path, ret);
}

struct err *kube_take_pvs(const struct kube *k, const struct http_question *q,
                          struct http_response *r, struct kube_pvs *ret)
{
    TRY(kube_verdict(k, q, r));
    return kube_from(kube_parse_pvs(r->body, r->body_n, ret), k, pvs_path);
}

struct err *kube_list_pvs(struct ctx *ctx, const struct kube *k, struct kube_pvs *ret)
{
    AUTO(http_response_clear) struct http_response r = {0};

    TRY(kube_ask(ctx, k, pvs_path, &r));
    return kube_from(kube_parse_pvs(r.body, r.body_n, ret), k, pvs_path);
}

struct err *kube_list_pvcs(struct ctx *ctx, const struct kube *k, const char *name_space,
                           struct kube_pvcs *ret)
{
    AUTO(http_response_clear) struct http_response r = {0};
    AUTO(freep) char *path = NULL;

    TRY(kube_path(KUBE_PVC, name_space, NULL, &path));
    TRY(kube_ask(ctx, k, path, &r));
    return kube_from(kube_parse_pvcs(r.body, r.body_n, ret), k, path);
}

struct err *kube_get_node(struct ctx *ctx, const struct kube *k, const char *name,
                          struct kube_node *ret)
{
    AUTO(http_response_clear) struct http_response r = {0};
    AUTO(freep) char *path = NULL;

    TRY(kube_path(KUBE_NODE, NULL, name, &path));
    TRY(kube_ask(ctx, k, path, &r));
    return kube_from(kube_parse_node(r.body, r.body_n, ret), k, path);
}

struct err *kube_get_namespace(struct ctx *ctx, const struct kube *k, const char *name,
                               struct kube_namespace *ret)
{
    AUTO(http_response_clear) struct http_response r = {0};
    AUTO(freep) char *path = NULL;

    TRY(kube_path(KUBE_NAMESPACE, NULL, name, &path));
    TRY(kube_ask(ctx, k, path, &r));
    return kube_from(kube_parse_namespace(r.body, r.body_n, ret), k, path);
}

struct err *kube_list_events(struct ctx *ctx, const struct kube *k, const char *name_space,
                             const char *uid, struct kube_events *ret)
{
    AUTO(http_response_clear) struct http_response r = {0};
    AUTO(freep) char *all = NULL;
    AUTO(freep) char *escaped = kube_escaped(uid);

    TRY(kube_path(KUBE_EVENT, name_space, NULL, &all));
    AUTO(freep) char *path = xasprintf("%s?fieldSelector=involvedObject.uid%%3D%s", all, escaped);
    TRY(kube_ask(ctx, k, path, &r));
    return kube_from(kube_parse_events(r.body, r.body_n, ret), k, path);
}

struct err *kube_list_hpas(struct ctx *ctx, const struct kube *k, const char *name_space,
                           struct kube_hpas *ret)
{
    AUTO(http_response_clear) struct http_response r = {0};
    AUTO(freep) char *path = NULL;

    TRY(kube_path(KUBE_HPA, name_space, NULL, &path));
    TRY(kube_ask(ctx, k, path, &r));
    return kube_from(kube_parse_hpas(r.body, r.body_n, ret), k, path);
}

struct err *kube_get_version(struct ctx *ctx, const struct kube *k, char **ret)
{
    AUTO(http_response_clear) struct http_response r = {0};
    AUTO(json_freep) struct json *j = NULL;
    const char *version;

    TRY(kube_ask(ctx, k, "/version", &r));
    TRY(kube_from(json_parse(r.body, r.body_n, &j), k, "/version"));
    TRY(kube_from(json_as_str(json_get(j, "gitVersion"), &version), k, "/version: gitVersion"));
    *ret = str_shown(version, 64);
    return NULL;
}
