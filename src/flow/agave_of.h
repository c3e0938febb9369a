#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "solana/agave_version.h"

/* Which Agave is meant: what the operator gave (NULL: nothing), else bin (NULL: the config's
 * program), asked for its --version where that is safe: root runs nothing that others can change.
 * Neither: ret->known is false, and *ret_why says why, for people; else *ret_why is NULL. To be
 * freed. ERR_BADINPUT: given is no version; ERR_CANCELLED. Blocks for at most 5 s. */
struct err *agave_of(struct ctx *ctx, const char *given, const char *bin, struct agave_version *ret,
                     char **ret_why) MUST_CHECK;
