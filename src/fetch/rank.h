#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fetch/find.h"

/* How long is it to the tip with this snapshot? What counts is not how old it is now but where the
 * validator stands when it has been fetched, unpacked and replayed. All of it is pure. */
struct rank_rates {
    double unpack_b_s;     /* bytes of archives; 0: nothing is known, taken as no time */
    double replay_slots_s; /* of this host */
    double cluster_slots_s;
};
#define RANK_UNPACK_B_S      (900.0 * 1048576) /* 16 cores or more, zstd */
#define RANK_REPLAY_SLOTS_S  5.0
#define RANK_CLUSTER_SLOTS_S 2.5 /* a slot is 400 ms */

/* A way: a full archive, and perhaps an incremental that builds on it. */
struct rank_way {
    uint64_t full_b, incr_b; /* to be fetched; 0: it is here, or there is none */
    uint64_t unpack_b;       /* of all archives that will be unpacked */
    double rate_b_s;
    uint64_t slot; /* the resulting one */
    bool incremental;
    uint64_t next_full; /* slot at which the full archive has a successor; 0: unknown */
};
struct rank_time {
    double transfer_s, unpack_s;
    double replay_s;  /* < 0: never, the cluster is faster */
    uint64_t age_end; /* how far behind the tip it is when it is here */
    uint64_t gap;     /* and when it is unpacked */
    /* The full archive takes longer than its successor needs to appear: an incremental for it can
     * no longer be had then. */
    bool superseded;
    double minutes; /* in all; < 0: never */
};
/* tip: now. A rate of 0 or less is an error of the caller (minutes < 0). An incremental is fetched
 * last and looked for again before that, so that it ages only while it is fetched itself, as long
 * as the full archive has no successor. */
struct rank_time rank_time(const struct rank_way *w, uint64_t tip, const struct rank_rates *r);

/* Is a better than b? Soonest at the tip first; of those that never get there the smallest gap
 * first; then fewer bytes. */
int rank_compare(const struct rank_time *a, uint64_t a_bytes, const struct rank_time *b,
                 uint64_t b_bytes);

/* How many slots lie between two full snapshots of a node, guessed from those that are offered (the
 * least distance between two of them that at least two nodes have each); 100,000, which is Agave's
 * default, where nothing can be seen. */
#define RANK_FULL_INTERVAL 100000
uint64_t rank_full_interval(const struct fetch_found *f);
