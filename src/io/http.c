/* Requests as most callers want them: some at once and all to their end, or one. The loop below
 * them is http_loop.c. */
#include "io/http.h"

#include <stdlib.h>
#include <string.h>

#include "io/http_loop.h"

static void keep(void *arg, struct http_transfer *t, struct http_response *r)
{
    struct http_response *ret = arg;

    *ret = *r;
    *r = (struct http_response){0};
}

static struct err *http_curl_many(struct ctx *ctx, const struct http_request *reqs, size_t n,
                                  struct http_response *ret)
{
    AUTO(http_loop_freep) struct http_loop *l = NULL;
    struct err *e;

    if (n == 0)
        return NULL;
    TRY(http_loop_new(ctx, &(struct http_loop_opts){0}, &l));
    memset(ret, 0, n * sizeof(*ret));
    for (size_t i = 0; i < n; i++)
        http_begin(l, &reqs[i], keep, &ret[i]);
    e = http_loop_run(l, 0, NULL, NULL);
    for (size_t i = 0; e && i < n; i++)
        http_response_clear(&ret[i]);
    return e;
}

const struct http_ops http_curl = {.many = http_curl_many};

void http_response_clear(struct http_response *r)
{
    free(r->body);
    free(r->location);
    free(r->url);
    err_free(r->err);
    *r = (struct http_response){0};
}

size_t http_origin_n(const char *url)
{
    const char *rest = strstr(url, "://");

    return rest ? (size_t)(rest - url) + 3 + strcspn(rest + 3, "/?#") : strlen(url);
}

char *http_origin(const char *url)
{
    size_t n = http_origin_n(url);
    const char *scheme_end = strstr(url, "://"), *host = scheme_end ? scheme_end + 3 : url;
    const char *at = memrchr(host, '@', n - (size_t)(host - url));

    return xasprintf("%.*s%.*s", (int)(host - url), url,
                     (int)(n - (size_t)((at ? at + 1 : host) - url)), at ? at + 1 : host);
}

void http_take_way(struct http_request *req, const struct http_way *way)
{
    if (!way)
        return;
    req->proxy = way->proxy;
    req->tls = way->tls;
}

char *http_way_fault(const struct http_way *way, const char *url, const struct http_response *r)
{
    const char *proxy = way ? way->proxy : NULL;
    AUTO(freep) char *label = NULL;

    if (r->err)
        return r->by_proxy ? xstrdup(http_reason(r->err, url)) : NULL;
    if (!proxy || (r->status != 502 && r->status != 503 && r->status != 504))
        return NULL;
    label = http_origin(proxy);
    return xasprintf("proxy '%s': it does not get through (status %d)", label, r->status);
}

char *http_join(const char *base, const char *path)
{
    size_t n = strlen(base);

    while (n && base[n - 1] == '/')
        n--;
    return xasprintf("%.*s%s", (int)n, base, path);
}

const char *http_reason(const struct err *e, const char *url)
{
    size_t n = http_origin_n(url);
    const char *end = n && strncmp(e->text, url, n) == 0 ? strstr(e->text + n, ": ") : NULL;

    return end ? end + 2 : e->text;
}

void http_question_clear(struct http_question *q)
{
    free(q->url);
    free(q->unix_socket);
    *q = (struct http_question){0};
}

struct err *http_one(struct ctx *ctx, const struct http_request *req, struct http_response *ret)
{
    struct http_response res = {0};

    TRY(ctx->http->many(ctx, req, 1, &res));
    if (res.err) {
        struct err *e = TAKE(res.err);

        http_response_clear(&res);
        return e;
    }
    *ret = res;
    return NULL;
}
