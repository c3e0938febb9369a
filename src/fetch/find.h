#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/known.h"
#include "base/str.h"
#include "io/http.h"

/* Which snapshots do the nodes of a cluster have? Each one is asked by itself in one event loop, so
 * that none waits for another. Choosing among the answers is trust.h's and rank.h's work. */

/* A node that may have snapshots. */
struct fetch_peer {
    char *id;      /* base58; NULL: not known (a file server, or a node that is in no list) */
    char *url;     /* "http://host:port", or as the operator gave it */
    char *version; /* as it says in gossip; NULL: unknown */
    struct known_u64 shred_version;
    /* "203.0.113.7:8899", who answered; NULL: nobody, or through a proxy. */
    char *address;
    bool given;    /* named by the operator */
    bool rpc;      /* and asked for the nodes of the cluster */
    bool known;    /* one of the known validators */
    bool disputed; /* who answers at this address is not certain: id may be another's */
};

/* One archive at one node. */
struct fetch_file {
    char *name;      /* final file name; NULL: it has none */
    char *url;       /* where it is */
    char *hash;      /* base58, from the name */
    uint64_t base;   /* incremental only */
    uint64_t slot;   /* the bank's */
    uint64_t size_b; /* UINT64_MAX: it does not say */
};

/* Why a node is not used; the words are those of the histogram (fetch_reason_name). */
enum fetch_reason {
    FETCH_USABLE,
    FETCH_NO_RPC,        /* it tells no address */
    FETCH_NO_ANSWER,     /* refused, or silent until the deadline */
    FETCH_NOT_HTTP,      /* or nonsense, or a body without an end */
    FETCH_PROXY,         /* our proxy is out of reach, refuses us, or did not get there */
    FETCH_STATUS,        /* 4xx, 5xx */
    FETCH_NO_SNAPSHOT,   /* 404: it has none */
    FETCH_ELSEWHERE,     /* redirects to another host, or in a circle */
    FETCH_BAD_NAME,      /* of no snapshot */
    FETCH_FORMAT,        /* one that the validator's version does not read */
    FETCH_VANISHED,      /* named, and not there */
    FETCH_BAD_SIZE,      /* 0, or more than any file system holds */
    FETCH_SHRED_VERSION, /* another cluster, or another fork */
    FETCH_VERSION,       /* an Agave that the operator excluded */
    FETCH_BLACKLISTED,
    FETCH_AHEAD,     /* claims slots that do not exist yet */
    FETCH_TOO_OLD,   /* now */
    FETCH_TOO_LATE,  /* too old when it would be here */
    FETCH_TOO_SLOW,  /* below the least rate */
    FETCH_TOO_FAR,   /* above the latency limit */
    FETCH_UNTRUSTED, /* its hash is served by too few */
    FETCH_NO_BASE,   /* incremental only: builds on a full archive that is not wanted */
    FETCH_REASONS_N,
};
const char *fetch_reason_name(enum fetch_reason r); /* "no-answer" */

enum fetch_ranges { FETCH_RANGES_UNKNOWN, FETCH_RANGES_NO, FETCH_RANGES_YES };

struct fetch_offer {
    struct fetch_peer peer;
    struct fetch_file full;      /* name NULL: see reason */
    struct fetch_file incr;      /* name NULL: none; its base is not always full's slot */
    struct known_u64 latency_us; /* the kernel's least round trip */
    enum fetch_ranges ranges;    /* what a HEAD with a Range says; get finds out for certain */
    double rate_b_s;             /* sustained; < 0: not measured */
    bool rate_floor;             /* it may give more: our own link was the limit */
    enum fetch_reason reason;    /* FETCH_USABLE: the node can be used */
    char *why; /* for people: why not, or what is wrong with its incremental; or NULL */
};
struct fetch_found {
    struct fetch_offer *offers; /* the operator's own first, in their order */
    size_t n, cap;
    /* The cluster's finalized slot (fetch/tip.h); unknown: nobody was asked, or nobody told. */
    struct known_u64 tip;
    size_t known;         /* how many known validators were named */
    uint64_t without_rpc; /* nodes of the cluster that tell no address */
    uint64_t listed_by;   /* RPC nodes that told the cluster's nodes */
    /* Of those that did not: "http://host:port: why"; what the proxy did to them is one line. */
    struct strlist errors;
    char *proxy_fault; /* of the first offer with FETCH_PROXY; NULL: there is none */
};
void fetch_found_clear(struct fetch_found *f);

struct fetch_scope {
    const struct strlist *rpcs;     /* asked for the nodes of the cluster; each is one itself */
    const struct strlist *sources;  /* asked for snapshots only; these two may be NULL */
    const struct strlist *known;    /* ids of known validators */
    const struct strlist *tip_from; /* asked for the tip; NULL: nobody is */
    bool only_given;                /* the nodes of the cluster are not asked for snapshots */
    /* For the lists; 0: 1,500. As long as there is none at all, up to half of total_ms. */
    uint32_t list_ms;
    uint32_t peer_ms;    /* for all questions to one node; 0: 1,500 */
    uint32_t total_ms;   /* for everything; 0: 10,000. Who is not done by then is silent */
    size_t max_sockets;  /* 0: 512 */
    struct http_way way; /* what it points to is borrowed; {0}: directly */
    /* About ten times a second; may be NULL. */
    void (*progress)(void *arg, size_t done, size_t all, size_t with_snapshot);
    void *arg;
};
/* Lists the nodes (getClusterNodes of every RPC at once; who is listed first is asked at once) and
 * asks each what it has, and the RPC nodes for the tip meanwhile. A node that fails is an offer
 * with a reason. Who did not answer in time while this host itself was too busy to listen is asked
 * once more. A node that the operator named is one offer, also when the lists have it under the
 * address of that name. ERR_CANCELLED; ERR_REMOTE when nobody could be asked at all: no list and no
 * source answered. */
struct err *fetch_find(struct ctx *ctx, const struct fetch_scope *scope, struct fetch_found *ret)
    MUST_CHECK;

/* What came of a measurement beside the offers' own rates. */
struct fetch_measured {
    /* A quarter of the sources gave more without the others: our own link was the limit, which says
     * nothing against those with rate_floor. */
    bool own_limit;
    double all_b_s; /* the most that came in at one time, of all */
};
/* The sustained rate of each offer's full archive (without one, of its incremental), measured side
 * by side within total_ms (0: 10,000); the bytes are dropped. It is the rate of the later half:
 * what a node gives before it throttles does not count. Then the fastest quarter goes on alone,
 * which shows whether they stood in each other's way. Offers that have no file are left as they
 * are; one that gave nothing has rate 0. No more than 64 at a time: the rest is not measured. way
 * and ret may be NULL. ERR_CANCELLED. */
struct err *fetch_measure(struct ctx *ctx, struct fetch_offer *const *offers, size_t n,
                          uint32_t total_ms, const struct http_way *way, struct fetch_measured *ret)
    MUST_CHECK;
