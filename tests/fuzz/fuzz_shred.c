/* Any packet: whatever shred_parse accepts keeps its pointers inside, and the Merkle functions may
 * walk it. */
#include <stdlib.h>

#include "solana/merkle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const uint8_t leader[32] = {1};
    struct shred s;
    uint8_t root[32];
    uint32_t nonce;

    if (shred_parse(data, n, &s) != SHRED_OK)
        return 0;
    if (s.bytes_b > n || s.erasure + s.erasure_b > data + s.bytes_b ||
        s.proof + (size_t)s.proof_n * SHRED_PROOF_ENTRY_B > data + s.bytes_b ||
        (s.type == SHRED_DATA && s.payload + s.payload_b > data + s.bytes_b) ||
        s.shard >= SHRED_SET_SHARDS_MAX)
        abort();
    (void)shred_nonce(&s, n, &nonce);
    (void)merkle_root(&s, root);
    (void)merkle_verify(&s, leader);
    return 0;
}
