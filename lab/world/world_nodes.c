/* The world's RPC nodes: who they are, what each says, and which archives it serves. The first ones
 * share the world's address, every further one has an address of its own in 127.1.0.0/16, where a
 * network namespace has them all for nothing. */
#include "lab/world/world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/str.h"
#include "lab/node/archives.h"
#include "lab/node/snapshot_maker.h"

#define FINALIZED_DEPTH 32
#define OTHER_SEED      0x5eed /* of archives that are not what their names say */

static void put_level(struct node_state *s, enum node_level level, const struct chain_slot *at)
{
    s->slot[level] = at ? at->slot : 0;
    s->height[level] = at ? at->height : 0;
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

static bool node_peer(void *arg, size_t i, struct node_peer *ret)
{
    const struct world_node *n = arg;
    struct world *w = n->world;
    size_t nodes;

    pthread_mutex_lock(&w->lock);
    nodes = w->nodes_n;
    if (i < nodes)
        fill_node(w, w->nodes[i], ret);
    pthread_mutex_unlock(&w->lock);
    if (i < nodes)
        return true;
    if (i - nodes >= w->o.members)
        return false;
    fill_member(w, i - nodes, ret);
    return true;
}

static const char *node_archives(void *arg)
{
    struct world_node *n = arg;
    const char *dir = n->world->snapshots;

    pthread_mutex_lock(&n->world->lock);
    if (n->faults[NODE_WRONG_HASH])
        dir = n->world->wrong;
    else if (n->faults[NODE_STALE] || n->faults[NODE_NEWER])
        dir = n->archives;
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
                                              .peer = node_peer,
                                              .archives = node_archives,
                                              .has_block = node_has_block}};

    n->world = w;
    name_node(w, w->nodes_n, n);
    spec.bind = n->host;
    spec.port = n->port;
    TRY(rpc_server_open(&spec, &n->server));
    pthread_mutex_lock(&w->lock);
    w->nodes[w->nodes_n++] = TAKE(n);
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

static struct err *make_dir(const char *dir)
{
    return mkdir(dir, 0755) < 0 && errno != EEXIST ? err_sys(errno, "cannot make '%s'", dir) : NULL;
}

/* Another archive under the name of a. */
static struct err *write_wrong(struct world *w, const char *dir, const struct archive *a)
{
    struct snapshot_maker_spec spec = {
        .seed = w->o.seed ^ OTHER_SEED, .slot = a->slot, .base = a->base};
    AUTO(freep) char *name = NULL;
    AUTO(freep) char *from = NULL;
    AUTO(freep) char *to = xasprintf("%s/%s", dir, a->name);

    TRY(snapshot_maker_write(dir, &spec, &name));
    from = xasprintf("%s/%s", dir, name);
    return rename(from, to) < 0 ? err_sys(errno, "cannot rename '%s'", from) : NULL;
}

/* The node has a folder of its own with one archive: the snapshot of a slot, or what only has its
 * name. */
static struct err *make_folder(struct world *w, struct world_node *n, uint64_t slot, bool wrong)
{
    struct snapshot_maker_spec spec = {.seed = w->o.seed, .slot = slot};
    AUTO(freep)
    char *dir =
        xasprintf("%s/%s-%llu", w->o.dir, wrong ? "newer" : "stale", (unsigned long long)slot);
    AUTO(freep) char *name = snapshot_maker_name(&spec);
    AUTO(freep) char *ignored = NULL;
    struct archive a;

    TRY(make_dir(dir));
    if (!archive_parse(name, &a))
        return err_new(ERR_BUG, "'%s' is no archive's name", name);
    TRY(wrong ? write_wrong(w, dir, &a) : snapshot_maker_write(dir, &spec, &ignored));
    pthread_mutex_lock(&w->lock);
    strlist_add(&w->folders, dir);
    n->archives = w->folders.items[w->folders.n - 1];
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static uint64_t tip_of(struct world *w)
{
    uint64_t tip;

    pthread_mutex_lock(&w->lock);
    tip = chain_last(w->chain);
    pthread_mutex_unlock(&w->lock);
    return tip;
}

/* The node stands still slots back, with the snapshot that it had then. */
static struct err *make_stale(struct world *w, struct world_node *n, uint64_t slots,
                              uint64_t *ret_stands_at)
{
    uint64_t interval = w->o.snapshot_interval, tip = tip_of(w);
    uint64_t at = tip > slots + 2 * interval ? tip - slots : 2 * interval;

    *ret_stands_at = at;
    return make_folder(w, n, (at - interval / 2) / interval * interval, false);
}

/* Ahead of everybody by an interval. */
static struct err *make_newer(struct world *w, struct world_node *n)
{
    return make_folder(w, n, (tip_of(w) / w->o.snapshot_interval + 1) * w->o.snapshot_interval,
                       true);
}

struct err *world_mirror_wrong(struct world *w)
{
    struct archive full, incremental;
    struct err *e;
    bool wanted;

    pthread_mutex_lock(&w->lock);
    wanted = w->wrong_wanted;
    pthread_mutex_unlock(&w->lock);
    if (!wanted)
        return NULL;
    pthread_mutex_lock(&w->files_lock);
    e = archives_highest(w->snapshots, &full, &incremental);
    if (!e)
        e = write_wrong(w, w->wrong, &full);
    if (!e && incremental.slot)
        e = write_wrong(w, w->wrong, &incremental);
    archives_purge(w->wrong, 2, 4);
    pthread_mutex_unlock(&w->files_lock);
    return e;
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

struct err *world_node_fault(struct world *w, size_t i, enum node_fault f, uint64_t value)
{
    struct world_node *n = w->nodes[i];
    uint64_t effective = value;

    if (f == NODE_STALE && value)
        TRY(make_stale(w, n, value, &effective));
    if (f == NODE_NEWER && value)
        TRY(make_newer(w, n));
    pthread_mutex_lock(&w->lock);
    w->wrong_wanted |= f == NODE_WRONG_HASH && value;
    pthread_mutex_unlock(&w->lock);
    if (f == NODE_WRONG_HASH && value)
        TRY(world_mirror_wrong(w));
    pthread_mutex_lock(&w->lock);
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
}
