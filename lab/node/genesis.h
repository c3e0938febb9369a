#pragma once

#include <stdint.h>

#include "base/err.h"

/* A genesis of the lab: genesis.bin of bytes drawn from the seed, packed as genesis.tar.bz2 as
 * Agave serves it. It names a chain, no more: no real validator starts from it. */
struct genesis {
    uint8_t hash[32]; /* SHA-256 of genesis.bin, as Agave has it */
    uint16_t shred_version;
};

void genesis_from_seed(uint64_t seed, struct genesis *ret);
/* Writes dir/genesis.tar.bz2 (through a temporary name). ERR_SYS. */
struct err *genesis_write(const char *dir, uint64_t seed) MUST_CHECK;
/* Unpacks dir/genesis.tar.bz2 to dir/genesis.bin unless that is there, and hashes it: what a start
 * does. ERR_NOTFOUND neither is there; ERR_CORRUPT; ERR_SYS. Works on real ones, too. */
struct err *genesis_load(const char *dir, struct genesis *ret) MUST_CHECK;
