/* solana/snapshot_name: names that a validator takes, names that it does not, and the pair that it
 * would start from. */
#include "solana/snapshot_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>

#include "base/str.h"
#include "tests/unit/solana/recordings.h"

#define HASH  "5vz4jENNJdy3VU1fUMjz9qomfbEaExGFtyJtmcTtQDYq"
#define HASH2 "3kZy2zZ3QQDmdAadiZe4pCsP8ZS8MU4pRcRsVZUxVVfF"

static void assert_err(struct err *e, enum err_kind kind, const char *part)
{
    assert_non_null(e);
    if (e->kind != kind || !strstr(e->text, part))
        fail_msg("'%s' (%s) instead of '%s'", e->text, err_kind_name(e->kind), part);
    err_free(e);
}

static void good_names(void **state)
{
    static const struct {
        const char *text;
        bool incremental, legacy;
        uint64_t base, slot;
    } good[] = {
        {"snapshot-802-" HASH ".tar.zst", false, false, 0, 802},
        {"snapshot-802-" HASH ".tar.lz4", false, false, 0, 802},
        {"snapshot-0-" HASH ".tar.zst", false, false, 0, 0},
        {"snapshot-18446744073709551614-" HASH ".tar.zst", false, false, 0, UINT64_MAX - 1},
        {"snapshot-1-11111111111111111111111111111111.tar.zst", false, false, 0, 1},
        {"incremental-snapshot-802-1202-" HASH ".tar.zst", true, false, 802, 1202},
        {"snapshot-802-" HASH ".tar", false, true, 0, 802},
        {"snapshot-802-" HASH ".tar.bz2", false, true, 0, 802},
        {"snapshot-802-" HASH ".tar.gz", false, true, 0, 802},
    };

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct snapshot_name n;
        char buf[SNAPSHOT_NAME_MAX];

        assert_null(snapshot_name_parse(good[i].text, &n));
        assert_int_equal(n.incremental, good[i].incremental);
        assert_int_equal(n.legacy, good[i].legacy);
        assert_true(n.base == good[i].base && n.slot == good[i].slot);
        assert_string_equal(snapshot_name_format(&n, buf), good[i].text);
    }
}

static void bad_names(void **state)
{
    static const char *const bad[] = {
        "",
        "snapshot-",
        "snapshot-802",
        "snapshot-802-",
        "snapshot-802-.tar.zst",
        "snapshot--" HASH ".tar.zst",
        "snapshot-x-" HASH ".tar.zst",
        "snapshot-+1-" HASH ".tar.zst",
        "snapshot- 1-" HASH ".tar.zst",
        "snapshot-1e3-" HASH ".tar.zst",
        "snapshot-18446744073709551615-" HASH ".tar.zst", /* "none" */
        "snapshot-18446744073709551616-" HASH ".tar.zst",
        "snapshot-802-" HASH,
        "snapshot-802-" HASH ".",
        "snapshot-802-" HASH ".tar.zst.part",
        "snapshot-802-" HASH ".tar.zstd",
        "snapshot-802-" HASH ".zst",
        "snapshot-802-0OIl4jENNJdy3VU1fUMjz9qomfbEaExGFtyJtmcTtQDYq.tar.zst", /* no base58 */
        "snapshot-802-abc.tar.zst",                                           /* 3 bytes */
        "snapshot-802-" HASH "1.tar.zst",                                     /* 33 bytes */
        "tmp-snapshot-802-" HASH ".tar.zst",
        "tmp-snapshot-archive-802-x.tar.zst",
        " snapshot-802-" HASH ".tar.zst",
        "Snapshot-802-" HASH ".tar.zst",
        "../snapshot-802-" HASH ".tar.zst",
        "incremental-snapshot-802-" HASH ".tar.zst",
        "incremental-snapshot-802-802-" HASH ".tar.zst",
        "incremental-snapshot-1202-802-" HASH ".tar.zst",
        "incremental-snapshot--802-" HASH ".tar.zst",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct snapshot_name n = {.slot = 99};

        assert_err(snapshot_name_parse(bad[i], &n), ERR_BADINPUT, "is not the name of a snapshot");
        assert_int_equal(n.slot, 99);
    }
}

static void names_that_real_nodes_serve(void **state)
{
    size_t n_full = 0, n_incremental = 0;

    for (size_t node = 0; node < ARRAY_LEN(recorded_nodes); node++) {
        AUTO(json_freep) struct json *all = recording(recorded_nodes[node], "http_snapshots");

        for (size_t i = 0; i < json_len(all); i++) {
            const struct json *headers = json_get(json_at(all, i), "headers");
            const char *location = NULL;
            struct snapshot_name n;

            if (!json_get(headers, "location"))
                continue;
            assert_null(json_as_str(json_get(headers, "location"), &location));
            assert_null(snapshot_name_parse(location + 1, &n));
            n_full += !n.incremental;
            n_incremental += n.incremental;
        }
    }
    assert_true(n_full >= 6);
    assert_int_equal(n_incremental, 2);
}

/* ---- folders --------------------------------------------------------------------------------- */

static char root_dir[64];
static struct fsroot *root;

static int make_root(void **state)
{
    snprintf(root_dir, sizeof(root_dir), "/tmp/agavectl-names-XXXXXX");
    if (!mkdtemp(root_dir))
        return -1;
    return fsroot_open(root_dir, &root) ? -1 : 0;
}

static int remove_root(void **state)
{
    static const char *const dirs[] = {"/s/remote", "/s"};

    for (size_t d = 0; d < ARRAY_LEN(dirs); d++) {
        AUTO(strlist_clear) struct strlist names = {0};
        struct err *e = fsroot_list(root, dirs[d], &names);

        for (size_t i = 0; i < names.n; i++) {
            AUTO(freep) char *path = xasprintf("%s/%s", dirs[d], names.items[i]);
            struct err *gone = fsroot_unlink(root, path);

            if (gone)
                gone = err_free(gone), gone = fsroot_rmdir(root, path);
            err_free(gone);
        }
        err_free(e);
        err_free(fsroot_rmdir(root, dirs[d]));
    }
    root = fsroot_close(root);
    return rmdir(root_dir);
}

static void put(const char *path)
{
    int fd = -1;

    assert_null(fsroot_openat(root, path, O_WRONLY | O_CREAT | O_EXCL, 0644, &fd));
    assert_int_equal(write(fd, "12345", 5), 5);
    close(fd);
}

static void no_folder_and_an_empty_one(void **state)
{
    AUTO(snapshot_dir_clear) struct snapshot_dir d = {0};

    assert_err(snapshot_dir_scan(root, "/s", &d), ERR_NOTFOUND, "snapshots: ");
    assert_null(fsroot_mkdirs(root, "/s", 0755));
    assert_null(snapshot_dir_scan(root, "/s", &d));
    assert_false(d.has_full || d.has_incremental);
}

static void the_best_pair(void **state)
{
    AUTO(snapshot_dir_clear) struct snapshot_dir d = {0};

    assert_null(fsroot_mkdirs(root, "/s/remote", 0755));
    put("/s/snapshot-99-" HASH ".tar.zst"); /* higher as text only */
    put("/s/snapshot-802-" HASH ".tar.zst");
    put("/s/snapshot-2000-" HASH ".tar.bz2");                /* 3.0 does not see it */
    put("/s/tmp-snapshot-3000-" HASH ".tar.zst");            /* not whole */
    put("/s/incremental-snapshot-99-5000-" HASH ".tar.zst"); /* another base */
    put("/s/incremental-snapshot-802-902-" HASH ".tar.zst");
    put("/s/remote/incremental-snapshot-802-1102-" HASH2 ".tar.lz4");
    put("/s/notes.txt");
    assert_null(fsroot_mkdirs(root, "/s/snapshot-4000-" HASH ".tar.zst", 0755)); /* no file */
    assert_null(snapshot_dir_scan(root, "/s", &d));
    assert_true(d.has_full && d.has_incremental);
    assert_int_equal(d.full.name.slot, 802);
    assert_string_equal(d.full.path, "/s/snapshot-802-" HASH ".tar.zst");
    assert_int_equal(d.full.size_b, 5);
    assert_int_equal(d.incremental.name.slot, 1102);
    assert_string_equal(d.incremental.path,
                        "/s/remote/incremental-snapshot-802-1102-" HASH2 ".tar.lz4");
    assert_int_equal(d.n_legacy, 1);
}

static void a_newer_full_one_orphans_the_incremental(void **state)
{
    AUTO(snapshot_dir_clear) struct snapshot_dir d = {0};

    assert_null(fsroot_mkdirs(root, "/s/remote", 0755));
    put("/s/snapshot-802-" HASH ".tar.zst");
    put("/s/incremental-snapshot-802-1102-" HASH ".tar.zst");
    put("/s/remote/snapshot-1000-" HASH2 ".tar.zst");
    assert_null(snapshot_dir_scan(root, "/s", &d));
    assert_int_equal(d.full.name.slot, 1000);
    assert_false(d.has_incremental);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_names),
        cmocka_unit_test(bad_names),
        cmocka_unit_test(names_that_real_nodes_serve),
        cmocka_unit_test_setup_teardown(no_folder_and_an_empty_one, make_root, remove_root),
        cmocka_unit_test_setup_teardown(the_best_pair, make_root, remove_root),
        cmocka_unit_test_setup_teardown(a_newer_full_one_orphans_the_incremental, make_root,
                                        remove_root),
    };

    return cmocka_run_group_tests_name("snapshot_name", tests, NULL, NULL);
}
