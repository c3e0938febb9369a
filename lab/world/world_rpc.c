/* The world's servers: RPC nodes that answer as Agave's do, ip_echo, and the control socket through
 * which a drill turns things off. Everything reads the world under its lock. */
#include "lab/world/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define FINALIZED_DEPTH 32

static void put_level(struct node_state *s, enum node_level level, const struct chain_slot *at)
{
    s->slot[level] = at ? at->slot : 0;
    s->height[level] = at ? at->height : 0;
}

static void fill_addr(char to[NODE_ADDR_MAX], const char *host, uint16_t port)
{
    snprintf(to, NODE_ADDR_MAX, "%.15s:%u", host, port);
}

static void fill_peer(const struct world *w, const struct world_rpc *r, struct node_peer *p)
{
    snprintf(p->id, sizeof(p->id), "%s", r->id);
    fill_addr(p->gossip, w->o.bind, w->o.gossip_port);
    fill_addr(p->rpc, w->o.bind, r->port);
    fill_addr(p->pubsub, w->o.bind, (uint16_t)(r->port + 1));
    fill_addr(p->serve_repair, w->o.bind, w->o.repair_port);
}

static void rpc_state(void *arg, struct node_state *ret)
{
    const struct world_rpc *r = arg;
    struct world *w = r->world;

    memset(ret, 0, sizeof(*ret));
    pthread_mutex_lock(&w->lock);
    put_level(ret, NODE_PROCESSED, chain_below_tip(w->chain, 0));
    put_level(ret, NODE_CONFIRMED, chain_below_tip(w->chain, 1));
    put_level(ret, NODE_FINALIZED, chain_below_tip(w->chain, FINALIZED_DEPTH));
    ret->shred_insert = ret->retransmit = chain_last(w->chain);
    ret->min_slot = chain_first(w->chain);
    ret->first_block = chain_first(w->chain) + 2;
    base58_encode32(w->links[ret->slot[NODE_FINALIZED] % WORLD_WINDOW].hash, ret->blockhash);
    pthread_mutex_unlock(&w->lock);
    ret->tx_count = ret->height[NODE_FINALIZED];
    ret->genesis_s = w->genesis_s;
    ret->slot_ms = (uint32_t)(w->slot_ns / 1000000);
    ret->shred_version = w->genesis.shred_version;
    snprintf(ret->id, sizeof(ret->id), "%s", r->id);
    base58_encode32(w->shredder.leader.public, ret->leader);
    base58_encode32(w->vote, ret->vote);
    base58_encode32(w->genesis.hash, ret->genesis_hash);
    for (size_t i = 0; i < w->o.rpc_n; i++)
        fill_peer(w, &w->rpcs[i], &ret->peers[ret->peers_n++]);
}

static bool rpc_has_block(void *arg, uint64_t slot)
{
    const struct world_rpc *r = arg;
    const struct chain_slot *s;
    bool has;

    pthread_mutex_lock(&r->world->lock);
    s = chain_find(r->world->chain, slot);
    has = s && !s->skipped && !s->dead_end;
    pthread_mutex_unlock(&r->world->lock);
    return has;
}

static void get_state(struct world *w, struct strbuf *out)
{
    const struct chain_slot *final;

    pthread_mutex_lock(&w->lock);
    final = chain_below_tip(w->chain, FINALIZED_DEPTH);
    strbuf_printf(
        out,
        "{\"slot\":%llu,\"finalized\":%llu,\"first\":%llu,\"turbine\":%llu,"
        "\"repair\":%s,\"blocks\":%llu,\"shredsSent\":%llu,\"shredsLost\":%llu,"
        "\"repairAsked\":%llu,\"repairAnswered\":%llu,\"repairRefused\":%llu}",
        (unsigned long long)chain_last(w->chain), (unsigned long long)(final ? final->slot : 0),
        (unsigned long long)chain_first(w->chain), (unsigned long long)w->coverage,
        w->repair_on ? "true" : "false", (unsigned long long)w->stats.blocks,
        (unsigned long long)w->stats.shreds_sent, (unsigned long long)w->stats.shreds_lost,
        (unsigned long long)w->stats.repair_asked, (unsigned long long)w->stats.repair_answered,
        (unsigned long long)w->stats.repair_refused);
    pthread_mutex_unlock(&w->lock);
}

static bool param_bool(const struct json *params, size_t i, bool *ret)
{
    AUTO(err_freep) struct err *e = json_as_bool(json_at(params, i), ret);

    return !e;
}

static bool set_turbine(struct world *w, const struct json *params)
{
    uint64_t percent;

    if (!jsonrpc_u64(json_at(params, 0), &percent) || percent > 100)
        return false;
    pthread_mutex_lock(&w->lock);
    w->coverage = percent;
    pthread_mutex_unlock(&w->lock);
    return true;
}

static bool set_repair(struct world *w, const struct json *params)
{
    bool on;

    if (!param_bool(params, 0, &on))
        return false;
    pthread_mutex_lock(&w->lock);
    w->repair_on = on;
    pthread_mutex_unlock(&w->lock);
    return true;
}

static bool set_snapshots(struct world *w, const struct json *params)
{
    bool on;

    if (!param_bool(params, 0, &on))
        return false;
    for (size_t i = 0; i < w->o.rpc_n; i++)
        rpc_server_snapshots(w->rpcs[i].server, on);
    return true;
}

/* [which RPC node, "ahead", amount] */
static bool set_lie(struct world *w, const struct json *params)
{
    static const char *const names[] = {
        [RPC_LIE_NONE] = "none",   [RPC_LIE_AHEAD] = "ahead", [RPC_LIE_HTML] = "html",
        [RPC_LIE_ERROR] = "error", [RPC_LIE_STALL] = "stall", [RPC_LIE_FILE] = "file"};
    uint64_t which, amount = 0;
    const char *name = NULL;

    if (!jsonrpc_u64(json_at(params, 0), &which) || which >= w->o.rpc_n ||
        !json_is_string(json_at(params, 1)))
        return false;
    (void)err_free(json_as_str(json_at(params, 1), &name)); /* it is a string */
    (void)jsonrpc_u64(json_at(params, 2), &amount);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(names[i], name)) {
            rpc_server_lie(w->rpcs[which].server, (enum rpc_lie)i, amount);
            return true;
        }
    return false;
}

static void control(void *arg, const char *method, const struct json *params, struct strbuf *result,
                    struct jsonrpc_error *e)
{
    static const struct {
        const char *name;
        bool (*set)(struct world *w, const struct json *params);
    } setters[] = {{"turbine", set_turbine},
                   {"repair", set_repair},
                   {"snapshots", set_snapshots},
                   {"lie", set_lie}};
    struct world *w = arg;

    if (str_eq(method, "state")) {
        get_state(w, result);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(setters); i++) {
        if (!str_eq(setters[i].name, method))
            continue;
        if (setters[i].set(w, params))
            strbuf_puts(result, "null");
        else
            jsonrpc_fail(e, JSONRPC_INVALID_PARAMS, "bad parameters for '%s'", method);
        return;
    }
    jsonrpc_fail(e, JSONRPC_METHOD_NOT_FOUND, "Method not found");
}

/* Node i's identity: the leader's for the first, derived ones for the others. */
static void name_node(const struct world *w, size_t i, char id[BASE58_32_MAX])
{
    struct ed25519_key key;

    if (i == 0)
        key = w->shredder.leader;
    else
        shredder_leader_from_seed(w->o.seed + 1000 * i, &key);
    base58_encode32(key.public, id);
}

struct err *world_open_servers(struct world *w)
{
    AUTO(freep) char *socket_path = xasprintf("%s/control.sock", w->o.dir);

    for (size_t i = 0; i < w->o.rpc_n; i++) {
        struct world_rpc *r = &w->rpcs[i];
        struct rpc_server_spec spec = {
            .bind = w->o.bind,
            .port = w->o.rpc_ports[i],
            .full_api = true,
            .archives = w->snapshots,
            .ledger = w->o.dir,
            .source = {.arg = r, .state = rpc_state, .has_block = rpc_has_block}};

        r->world = w;
        r->port = w->o.rpc_ports[i];
        name_node(w, i, r->id);
        TRY(rpc_server_open(&spec, &r->server));
    }
    TRY(ip_echo_server_open(w->o.bind, w->o.gossip_port, w->genesis.shred_version, &w->ip_echo));
    return admin_server_open(socket_path, control, w, &w->control);
}

void world_close_servers(struct world *w)
{
    w->control = admin_server_close(w->control);
    w->ip_echo = ip_echo_server_close(w->ip_echo);
    for (size_t i = 0; i < w->o.rpc_n; i++)
        w->rpcs[i].server = rpc_server_close(w->rpcs[i].server);
}
