/* solana/rocksdb_api: which versions, which files may be loaded, and what is said when none is. */
#include "solana/rocksdb_api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "base/str.h"

/* The variables that decide, as they were when the program began. */
static const char *const deciding[] = {"AGAVECTL_ROCKSDB", "XDG_CACHE_HOME", "HOME", "SUDO_USER"};

struct saved {
    char *values[ARRAY_LEN(deciding)];
    char dir[64];
};

static int setup(void **state)
{
    struct saved *s = xcalloc(1, sizeof(*s));

    for (size_t i = 0; i < ARRAY_LEN(deciding); i++)
        if (getenv(deciding[i]))
            s->values[i] = xstrdup(getenv(deciding[i]));
    snprintf(s->dir, sizeof(s->dir), "/tmp/test-rocksdb-api-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct saved *s = *state;

    for (size_t i = 0; i < ARRAY_LEN(deciding); i++) {
        if (s->values[i])
            setenv(deciding[i], s->values[i], 1);
        else
            unsetenv(deciding[i]);
        free(s->values[i]);
    }
    rmdir(s->dir);
    free(s);
    return 0;
}

static void versions(void **state)
{
    static const char *const good[] = {"8.6.7",  "8.10.0", "8.11.4",     "9.0.0", "9.9.3",
                                       "10.4.2", "11.8.1", "10.5.0-dev", "12.0.0"};
    static const char *const bad[] = {"7.8.3", "8.5.4", "8.1.1", "11.0.4", "11.7.9",
                                      "6.29",  "",      "x",     "8",      "unknown"};

    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(rocksdb_version_usable(good[i]));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(rocksdb_version_usable(bad[i]));
}

static void refuse(const char *path, mode_t mode, enum err_kind kind, const char *part)
{
    struct rocksdb_api *a = NULL;
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    fputs("this is not a library\n", f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
    setenv("AGAVECTL_ROCKSDB", path, 1);
    AUTO(err_freep) struct err *e = rocksdb_api_open(&a);
    assert_non_null(e);
    assert_null(a);
    assert_int_equal(e->kind, kind);
    assert_non_null(strstr(e->text, part));
    unlink(path);
}

static void files_that_are_not_loaded(void **state)
{
    const struct saved *s = *state;
    AUTO(freep) char *path = xasprintf("%s/lib.so", s->dir);
    struct rocksdb_api *a = NULL;

    refuse(path, 0644, ERR_ABSENT, "cannot load");
    refuse(path, 0666, ERR_REFUSED, "others may write it");
    refuse(path, 0664, ERR_REFUSED, "others may write it");
    setenv("AGAVECTL_ROCKSDB", s->dir, 1);
    AUTO(err_freep) struct err *folder = rocksdb_api_open(&a);
    assert_int_equal(folder->kind, ERR_REFUSED);
    setenv("AGAVECTL_ROCKSDB", "/nonexistent/librocksdb.so", 1);
    AUTO(err_freep) struct err *gone = rocksdb_api_open(&a);
    assert_int_equal(gone->kind, ERR_ABSENT);
    assert_int_equal(err_exit_code(gone), 6);
}

static void foreign_owner(void **state)
{
    const struct saved *s = *state;
    AUTO(freep) char *path = xasprintf("%s/lib.so", s->dir);
    struct rocksdb_api *a = NULL;

    if (geteuid() != 0)
        return;
    fclose(fopen(path, "we"));
    assert_int_equal(chown(path, 12345, 12345), 0);
    setenv("AGAVECTL_ROCKSDB", path, 1);
    AUTO(err_freep) struct err *e = rocksdb_api_open(&a);
    assert_int_equal(e->kind, ERR_REFUSED);
    assert_non_null(strstr(e->text, "belongs to uid 12345"));
    unlink(path);
}

static void absent(void **state)
{
    const struct saved *s = *state;
    struct rocksdb_api *a = NULL;

    unsetenv("AGAVECTL_ROCKSDB");
    unsetenv("SUDO_USER");
    setenv("XDG_CACHE_HOME", s->dir, 1);
    AUTO(err_freep) struct err *e = rocksdb_api_open(&a);
    if (!e) { /* a usable library of the distribution: nothing is absent here */
        a = rocksdb_api_close(a);
        return;
    }
    assert_string_equal(e->text, "RocksDB is not on this machine; run tools/get-rocksdb");
    assert_int_equal(err_exit_code(e), 6);
}

static void loads(void **state)
{
    AUTO(rocksdb_api_closep) struct rocksdb_api *a = NULL;
    AUTO(err_freep) struct err *e = rocksdb_api_open(&a);
    char *text = NULL;
    size_t n = 0;

    if (e) {
        printf("# not real: rocksdb: %s\n", e->text);
        return;
    }
    printf("# real: rocksdb: %s\n", a->version);
    assert_true(rocksdb_version_usable(a->version));
    struct rdb_options *o = a->options_create();
    char **names = a->list_column_families(o, "/nonexistent", &n, &text);
    assert_int_equal(n, 0);
    a->list_column_families_destroy(names, n); /* it is not NULL after a failure */
    AUTO(err_freep) struct err *said = rocksdb_api_fail(a, ERR_CORRUPT, text, "list '%s'", "x");
    assert_true(str_starts(said->text, "list 'x': "));
    a->options_destroy(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions),
        cmocka_unit_test_setup_teardown(files_that_are_not_loaded, setup, teardown),
        cmocka_unit_test_setup_teardown(foreign_owner, setup, teardown),
        cmocka_unit_test_setup_teardown(absent, setup, teardown),
        cmocka_unit_test_setup_teardown(loads, setup, teardown),
    };

    return cmocka_run_group_tests_name("rocksdb_api", tests, NULL, NULL);
}
