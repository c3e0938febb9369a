/* From the TVU port to the ledger: receive in batches, check as Agave's sigverify does (form,
 * version, slot, Merkle root, leader's signature), insert. Gossip's place is here as well: asking
 * an entrypoint for what real gossip would tell. */
#include "lab/validator/validator.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "solana/merkle.h"

#define BATCH           64
#define MAX_SLOTS_AHEAD (2u * NODE_SLOTS_IN_EPOCH)
#define HELLO_EVERY_MS  1000

bool validator_shred_ok(struct validator *v, const uint8_t *packet, size_t n,
                        struct shred_cache *cache, struct shred *ret)
{
    struct hello hello;
    uint8_t root[MERKLE_ROOT_B];
    uint64_t top;
    char host[16];

    if (shred_parse(packet, n, ret) != SHRED_OK || !ret->chained ||
        ret->version != validator_shred_version(v) || !merkle_root(ret, root))
        return false;
    pthread_mutex_lock(&v->lock);
    top = v->highest > banks_root(v->banks)->slot ? v->highest : banks_root(v->banks)->slot;
    pthread_mutex_unlock(&v->lock);
    if (ret->slot > top + MAX_SLOTS_AHEAD)
        return false;
    if (cache->some && memcmp(cache->root, root, sizeof(root)) == 0 &&
        memcmp(cache->signature, ret->signature, 64) == 0)
        return true;
    if (!validator_hello(v, &hello, host) || !merkle_verify(ret, hello.leader))
        return false;
    memcpy(cache->root, root, sizeof(root));
    memcpy(cache->signature, ret->signature, 64);
    cache->some = true;
    return true;
}

void validator_insert(struct validator *v, const struct shred *shreds, size_t n, bool repaired)
{
    struct ledger_result r = {0};
    AUTO(err_freep) struct err *e = NULL;
    uint64_t top = 0;

    if (!n)
        return;
    for (size_t i = 0; i < n; i++)
        top = shreds[i].slot > top ? shreds[i].slot : top;
    pthread_mutex_lock(&v->write_lock);
    e = ledger_insert(v->ledger, shreds, n, &r);
    pthread_mutex_unlock(&v->write_lock);
    if (e) {
        agave_log_error(v->log, "solana_core::window_service", "blockstore error: %s", e->text);
        return;
    }
    pthread_mutex_lock(&v->lock);
    v->highest = top > v->highest ? top : v->highest;
    v->shred_insert = top > v->shred_insert ? top : v->shred_insert;
    pthread_mutex_unlock(&v->lock);
    atomic_fetch_add(&v->completed, r.completed);
    if (r.completed)
        agave_log_point(v->log,
                        "shred_insert_is_full slot=%llui total_time_ms=0i last_index=0i "
                        "num_repaired=%zui num_recovered=%zui",
                        (unsigned long long)r.highest_completed, repaired ? r.inserted : 0,
                        r.recovered);
}

struct batch {
    uint8_t packets[BATCH][SHRED_PACKET_B];
    struct mmsghdr headers[BATCH];
    struct iovec parts[BATCH];
    struct shred shreds[BATCH];
    struct shred_cache cache;
};

static void receive_batch(struct validator *v, struct batch *b)
{
    size_t good = 0;
    int n;

    for (size_t i = 0; i < BATCH; i++) {
        b->parts[i] = (struct iovec){.iov_base = b->packets[i], .iov_len = SHRED_PACKET_B};
        b->headers[i].msg_hdr = (struct msghdr){.msg_iov = &b->parts[i], .msg_iovlen = 1};
    }
    n = recvmmsg(v->fds[PORT_TVU], b->headers, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++)
        good += validator_shred_ok(v, b->packets[i], b->headers[i].msg_len, &b->cache,
                                   &b->shreds[good]);
    validator_insert(v, b->shreds, good, false);
}

void *validator_receive(void *arg)
{
    struct validator *v = arg;
    AUTO(freep) struct batch *b = xcalloc(1, sizeof(*b));
    struct pollfd fds[] = {{.fd = v->fds[PORT_TVU], .events = POLLIN},
                           {.fd = v->exit_fd, .events = POLLIN}};

    while (poll(fds, 2, -1) >= 0 && !fds[1].revents)
        receive_batch(v, b);
    return NULL;
}

/* Asks each entrypoint until one has answered, and now and then whether it has changed. */
void *validator_gossip(void *arg)
{
    struct validator *v = arg;

    for (size_t i = 0; v->o.entrypoints.n; i = (i + 1) % v->o.entrypoints.n) {
        const char *entry = v->o.entrypoints.items[i], *colon = strrchr(entry, ':');
        struct hello hello;
        char host[16] = "";
        uint64_t port = 0;
        AUTO(err_freep) struct err *e = colon ? parse_u64(colon + 1, 1, UINT16_MAX, &port) : NULL;

        if (colon && (size_t)(colon - entry) < sizeof(host))
            memcpy(host, entry, (size_t)(colon - entry));
        if (!e && port && hello_ask(host, (uint16_t)port, 500, &hello)) {
            pthread_mutex_lock(&v->lock);
            v->hello = hello;
            v->hello_known = true;
            memcpy(v->hello_host, host, sizeof(host));
            pthread_mutex_unlock(&v->lock);
        }
        if (validator_rest(v, HELLO_EVERY_MS))
            return NULL;
    }
    return NULL;
}
