/* look/boot_proof: what is written is read back; what is not a proof is none. */
#include "look/boot_proof.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"
#include "fixture.h"
#include "io/fsroot.h"

#define ID_A "0c3f0b0e-7d9e-4a54-9a0e-1f2d3c4b5a69"
#define ID_B "1c3f0b0e-7d9e-4a54-9a0e-1f2d3c4b5a69"

static void new_host(struct fixture *f)
{
    fixture_new(f);
    fixture_put(f, "/proc/sys/kernel/random/boot_id", ID_A "\n");
}

static struct boot_proof some_proof(void)
{
    return (struct boot_proof){
        .schema_version = 1,
        .boot_id = ID_A,
        .formatted_at = 1795420000,
        .mounted_at = 1795420001,
        .owned_at = 1795420002,
        .node_seen_at = 1795420003,
        .volume = {xstrdup("/dev/zvol/tank/solana"), 230, 16, 1ULL << 40},
        .ramdisk = {NULL, 0, 51, 0},
        .accounts_dev = 51,
        .accounts_ino = UINT64_MAX,
        .left = BOOT_LEFT_UNCLEAN,
        .disabled = xstrdup("'/a' is now '/b'"),
        .unseen = xstrdup("the pod"),
    };
}

static void what_is_written_is_read(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(boot_proof_clear) struct boot_proof p = some_proof();
    AUTO(boot_proof_clear) struct boot_proof q = {0};

    new_host(&f);
    assert_ok(boot_proof_write(&f.ctx, BOOT_PROOF_PATH, &p));
    assert_ok(boot_proof_read(&f.ctx, BOOT_PROOF_PATH, &q));
    assert_string_equal(q.boot_id, ID_A);
    assert_int_equal(q.formatted_at, p.formatted_at);
    assert_int_equal(q.mounted_at, p.mounted_at);
    assert_int_equal(q.owned_at, p.owned_at);
    assert_int_equal(q.node_seen_at, p.node_seen_at);
    assert_int_equal(q.pod_seen_at, 0);
    assert_string_equal(q.volume.path, p.volume.path);
    assert_int_equal(q.volume.major, 230);
    assert_int_equal(q.volume.minor, 16);
    assert_true(q.volume.size_b == p.volume.size_b);
    assert_null(q.ramdisk.path);
    assert_int_equal(q.ramdisk.minor, 51);
    assert_true(q.accounts_ino == UINT64_MAX);
    assert_int_equal(q.left, BOOT_LEFT_UNCLEAN);
    assert_string_equal(q.disabled, p.disabled);
    assert_null(q.failed);
    assert_string_equal(q.unseen, "the pod");
}

/* Each line is one fault in an otherwise whole proof. */
static void what_is_no_proof_is_told(void **state)
{
    static const struct {
        const char *key, *value, *says;
    } faults[] = {
        {"schema_version", "2", "schema version 2"},
        {"schema_version", "\"1\"", "schema_version"},
        {"boot_id", "\"0c3f\"", "boot id"},
        {"boot_id", "null", "boot id"},
        {"boot_id", "\"0C3F0B0E-7D9E-4A54-9A0E-1F2D3C4B5A69\"", "boot id"},
        {"mounted_at", "-1", "mounted_at"},
        {"mounted_at", "1.5", "mounted_at"},
        {"mounted_at", "253402300800", "larger"},
        {"volume", "[]", "'volume' is no object"},
        {"volume", "{\"path\":null,\"major\":4294967296,\"minor\":0,\"size_b\":0}", "'major'"},
        {"volume", "{\"path\":null,\"minor\":0,\"size_b\":0}", "no 'major'"},
        {"ramdisk", "{\"path\":7,\"major\":0,\"minor\":0,\"size_b\":0}", "'path'"},
        {"accounts", "null", "'accounts' is no object"},
        {"left", "\"maybe\"", "'left'"},
        {"left", "true", "'left'"},
        {"failed", "\"\\u001b[2J\"", "'failed'"},
        {"failed", "\"\"", "'failed'"},
        {"unseen", "{}", "'unseen'"},
    };
    AUTO(boot_proof_clear) struct boot_proof p = some_proof();

    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        AUTO(json_freep) struct json *whole = boot_proof_json(&p);
        struct json *bad = NULL;
        AUTO(boot_proof_clear) struct boot_proof q = {0};

        assert_ok(json_parse(faults[i].value, strlen(faults[i].value), &bad));
        json_put(whole, faults[i].key, bad);
        AUTO(freep) char *text = json_text(whole, false);
        assert_err(boot_proof_parse(text, strlen(text), "p", &q), ERR_CORRUPT, faults[i].says);
        assert_null(q.volume.path);
    }
}

static void every_member_is_needed(void **state)
{
    AUTO(boot_proof_clear) struct boot_proof p = some_proof();
    AUTO(json_freep) struct json *whole = boot_proof_json(&p);
    AUTO(strlist_clear) struct strlist keys = {0};

    json_keys(whole, &keys);
    assert_int_equal(keys.n, 14);
    for (size_t left_out = 0; left_out < keys.n; left_out++) {
        AUTO(json_freep) struct json *less = json_new_object();
        AUTO(boot_proof_clear) struct boot_proof q = {0};

        for (size_t i = 0; i < keys.n; i++)
            if (i != left_out)
                json_put(less, keys.items[i], json_ref(json_get(whole, keys.items[i])));
        AUTO(freep) char *text = json_text(less, false);
        assert_err(boot_proof_parse(text, strlen(text), "p", &q), ERR_CORRUPT,
                   keys.items[left_out]);
    }
}

static void a_proof_of_another_boot_is_not_this_ones(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(boot_proof_clear) struct boot_proof p = some_proof();
    AUTO(boot_proof_clear) struct boot_proof q = {0};
    AUTO(freep) char *damaged = NULL;

    new_host(&f);
    assert_ok(boot_proof_write(&f.ctx, BOOT_PROOF_PATH, &p));
    assert_ok(boot_proof_now(&f.ctx, &q, &damaged));
    assert_int_equal(q.formatted_at, p.formatted_at);
    boot_proof_clear(&q);
    fixture_put(&f, "/proc/sys/kernel/random/boot_id", ID_B "\n");
    assert_ok(boot_proof_now(&f.ctx, &q, &damaged));
    assert_null(damaged);
    assert_string_equal(q.boot_id, ID_B);
    assert_int_equal(q.formatted_at, 0);
}

static void a_damaged_one_is_replaced_and_told(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    AUTO(boot_proof_clear) struct boot_proof q = {0};
    AUTO(freep) char *damaged = NULL, *large = xmalloc(BOOT_PROOF_MAX_B + 2);

    new_host(&f);
    fixture_put(&f, BOOT_PROOF_PATH, "%s", "{\"schema_version\":1");
    assert_ok(boot_proof_now(&f.ctx, &q, &damaged));
    assert_non_null(damaged);
    assert_string_equal(q.boot_id, ID_A);
    memset(large, ' ', BOOT_PROOF_MAX_B + 1);
    large[BOOT_PROOF_MAX_B + 1] = '\0';
    fixture_put(&f, BOOT_PROOF_PATH, "%s", large);
    assert_err(boot_proof_read(&f.ctx, BOOT_PROOF_PATH, &q), ERR_CORRUPT, "too large");
    assert_ok(fsroot_unlink(f.ctx.root, BOOT_PROOF_PATH));
    assert_err(boot_proof_read(&f.ctx, BOOT_PROOF_PATH, &q), ERR_NOTFOUND, "boot.json");
}

static void a_boot_id_is_one(void **state)
{
    AUTO(fixture_clear) struct fixture f = {0};
    char id[40];

    new_host(&f);
    assert_ok(boot_id_read(&f.ctx, id));
    assert_string_equal(id, ID_A);
    fixture_put(&f, "/proc/sys/kernel/random/boot_id", "0c3f0b0e-7d9e\n");
    assert_err(boot_id_read(&f.ctx, id), ERR_CORRUPT, "boot id");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_is_no_proof_is_told),
        cmocka_unit_test(every_member_is_needed),
        cmocka_unit_test(a_proof_of_another_boot_is_not_this_ones),
        cmocka_unit_test(a_damaged_one_is_replaced_and_told),
        cmocka_unit_test(a_boot_id_is_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
