/* The names of the world's faults, what each does, and between which numbers. */
#include "lab/faults.h"

#include "base/str.h"

#define RATE_MAX ((uint64_t)1 << 40)

const struct fault_def world_faults[WORLD_FAULTS_N] = {
    [WORLD_TURBINE] = {"turbine", FAULT_SWITCH, 1, 0, 1, "the leader's shreds are sent"},
    [WORLD_SHRED_LOSS] = {"shred-loss", FAULT_PERCENT, 0, 44, 100,
                          "shreds lost here and there; below a half erasure coding heals them"},
    [WORLD_SET_LOSS] = {"set-loss", FAULT_PERCENT, 0, 20, 100, "whole FEC sets lost"},
    [WORLD_SLOT_LOSS] = {"slot-loss", FAULT_PERCENT, 0, 20, 100, "whole slots lost"},
    [WORLD_SLOT_BURST] = {"slot-burst", FAULT_SLOTS, 1, 4, 10000,
                          "so many slots in a row are lost together"},
    [WORLD_REPAIR] = {"repair", FAULT_SWITCH, 1, 0, 1, "repair requests are answered"},
    [WORLD_REPAIR_RECENT] = {"repair-recent", FAULT_SLOTS, 1000, 100, UINT32_MAX,
                             "slots below the tip that repair serves at once"},
    [WORLD_REPAIR_OLD] = {"repair-old", FAULT_COUNT, 100, 0, 1000000,
                          "shreds a second that repair serves of older slots; 0 refuses them"},
    [WORLD_RPC] = {"rpc", FAULT_SWITCH, 1, 0, 1, "the RPC nodes' ports are open"},
    [WORLD_ENTRYPOINT] = {"entrypoint", FAULT_SWITCH, 1, 0, 1, "the entrypoint answers"},
};

const struct fault_def node_faults[NODE_FAULTS_N] = {
    [NODE_DEAD] = {"dead", FAULT_SWITCH, 0, 1, 1, "its port is closed, its connections are reset"},
    [NODE_SILENT] = {"silent", FAULT_SWITCH, 0, 1, 1, "connections to it are never answered"},
    [NODE_NOT_HTTP] = {"not-http", FAULT_SWITCH, 0, 1, 1, "something else than HTTP on its port"},
    [NODE_SLOW] = {"slow", FAULT_RATE, 0, 64 << 10, RATE_MAX, "sends files at this rate"},
    [NODE_LATE] = {"late", FAULT_MS, 0, 800, 3600000, "waits so long before each answer"},
    [NODE_STALE] = {"stale", FAULT_SLOTS, 0, 30000, (uint64_t)1 << 40,
                    "stands still so many slots back, old snapshots, getHealth says ok"},
    [NODE_AHEAD] = {"ahead", FAULT_SLOTS, 0, 100000, (uint64_t)1 << 39,
                    "claims slots that do not exist yet"},
    [NODE_NEWER] = {"newer", FAULT_SWITCH, 0, 1, 1,
                    "offers a snapshot newer than anybody's, which is not what its name says"},
    [NODE_NO_ANSWER] = {"no-answer", FAULT_SWITCH, 0, 1, 1, "accepts JSON-RPC calls and is silent"},
    [NODE_HTML] = {"html", FAULT_SWITCH, 0, 1, 1, "a page of HTML for every JSON-RPC call"},
    [NODE_ERROR] = {"error", FAULT_SWITCH, 0, 1, 1, "status 500 for everything"},
    [NODE_NO_SNAPSHOTS] = {"no-snapshots", FAULT_SWITCH, 0, 1, 1, "serves no snapshots"},
    [NODE_WRONG_HASH] = {"wrong-hash", FAULT_SWITCH, 0, 1, 1,
                         "the right names with other snapshots behind them"},
    [NODE_CORRUPT] = {"corrupt", FAULT_SWITCH, 0, 1, 1, "a wrong byte in every KiB of a file"},
    [NODE_SHORT] = {"short", FAULT_SWITCH, 0, 1, 1, "the first half of a file, as if it were all"},
    [NODE_LONG] = {"long", FAULT_SWITCH, 0, 1, 1, "announces more bytes than it has"},
    [NODE_DROPS] = {"drops", FAULT_PERCENT, 0, 50, 100, "closes after so much of a file"},
    [NODE_STALLS] = {"stalls", FAULT_PERCENT, 0, 50, 100, "falls silent after so much of a file"},
};

int fault_find(const struct fault_def *table, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(table[i].name, name))
            return (int)i;
    return -1;
}
