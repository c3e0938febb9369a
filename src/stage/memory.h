#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "base/known.h"
#include "look/scene.h"

/* What claims the machine's memory beside everything else: the RAM disk as it is mounted, and the
 * validator up to its limit. */
struct memory_need {
    uint64_t total_b;
    uint64_t ramdisk_b;       /* 0: no RAM disk is mounted */
    struct known_u64 limit_b; /* not known: nothing limits the validator */
};
/* ERR_CORRUPT, ERR_SYS, ERR_NOTFOUND. */
struct err *memory_need(struct ctx *ctx, struct scene *scene, struct memory_need *ret) MUST_CHECK;
