#pragma once

#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"

/* Half files of names that nobody wants any more: removed, with their maps, unless somebody is at
 * work on them. keep: final names that stay. *ret_b: what it gave back. ERR_SYS. */
struct err *partial_sweep(struct ctx *ctx, const char *dir, const struct strlist *keep,
                          uint64_t *ret_b) MUST_CHECK;
