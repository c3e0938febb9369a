/* What the world puts on the wire: turbine with its losses, answers to repair requests (at once
 * for recent slots, a few a second for old ones), and the lab's hello. */
#include "lab/world/world.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "io/clock.h"
#include "lab/node/hello.h"
#include "lab/node/repair_proto.h"
#include "lab/world/loss.h"

#define REQUESTS_AT_ONCE 64

static struct loss loss_now(struct world *w)
{
    struct loss l = {.seed = w->o.seed};

    pthread_mutex_lock(&w->lock);
    l.shreds = w->faults[WORLD_TURBINE] ? (uint32_t)w->faults[WORLD_SHRED_LOSS] : 100;
    l.sets = (uint32_t)w->faults[WORLD_SET_LOSS];
    l.slots = (uint32_t)w->faults[WORLD_SLOT_LOSS];
    l.burst = (uint32_t)w->faults[WORLD_SLOT_BURST];
    pthread_mutex_unlock(&w->lock);
    return l;
}

static void send_shred(struct world *w, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < w->o.tvu_n; i++) /* lost or refused: turbine knows no retry */
        (void)!sendto(w->turbine_fd, bytes, n, MSG_DONTWAIT, (struct sockaddr *)&w->o.tvus[i],
                      sizeof(w->o.tvus[i]));
}

void world_send_set(struct world *w, const struct block *b, size_t set)
{
    struct loss l = loss_now(w);
    unsigned lost = 0;

    for (unsigned i = 0; i < LOSS_SET_SHREDS; i++) {
        if (loss_hits(&l, b->slot, set, i))
            lost++;
        else if (i < SHRED_SET_DATA)
            send_shred(w, b->sets[set].data[i], SHRED_DATA_B);
        else
            send_shred(w, b->sets[set].code[i - SHRED_SET_DATA], SHRED_CODE_B);
    }
    pthread_mutex_lock(&w->lock);
    w->stats.shreds_sent += LOSS_SET_SHREDS - lost;
    w->stats.shreds_lost += lost;
    if (set + 1 == b->n) {
        w->stats.slots_sent++;
        w->stats.slots_whole += loss_leaves_whole(&l, b->slot, b->n);
    }
    pthread_mutex_unlock(&w->lock);
}

/* May this slot be served now? Old ones share a small budget, as a busy peer's would. */
static bool affordable(struct world *w, uint64_t slot)
{
    uint64_t now = clock_system.mono_ns(), tip = chain_last(w->chain), earned;
    uint64_t per_s = world_fault(w, WORLD_REPAIR_OLD);

    if (slot + world_fault(w, WORLD_REPAIR_RECENT) >= tip)
        return true;
    earned = (now - w->old_budget_at_ns) * per_s / 1000000000;
    if (earned) {
        w->old_budget += earned;
        w->old_budget_at_ns = now;
    }
    if (w->old_budget > per_s)
        w->old_budget = per_s;
    if (!w->old_budget)
        return false;
    w->old_budget--;
    return true;
}

static bool send_answer(struct world *w, const struct block *b, uint32_t index, uint32_t nonce,
                        const struct sockaddr_in *to)
{
    const uint8_t *bytes = b ? block_shred(b, SHRED_DATA, index) : NULL;
    uint8_t packet[SHRED_DATA_B + SHRED_NONCE_B];

    if (!bytes)
        return false;
    memcpy(packet, bytes, SHRED_DATA_B);
    put_le32(packet + SHRED_DATA_B, nonce);
    (void)!sendto(w->repair_fd, packet, sizeof(packet), MSG_DONTWAIT, (const struct sockaddr *)to,
                  sizeof(*to)); /* lost: the asker asks again */
    return true;
}

/* Shreds that answer r, as Agave's standard_repair_handler gives them: the one asked for, the
 * slot's last, or the last of the slot and of up to ten ancestors. Returns how many were sent. */
static size_t answer(struct world *w, const struct repair_request *r, const struct sockaddr_in *to)
{
    const struct block *b = r->slot <= chain_last(w->chain) ? world_block(w, r->slot) : NULL;
    size_t sent = 0;

    if (!b)
        return 0;
    if (r->kind == REPAIR_WINDOW_INDEX)
        return r->index < SHRED_INDEX_MAX && send_answer(w, b, (uint32_t)r->index, r->nonce, to);
    if (r->kind == REPAIR_HIGHEST_WINDOW_INDEX)
        return r->index < b->n * SHRED_SET_DATA &&
               send_answer(w, b, (uint32_t)(b->n * SHRED_SET_DATA - 1), r->nonce, to);
    for (; b && sent < REPAIR_ORPHAN_MAX; sent++) {
        send_answer(w, b, (uint32_t)(b->n * SHRED_SET_DATA - 1), r->nonce, to);
        b = world_block(w, b->parent);
    }
    return sent;
}

static void answer_one(struct world *w, const uint8_t *packet, size_t n,
                       const struct sockaddr_in *from)
{
    struct repair_request r;
    bool good = repair_decode(packet, n, w->shredder.leader.public, clock_system.wall_ms(), &r) ==
                REPAIR_OK;
    bool refused = !good || !affordable(w, r.slot);
    size_t sent = refused ? 0 : answer(w, &r, from);

    pthread_mutex_lock(&w->lock);
    w->stats.repair_asked++;
    w->stats.repair_refused += refused;
    w->stats.repair_answered += sent;
    pthread_mutex_unlock(&w->lock);
}

void world_answer_repair(struct world *w)
{
    bool on = world_fault(w, WORLD_REPAIR);

    for (int i = 0; i < REQUESTS_AT_ONCE; i++) {
        uint8_t packet[SHRED_PACKET_B];
        struct sockaddr_in from;
        socklen_t len = sizeof(from);
        ssize_t n = recvfrom(w->repair_fd, packet, sizeof(packet), MSG_DONTWAIT,
                             (struct sockaddr *)&from, &len);

        if (n < 0)
            return;
        if (on)
            answer_one(w, packet, (size_t)n, &from);
    }
}

void world_answer_hello(struct world *w)
{
    uint8_t packet[SHRED_PACKET_B], reply[HELLO_B];
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    ssize_t n = recvfrom(w->gossip_fd, packet, sizeof(packet), MSG_DONTWAIT,
                         (struct sockaddr *)&from, &len);
    struct hello h = {.shred_version = w->genesis.shred_version,
                      .repair_port = w->o.repair_port,
                      .rpc_port = w->o.rpc_ports[0],
                      .slot_us = (uint32_t)(w->slot_ns / 1000)};

    if (n != (ssize_t)strlen(HELLO_ASK) || memcmp(packet, HELLO_ASK, (size_t)n) != 0 ||
        !world_fault(w, WORLD_ENTRYPOINT))
        return;
    memcpy(h.id, w->shredder.leader.public, 32);
    memcpy(h.leader, w->shredder.leader.public, 32);
    memcpy(h.vote, w->vote, 32);
    memcpy(h.genesis_hash, w->genesis.hash, 32);
    (void)!sendto(w->gossip_fd, reply, hello_encode(&h, reply), MSG_DONTWAIT,
                  (struct sockaddr *)&from, len); /* lost: asked again */
}
