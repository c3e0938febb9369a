/* Merkle trees of shreds: hashes, proofs and the leader's signature over the root. The prefixes
 * keep a leaf from being taken for a node (solana-ledger 3.0.14 `shred/merkle_tree.rs`). */
#include "solana/merkle.h"

#include "base/cleanup.h"
#include "solana/ed25519.h"

/* sizeof - 1: without the NUL that C adds. */
static const char LEAF[] = "\x00SOLANA_MERKLE_SHREDS_LEAF";
static const char NODE[] = "\x01SOLANA_MERKLE_SHREDS_NODE";

static void join(const uint8_t *left, const uint8_t *right, uint8_t ret[static MERKLE_ROOT_B])
{
    const struct sha256_part parts[] = {
        {NODE, sizeof(NODE) - 1}, {left, SHRED_PROOF_ENTRY_B}, {right, SHRED_PROOF_ENTRY_B}};

    sha256(parts, ARRAY_LEN(parts), ret);
}

void merkle_leaf(const struct shred *s, uint8_t ret[static MERKLE_ROOT_B])
{
    const struct sha256_part parts[] = {
        {LEAF, sizeof(LEAF) - 1},
        {s->bytes + SHRED_SIGNATURE_B, (size_t)(s->proof - s->bytes) - SHRED_SIGNATURE_B}};

    sha256(parts, ARRAY_LEN(parts), ret);
}

bool merkle_root(const struct shred *s, uint8_t ret[static MERKLE_ROOT_B])
{
    uint8_t node[MERKLE_ROOT_B];
    size_t place = s->shard;

    if (place >> s->proof_n)
        return false;
    merkle_leaf(s, node);
    for (size_t i = 0; i < s->proof_n; i++, place >>= 1) {
        const uint8_t *sibling = s->proof + i * SHRED_PROOF_ENTRY_B;

        if (place & 1)
            join(sibling, node, node);
        else
            join(node, sibling, node);
    }
    memcpy(ret, node, MERKLE_ROOT_B);
    return true;
}

bool merkle_verify(const struct shred *s, const uint8_t leader[static 32])
{
    uint8_t root[MERKLE_ROOT_B];

    return merkle_root(s, root) && ed25519_verify(leader, root, sizeof(root), s->signature);
}

size_t merkle_tree_n(size_t n)
{
    size_t total = n;

    for (; n > 1; total += n)
        n = (n + 1) / 2;
    return total;
}

void merkle_tree_fill(uint8_t (*nodes)[MERKLE_ROOT_B], size_t n)
{
    uint8_t(*level)[MERKLE_ROOT_B] = nodes;

    while (n > 1) {
        size_t parents = (n + 1) / 2;

        for (size_t i = 0; i < parents; i++)
            join(level[2 * i], level[2 * i + 1 < n ? 2 * i + 1 : n - 1], level[n + i]);
        level += n;
        n = parents;
    }
}

size_t merkle_proof(const uint8_t (*nodes)[MERKLE_ROOT_B], size_t n, size_t i, uint8_t *ret)
{
    size_t entries = 0;

    for (; n > 1; entries++, i >>= 1) {
        size_t sibling = (i ^ 1) < n ? i ^ 1 : n - 1;

        memcpy(ret + entries * SHRED_PROOF_ENTRY_B, nodes[sibling], SHRED_PROOF_ENTRY_B);
        nodes += n;
        n = (n + 1) / 2;
    }
    return entries;
}
