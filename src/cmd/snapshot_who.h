#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "flow/snapshot_scope.h"

/* Whom snapshot find and snapshot get ask, and what they take: the options that both have, over the
 * keys of a config where there is one. */
struct snapshot_who_opts {
    struct strlist rpcs, sources, trusted, known, exclude_versions;
    bool no_discover, trust_any;
    uint64_t max_latency_ms, min_rate_b_s, max_age, min_peers; /* 0: not given */
    const char *proxy, *ca_file, *replay_rate;
};
#define SNAPSHOT_WHO_OPTS(OWNER, MEMBER)                                                           \
    {.type = OPT_LIST,                                                                             \
     .lng = "rpc",                                                                                 \
     .arg = "URL",                                                                                 \
     .help = "an RPC node that knows the cluster, once for each",                                  \
     .offset = offsetof(OWNER, MEMBER.rpcs)},                                                      \
        {.type = OPT_LIST,                                                                         \
         .lng = "source",                                                                          \
         .arg = "URL",                                                                             \
         .help = "a node or file server with snapshots, once for each",                            \
         .offset = offsetof(OWNER, MEMBER.sources)},                                               \
        {.type = OPT_LIST,                                                                         \
         .lng = "trust",                                                                           \
         .arg = "URL",                                                                             \
         .help = "a source whose word is enough, once for each",                                   \
         .offset = offsetof(OWNER, MEMBER.trusted)},                                               \
        {.type = OPT_FLAG,                                                                         \
         .lng = "no-discover",                                                                     \
         .help = "ask only the nodes that are named, not those that they list",                    \
         .offset = offsetof(OWNER, MEMBER.no_discover)},                                           \
        {.type = OPT_LIST,                                                                         \
         .lng = "known",                                                                           \
         .arg = "ID",                                                                              \
         .help = "public key of a validator whose snapshots are believed, once for each",          \
         .offset = offsetof(OWNER, MEMBER.known)},                                                 \
        {.type = OPT_FLAG,                                                                         \
         .lng = "trust-any",                                                                       \
         .help = "take also what nobody vouches for; status shows it from then on",                \
         .offset = offsetof(OWNER, MEMBER.trust_any)},                                             \
        {.type = OPT_U64,                                                                          \
         .lng = "min-peers",                                                                       \
         .arg = "N",                                                                               \
         .help = "distinct networks that must serve what no known validator does (3)",             \
         .offset = offsetof(OWNER, MEMBER.min_peers),                                              \
         .max = 1000},                                                                             \
        {.type = OPT_U64,                                                                          \
         .lng = "max-latency",                                                                     \
         .arg = "MS",                                                                              \
         .help = "leave out nodes with a longer round trip while there are others",                \
         .offset = offsetof(OWNER, MEMBER.max_latency_ms),                                         \
         .max = 60000},                                                                            \
        {.type = OPT_SIZE,                                                                         \
         .lng = "min-rate",                                                                        \
         .arg = "SIZE",                                                                            \
         .help = "leave out nodes that send less in a second while there are others",              \
         .offset = offsetof(OWNER, MEMBER.min_rate_b_s)},                                          \
        {.type = OPT_U64,                                                                          \
         .lng = "max-age",                                                                         \
         .arg = "SLOTS",                                                                           \
         .help = "how far behind the tip it may be, now and when it is here",                      \
         .offset = offsetof(OWNER, MEMBER.max_age),                                                \
         .max = 10000000},                                                                         \
        {.type = OPT_LIST,                                                                         \
         .lng = "exclude-version",                                                                 \
         .arg = "VERSION",                                                                         \
         .help = "leave out nodes of this Agave version (3.0.1; 3.0 is all of them)",              \
         .offset = offsetof(OWNER, MEMBER.exclude_versions)},                                      \
        {.type = OPT_STR,                                                                          \
         .lng = "replay-rate",                                                                     \
         .arg = "N",                                                                               \
         .help = "slots that this host replays in a second, for the minutes to the tip",           \
         .offset = offsetof(OWNER, MEMBER.replay_rate)},                                           \
        {.type = OPT_STR,                                                                          \
         .lng = "proxy",                                                                           \
         .arg = "URL",                                                                             \
         .help = "http://host:port or socks5h://host:port for everything",                         \
         .offset = offsetof(OWNER, MEMBER.proxy)},                                                 \
    {                                                                                              \
        .type = OPT_STR, .lng = "ca-file", .arg = "FILE",                                          \
        .help = "PEM file of the only authorities that https is believed by",                      \
        .offset = offsetof(OWNER, MEMBER.ca_file)                                                  \
    }

/* ERR_BADINPUT: nobody is named, or a value is none. ret: {0}, stays where it is, to be cleared. */
struct err *snapshot_who_choose(struct ctx *ctx, const struct snapshot_who_opts *o,
                                struct snapshot_scope *ret) MUST_CHECK;
