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
    [NODE_TRICKLE] = {"trickle", FAULT_MS, 0, 1000, 60000,
                      "a byte of the answer's head in so long, and never the end of it"},
    [NODE_RANGES] = {"ranges", FAULT_SWITCH, 0, 1, 1,
                     "honours Range, as a proxy or a CDN in front of it does (Agave does not)"},
    [NODE_COLD] = {"cold", FAULT_COUNT, 0, 5, 1000000,
                   "each so many-th range is answered with all of the file, as by a cache that "
                   "does not have it"},
    [NODE_SLOW] = {"slow", FAULT_RATE, 0, 64 << 10, RATE_MAX, "sends each file at this rate"},
    [NODE_CAP] = {"cap", FAULT_RATE, 0, 10 << 20, RATE_MAX,
                  "sends all its files together at this rate"},
    [NODE_THROTTLES] = {"throttles", FAULT_SIZE, 0, 64 << 20, RATE_MAX,
                        "after so much, all its files together go at 0.2 MiB/s"},
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
    [NODE_RECOMPRESSED] = {"recompressed", FAULT_COUNT, 0, 1, 2,
                           "the same snapshots as other bytes: 1 in another order, 2 at another "
                           "level"},
    [NODE_CORRUPT] = {"corrupt", FAULT_SWITCH, 0, 1, 1, "a wrong byte in every KiB of a file"},
    [NODE_LIES] = {"lies", FAULT_SWITCH, 0, 1, 1, "a wrong byte in every MiB of a file"},
    [NODE_LIES_WITHIN] = {"lies-within", FAULT_SWITCH, 0, 1, 1,
                          "the same, but the first 2 MiB and the last one are right"},
    [NODE_SHORT] = {"short", FAULT_SWITCH, 0, 1, 1, "the first half of a file, as if it were all"},
    [NODE_LONG] = {"long", FAULT_SWITCH, 0, 1, 1, "announces more bytes than it has"},
    [NODE_LENGTH] = {"length", FAULT_COUNT, 0, 1, 4,
                     "Content-Length: 1 says 0, 2 says 2^63, 3 a MiB too much, 4 a MiB too little"},
    [NODE_DROPS] = {"drops", FAULT_PERCENT, 0, 50, 100, "closes after so much of a file"},
    [NODE_STALLS] = {"stalls", FAULT_PERCENT, 0, 50, 100, "falls silent after so much of a file"},
    [NODE_VANISHES] = {"vanishes", FAULT_SWITCH, 0, 1, 1,
                       "names a snapshot and has no such file when it is asked for it"},
    [NODE_ELSEWHERE] = {"elsewhere", FAULT_SWITCH, 0, 1, 1,
                        "redirects to another host, which has the file"},
    [NODE_LOOPS] = {"loops", FAULT_SWITCH, 0, 1, 1, "redirects to itself for ever"},
    [NODE_BAD_NAME] = {"bad-name", FAULT_COUNT, 0, 1, 7,
                       "redirects to a name with 1 '..', 2 '/etc', 3 300 characters, 4 a NUL, 5 "
                       "to a file:, 6 to //host, 7 to nothing"},
    [NODE_VERSION_OF] = {"other-version", FAULT_COUNT, 0, 20214, 999999,
                         "says it is Agave 2.2.14 (20214), 4.0.0 (40000), ..."},
    [NODE_SHRED_VERSION_OF] = {"other-shred-version", FAULT_COUNT, 0, 1234, 65535,
                               "is listed with this shred version"},
};

int fault_find(const struct fault_def *table, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(table[i].name, name))
            return (int)i;
    return -1;
}
