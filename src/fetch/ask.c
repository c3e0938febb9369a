/* A question to an RPC node beside others that go on at the same time; rpc_many waits for its own.
 */
#include "fetch/ask.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "solana/rpc.h"

#define ASK_ID 1

static const char *const json_headers[] = {"Content-Type: application/json", NULL};

struct ask {
    struct http_transfer *t;
    char *body;
    void (*done)(void *arg, struct json *result);
    void *arg;
};

struct ask *ask_free(struct ask *a)
{
    if (!a)
        return NULL;
    if (a->t)
        http_cancel(a->t);
    free(a->body);
    free(a);
    return NULL;
}

static void on_done(void *arg, struct http_transfer *t, struct http_response *r)
{
    struct ask *a = arg;
    AUTO(json_freep) struct json *result = NULL;
    AUTO(json_freep) struct json *error = NULL;

    a->t = NULL;
    if (!r->err && r->status == 200 && r->body)
        err_free(rpc_parse_reply(r->body, r->body_n, ASK_ID, &result, &error)); /* no answer then */
    a->done(a->arg, result);
    ask_free(a);
}

struct ask *ask_begin(struct http_loop *l, const char *url, const char *method, const char *params,
                      const struct http_way *way, uint32_t timeout_ms,
                      void (*done)(void *arg, struct json *result), void *arg)
{
    struct ask *a = xcalloc(1, sizeof(*a));

    *a = (struct ask){.done = done, .arg = arg};
    a->body = xasprintf("{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"%s\",\"params\":%s}", ASK_ID,
                        method, params ? params : "[]");
    struct http_request req = {
        .method = "POST",
        .url = url,
        .body = a->body,
        .body_n = strlen(a->body),
        .headers = json_headers,
        .timeout_ms = timeout_ms,
        .connect_ms = timeout_ms,
        .max_body_b = RPC_BODY_MAX,
    };
    http_take_way(&req, way);
    a->t = http_begin(l, &req, on_done, a);
    return a;
}
