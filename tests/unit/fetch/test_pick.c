/* fetch/pick: which pair of archives wins. */
#include "fetch/pick.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

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
    f->offers[f->n] = (struct fetch_offer){.peer.url = xasprintf("s%zu", f->n)};
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_highest_result_wins),
        cmocka_unit_test(what_is_here_costs_nothing),
        cmocka_unit_test(what_nobody_could_deliver_is_not_chosen_again),
        cmocka_unit_test(all_sources_of_a_file_are_listed),
        cmocka_unit_test(the_majority_decides_about_a_hash),
        cmocka_unit_test(nothing_fits),
    };

    return cmocka_run_group_tests_name("fetch_pick", tests, NULL, NULL);
}
