/* Where is the cluster? Asked anew before every choice, since a full archive takes long to come. */
#include "fetch/tip.h"

#include <stdlib.h>

#include "solana/rpc.h"

static int by_slot(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

struct err *fetch_tip(struct ctx *ctx, const struct strlist *rpcs, uint32_t timeout_ms,
                      struct known_u64 *ret)
{
    size_t all = rpcs ? rpcs->n : 0, n = 0;
    AUTO(freep) struct rpc_call *calls = xcalloc(all, sizeof(*calls));
    AUTO(freep) uint64_t *slots = xcalloc(all, sizeof(*slots));
    struct err *e = NULL;

    for (size_t i = 0; i < all; i++)
        calls[i] = (struct rpc_call){.url = rpcs->items[i],
                                     .method = "getSlot",
                                     .params = rpc_commitment_params(RPC_FINALIZED)};
    if (all)
        e = rpc_many(ctx, calls, all, timeout_ms, NULL);
    for (size_t i = 0; i < all && !e; i++) {
        struct err *mute = rpc_take_slot(&calls[i], &slots[n]);

        n += !mute;
        err_free(mute); /* who does not know is not asked again */
    }
    rpc_calls_clear(calls, all);
    TRY(e);
    qsort(slots, n, sizeof(*slots), by_slot);
    *ret = (struct known_u64){.known = n > 0, .v = n ? slots[(n - 1) / 2] : 0};
    return NULL;
}
