#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base58.h"

#define NODE_ADDR_MAX    24 /* "255.255.255.255:65535" */
#define NODE_VERSION_MAX 16

/* One member of getClusterNodes; an address "" is null. The sockets follow Agave's order. */
struct node_peer {
    char id[BASE58_32_MAX];
    char gossip[NODE_ADDR_MAX], tvu[NODE_ADDR_MAX], tpu[NODE_ADDR_MAX], tpu_forwards[NODE_ADDR_MAX];
    char tpu_vote[NODE_ADDR_MAX], tpu_quic[NODE_ADDR_MAX], tpu_forwards_quic[NODE_ADDR_MAX];
    char serve_repair[NODE_ADDR_MAX], rpc[NODE_ADDR_MAX], pubsub[NODE_ADDR_MAX];
    char version[NODE_VERSION_MAX]; /* "": NODE_VERSION */
    uint16_t shred_version;         /* 0: that of the node that is asked */
};

enum node_health { NODE_HEALTH_OK, NODE_HEALTH_BEHIND, NODE_HEALTH_UNKNOWN };
enum node_level { NODE_PROCESSED, NODE_CONFIRMED, NODE_FINALIZED };

/* What a node says about itself at one moment; copied out under the owner's lock. */
struct node_state {
    enum node_health health;
    uint64_t behind;             /* with NODE_HEALTH_BEHIND */
    uint64_t slot[3], height[3]; /* by enum node_level */
    uint64_t root;               /* of the vote account: 32 below its last vote */
    uint64_t tx_count, shred_insert, retransmit, min_slot, first_block;
    uint64_t genesis_s; /* wall time of slot 0 */
    uint32_t slot_ms;
    uint16_t shred_version;
    char id[BASE58_32_MAX], leader[BASE58_32_MAX], vote[BASE58_32_MAX];
    char genesis_hash[BASE58_32_MAX], blockhash[BASE58_32_MAX];
    char version[NODE_VERSION_MAX]; /* "": NODE_VERSION */
};

#define NODE_SLOTS_IN_EPOCH 432000u
#define NODE_FEATURE_SET    3604001754u
#define NODE_VERSION        "3.0.14"
