/* solana/keypair: key files that are right, wrong, planted; and that nothing of a secret leaks. */
#include "solana/keypair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/str.h"

static char dir[64];
static struct fsroot *root;
static struct ed25519_key key;
static char text[KEYPAIR_TEXT_MAX];

static void assert_err(struct err *e, enum err_kind kind, const char *part)
{
    assert_non_null(e);
    if (e->kind != kind || !strstr(e->text, part))
        fail_msg("'%s' (%s) instead of '%s'", e->text, err_kind_name(e->kind), part);
    err_free(e);
}

static int make_root(void **state)
{
    uint8_t seed[32];

    for (size_t i = 0; i < sizeof(seed); i++)
        seed[i] = (uint8_t)(200 + i);
    ed25519_from_seed(seed, &key);
    keypair_format(&key, text);
    snprintf(dir, sizeof(dir), "/tmp/agavectl-keys-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    return fsroot_open(dir, &root) ? -1 : 0;
}

static int remove_root(void **state)
{
    err_free(fsroot_unlink(root, "/id.json"));
    err_free(fsroot_unlink(root, "/link.json"));
    root = fsroot_close(root);
    return rmdir(dir);
}

static void write_key(const char *content, mode_t mode)
{
    assert_null(fsroot_write_atomic(root, "/id.json", content, strlen(content), mode));
}

static void written_and_read_back(void **state)
{
    struct keypair_info info;
    struct ed25519_key got;

    write_key(text, 0600);
    assert_null(keypair_read(root, "/id.json", &got, &info));
    assert_memory_equal(&got, &key, sizeof(key));
    assert_memory_equal(info.public, key.public, 32);
    assert_false(info.loose);
    assert_int_equal(info.mode, 0600);
    assert_int_equal(info.uid, getuid());
    assert_null(keypair_read_public(root, "/id.json", &info));
    assert_in_range(strlen(info.pubkey), 32, 44);
}

static void blanks_and_a_newline_are_fine(void **state)
{
    AUTO(strbuf_clear) struct strbuf b = {0};
    struct ed25519_key got;

    strbuf_puts(&b, "\n [ ");
    for (const char *p = text + 1; *p && *p != ']'; p++)
        *p == ',' ? strbuf_puts(&b, " ,\n\t") : strbuf_add(&b, p, 1);
    strbuf_puts(&b, " ]\r\n");
    assert_null(keypair_parse(b.data, b.len, &got));
    assert_memory_equal(&got, &key, sizeof(key));
}

static void group_and_others_are_flagged(void **state)
{
    static const mode_t loose[] = {0640, 0604, 0660, 0620, 0601};
    struct keypair_info info;

    for (size_t i = 0; i < ARRAY_LEN(loose); i++) {
        write_key(text, 0600);
        AUTO(freep) char *path = fsroot_path(root, "/id.json");
        assert_int_equal(chmod(path, loose[i]), 0);
        assert_null(keypair_read_public(root, "/id.json", &info));
        assert_true(info.loose);
        assert_int_equal(info.mode, loose[i]);
    }
}

/* 64 numbers with one of them, or the end, replaced. */
static char *spoiled(size_t at, const char *with, const char *end)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    for (size_t i = 0; i < 64; i++) {
        strbuf_puts(&b, i ? "," : "[");
        if (i == at)
            strbuf_puts(&b, with);
        else
            strbuf_printf(&b, "%u", ((const uint8_t *)&key)[i]);
    }
    strbuf_puts(&b, end);
    return strbuf_take(&b);
}

static void what_is_no_keypair(void **state)
{
    static const struct {
        size_t at;
        const char *with, *end;
    } bad[] = {
        {3, "256", "]"},        {3, "-1", "]"},  {3, "1.5", "]"},
        {3, "\"1\"", "]"},      {3, "", "]"},    {3, "null", "]"},
        {3, "9999", "]"},       {3, "1 1", "]"}, {3, "0x1", "]"},
        {63, "1,1", "]"},       {64, "", ""},    {64, "", ",1]"},
        {64, "", "]]"},         {64, "", "] x"}, {64, "", "}"},
        {3, "201", "]"},        /* another seed: its public half is not this one */
        {40, "7", "]"},         /* another public half */
        {3, "4294967299", "]"}, /* 3 in 32 bits */
    };
    static const char *const other[] = {"", "[]", "{}", "[1,2,3]", "null", "secret words in a row"};
    struct ed25519_key got;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(freep) char *content = spoiled(bad[i].at, bad[i].with, bad[i].end);

        assert_err(keypair_parse(content, strlen(content), &got), ERR_BADINPUT, "not a keypair");
    }
    for (size_t i = 0; i < ARRAY_LEN(other); i++)
        assert_err(keypair_parse(other[i], strlen(other[i]), &got), ERR_BADINPUT, "byte ");
    assert_err(keypair_parse(text, strlen(text) - 1, &got), ERR_BADINPUT, "not a keypair");
}

static void no_message_quotes_the_file(void **state)
{
    struct keypair_info info;

    write_key("[255,254,253,hunter2,252]", 0600);
    struct err *e = keypair_read_public(root, "/id.json", &info);
    assert_null(strstr(e->text, "hunter2"));
    assert_null(strstr(e->text, "253"));
    assert_err(e, ERR_BADINPUT,
               "key file '/id.json': not a keypair: expected a list of 64 numbers");
}

static void planted_files_are_refused(void **state)
{
    AUTO(freep) char *link = fsroot_path(root, "/link.json");
    AUTO(freep) char *fifo = fsroot_path(root, "/id.json");
    AUTO(freep) char *large = xmalloc(5001);
    struct keypair_info info;

    assert_err(keypair_read_public(root, "/id.json", &info), ERR_NOTFOUND, "id.json");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_err(keypair_read_public(root, "/id.json", &info), ERR_BADINPUT, "not a regular file");
    write_key(text, 0600);
    assert_int_equal(symlink("id.json", link), 0);
    assert_err(keypair_read_public(root, "/link.json", &info), ERR_SYS, "name the key file itself");
    memset(large, ' ', 5000);
    large[5000] = 0;
    write_key(large, 0600);
    assert_err(keypair_read_public(root, "/id.json", &info), ERR_BADINPUT, "larger than 4096");
}

/* The throw-away keys of the real test cluster, where they are at hand. */
static void keys_of_real_tools(void **state)
{
    const char *data = getenv("AGAVECTL_TEST_DATA");
    AUTO(fsroot_closep) struct fsroot *real = NULL;
    struct keypair_info info;

    if (!data || fsroot_open(data, &real)) {
        print_message("# not real: agave: no key files of a real cluster (AGAVECTL_TEST_DATA)\n");
        return; /* cmocka's own skip() is "not ok" in TAP */
    }
    assert_null(keypair_read_public(real, "/agave/seed-cluster/validator-keypair.json", &info));
    assert_string_equal(info.pubkey, "D4XM1GxCQrpTGip1DhiuNiicR3w13qZcuuHC9fDZGZMn");
    assert_null(keypair_read_public(real, "/agave/seed-cluster/vote-account-keypair.json", &info));
    assert_string_equal(info.pubkey, "3FGv2K3wqFZSRsMwt44voCvz5gBR4zm9z9NMMRzRYqkc");
    print_message("# real: agave: key files of a cluster of 3.0.14\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(written_and_read_back, make_root, remove_root),
        cmocka_unit_test_setup_teardown(blanks_and_a_newline_are_fine, make_root, remove_root),
        cmocka_unit_test_setup_teardown(group_and_others_are_flagged, make_root, remove_root),
        cmocka_unit_test_setup_teardown(what_is_no_keypair, make_root, remove_root),
        cmocka_unit_test_setup_teardown(no_message_quotes_the_file, make_root, remove_root),
        cmocka_unit_test_setup_teardown(planted_files_are_refused, make_root, remove_root),
        cmocka_unit_test(keys_of_real_tools),
    };

    return cmocka_run_group_tests_name("keypair", tests, NULL, NULL);
}
