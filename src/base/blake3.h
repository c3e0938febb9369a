#pragma once

#include <stddef.h>
#include <stdint.h>

/* BLAKE3-256 of a whole buffer (specification of 2020, unkeyed, 32 bytes of output). Small and
 * portable: it hashes 2,048 bytes for a snapshot's name. Debian 12 has no library of it. */
void blake3_256(const void *data, size_t n, uint8_t ret[static 32]);
