#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "io/http.h"

/* Any number of HTTP transfers in one thread, begun and ended while others run: for those who talk
 * to hundreds of peers at once, or to a few for hours. http_many is a use of it. Every callback is
 * called from within http_loop_run and may begin, cancel, pause and resume transfers, its own too;
 * it holds up all others while it works. */
struct http_loop;
struct http_transfer;

struct http_loop_opts {
    /* Connections, those kept for later included. More transfers wait for a place, and their time
     * begins then; 0: 256. */
    size_t max_sockets;
    uint64_t rate_b_s; /* of all bodies together, over any second; 0: no limit */
};

/* ERR_ABSENT on a captured host, which has no network. */
struct err *http_loop_new(struct ctx *ctx, const struct http_loop_opts *o, struct http_loop **ret)
    MUST_CHECK;
/* Ends what still runs, without its done. NULL is fine; returns NULL. */
struct http_loop *http_loop_free(struct http_loop *l);
void http_loop_freep(struct http_loop **l);

/* The transfer is over: answered (any status), or r->err says why not. r may be taken over (and is
 * then to be {0}); what is left in it is freed. t is gone afterwards. */
typedef void http_done_fn(void *arg, struct http_transfer *t, struct http_response *r);

/* req is copied, what it points to is borrowed until done or http_cancel (tls and bearer: until the
 * next tick after that). Never fails by itself: a request that cannot begin ends with err like any
 * other, in the next http_loop_run. Connections are kept and used again for the same origin. */
struct http_transfer *http_begin(struct http_loop *l, const struct http_request *req,
                                 http_done_fn *done, void *arg);
/* At once, without its done: t may not be used any more, and none of its callbacks comes. */
void http_cancel(struct http_transfer *t);
/* No more bytes are taken from it until it is resumed; its least rate (min_rate_b_s) does not count
 * meanwhile. It keeps its place. */
void http_pause(struct http_transfer *t);
void http_resume(struct http_transfer *t);

/* Works until no transfer is left, until *ret_stop, or until an error of tick, which is returned
 * as it is. tick (may be NULL) is called after every round of work and at least every wake_ms.
 * ERR_CANCELLED when ctx->cancelled; the transfers are still there then. */
struct err *http_loop_run(struct http_loop *l, uint32_t wake_ms,
                          struct err *(*tick)(void *arg, bool *ret_stop), void *arg) MUST_CHECK;
