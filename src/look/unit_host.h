#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/json.h"
#include "base/known.h"
#include "host/cgroup.h"
#include "host/kmsg.h"
#include "host/memory.h"
#include "host/netstat.h"
#include "look/rates.h"

/* What the host's kernel knows of a validator that runs: its memory and what bounds it, who was
 * killed for memory, the UDP of its network namespace. Each part has an error of its own, NULL:
 * looked at. */
enum tvu_source {
    TVU_UNKNOWN,
    TVU_CONTACT, /* the validator said it over its admin socket */
    TVU_RANGE,   /* the first port of the dynamic range: where Agave 3.0.14 begins to look */
};
struct unit_memory {
    struct known_u64 resident_b; /* of all its processes */
    bool counted;                /* by a cgroup */
    struct cgroup_memory cgroup; /* counted */
    struct host_memory host;
    /* The bound: the lowest limit of its cgroups, or all memory of the host. held_b is what counts
     * against it and cannot be dropped; page cache of files can, so a full cgroup alone is normal.
     */
    bool host_is_limit;
    struct known_u64 limit_b, held_b;
    struct rate trend;           /* bytes/s of held_b */
    struct known_u64 limit_in_s; /* at that rate; not known: it does not grow */
    char *error;
};
struct unit_oom {
    bool known;
    struct oom_kills kills; /* of all of the host */
    char *error;
};
struct unit_udp {
    bool known;
    struct udp_counters counters;
    struct rate rate; /* datagrams, errors, of those with a full buffer */
    char *error;
    struct known_u64 tvu_port;
    enum tvu_source tvu_from;
    bool tvu_known; /* a socket is bound to it */
    struct udp_port tvu;
    struct rate tvu_rate; /* drops */
    char *tvu_error;
};
struct unit_host {
    bool looked;
    pid_t pid; /* the main process; 0: none is known, and only the kills were looked at: a validator
                  that was killed for memory does not run any more */
    bool other_netns;
    struct unit_memory memory;
    struct unit_oom oom;
    struct unit_udp udp;
};

/* Borrowed for the call. */
struct unit_host_params {
    const pid_t *pids; /* the main one first */
    size_t n_pids;
    struct known_u64 tvu_port;
    enum tvu_source tvu_from;
    struct rates_book *book;
};
/* Never fails, and does not wait for anything. ret: {0}, to be cleared. */
void unit_host_look(struct ctx *ctx, const struct unit_host_params *p, struct unit_host *ret);
void unit_host_clear(struct unit_host *u);

/* Is it a kill that the operator of this validator wants to know of: one of its own, or one because
 * the host was out of memory? Not a neighbour that met a limit of its own. */
bool unit_host_concerns(const struct unit_host *u, const struct oom_kill *k);
/* "agave-validator" or its cgroup. */
bool unit_host_own_kill(const struct unit_host *u, const struct oom_kill *k);

/* Members of the status document; owned by the caller, NULL when nothing was looked at. */
struct json *unit_memory_json(const struct unit_host *u);
struct json *unit_oom_json(const struct unit_host *u);
struct json *unit_udp_json(const struct unit_host *u);
