#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"

struct clock_ops {
    uint64_t (*mono_ns)(void); /* CLOCK_MONOTONIC */
    uint64_t (*wall_ms)(void); /* CLOCK_REALTIME, ms since 1970 */
    /* Returns after wait_ns or when *cancelled becomes not 0, whatever is first. */
    void (*wait)(uint64_t wait_ns, const volatile sig_atomic_t *cancelled);
};
extern const struct clock_ops clock_system;

/* False when ctx or its flag is NULL. */
bool ctx_cancelled(const struct ctx *ctx);
uint64_t clock_mono_ns(const struct ctx *ctx);
/* Of a captured host: the moment of its capture. */
uint64_t clock_wall_ms(const struct ctx *ctx);

/* A deadline on the monotonic clock, in ns; 0 never passes. */
uint64_t deadline_in_ms(const struct ctx *ctx, uint64_t ms);
bool deadline_passed(const struct ctx *ctx, uint64_t deadline_ns);
/* What is left in ms, rounded up; 0 when passed; UINT32_MAX when there is no deadline. */
uint32_t deadline_left_ms(const struct ctx *ctx, uint64_t deadline_ns);

/* The one way to poll: probe is asked at once and then every poll_ms until it says done, fails, the
 * deadline passes (ERR_TIMEOUT "what: not within N s") or the operator interrupts (ERR_CANCELLED).
 */
struct err *wait_until(struct ctx *ctx, const char *what, uint64_t timeout_ms, uint64_t poll_ms,
                       struct err *(*probe)(struct ctx *ctx, void *arg, bool *ret_done), void *arg)
    MUST_CHECK;
