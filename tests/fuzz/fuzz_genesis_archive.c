/* The genesis archive: a hash or one error, never more memory than the limit. */
#include "solana/genesis_archive.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char hash[BASE58_32_MAX] = "";
    AUTO(err_freep) struct err *e = genesis_archive_hash(data, n, hash);

    assert(e ? e->kind == ERR_CORRUPT && !hash[0] : strlen(hash) >= 32);
    return 0;
}
