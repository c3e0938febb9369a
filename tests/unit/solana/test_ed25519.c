/* solana/ed25519: the vectors 1 and 2 of RFC 8032, section 7.1. */
#include "solana/ed25519.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"

static void unhex(const char *text, uint8_t *ret, size_t n)
{
    assert_int_equal(strlen(text), 2 * n);
    for (size_t i = 0; i < n; i++) {
        unsigned v = 0;

        assert_int_equal(sscanf(text + 2 * i, "%2x", &v), 1);
        ret[i] = (uint8_t)v;
    }
}

static const struct {
    const char *seed, *public, *message, *signature;
} vectors[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9"
     "b46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f1"
     "1d8c387b2eaeb4302aeeb00d291612bb0c00"},
};

static void signs_as_the_rfc_says(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        size_t n = strlen(vectors[i].message) / 2;
        uint8_t seed[32], public[32], message[8], want[64], got[64];
        struct ed25519_key key;

        unhex(vectors[i].seed, seed, 32);
        unhex(vectors[i].public, public, 32);
        unhex(vectors[i].message, message, n);
        unhex(vectors[i].signature, want, 64);
        ed25519_from_seed(seed, &key);
        assert_memory_equal(key.public, public, 32);
        assert_true(ed25519_key_matches(&key));
        ed25519_sign(&key, message, n, got);
        assert_memory_equal(got, want, 64);
        assert_true(ed25519_verify(public, message, n, got));
    }
}

static void one_changed_bit_is_seen(void **state)
{
    uint8_t seed[32] = {7}, signature[64], message[3] = "abc";
    struct ed25519_key key;

    ed25519_from_seed(seed, &key);
    ed25519_sign(&key, message, sizeof(message), signature);
    assert_true(ed25519_verify(key.public, message, sizeof(message), signature));
    for (size_t i = 0; i < 64; i++) {
        signature[i] ^= 1;
        assert_false(ed25519_verify(key.public, message, sizeof(message), signature));
        signature[i] ^= 1;
    }
    message[0] ^= 1;
    assert_false(ed25519_verify(key.public, message, sizeof(message), signature));
    key.public[31] ^= 1;
    assert_false(ed25519_key_matches(&key));
}

static void wiping_leaves_nothing(void **state)
{
    uint8_t seed[32] = {1, 2, 3};
    static const struct ed25519_key zero;
    struct ed25519_key key;

    ed25519_from_seed(seed, &key);
    ed25519_wipe(&key, sizeof(key));
    assert_memory_equal(&key, &zero, sizeof(key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_as_the_rfc_says),
        cmocka_unit_test(one_changed_bit_is_seen),
        cmocka_unit_test(wiping_leaves_nothing),
    };

    return cmocka_run_group_tests_name("ed25519", tests, NULL, NULL);
}
