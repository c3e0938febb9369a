#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "solana/agave_version.h"

/* Which Agave is meant: --agave-version, else the config's program, asked for its --version where
 * that is safe (root runs nothing that others can change). Neither: ret->known is false, and
 * *ret_why says why, for people; else *ret_why is NULL. To be freed. ERR_BADINPUT: given is no
 * version; ERR_CANCELLED. */
struct err *agave_of(struct ctx *ctx, const char *given, struct agave_version *ret, char **ret_why)
    MUST_CHECK;

/* The row of a command's options; member: const char *. */
#define AGAVE_VERSION_OPT(OWNER, MEMBER)                                                           \
    {                                                                                              \
        .type = OPT_STR, .lng = "agave-version", .arg = "X.Y.Z",                                   \
        .help = "the Agave that will load it; else the config's program is asked",                 \
        .offset = offsetof(OWNER, MEMBER)                                                          \
    }
