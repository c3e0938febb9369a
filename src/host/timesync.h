#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"

/* What the kernel knows of its clock: adjtimex(2). Whoever disciplines it (chrony, timesyncd, ntpd)
 * tells the kernel; without news the estimated error grows by 500 ppm, and after 16 s of it the
 * kernel calls itself unsynchronized. */
struct kernel_clock {
    bool synchronized;
    int64_t offset_ms;     /* still being corrected */
    uint64_t max_error_ms; /* the kernel's bound; says nothing when not synchronized */
};
/* On a captured host "kernel_clock" of host.json answers. ERR_ABSENT (it does not say), ERR_SYS. */
struct err *kernel_clock(struct ctx *ctx, struct kernel_clock *ret) MUST_CHECK;
