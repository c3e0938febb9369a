/* The Kubernetes API, read only: GET is the one method here. What the answers mean is read by
 * runtime/kube_read.c. */
#include "runtime/kube.h"

#include "base/json.h"
#include "base/str.h"
#include "io/http.h"

#define BODY_MAX_B (16u << 20)
#define NAME_MAX_B 253

/* ---- questions ---------------------------------------------------------------------------------
 */

/* Names of objects as the API allows them in paths: DNS labels with dots (RFC 1123). */
static struct err *need_name(const char *what, const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";

    if (*name && strlen(name) <= NAME_MAX_B && strspn(name, allowed) == strlen(name) &&
        *name != '.' && *name != '-')
        return NULL;
    AUTO(freep) char *shown = str_shown(name, 80);
    return err_new(ERR_BADINPUT, "'%s' cannot be the name of a %s", shown, what);
}

/* For a query: all but letters, digits and a few marks as %XX. To be freed. */
static char *escaped(const char *text)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    struct strbuf b = {0};

    for (; *text; text++) {
        if (strchr(plain, *text))
            strbuf_add(&b, text, 1);
        else
            strbuf_printf(&b, "%%%02X", (unsigned char)*text);
    }
    return strbuf_take(&b);
}

/* ---- asking ------------------------------------------------------------------------------------
 */

/* An answer that is no success: a Status object (meta/v1) says why. */
static struct err *refusal(const struct kube *k, int status, const char *body, size_t n)
{
    AUTO(json_freep) struct json *j = NULL;
    const char *why = "no reason given";
    enum err_kind kind = ERR_REMOTE;
    struct err *e = json_parse(body, n, &j);

    if (!e && json_get(j, "message"))
        e = json_as_str(json_get(j, "message"), &why);
    err_free(e); /* no reason then */
    AUTO(freep) char *shown = str_shown(why, 200);
    if (status == 401 || status == 403)
        kind = ERR_REFUSED;
    else if (status == 404)
        kind = ERR_NOTFOUND;
    e = err_new_(__FILE__, __LINE__, kind, 0, status, "kubernetes at '%s': HTTP %d: %s",
                 k->access->server, status, shown);
    if (kind != ERR_REFUSED)
        return e;
    return err_hint(e, "see the user '%s' in '%s'", k->access->user, k->access->path);
}

static void question(const struct kube *k, const char *path, struct http_question *ret)
{
    static const char *const headers[] = {"Accept: application/json", NULL};
    const struct kube_access *a = k->access;
    uint32_t timeout_ms = k->timeout_ms ? k->timeout_ms : KUBE_TIMEOUT_MS;

    *ret = (struct http_question){
        .url = http_join(a->server, path),
        .tls = {.ca = a->ca, .ca_n = a->ca_n, .cert = a->cert, .cert_n = a->cert_n, .key = a->key},
    };
    ret->req = (struct http_request){
        .method = "GET",
        .url = ret->url,
        .headers = headers,
        .tls = &ret->tls,
        /* a proxy of this host, asked by http, has credentials of its own */
        .bearer = str_starts(ret->url, "https:") ? a->token : NULL,
        .timeout_ms = timeout_ms,
        .connect_ms = timeout_ms,
        .max_body_b = BODY_MAX_B,
    };
}

/* Is it a success? r->err is handed over. */
static struct err *verdict(const struct kube *k, const struct http_question *q,
                           struct http_response *r)
{
    struct err *e = TAKE(r->err);

    if (e) {
        AUTO(freep) char *reason = xstrdup(http_reason(e, q->url));

        free(e->text);
        e->text = xasprintf("kubernetes at '%s': %s", k->access->server, reason);
        return e;
    }
    return r->status == 200 ? NULL : refusal(k, r->status, r->body, r->body_n);
}

static struct err *ask(struct ctx *ctx, const struct kube *k, const char *path,
                       struct http_response *ret)
{
    AUTO(http_question_clear) struct http_question q = {0};
    AUTO(http_response_clear) struct http_response r = {0};

    question(k, path, &q);
    struct err *e = http_one(ctx, &q.req, &r);
    if (e)
        r.err = e;
    TRY(verdict(k, &q, &r));
    *ret = r;
    r = (struct http_response){0};
    return NULL;
}

/* The answer's own faults, with the place that they came from. */
static struct err *from(struct err *e, const struct kube *k, const char *path)
{
    return err_wrap(e, "kubernetes at '%s': %s", k->access->server, path);
}

struct err *kube_get_deployment(struct ctx *ctx, const struct kube *k, const char *name_space,
                                const char *name, struct kube_deployment *ret)
{
    AUTO(http_response_clear) struct http_response r = {0};

    TRY(need_name("namespace", name_space));
    TRY(need_name("deployment", name));
    AUTO(freep)
    char *path = xasprintf("/apis/apps/v1/namespaces/%s/deployments/%s", name_space, name);
    TRY(ask(ctx, k, path, &r));
    return from(kube_parse_deployment(r.body, r.body_n, ret), k, path);
}

struct err *kube_list_pods(struct ctx *ctx, const struct kube *k, const char *name_space,
                           const char *selector, struct kube_pods *ret)
{
    AUTO(http_response_clear) struct http_response r = {0};
    AUTO(freep) char *query = selector ? escaped(selector) : NULL;

    TRY(need_name("namespace", name_space));
    AUTO(freep)
    char *path = xasprintf("/api/v1/namespaces/%s/pods%s%s", name_space,
                           query ? "?labelSelector=" : "", query ? query : "");
    TRY(ask(ctx, k, path, &r));
    return from(kube_parse_pods(r.body, r.body_n, ret), k, path);
}

static const char pvs_path[] = "/api/v1/persistentvolumes";

void kube_ask_pvs(const struct kube *k, struct http_question *ret)
{
    question(k, pvs_path, ret);
}

struct err *kube_take_pvs(const struct kube *k, const struct http_question *q,
                          struct http_response *r, struct kube_pvs *ret)
{
    TRY(verdict(k, q, r));
    return from(kube_parse_pvs(r->body, r->body_n, ret), k, pvs_path);
}

struct err *kube_list_pvs(struct ctx *ctx, const struct kube *k, struct kube_pvs *ret)
{
    AUTO(http_response_clear) struct http_response r = {0};

    TRY(ask(ctx, k, pvs_path, &r));
    return from(kube_parse_pvs(r.body, r.body_n, ret), k, pvs_path);
}

struct err *kube_list_pvcs(struct ctx *ctx, const struct kube *k, const char *name_space,
                           struct kube_pvcs *ret)
{
    AUTO(http_response_clear) struct http_response r = {0};

    TRY(need_name("namespace", name_space));
    AUTO(freep) char *path = xasprintf("/api/v1/namespaces/%s/persistentvolumeclaims", name_space);
    TRY(ask(ctx, k, path, &r));
    return from(kube_parse_pvcs(r.body, r.body_n, ret), k, path);
}

struct err *kube_get_node(struct ctx *ctx, const struct kube *k, const char *name,
                          struct kube_node *ret)
{
    AUTO(http_response_clear) struct http_response r = {0};

    TRY(need_name("node", name));
    AUTO(freep) char *path = xasprintf("/api/v1/nodes/%s", name);
    TRY(ask(ctx, k, path, &r));
    return from(kube_parse_node(r.body, r.body_n, ret), k, path);
}

struct err *kube_get_version(struct ctx *ctx, const struct kube *k, char **ret)
{
    AUTO(http_response_clear) struct http_response r = {0};
    AUTO(json_freep) struct json *j = NULL;
    const char *version;

    TRY(ask(ctx, k, "/version", &r));
    TRY(from(json_parse(r.body, r.body_n, &j), k, "/version"));
    TRY(from(json_as_str(json_get(j, "gitVersion"), &version), k, "/version: gitVersion"));
    *ret = str_shown(version, 64);
    return NULL;
}
