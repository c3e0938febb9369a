/* lab/chain/reed_solomon, entries and shredder: against real sets of Agave 3.0.14, and against
 * what a receiver checks. */
#include "lab/chain/shredder.h"

#include "base/bytes.h"
#include "lab/chain/entries.h"
#include "lab/chain/reed_solomon.h"
#include "solana/merkle.h"
#include "unit/shred_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static struct turbine real;

/* The shreds of one real set in the order of their shards; false when there is no such set. */
static bool real_set(uint64_t slot, uint32_t fec_set_index, struct shred ret[64])
{
    size_t n = 0;

    for (size_t i = 0; i < real.n; i++) {
        struct shred s;

        assert_int_equal(shred_parse(real.packets[i].bytes, real.packets[i].n, &s), SHRED_OK);
        if (s.slot == slot && s.fec_set_index == fec_set_index) {
            ret[s.shard] = s;
            n++;
        }
    }
    return n == 64;
}

static void code_shreds_are_the_leaders(void **state)
{
    AUTO(reed_solomon_freep) struct reed_solomon *rs = NULL;
    size_t sets = 0;

    assert_null(reed_solomon_new(32, 32, &rs));
    for (uint64_t slot = 366; slot <= 367; slot++) {
        for (uint32_t first = 0; first < 160; first += 32, sets++) {
            static uint8_t made[32][SHRED_CODE_B];
            const uint8_t *data[32];
            uint8_t *code[32];
            struct shred set[64];

            assert_true(real_set(slot, first, set));
            for (size_t i = 0; i < 32; i++) {
                data[i] = set[i].erasure;
                code[i] = made[i];
                assert_int_equal(set[i].erasure_b, set[32 + i].erasure_b);
            }
            reed_solomon_encode(rs, set[0].erasure_b, data, code);
            for (size_t i = 0; i < 32; i++)
                assert_memory_equal(made[i], set[32 + i].erasure, set[0].erasure_b);
        }
    }
    assert_int_equal(sets, 10);
}

/* Any 32 of a set give the other 32: data alone, code alone, mixtures. */
static void lost_shreds_come_back(void **state)
{
    AUTO(reed_solomon_freep) struct reed_solomon *rs = NULL;
    static uint8_t copy[64][SHRED_CODE_B];
    uint8_t *shards[64];
    struct shred set[64];

    assert_null(reed_solomon_new(32, 32, &rs));
    assert_true(real_set(367, 128, set));
    for (size_t pattern = 0; pattern < 5; pattern++) {
        bool present[64];

        for (size_t i = 0; i < 64; i++) {
            const bool keep[] = {i < 32, i >= 32, i % 2 == 0, i % 2 == 1, i >= 16 && i < 48};

            present[i] = keep[pattern];
            shards[i] = copy[i];
            memset(copy[i], 0, sizeof(copy[i]));
            if (present[i])
                memcpy(copy[i], set[i].erasure, set[i].erasure_b);
        }
        assert_null(reed_solomon_recover(rs, set[0].erasure_b, shards, present));
        for (size_t i = 0; i < 64; i++)
            assert_memory_equal(copy[i], set[i].erasure, set[0].erasure_b);
        present[pattern == 0 ? 0 : pattern == 1 ? 63 : pattern == 3 ? 17 : 16] = false;
        AUTO(err_freep) struct err *e = reed_solomon_recover(rs, set[0].erasure_b, shards, present);
        assert_non_null(e);
        assert_int_equal(e->kind, ERR_CORRUPT);
    }
}

static void impossible_codes_are_refused(void **state)
{
    static const size_t sizes[][2] = {{0, 1}, {1, 0}, {129, 128}, {SIZE_MAX, 2}};
    AUTO(reed_solomon_freep) struct reed_solomon *rs = NULL;

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        AUTO(err_freep) struct err *e = reed_solomon_new(sizes[i][0], sizes[i][1], &rs);

        assert_non_null(e);
        assert_null(rs);
    }
    assert_null(reed_solomon_new(128, 128, &rs));
}

static void options(struct shredder_opts *ret)
{
    *ret = (struct shredder_opts){.version = 4711};
    shredder_leader_from_seed(7, &ret->leader);
}

static void blocks_pass_every_check(void **state)
{
    struct shredder_opts opts;
    struct block_link link;
    AUTO(block_clear) struct block b = {0};
    uint8_t root[32];

    options(&opts);
    block_link_from_seed(7, &link);
    memcpy(root, link.root, 32);
    assert_null(block_make(&opts, 1000, 997, &link, &b));
    assert_int_equal(b.n, 5);
    for (uint32_t i = 0; i < 2 * 32 * b.n; i++) {
        enum shred_type type = i % 64 < 32 ? SHRED_DATA : SHRED_CODE;
        uint32_t index = i / 64 * 32 + i % 32;
        const uint8_t *p = block_shred(&b, type, index);
        struct shred s;

        assert_non_null(p);
        assert_int_equal(shred_parse(p, type == SHRED_DATA ? SHRED_DATA_B : SHRED_CODE_B, &s),
                         SHRED_OK);
        assert_int_equal(s.type, type);
        assert_int_equal(s.index, index);
        assert_int_equal(s.slot, 1000);
        assert_int_equal(s.version, 4711);
        assert_true(merkle_verify(&s, opts.leader.public));
        assert_memory_equal(s.chained_root, root, 32);
        assert_int_equal(s.resigned, index >= 128);
        if (type == SHRED_DATA) {
            assert_int_equal(s.parent, 997);
            assert_int_equal(s.data_complete, index % 32 == 31);
            assert_int_equal(s.last_in_slot, index == 159);
        }
        if (i % 64 == 63)
            assert_true(merkle_root(&s, root));
    }
    assert_memory_equal(root, b.link.root, 32);
    assert_null(block_shred(&b, SHRED_DATA, 160));
}

/* Byte for byte: the real leader's entries, cut and coded by us, signed by another key. Only the
 * signatures and the roots that chain to them may differ, and roots do not hold signatures. */
static void sets_are_cut_like_the_leaders(void **state)
{
    struct shredder_opts opts;

    options(&opts);
    opts.version = 34608;
    for (uint32_t first = 0; first < 160; first += 32) {
        static struct shred_set made;
        AUTO(strbuf_clear) struct strbuf entries = {0};
        struct shred set[64];
        struct shred_set_opts set_opts;

        assert_true(real_set(366, first, set));
        for (size_t i = 0; i < 32; i++)
            strbuf_add(&entries, set[i].payload, set[i].payload_b);
        set_opts = (struct shred_set_opts){
            .slot = 366,
            .parent = 365,
            .first_index = first,
            .reference_tick = set[0].reference_tick,
            .data_complete = true,
            .last_in_slot = first == 128,
            .chained_root = set[0].chained_root,
        };
        assert_null(
            shred_set_make(&opts, &set_opts, (const uint8_t *)entries.data, entries.len, &made));
        for (size_t i = 0; i < 64; i++) {
            const uint8_t *p = i < 32 ? made.data[i] : made.code[i - 32];

            assert_memory_equal(p + 64, set[i].bytes + 64, set[i].bytes_b - 64);
            assert_memory_not_equal(p, set[i].bytes, 64);
        }
    }
}

static void entries_of(const struct block *b, size_t set, struct strbuf *ret)
{
    for (size_t i = 0; i < 32; i++) {
        struct shred s;

        assert_int_equal(shred_parse(b->sets[set].data[i], SHRED_DATA_B, &s), SHRED_OK);
        strbuf_add(ret, s.payload, s.payload_b);
    }
}

static void entries_are_a_slot_of_ticks(void **state)
{
    struct shredder_opts opts;
    struct block_link link;
    AUTO(block_clear) struct block b = {0};
    uint64_t total = 0;

    options(&opts);
    opts.sets = 7;
    opts.hashes_per_tick = 3;
    block_link_from_seed(8, &link);
    assert_null(block_make(&opts, 5, 4, &link, &b));
    for (size_t i = 0; i < b.n; i++) {
        AUTO(strbuf_clear) struct strbuf e = {0};
        uint64_t ticks = 0;

        entries_of(&b, i, &e);
        assert_null(entries_check((const uint8_t *)e.data, e.len, link.hash, &ticks));
        total += ticks;
        if (i == 0) {
            uint8_t hash[32] = {0};
            AUTO(err_freep)
            struct err *wrong = entries_check((const uint8_t *)e.data, e.len, hash, &ticks);
            AUTO(err_freep)
            struct err *cut = entries_check((const uint8_t *)e.data, e.len - 1, hash, &ticks);

            assert_int_equal(wrong->kind, ERR_CORRUPT);
            assert_int_equal(cut->kind, ERR_CORRUPT);
        }
    }
    assert_int_equal(total, ENTRIES_TICKS_PER_SLOT);
    assert_memory_equal(link.hash, b.link.hash, 32);
}

static void skipped_slots_have_ticks(void **state)
{
    struct shredder_opts opts;
    struct block_link link;
    AUTO(block_clear) struct block b = {0};
    uint64_t total = 0;
    struct shred s;

    options(&opts);
    opts.sets = 1;
    block_link_from_seed(8, &link);
    assert_null(block_make(&opts, 105, 85, &link, &b));
    assert_int_equal(b.n, 3); /* 1280 ticks do not fit into fewer */
    for (size_t i = 0; i < b.n; i++) {
        AUTO(strbuf_clear) struct strbuf e = {0};
        uint64_t ticks = 0;

        entries_of(&b, i, &e);
        assert_null(entries_check((const uint8_t *)e.data, e.len, link.hash, &ticks));
        total += ticks;
    }
    assert_int_equal(total, 20 * ENTRIES_TICKS_PER_SLOT);
    assert_int_equal(shred_parse(block_shred(&b, SHRED_DATA, 0), SHRED_DATA_B, &s), SHRED_OK);
    assert_int_equal(s.reference_tick, 0);
    assert_int_equal(shred_parse(block_shred(&b, SHRED_DATA, 95), SHRED_DATA_B, &s), SHRED_OK);
    assert_true(s.reference_tick == 63 && s.last_in_slot);
}

static void the_same_input_gives_the_same_bytes(void **state)
{
    struct shredder_opts opts;
    struct block_link link;
    AUTO(block_clear) struct block a = {0}, b = {0}, c = {0};

    options(&opts);
    opts.sets = 1;
    block_link_from_seed(9, &link);
    assert_null(block_make(&opts, 12, 11, &link, &a));
    assert_null(block_make(&opts, 12, 11, &link, &b));
    assert_memory_equal(a.sets, b.sets, sizeof(*a.sets));
    assert_null(block_make(&opts, 12, 10, &link, &c));
    assert_memory_not_equal(a.sets[0].root, c.sets[0].root, 32);
}

static void impossible_blocks_are_refused(void **state)
{
    struct shredder_opts opts;
    struct block_link link;
    struct block b;
    static const struct {
        uint64_t slot, parent;
        unsigned sets;
    } cases[] = {{5, 5, 1}, {5, 6, 1}, {70000, 1, 1}, {20000, 1, 1}, {5, 4, 65}};

    options(&opts);
    block_link_from_seed(9, &link);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        opts.sets = cases[i].sets;
        AUTO(err_freep)
        struct err *e = block_make(&opts, cases[i].slot, cases[i].parent, &link, &b);
        assert_non_null(e);
        assert_int_equal(e->kind, ERR_BADINPUT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code_shreds_are_the_leaders),
        cmocka_unit_test(lost_shreds_come_back),
        cmocka_unit_test(impossible_codes_are_refused),
        cmocka_unit_test(blocks_pass_every_check),
        cmocka_unit_test(sets_are_cut_like_the_leaders),
        cmocka_unit_test(entries_are_a_slot_of_ticks),
        cmocka_unit_test(skipped_slots_have_ticks),
        cmocka_unit_test(the_same_input_gives_the_same_bytes),
        cmocka_unit_test(impossible_blocks_are_refused),
    };
    int failed;

    turbine_load(&real);
    failed = cmocka_run_group_tests_name("shredder", tests, NULL, NULL);
    turbine_clear(&real);
    return failed;
}
