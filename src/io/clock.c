/* Time as the rest of the program sees it: a table that tests replace by a number, deadlines on the
 * monotonic clock, and the one polling loop. No calendar here. */
#include "io/clock.h"

#include <errno.h>
#include <time.h>

#include "io/fsroot.h"

#define NS_PER_S  1000000000ULL
#define NS_PER_MS 1000000ULL
/* A signal that comes between the look at the flag and the sleep is seen after this long. */
#define SLICE_NS (100 * NS_PER_MS)

static uint64_t now_ns(clockid_t id)
{
    struct timespec ts = {0};

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint64_t clock_system_mono_ns(void)
{
    return now_ns(CLOCK_MONOTONIC);
}

static uint64_t clock_system_wall_ms(void)
{
    return now_ns(CLOCK_REALTIME) / NS_PER_MS;
}

static void clock_system_wait(uint64_t wait_ns, const volatile sig_atomic_t *cancelled)
{
    uint64_t start = clock_system_mono_ns(), gone = 0;

    while (gone < wait_ns && !(cancelled && *cancelled)) {
        uint64_t slice = wait_ns - gone < SLICE_NS ? wait_ns - gone : SLICE_NS;
        struct timespec ts = {.tv_nsec = (long)slice};

        clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL); /* cut short by a signal: look again */
        gone = clock_system_mono_ns() - start;
    }
}

const struct clock_ops clock_system = {
    .mono_ns = clock_system_mono_ns,
    .wall_ms = clock_system_wall_ms,
    .wait = clock_system_wait,
};

bool ctx_cancelled(const struct ctx *ctx)
{
    return ctx && ctx->cancelled && *ctx->cancelled;
}

uint64_t clock_mono_ns(const struct ctx *ctx)
{
    return ctx->clock->mono_ns();
}

uint64_t clock_wall_ms(const struct ctx *ctx)
{
    const struct json *then = json_get(fsroot_captured(ctx->root), "captured_ms");
    uint64_t ms = 0;

    if (then && !err_free(json_as_u64(then, &ms)) && ms)
        return ms;
    return ctx->clock->wall_ms();
}

uint64_t deadline_in_ms(const struct ctx *ctx, uint64_t ms)
{
    uint64_t ns;

    if (__builtin_mul_overflow(ms, NS_PER_MS, &ns) ||
        __builtin_add_overflow(ns, clock_mono_ns(ctx), &ns))
        return 0;           /* centuries away: never */
    return ns > 0 ? ns : 1; /* 0 means never; a test's clock may start there */
}

bool deadline_passed(const struct ctx *ctx, uint64_t deadline_ns)
{
    return deadline_ns && clock_mono_ns(ctx) >= deadline_ns;
}

uint32_t deadline_left_ms(const struct ctx *ctx, uint64_t deadline_ns)
{
    uint64_t now = clock_mono_ns(ctx), ms;

    if (!deadline_ns)
        return UINT32_MAX;
    if (now >= deadline_ns)
        return 0;
    ms = (deadline_ns - now - 1) / NS_PER_MS + 1;
    return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX - 1;
}

struct err *wait_until(struct ctx *ctx, const char *what, uint64_t timeout_ms, uint64_t poll_ms,
                       struct err *(*probe)(struct ctx *ctx, void *arg, bool *ret_done), void *arg)
{
    uint64_t deadline = deadline_in_ms(ctx, timeout_ms);

    for (;;) {
        uint64_t wait_ms = poll_ms > 0 ? poll_ms : 1;
        bool done = false;
        uint32_t left;

        TRY(probe(ctx, arg, &done));
        if (done)
            return NULL;
        left = deadline_left_ms(ctx, deadline);
        if (left == 0)
            return err_new(ERR_TIMEOUT, "%s: not within %.6g s", what, (double)timeout_ms / 1000);
        if (wait_ms > left)
            wait_ms = left;
        if (!ctx_cancelled(ctx))
            ctx->clock->wait(wait_ms * NS_PER_MS, ctx->cancelled);
        if (ctx_cancelled(ctx))
            return err_new(ERR_CANCELLED, "%s: interrupted", what);
    }
}
