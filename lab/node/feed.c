/* Pieces of a file at the node's pace, and the bytes in it that are not the file's. It knows no
 * connection: rpc_server.c waits and sends. */
#include "lab/node/feed.h"

#include <unistd.h>

#define MIB            ((uint64_t)1 << 20)
#define THROTTLED_B_S  (MIB / 5)
#define AHEAD_NS       10000000u /* a pace is kept in pieces of 10 ms */
#define MAKE_UP_NS     30000000u /* and what a busy machine held up is made up for */
#define PIECES_IN_S    20
#define LIE_RIGHT_HEAD (2 * MIB)

static uint64_t fault(const struct feed_node *n, enum node_fault f)
{
    return atomic_load(&n->faults[f]);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t feed_announced(const struct feed_node *n, uint64_t size_b)
{
    switch (fault(n, NODE_LENGTH)) {
    case 1:
        return 0;
    case 2:
        return (uint64_t)1 << 63;
    case 3:
        return size_b + MIB;
    case 4:
        return size_b > MIB ? size_b - MIB : size_b / 2;
    default:
        break;
    }
    if (fault(n, NODE_SHORT))
        return size_b / 2;
    return fault(n, NODE_LONG) ? size_b + size_b / 2 : size_b;
}

/* How far a file may go before the fault strikes; its whole size without it. */
static uint64_t limit_of(const struct feed *f, enum node_fault kind)
{
    uint64_t percent = fault(f->node, kind);

    return percent ? f->size_b / 100 * percent : f->size_b;
}

/* Of all files of the node together. */
static uint64_t rate_of_node(const struct feed_node *n)
{
    uint64_t cap = fault(n, NODE_CAP), throttles = fault(n, NODE_THROTTLES);

    if (!throttles || atomic_load(&n->bytes) - atomic_load(&n->throttle_from) < throttles)
        return cap;
    return cap ? least(cap, THROTTLED_B_S) : THROTTLED_B_S;
}

/* May something leave now, and how much? */
static bool pace_allows(uint64_t rate, uint64_t next_ns, uint64_t now_ns, size_t *max,
                        uint64_t *ret_until_ns)
{
    if (!rate)
        return true;
    if (next_ns > now_ns + AHEAD_NS) {
        *ret_until_ns = next_ns;
        return false;
    }
    *max = (size_t)least(*max, rate / PIECES_IN_S + 1);
    return true;
}

static uint64_t pace_next(uint64_t rate, uint64_t next_ns, uint64_t now_ns, size_t n)
{
    if (!rate)
        return 0;
    if (next_ns + MAKE_UP_NS < now_ns)
        next_ns = next_ns ? now_ns - MAKE_UP_NS : now_ns;
    return next_ns + n * 1000000000 / rate;
}

static void flip_every(char *buf, size_t n, uint64_t pos, uint64_t every, uint64_t at)
{
    for (uint64_t i = (at + every - pos % every) % every; i < n; i += every)
        buf[i] = (char)~buf[i];
}

/* The bytes of [pos, pos + n) that lie between from and to are lied about. */
static void lie(const struct feed *f, char *buf, size_t n, uint64_t pos, uint64_t from, uint64_t to)
{
    uint64_t first = pos > from ? pos : from, end = least(pos + n, to);

    if (first < end)
        flip_every(buf + (first - pos), (size_t)(end - first), first, MIB, f->node->salt % MIB);
}

static void spoil(const struct feed *f, char *buf, size_t n, uint64_t pos)
{
    if (fault(f->node, NODE_CORRUPT))
        flip_every(buf, n, pos, 1024, 512);
    if (fault(f->node, NODE_LIES))
        lie(f, buf, n, pos, 0, f->size_b);
    if (fault(f->node, NODE_LIES_WITHIN) && f->size_b > MIB)
        lie(f, buf, n, pos, LIE_RIGHT_HEAD, f->size_b - MIB);
}

ssize_t feed_read(struct feed *f, uint64_t pos, char *buf, size_t max, uint64_t now_ns,
                  uint64_t *ret_until_ns)
{
    uint64_t slow = fault(f->node, NODE_SLOW), cap = rate_of_node(f->node);
    uint64_t drop_at = limit_of(f, NODE_DROPS), stall_at = limit_of(f, NODE_STALLS);
    ssize_t n;

    pos += f->first_b;
    if (pos >= drop_at)
        return FEED_FAILED;
    if (pos >= stall_at) {
        *ret_until_ns = FEED_FOREVER;
        return 0;
    }
    if (!pace_allows(slow, f->next_ns, now_ns, &max, ret_until_ns) ||
        !pace_allows(cap, f->node->next_ns, now_ns, &max, ret_until_ns))
        return 0;
    max = (size_t)least(max, least(drop_at, stall_at) - pos);
    n = pread(f->fd, buf, max, (off_t)pos);
    if (n <= 0)
        return FEED_FAILED; /* more was announced than there is */
    spoil(f, buf, (size_t)n, pos);
    f->next_ns = pace_next(slow, f->next_ns, now_ns, (size_t)n);
    f->node->next_ns = pace_next(cap, f->node->next_ns, now_ns, (size_t)n);
    atomic_fetch_add(&f->node->bytes, (uint64_t)n);
    return n;
}
