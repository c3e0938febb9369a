#pragma once

#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "lab/faults.h"
#include "lab/node/admin_server.h"
#include "lab/chain/chain.h"
#include "lab/node/genesis.h"
#include "lab/node/ip_echo.h"
#include "lab/node/rpc_server.h"
#include "lab/chain/shredder.h"

/* The simulated cluster, shared by the world_*.c files. One thread (world_run) makes blocks, sends
 * them and answers repair; the servers' threads read under the lock. */
#define WORLD_RPC_MAX   8
#define WORLD_NODES_MAX 1024
#define WORLD_TVU_MAX   8
#define WORLD_WINDOW    65536 /* slots whose links are kept: blocks can be made again from them */
#define WORLD_RECENT    32    /* blocks kept whole */
#define WORLD_OLD       4     /* older blocks made again, kept for the next requests */

struct world_opts {
    char *dir, *bind, *ready_file;
    uint16_t gossip_port, repair_port;
    uint16_t rpc_ports[WORLD_RPC_MAX];
    size_t rpc_n;
    struct sockaddr_in tvus[WORLD_TVU_MAX];
    size_t tvu_n;
    uint64_t seed, time_scale, start_slot, snapshot_interval, full_interval;
    uint64_t sets;
    uint64_t nodes;   /* RPC nodes beside those of rpc_ports, on addresses of their own */
    uint64_t members; /* of the cluster that have no RPC */
    uint64_t faults[WORLD_FAULTS_N]; /* at the start, and again after a heal */
};
void world_opts_clear(struct world_opts *o);

/* One RPC node. */
struct world_node {
    struct world *world;
    struct rpc_server *server;
    char id[BASE58_32_MAX], host[16];
    uint16_t port;
    uint64_t faults[NODE_FAULTS_N];
    const char *archives; /* its own folder while it is stale, of world.folders */
};

struct world_stats {
    uint64_t blocks, shreds_sent, shreds_lost, repair_asked, repair_answered, repair_refused;
    uint64_t slots_sent, slots_whole; /* by turbine; whole: enough of each set */
};

struct world {
    struct world_opts o;
    struct genesis genesis;
    struct shredder_opts shredder;
    uint8_t vote[32];
    uint64_t slot_ns, genesis_s;
    int gossip_fd, repair_fd, turbine_fd, signal_fd;
    struct rpc_pool *pool;
    struct ip_echo_server *ip_echo;
    struct admin_server *control;
    char *snapshots, *wrong; /* folders: the good archives, and others under the same names */
    uint64_t last_full, last_snapshot;

    pthread_mutex_t files_lock; /* one writer of wrong archives */
    pthread_mutex_t lock;       /* guards what follows */
    struct chain *chain;
    struct block_link *links; /* by slot % WORLD_WINDOW */
    uint64_t faults[WORLD_FAULTS_N];
    struct world_node *nodes[WORLD_NODES_MAX];
    size_t nodes_n;
    struct strlist folders; /* of stale nodes; names stay until the world ends */
    bool wrong_wanted;      /* some node serves wrong archives */
    struct world_stats stats;

    /* the world's own thread alone */
    struct block recent[WORLD_RECENT], old[WORLD_OLD];
    size_t old_at;
    uint64_t old_budget, old_budget_at_ns;
};

/* world_blocks.c */
/* Adds the next slot to the chain; its block (NULL: skipped) is owned by the world and good until
 * WORLD_RECENT slots later. Writes a snapshot when one is due. */
struct err *world_make_slot(struct world *w, const struct block **ret) MUST_CHECK;
/* A block of the window, from memory or made again; NULL: skipped, unknown or not made yet. */
const struct block *world_block(struct world *w, uint64_t slot);
/* The first snapshots and the history that they need. */
struct err *world_make_history(struct world *w) MUST_CHECK;

/* world_net.c */
void world_send_set(struct world *w, const struct block *b, size_t set);
void world_answer_repair(struct world *w);
void world_answer_hello(struct world *w);

/* A fault's value now. */
uint64_t world_fault(struct world *w, enum world_fault f);

/* world_nodes.c */
struct err *world_open_nodes(struct world *w) MUST_CHECK;
/* So many nodes beside those of rpc_ports; there are never fewer than before. ERR_BADINPUT. */
struct err *world_grow(struct world *w, uint64_t n) MUST_CHECK;
/* A fault of node i; ERR_SYS (a port, a folder). */
struct err *world_node_fault(struct world *w, size_t i, enum node_fault f, uint64_t value)
    MUST_CHECK;
/* Opens or closes every node's port, as the WORLD_RPC fault says. */
struct err *world_nodes_power(struct world *w) MUST_CHECK;
/* After a new archive: the wrong ones of the same names. */
struct err *world_mirror_wrong(struct world *w) MUST_CHECK;
/* A JSON list of nodes first to last. */
void world_list_nodes(struct world *w, size_t first, size_t last, struct strbuf *out);
void world_close_nodes(struct world *w);

/* world_control.c */
struct err *world_open_control(struct world *w) MUST_CHECK;
