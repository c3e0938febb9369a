#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What can be made to fail in the lab's world: the one table of names, for the world's control
 * socket and for 'agavectl lab fault' alike. Each is one number. */
enum fault_unit {
    FAULT_SWITCH,
    FAULT_PERCENT,
    FAULT_SLOTS,
    FAULT_MS,
    FAULT_RATE,
    FAULT_SIZE,
    FAULT_COUNT
};

struct fault_def {
    const char *name;
    enum fault_unit unit;
    uint64_t normal; /* nothing fails; a world's own settings may differ (struct world_opts) */
    uint64_t on;     /* what the bare name means */
    uint64_t max;
    const char *help;
};

/* Of the world as a whole. */
enum world_fault {
    WORLD_TURBINE,
    WORLD_SHRED_LOSS,
    WORLD_SET_LOSS,
    WORLD_SLOT_LOSS,
    WORLD_SLOT_BURST,
    WORLD_REPAIR,
    WORLD_REPAIR_RECENT,
    WORLD_REPAIR_OLD,
    WORLD_RPC,
    WORLD_ENTRYPOINT,
    WORLD_FAULTS_N,
};
/* Of one RPC node. */
enum node_fault {
    NODE_DEAD,
    NODE_SILENT,
    NODE_NOT_HTTP,
    NODE_TRICKLE,
    NODE_RANGES,
    NODE_COLD,
    NODE_SLOW,
    NODE_CAP,
    NODE_THROTTLES,
    NODE_LATE,
    NODE_STALE,
    NODE_AHEAD,
    NODE_NEWER,
    NODE_NO_ANSWER,
    NODE_HTML,
    NODE_ERROR,
    NODE_NO_SNAPSHOTS,
    NODE_WRONG_HASH,
    NODE_RECOMPRESSED,
    NODE_CORRUPT,
    NODE_LIES,
    NODE_LIES_WITHIN,
    NODE_SHORT,
    NODE_LONG,
    NODE_LENGTH,
    NODE_DROPS,
    NODE_STALLS,
    NODE_VANISHES,
    NODE_ELSEWHERE,
    NODE_LOOPS,
    NODE_BAD_NAME,
    NODE_VERSION_OF,
    NODE_SHRED_VERSION_OF,
    NODE_FAULTS_N,
};
extern const struct fault_def world_faults[WORLD_FAULTS_N];
extern const struct fault_def node_faults[NODE_FAULTS_N];

/* Index in one of the tables, or -1. */
int fault_find(const struct fault_def *table, size_t n, const char *name);
