/* lab/chain/ledger: real shreds give the values that a real Agave 3.0.14 stored for them; chaining,
 * recovery, repair's questions, roots, purging. Skipped where RocksDB is missing. */
#include "lab/chain/ledger.h"

#include "base/bytes.h"
#include "base/str.h"
#include "lab/chain/entries.h"
#include "lab/chain/ledger_store.h"
#include "lab/chain/shredder.h"
#include "solana/ed25519.h"
#include "solana/merkle.h"
#include "unit/shred_fixture.h"
#include "../remove_tree.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static uint64_t test_ms(void)
{
    return 1800000000000;
}

static const struct ledger_opts opts = {.wall_ms = test_ms, .write_buffer_b = 1 << 20};

struct fixture {
    char dir[64];
    struct ledger *l;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));

    *state = f;
    snprintf(f->dir, sizeof(f->dir), "/tmp/test-ledger-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_null(ledger_open(f->dir, &opts, &f->l));
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct err *e = ledger_close(f->l);

    remove_tree(f->dir);
    free(f);
    return e ? -1 : 0;
}

static void insert_all(struct ledger *l, const struct packet *packets, size_t n, size_t at_once,
                       struct ledger_result *ret)
{
    AUTO(freep) struct shred *shreds = xcalloc(at_once, sizeof(*shreds));

    *ret = (struct ledger_result){0};
    for (size_t i = 0; i < n; i += at_once) {
        size_t part = n - i < at_once ? n - i : at_once;
        struct ledger_result r;

        for (size_t j = 0; j < part; j++)
            assert_int_equal(shred_parse(packets[i + j].bytes, packets[i + j].n, &shreds[j]),
                             SHRED_OK);
        assert_null(ledger_insert(l, shreds, part, &r));
        ret->inserted += r.inserted;
        ret->exists += r.exists;
        ret->refused += r.refused;
        ret->recovered += r.recovered;
        ret->completed += r.completed;
        if (r.completed)
            ret->highest_completed = r.highest_completed;
    }
}

static enum ledger_cf cf_of(const char *name)
{
    for (int i = 0; i < CF_N; i++)
        if (str_eq(ledger_cf_names[i], name))
            return (enum ledger_cf)i;
    fail_msg("no column family %s", name);
    return CF_N;
}

/* Two things legitimately differ from the recording: when the first shred of a slot came
 * (first_shred_timestamp, bytes 24 to 31 of meta), and the retransmitter's signature of resigned
 * shreds, which the fixture leaves out. */
static void compare(struct store *s, const struct stored *want)
{
    enum ledger_cf cf = cf_of(want->cf);
    struct store_key key = {.n = want->key_n};
    AUTO(freep) uint8_t *got = NULL;
    uint8_t hash[32];
    size_t n;

    memcpy(key.bytes, want->key, want->key_n);
    assert_null(store_get(s, cf, key, &got, &n));
    assert_non_null(got);
    if (cf == CF_DATA_SHRED || cf == CF_CODE_SHRED) {
        bool resigned = (got[64] & 0xf0) == 0x70 || (got[64] & 0xf0) == 0xb0;

        sha256(&(struct sha256_part){got, n - (resigned ? 64 : 0)}, 1, hash);
        assert_memory_equal(hash, want->value, 32);
        return;
    }
    assert_int_equal(n, want->value_n);
    if (cf == CF_META)
        memcpy(got + 24, want->value + 24, 8);
    assert_memory_equal(got, want->value, n);
}

static size_t count_keys(struct store *s, enum ledger_cf cf, uint64_t slot)
{
    AUTO(store_iter_freep) struct store_iter *i = store_iter_new(s, cf);
    uint64_t at;
    size_t n = 0;

    for (iter_seek(i, key_slot(slot)); iter_at(i, &at) && at == slot; iter_next(i))
        n++;
    return n;
}

static void real_shreds_give_real_values(struct fixture *f, size_t at_once)
{
    AUTO(turbine_clear) struct turbine t = {0};
    AUTO(blockstore_clear) struct blockstore real = {0};
    AUTO(store_closep) struct store *s = NULL;
    AUTO(freep) char *path = xasprintf("%s/rocksdb", f->dir);
    struct ledger_result r;

    turbine_load(&t);
    blockstore_load(&real);
    assert_null(ledger_connect(f->l, 365));
    insert_all(f->l, t.packets, t.n, at_once, &r);
    assert_int_equal(r.inserted, 641);
    assert_int_equal(r.recovered, 0);
    assert_int_equal(r.completed, 2);
    insert_all(f->l, t.packets, t.n, at_once, &r);
    assert_int_equal(r.exists, 641);
    assert_int_equal(r.inserted, 0);
    assert_null(ledger_close(f->l));
    f->l = NULL;
    assert_null(store_open(path, 0, &s));
    assert_int_equal(real.n, 664);
    for (size_t i = 0; i < real.n; i++)
        compare(s, &real.entries[i]);
    for (uint64_t slot = 366; slot <= 367; slot++) {
        assert_int_equal(count_keys(s, CF_DATA_SHRED, slot), 160);
        assert_int_equal(count_keys(s, CF_CODE_SHRED, slot), 160);
        assert_int_equal(count_keys(s, CF_ERASURE_META, slot), 5);
        assert_int_equal(count_keys(s, CF_MERKLE_ROOT_META, slot), 5);
    }
}

static void real_values_one_by_one(void **state)
{
    real_shreds_give_real_values(*state, 1);
}

static void real_values_in_batches(void **state)
{
    real_shreds_give_real_values(*state, 100);
}

/* A made-up chain; link_of[i] is what block i hands on. */
struct world {
    struct shredder_opts shredder;
    struct block blocks[8];
    size_t n;
};

static void world_clear(struct world *w)
{
    for (size_t i = 0; i < w->n; i++)
        block_clear(&w->blocks[i]);
}

/* Slots first, first + step, … each the child of the one before. */
static void world_make(struct world *w, size_t n, uint64_t first, uint64_t step, unsigned sets)
{
    struct block_link link;

    *w = (struct world){.shredder = {.version = 1, .sets = sets}};
    shredder_leader_from_seed(1, &w->shredder.leader);
    block_link_from_seed(1, &link);
    for (w->n = 0; w->n < n; w->n++) {
        uint64_t slot = first + w->n * step;

        assert_null(
            block_make(&w->shredder, slot, w->n ? slot - step : slot - 1, &link, &w->blocks[w->n]));
        link = w->blocks[w->n].link;
    }
}

static void put(struct ledger *l, const struct block *b, enum shred_type type, uint32_t first,
                uint32_t n, struct ledger_result *ret)
{
    AUTO(freep) struct packet *packets = xcalloc(n, sizeof(*packets));

    for (uint32_t i = 0; i < n; i++) {
        packets[i].bytes = block_shred(b, type, first + i);
        packets[i].n = type == SHRED_DATA ? SHRED_DATA_B : SHRED_CODE_B;
        assert_non_null(packets[i].bytes);
    }
    insert_all(l, packets, n, n, ret);
}

static void lost_data_is_recovered(void **state)
{
    struct fixture *f = *state;
    AUTO(world_clear) struct world w = {0};
    struct ledger_result r;
    struct ledger_meta m;
    uint64_t missing[64];
    size_t n;

    world_make(&w, 1, 50, 1, 2);
    put(f->l, &w.blocks[0], SHRED_DATA, 0, 20, &r);
    put(f->l, &w.blocks[0], SHRED_CODE, 3, 11, &r);
    assert_int_equal(r.recovered, 0);
    assert_null(ledger_missing(f->l, 50, missing, 64, &n));
    assert_int_equal(n, 0); /* nothing above the 20th is known to be there */
    put(f->l, &w.blocks[0], SHRED_CODE, 31, 1, &r);
    assert_int_equal(r.recovered, 12);
    put(f->l, &w.blocks[0], SHRED_CODE, 32, 32, &r);
    assert_int_equal(r.recovered, 32);
    assert_int_equal(r.completed, 1);
    assert_int_equal(r.highest_completed, 50);
    assert_null(ledger_meta(f->l, 50, &m));
    assert_true(m.full);
    for (uint32_t i = 0; i < 64; i++) {
        uint8_t buf[SHRED_PACKET_B];

        assert_null(ledger_shred(f->l, SHRED_DATA, 50, i, buf, &n));
        assert_int_equal(n, SHRED_DATA_B);
        assert_memory_equal(buf, block_shred(&w.blocks[0], SHRED_DATA, i), SHRED_DATA_B);
    }
}

/* Makes a set's tree and signatures true again after its shreds were changed. */
static void sign_again(const struct ed25519_key *leader, struct shred_set *set)
{
    static uint8_t nodes[128][32];
    uint8_t signature[64];
    struct shred s;

    for (size_t i = 0; i < 64; i++) {
        uint8_t *p = i < 32 ? set->data[i] : set->code[i - 32];

        assert_int_equal(shred_parse(p, i < 32 ? SHRED_DATA_B : SHRED_CODE_B, &s), SHRED_OK);
        merkle_leaf(&s, nodes[i]);
    }
    merkle_tree_fill(nodes, 64);
    ed25519_sign(leader, nodes[126], 32, signature);
    for (size_t i = 0; i < 64; i++) {
        uint8_t *p = i < 32 ? set->data[i] : set->code[i - 32];

        assert_int_equal(shred_parse(p, i < 32 ? SHRED_DATA_B : SHRED_CODE_B, &s), SHRED_OK);
        merkle_proof((const uint8_t(*)[32])nodes, 64, i, p + (s.proof - s.bytes));
        memcpy(p, signature, 64);
        assert_true(merkle_verify(&s, leader->public));
    }
}

/* A leader whose code shreds are nonsense, properly signed: no nonsense is stored. */
static void a_false_code_recovers_nothing(void **state)
{
    struct fixture *f = *state;
    AUTO(world_clear) struct world w = {0};
    struct ledger_result r;
    struct ledger_meta m;

    world_make(&w, 1, 50, 1, 1);
    w.blocks[0].sets[0].code[5][500] ^= 1;
    sign_again(&w.shredder.leader, &w.blocks[0].sets[0]);
    put(f->l, &w.blocks[0], SHRED_CODE, 0, 32, &r);
    assert_true(r.inserted == 32 && r.recovered == 0 && r.refused == 0);
    AUTO(err_freep) struct err *e = ledger_meta(f->l, 50, &m);
    assert_int_equal(e->kind, ERR_NOTFOUND);
    put(f->l, &w.blocks[0], SHRED_DATA, 0, 32, &r);
    assert_int_equal(r.completed, 1);
}

static void chains_and_orphans(void **state)
{
    struct fixture *f = *state;
    AUTO(world_clear) struct world w = {0};
    struct ledger_result r;
    struct ledger_meta m;
    uint64_t slots[8];
    size_t n;

    world_make(&w, 3, 10, 2, 1); /* 10 ← 12 ← 14; parent of 10 is 9 */
    put(f->l, &w.blocks[2], SHRED_DATA, 0, 32, &r);
    assert_null(ledger_meta(f->l, 12, &m));
    assert_true(m.received == 0 && m.parent == LEDGER_UNKNOWN && m.children == 1);
    assert_null(ledger_orphans(f->l, slots, 8, &n));
    assert_true(n == 1 && slots[0] == 12);
    put(f->l, &w.blocks[1], SHRED_DATA, 0, 32, &r);
    assert_null(ledger_orphans(f->l, slots, 8, &n));
    assert_true(n == 1 && slots[0] == 10);
    assert_null(ledger_full_child(f->l, 10, slots));
    assert_int_equal(slots[0], 12);
    assert_null(ledger_connect(f->l, 9));
    assert_null(ledger_meta(f->l, 12, &m));
    assert_false(m.connected);
    put(f->l, &w.blocks[0], SHRED_DATA, 0, 32, &r);
    for (size_t i = 0; i < w.n; i++) {
        assert_null(ledger_meta(f->l, 10 + 2 * i, &m));
        assert_true(m.full && m.connected);
    }
    assert_null(ledger_children(f->l, 12, slots, 8, &n));
    assert_true(n == 1 && slots[0] == 14);
    AUTO(err_freep) struct err *e = ledger_full_child(f->l, 14, slots);
    assert_int_equal(e->kind, ERR_NOTFOUND);
    assert_null(ledger_set_dead(f->l, 12, true));
    AUTO(err_freep) struct err *dead = ledger_full_child(f->l, 10, slots);
    assert_int_equal(dead->kind, ERR_NOTFOUND);
    assert_null(ledger_orphans(f->l, slots, 8, &n));
    assert_true(n == 1 && slots[0] == 9); /* Agave, too, leaves the anchor's mark */
}

static void what_repair_asks(void **state)
{
    struct fixture *f = *state;
    AUTO(world_clear) struct world w = {0};
    struct ledger_result r;
    uint64_t missing[64], highest;
    uint8_t buf[SHRED_PACKET_B];
    size_t n;

    world_make(&w, 2, 30, 1, 2);
    AUTO(err_freep) struct err *empty = ledger_highest(f->l, &highest);
    assert_int_equal(empty->kind, ERR_NOTFOUND);
    put(f->l, &w.blocks[0], SHRED_DATA, 0, 10, &r);
    put(f->l, &w.blocks[0], SHRED_DATA, 12, 10, &r);
    assert_null(ledger_missing(f->l, 30, missing, 64, &n));
    assert_true(n == 2 && missing[0] == 10 && missing[1] == 11);
    put(f->l, &w.blocks[0], SHRED_DATA, 63, 1, &r);
    assert_null(ledger_missing(f->l, 30, missing, 64, &n));
    assert_true(n == 43 && missing[2] == 22 && missing[42] == 62);
    assert_null(ledger_missing(f->l, 30, missing, 5, &n));
    assert_int_equal(n, 5);
    put(f->l, &w.blocks[1], SHRED_DATA, 0, 64, &r);
    assert_null(ledger_incomplete(f->l, 0, UINT64_MAX, missing, 64, &n));
    assert_true(n == 1 && missing[0] == 30);
    assert_null(ledger_highest(f->l, &highest));
    assert_int_equal(highest, 31);
    assert_null(ledger_lowest(f->l, &highest));
    assert_int_equal(highest, 30);
    assert_null(ledger_highest_shred(f->l, 30, 40, buf, &n));
    assert_memory_equal(buf, block_shred(&w.blocks[0], SHRED_DATA, 63), n);
    AUTO(err_freep) struct err *beyond = ledger_highest_shred(f->l, 30, 64, buf, &n);
    assert_int_equal(beyond->kind, ERR_NOTFOUND);
}

static void entries_replay(void **state)
{
    struct fixture *f = *state;
    AUTO(world_clear) struct world w = {0};
    AUTO(freep) uint8_t *entries = NULL;
    AUTO(freep) size_t *lens = NULL;
    struct block_link link;
    struct ledger_result r;
    uint64_t ticks, total = 0;
    size_t n, at = 0;

    world_make(&w, 1, 30, 1, 3);
    put(f->l, &w.blocks[0], SHRED_DATA, 0, 95, &r);
    AUTO(err_freep) struct err *early = ledger_entries(f->l, 30, &entries, &lens, &n);
    assert_int_equal(early->kind, ERR_NOTFOUND);
    put(f->l, &w.blocks[0], SHRED_DATA, 95, 1, &r);
    assert_null(ledger_entries(f->l, 30, &entries, &lens, &n));
    assert_int_equal(n, 3);
    block_link_from_seed(1, &link);
    for (size_t i = 0; i < n; at += lens[i++], total += ticks)
        assert_null(entries_check(entries + at, lens[i], link.hash, &ticks));
    assert_int_equal(total, ENTRIES_TICKS_PER_SLOT);
}

static void roots_end_the_past(void **state)
{
    struct fixture *f = *state;
    AUTO(world_clear) struct world w = {0};
    struct ledger_result r;
    struct ledger_meta m;
    uint64_t shreds;

    world_make(&w, 4, 30, 1, 1);
    put(f->l, &w.blocks[0], SHRED_DATA, 0, 32, &r);
    put(f->l, &w.blocks[1], SHRED_DATA, 0, 32, &r);
    assert_null(ledger_set_roots(f->l, (uint64_t[]){30, 31}, 2));
    assert_int_equal(ledger_max_root(f->l), 31);
    put(f->l, &w.blocks[1], SHRED_CODE, 0, 32, &r);
    assert_true(r.inserted == 0 && r.refused == 32);
    put(f->l, &w.blocks[2], SHRED_DATA, 0, 32, &r);
    assert_int_equal(r.inserted, 32);
    assert_null(ledger_meta(f->l, 31, &m));
    assert_true(m.root && !m.dead);
    assert_null(ledger_data_shreds(f->l, &shreds));
    assert_int_equal(shreds, 96);
    assert_null(ledger_purge_below(f->l, 32));
    assert_null(ledger_data_shreds(f->l, &shreds));
    assert_int_equal(shreds, 32);
    AUTO(err_freep) struct err *gone = ledger_meta(f->l, 31, &m);
    assert_int_equal(gone->kind, ERR_NOTFOUND);
    assert_null(ledger_meta(f->l, 32, &m));
    /* Everything is as it was after a kill: no close, no sync. */
    ledger_freep(&f->l);
    assert_null(ledger_open(f->dir, &opts, &f->l));
    assert_null(ledger_meta(f->l, 32, &m));
    assert_int_equal(ledger_max_root(f->l), 0); /* its root was purged, as Agave's would be */
}

/* A leader that sends two versions of a block. */
static void the_second_version_is_refused(void **state)
{
    struct fixture *f = *state;
    AUTO(world_clear) struct world w = {0}, other = {0};
    struct ledger_result r;
    struct ledger_meta m;

    world_make(&w, 1, 30, 1, 2);
    world_make(&other, 1, 30, 1, 1);
    put(f->l, &w.blocks[0], SHRED_DATA, 0, 20, &r);
    put(f->l, &other.blocks[0], SHRED_DATA, 20, 12, &r);
    assert_true(r.inserted == 0 && r.refused == 12);
    assert_null(ledger_meta(f->l, 30, &m));
    assert_true(m.dead && m.consumed == 20);
    assert_null(ledger_set_dead(f->l, 30, false));
    assert_null(ledger_clear_slot(f->l, 30));
    assert_null(ledger_meta(f->l, 30, &m));
    assert_true(m.received == 0 && !m.dead);
    put(f->l, &other.blocks[0], SHRED_DATA, 0, 32, &r);
    assert_int_equal(r.inserted, 32);
    assert_null(ledger_meta(f->l, 30, &m));
    assert_true(m.full && !m.dead);
}

struct worker {
    pthread_t thread;
    struct ledger *l;
    const struct turbine *t;
    size_t first; /* every second packet from here */
    struct err *e;
};

static void *insert_half(void *arg)
{
    struct worker *w = arg;
    struct ledger_result r;

    for (size_t i = w->first; i < w->t->n && !w->e; i += 2)
        w->e = ledger_insert_packet(w->l, w->t->packets[i].bytes, w->t->packets[i].n, &r);
    return NULL;
}

static void two_threads_insert(void **state)
{
    struct fixture *f = *state;
    AUTO(turbine_clear) struct turbine t = {0};
    struct worker workers[2];
    struct ledger_meta m;
    uint64_t shreds;

    turbine_load(&t);
    for (size_t i = 0; i < 2; i++) {
        workers[i] = (struct worker){.l = f->l, .t = &t, .first = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, insert_half, &workers[i]), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_null(workers[i].e);
    }
    assert_null(ledger_data_shreds(f->l, &shreds));
    assert_int_equal(shreds, 321);
    for (uint64_t slot = 366; slot <= 367; slot++) {
        assert_null(ledger_meta(f->l, slot, &m));
        assert_true(m.full && m.children == 1);
    }
}

/* Code shreds of one set that describe it differently, under one root. */
static void an_erasure_conflict_is_proved(void **state)
{
    struct fixture *f = *state;
    AUTO(world_clear) struct world w = {0};
    AUTO(store_closep) struct store *s = NULL;
    AUTO(freep) char *path = xasprintf("%s/rocksdb", f->dir);
    AUTO(freep) uint8_t *proof = NULL;
    struct ledger_result r;
    size_t n;

    world_make(&w, 1, 50, 1, 1);
    put_le16(w.blocks[0].sets[0].code[7] + 85, 33); /* 33 code shreds, says the eighth */
    sign_again(&w.shredder.leader, &w.blocks[0].sets[0]);
    put(f->l, &w.blocks[0], SHRED_CODE, 0, 20, &r);
    assert_true(r.inserted == 19 && r.refused == 1);
    assert_null(ledger_close(f->l));
    f->l = NULL;
    assert_null(store_open(path, 0, &s));
    assert_null(store_get(s, CF_DUPLICATE_SLOTS, key_slot(50), &proof, &n));
    assert_non_null(proof);
    assert_int_equal(n, 2 * (8 + SHRED_CODE_B));
    assert_int_equal(get_le64(proof), SHRED_CODE_B);
    assert_memory_equal(proof + 8, block_shred(&w.blocks[0], SHRED_CODE, 0), SHRED_CODE_B);
    assert_memory_equal(proof + 16 + SHRED_CODE_B, block_shred(&w.blocks[0], SHRED_CODE, 7),
                        SHRED_CODE_B);
}

static void packets_and_locks(void **state)
{
    struct fixture *f = *state;
    struct ledger *second = NULL;
    struct ledger_result r;

    assert_null(ledger_insert_packet(f->l, (const uint8_t *)"nonsense", 8, &r));
    assert_true(r.refused == 1 && r.inserted == 0);
    AUTO(err_freep) struct err *e = ledger_open(f->dir, &opts, &second);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_REFUSED);
    assert_null(second);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(real_values_one_by_one),
        TEST(real_values_in_batches),
        TEST(lost_data_is_recovered),
        TEST(a_false_code_recovers_nothing),
        TEST(chains_and_orphans),
        TEST(what_repair_asks),
        TEST(entries_replay),
        TEST(roots_end_the_past),
        TEST(the_second_version_is_refused),
        TEST(an_erasure_conflict_is_proved),
        TEST(two_threads_insert),
        TEST(packets_and_locks),
    };
    AUTO(rocksdb_api_closep) struct rocksdb_api *a = NULL;
    AUTO(err_freep) struct err *e = rocksdb_api_open(&a);

    if (e) {
        /* For the whole program: cmocka's own skip() is "not ok" in TAP. */
        printf("# not real: rocksdb: %s\n1..0 # SKIP no RocksDB\n", e->text);
        return 0;
    }
    printf("# real: rocksdb: %s\n", a->version);
    return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
