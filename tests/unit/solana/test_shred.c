/* solana/shred and solana/merkle against real packets of Agave 3.0.14. */
#include "solana/shred.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "solana/ed25519.h"
#include "solana/merkle.h"
#include "unit/shred_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static struct turbine real;

static void every_real_shred_parses(void **state)
{
    size_t data = 0, code = 0, resigned = 0, last = 0;

    for (size_t i = 0; i < real.n; i++) {
        const struct packet *p = &real.packets[i];
        struct shred s;

        assert_int_equal(shred_parse(p->bytes, p->n, &s), SHRED_OK);
        assert_true(s.chained);
        assert_int_equal(s.bytes_b, p->n);
        assert_int_equal(s.proof_n, SHRED_SET_PROOF);
        assert_in_range(s.slot, 366, 368);
        assert_int_equal(s.version, 34608);
        data += s.type == SHRED_DATA;
        code += s.type == SHRED_CODE;
        resigned += s.resigned;
        if (s.type == SHRED_DATA) {
            assert_int_equal(s.parent, s.slot - 1);
            assert_int_equal(s.shard, s.index % 32);
            last += s.last_in_slot;
        } else {
            assert_int_equal(s.num_data, 32);
            assert_int_equal(s.num_code, 32);
            assert_int_equal(s.shard, 32 + s.index % 32);
        }
    }
    assert_int_equal(data, 321);
    assert_int_equal(code, 320);
    assert_int_equal(resigned, 128);
    assert_int_equal(last, 2);
}

static void every_real_proof_and_signature_holds(void **state)
{
    for (size_t i = 0; i < real.n; i++) {
        struct shred s;

        assert_int_equal(shred_parse(real.packets[i].bytes, real.packets[i].n, &s), SHRED_OK);
        assert_true(merkle_verify(&s, real.leader));
    }
}

/* Any byte of a shred is covered: signature, headers, payload, chained root, proof. */
static void one_wrong_bit_is_noticed(void **state)
{
    uint8_t copy[SHRED_PACKET_B];
    struct shred s;

    for (size_t at = 0; at < SHRED_DATA_B; at += 7) {
        memcpy(copy, real.packets[0].bytes, SHRED_DATA_B);
        copy[at] ^= 1;
        if (shred_parse(copy, SHRED_DATA_B, &s) == SHRED_OK)
            assert_false(merkle_verify(&s, real.leader));
    }
}

/* A whole tree over the leaves of a real set gives the root and the proofs of its shreds. */
static void trees_match_the_leaders(void **state)
{
    static uint8_t nodes[128][32];
    static struct shred set[64];
    size_t seen = 0;

    assert_int_equal(merkle_tree_n(64), 127);
    for (size_t i = 0; i < real.n; i++) {
        struct shred s;

        assert_int_equal(shred_parse(real.packets[i].bytes, real.packets[i].n, &s), SHRED_OK);
        if (s.slot != 366 || s.fec_set_index != 128)
            continue;
        merkle_leaf(&s, nodes[s.shard]);
        set[s.shard] = s;
        seen++;
    }
    assert_int_equal(seen, 64);
    merkle_tree_fill(nodes, 64);
    for (size_t i = 0; i < 64; i++) {
        uint8_t root[32], proof[160];

        assert_true(merkle_root(&set[i], root));
        assert_memory_equal(root, nodes[126], 32);
        assert_int_equal(merkle_proof((const uint8_t(*)[32])nodes, 64, i, proof), 6);
        assert_memory_equal(proof, set[i].proof, 120);
    }
}

static void odd_trees(void **state)
{
    static const size_t sizes[] = {0, 1, 3, 6, 7, 11, 12, 14, 15, 20, 21, 23, 24, 27, 28};

    for (size_t n = 0; n < ARRAY_LEN(sizes); n++)
        assert_int_equal(merkle_tree_n(n), sizes[n]);
}

/* Byte 64 alone decides; 0x5a and 0xa5 are the kinds before Merkle trees. */
static void variants(void **state)
{
    struct shred_layout at;

    for (unsigned v = 0; v < 256; v++) {
        unsigned high = v & 0xf0;
        bool known = high == 0x40 || high == 0x60 || high == 0x70 || high == 0x80 || high == 0x90 ||
                     high == 0xb0;

        assert_int_equal(shred_layout_of((uint8_t)v, &at), known ? SHRED_OK : SHRED_BAD_VARIANT);
    }
    assert_int_equal(shred_layout_of(0x96, &at), SHRED_OK);
    assert_int_equal(at.root, 1051);
    assert_int_equal(at.proof, 1083);
    assert_int_equal(shred_layout_of(0xb6, &at), SHRED_OK);
    assert_int_equal(at.root, 987);
    assert_int_equal(at.retransmitter, 1139);
    assert_int_equal(shred_layout_of(0x66, &at), SHRED_OK);
    assert_int_equal(at.root, 1076);
    assert_int_equal(at.erasure_b, 987);
    assert_int_equal(shred_layout_of(0x76, &at), SHRED_OK);
    assert_int_equal(at.root, 1012);
    assert_int_equal(at.proof, 1044);
    assert_int_equal(at.retransmitter, 1164);
}

static const uint8_t *first_of(enum shred_type type)
{
    for (size_t i = 0; i < real.n; i++) {
        struct shred s;

        assert_int_equal(shred_parse(real.packets[i].bytes, real.packets[i].n, &s), SHRED_OK);
        if (s.type == type && s.index == 33)
            return s.bytes;
    }
    fail();
    return NULL;
}

static void bad_fields_are_named(void **state)
{
    static const struct {
        enum shred_type type;
        size_t at;
        uint64_t value;
        size_t width;
        enum shred_fault fault;
    } cases[] = {
        {SHRED_DATA, 64, 0xa5, 1, SHRED_BAD_VARIANT}, {SHRED_DATA, 73, 32768, 4, SHRED_BAD_INDEX},
        {SHRED_DATA, 79, 34, 4, SHRED_BAD_INDEX},     {SHRED_DATA, 83, 367, 2, SHRED_BAD_PARENT},
        {SHRED_DATA, 85, 0x80, 1, SHRED_BAD_FLAGS},   {SHRED_DATA, 86, 87, 2, SHRED_BAD_SIZE},
        {SHRED_DATA, 86, 1052, 2, SHRED_BAD_SIZE},    {SHRED_CODE, 83, 0, 2, SHRED_BAD_SET},
        {SHRED_CODE, 85, 0, 2, SHRED_BAD_SET},        {SHRED_CODE, 85, 1, 2, SHRED_BAD_SET},
        {SHRED_CODE, 83, 225, 2, SHRED_BAD_SET},      {SHRED_CODE, 73, 0, 4, SHRED_BAD_INDEX},
        {SHRED_CODE, 79, 32767, 4, SHRED_BAD_INDEX},  {SHRED_CODE, 73, 32767, 4, SHRED_BAD_INDEX},
        {SHRED_CODE, 64, 0x96, 1, SHRED_BAD_SIZE},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t n = cases[i].type == SHRED_DATA ? SHRED_DATA_B : SHRED_CODE_B;
        uint8_t copy[SHRED_CODE_B];
        struct shred s;

        memcpy(copy, first_of(cases[i].type), n);
        for (size_t b = 0; b < cases[i].width; b++)
            copy[cases[i].at + b] = (uint8_t)(cases[i].value >> 8 * b);
        if (cases[i].fault == SHRED_BAD_SIZE && cases[i].type == SHRED_CODE)
            put_le16(copy + 86, 0);
        assert_int_equal(shred_parse(copy, n, &s), cases[i].fault);
    }
}

static void lengths_and_nonces(void **state)
{
    uint8_t packet[SHRED_PACKET_B + 1] = {0};
    uint32_t nonce = 0;
    struct shred s;

    memcpy(packet, first_of(SHRED_DATA), SHRED_DATA_B);
    assert_int_equal(shred_parse(packet, 0, &s), SHRED_BAD_LENGTH);
    assert_int_equal(shred_parse(packet, SHRED_DATA_B - 1, &s), SHRED_BAD_LENGTH);
    assert_int_equal(shred_parse(packet, SHRED_DATA_B, &s), SHRED_OK);
    assert_false(shred_nonce(&s, SHRED_DATA_B, &nonce));
    put_le32(packet + SHRED_DATA_B, 0xfeedbeef);
    assert_int_equal(shred_parse(packet, SHRED_DATA_B + 4, &s), SHRED_OK);
    assert_int_equal(s.bytes_b, SHRED_DATA_B);
    assert_true(shred_nonce(&s, SHRED_DATA_B + 4, &nonce));
    assert_true(nonce == 0xfeedbeef);
    assert_int_equal(shred_parse(packet, SHRED_PACKET_B + 1, &s), SHRED_BAD_LENGTH);
    memcpy(packet, first_of(SHRED_CODE), SHRED_CODE_B);
    assert_int_equal(shred_parse(packet, SHRED_CODE_B - 1, &s), SHRED_BAD_LENGTH);
    assert_int_equal(shred_parse(packet, SHRED_PACKET_B, &s), SHRED_OK);
}

static void slots_above_the_root(void **state)
{
    assert_true(shred_slots_ok(0, 0, 0));
    assert_true(shred_slots_ok(10, 9, 9));
    assert_false(shred_slots_ok(10, 8, 9));
    assert_false(shred_slots_ok(10, 10, 9));
    assert_false(shred_slots_ok(0, 0, 1));
}

static void sha256_of_parts(void **state)
{
    static const uint8_t abc[32] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
                                    0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
                                    0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
                                    0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    uint8_t got[32];

    sha256((struct sha256_part[]){{"a", 1}, {NULL, 0}, {"bc", 2}}, 3, got);
    assert_memory_equal(got, abc, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_real_shred_parses),
        cmocka_unit_test(every_real_proof_and_signature_holds),
        cmocka_unit_test(one_wrong_bit_is_noticed),
        cmocka_unit_test(trees_match_the_leaders),
        cmocka_unit_test(odd_trees),
        cmocka_unit_test(variants),
        cmocka_unit_test(bad_fields_are_named),
        cmocka_unit_test(lengths_and_nonces),
        cmocka_unit_test(slots_above_the_root),
        cmocka_unit_test(sha256_of_parts),
    };
    int failed;

    turbine_load(&real);
    failed = cmocka_run_group_tests_name("shred", tests, NULL, NULL);
    turbine_clear(&real);
    return failed;
}
