#pragma once

/* HTTP for tests of what asks RPC nodes: a table of rows instead of a network. The first row whose
 * url is the request's and whose word is in its body answers; without one, nobody listens there.
 * "$ID" in an answer becomes the request's id. One table at a time. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "io/clock.h"
#include "io/http.h"

struct fake_row {
    const char *url;
    const char *word; /* NULL: any */
    int status;       /* 0: err_kind and body as the error's text */
    const char *body;
    enum err_kind err_kind;
    uint32_t ms; /* told as the time it took */
};
static const struct fake_row *fake_rows;
static size_t fake_n_rows;
static unsigned fake_batches; /* calls of many */
static size_t fake_asked;     /* requests in all of them */

static char *fake_body(const char *body, const char *request)
{
    const char *id = strstr(request, "\"id\":");
    const char *mark = strstr(body, "$ID");
    size_t n = id ? strspn(id + 5, "0123456789") : 0;

    if (!mark || !id)
        return xstrdup(body);
    return xasprintf("%.*s%.*s%s", (int)(mark - body), body, (int)n, id + 5, mark + 3);
}

static void fake_one(const struct http_request *req, struct http_response *ret)
{
    *ret = (struct http_response){.length_b = UINT64_MAX};
    for (size_t i = 0; i < fake_n_rows; i++) {
        const struct fake_row *row = &fake_rows[i];

        if (!str_eq(row->url, req->url) || (row->word && !strstr(req->body, row->word)))
            continue;
        ret->seconds = row->ms / 1000.0;
        if (!row->status) {
            ret->err = err_new(row->err_kind, "%s: %s", req->url, row->body);
            return;
        }
        ret->status = row->status;
        ret->body = fake_body(row->body, req->body);
        ret->body_n = strlen(ret->body);
        return;
    }
    ret->err = err_new(ERR_REMOTE, "%s: connection refused", req->url);
}

static struct err *fake_many(struct ctx *ctx, const struct http_request *reqs, size_t n,
                             struct http_response *ret)
{
    fake_batches++;
    fake_asked += n;
    if (ctx_cancelled(ctx))
        return err_new(ERR_CANCELLED, "HTTP: interrupted");
    for (size_t i = 0; i < n; i++)
        fake_one(&reqs[i], &ret[i]);
    return NULL;
}

static const struct http_ops fake_http = {.many = fake_many};

static void fake_use(const struct fake_row *rows, size_t n)
{
    fake_rows = rows;
    fake_n_rows = n;
    fake_batches = 0;
    fake_asked = 0;
}
