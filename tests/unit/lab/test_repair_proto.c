/* lab/repair_proto, lab/hello and lab/genesis: what the lab's programs say to each other. */
#include "lab/node/repair_proto.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "lab/node/genesis.h"
#include "lab/node/hello.h"
#include "solana/genesis_archive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define NOW_MS 1795394773526u

static struct ed25519_key key_of(uint8_t byte)
{
    uint8_t seed[ED25519_SEED_B];
    struct ed25519_key key;

    memset(seed, byte, sizeof(seed));
    ed25519_from_seed(seed, &key);
    return key;
}

static size_t request(enum repair_kind kind, uint8_t packet[REPAIR_REQUEST_MAX])
{
    struct ed25519_key asker = key_of(1), server = key_of(2);
    struct repair_request r = {
        .kind = kind, .at_ms = NOW_MS, .nonce = 0xa1b2c3d4, .slot = 0x1122334455, .index = 7};

    memcpy(r.recipient, server.public, 32);
    return repair_encode(&r, &asker, packet);
}

static void layout_is_agaves(void **state)
{
    struct ed25519_key asker = key_of(1), server = key_of(2);
    uint8_t packet[REPAIR_REQUEST_MAX];

    assert_int_equal(request(REPAIR_WINDOW_INDEX, packet), 160);
    assert_int_equal(get_le32(packet), 8);
    assert_memory_equal(packet + 68, asker.public, 32);
    assert_memory_equal(packet + 100, server.public, 32);
    assert_int_equal(get_le64(packet + 132), NOW_MS);
    assert_int_equal(get_le32(packet + 140), 0xa1b2c3d4);
    assert_int_equal(get_le64(packet + 144), 0x1122334455);
    assert_int_equal(get_le64(packet + 152), 7);
    assert_int_equal(request(REPAIR_HIGHEST_WINDOW_INDEX, packet), 160);
    assert_int_equal(get_le32(packet), 9);
    assert_int_equal(request(REPAIR_ORPHAN, packet), 152);
    assert_int_equal(get_le32(packet), 10);
}

static void what_is_sent_arrives(void **state)
{
    static const enum repair_kind kinds[] = {REPAIR_WINDOW_INDEX, REPAIR_HIGHEST_WINDOW_INDEX,
                                             REPAIR_ORPHAN};
    struct ed25519_key server = key_of(2);

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        uint8_t packet[REPAIR_REQUEST_MAX];
        struct repair_request r;
        size_t n = request(kinds[i], packet);

        assert_int_equal(repair_decode(packet, n, server.public, NOW_MS + 5, &r), REPAIR_OK);
        assert_int_equal(r.kind, kinds[i]);
        assert_int_equal(r.slot, 0x1122334455);
        assert_int_equal(r.index, kinds[i] == REPAIR_ORPHAN ? 0 : 7);
        assert_int_equal(r.nonce, 0xa1b2c3d4);
    }
}

static void every_changed_byte_is_refused(void **state)
{
    struct ed25519_key server = key_of(2);
    uint8_t packet[REPAIR_REQUEST_MAX];
    struct repair_request r;
    size_t n = request(REPAIR_WINDOW_INDEX, packet);

    for (size_t i = 0; i < n; i++) {
        packet[i] ^= 1;
        assert_int_not_equal(repair_decode(packet, n, server.public, NOW_MS, &r), REPAIR_OK);
        packet[i] ^= 1;
    }
    for (size_t short_n = 0; short_n < n; short_n++)
        assert_int_equal(repair_decode(packet, short_n, server.public, NOW_MS, &r),
                         REPAIR_MALFORMED);
}

static void others_and_old_ones_are_refused(void **state)
{
    struct ed25519_key server = key_of(2), other = key_of(3);
    uint8_t packet[REPAIR_REQUEST_MAX];
    struct repair_request r;
    size_t n = request(REPAIR_ORPHAN, packet);

    assert_int_equal(repair_decode(packet, n, other.public, NOW_MS, &r), REPAIR_NOT_FOR_US);
    assert_int_equal(repair_decode(packet, n, server.public, NOW_MS + 600001, &r),
                     REPAIR_TIME_SKEW);
    assert_int_equal(repair_decode(packet, n, server.public, NOW_MS - 600001, &r),
                     REPAIR_TIME_SKEW);
    assert_int_equal(repair_decode(packet, n, server.public, NOW_MS - 600000, &r), REPAIR_OK);
}

static void hello_arrives(void **state)
{
    struct hello h = {
        .shred_version = 34608, .repair_port = 8013, .rpc_port = 8899, .slot_us = 100};
    struct hello got;
    uint8_t buf[HELLO_B];

    memset(h.leader, 9, 32);
    assert_int_equal(hello_encode(&h, buf), HELLO_B);
    assert_true(hello_decode(buf, HELLO_B, &got));
    assert_memory_equal(h.leader, got.leader, sizeof(h.leader)); /* not as a whole: padding */
    assert_int_equal(got.shred_version, 34608);
    assert_int_equal(got.repair_port, 8013);
    assert_int_equal(got.rpc_port, 8899);
    assert_int_equal(got.slot_us, 100);
    assert_false(hello_decode(buf, HELLO_B - 1, &got));
    buf[0] ^= 1;
    assert_false(hello_decode(buf, HELLO_B, &got));
}

/* What agavectl says of the archive. */
static void archive_hash(const char *path, char ret[static BASE58_32_MAX])
{
    uint8_t data[16384];
    FILE *f = fopen(path, "rb");
    size_t n;

    assert_non_null(f);
    n = fread(data, 1, sizeof(data), f);
    fclose(f);
    assert_null(genesis_archive_hash(data, n, ret));
}

static void genesis_is_the_seeds(void **state)
{
    char dir[] = "/tmp/agavectl-genesis-XXXXXX";
    AUTO(freep) char *bin = NULL;
    AUTO(freep) char *archive = NULL;
    struct genesis made, loaded, other;
    char hash[BASE58_32_MAX], want[BASE58_32_MAX];
    struct err *e;

    assert_non_null(mkdtemp(dir));
    bin = xasprintf("%s/genesis.bin", dir);
    archive = xasprintf("%s/genesis.tar.bz2", dir);
    e = genesis_load(dir, &loaded);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_NOTFOUND);
    err_free(e);
    assert_null(genesis_write(dir, 5));
    assert_null(genesis_load(dir, &loaded));
    genesis_from_seed(5, &made);
    genesis_from_seed(6, &other);
    assert_memory_equal(&made, &loaded, sizeof(made));
    assert_memory_not_equal(made.hash, other.hash, 32);
    archive_hash(archive, hash);
    base58_encode32(made.hash, want);
    assert_string_equal(hash, want);
    assert_int_equal(unlink(bin), 0);
    assert_int_equal(unlink(archive), 0);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout_is_agaves),
        cmocka_unit_test(what_is_sent_arrives),
        cmocka_unit_test(every_changed_byte_is_refused),
        cmocka_unit_test(others_and_old_ones_are_refused),
        cmocka_unit_test(hello_arrives),
        cmocka_unit_test(genesis_is_the_seeds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
