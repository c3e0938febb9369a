/* lab/node/snapshot_maker: deterministic, accepted by the verifier, and read by an independent
 * unpacker.
 */
#include "lab/node/snapshot_maker.h"

#include "base/str.h"
#include "io/fsroot.h"
#include "solana/snapshot_archive.h"
#include "solana/snapshot_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct place {
    char dir[32];
    struct fsroot *root;
};

static int setup(void **state)
{
    struct place *p = xcalloc(1, sizeof(*p));

    snprintf(p->dir, sizeof(p->dir), "/tmp/agavectl-test-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    assert_null(fsroot_open("/", &p->root));
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    AUTO(strlist_clear) struct strlist names = {0};

    assert_null(fsroot_list(p->root, p->dir, &names));
    for (size_t i = 0; i < names.n; i++) {
        AUTO(freep) char *path = xasprintf("%s/%s", p->dir, names.items[i]);

        unlink(path);
    }
    rmdir(p->dir);
    fsroot_close(p->root);
    free(p);
    return 0;
}

static char *make(const struct place *p, const struct snapshot_maker_spec *spec)
{
    AUTO(freep) char *name = NULL, *want = snapshot_maker_name(spec);

    assert_null(snapshot_maker_write(p->dir, spec, &name));
    assert_string_equal(name, want);
    return xasprintf("%s/%s", p->dir, name);
}

static void full_and_incremental_are_accepted(void **state)
{
    const struct place *p = *state;
    static const struct snapshot_maker_spec specs[] = {
        {.seed = 1, .slot = 100},
        {.seed = 1, .slot = 1},
        {.seed = 1, .slot = 1300, .base = 1200},
        {.seed = 1, .slot = 1201, .base = 1200, .accounts_files = 50, .accounts_b = 1},
        {.seed = 2, .slot = 400000000, .bank_b = 300000, .accounts_b = 200000, .compressible = 1},
        {.seed = 3, .slot = 5, .bank_b = 1, .accounts_files = 1, .compressible = 0.5},
    };
    struct ctx ctx = {.root = p->root};

    for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
        AUTO(freep) char *path = make(p, &specs[i]);
        uint32_t files = specs[i].accounts_files ? specs[i].accounts_files : 3;
        struct snapcheck_report report;

        assert_null(snapshot_archive_verify_file(
            &ctx, path, &(struct snapcheck_limits){.hash_must = true}, NULL, NULL, &report));
        assert_int_equal(report.full, specs[i].base == 0);
        assert_true(report.slot == specs[i].slot);
        assert_int_equal(report.accounts_files, files);
        assert_int_equal(report.accounts_b,
                         files * (specs[i].accounts_b ? specs[i].accounts_b : 65536));
    }
}

static void the_same_spec_gives_the_same_bytes(void **state)
{
    const struct place *p = *state;
    struct snapshot_maker_spec spec = {.seed = 7, .slot = 800, .compressible = 0.3};
    AUTO(freep) char *path = make(p, &spec), *a = NULL, *b = NULL, *c = NULL, *again = NULL;
    AUTO(freep) char *other = NULL;
    size_t a_n, b_n, c_n;

    assert_null(fsroot_read(p->root, path, 10 << 20, &a, &a_n));
    again = make(p, &spec);
    assert_string_equal(path, again);
    assert_null(fsroot_read(p->root, path, 10 << 20, &b, &b_n));
    assert_int_equal(a_n, b_n);
    assert_memory_equal(a, b, a_n);
    spec.seed = 8;
    other = make(p, &spec);
    assert_string_not_equal(path, other);
    assert_null(fsroot_read(p->root, other, 10 << 20, &c, &c_n));
    assert_true(a_n != c_n || memcmp(a, c, a_n) != 0);
}

/* The hash is the bank's: a full and an incremental archive of one slot carry the same. */
static void one_bank_one_hash(void **state)
{
    struct snapshot_name full, incr;
    AUTO(freep)
    char *a = snapshot_maker_name(&(struct snapshot_maker_spec){.seed = 1, .slot = 900});
    AUTO(freep)
    char *b =
        snapshot_maker_name(&(struct snapshot_maker_spec){.seed = 1, .slot = 900, .base = 800});

    assert_null(snapshot_name_parse(a, &full));
    assert_null(snapshot_name_parse(b, &incr));
    assert_string_equal(full.hash, incr.hash);
    assert_int_equal(incr.base, 800);
}

static void size_follows_the_spec(void **state)
{
    const struct place *p = *state;
    struct snapshot_maker_spec spec = {.seed = 1, .slot = 9, .accounts_b = 1 << 20};
    AUTO(freep) char *path = make(p, &spec), *small = NULL;
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    assert_in_range(st.st_size, 3 << 20, (3 << 20) + 200000);
    spec.compressible = 1;
    small = make(p, &spec);
    assert_int_equal(stat(small, &st), 0);
    assert_in_range(st.st_size, 1000, 100000);
}

static void what_cannot_be_made(void **state)
{
    const struct place *p = *state;
    AUTO(freep) char *name = NULL;
    AUTO(err_freep)
    struct err *e = snapshot_maker_write(
        p->dir, &(struct snapshot_maker_spec){.seed = 1, .slot = 5, .base = 5}, &name);
    AUTO(err_freep)
    struct err *e2 = snapshot_maker_write(
        "/tmp/agavectl-test-none", &(struct snapshot_maker_spec){.seed = 1, .slot = 5}, &name);

    assert_non_null(e);
    assert_int_equal(e->kind, ERR_BADINPUT);
    assert_non_null(e2);
    assert_int_equal(e2->kind, ERR_SYS);
    assert_null(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(full_and_incremental_are_accepted, setup, teardown),
        cmocka_unit_test_setup_teardown(the_same_spec_gives_the_same_bytes, setup, teardown),
        cmocka_unit_test(one_bank_one_hash),
        cmocka_unit_test_setup_teardown(size_follows_the_spec, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_made, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
