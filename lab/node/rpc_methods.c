/* The JSON-RPC methods that operators' tools use, with the fields, their order and the error
 * objects of a real Agave 3.0.14 (recorded). No accounts, no transactions: the lab has none. */
#include "lab/node/rpc_methods.h"

#include <string.h>

#define MAX_LEADERS 5000

struct call {
    const struct rpc_source *source;
    const struct json *params;
    struct node_state state;
    struct strbuf *out;
    struct jsonrpc_error *e;
};

/* Is v an object or null? A text is what people pass by mistake. */
static bool want_config(struct call *c, const struct json *v, const char *what)
{
    AUTO(freep) char *text = NULL;

    if (json_is_null(v) || json_is_object(v))
        return true;
    text = json_text(v, false);
    jsonrpc_fail(c->e, JSONRPC_INVALID_PARAMS, "Invalid params: invalid type: %s %s, expected %s.",
                 json_is_string(v) ? "string" : "integer", text, what);
    return false;
}

/* The commitment of the config at params[at]. One that Agave does not know counts as finalized, as
 * it does there. False: an error is set (minContextSlot not reached, wrong type). */
static bool commitment(struct call *c, size_t at, enum node_level *ret)
{
    const struct json *config = json_at(c->params, at), *min = json_get(config, "minContextSlot");
    const char *name = "";
    uint64_t want = 0;

    *ret = NODE_FINALIZED;
    if (!want_config(c, config, "struct RpcContextConfig"))
        return false;
    if (json_is_string(json_get(config, "commitment")))
        (void)err_free(json_as_str(json_get(config, "commitment"), &name)); /* it is a string */
    if (str_eq(name, "processed"))
        *ret = NODE_PROCESSED;
    else if (str_eq(name, "confirmed"))
        *ret = NODE_CONFIRMED;
    if (min && jsonrpc_u64(min, &want) && want > c->state.slot[*ret]) {
        jsonrpc_fail(c->e, -32016, "Minimum context slot has not been reached");
        c->e->data = xasprintf("{\"contextSlot\":%llu}", (unsigned long long)c->state.slot[*ret]);
        return false;
    }
    return true;
}

static void put_u64(struct call *c, uint64_t v)
{
    strbuf_printf(c->out, "%llu", (unsigned long long)v);
}

static void get_health(struct call *c)
{
    if (c->state.health == NODE_HEALTH_OK) {
        strbuf_puts(c->out, "\"ok\"");
    } else if (c->state.health == NODE_HEALTH_BEHIND) {
        jsonrpc_fail(c->e, -32005, "Node is behind by %llu slots",
                     (unsigned long long)c->state.behind);
        c->e->data = xasprintf("{\"numSlotsBehind\":%llu}", (unsigned long long)c->state.behind);
    } else {
        jsonrpc_fail(c->e, -32005, "Node is unhealthy");
        c->e->data = xstrdup("{\"numSlotsBehind\":null}");
    }
}

static void get_version(struct call *c)
{
    strbuf_printf(c->out, "{\"feature-set\":%u,\"solana-core\":\"%s\"}", NODE_FEATURE_SET,
                  *c->state.version ? c->state.version : NODE_VERSION);
}

static void get_identity(struct call *c)
{
    strbuf_printf(c->out, "{\"identity\":\"%s\"}", c->state.id);
}

static void get_genesis_hash(struct call *c)
{
    strbuf_printf(c->out, "\"%s\"", c->state.genesis_hash);
}

static void get_slot(struct call *c)
{
    enum node_level level;

    if (commitment(c, 0, &level))
        put_u64(c, c->state.slot[level]);
}

static void get_block_height(struct call *c)
{
    enum node_level level;

    if (commitment(c, 0, &level))
        put_u64(c, c->state.height[level]);
}

static void get_transaction_count(struct call *c)
{
    enum node_level level;

    if (commitment(c, 0, &level))
        put_u64(c, c->state.tx_count);
}

static void get_epoch_info(struct call *c)
{
    enum node_level level;
    unsigned long long slot;

    if (!commitment(c, 0, &level))
        return;
    slot = c->state.slot[level];
    strbuf_printf(c->out,
                  "{\"absoluteSlot\":%llu,\"blockHeight\":%llu,\"epoch\":%llu,\"slotIndex\":%llu,"
                  "\"slotsInEpoch\":%u,\"transactionCount\":%llu}",
                  slot, (unsigned long long)c->state.height[level], slot / NODE_SLOTS_IN_EPOCH,
                  slot % NODE_SLOTS_IN_EPOCH, NODE_SLOTS_IN_EPOCH,
                  (unsigned long long)c->state.tx_count);
}

static void get_epoch_schedule(struct call *c)
{
    strbuf_printf(c->out,
                  "{\"firstNormalEpoch\":0,\"firstNormalSlot\":0,\"leaderScheduleSlotOffset\":%u,"
                  "\"slotsPerEpoch\":%u,\"warmup\":false}",
                  NODE_SLOTS_IN_EPOCH, NODE_SLOTS_IN_EPOCH);
}

static void get_vote_accounts(struct call *c)
{
    unsigned long long last;
    enum node_level level;

    if (!commitment(c, 0, &level))
        return;
    last = c->state.slot[level] ? c->state.slot[level] - 1 : 0;
    strbuf_printf(c->out,
                  "{\"current\":[{\"activatedStake\":999999997717120,\"commission\":0,"
                  "\"epochCredits\":[[%llu,%llu,0]],\"epochVoteAccount\":true,\"lastVote\":%llu,"
                  "\"nodePubkey\":\"%s\",\"rootSlot\":%llu,\"votePubkey\":\"%s\"}],"
                  "\"delinquent\":[]}",
                  last / NODE_SLOTS_IN_EPOCH, last * 16, last, c->state.leader,
                  last > 31 ? last - 31 : 0, c->state.vote);
}

static void put_addr(struct strbuf *out, const char *name, const char *addr)
{
    if (*addr)
        strbuf_printf(out, ",\"%s\":\"%s\"", name, addr);
    else
        strbuf_printf(out, ",\"%s\":null", name);
}

void rpc_put_peer(struct strbuf *out, const struct node_peer *n, uint16_t shred_version)
{
    strbuf_printf(out, "{\"featureSet\":%u", NODE_FEATURE_SET);
    put_addr(out, "gossip", n->gossip);
    strbuf_printf(out, ",\"pubkey\":\"%s\"", n->id);
    put_addr(out, "pubsub", n->pubsub);
    put_addr(out, "rpc", n->rpc);
    put_addr(out, "serveRepair", n->serve_repair);
    strbuf_printf(out, ",\"shredVersion\":%u", n->shred_version ? n->shred_version : shred_version);
    put_addr(out, "tpu", n->tpu);
    put_addr(out, "tpuForwards", n->tpu_forwards);
    put_addr(out, "tpuForwardsQuic", n->tpu_forwards_quic);
    put_addr(out, "tpuQuic", n->tpu_quic);
    put_addr(out, "tpuVote", n->tpu_vote);
    put_addr(out, "tvu", n->tvu);
    strbuf_printf(out, ",\"version\":\"%s\"}", *n->version ? n->version : NODE_VERSION);
}

static void get_cluster_nodes(struct call *c)
{
    if (c->source->peers) {
        c->source->peers(c->source->arg, c->out);
        return;
    }
    strbuf_puts(c->out, "[");
    for (size_t i = 0;; i++) {
        struct node_peer peer = {0};

        if (!c->source->peer(c->source->arg, i, &peer))
            break;
        strbuf_puts(c->out, i ? "," : "");
        rpc_put_peer(c->out, &peer, c->state.shred_version);
    }
    strbuf_puts(c->out, "]");
}

static void get_max_shred_insert_slot(struct call *c)
{
    put_u64(c, c->state.shred_insert);
}

static void get_max_retransmit_slot(struct call *c)
{
    put_u64(c, c->state.retransmit);
}

static void minimum_ledger_slot(struct call *c)
{
    put_u64(c, c->state.min_slot);
}

static void get_first_available_block(struct call *c)
{
    put_u64(c, c->state.first_block);
}

static void get_highest_snapshot_slot(struct call *c)
{
    uint64_t full = 0, incremental = 0;

    if (!c->source->snapshots(c->source->arg, &full, &incremental)) {
        jsonrpc_fail(c->e, -32008, "No snapshot");
        return;
    }
    strbuf_printf(c->out, "{\"full\":%llu,\"incremental\":", (unsigned long long)full);
    if (incremental)
        put_u64(c, incremental);
    else
        strbuf_puts(c->out, "null");
    strbuf_puts(c->out, "}");
}

static void get_slot_leader(struct call *c)
{
    strbuf_printf(c->out, "\"%s\"", c->state.leader);
}

static bool numbers(struct call *c, uint64_t *first, uint64_t *second)
{
    *first = *second = 0;
    if (jsonrpc_u64(json_at(c->params, 0), first) && jsonrpc_u64(json_at(c->params, 1), second))
        return true;
    jsonrpc_fail(c->e, JSONRPC_INVALID_PARAMS, "Invalid params: invalid length %zu, expected u64.",
                 json_len(c->params));
    return false;
}

static void get_slot_leaders(struct call *c)
{
    uint64_t start, limit;

    if (!numbers(c, &start, &limit))
        return;
    if (limit > MAX_LEADERS) {
        jsonrpc_fail(c->e, JSONRPC_INVALID_PARAMS, "Invalid limit; max %d", MAX_LEADERS);
        return;
    }
    strbuf_puts(c->out, "[");
    for (uint64_t i = 0; i < limit; i++)
        strbuf_printf(c->out, "%s\"%s\"", i ? "," : "", c->state.leader);
    strbuf_puts(c->out, "]");
}

/* One leader owns every slot here. */
static void get_leader_schedule(struct call *c)
{
    const struct json *identity = json_get(json_at(c->params, 1), "identity");
    const char *who = c->state.leader;
    uint64_t slot = 0;

    if (json_is_object(json_at(c->params, 0)))
        identity = json_get(json_at(c->params, 0), "identity");
    else if (!json_is_null(json_at(c->params, 0)) && jsonrpc_u64(json_at(c->params, 0), &slot) &&
             slot / NODE_SLOTS_IN_EPOCH > c->state.slot[NODE_FINALIZED] / NODE_SLOTS_IN_EPOCH + 1) {
        strbuf_puts(c->out, "null");
        return;
    }
    if (json_is_string(identity))
        (void)err_free(json_as_str(identity, &who)); /* it is a string */
    if (!str_eq(who, c->state.leader)) {
        strbuf_puts(c->out, "{}");
        return;
    }
    strbuf_printf(c->out, "{\"%s\":[", c->state.leader);
    for (unsigned i = 0; i < NODE_SLOTS_IN_EPOCH; i++)
        strbuf_printf(c->out, i ? ",%u" : "%u", i);
    strbuf_puts(c->out, "]}");
}

static void get_block_production(struct call *c)
{
    enum node_level level;
    unsigned long long slot, first;

    if (!commitment(c, 0, &level))
        return;
    slot = c->state.slot[level];
    first = slot - slot % NODE_SLOTS_IN_EPOCH;
    strbuf_printf(c->out,
                  "{\"context\":{\"apiVersion\":\"" NODE_VERSION "\",\"slot\":%llu},\"value\":{"
                  "\"byIdentity\":{\"%s\":[%llu,%llu]},\"range\":{\"firstSlot\":%llu,"
                  "\"lastSlot\":%llu}}}",
                  slot, c->state.leader, slot - first + 1,
                  (unsigned long long)c->state.height[level], first, slot);
}

static void get_performance_samples(struct call *c)
{
    strbuf_puts(c->out, "[]"); /* none yet is a legal answer; the lab measures none */
}

static void get_blocks(struct call *c)
{
    uint64_t first, last;
    bool some = false;

    if (!numbers(c, &first, &last))
        return;
    if (last > c->state.slot[NODE_FINALIZED])
        last = c->state.slot[NODE_FINALIZED];
    if (last >= first && last - first > 500000) {
        jsonrpc_fail(c->e, JSONRPC_INVALID_PARAMS, "Slot range too large; max 500000");
        return;
    }
    strbuf_puts(c->out, "[");
    for (uint64_t slot = first; slot <= last; slot++) {
        if (!c->source->has_block(c->source->arg, slot))
            continue;
        strbuf_printf(c->out, "%s%llu", some ? "," : "", (unsigned long long)slot);
        some = true;
    }
    strbuf_puts(c->out, "]");
}

static void get_block_time(struct call *c)
{
    uint64_t slot = 0;

    if (!jsonrpc_u64(json_at(c->params, 0), &slot))
        jsonrpc_fail(c->e, JSONRPC_INVALID_PARAMS, "Invalid params: expected u64.");
    else if (slot < c->state.first_block)
        jsonrpc_fail(c->e, -32001,
                     "Block %llu cleaned up, does not exist on node. First available block: %llu",
                     (unsigned long long)slot, (unsigned long long)c->state.first_block);
    else if (slot > c->state.slot[NODE_FINALIZED])
        jsonrpc_fail(c->e, -32004, "Block not available for slot %llu", (unsigned long long)slot);
    else if (!c->source->has_block(c->source->arg, slot))
        jsonrpc_fail(c->e, -32007,
                     "Slot %llu was skipped, or missing due to ledger jump to recent snapshot",
                     (unsigned long long)slot);
    else
        put_u64(c, c->state.genesis_s + slot * c->state.slot_ms / 1000);
}

static void get_block(struct call *c)
{
    jsonrpc_fail(c->e, -32011, "Transaction history is not available from this node");
}

static void get_latest_blockhash(struct call *c)
{
    enum node_level level;

    if (!commitment(c, 0, &level))
        return;
    strbuf_printf(c->out,
                  "{\"context\":{\"apiVersion\":\"" NODE_VERSION "\",\"slot\":%llu},\"value\":{"
                  "\"blockhash\":\"%s\",\"lastValidBlockHeight\":%llu}}",
                  (unsigned long long)c->state.slot[level], c->state.blockhash,
                  (unsigned long long)c->state.height[level] + 150);
}

static void get_balance(struct call *c)
{
    enum node_level level;

    if (!commitment(c, 1, &level))
        return;
    strbuf_printf(c->out,
                  "{\"context\":{\"apiVersion\":\"" NODE_VERSION "\",\"slot\":%llu},\"value\":1}",
                  (unsigned long long)c->state.slot[level]);
}

/* Which methods belong to the minimal set (solana-rpc 3.0.14, rpc.rs). */
static const struct method {
    const char *name;
    bool full;
    size_t params_max;
    void (*fn)(struct call *c);
} methods[] = {
    {"getHealth", false, 0, get_health},
    {"getVersion", false, 0, get_version},
    {"getIdentity", false, 0, get_identity},
    {"getGenesisHash", false, 0, get_genesis_hash},
    {"getSlot", false, 1, get_slot},
    {"getBlockHeight", false, 1, get_block_height},
    {"getTransactionCount", false, 1, get_transaction_count},
    {"getEpochInfo", false, 1, get_epoch_info},
    {"getVoteAccounts", false, 1, get_vote_accounts},
    {"getLeaderSchedule", false, 2, get_leader_schedule},
    {"getHighestSnapshotSlot", false, 0, get_highest_snapshot_slot},
    {"getBalance", false, 2, get_balance},
    {"getEpochSchedule", true, 0, get_epoch_schedule},
    {"getClusterNodes", true, 0, get_cluster_nodes},
    {"getMaxShredInsertSlot", true, 0, get_max_shred_insert_slot},
    {"getMaxRetransmitSlot", true, 0, get_max_retransmit_slot},
    {"minimumLedgerSlot", true, 0, minimum_ledger_slot},
    {"getFirstAvailableBlock", true, 0, get_first_available_block},
    {"getSlotLeader", true, 1, get_slot_leader},
    {"getSlotLeaders", true, 2, get_slot_leaders},
    {"getBlockProduction", true, 1, get_block_production},
    {"getRecentPerformanceSamples", true, 1, get_performance_samples},
    {"getBlocks", true, 3, get_blocks},
    {"getBlockTime", true, 1, get_block_time},
    {"getBlock", true, 2, get_block},
    {"getLatestBlockhash", true, 1, get_latest_blockhash},
};

void rpc_methods_call(const struct rpc_source *source, bool full, const char *method,
                      const struct json *params, struct strbuf *result, struct jsonrpc_error *e)
{
    struct call c = {.source = source, .params = params, .out = result, .e = e};

    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (!str_eq(methods[i].name, method) || (methods[i].full && !full))
            continue;
        if (!jsonrpc_count(params, methods[i].params_max, e))
            return;
        source->state(source->arg, &c.state);
        methods[i].fn(&c);
        return;
    }
    jsonrpc_fail(e, JSONRPC_METHOD_NOT_FOUND, "Method not found");
}
