/* What the stand-in says about itself: the RPC port's source and the admin socket's methods, with
 * the answers of a real 3.0.14 before and after its start is complete. */
#include "lab/validator/validator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/clock.h"
#include "solana/keypair.h"

static void put_level(struct node_state *s, enum node_level level, const struct bank *b)
{
    s->slot[level] = b->slot;
    s->height[level] = b->height;
}

static void addr(const struct validator *v, char to[NODE_ADDR_MAX], uint16_t port)
{
    /* An unspecified address is advertised as what the entrypoint would have seen: loopback. */
    snprintf(to, NODE_ADDR_MAX, "%.15s:%u", str_eq(v->o.bind, "0.0.0.0") ? "127.0.0.1" : v->o.bind,
             port);
}

static void fill_self(const struct validator *v, struct node_peer *p)
{
    snprintf(p->id, sizeof(p->id), "%s", v->id);
    addr(v, p->gossip, v->ports[PORT_GOSSIP]);
    addr(v, p->tvu, v->ports[PORT_TVU]);
    addr(v, p->tpu, v->ports[PORT_TPU]);
    addr(v, p->tpu_forwards, v->ports[PORT_TPU_FORWARDS]);
    addr(v, p->tpu_vote, v->ports[PORT_TPU_VOTE]);
    addr(v, p->tpu_quic, v->ports[PORT_TPU_QUIC]);
    addr(v, p->tpu_forwards_quic, v->ports[PORT_TPU_FORWARDS_QUIC]);
    addr(v, p->serve_repair, v->ports[PORT_SERVE_REPAIR]);
    if (!v->o.private_rpc && v->o.rpc_port) {
        addr(v, p->rpc, v->o.rpc_port);
        addr(v, p->pubsub, (uint16_t)(v->o.rpc_port + 1));
    }
}

static void fill_entrypoint(const struct validator *v, struct node_peer *p)
{
    base58_encode32(v->hello.id, p->id);
    snprintf(p->rpc, sizeof(p->rpc), "%s:%u", v->hello_host, v->hello.rpc_port);
    snprintf(p->serve_repair, sizeof(p->serve_repair), "%s:%u", v->hello_host,
             v->hello.repair_port);
    snprintf(p->gossip, sizeof(p->gossip), "%.23s", v->o.entrypoints.items[0]);
}

static void state(void *arg, struct node_state *ret)
{
    struct validator *v = arg;
    uint64_t lowest = 0;
    AUTO(err_freep) struct err *e = ledger_lowest(v->ledger, &lowest);

    memset(ret, 0, sizeof(*ret));
    pthread_mutex_lock(&v->lock);
    ret->health = v->phase == PHASE_RUNNING ? NODE_HEALTH_OK : NODE_HEALTH_UNKNOWN;
    put_level(ret, NODE_PROCESSED, banks_tip(v->banks));
    put_level(ret, NODE_CONFIRMED, banks_confirmed(v->banks));
    put_level(ret, NODE_FINALIZED, banks_root(v->banks));
    ret->shred_insert = ret->retransmit = v->shred_insert;
    ret->tx_count = v->tx_count;
    base58_encode32(banks_root(v->banks)->hash, ret->blockhash);
    base58_encode32(v->hello_known ? v->hello.leader : v->key.public, ret->leader);
    base58_encode32(v->hello_known ? v->hello.vote : v->key.public, ret->vote);
    pthread_mutex_unlock(&v->lock);
    ret->min_slot = lowest;
    ret->first_block = lowest ? lowest + 2 : 0;
    ret->genesis_s = clock_system.wall_ms() / 1000;
    ret->slot_ms = (uint32_t)(validator_slot_ns(v) / 1000000);
    ret->genesis_s -= ret->slot[NODE_PROCESSED] * ret->slot_ms / 1000;
    ret->shred_version = validator_shred_version(v);
    snprintf(ret->id, sizeof(ret->id), "%s", v->id);
    base58_encode32(v->genesis.hash, ret->genesis_hash);
}

static bool peer(void *arg, size_t i, struct node_peer *ret)
{
    struct validator *v = arg;
    bool some;

    pthread_mutex_lock(&v->lock);
    some = i == 0 || (i == 1 && v->hello_known);
    if (some)
        (i ? fill_entrypoint : fill_self)(v, ret);
    pthread_mutex_unlock(&v->lock);
    return some;
}

static const char *archives(void *arg)
{
    const struct validator *v = arg;

    return v->o.snapshots;
}

static bool has_block(void *arg, uint64_t slot)
{
    struct validator *v = arg;
    struct ledger_meta meta;
    AUTO(err_freep) struct err *e = ledger_meta(v->ledger, slot, &meta);

    return !e && meta.root;
}

struct err *validator_open_rpc(struct validator *v)
{
    struct rpc_server_spec spec = {
        .bind = v->o.rpc_bind,
        .port = v->o.rpc_port,
        .full_api = v->o.full_rpc,
        .archives = true,
        .ledger = v->o.ledger,
        .source = {
            .arg = v, .state = state, .peer = peer, .archives = archives, .has_block = has_block}};
    struct rpc_server *server;

    if (!v->o.rpc_port)
        return NULL;
    TRY(rpc_pool_open(&v->rpc));
    spec.pool = v->rpc;
    TRY(rpc_server_open(&spec, &server));
    agave_log_info(v->log, "solana_rpc::rpc_service", "rpc bound to %s:%u", v->o.rpc_bind,
                   v->o.rpc_port);
    return NULL;
}

/* ---- the admin socket ---- */

struct admin_call {
    struct validator *v;
    const struct json *params;
    struct strbuf *out;
    struct jsonrpc_error *e;
};

static void admin_exit(struct admin_call *c)
{
    agave_log_warn(c->v->log, "agave_validator::admin_rpc_service",
                   "exit admin rpc request received");
    strbuf_puts(c->out, "null");
    validator_exit(c->v);
}

static void admin_pid(struct admin_call *c)
{
    strbuf_printf(c->out, "%d", (int)getpid());
}

static void admin_start_time(struct admin_call *c)
{
    strbuf_printf(c->out, "{\"nanos_since_epoch\":%llu,\"secs_since_epoch\":%llu}",
                  (unsigned long long)(c->v->start_ns % 1000000000),
                  (unsigned long long)(c->v->start_ns / 1000000000));
}

static void admin_start_progress(struct admin_call *c)
{
    static const char *const words[] = {
        [PHASE_INITIALIZING] = "Initializing",
        [PHASE_SEARCHING] = "SearchingForRpcService",
        [PHASE_DOWNLOADING] = "DownloadingSnapshot",
        [PHASE_CLEANING_BLOCKSTORE] = "CleaningBlockStore",
        [PHASE_CLEANING_ACCOUNTS] = "CleaningAccounts",
        [PHASE_LOADING] = "LoadingLedger",
        [PHASE_PROCESSING] = "ProcessingLedger",
        [PHASE_STARTING_SERVICES] = "StartingServices",
        [PHASE_RUNNING] = "Running",
    };
    struct validator *v = c->v;

    pthread_mutex_lock(&v->lock);
    if (v->phase == PHASE_DOWNLOADING)
        strbuf_printf(c->out, "{\"DownloadingSnapshot\":{\"rpc_addr\":\"%s\",\"slot\":%llu}}",
                      v->phase_addr, (unsigned long long)v->phase_slot);
    else if (v->phase == PHASE_PROCESSING)
        strbuf_printf(c->out, "{\"ProcessingLedger\":{\"max_slot\":%llu,\"slot\":%llu}}",
                      (unsigned long long)v->phase_max, (unsigned long long)v->phase_slot);
    else
        strbuf_printf(c->out, "\"%s\"", words[v->phase]);
    pthread_mutex_unlock(&v->lock);
}

static void admin_rpc_address(struct admin_call *c)
{
    if (c->v->o.rpc_port)
        strbuf_printf(c->out, "\"%s:%u\"", c->v->o.rpc_bind, c->v->o.rpc_port);
    else
        strbuf_puts(c->out, "null");
}

static void admin_contact_info(struct admin_call *c)
{
    static const struct {
        const char *name;
        enum validator_port port;
    } after[] = {{"tpu", PORT_TPU},
                 {"tpu_forwards", PORT_TPU_FORWARDS},
                 {"tpu_vote", PORT_TPU_VOTE},
                 {"tvu", PORT_TVU},
                 {"tvu_quic", PORT_TVU_QUIC}};
    struct validator *v = c->v;
    struct node_peer p = {.rpc = "0.0.0.0:0", .pubsub = "0.0.0.0:0"};
    char quic[NODE_ADDR_MAX];

    fill_self(v, &p);
    addr(v, quic, v->ports[PORT_SERVE_REPAIR_QUIC]);
    strbuf_printf(c->out,
                  "{\"gossip\":\"%s\",\"id\":\"%s\",\"last_updated_timestamp\":%llu,\"rpc\":\"%s\","
                  "\"rpc_pubsub\":\"%s\",\"serve_repair\":\"%s\",\"serve_repair_quic\":\"%s\","
                  "\"shred_version\":%u",
                  p.gossip, v->id, (unsigned long long)clock_system.wall_ms(), p.rpc, p.pubsub,
                  p.serve_repair, quic, validator_shred_version(v));
    for (size_t i = 0; i < ARRAY_LEN(after); i++) {
        char text[NODE_ADDR_MAX];

        addr(v, text, v->ports[after[i].port]);
        strbuf_printf(c->out, ",\"%s\":\"%s\"", after[i].name, text);
    }
    strbuf_puts(c->out, "}");
}

static void admin_whitelist(struct admin_call *c)
{
    strbuf_puts(c->out, "{\"whitelist\":[]}");
}

static void admin_null(struct admin_call *c)
{
    strbuf_puts(c->out, "null");
}

static void admin_index_size(struct admin_call *c)
{
    strbuf_puts(c->out, "{}");
}

static void admin_plugins(struct admin_call *c)
{
    jsonrpc_fail(c->e, JSONRPC_INVALID_REQUEST, "No geyser plugin service");
}

static void admin_set_identity(struct admin_call *c)
{
    const char *path = "";
    struct ed25519_key key;
    AUTO(err_freep) struct err *e = json_as_str(json_at(c->params, 0), &path);

    if (!e)
        e = keypair_read(c->v->ctx.root, path, &key, NULL);
    if (e) {
        jsonrpc_fail(c->e, JSONRPC_INVALID_PARAMS, "Failed to read identity keypair from %s: %s",
                     path,
                     e->kind == ERR_NOTFOUND ? "No such file or directory (os error 2)" : e->text);
        return;
    }
    pthread_mutex_lock(&c->v->lock);
    c->v->key = key;
    base58_encode32(key.public, c->v->id);
    pthread_mutex_unlock(&c->v->lock);
    ed25519_wipe(&key, sizeof(key));
    agave_log_warn(c->v->log, "agave_validator::admin_rpc_service", "Identity set to %s", c->v->id);
    strbuf_puts(c->out, "null");
}

static const struct {
    const char *name;
    size_t params;
    bool late; /* only when the start is complete */
    void (*fn)(struct admin_call *c);
} admin_methods[] = {
    {"exit", 0, false, admin_exit},
    {"pid", 0, false, admin_pid},
    {"startTime", 0, false, admin_start_time},
    {"startProgress", 0, false, admin_start_progress},
    {"rpcAddress", 0, false, admin_rpc_address},
    {"setLogFilter", 1, false, admin_null},
    {"listPlugins", 0, false, admin_plugins},
    {"contactInfo", 0, true, admin_contact_info},
    {"repairWhitelist", 0, true, admin_whitelist},
    {"setRepairWhitelist", 1, true, admin_null},
    {"repairShredFromPeer", 3, true, admin_null},
    {"setIdentity", 2, true, admin_set_identity},
    {"addAuthorizedVoter", 1, true, admin_null},
    {"removeAllAuthorizedVoters", 0, true, admin_null},
    {"setStakedNodesOverrides", 1, true, admin_null},
    {"setPublicTpuAddress", 1, true, admin_null},
    {"setPublicTpuForwardsAddress", 1, true, admin_null},
    {"getSecondaryIndexKeySize", 1, true, admin_index_size},
};

static void admin_answer(void *arg, const char *method, const struct json *params,
                         struct strbuf *result, struct jsonrpc_error *e)
{
    struct validator *v = arg;
    struct admin_call c = {.v = v, .params = params, .out = result, .e = e};
    bool complete;

    pthread_mutex_lock(&v->lock);
    complete = v->phase == PHASE_RUNNING;
    pthread_mutex_unlock(&v->lock);
    for (size_t i = 0; i < ARRAY_LEN(admin_methods); i++) {
        size_t want = admin_methods[i].params;

        if (!str_eq(admin_methods[i].name, method))
            continue;
        if (!want && !jsonrpc_count(params, 0, e))
            return;
        if (json_len(params) < want)
            jsonrpc_fail(e, JSONRPC_INVALID_PARAMS,
                         "Invalid params: invalid length %zu, expected a tuple of size %zu.",
                         json_len(params), want);
        else if (admin_methods[i].late && !complete)
            jsonrpc_fail(e, JSONRPC_INVALID_PARAMS, "Retry once validator start up is complete");
        else
            admin_methods[i].fn(&c);
        return;
    }
    jsonrpc_fail(e, JSONRPC_METHOD_NOT_FOUND, "Method not found");
}

struct err *validator_open_admin(struct validator *v)
{
    AUTO(freep) char *path = xasprintf("%s/admin.rpc", v->o.ledger);

    TRY_CTX(admin_server_open(path, admin_answer, v, &v->admin),
            "Unable to start admin rpc service");
    agave_log_info(v->log, "agave_validator::admin_rpc_service", "started admin rpc service!");
    return NULL;
}
