#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "runtime/kube.h"

/* Following objects over time: a list, then the server's stream of changes from there on, for as
 * long as it takes, over lost connections, an API server that dies and comes back, and a history
 * that it no longer has (410). API of Kubernetes 1.34 (meta/v1 WatchEvent). Read only. */

enum kube_seen { KUBE_ADDED, KUBE_MODIFIED, KUBE_DELETED };
const char *kube_seen_name(enum kube_seen what);

/* About every 500 ms, whatever the server does (a new list may hold it up for k->timeout_ms). why:
 * the server does not answer, since away_ms; NULL: it does. */
typedef struct err *kube_tick_fn(void *arg, const struct err *why, uint64_t away_ms,
                                 bool *ret_stop);

/* What is followed; borrowed. */
struct kube_watch {
    enum kube_kind kind;
    const char *name_space; /* NULL: of the cluster, or of all namespaces */
    const char *name;       /* one object; NULL: all */
    const char *selector;   /* a label selector, or NULL */
    uint32_t within_ms;     /* the whole of it; 0: no limit */

    /* What has become of an object, once each and in order: ADDED also for those that are there at
     * the beginning, DELETED also for those whose end fell into a gap (object: as it was seen
     * last). object is borrowed, and for kube_read_pod and its like. *ret_stop ends the watch; an
     * error of any of the three ends it as well and is returned as it is. */
    struct err *(*seen)(void *arg, enum kube_seen what, const struct json *object, bool *ret_stop);
    /* All that was there at the beginning has been told. May be NULL. */
    struct err *(*listed)(void *arg, bool *ret_stop);
    kube_tick_fn *tick; /* may be NULL */
    void *arg;
};
/* NULL after *ret_stop. ERR_TIMEOUT after within_ms (with why, when the server was away),
 * ERR_CANCELLED, ERR_REFUSED (no right to list or to watch), ERR_BADINPUT. A server that does not
 * answer is no error: it is waited for, and tick is told. */
struct err *kube_watch(struct ctx *ctx, const struct kube *k, const struct kube_watch *w)
    MUST_CHECK;

/* Until the object with that UID is there no more: gone, or another one has its name. Without the
 * right to watch it is looked at every 500 ms. on_tick may be NULL; NULL is
 * returned after its *ret_stop as well. Errors as of kube_watch. */
struct err *kube_wait_gone(struct ctx *ctx, const struct kube *k, enum kube_kind kind,
                           const struct kube_meta *seen, uint32_t within_ms, kube_tick_fn *on_tick,
                           void *arg) MUST_CHECK;

/* ---- the parts that look at foreign bytes ---------------------------------------------------- */

#define KUBE_LINE_MAX_B (8u << 20)

/* Bytes into lines: each without its end is given to line; empty ones are left out. ERR_REMOTE: one
 * is longer than KUBE_LINE_MAX_B; errors of line as they are. buf keeps what has no end yet. */
struct err *kube_lines_feed(struct strbuf *buf, const void *data, size_t n,
                            struct err *(*line)(void *arg, const char *text, size_t n), void *arg)
    MUST_CHECK;

/* One line of a stream. */
enum kube_event_type {
    KUBE_EV_ADDED,
    KUBE_EV_MODIFIED,
    KUBE_EV_DELETED,
    KUBE_EV_BOOKMARK,
    KUBE_EV_ERROR
};
struct kube_watch_event {
    enum kube_event_type type;
    struct json *object; /* owned; of an ERROR: a Status */
    char *uid, *version; /* metadata; NULL where it has none */
    uint32_t code;       /* of an ERROR */
};
void kube_watch_event_clear(struct kube_watch_event *v);
/* ERR_REMOTE: not JSON, an unknown type, an object without uid or resourceVersion. */
struct err *kube_watch_event_parse(const char *text, size_t n, struct kube_watch_event *ret)
    MUST_CHECK;
