#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lab/faults.h"

/* The bytes of a node's files, with all that the node does wrong on the way, decided anew at each
 * piece: a fault can begin and end in the middle of a file. */
struct feed_node {
    atomic_uint_fast64_t faults[NODE_FAULTS_N];
    atomic_uint_fast64_t bytes;         /* of files, that have left */
    atomic_uint_fast64_t throttle_from; /* bytes when NODE_THROTTLES was set */
    uint64_t next_ns;                   /* NODE_CAP: when more may leave; the sending thread's */
    uint64_t salt;                      /* each liar has lies of its own */
};

struct feed {
    struct feed_node *node;
    int fd;           /* owned by whoever owns the feed */
    uint64_t size_b;  /* as announced */
    uint64_t first_b; /* of the range that was asked for */
    uint64_t next_ns; /* NODE_SLOW */
};

#define FEED_FOREVER UINT64_MAX
#define FEED_FAILED  (-1)
/* The next piece at position pos of what was asked for: its length; 0: not before *ret_until_ns
 * (FEED_FOREVER: until the faults change); FEED_FAILED: the node ends it here. From one thread. */
ssize_t feed_read(struct feed *f, uint64_t pos, char *buf, size_t max, uint64_t now_ns,
                  uint64_t *ret_until_ns);
/* What the node says of the size of a file. */
uint64_t feed_announced(const struct feed_node *n, uint64_t size_b);
