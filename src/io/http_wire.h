#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "io/http.h"

/* Between http_loop.c, which decides what runs and when, and http_wire.c, the only file that sees
 * curl. For these two alone. */

struct http_wires; /* all of a loop */
struct http_wire;  /* one request on its way, over its redirects too */

enum http_gate { HTTP_TAKE, HTTP_HOLD, HTTP_DROP };

/* What the loop is told while curl works: it may not touch any wire meanwhile. */
struct http_wire_ops {
    /* fd is to be watched for these epoll events; 0: no more. known: it was watched before. */
    void (*watch)(void *arg, int fd, uint32_t events, bool known);
    /* http_wires_due is to be called after ms at the latest, in place of what was told before; -1:
     * it need not. */
    void (*wake_in)(void *arg, int64_t ms);
    /* n bytes of a body came for that owner: are they to be taken? HTTP_HOLD: not until
     * http_wire_hold(false), and nothing more is read; HTTP_DROP: never again. */
    enum http_gate (*gate)(void *arg, void *owner, size_t n);
    /* False: it was cancelled, and nobody may be called for it any more. */
    bool (*wanted)(void *arg, void *owner);
    void *arg;
};

/* max_sockets: connections, those that are kept for later included. ops is copied. ERR_SYS. */
struct err *http_wires_new(size_t max_sockets, const struct http_wire_ops *ops,
                           struct http_wires **ret) MUST_CHECK;
/* After all of its wires. NULL is fine. */
void http_wires_free(struct http_wires *w);

/* The first request is sent by the next http_wires_due. req is borrowed until http_wire_free, ret
 * is written by then. ERR_BADINPUT, ERR_NOTFOUND … as io/http.h says; the wire is not there then.
 */
struct err *http_wire_start(struct http_wires *w, const struct http_request *req,
                            struct http_response *ret, void *owner, struct http_wire **ret_wire)
    MUST_CHECK;
/* Ends it wherever it is. NULL is fine. */
void http_wire_free(struct http_wire *t);
/* Takes no more bytes, or does so again: what was held is handed on at once. *ret_over: that ended
 * it, and its response is written. */
void http_wire_hold(struct http_wire *t, bool hold, bool *ret_over);

/* Lets curl work: fd is ready for these epoll events, or the time has come. ERR_BUG. */
struct err *http_wires_ready(struct http_wires *w, int fd, uint32_t events) MUST_CHECK;
struct err *http_wires_due(struct http_wires *w) MUST_CHECK;
/* The owner of the next wire that is over, its response written; NULL: none. Redirects that are
 * followed go on by themselves. */
struct err *http_wires_over(struct http_wires *w, void **ret_owner) MUST_CHECK;
