#pragma once

#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"
#include "fetch/blacklist.h"
#include "fetch/find.h"
#include "fetch/reasons.h"

/* Whom a search for snapshots asks and what it takes, as the config says; with its defaults where
 * there is none. */
struct snapshot_scope {
    struct strlist rpcs, sources, known, trusted, exclude_versions;
    struct blacklist blacklist;
    char *blacklist_path;  /* NULL: none is kept (a file of it that is broken stays) */
    char *blacklist_fault; /* why it is not, for people; NULL: nothing is wrong */
    struct http_tls tls;   /* find.way's, when there is a file of authorities */
    char *ca;
    struct fetch_scope find;      /* borrows from the rest and from ctx->cfg */
    struct reasons_limits limits; /* the same; without tip */
    uint64_t max_age_end;         /* what age may give way to */
    /* Of limits.rates: "measured" on this host, "given", or "default" (unpacking: the config's). */
    const char *replay_from, *unpack_from;
    uint64_t convergence_slots;
};
/* ca_file stands in place of the config's; NULL: that. How fast this host replays and unpacks is
 * what status and start saw of it since the boot (look/rates.h), if they did. ret stays where it
 * is, and is to be cleared in any case. The errors are of that file: ERR_NOTFOUND, ERR_BADINPUT (no
 * certificate), ERR_SYS. */
struct err *snapshot_scope_init(struct ctx *ctx, const char *ca_file, struct snapshot_scope *ret)
    MUST_CHECK;
/* What was learned, for the next run; nothing when nothing was. ERR_SYS. */
struct err *snapshot_scope_save(struct ctx *ctx, struct snapshot_scope *s) MUST_CHECK;
void snapshot_scope_clear(struct snapshot_scope *s);

/* Where the list of what is not tried is: beside the journal for root with a config, which makes it
 * the host's; else in the user's state folder. To be freed. NULL: a user without a home. */
char *snapshot_blacklist_path(const struct ctx *ctx);
