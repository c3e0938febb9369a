#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What stands in for gossip between the lab's own programs: one datagram to an entrypoint's gossip
 * port asks, one answers. Real gossip is not spoken; a real validator needs a real entrypoint. */
#define HELLO_ASK    "agavectl-lab?"
#define HELLO_B      160
#define HELLO_MAX_MS 2000

struct hello {
    uint8_t id[32];     /* the entrypoint's identity */
    uint8_t leader[32]; /* who signs every block */
    uint8_t vote[32];
    uint8_t genesis_hash[32];
    uint16_t shred_version;
    uint16_t repair_port, rpc_port; /* on the entrypoint's address */
    uint32_t slot_us;               /* a slot's length in this world */
};

/* Into buf; returns its length. */
size_t hello_encode(const struct hello *h, uint8_t buf[static HELLO_B]);
bool hello_decode(const uint8_t *buf, size_t n, struct hello *ret);
/* Asks host (IPv4 text) and port once and waits for at most timeout_ms. */
bool hello_ask(const char *host, uint16_t port, uint32_t timeout_ms, struct hello *ret);
