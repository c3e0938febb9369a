#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "solana/shred.h"

/* The Merkle tree over the shreds of one erasure set (solana-ledger 3.0.14 `shred/merkle_tree.rs`).
 * Leaf: everything of a shred between its signature and its proof. A node hashes the first 20 bytes
 * of its two children; an odd last child is its own sibling. The root is what the leader signs. */
#define MERKLE_ROOT_B SHRED_ROOT_B

void merkle_leaf(const struct shred *s, uint8_t ret[static MERKLE_ROOT_B]);
/* The root that s and its proof lead to. False when the proof is too short for s's place. */
bool merkle_root(const struct shred *s, uint8_t ret[static MERKLE_ROOT_B]);
/* Did this leader sign the root of s? */
bool merkle_verify(const struct shred *s, const uint8_t leader[static 32]);

/* Nodes of a tree over n leaves; 0 for none. */
size_t merkle_tree_n(size_t n);
/* nodes holds merkle_tree_n(n) hashes, the first n of them filled with the leaves; the rest is
 * computed, the root comes last. */
void merkle_tree_fill(uint8_t (*nodes)[MERKLE_ROOT_B], size_t n);
/* Proof of leaf i (< n): entries of SHRED_PROOF_ENTRY_B, as many as the return value says; ret has
 * room for 8 (256 leaves). */
size_t merkle_proof(const uint8_t (*nodes)[MERKLE_ROOT_B], size_t n, size_t i, uint8_t *ret);
