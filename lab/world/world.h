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
#define WORLD_NODES_MAX 2560
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
    bool spread;      /* the further nodes' addresses are of many networks; needs a route to lo */
    uint64_t faults[WORLD_FAULTS_N]; /* at the start, and again after a heal */
};
void world_opts_clear(struct world_opts *o);

/* Copies of the good archives under the same names, made while a node serves them. */
enum mirror {
    MIRROR_WRONG, /* other snapshots */
    MIRROR_ORDER, /* the same ones as other bytes */
    MIRROR_LEVEL,
    MIRRORS_N,
};

/* One RPC node. */
struct world_node {
    struct world *world;
    struct rpc_server *server;
    char id[BASE58_32_MAX], host[16];
    uint16_t port;
    uint64_t faults[NODE_FAULTS_N];
    const char *archives; /* its own folder while it is stale or newer, of world.folders */
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
    char *snapshots, *mirrors[MIRRORS_N]; /* folders */

    pthread_mutex_t files_lock; /* one writer of archives; guards what follows */
    uint64_t last_full, last_snapshot;
    struct {
        uint64_t slot, size_b;
    } big[2]; /* the full and the incremental one of world_make_big */

    pthread_mutex_t lock; /* guards what follows */
    struct chain *chain;
    struct block_link *links; /* by slot % WORLD_WINDOW */
    uint64_t faults[WORLD_FAULTS_N];
    struct world_node *nodes[WORLD_NODES_MAX];
    size_t nodes_n;
    struct strlist folders;        /* of stale nodes; names stay until the world ends */
    bool mirror_wanted[MIRRORS_N]; /* some node serves it */
    struct strbuf list;            /* the answer of getClusterNodes; empty: to be made */
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
/* A JSON list of nodes first to last. */
void world_list_nodes(struct world *w, size_t first, size_t last, struct strbuf *out);
void world_close_nodes(struct world *w);

/* world_archives.c */
/* The folders, and nothing in them. */
struct err *world_make_dirs(struct world *w) MUST_CHECK;
/* A snapshot of the finalized slot whenever it passes a multiple of an interval, and the mirrors.
 * Nothing while another thread writes one: the next slot comes soon. */
struct err *world_snapshot_if_due(struct world *w) MUST_CHECK;
/* The very first one, a full one. */
struct err *world_first_snapshot(struct world *w, uint64_t slot) MUST_CHECK;
/* A full archive of about full_b bytes and an incremental one (0: none) on top, of finalized slots
 * that have none yet; from then on the newest. They are as valid as the small ones. Takes a second
 * or two for each GiB. ERR_BADINPUT: no such slots yet. */
struct err *world_make_big(struct world *w, uint64_t full_b, uint64_t incremental_b) MUST_CHECK;
/* Some node serves this mirror from now on. */
struct err *world_want_mirror(struct world *w, enum mirror m) MUST_CHECK;
/* A folder of the node's own, with one archive: the snapshot that it had slots ago (and at which
 * slot it stands), or one ahead of everybody that is not what its name says. */
struct err *world_make_stale(struct world *w, struct world_node *n, uint64_t slots,
                             uint64_t *ret_stands_at) MUST_CHECK;
struct err *world_make_newer(struct world *w, struct world_node *n) MUST_CHECK;

/* world_control.c */
struct err *world_open_control(struct world *w) MUST_CHECK;
