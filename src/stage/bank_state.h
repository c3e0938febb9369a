#pragma once

#include "base/ctx.h"
#include "base/err.h"

/* The validator's local state (solana/bank_snapshots.h) and its accounts are one object: whoever
 * empties the accounts, and the first who looks after a boot, disables the state that needs them.
 * Agave then starts from its archives, also when they are older (tried with 3.0.14). */

/* Would a start from the highest bank snapshot miss its accounts? *ret_why: NULL, or for people; to
 * be freed. ERR_SYS. */
struct err *bank_state_lost(struct ctx *ctx, const char *snapshots, const char *accounts,
                            char **ret_why) MUST_CHECK;
/* Is there any that Agave may start from? */
struct err *bank_state_any(struct ctx *ctx, const char *snapshots, bool *ret) MUST_CHECK;
/* Was the highest that Agave may start from made at that time or later (seconds since 1970, UTC)?
 */
struct err *bank_state_since(struct ctx *ctx, const char *snapshots, uint64_t at_s, bool *ret)
    MUST_CHECK;
/* Makes all local bank snapshots unloadable, in one step that a rename takes back: <snapshots>/
 * snapshots gets the name snapshots.aside-<n>, which Agave ignores, with an empty folder of the
 * same owner and mode in its place. The latest two are kept, older ones removed. Archives, ledger
 * and accounts are not touched. The caller knows that no validator runs.
 * reason: why, for people ("the RAM disk was formatted"). *ret_text: what was done, to be freed;
 * NULL: there was nothing to disable. ERR_REFUSED (it is a link or a mount point), ERR_SYS. */
struct err *bank_state_disable(struct ctx *ctx, const char *snapshots, const char *reason,
                               char **ret_text) MUST_CHECK;
