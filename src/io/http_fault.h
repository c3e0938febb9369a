#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "io/http.h"

/* What goes wrong with a request, in our words; for http_wire.c. Never NULL unless said. */

enum http_fails {
    HTTP_FAILS_OTHERWISE, /* told in the library's own words */
    HTTP_FAILS_TIME,
    HTTP_FAILS_URL,
    HTTP_FAILS_NAME,
    HTTP_FAILS_PROXY_NAME,
    HTTP_FAILS_CONNECT,
    HTTP_FAILS_EMPTY,    /* the connection closed before an answer */
    HTTP_FAILS_CUT,      /* in the middle of one */
    HTTP_FAILS_NOT_HTTP, /* what came is none */
    HTTP_FAILS_IO,       /* while sending or receiving */
    HTTP_FAILS_PROXY,    /* what a proxy answered, or that it did not */
};
struct http_failure {
    enum http_fails what;
    int sys;            /* errno of the connection, or 0 */
    int proxy_status;   /* with which the proxy refused; 0: it did not */
    bool connected;     /* to the other side, or the proxy */
    const char *detail; /* the library's words */
    uint64_t gone_ms;   /* since the request began */
    uint64_t taken_b, length_b;
};
/* The failure of req at url (of this hop). *ret_by_proxy: the proxy's, and the message names it;
 * other failures behind a proxy name it as well. Nothing of it shows a query, a user or a password.
 */
struct err *http_failure_err(const struct http_request *req, const char *url,
                             const struct http_failure *f, bool *ret_by_proxy) MUST_CHECK;

/* The URL for messages, to be freed: a query may hold a provider's key. */
char *http_shown(const char *url);
struct err *http_bad_url(const char *url, const char *why) MUST_CHECK;

/* A Unix socket's file (O_PATH): its path, of any length, is resolved once, so that what was looked
 * at is what is connected to. The errors of http_request.unix_socket. */
struct err *http_unix_open(const char *path, int *ret_fd) MUST_CHECK;
