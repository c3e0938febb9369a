/* Where is the cluster? Asked anew before every choice, since a full archive takes long to come. */
#include "fetch/tip.h"

#include <stdlib.h>

#include "fetch/ask.h"
#include "solana/rpc.h"

struct tip {
    struct tip_node {
        struct tip *all;
        const char *url;
        struct ask *ask; /* NULL: it has answered, or failed */
    } * nodes;
    size_t n, open;
    uint64_t *slots;
    size_t n_slots;
};

static void on_slot(void *arg, struct json *result)
{
    struct tip_node *o = arg;
    struct tip *t = o->all;
    struct rpc_call c = {.url = o->url, .method = "getSlot", .result = result};
    struct err *mute = result ? rpc_take_slot(&c, &t->slots[t->n_slots]) : NULL;

    t->n_slots += result && !mute;
    err_free(mute); /* who does not know is not asked again */
    o->ask = NULL;
    t->open--;
}

struct tip *tip_begin(struct http_loop *l, const struct strlist *rpcs, const struct http_way *way,
                      uint32_t timeout_ms)
{
    struct tip *t = xcalloc(1, sizeof(*t));

    t->n = t->open = rpcs ? rpcs->n : 0;
    t->nodes = xcalloc(t->n, sizeof(*t->nodes));
    t->slots = xcalloc(t->n, sizeof(*t->slots));
    for (size_t i = 0; i < t->n; i++) {
        struct tip_node *o = &t->nodes[i];

        *o = (struct tip_node){.all = t, .url = rpcs->items[i]};
        o->ask = ask_begin(l, o->url, "getSlot", rpc_commitment_params(RPC_FINALIZED), way,
                           timeout_ms, on_slot, o);
    }
    return t;
}

size_t tip_open(const struct tip *t)
{
    return t->open;
}

static int by_slot(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

struct known_u64 tip_of(const struct tip *t)
{
    qsort(t->slots, t->n_slots, sizeof(*t->slots), by_slot);
    return (struct known_u64){.known = t->n_slots > 0,
                              .v = t->n_slots ? t->slots[(t->n_slots - 1) / 2] : 0};
}

struct tip *tip_free(struct tip *t)
{
    for (size_t i = 0; t && i < t->n; i++)
        ask_free(t->nodes[i].ask);
    if (t) {
        free(t->nodes);
        free(t->slots);
    }
    free(t);
    return NULL;
}

void tip_freep(struct tip **t)
{
    *t = tip_free(*t);
}

struct err *fetch_tip(struct ctx *ctx, const struct strlist *rpcs, const struct http_way *way,
                      uint32_t timeout_ms, struct known_u64 *ret)
{
    AUTO(http_loop_freep) struct http_loop *l = NULL;
    AUTO(tip_freep) struct tip *t = NULL;

    TRY(http_loop_new(ctx, &(struct http_loop_opts){0}, &l));
    t = tip_begin(l, rpcs, way, timeout_ms);
    TRY(http_loop_run(l, 0, NULL, NULL));
    *ret = tip_of(t);
    return NULL;
}
