#pragma once

#include <stddef.h>
#include <stdint.h>

/* The real shreds of tests/data/shreds (see its README), unpacked. */
struct packet {
    const uint8_t *bytes;
    size_t n;
};
struct turbine {
    uint8_t *all;
    const uint8_t *leader; /* public key */
    struct packet *packets;
    size_t n;
};
void turbine_load(struct turbine *ret);
void turbine_clear(struct turbine *t);

/* One entry of the real blockstore. */
struct stored {
    const char *cf; /* NUL-terminated */
    const uint8_t *key, *value;
    size_t key_n, value_n;
};
struct blockstore {
    uint8_t *all;
    struct stored *entries;
    size_t n;
};
void blockstore_load(struct blockstore *ret);
void blockstore_clear(struct blockstore *b);
