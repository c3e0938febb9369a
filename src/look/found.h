#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"
#include "look/status.h"

/* A validator that runs on this host without a config of ours: whoever holds the lock of a ledger
 * (ledger.lock: Agave 3.0.14 takes it first of all), with what its command line says. */
struct found {
    pid_t pid;
    char *name;      /* of its program */
    char *ledger;    /* as it names it itself, for people */
    char *rpc_url;   /* NULL: its RPC is off */
    char *reach;     /* the ledger as we reach it: below /proc/<pid>/root in a container */
    char *snapshots; /* the same; NULL: not known */
    char *full_snapshots, *incremental_snapshots; /* the same; NULL: in snapshots */
    char *port_range;
};
struct founds {
    struct found *items;
    size_t n, cap;
};
void founds_clear(struct founds *f);

/* All of them, by pid. Processes that may not be looked at (another user's, without root) are left
 * out: *ret_unseen counts those that hold any lock. ERR_SYS. */
struct err *found_validators(struct ctx *ctx, struct founds *ret, size_t *ret_unseen) MUST_CHECK;
/* What status looks at for it. Borrows from f. */
struct status_params found_status(const struct found *f);
