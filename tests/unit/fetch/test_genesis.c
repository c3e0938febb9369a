/* fetch/genesis: a real genesis archive is fetched, checked and put into a ledger. */
#include "fetch/genesis.h"

#include "base/str.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "io/http.h"
#include "server.h"
#include "solana/genesis_archive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

/* As the real validator prints it for this archive. */
#define HASH "2WqXWy4QAoKSxhQYhaKZtNLybaDQyNYbDT2RsGsrKJNd"

struct ledger {
    char dir[32];
    struct fsroot *root;
    volatile sig_atomic_t cancelled;
    struct ctx ctx;
    char *body;
    size_t body_n;
};

static int setup(void **state)
{
    struct ledger *l = xcalloc(1, sizeof(*l));
    AUTO(fsroot_closep) struct fsroot *source = NULL;

    snprintf(l->dir, sizeof(l->dir), "/tmp/agavectl-test-XXXXXX");
    assert_non_null(mkdtemp(l->dir));
    assert_null(fsroot_open(l->dir, &l->root));
    assert_null(fsroot_open(getenv("AGAVECTL_TEST_SOURCE"), &source));
    assert_null(fsroot_read(source, "/tests/data/snapshots/genesis.tar.bz2", 1 << 20, &l->body,
                            &l->body_n));
    l->ctx = (struct ctx){
        .root = l->root, .http = &http_curl, .clock = &clock_system, .cancelled = &l->cancelled};
    *state = l;
    return 0;
}

static int teardown(void **state)
{
    struct ledger *l = *state;

    (void)err_free(fsroot_unlink(l->root, "/genesis.bin"));
    (void)err_free(fsroot_unlink(l->root, "/genesis.tar.bz2"));
    rmdir(l->dir); /* fails, and leaves the evidence, when a temporary file was left */
    fsroot_close(l->root);
    free(l->body);
    free(l);
    return 0;
}

static struct err *fetch(struct ledger *l, struct page page, const char *expected, char *ret_hash,
                         bool *ret_fetched)
{
    const struct page pages[] = {page, {0}};
    struct server *s = server_start(pages);
    struct genesis_job job = {.source = server_url(s),
                              .dir = "/",
                              .expected = expected,
                              .uid = UINT32_MAX,
                              .gid = UINT32_MAX};
    struct err *e = fetch_genesis(&l->ctx, &job, ret_hash, ret_fetched);

    server_stop(s);
    return e;
}

static struct page good(const struct ledger *l)
{
    return (struct page){.path = "/genesis.tar.bz2", .body = l->body, .body_n = l->body_n};
}

static void fetched_once(void **state)
{
    struct ledger *l = *state;
    char hash[BASE58_32_MAX];
    AUTO(freep) char *got = NULL;
    bool fetched = false;
    size_t n;

    assert_null(fetch(l, good(l), HASH, hash, &fetched));
    assert_true(fetched);
    assert_string_equal(hash, HASH);
    assert_null(fsroot_read(l->root, "/genesis.tar.bz2", 1 << 20, &got, &n));
    assert_int_equal(n, l->body_n);
    assert_memory_equal(got, l->body, n);
    assert_null(fetch(l, (struct page){.path = "/x"}, HASH, hash, &fetched));
    assert_false(fetched);
    print_message("# real: agave: a genesis archive of 3.0.14\n");
}

static void a_ledger_of_another_cluster(void **state)
{
    struct ledger *l = *state;
    char hash[BASE58_32_MAX];
    bool fetched;

    assert_null(fsroot_write_atomic(l->root, "/genesis.bin", "another", 7, 0644));
    AUTO(err_freep) struct err *e = fetch(l, good(l), HASH, hash, &fetched);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_REFUSED);
    assert_null(fetch(l, good(l), NULL, hash, &fetched));
    assert_false(fetched);
}

static void expect_failure(struct ledger *l, struct page page, const char *expected,
                           enum err_kind kind, const char *text)
{
    char hash[BASE58_32_MAX];
    bool fetched;
    struct stat st;
    AUTO(err_freep) struct err *e = fetch(l, page, expected, hash, &fetched);

    assert_non_null(e);
    if (e->kind != kind || !strstr(e->text, text))
        fail_msg("wanted %s '%s', got %s '%s'", err_kind_name(kind), text, err_kind_name(e->kind),
                 e->text);
    AUTO(err_freep) struct err *gone = fsroot_stat(l->root, "/genesis.tar.bz2", &st);
    assert_non_null(gone);
}

static void the_source_fails(void **state)
{
    struct ledger *l = *state;
    struct page page = good(l);

    expect_failure(l, (struct page){.path = "/x"}, HASH, ERR_NOTFOUND, "status 404");
    expect_failure(l, good(l), "11111111111111111111111111111111", ERR_CORRUPT,
                   "its genesis hash is " HASH ", not 1111");
    page.manner = SERVE_SHORT;
    expect_failure(l, page, HASH, ERR_REMOTE, "closed after");
    page.manner = SERVE_HALF_WAY;
    expect_failure(l, page, HASH, ERR_CORRUPT, "is cut off: the bzip2 data does not end");
    l->body[l->body_n / 2] ^= 1;
    expect_failure(l, good(l), NULL, ERR_CORRUPT, "/genesis.tar.bz2: ");
    page = good(l);
    page.body = "BZh9";
    page.body_n = 4;
    expect_failure(l, page, NULL, ERR_CORRUPT, "is cut off");
    page.body_n = 0;
    expect_failure(l, page, NULL, ERR_CORRUPT, "the file is empty");
}

static void bytes_after_the_end(void **state)
{
    struct ledger *l = *state;
    AUTO(strbuf_clear) struct strbuf b = {0};
    char hash[BASE58_32_MAX];

    strbuf_add(&b, l->body, l->body_n);
    assert_null(genesis_archive_hash(b.data, b.len, hash));
    strbuf_add(&b, "x", 1);
    AUTO(err_freep) struct err *e = genesis_archive_hash(b.data, b.len, hash);
    assert_non_null(e);
    assert_non_null(strstr(e->text, "data after the end"));
}

static void a_damaged_archive_in_the_ledger(void **state)
{
    struct ledger *l = *state;
    char hash[BASE58_32_MAX];
    bool fetched;

    assert_null(fsroot_write_atomic(l->root, "/genesis.tar.bz2", l->body, l->body_n - 9, 0644));
    AUTO(err_freep) struct err *e = fetch(l, good(l), HASH, hash, &fetched);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_CORRUPT);
    assert_non_null(strstr(e->text, "move it away"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fetched_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_ledger_of_another_cluster, setup, teardown),
        cmocka_unit_test_setup_teardown(the_source_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_after_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_archive_in_the_ledger, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
