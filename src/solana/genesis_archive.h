#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/base58.h"
#include "base/err.h"

/* genesis.tar.bz2: genesis.bin and the RocksDB files of slot 0 (accounts-db 3.0.14,
 * hardened_unpack.rs). Agave unpacks it by itself when the ledger has no genesis.bin (seen with
 * 3.0.14 and --no-genesis-fetch), so it is only checked here. */
#define GENESIS_ARCHIVE_MAX_B ((size_t)64 << 20) /* packed, unpacked, and genesis.bin alone */

/* Base58 of the SHA-256 of genesis.bin, the cluster's genesis hash. */
void genesis_hash(const void *genesis_bin, size_t n, char ret[static BASE58_32_MAX]);
/* The same from an archive, read to its end. ERR_CORRUPT: it is not whole, or holds no genesis.bin
 * or two, or more than GENESIS_ARCHIVE_MAX_B. */
struct err *genesis_archive_hash(const void *archive, size_t n, char ret[static BASE58_32_MAX])
    MUST_CHECK;
