#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"

/* Does whoever looks there come back? look runs in a child, which is left behind when it does not
 * come back in time: a file system whose disk is gone holds everybody who reads it, also against
 * SIGKILL. The child has none of our descriptors (no lock stays held by it) and a root of its own
 * in ctx->root; nothing that it learns comes back. Blocks for timeout_ms at most. Not to be used
 * where threads run, or after RocksDB was used. ERR_SYS: no child could be made. */
struct err *probe_comes_back(struct ctx *ctx, uint64_t timeout_ms,
                             void (*look)(struct ctx *ctx, const void *arg), const void *arg,
                             bool *ret) MUST_CHECK;
