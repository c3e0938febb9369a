/* fetch/find and fetch/pick: what sources answer, what is made of it, and which pair wins. */
#include "fetch/find.h"

#include "io/clock.h"
#include "io/http.h"
#include "server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define HASH_A                 "GupLekLKvChSdAVpYZvMdESWrG1UFBr7rgcGPq5exWnR"
#define HASH_B                 "5vz4jENNJdy3VU1fUMjz9qomfbEaExGFtyJtmcTtQDYq"
#define FULL(slot, hash)       "snapshot-" slot "-" hash ".tar.zst"
#define INCR(base, slot, hash) "incremental-snapshot-" base "-" slot "-" hash ".tar.zst"
#define F_ALIAS                "/snapshot.tar.bz2"
#define I_ALIAS                "/incremental-snapshot.tar.bz2"

/* Asks one server with these pages; the offer is valid until fetch_found_clear. */
static void find_one(const struct page *pages, struct fetch_found *ret)
{
    volatile sig_atomic_t cancelled = 0;
    struct ctx ctx = {.http = &http_curl, .clock = &clock_system, .cancelled = &cancelled};
    struct server *s = server_start(pages);
    AUTO(freep) char *source = xasprintf("%s/", server_url(s));
    const char *const sources[] = {source};

    assert_null(fetch_find(&ctx, sources, 1, 2000, ret));
    server_stop(s);
    assert_int_equal(ret->n, 1);
}

static void an_agave_node(void **state)
{
    static const struct page pages[] = {
        {.path = F_ALIAS, .status = 303, .location = "/" FULL("802", HASH_A)},
        {.path = I_ALIAS, .status = 303, .location = "/" INCR("802", "1102", HASH_B)},
        {.path = "/" FULL("802", HASH_A), .body = "12345", .body_n = 5},
        {.path = "/" INCR("802", "1102", HASH_B), .body = "123", .body_n = 3},
        {0},
    };
    AUTO(fetch_found_clear) struct fetch_found f = {0};

    find_one(pages, &f);
    assert_null(f.offers[0].why);
    assert_string_equal(f.offers[0].full.name, FULL("802", HASH_A));
    assert_true(str_ends(f.offers[0].full.url, "/" FULL("802", HASH_A)));
    assert_int_equal(f.offers[0].full.slot, 802);
    assert_int_equal(f.offers[0].full.size_b, 5);
    assert_string_equal(f.offers[0].incr.name, INCR("802", "1102", HASH_B));
    assert_int_equal(f.offers[0].incr.base, 802);
    assert_int_equal(f.offers[0].incr.slot, 1102);
    assert_int_equal(f.offers[0].incr.size_b, 3);
}

static void a_full_one_only(void **state)
{
    static const struct page pages[] = {
        {.path = F_ALIAS, .status = 303, .location = FULL("802", HASH_A)},
        {.path = "/" FULL("802", HASH_A), .body = "12345", .body_n = 5},
        {0},
    };
    AUTO(fetch_found_clear) struct fetch_found f = {0};

    find_one(pages, &f);
    assert_null(f.offers[0].why);
    assert_non_null(f.offers[0].full.name);
    assert_null(f.offers[0].incr.name);
}

static void a_server_without_head(void **state)
{
    static const struct page pages[] = {
        {.path = F_ALIAS, .status = 303, .location = "/" FULL("802", HASH_A), .head_status = 405},
        {.path = I_ALIAS, .status = 404, .head_status = 501},
        {.path = "/" FULL("802", HASH_A), .body = "12345", .body_n = 5, .head_status = 405},
        {0},
    };
    AUTO(fetch_found_clear) struct fetch_found f = {0};

    find_one(pages, &f);
    assert_null(f.offers[0].why);
    assert_non_null(f.offers[0].full.name);
    assert_true(f.offers[0].full.size_b == UINT64_MAX);
}

/* Another host with the same port, written with as many characters. */
static void a_redirect_to_another_host(void **state)
{
    struct page pages[] = {{.path = F_ALIAS, .status = 303, .location = "/"}, {0}};
    volatile sig_atomic_t cancelled = 0;
    struct ctx ctx = {.http = &http_curl, .clock = &clock_system, .cancelled = &cancelled};
    struct server *s = server_start(pages);
    AUTO(freep)
    char *there = xasprintf("http://127.0.0.2%s/" FULL("802", HASH_A), server_url(s) + 16);
    const char *const sources[] = {server_url(s)};
    AUTO(fetch_found_clear) struct fetch_found f = {0};

    pages[0].location = there;
    assert_null(fetch_find(&ctx, sources, 1, 2000, &f));
    server_stop(s);
    assert_string_equal(f.offers[0].why, "it redirects to another place");
}

/* One page for each fixed name, what is to be said, and what is left of the offer. */
static void why_not(void **state)
{
    static char large[100000];
    static const struct {
        struct page full, incr;
        const char *why;
        bool keeps_full;
    } cases[] = {
        {{.status = 404}, {.status = 404}, "it has no snapshot", false},
        {{.status = 500}, {.status = 404}, "it answers /snapshot.tar.bz2 with status 500", false},
        {{.body = "x", .body_n = 1},
         {.status = 404},
         "it answers /snapshot.tar.bz2 with status 200",
         false},
        {{.head_status = 405, .body = large, .body_n = sizeof(large)},
         {.status = 404},
         "larger than 65536 bytes",
         false},
        {{.status = 303, .location = "http://127.0.0.2/" FULL("1", HASH_A)},
         {.status = 404},
         "it redirects to another place",
         false},
        {{.status = 303, .location = "//127.0.0.1/" FULL("1", HASH_A)},
         {.status = 404},
         "it redirects to another place",
         false},
        {{.status = 303, .location = "/" FULL("1", "x")},
         {.status = 404},
         "it redirects to what is no snapshot",
         false},
        {{.status = 303, .location = "/" INCR("1", "2", HASH_A)},
         {.status = 404},
         "it answers /snapshot.tar.bz2 with 'incremental-snapshot-1-2-",
         false},
        {{.status = 303, .location = "/snapshot-1-" HASH_A ".tar.bz2"},
         {.status = 404},
         "is in a format that Agave 3.0 and later ignore",
         false},
        {{.status = 303, .location = "/" FULL("7", HASH_A)},
         {.status = 404},
         "it names '" FULL("7", HASH_A) "' but answers it with status 404",
         false},
        {{.status = 303, .location = "/" FULL("802", HASH_A)},
         {.status = 303, .location = "/" INCR("702", "999", HASH_A)},
         "its incremental builds on slot 702, its full one is 802",
         true},
        {{.status = 303, .location = "/" FULL("802", HASH_A)},
         {.status = 303, .location = "/" INCR("802", "999", HASH_A)},
         "it names '" INCR("802", "999", HASH_A) "' but answers it with status 404",
         true},
        {{.status = 303, .location = "/" FULL("802", HASH_A)},
         {.status = 500},
         "it answers /incremental-snapshot.tar.bz2 with status 500",
         true},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct page pages[] = {
            cases[i].full,
            cases[i].incr,
            {.path = "/" FULL("802", HASH_A), .body = "12345", .body_n = 5},
            {0},
        };
        AUTO(fetch_found_clear) struct fetch_found f = {0};

        pages[0].path = F_ALIAS;
        pages[1].path = I_ALIAS;
        find_one(pages, &f);
        if (!f.offers[0].why || !strstr(f.offers[0].why, cases[i].why))
            fail_msg("%zu: wanted '%s', got '%s'", i, cases[i].why,
                     f.offers[0].why ? f.offers[0].why : "nothing");
        assert_int_equal(f.offers[0].full.name != NULL, cases[i].keeps_full);
        assert_null(f.offers[0].incr.name);
    }
}

static void one_dead_source_changes_nothing(void **state)
{
    static const struct page pages[] = {
        {.path = F_ALIAS, .status = 303, .location = "/" FULL("802", HASH_A)},
        {.path = "/" FULL("802", HASH_A), .body = "12345", .body_n = 5},
        {0},
    };
    volatile sig_atomic_t cancelled = 0;
    struct ctx ctx = {.http = &http_curl, .clock = &clock_system, .cancelled = &cancelled};
    struct server *s = server_start(pages);
    AUTO(freep) char *nobody = nobodys_url();
    const char *const sources[] = {nobody, server_url(s), "no url"};
    AUTO(fetch_found_clear) struct fetch_found f = {0};
    AUTO(fetch_choice_clear) struct fetch_choice c = {0};

    assert_null(fetch_find(&ctx, sources, 3, 2000, &f));
    assert_non_null(strstr(f.offers[0].why, "connection refused"));
    assert_null(f.offers[1].why);
    assert_non_null(f.offers[2].why);
    assert_null(fetch_pick(&f, &(struct fetch_want){0}, &c));
    assert_string_equal(c.full, FULL("802", HASH_A));
    assert_int_equal(c.full_urls.n, 1);
    cancelled = 1;
    struct fetch_found none = {0};
    AUTO(err_freep) struct err *e = fetch_find(&ctx, sources, 3, 2000, &none);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_CANCELLED);
    server_stop(s);
}

/* ---- pick: pure ------------------------------------------------------------------------------ */

static struct fetch_file file(uint64_t base, uint64_t slot, char hash, uint64_t size_b)
{
    struct fetch_file f = {.base = base, .slot = slot, .size_b = size_b};

    f.name = base ? xasprintf("incremental-snapshot-%d-%d-%c.tar.zst", (int)base, (int)slot, hash)
                  : xasprintf("snapshot-%d-%c.tar.zst", (int)slot, hash);
    f.url = xasprintf("http://%c/%s", hash, f.name);
    return f;
}

/* slot 0: no such file. */
static void offer(struct fetch_found *f, uint64_t full, char full_hash, uint64_t full_b,
                  uint64_t incr, char incr_hash)
{
    size_t cap = f->n;

    f->offers = xgrow(f->offers, &cap, f->n + 1, sizeof(*f->offers));
    f->offers[f->n] = (struct fetch_offer){.source = xasprintf("s%zu", f->n)};
    if (full)
        f->offers[f->n].full = file(0, full, full_hash, full_b);
    else
        f->offers[f->n].why = xstrdup("it has no snapshot");
    if (incr)
        f->offers[f->n].incr = file(full, incr, incr_hash, 10);
    f->n++;
}

static void expect_pick(const struct fetch_found *f, struct fetch_want want, const char *full,
                        const char *incr)
{
    AUTO(fetch_choice_clear) struct fetch_choice c = {0};

    assert_null(fetch_pick(f, &want, &c));
    assert_string_equal(c.full, full);
    if (incr)
        assert_string_equal(c.incr, incr);
    else
        assert_null(c.incr);
}

static void the_highest_result_wins(void **state)
{
    AUTO(fetch_found_clear) struct fetch_found f = {0};

    offer(&f, 900, 'a', 100, 0, 0);
    offer(&f, 800, 'b', 100, 1000, 'b');
    offer(&f, 950, 'c', 100, 970, 'c');
    offer(&f, 0, 0, 0, 0, 0);
    expect_pick(&f, (struct fetch_want){0}, "snapshot-800-b.tar.zst",
                "incremental-snapshot-800-1000-b.tar.zst");
    expect_pick(&f, (struct fetch_want){.max_slot = 999}, "snapshot-950-c.tar.zst",
                "incremental-snapshot-950-970-c.tar.zst");
    expect_pick(&f, (struct fetch_want){.max_slot = 960}, "snapshot-950-c.tar.zst", NULL);
    expect_pick(&f, (struct fetch_want){.max_slot = 949}, "snapshot-900-a.tar.zst", NULL);
}

static void what_is_here_costs_nothing(void **state)
{
    AUTO(fetch_found_clear) struct fetch_found f = {0};
    AUTO(strlist_clear) struct strlist have = {0};
    AUTO(fetch_choice_clear) struct fetch_choice c = {0};

    offer(&f, 1000, 'a', 5000, 0, 0);
    offer(&f, 800, 'b', 6000, 990, 'b');
    strlist_add(&have, "snapshot-800-b.tar.zst");
    expect_pick(&f, (struct fetch_want){.have = &have}, "snapshot-1000-a.tar.zst", NULL);
    expect_pick(&f, (struct fetch_want){.near_slots = 10}, "snapshot-1000-a.tar.zst", NULL);
    expect_pick(&f, (struct fetch_want){.have = &have, .near_slots = 9}, "snapshot-1000-a.tar.zst",
                NULL);
    assert_null(fetch_pick(&f, &(struct fetch_want){.have = &have, .near_slots = 10}, &c));
    assert_string_equal(c.incr, "incremental-snapshot-800-990-b.tar.zst");
    assert_true(c.have_full);
    assert_false(c.have_incr);
    assert_int_equal(c.full_slot, 800);
    assert_int_equal(c.slot, 990);
    assert_int_equal(c.incr_b, 10);
}

static void what_nobody_could_deliver_is_not_chosen_again(void **state)
{
    AUTO(fetch_found_clear) struct fetch_found f = {0};
    AUTO(strlist_clear) struct strlist bad = {0};
    AUTO(fetch_choice_clear) struct fetch_choice c = {0};
    struct fetch_want want = {.avoid = &bad};

    offer(&f, 1000, 'a', 100, 0, 0);
    offer(&f, 800, 'b', 100, 990, 'b');
    expect_pick(&f, want, "snapshot-1000-a.tar.zst", NULL);
    strlist_add(&bad, "snapshot-1000-a.tar.zst");
    expect_pick(&f, want, "snapshot-800-b.tar.zst", "incremental-snapshot-800-990-b.tar.zst");
    strlist_add(&bad, "incremental-snapshot-800-990-b.tar.zst");
    expect_pick(&f, want, "snapshot-800-b.tar.zst", NULL);
    strlist_add(&bad, "snapshot-800-b.tar.zst");
    AUTO(err_freep) struct err *e = fetch_pick(&f, &want, &c);
    assert_int_equal(e->kind, ERR_NOTFOUND);
}

static void all_sources_of_a_file_are_listed(void **state)
{
    AUTO(fetch_found_clear) struct fetch_found f = {0};
    AUTO(fetch_choice_clear) struct fetch_choice c = {0};

    offer(&f, 800, 'a', 100, 900, 'a');
    offer(&f, 800, 'a', 100, 890, 'a');
    offer(&f, 800, 'a', 100, 900, 'a');
    assert_null(fetch_pick(&f, &(struct fetch_want){0}, &c));
    assert_int_equal(c.full_urls.n, 3);
    assert_int_equal(c.incr_urls.n, 2);
    assert_null(c.warning);
}

static void the_majority_decides_about_a_hash(void **state)
{
    AUTO(fetch_found_clear) struct fetch_found f = {0};
    AUTO(fetch_choice_clear) struct fetch_choice c = {0};

    offer(&f, 800, 'x', 1, 0, 0);
    offer(&f, 800, 'b', 100, 0, 0);
    offer(&f, 800, 'b', 100, 0, 0);
    assert_null(fetch_pick(&f, &(struct fetch_want){0}, &c));
    assert_string_equal(c.full, "snapshot-800-b.tar.zst");
    assert_string_equal(c.warning, "s0 has another hash for slot 800: 'snapshot-800-x.tar.zst'");
}

static void nothing_fits(void **state)
{
    AUTO(fetch_found_clear) struct fetch_found f = {0};
    struct fetch_choice c;

    offer(&f, 800, 'a', 100, 900, 'a');
    offer(&f, 0, 0, 0, 0, 0);
    AUTO(err_freep)
    struct err *e = fetch_pick(&f, &(struct fetch_want){.min_slot = 901}, &c);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_NOTFOUND);
    assert_string_equal(e->text, "no source has a snapshot that can be used; s0: slot 900 is older "
                                 "than 901; s1: it has no snapshot");
    AUTO(err_freep)
    struct err *e2 = fetch_pick(&f, &(struct fetch_want){.max_slot = 799}, &c);
    assert_non_null(e2);
    assert_non_null(strstr(e2->text, "s0: slot 800 is after 799"));
}

/* References of a provider have a key in their path or query, and are asked for snapshots as well
 * when no sources are configured. */
static void keys_in_urls_are_not_told(void **state)
{
    const char *const sources[] = {"http://127.0.0.1:1/k3y", "http://127.0.0.1:1/?key=k3y"};
    volatile sig_atomic_t cancelled = 0;
    struct ctx ctx = {.http = &http_curl, .clock = &clock_system, .cancelled = &cancelled};
    AUTO(fetch_found_clear) struct fetch_found f = {0};
    struct fetch_choice c;

    assert_null(fetch_find(&ctx, sources, 2, 2000, &f));
    AUTO(err_freep) struct err *e = fetch_pick(&f, &(struct fetch_want){0}, &c);
    assert_non_null(e);
    assert_null(strstr(e->text, "k3y"));
    assert_non_null(strstr(e->text, "http://127.0.0.1:1/...: connection refused"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_agave_node),
        cmocka_unit_test(a_full_one_only),
        cmocka_unit_test(a_server_without_head),
        cmocka_unit_test(a_redirect_to_another_host),
        cmocka_unit_test(why_not),
        cmocka_unit_test(one_dead_source_changes_nothing),
        cmocka_unit_test(the_highest_result_wins),
        cmocka_unit_test(what_is_here_costs_nothing),
        cmocka_unit_test(what_nobody_could_deliver_is_not_chosen_again),
        cmocka_unit_test(all_sources_of_a_file_are_listed),
        cmocka_unit_test(the_majority_decides_about_a_hash),
        cmocka_unit_test(nothing_fits),
        cmocka_unit_test(keys_in_urls_are_not_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
