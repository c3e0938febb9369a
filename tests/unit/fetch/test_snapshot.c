/* fetch/snapshot: a real archive comes over loopback HTTP, whole or not at all. */
#include "fetch/snapshot.h"

#include "io/clock.h"
#include "io/fsroot.h"
#include "io/http.h"
#include "server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define NAME  "incremental-snapshot-802-1102-AoNd8oJEBQNiREzWyRUXYkwgpteeWNRzDYEY4PYRQ9rM.tar.zst"
#define OTHER "incremental-snapshot-802-1103-AoNd8oJEBQNiREzWyRUXYkwgpteeWNRzDYEY4PYRQ9rM.tar.zst"
#define TMP   "tmp-" NAME

struct place_of_test {
    char dir[32];
    struct fsroot *root;
    struct ctx ctx;
    volatile sig_atomic_t cancelled;
    struct fetch_job job;
    char *body, *wrong;
    size_t body_n;
    int failures, ticks;
    uint64_t last_b;
    double last_eta_s;
};

static void on_progress(void *arg, const struct fetch_progress *p)
{
    struct place_of_test *t = arg;

    t->ticks++;
    t->last_b = p->done_b;
    t->last_eta_s = p->eta_s;
    assert_true(p->total_b == UINT64_MAX || p->done_b <= p->total_b);
    assert_string_equal(p->file, NAME);
}

static void on_failed(void *arg, const char *source, const struct err *e)
{
    struct place_of_test *t = arg;

    assert_non_null(strstr(source, "http://"));
    assert_non_null(e);
    t->failures++;
}

static int setup(void **state)
{
    struct place_of_test *t = xcalloc(1, sizeof(*t));
    AUTO(freep)
    char *path = xasprintf("%s/tests/data/snapshots/" NAME, getenv("AGAVECTL_TEST_SOURCE"));

    snprintf(t->dir, sizeof(t->dir), "/tmp/agavectl-test-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    assert_null(fsroot_open("/", &t->root));
    assert_null(fsroot_read(t->root, path, 1 << 20, &t->body, &t->body_n));
    t->wrong = xmemdup(t->body, t->body_n);
    t->wrong[60] ^= 1;
    t->ctx = (struct ctx){
        .root = t->root,
        .http = &http_curl,
        .clock = &clock_system,
        .cancelled = &t->cancelled,
    };
    t->job = (struct fetch_job){
        .name = NAME,
        .dir = t->dir,
        .uid = UINT32_MAX,
        .gid = UINT32_MAX,
        .spare_b = 1,
        .progress = on_progress,
        .failed = on_failed,
        .arg = t,
    };
    *state = t;
    return 0;
}

static char *below(const struct place_of_test *t, const char *name)
{
    return xasprintf("%s/%s", t->dir, name);
}

static int teardown(void **state)
{
    struct place_of_test *t = *state;
    AUTO(strlist_clear) struct strlist names = {0};

    assert_null(fsroot_list(t->root, t->dir, &names));
    for (size_t i = 0; i < names.n; i++) {
        AUTO(freep) char *path = below(t, names.items[i]);

        unlink(path);
    }
    rmdir(t->dir);
    fsroot_close(t->root);
    free(t->body);
    free(t->wrong);
    free(t);
    return 0;
}

static void expect_files(const struct place_of_test *t, const char *want)
{
    AUTO(strlist_clear) struct strlist names = {0};
    AUTO(strbuf_clear) struct strbuf b = {0};

    assert_null(fsroot_list(t->root, t->dir, &names));
    for (size_t i = 0; i < names.n; i++)
        strbuf_printf(&b, "%s%s", i ? " " : "", names.items[i]);
    assert_string_equal(strbuf_text(&b), want);
}

/* Fetches NAME from a server that holds one page. */
static struct err *fetch_page(struct place_of_test *t, struct page page, struct fetch_report *ret)
{
    const struct page pages[] = {page, {0}};
    struct server *s = server_start(pages);
    AUTO(freep) char *url = xasprintf("%s/" NAME, server_url(s));
    struct err *e = fetch_snapshot(&t->ctx, url, &t->job, ret);

    server_stop(s);
    return e;
}

static struct page good(const struct place_of_test *t)
{
    return (struct page){.path = "/" NAME, .body = t->body, .body_n = t->body_n};
}

/* It fails so, and nothing is left behind. */
static void expect_failure(struct place_of_test *t, struct page page, enum err_kind kind,
                           const char *text)
{
    struct fetch_report report = {0};
    AUTO(err_freep) struct err *e = fetch_page(t, page, &report);

    assert_non_null(e);
    if (e->kind != kind || !strstr(e->text, text))
        fail_msg("wanted %s '%s', got %s '%s'", err_kind_name(kind), text, err_kind_name(e->kind),
                 e->text);
    assert_non_null(strstr(e->text, NAME));
    assert_non_null(strstr(e->text, "http://127.0.0.1:"));
    expect_files(t, "");
}

static void a_whole_file_arrives(void **state)
{
    struct place_of_test *t = *state;
    AUTO(fetch_report_clear) struct fetch_report report = {0};
    AUTO(freep) char *path = below(t, NAME), *got = NULL;
    struct stat st;
    size_t n;

    t->job.uid = geteuid() == 0 ? 4321 : UINT32_MAX;
    t->job.gid = geteuid() == 0 ? 8765 : UINT32_MAX;
    assert_null(fetch_page(t, good(t), &report));
    expect_files(t, NAME);
    assert_null(fsroot_read(t->root, path, 1 << 20, &got, &n));
    assert_int_equal(n, t->body_n);
    assert_memory_equal(got, t->body, n);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    if (geteuid() == 0) {
        assert_int_equal(st.st_uid, 4321);
        assert_int_equal(st.st_gid, 8765);
    }
    assert_int_equal(report.check.slot, 1102);
    assert_int_equal(report.size_b, t->body_n);
    assert_int_equal(report.leftover_b, 0);
    assert_true(str_ends(report.source, "/" NAME));
    assert_int_equal(t->last_b, t->body_n);
    assert_true(t->last_eta_s == 0);
}

static void without_a_length_too(void **state)
{
    struct place_of_test *t = *state;
    AUTO(fetch_report_clear) struct fetch_report report = {0};
    struct page page = good(t);

    page.manner = SERVE_UNSIZED;
    assert_null(fetch_page(t, page, &report));
    expect_files(t, NAME);
}

/* Stock Agave ignores Range and would send the whole file again. */
static void one_request_without_range(void **state)
{
    struct place_of_test *t = *state;
    AUTO(fetch_report_clear) struct fetch_report report = {0};
    const struct page pages[] = {
        {.path = "/old", .status = 303, .location = "/" NAME}, good(t), {0}};
    struct server *s = server_start(pages);
    AUTO(freep) char *url = xasprintf("%s/old", server_url(s));

    assert_null(fetch_snapshot(&t->ctx, url, &t->job, &report));
    server_quiet(s);
    assert_string_equal(server_log(s), "GET /old\nGET /" NAME "\n");
    server_stop(s);
}

static void the_source_fails(void **state)
{
    struct place_of_test *t = *state;
    struct page page = good(t);

    expect_failure(t, (struct page){.path = "/x"}, ERR_NOTFOUND, "it has no such file any more");
    page.status = 500;
    expect_failure(t, page, ERR_REMOTE, "it answers with status 500");
    page = good(t);
    page.manner = SERVE_SHORT;
    expect_failure(t, page, ERR_REMOTE, "closed after 26330 of 52661 bytes");
    page.manner = SERVE_HALF_WAY;
    expect_failure(t, page, ERR_CORRUPT, "the file is cut off");
    page = good(t);
    page.length = page.body_n - 1; /* fewer announced than there are: the rest is not read */
    expect_failure(t, page, ERR_CORRUPT, "the file is cut off");
    page = good(t);
    page.body = t->wrong;
    expect_failure(t, page, ERR_CORRUPT, "");
    page = good(t);
    page.status = 303;
    page.location = "http://127.0.0.2:1/" NAME;
    expect_failure(t, page, ERR_REMOTE, "redirects to another place");
}

static void wrong_content_stops_the_transfer(void **state)
{
    struct place_of_test *t = *state;
    static char zeros[8 << 20];
    struct page page = {.path = "/" NAME, .body = zeros, .body_n = sizeof(zeros)};

    expect_failure(t, page, ERR_CORRUPT, "zstd data is damaged near byte 0");
}

static void another_slot_under_the_name(void **state)
{
    struct place_of_test *t = *state;
    const struct page pages[] = {{.path = "/" OTHER, .body = t->body, .body_n = t->body_n}, {0}};
    struct server *s = server_start(pages);
    AUTO(freep) char *url = xasprintf("%s/" OTHER, server_url(s));
    struct fetch_report report;

    t->job.name = OTHER;
    t->job.progress = NULL;
    AUTO(err_freep) struct err *e = fetch_snapshot(&t->ctx, url, &t->job, &report);
    server_stop(s);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_CORRUPT);
    assert_non_null(strstr(e->text, "its name says slot 1103"));
    expect_files(t, "");
}

static void a_source_that_stalls(void **state)
{
    struct place_of_test *t = *state;
    struct page page = good(t);

    page.manner = SERVE_STALL;
    t->job.min_rate_b_s = 1 << 20;
    t->job.min_rate_s = 1;
    expect_failure(t, page, ERR_TIMEOUT, "slower than 1048576 bytes/s");
}

static void nobody_listens(void **state)
{
    struct place_of_test *t = *state;
    AUTO(freep) char *base = nobodys_url(), *url = xasprintf("%s/" NAME, base);
    struct fetch_report report;
    AUTO(err_freep) struct err *e = fetch_snapshot(&t->ctx, url, &t->job, &report);

    assert_non_null(e);
    assert_int_equal(e->kind, ERR_REMOTE);
    assert_non_null(strstr(e->text, "connection refused"));
    expect_files(t, "");
}

static void the_operator_interrupts(void **state)
{
    struct place_of_test *t = *state;
    struct page page = good(t);
    struct fetch_report report;

    page.manner = SERVE_STALL;
    t->cancelled = 1;
    AUTO(err_freep) struct err *e = fetch_page(t, page, &report);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_CANCELLED);
    expect_files(t, "");
}

static void put_file(const struct place_of_test *t, const char *name, const char *text)
{
    AUTO(freep) char *path = below(t, name);
    AUTO(fclosep) FILE *f = fopen(path, "wbe");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
}

static void a_final_name_that_exists(void **state)
{
    struct place_of_test *t = *state;
    AUTO(freep) char *path = below(t, NAME), *got = NULL;
    struct fetch_report report;

    put_file(t, NAME, "mine");
    AUTO(err_freep) struct err *e = fetch_page(t, good(t), &report);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_REFUSED);
    assert_non_null(strstr(e->text, "exists already"));
    assert_null(fsroot_read(t->root, path, 100, &got, NULL));
    assert_string_equal(got, "mine");
}

static void a_leftover_is_replaced(void **state)
{
    struct place_of_test *t = *state;
    AUTO(fetch_report_clear) struct fetch_report report = {0};

    put_file(t, TMP, "half a file");
    assert_null(fetch_page(t, good(t), &report));
    assert_int_equal(report.leftover_b, 11);
    expect_files(t, NAME);
}

static void a_planted_link(void **state)
{
    struct place_of_test *t = *state;
    AUTO(freep) char *link = below(t, TMP), *victim = below(t, "victim"), *got = NULL;
    struct fetch_report report;

    put_file(t, "victim", "precious");
    assert_int_equal(symlink(victim, link), 0);
    AUTO(err_freep) struct err *e = fetch_page(t, good(t), &report);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_REFUSED);
    assert_non_null(strstr(e->text, "is not a plain file"));
    assert_null(fsroot_read(t->root, victim, 100, &got, NULL));
    assert_string_equal(got, "precious");
    expect_files(t, TMP " victim");
}

static void a_disk_too_small(void **state)
{
    struct place_of_test *t = *state;
    struct page page = good(t);

    t->job.spare_b = (uint64_t)1 << 60;
    expect_failure(t, page, ERR_SYS, "are needed");
    t->job.spare_b = 1;
    page.length = (size_t)1 << 60;
    expect_failure(t, page, ERR_SYS, "are needed");
    assert_int_equal(t->ticks, 0);
}

static void no_such_folder(void **state)
{
    struct place_of_test *t = *state;
    struct fetch_report report;

    t->job.dir = "/tmp/agavectl-test-none/there";
    AUTO(err_freep) struct err *e = fetch_page(t, good(t), &report);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_SYS);
    assert_int_equal(e->sys, ENOENT);
}

static void the_next_source_is_tried(void **state)
{
    struct place_of_test *t = *state;
    struct page cut = good(t);
    AUTO(strlist_clear) struct strlist urls = {0};
    AUTO(fetch_report_clear) struct fetch_report report = {0};
    AUTO(freep) char *nobody = nobodys_url();

    cut.manner = SERVE_SHORT;
    const struct page a[] = {{0}}, b[] = {cut, {0}}, c[] = {good(t), {0}};
    struct server *servers[] = {server_start(a), server_start(b), server_start(c)};
    strlist_addf(&urls, "%s/" NAME, nobody);
    for (size_t i = 0; i < 3; i++)
        strlist_addf(&urls, "%s/" NAME, server_url(servers[i]));
    assert_null(fetch_best(&t->ctx, &urls, &t->job, &report));
    assert_int_equal(t->failures, 3);
    assert_string_equal(report.source, urls.items[3]);
    expect_files(t, NAME);
    for (size_t i = 0; i < 3; i++)
        server_stop(servers[i]);
}

static void at_most_five_sources(void **state)
{
    struct place_of_test *t = *state;
    const struct page none[] = {{0}};
    struct server *s = server_start(none);
    AUTO(strlist_clear) struct strlist urls = {0};
    struct fetch_report report;

    for (int i = 0; i < 9; i++)
        strlist_addf(&urls, "%s/%d", server_url(s), i);
    AUTO(err_freep) struct err *e = fetch_best(&t->ctx, &urls, &t->job, &report);
    server_quiet(s);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_NOTFOUND);
    assert_true(str_starts(e->text, "5 sources failed: cannot fetch"));
    assert_string_equal(server_log(s), "GET /0\nGET /1\nGET /2\nGET /3\nGET /4\n");
    server_stop(s);
    assert_int_equal(t->failures, 4);
}

/* A full disk is nobody else's fault: the second source is not asked. */
static void our_own_faults_end_it(void **state)
{
    struct place_of_test *t = *state;
    const struct page pages[] = {good(t), {0}};
    struct server *s = server_start(pages);
    AUTO(strlist_clear) struct strlist urls = {0}, none = {0};
    struct fetch_report report;

    strlist_addf(&urls, "%s/" NAME, server_url(s));
    strlist_addf(&urls, "%s/" NAME, server_url(s));
    t->job.spare_b = (uint64_t)1 << 60;
    AUTO(err_freep) struct err *e = fetch_best(&t->ctx, &urls, &t->job, &report);
    assert_non_null(e);
    assert_int_equal(e->sys, ENOSPC);
    server_quiet(s);
    assert_string_equal(server_log(s), "GET /" NAME "\n");
    server_stop(s);
    AUTO(err_freep) struct err *e2 = fetch_best(&t->ctx, &none, &t->job, &report);
    assert_non_null(e2);
    assert_int_equal(e2->kind, ERR_NOTFOUND);
    t->job.name = "snapshot-x";
    AUTO(err_freep) struct err *e3 = fetch_best(&t->ctx, &urls, &t->job, &report);
    assert_non_null(e3);
    assert_int_equal(e3->kind, ERR_BADINPUT);
    assert_int_equal(t->failures, 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_whole_file_arrives),
        CASE(without_a_length_too),
        CASE(one_request_without_range),
        CASE(the_source_fails),
        CASE(wrong_content_stops_the_transfer),
        CASE(another_slot_under_the_name),
        CASE(a_source_that_stalls),
        CASE(nobody_listens),
        CASE(the_operator_interrupts),
        CASE(a_final_name_that_exists),
        CASE(a_leftover_is_replaced),
        CASE(a_planted_link),
        CASE(a_disk_too_small),
        CASE(no_such_folder),
        CASE(the_next_source_is_tried),
        CASE(at_most_five_sources),
        CASE(our_own_faults_end_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
