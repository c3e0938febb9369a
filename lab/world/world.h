#pragma once

#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "lab/node/admin_server.h"
#include "lab/chain/chain.h"
#include "lab/node/genesis.h"
#include "lab/node/ip_echo.h"
#include "lab/node/rpc_server.h"
#include "lab/chain/shredder.h"

/* The simulated cluster, shared by the world_*.c files. One thread (world_run) makes blocks, sends
 * them and answers repair; the servers' threads read under the lock. */
#define WORLD_RPC_MAX 8
#define WORLD_TVU_MAX 8
#define WORLD_WINDOW  65536 /* slots whose links are kept: blocks can be made again from them */
#define WORLD_RECENT  32    /* blocks kept whole */
#define WORLD_OLD     4     /* older blocks made again, kept for the next requests */

struct world_opts {
    char *dir, *bind, *ready_file;
    uint16_t gossip_port, repair_port;
    uint16_t rpc_ports[WORLD_RPC_MAX];
    size_t rpc_n;
    struct sockaddr_in tvus[WORLD_TVU_MAX];
    size_t tvu_n;
    uint64_t seed, time_scale, start_slot, snapshot_interval, full_interval;
    uint64_t coverage; /* percent of shreds that turbine delivers */
    uint64_t repair_recent_slots, repair_old_per_s, sets;
};
void world_opts_clear(struct world_opts *o);

struct world_rpc {
    struct world *world;
    struct rpc_server *server;
    char id[BASE58_32_MAX];
    uint16_t port;
};

struct world_stats {
    uint64_t blocks, shreds_sent, shreds_lost, repair_asked, repair_answered, repair_refused;
};

struct world {
    struct world_opts o;
    struct genesis genesis;
    struct shredder_opts shredder;
    uint8_t vote[32];
    uint64_t slot_ns, genesis_s;
    int gossip_fd, repair_fd, turbine_fd, signal_fd;
    struct world_rpc rpcs[WORLD_RPC_MAX];
    struct ip_echo_server *ip_echo;
    struct admin_server *control;
    char *snapshots;
    uint64_t last_full, last_snapshot;

    pthread_mutex_t lock; /* guards what follows */
    struct chain *chain;
    struct block_link *links; /* by slot % WORLD_WINDOW */
    uint64_t coverage;
    bool repair_on;
    struct world_stats stats;

    /* the world's own thread alone */
    struct block recent[WORLD_RECENT], old[WORLD_OLD];
    size_t old_at;
    uint64_t random, old_budget, old_budget_at_ns;
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

/* world_rpc.c */
struct err *world_open_servers(struct world *w) MUST_CHECK;
void world_close_servers(struct world *w);
