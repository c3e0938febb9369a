#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/secret.h"

/* Who is trusted, and who we are, for https; all of it PEM text in memory, borrowed for the call.
 */
struct http_tls {
    const char *ca; /* the only authorities that are trusted; NULL: the system's */
    size_t ca_n;
    const char *cert; /* the client's certificate (and its chain); NULL: none, and no key then */
    size_t cert_n;
    const struct secret *key;
};

/* What the head of an answer says. */
struct http_answer {
    int status;
    uint64_t length_b;        /* Content-Length, or UINT64_MAX */
    bool accepts_ranges;      /* "Accept-Ranges: bytes" */
    bool ranged;              /* 206 with a Content-Range that can be understood, then: */
    uint64_t first_b, last_b; /* its first and last byte */
    uint64_t total_b;         /* of the whole file; UINT64_MAX: it does not say */
};

#define HTTP_CONNECT_MS 3000

/* HTTP through libcurl. http and https (certificate and host name verified) only; a redirect is
 * followed only when asked, within the same host and port. */
struct http_request {
    const char *method; /* "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" */
    const char *url;
    const char *body; /* NUL-terminated, of all but GET and HEAD; NULL: none */
    size_t body_n;
    const char *const *headers; /* NULL-terminated "Name: value", or NULL */
    /* Through this Unix socket; the host in the URL then only fills the Host header. ERR_NOTFOUND:
     * there is no such file; ERR_BADINPUT: it is no socket; ERR_ABSENT: nobody listens on it;
     * ERR_REFUSED: this user may not (messages of these name the path, not the URL). NULL: TCP. */
    const char *unix_socket;
    const struct http_tls *tls; /* NULL: the system's authorities, no client certificate */
    /* Sent as "Authorization: Bearer ..." over https or a Unix socket; ERR_BADINPUT elsewhere, and
     * for one that cannot be a header. In no message. NULL: none. */
    const struct secret *bearer;
    /* The connection is made in this network namespace (an open /proc/PID/ns/net), by this thread,
     * which is back in its own at once. The host must be an IP address: names would be looked up
     * here (ERR_BADINPUT). ERR_REFUSED without CAP_SYS_ADMIN. 0: our own. */
    int netns_fd;
    /* "http://host:port", "socks5h://host:port", with "user:password@" before the host where it
     * wants them (they are in no message): everything goes through this, the look-up of names too.
     * NULL: nothing does, whatever the environment says. */
    const char *proxy;
    bool last;           /* its connection is not kept for others */
    uint32_t timeout_ms; /* whole transfer; 0: none (streams: see min_rate) */
    uint32_t connect_ms; /* 0: HTTP_CONNECT_MS */
    /* 0: 16 MiB, of streams too; more is ERR_REMOTE and ends the transfer. With on_data never more
     * than 1 MiB of an answer that is not 2xx. */
    uint64_t max_body_b;
    uint32_t min_rate_b_s; /* 0: none; below it for min_rate_s seconds is ERR_TIMEOUT */
    uint32_t min_rate_s;
    /* GET and HEAD: at most 5 redirects on the same scheme, host and port; another place is
     * ERR_REMOTE that names it. Without follow, and for the others, a 3xx is an answer. */
    bool follow;
    /* Streaming: called with each piece of a 2xx body in order; an error ends the transfer and is
     * returned unchanged. NULL: the body is collected in http_response.body; so is, in any case,
     * one that is not 2xx. Both callbacks hold up the other transfers. */
    struct err *(*on_data)(void *arg, const void *data, size_t n);
    /* The head of a 2xx answer, once, before the first piece (at the end of an empty body); an
     * error ends the transfer, unchanged: a source that ignores Range is left before it sends the
     * whole file. May be NULL. */
    struct err *(*on_answer)(void *arg, const struct http_answer *a);
    void *arg;
};
#define HTTP_ADDRESS_MAX 64
struct http_response {
    int status;
    char *body; /* NUL-terminated; NULL when streamed */
    size_t body_n;
    char *location;    /* Location header of a 3xx, as sent, or NULL */
    char *url;         /* the URL that answered after redirects */
    uint64_t length_b; /* Content-Length, or UINT64_MAX */
    double seconds;    /* whole transfer */
    /* The kernel's least round trip of its TCP connection (TCP_INFO), which waiting for our own
     * turn does not make longer; 0: unknown. */
    uint32_t rtt_us;
    /* "203.0.113.7:8899", "[2001:db8::7]:8899": who answered; "": nobody, or it went through a
     * proxy or a Unix socket. */
    char address[HTTP_ADDRESS_MAX];
    struct err *err; /* http_many: the failure of this request alone; NULL: answered */
    bool nonsense;   /* err: what came is no HTTP, or more than may come */
    bool by_proxy; /* err: of the proxy, which is out of reach, refuses us, or did not get there */
};
void http_response_clear(struct http_response *r);

struct http_ops {
    /* Runs n requests at once, all of them to their end or their time-out; the result of each is in
     * ret[i] (err set, or status; whatever was there is overwritten). More than 256 wait for a
     * place first, and their time begins then. A status of 400 and above is an answer, not an
     * error. The error of the call itself is ERR_CANCELLED (or libcurl's own failure); ret is then
     * empty. Messages show URLs without their query, which may hold a key. */
    struct err *(*many)(struct ctx *ctx, const struct http_request *reqs, size_t n,
                        struct http_response *ret);
};
extern const struct http_ops http_curl;

/* How the requests of one purpose leave this host. NULL for one: directly, and with the system's
 * authorities. */
struct http_way {
    const char *proxy;          /* as in http_request */
    const struct http_tls *tls; /* the same */
};
/* Both into req, which is otherwise left as it is. */
void http_take_way(struct http_request *req, const struct http_way *way);
/* "proxy 'http://host:port': why" when it was the proxy that failed rather than who was asked, to
 * be freed; NULL: it was not. A proxy that passes plain HTTP on has no more than a status (502,
 * 503, 504) to say that it did not get there: a node that answers with one of these is told so,
 * too. */
char *http_way_fault(const struct http_way *way, const char *url, const struct http_response *r);

/* A request that owns what it points to: made in one place and sent in another, together with those
 * of others. Not to be copied (req points to tls). To be cleared; {0} is nothing to clear. */
struct http_question {
    struct http_request req;
    struct http_tls tls;
    char *url, *unix_socket;
};
void http_question_clear(struct http_question *q);

/* Requests that go out in the http_many of somebody else, so that all wait at the same time.
 * ret[i] becomes as http_many leaves it; where that fails as a whole, each err is that failure. */
struct http_beside {
    const struct http_request *reqs;
    size_t n;
    struct http_response *ret;
};

/* Length of "scheme://host:port" at the start of a URL; all of it when it has no scheme. */
size_t http_origin_n(const char *url);
/* "scheme://host:port" without a user and a password, for what is written down; to be freed. */
char *http_origin(const char *url);
/* base without the slashes that it ends in, then path, which begins with one; to be freed. */
char *http_join(const char *base, const char *path);

/* What a message says after the URL that it begins with (the one that was asked, or where that
 * redirected to), or all of it; borrowed from e. For those who name the place in their own way: a
 * path may hold a key. */
const char *http_reason(const struct err *e, const char *url);

/* One request; its failure is the error: ERR_REMOTE (refused, reset, TLS, too large), ERR_TIMEOUT,
 * ERR_BADINPUT (URL). */
struct err *http_one(struct ctx *ctx, const struct http_request *req, struct http_response *ret)
    MUST_CHECK;
