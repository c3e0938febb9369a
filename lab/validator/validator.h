#pragma once

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "lab/node/admin_server.h"
#include "lab/node/agave_log.h"
#include "lab/node/archives.h"
#include "lab/node/bank.h"
#include "lab/node/genesis.h"
#include "lab/node/hello.h"
#include "lab/node/ip_echo.h"
#include "lab/chain/ledger.h"
#include "lab/node/rpc_server.h"
#include "lab/validator/validator_opts.h"
#include "solana/ed25519.h"

/* The stand-in for agave-validator, shared by the validator_*.c files. Threads: receive (TVU to the
 * ledger), repair, replay (which also roots, snapshots and purges), gossip (hello), signals, and
 * the servers' own. */

/* In the order in which Agave binds them. */
enum validator_port {
    PORT_GOSSIP,
    PORT_TVU,
    PORT_TVU_QUIC,
    PORT_TPU,
    PORT_TPU_FORWARDS,
    PORT_TPU_VOTE,
    PORT_ANCESTORS,
    PORT_RETRANSMIT,
    PORT_REPAIR,
    PORT_TPU_QUIC,
    PORT_TPU_FORWARDS_QUIC,
    PORT_TPU_VOTE_QUIC,
    PORT_SERVE_REPAIR,
    PORT_SERVE_REPAIR_QUIC,
    PORT_BROADCAST,
    PORTS_N,
};

enum phase {
    PHASE_INITIALIZING,
    PHASE_SEARCHING,
    PHASE_DOWNLOADING,
    PHASE_CLEANING_BLOCKSTORE,
    PHASE_CLEANING_ACCOUNTS,
    PHASE_LOADING,
    PHASE_PROCESSING,
    PHASE_STARTING_SERVICES,
    PHASE_RUNNING,
};

struct validator {
    struct validator_opts o;
    struct ctx ctx;
    volatile sig_atomic_t cancelled; /* ctx.cancelled points here */
    struct agave_log *log;
    struct ed25519_key key;
    char id[BASE58_32_MAX], vote[BASE58_32_MAX];
    uint64_t start_ns; /* wall clock */
    int lock_fd, exit_fd;
    int fds[PORTS_N];
    uint16_t ports[PORTS_N];
    struct genesis genesis;
    struct ledger *ledger;
    struct rpc_pool *rpc;
    struct admin_server *admin;
    struct ip_echo_server *ip_echo;
    uint64_t full_slot; /* of the newest full archive: base of the next incremental */
    uint64_t last_snapshot;
    pthread_t receive, repair, replay, gossip, signals;
    bool receive_on, repair_on, replay_on, gossip_on, signals_on;
    atomic_ulong completed; /* slots that became full: replay looks again when it changes */

    pthread_mutex_t write_lock; /* one writer of the ledger at a time */

    pthread_mutex_t lock; /* guards what follows */
    enum phase phase;
    uint64_t phase_slot, phase_max;
    char phase_addr[NODE_ADDR_MAX];
    struct hello hello;
    bool hello_known;
    char hello_host[16]; /* of the entrypoint that answered */
    struct banks *banks; /* NULL until a snapshot is loaded */
    uint64_t shred_insert, highest;
    uint64_t tx_count;
};

/* The start of a wait that ends early when the validator shall exit; true: it shall. */
bool validator_rest(struct validator *v, uint64_t wait_ms);
bool validator_exiting(struct validator *v);
void validator_exit(struct validator *v);
void validator_phase(struct validator *v, enum phase phase, uint64_t slot, uint64_t max_slot);
/* The entrypoint's answer; false: none yet. host may be NULL. */
bool validator_hello(struct validator *v, struct hello *ret, char host[static 16]);
uint16_t validator_shred_version(struct validator *v);
/* A slot's length in ns: the world's, or 400 ms. */
uint64_t validator_slot_ns(struct validator *v);

/* validator_boot.c: until the bank is loaded. Errors carry what Agave prints after "Failed to start
 * validator: ". */
struct err *validator_boot(struct validator *v) MUST_CHECK;
/* validator_ports.c */
struct err *validator_bind(struct validator *v) MUST_CHECK;
/* validator_fetch.c: genesis and snapshots from the entrypoint's RPC node. */
struct err *validator_fetch_genesis(struct validator *v) MUST_CHECK;
struct err *validator_fetch_snapshots(struct validator *v) MUST_CHECK;
/* validator_rpc.c */
struct err *validator_open_admin(struct validator *v) MUST_CHECK;
struct err *validator_open_rpc(struct validator *v) MUST_CHECK;
/* validator_receive.c, validator_repair.c, validator_replay.c: thread functions. */
void *validator_receive(void *arg);
void *validator_repair(void *arg);
void *validator_replay(void *arg);
void *validator_gossip(void *arg);
/* Inserts verified shreds; counts, and logs what became full. */
void validator_insert(struct validator *v, const struct shred *shreds, size_t n, bool repaired);
/* Is the packet a shred of this cluster, from its leader? cache: the caller's last good root and
 * signature, so that a set is verified once. */
struct shred_cache {
    uint8_t root[32], signature[64];
    bool some;
};
bool validator_shred_ok(struct validator *v, const uint8_t *packet, size_t n,
                        struct shred_cache *cache, struct shred *ret);
/* Replays one block that follows a replayed one, if there is any. */
bool validator_replay_one(struct validator *v);
