/* Ed25519 by libsodium: the only file that sees it. The calls used here need no sodium_init: it
 * picks faster code and seeds the random generator, and neither signing nor checking is random.
 * A signature over n bytes of a NULL pointer is one over an empty message. */
#include "solana/ed25519.h"

#include <sodium.h>

_Static_assert(ED25519_SEED_B == crypto_sign_ed25519_SEEDBYTES, "seed");
_Static_assert(ED25519_PUBLIC_B == crypto_sign_ed25519_PUBLICKEYBYTES, "public key");
_Static_assert(ED25519_SIGNATURE_B == crypto_sign_ed25519_BYTES, "signature");
_Static_assert(sizeof(struct ed25519_key) == crypto_sign_ed25519_SECRETKEYBYTES,
               "libsodium's secret key is seed and public key in one");

void ed25519_from_seed(const uint8_t seed[static ED25519_SEED_B], struct ed25519_key *ret)
{
    uint8_t secret[crypto_sign_ed25519_SECRETKEYBYTES];

    crypto_sign_ed25519_seed_keypair(ret->public, secret, seed);
    memcpy(ret->seed, seed, ED25519_SEED_B);
    sodium_memzero(secret, sizeof(secret));
}

void ed25519_sign(const struct ed25519_key *key, const void *data, size_t n,
                  uint8_t ret[static ED25519_SIGNATURE_B])
{
    crypto_sign_ed25519_detached(ret, NULL, n ? data : "", n, (const uint8_t *)key);
}

bool ed25519_verify(const uint8_t public[static ED25519_PUBLIC_B], const void *data, size_t n,
                    const uint8_t signature[static ED25519_SIGNATURE_B])
{
    return crypto_sign_ed25519_verify_detached(signature, n ? data : "", n, public) == 0;
}

bool ed25519_key_matches(const struct ed25519_key *key)
{
    struct ed25519_key derived;
    bool same;

    ed25519_from_seed(key->seed, &derived);
    same = sodium_memcmp(derived.public, key->public, ED25519_PUBLIC_B) == 0;
    sodium_memzero(&derived, sizeof(derived));
    return same;
}

void ed25519_wipe(void *data, size_t n)
{
    sodium_memzero(data, n);
}

void sha256(const struct sha256_part *parts, size_t n, uint8_t ret[static 32])
{
    crypto_hash_sha256_state state;

    crypto_hash_sha256_init(&state);
    for (size_t i = 0; i < n; i++)
        if (parts[i].n)
            crypto_hash_sha256_update(&state, parts[i].data, parts[i].n);
    crypto_hash_sha256_final(&state, ret);
}
