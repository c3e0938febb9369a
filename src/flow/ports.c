/* The ports of the validator, before it is started: Agave finds a taken one only after minutes of
 * loading, and then ends (3.0.14: RPC and gossip, rpc_service.rs and gossip's node.rs; the rest are
 * the first free ones of the dynamic range, which the config holds to at least 25). */
#include "flow/ports.h"

#include <stdlib.h>

#include "base/str.h"
#include "config/config.h"
#include "host/ports.h"

#define DYNAMIC_MIN 25

static struct err *taken(struct ctx *ctx, const char *address, uint16_t port, enum port_proto proto,
                         const char *use, const char *key)
{
    AUTO(freep) char *who = NULL;

    TRY(port_holder(ctx, address, port, proto, &who));
    return err_new(ERR_REFUSED, "port %u (%s) is taken by %s; end that, or choose another with %s",
                   port, use, who, key);
}

static struct err *must_be_free(struct ctx *ctx, const char *address, uint64_t port,
                                enum port_proto proto, const char *use, const char *key)
{
    bool is_free = false;

    TRY(port_is_free(address, (uint16_t)port, proto, &is_free));
    return is_free ? NULL : taken(ctx, address, (uint16_t)port, proto, use, key);
}

/* The config holds the text to "FIRST-LAST". */
static struct err *dynamic_range(const char *text, uint64_t *ret_first, uint64_t *ret_last)
{
    const char *dash = strchrnul(text, '-');
    AUTO(freep) char *first = xstrndup(text, (size_t)(dash - text));

    TRY(parse_u64(first, 1, UINT16_MAX, ret_first));
    return parse_u64(*dash ? dash + 1 : "", 1, UINT16_MAX, ret_last);
}

static struct err *dynamic_ports(struct ctx *ctx, enum port_proto proto)
{
    const char *address = ctx->cfg->validator.bind_address;
    const char *range = ctx->cfg->validator.dynamic_port_range;
    uint64_t first, last, n = 0;
    uint16_t busy = 0;

    TRY_CTX(dynamic_range(range, &first, &last), "validator.dynamic_port_range");
    for (uint64_t port = first; port <= last; port++) {
        bool is_free = false;

        TRY(port_is_free(address, (uint16_t)port, proto, &is_free));
        n += is_free;
        if (!is_free && !busy)
            busy = (uint16_t)port;
    }
    if (n >= DYNAMIC_MIN)
        return NULL;
    AUTO(freep) char *who = NULL;
    TRY(port_holder(ctx, address, busy, proto, &who));
    return err_new(ERR_REFUSED,
                   "only %llu ports of %s are free for %s and %d are needed: port %u is taken by "
                   "%s; end that, or widen validator.dynamic_port_range",
                   (unsigned long long)n, range, port_proto_name(proto), DYNAMIC_MIN, busy, who);
}

struct err *ports_check(struct ctx *ctx)
{
    const struct config *c = ctx->cfg;
    const char *rpc = c->validator.rpc_bind_address, *gossip = c->validator.bind_address;
    uint64_t port = c->validator.rpc_port;

    TRY_CTX(must_be_free(ctx, rpc, port, PORT_TCP, "RPC", "validator.rpc_port"), "ports");
    TRY_CTX(must_be_free(ctx, rpc, port + 1, PORT_TCP, "RPC's WebSocket, validator.rpc_port + 1",
                         "validator.rpc_port"),
            "ports");
    port = c->validator.gossip_port;
    TRY_CTX(must_be_free(ctx, gossip, port, PORT_TCP, "gossip, TCP", "validator.gossip_port"),
            "ports");
    TRY_CTX(must_be_free(ctx, gossip, port, PORT_UDP, "gossip, UDP", "validator.gossip_port"),
            "ports");
    TRY_CTX(dynamic_ports(ctx, PORT_TCP), "ports");
    return err_wrap(dynamic_ports(ctx, PORT_UDP), "ports");
}
