#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/json.h"

/* HTTP through libcurl. http and https (certificate and host name verified) only; a redirect is
 * followed only when asked, within the same host and port. */
struct http_request {
    const char *method; /* "GET", "HEAD", "POST" */
    const char *url;
    const char *body; /* POST */
    size_t body_n;
    const char *const *headers; /* NULL-terminated "Name: value", or NULL */
    uint32_t timeout_ms;        /* whole transfer; 0: none (streams: see min_rate) */
    uint32_t connect_ms;        /* 0: 3,000 */
    uint64_t max_body_b;        /* 0: 16 MiB; more is ERR_REMOTE and ends the transfer */
    uint32_t min_rate_b_s;      /* 0: none; below it for min_rate_s seconds is ERR_TIMEOUT */
    uint32_t min_rate_s;
    bool follow; /* at most 5 redirects on the same host and port */
    /* Streaming: called with each piece of a 2xx body in order; an error ends the transfer and is
     * returned. NULL: the body is collected in http_response.body. on_length is called once before
     * the first piece with Content-Length, or UINT64_MAX; may be NULL. */
    struct err *(*on_data)(void *arg, const void *data, size_t n);
    struct err *(*on_length)(void *arg, uint64_t length_b);
    void *arg;
};
struct http_response {
    int status;
    char *body; /* NUL-terminated; NULL when streamed */
    size_t body_n;
    char *location;    /* Location header of a 3xx, as sent, or NULL */
    char *url;         /* the URL that answered after redirects */
    uint64_t length_b; /* Content-Length, or UINT64_MAX */
    double seconds;    /* whole transfer */
    struct err *err;   /* http_many: the failure of this request alone; NULL: answered */
};
void http_response_clear(struct http_response *r);

struct http_ops {
    /* Runs n requests at once, all of them to their end or their time-out; the result of each is in
     * ret[i] (err set, or status). A status of 400 and above is an answer, not an error. The only
     * error of the call itself is ERR_CANCELLED. */
    struct err *(*many)(struct ctx *ctx, const struct http_request *reqs, size_t n,
                        struct http_response *ret);
};
extern const struct http_ops http_curl;

/* One request; its failure is the error: ERR_REMOTE (refused, reset, TLS, too large), ERR_TIMEOUT,
 * ERR_BADINPUT (URL). */
struct err *http_one(struct ctx *ctx, const struct http_request *req, struct http_response *ret)
    MUST_CHECK;
