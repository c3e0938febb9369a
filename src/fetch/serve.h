#pragma once

#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "fetch/nets.h"

/* Gives the snapshot archives of a folder (and of its remote/) to the operator's own hosts, in the
 * way of Agave's RPC port (solana-rpc 3.0.14, rpc_service.rs): /snapshot.tar.bz2 and
 * /incremental-snapshot.tar.bz2 lead with 303 to the newest pair, /<file name> is the file, /health
 * says "ok" when there is a full archive. Unlike Agave it honours Range. Nothing else is there:
 * no other file, no link, nothing that is still on its way, no method but GET and HEAD. */
struct serve_opts {
    const char *dir;          /* looked up anew for each request: it may be mounted over */
    const char *incr_dir;     /* of incrementals; NULL: dir */
    const char *listen;       /* "ADDRESS:PORT"; port 0: any */
    const struct nets *allow; /* others are not answered at all */
    uint64_t rate_b_s;        /* of all transfers together; 0: no limit */
    uint32_t max_connections; /* more wait */
    /* Ready: the address in use. */
    void (*listening)(void *arg, const char *address);
    /* A transfer is over, also one that the client left: "10.0.0.7 had …"; for a log. */
    void (*said)(void *arg, const char *line);
    void *arg;
};
/* Blocks until ctx->cancelled, which is no error; transfers are cut off then. As root it becomes
 * the folder's owner once it listens (a folder of root's: nobody, 65534), for good, and its work
 * yields to all others (nice 10, I/O priority 7). ERR_SYS (port taken), ERR_BADINPUT (listen),
 * ERR_NOTFOUND (dir), ERR_REFUSED (dir cannot be read by whom it became). */
struct err *serve_snapshots(struct ctx *ctx, const struct serve_opts *o) MUST_CHECK;
