/* Repair: what is missing between the root and the highest slot seen is asked for at the
 * entrypoint, with Agave's requests (WindowIndex, HighestWindowIndex, Orphan), and what comes back
 * is inserted. Not done: ancestor hashes, duplicates, choosing among peers. */
#include "lab/validator/validator.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "io/clock.h"
#include "lab/node/repair_proto.h"

#define ROUND_MS     100 /* solana-core 3.0.14 REPAIR_MS */
#define REQUESTS_MAX 512 /* MAX_REPAIR_LENGTH */
#define ORPHANS_MAX  5   /* MAX_ORPHANS */
#define DEFER_MS     250 /* how long turbine may take before repair starts */
#define SLOTS_MAX    64
#define ASKED_N      8192 /* a power of two */
#define AGAIN_MS     300  /* before the same is asked again */

/* What was asked when; a slot of the table is reused by whatever hashes there. */
struct asked {
    uint64_t slot, index, at_ms;
    uint32_t nonce;
    uint8_t kind;
};

struct repairer {
    struct validator *v;
    struct asked asked[ASKED_N];
    struct hello hello;
    struct sockaddr_in peer;
    uint32_t nonce;
    unsigned left; /* requests of this round */
    struct shred_cache cache;
};

static struct asked *place(struct repairer *r, uint64_t slot, uint64_t index, uint8_t kind)
{
    uint64_t h = (slot * 0x9e3779b97f4a7c15u) ^ (index * 0xc2b2ae3d27d4eb4fu) ^ kind;

    return &r->asked[(h ^ h >> 29) & (ASKED_N - 1)];
}

static void ask(struct repairer *r, enum repair_kind kind, uint64_t slot, uint64_t index)
{
    struct asked *a = place(r, slot, index, (uint8_t)kind);
    uint64_t now = clock_system.wall_ms();
    struct repair_request request = {
        .kind = kind, .at_ms = now, .slot = slot, .index = index, .nonce = ++r->nonce};
    uint8_t packet[REPAIR_REQUEST_MAX];

    if (!r->left ||
        (a->slot == slot && a->index == index && a->kind == kind && now - a->at_ms < AGAIN_MS))
        return;
    r->left--;
    *a = (struct asked){slot, index, now, r->nonce, (uint8_t)kind};
    memcpy(request.recipient, r->hello.id, 32);
    (void)!sendto(r->v->fds[PORT_REPAIR], packet, repair_encode(&request, &r->v->key, packet),
                  MSG_DONTWAIT, (struct sockaddr *)&r->peer, sizeof(r->peer)); /* asked again */
}

/* One slot that is there in part. */
static struct err *ask_slot(struct repairer *r, uint64_t slot)
{
    struct ledger_meta meta;
    uint64_t missing[SLOTS_MAX];
    size_t n = 0;

    TRY(ledger_meta(r->v->ledger, slot, &meta));
    if (clock_system.wall_ms() < meta.first_ms + DEFER_MS)
        return NULL;
    TRY(ledger_missing(r->v->ledger, slot, missing, SLOTS_MAX, &n));
    for (size_t i = 0; i < n && i < SLOTS_MAX; i++)
        ask(r, REPAIR_WINDOW_INDEX, slot, missing[i]);
    if (meta.last_index == LEDGER_UNKNOWN)
        ask(r, REPAIR_HIGHEST_WINDOW_INDEX, slot, meta.received);
    return NULL;
}

static struct err *ask_round(struct repairer *r)
{
    uint64_t slots[SLOTS_MAX], root, highest = 0;
    size_t n = 0;

    pthread_mutex_lock(&r->v->lock);
    root = banks_root(r->v->banks)->slot;
    pthread_mutex_unlock(&r->v->lock);
    r->left = REQUESTS_MAX;
    TRY(ledger_highest(r->v->ledger, &highest));
    TRY(ledger_orphans(r->v->ledger, slots, ORPHANS_MAX, &n));
    for (size_t i = 0; i < n && i < ORPHANS_MAX; i++)
        if (slots[i] > root)
            ask(r, REPAIR_ORPHAN, slots[i], 0);
    TRY(ledger_incomplete(r->v->ledger, root + 1, highest, slots, SLOTS_MAX, &n));
    for (size_t i = 0; i < n && i < SLOTS_MAX; i++)
        TRY(ask_slot(r, slots[i]));
    return NULL;
}

/* Did we ask for it? Agave checks the nonce against the outstanding request and its shred. */
static bool wanted(struct repairer *r, const struct shred *s, uint32_t nonce)
{
    const struct asked *a = place(r, s->slot, s->index, REPAIR_WINDOW_INDEX);

    if (a->nonce == nonce && a->slot == s->slot && a->index == s->index)
        return true;
    for (size_t i = 0; i < ASKED_N; i++) {
        a = &r->asked[i];
        if (a->nonce == nonce && a->kind == REPAIR_ORPHAN)
            return s->slot <= a->slot;
        if (a->nonce == nonce && a->kind == REPAIR_HIGHEST_WINDOW_INDEX)
            return s->slot == a->slot && s->index >= a->index;
    }
    return false;
}

static void take_answers(struct repairer *r)
{
    uint8_t packets[SLOTS_MAX][SHRED_PACKET_B];
    struct shred shreds[SLOTS_MAX];
    size_t good = 0;

    for (size_t i = 0; i < SLOTS_MAX; i++) {
        uint32_t nonce;
        ssize_t n = recv(r->v->fds[PORT_REPAIR], packets[good], SHRED_PACKET_B, MSG_DONTWAIT);

        if (n < 0)
            break;
        good += validator_shred_ok(r->v, packets[good], (size_t)n, &r->cache, &shreds[good]) &&
                shred_nonce(&shreds[good], (size_t)n, &nonce) && wanted(r, &shreds[good], nonce);
    }
    validator_insert(r->v, shreds, good, true);
}

/* Where to ask; false: the entrypoint has not answered yet. */
static bool find_peer(struct repairer *r)
{
    char host[16];

    if (!validator_hello(r->v, &r->hello, host))
        return false;
    r->peer = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(r->hello.repair_port)};
    return inet_pton(AF_INET, host, &r->peer.sin_addr) == 1;
}

void *validator_repair(void *arg)
{
    struct validator *v = arg;
    AUTO(freep) struct repairer *r = xcalloc(1, sizeof(*r));
    struct pollfd fds[] = {{.fd = v->fds[PORT_REPAIR], .events = POLLIN},
                           {.fd = v->exit_fd, .events = POLLIN}};
    uint64_t next_ns = 0;

    r->v = v;
    while (poll(fds, 2, ROUND_MS / 2) >= 0 && !fds[1].revents) {
        if (fds[0].revents)
            take_answers(r);
        if (clock_system.mono_ns() < next_ns || !find_peer(r))
            continue;
        next_ns = clock_system.mono_ns() + ROUND_MS * 1000000ull;
        err_free(ask_round(r)); /* an empty ledger, or a slot purged meanwhile: the next round */
    }
    return NULL;
}
