/* The world's RPC nodes: who they are, what each says, and which archives it serves. The first ones
 * share the world's address, every further one has an address of its own in 127.1.0.0/16, where a
 * network namespace has them all for nothing, or in 60.0.0.0/6, three in each /16. */
#include "lab/world/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/str.h"

#define FINALIZED_DEPTH 32
#define IN_A_NETWORK    3 /* nodes that share a /16 when they are spread */

static void put_level(struct node_state *s, enum node_level level, const struct chain_slot *at)
{
    s->slot[level] = at ? at->slot : 0;
    s->height[level] = at ? at->height : 0;
}

/* "3.0.14" of 30014; "" without the fault. */
static void put_version(const struct world_node *n, char to[NODE_VERSION_MAX])
{
    unsigned v = (unsigned)n->faults[NODE_VERSION_OF];

    if (v)
        snprintf(to, NODE_VERSION_MAX, "%u.%u.%u", v / 10000 % 100, v / 100 % 100, v % 100);
}

static void node_state(void *arg, struct node_state *ret)
{
    const struct world_node *n = arg;
    struct world *w = n->world;

    memset(ret, 0, sizeof(*ret));
    pthread_mutex_lock(&w->lock);
    put_level(ret, NODE_PROCESSED, chain_below_tip(w->chain, 0));
    put_level(ret, NODE_CONFIRMED, chain_below_tip(w->chain, 1));
    put_level(ret, NODE_FINALIZED, chain_below_tip(w->chain, FINALIZED_DEPTH));
    ret->shred_insert = ret->retransmit = chain_last(w->chain);
    ret->min_slot = chain_first(w->chain);
    ret->first_block = chain_first(w->chain) + 2;
    base58_encode32(w->links[ret->slot[NODE_FINALIZED] % WORLD_WINDOW].hash, ret->blockhash);
    put_version(n, ret->version);
    pthread_mutex_unlock(&w->lock);
    ret->tx_count = ret->height[NODE_FINALIZED];
    ret->genesis_s = w->genesis_s;
    ret->slot_ms = (uint32_t)(w->slot_ns / 1000000);
    ret->shred_version = w->genesis.shred_version;
    snprintf(ret->id, sizeof(ret->id), "%s", n->id);
    base58_encode32(w->shredder.leader.public, ret->leader);
    base58_encode32(w->vote, ret->vote);
    base58_encode32(w->genesis.hash, ret->genesis_hash);
}

static void fill_addr(char to[NODE_ADDR_MAX], const char *host, uint16_t port)
{
    snprintf(to, NODE_ADDR_MAX, "%.15s:%u", host, port);
}

static void fill_node(const struct world *w, const struct world_node *n, struct node_peer *p)
{
    snprintf(p->id, sizeof(p->id), "%s", n->id);
    fill_addr(p->gossip, w->o.bind, w->o.gossip_port);
    fill_addr(p->rpc, n->host, n->port);
    fill_addr(p->pubsub, n->host, (uint16_t)(n->port + 1));
    fill_addr(p->serve_repair, w->o.bind, w->o.repair_port);
    put_version(n, p->version);
    p->shred_version = (uint16_t)n->faults[NODE_SHRED_VERSION_OF];
}

/* A validator without RPC: most of a real cluster. */
static void fill_member(const struct world *w, size_t i, struct node_peer *p)
{
    uint8_t id[32], seed[16];
    char host[16];

    put_le64(seed, w->o.seed);
    put_le64(seed + 8, i);
    sha256(&(struct sha256_part){seed, sizeof(seed)}, 1, id);
    base58_encode32(id, p->id);
    snprintf(host, sizeof(host), "10.%u.%u.%u", (unsigned)(i >> 16 & 255), (unsigned)(i >> 8 & 255),
             (unsigned)(i & 255));
    fill_addr(p->gossip, host, 8001);
    fill_addr(p->tvu, host, 8002);
    fill_addr(p->serve_repair, host, 8012);
}

static void make_list(struct world *w)
{
    size_t all = w->nodes_n + w->o.members;

    strbuf_puts(&w->list, "[");
    for (size_t i = 0; i < all; i++) {
        struct node_peer peer = {0};

        if (i < w->nodes_n)
            fill_node(w, w->nodes[i], &peer);
        else
            fill_member(w, i - w->nodes_n, &peer);
        strbuf_puts(&w->list, i ? "," : "");
        rpc_put_peer(&w->list, &peer, w->genesis.shred_version);
    }
    strbuf_puts(&w->list, "]");
}

/* The same for whoever is asked, and kept: with thousands of members it is megabytes of text. */
static void node_peers(void *arg, struct strbuf *out)
{
    const struct world_node *n = arg;
    struct world *w = n->world;

    pthread_mutex_lock(&w->lock);
    if (!w->list.len)
        make_list(w);
    strbuf_add(out, w->list.data, w->list.len);
    pthread_mutex_unlock(&w->lock);
}

static const char *node_archives(void *arg)
{
    struct world_node *n = arg;
    const char *dir = n->world->snapshots;

    pthread_mutex_lock(&n->world->lock);
    if (n->faults[NODE_WRONG_HASH])
        dir = n->world->mirrors[MIRROR_WRONG];
    else if (n->faults[NODE_STALE] || n->faults[NODE_NEWER])
        dir = n->archives;
    else if (n->faults[NODE_RECOMPRESSED])
        dir = n->world->mirrors[n->faults[NODE_RECOMPRESSED] == 1 ? MIRROR_ORDER : MIRROR_LEVEL];
    pthread_mutex_unlock(&n->world->lock);
    return dir;
}

static bool node_has_block(void *arg, uint64_t slot)
{
    const struct world_node *n = arg;
    const struct chain_slot *s;
    bool has;

    pthread_mutex_lock(&n->world->lock);
    s = chain_find(n->world->chain, slot);
    has = s && !s->skipped && !s->dead_end;
    pthread_mutex_unlock(&n->world->lock);
    return has;
}

/* Node i's identity: the leader's for the first, derived ones for the others. */
static void name_node(const struct world *w, size_t i, struct world_node *n)
{
    struct ed25519_key key;

    if (i == 0)
        key = w->shredder.leader;
    else
        shredder_leader_from_seed(w->o.seed + 1000 * i, &key);
    base58_encode32(key.public, n->id);
    if (i < w->o.rpc_n) {
        snprintf(n->host, sizeof(n->host), "%.15s", w->o.bind);
        n->port = w->o.rpc_ports[i];
    } else {
        unsigned k = (unsigned)(i - w->o.rpc_n);

        if (w->o.spread)
            snprintf(n->host, sizeof(n->host), "%u.%u.1.%u", 60 + k / IN_A_NETWORK / 256 % 4,
                     k / IN_A_NETWORK % 256, k % IN_A_NETWORK + 1);
        else
            snprintf(n->host, sizeof(n->host), "127.1.%u.%u", k / 250 & 255, k % 250 + 1);
        n->port = w->o.rpc_ports[0];
    }
}

static struct err *add_node(struct world *w)
{
    AUTO(freep) struct world_node *n = xcalloc(1, sizeof(*n));
    struct rpc_server_spec spec = {.pool = w->pool,
                                   .full_api = true,
                                   .archives = true,
                                   .ledger = w->o.dir,
                                   .source = {.arg = n,
                                              .state = node_state,
                                              .peers = node_peers,
                                              .archives = node_archives,
                                              .has_block = node_has_block}};

    n->world = w;
    name_node(w, w->nodes_n, n);
    spec.bind = n->host;
    spec.port = n->port;
    TRY(rpc_server_open(&spec, &n->server));
    pthread_mutex_lock(&w->lock);
    w->nodes[w->nodes_n++] = TAKE(n);
    strbuf_clear(&w->list);
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

struct err *world_grow(struct world *w, uint64_t n)
{
    if (n > WORLD_NODES_MAX - w->o.rpc_n)
        return err_new(ERR_BADINPUT, "at most %zu nodes", WORLD_NODES_MAX - w->o.rpc_n);
    while (w->nodes_n < n + w->o.rpc_n) {
        TRY(add_node(w));
        if (!world_fault(w, WORLD_RPC))
            TRY(world_nodes_power(w));
    }
    return NULL;
}

struct err *world_open_nodes(struct world *w)
{
    TRY(rpc_pool_open(&w->pool));
    return world_grow(w, w->o.nodes);
}

static bool powered(struct world *w, const struct world_node *n)
{
    return world_fault(w, WORLD_RPC) && !n->faults[NODE_DEAD];
}

struct err *world_nodes_power(struct world *w)
{
    for (size_t i = 0; i < w->nodes_n; i++)
        TRY(rpc_server_fault(w->nodes[i]->server, NODE_DEAD, !powered(w, w->nodes[i])));
    return NULL;
}

/* What has to be there before the fault may begin. *effective: what the server is told. */
static struct err *prepare(struct world *w, struct world_node *n, enum node_fault f, uint64_t value,
                           uint64_t *effective)
{
    if (!value)
        return NULL;
    if (f == NODE_STALE)
        return world_make_stale(w, n, value, effective);
    if (f == NODE_NEWER)
        return world_make_newer(w, n);
    if (f == NODE_WRONG_HASH)
        return world_want_mirror(w, MIRROR_WRONG);
    if (f == NODE_RECOMPRESSED)
        return world_want_mirror(w, value == 1 ? MIRROR_ORDER : MIRROR_LEVEL);
    return NULL;
}

struct err *world_node_fault(struct world *w, size_t i, enum node_fault f, uint64_t value)
{
    struct world_node *n = w->nodes[i];
    uint64_t effective = value;

    TRY(prepare(w, n, f, value, &effective));
    pthread_mutex_lock(&w->lock);
    if (n->faults[f] != value && (f == NODE_VERSION_OF || f == NODE_SHRED_VERSION_OF))
        strbuf_clear(&w->list);
    n->faults[f] = value;
    pthread_mutex_unlock(&w->lock);
    if (f == NODE_DEAD)
        effective = !powered(w, n);
    return rpc_server_fault(n->server, f, effective);
}

static void list_node(const struct world_node *n, size_t i, struct strbuf *out)
{
    struct rpc_counts c;
    bool some = false;

    rpc_server_counts(n->server, &c);
    strbuf_printf(out, "{\"index\":%zu,\"rpc\":\"%s:%u\",\"faults\":{", i, n->host, n->port);
    for (size_t f = 0; f < NODE_FAULTS_N; f++) {
        if (n->faults[f] == node_faults[f].normal)
            continue;
        strbuf_printf(out, "%s\"%s\":%llu", some ? "," : "", node_faults[f].name,
                      (unsigned long long)n->faults[f]);
        some = true;
    }
    strbuf_printf(out, "},\"requests\":%llu,\"files\":%llu,\"files_whole\":%llu,\"bytes\":%llu}",
                  (unsigned long long)c.requests, (unsigned long long)c.files,
                  (unsigned long long)c.files_whole, (unsigned long long)c.bytes);
}

void world_list_nodes(struct world *w, size_t first, size_t last, struct strbuf *out)
{
    pthread_mutex_lock(&w->lock);
    strbuf_puts(out, "[");
    for (size_t i = first; i <= last && i < w->nodes_n; i++) {
        if (i > first)
            strbuf_puts(out, ",");
        list_node(w->nodes[i], i, out);
    }
    strbuf_puts(out, "]");
    pthread_mutex_unlock(&w->lock);
}

void world_close_nodes(struct world *w)
{
    w->pool = rpc_pool_close(w->pool);
    for (size_t i = 0; i < w->nodes_n; i++)
        free(w->nodes[i]);
    strlist_clear(&w->folders);
    strbuf_clear(&w->list);
}
