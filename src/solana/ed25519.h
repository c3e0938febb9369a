#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ed25519 (RFC 8032) for identities, shreds and gossip, and SHA-256. The only door to libsodium. */
#define ED25519_SEED_B      32
#define ED25519_PUBLIC_B    32
#define ED25519_SIGNATURE_B 64

/* The 64 bytes of a Solana keypair file: secret seed, then public key. Never printed; wiped with
 * ed25519_wipe when it is no longer needed. */
struct ed25519_key {
    uint8_t seed[ED25519_SEED_B];
    uint8_t public[ED25519_PUBLIC_B];
};

void ed25519_from_seed(const uint8_t seed[static ED25519_SEED_B], struct ed25519_key *ret);
void ed25519_sign(const struct ed25519_key *key, const void *data, size_t n,
                  uint8_t ret[static ED25519_SIGNATURE_B]);
/* False also for a signature or a public key that is no point of the curve. */
bool ed25519_verify(const uint8_t public[static ED25519_PUBLIC_B], const void *data, size_t n,
                    const uint8_t signature[static ED25519_SIGNATURE_B]);
/* Does the public half belong to the seed? Constant time. */
bool ed25519_key_matches(const struct ed25519_key *key);
/* Overwrites memory in a way that the compiler keeps. */
void ed25519_wipe(void *data, size_t n);

/* SHA-256 of the parts one after another. ret may overlap a part. */
struct sha256_part {
    const void *data;
    size_t n;
};
void sha256(const struct sha256_part *parts, size_t n, uint8_t ret[static 32]);
