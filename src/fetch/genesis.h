#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/base58.h"
#include "base/ctx.h"
#include "base/err.h"

/* A ledger needs genesis.bin or genesis.tar.bz2 before the validator can start. With an entrypoint
 * and without --no-genesis-fetch Agave gets the archive from its RPC peer; else it must be there
 * (3.0.14 ends with "unpack error … No such file or directory" without). */
struct genesis_job {
    const char *source;   /* RPC node: "http://host:8899" */
    const char *dir;      /* the ledger, below ctx->root; must exist */
    const char *expected; /* base58 hash, or NULL: any */
    uint32_t uid, gid;    /* of the new file; UINT32_MAX: ours */
};

/* Puts dir/genesis.tar.bz2 there unless the ledger has a genesis. *ret_hash: the hash of what the
 * ledger has then; *ret_fetched: it was fetched just now. ERR_REFUSED: the ledger's own genesis is
 * another cluster's (nothing is replaced); ERR_CORRUPT: the source's is, or an archive is damaged;
 * ERR_REMOTE, ERR_TIMEOUT, ERR_NOTFOUND, ERR_SYS, ERR_CANCELLED. */
struct err *fetch_genesis(struct ctx *ctx, const struct genesis_job *job,
                          char ret_hash[static BASE58_32_MAX], bool *ret_fetched) MUST_CHECK;
