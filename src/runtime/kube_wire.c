/* Requests to the Kubernetes API: as whom, where an object is, and what a refusal means. What the
 * answers hold is read elsewhere. Only the files of the changes name another method than GET. */
#include "runtime/kube_wire.h"

#include "base/str.h"
#include "io/clock.h"
#include "runtime/fields.h"
#include "runtime/kube_cert.h"

#define NAME_MAX_B 253
#define SHOWN_MAX  400
#define RETRY_MS   200
#define NS_PER_MS  1000000ULL

/* ---- where -------------------------------------------------------------------------------------
 */

static const struct kube_kind_info kinds[KUBE_N_KINDS] = {
    [KUBE_POD] = {"Pod", "v1", "/api/v1", "pods", false},
    [KUBE_DEPLOYMENT] = {"Deployment", "apps/v1", "/apis/apps/v1", "deployments", false},
    [KUBE_NODE] = {"Node", "v1", "/api/v1", "nodes", true},
    [KUBE_NAMESPACE] = {"Namespace", "v1", "/api/v1", "namespaces", true},
    [KUBE_PV] = {"PersistentVolume", "v1", "/api/v1", "persistentvolumes", true},
    [KUBE_PVC] = {"PersistentVolumeClaim", "v1", "/api/v1", "persistentvolumeclaims", false},
    [KUBE_EVENT] = {"Event", "v1", "/api/v1", "events", false},
    [KUBE_HPA] = {"HorizontalPodAutoscaler", "autoscaling/v2", "/apis/autoscaling/v2",
                  "horizontalpodautoscalers", false},
    [KUBE_LEASE] = {"Lease", "coordination.k8s.io/v1", "/apis/coordination.k8s.io/v1", "leases",
                    false},
    [KUBE_CONFIG_MAP] = {"ConfigMap", "v1", "/api/v1", "configmaps", false},
    [KUBE_SERVICE] = {"Service", "v1", "/api/v1", "services", false},
    [KUBE_SECRET] = {"Secret", "v1", "/api/v1", "secrets", false},
    [KUBE_SERVICE_ACCOUNT] = {"ServiceAccount", "v1", "/api/v1", "serviceaccounts", false},
};

const struct kube_kind_info *kube_kind_info(enum kube_kind kind)
{
    return &kinds[kind];
}

bool kube_kind_of(const char *api_version, const char *kind, enum kube_kind *ret)
{
    for (unsigned i = 0; i < KUBE_N_KINDS; i++)
        if (str_eq(kinds[i].kind, kind) && str_eq(kinds[i].api_version, api_version)) {
            *ret = (enum kube_kind)i;
            return true;
        }
    return false;
}

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

struct err *kube_path(enum kube_kind kind, const char *name_space, const char *name, char **ret)
{
    const struct kube_kind_info *i = &kinds[kind];
    bool in = !i->of_cluster && name_space;

    if (in)
        TRY(need_name("namespace", name_space));
    if (name)
        TRY(need_name(i->kind, name));
    *ret = xasprintf("%s%s%s/%s%s%s", i->root, in ? "/namespaces/" : "", in ? name_space : "",
                     i->plural, name ? "/" : "", name ? name : "");
    return NULL;
}

char *kube_escaped(const char *text)
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

/* ---- why not -----------------------------------------------------------------------------------
 */

static const struct field status_fields[] = {
    {"code", FIELD_U32, offsetof(struct kube_status, code)},
    {"reason", FIELD_STR, offsetof(struct kube_status, reason)},
    {"message", FIELD_STR, offsetof(struct kube_status, message)},
    {"details/retryAfterSeconds", FIELD_U32, offsetof(struct kube_status, retry_after_s)},
};

void kube_status_clear(struct kube_status *s)
{
    free(s->reason);
    free(s->message);
    *s = (struct kube_status){0};
}

struct err *kube_read_status(const struct json *j, struct kube_status *ret)
{
    AUTO(kube_status_clear) struct kube_status s = {0};

    TRY(fields_read(j, status_fields, ARRAY_LEN(status_fields), &s));
    *ret = s;
    s = (struct kube_status){0};
    return NULL;
}

struct err *kube_parse_status(const char *body, size_t n, struct kube_status *ret)
{
    AUTO(json_freep) struct json *j = NULL;

    TRY(json_parse(body, n, &j));
    return kube_read_status(j, ret);
}

static const struct kube_credentials *plugin_says(const struct kube_access *a)
{
    return a->exec ? &a->exec->now : NULL;
}

/* The server does not say that it refused a certificate for its dates. */
static struct err *hint_at_dates(struct ctx *ctx, const struct kube_access *a, struct err *e)
{
    const struct kube_credentials *c = plugin_says(a);
    const char *cert = c ? c->cert : a->cert;
    int64_t from, until, now = (int64_t)(clock_wall_ms(ctx) / 1000);
    char when[64];

    if (!cert)
        return e;
    struct err *bad = kube_cert_times(cert, strlen(cert), &from, &until);
    if (bad) {
        err_free(bad);
        return e;
    }
    if (now > until)
        return err_hint(e,
                        "the client certificate of user '%s' expired on %s by this host's clock; "
                        "renew it ('kubeadm certs renew admin.conf') and put it there",
                        a->user, fmt_utc((uint64_t)until * 1000, when, sizeof(when)));
    if (now < from)
        return err_hint(e,
                        "the client certificate of user '%s' is valid from %s on: is this host's "
                        "clock right?",
                        a->user, fmt_utc((uint64_t)from * 1000, when, sizeof(when)));
    return e;
}

struct err *kube_refusal(const struct kube *k, int status, const char *body, size_t n)
{
    AUTO(kube_status_clear) struct kube_status s = {0};
    enum err_kind kind = ERR_REMOTE;
    struct err *e = kube_parse_status(body, n, &s);

    err_free(e); /* no reason then */
    AUTO(freep) char *shown = str_shown(s.message ? s.message : "no reason given", SHOWN_MAX);
    if (status == 401 || status == 403 || status == 409)
        kind = ERR_REFUSED;
    else if (status == 404)
        kind = ERR_NOTFOUND;
    e = err_new_(__FILE__, __LINE__, kind, 0, status, "kubernetes at '%s': HTTP %d: %s",
                 k->access->server, status, shown);
    if (status != 401 && status != 403)
        return e;
    return err_hint(e, "see the user '%s' in '%s'", k->access->user, k->access->path);
}

struct err *kube_from(struct err *e, const struct kube *k, const char *path)
{
    return err_wrap(e, "kubernetes at '%s': %s", k->access->server, path);
}

/* ---- asking ------------------------------------------------------------------------------------
 */

static const char *const plain_headers[] = {"Accept: application/json", NULL};

void kube_question(const struct kube *k, const char *path, struct http_question *ret)
{
    const struct kube_access *a = k->access;
    const struct kube_credentials *c = plugin_says(a);
    uint32_t timeout_ms = k->timeout_ms ? k->timeout_ms : KUBE_TIMEOUT_MS;

    *ret = (struct http_question){
        .url = http_join(a->server, path),
        .tls = {.ca = a->ca,
                .ca_n = a->ca_n,
                .cert = c ? c->cert : a->cert,
                .cert_n = c ? c->cert_n : a->cert_n,
                .key = c ? c->key : a->key},
    };
    ret->req = (struct http_request){
        .method = "GET",
        .url = ret->url,
        .headers = plain_headers,
        .tls = &ret->tls,
        /* a proxy of this host, asked by http, has credentials of its own */
        .bearer = !str_starts(ret->url, "https:") ? NULL
                  : c                             ? c->token
                                                  : a->token,
        .timeout_ms = timeout_ms,
        .connect_ms = timeout_ms,
        .max_body_b = KUBE_BODY_MAX_B,
    };
}

struct err *kube_verdict(const struct kube *k, const struct http_question *q,
                         struct http_response *r)
{
    struct err *e = TAKE(r->err);

    if (e) {
        AUTO(freep) char *reason = xstrdup(http_reason(e, q->url));

        free(e->text);
        e->text = xasprintf("kubernetes at '%s': %s", k->access->server, reason);
        return e;
    }
    return r->status >= 200 && r->status < 300 ? NULL
                                               : kube_refusal(k, r->status, r->body, r->body_n);
}

static struct err *once(struct ctx *ctx, const struct kube *k, const struct kube_call *c,
                        const char *text, struct http_response *ret)
{
    AUTO(http_question_clear) struct http_question q = {0};
    AUTO(http_response_clear) struct http_response r = {0};
    AUTO(freep)
    char *content = xasprintf("Content-Type: %s", c->content ? c->content : "application/json");
    const char *const headers[] = {plain_headers[0], content, NULL};

    kube_question(k, c->path, &q);
    q.req.method = c->method;
    if (text) {
        q.req.body = text;
        q.req.body_n = strlen(text);
        q.req.headers = headers;
    }
    struct err *e = http_one(ctx, &q.req, &r);
    if (e)
        r.err = e;
    TRY(kube_verdict(k, &q, &r));
    *ret = r;
    r = (struct http_response){0};
    return NULL;
}

/* A server that has just started refuses everybody until it has read its rules, in the very words
 * of a real refusal. One that is ready has read them: what it refuses then is refused. */
static struct err *make_sure(struct ctx *ctx, const struct kube *k, const struct kube_call *c,
                             const char *text, struct err *refused, struct http_response *ret)
{
    const struct kube_call ready = {.method = "GET", .path = "/readyz"};
    AUTO(http_response_clear) struct http_response r = {0};
    struct err *e = once(ctx, k, &ready, NULL, &r);

    if (!e) {
        err_free(refused);
        return once(ctx, k, c, text, ret);
    }
    err_free(e);
    refused->kind = ERR_REMOTE;
    refused->remote = 503;
    return err_hint(refused, "but it does not say that it is ready: it may just have started");
}

struct err *kube_call(struct ctx *ctx, const struct kube *k, const struct kube_call *c,
                      struct http_response *ret)
{
    AUTO(freep) char *text = c->body ? json_text(c->body, false) : NULL;
    struct kube_exec *x = k->access->exec;
    struct err *e;

    if (x)
        TRY(kube_exec_fresh(ctx, x, false));
    e = once(ctx, k, c, text, ret);
    if (e && e->remote == 401 && x) {
        err_free(e);
        TRY(kube_exec_fresh(ctx, x, true));
        e = once(ctx, k, c, text, ret);
    }
    if (e && e->remote == 401)
        return hint_at_dates(ctx, k->access, e);
    return e && e->remote == 403 ? make_sure(ctx, k, c, text, e, ret) : e;
}

bool kube_may_pass(const struct err *e)
{
    if (e->kind == ERR_TIMEOUT)
        return true;
    return e->kind == ERR_REMOTE && (e->remote == 0 || e->remote == 429 || e->remote == 500 ||
                                     (e->remote >= 502 && e->remote <= 504));
}

struct err *kube_wait_to_retry(struct ctx *ctx, unsigned n, uint64_t deadline_ns)
{
    uint64_t ms = RETRY_MS * (n < 4 ? 1u << (n - 1) : 10),
             left = deadline_left_ms(ctx, deadline_ns);

    ctx->clock->wait((ms < left ? ms : left) * NS_PER_MS, ctx->cancelled);
    return ctx_cancelled(ctx) ? err_new(ERR_CANCELLED, "kubernetes: interrupted") : NULL;
}

struct err *kube_ask(struct ctx *ctx, const struct kube *k, const char *path,
                     struct http_response *ret)
{
    const struct kube_call c = {.method = "GET", .path = path};
    uint64_t deadline = deadline_in_ms(ctx, k->retry_ms);

    for (unsigned n = 1;; n++) {
        struct err *e = kube_call(ctx, k, &c, ret);

        if (!e || !k->retry_ms || !kube_may_pass(e) || deadline_passed(ctx, deadline))
            return e;
        err_free(e);
        TRY(kube_wait_to_retry(ctx, n, deadline));
    }
}
