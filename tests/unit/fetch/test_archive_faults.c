/* fetch/archive with nodes that are wrong in some way beside others that are right: the file is
 * right, and who it was is known. */
#include "fetch/archive.h"

#include "base/str.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "io/http.h"
#include "lab/node/rpc_server.h"
#include "place_of_test.h"
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define SMALL "incremental-snapshot-7-8-AoNd8oJEBQNiREzWyRUXYkwgpteeWNRzDYEY4PYRQ9rM.tar.zst"

static bool is_big(const struct place_of_test *t)
{
    AUTO(freep) char *path = xasprintf("%s/" BIG, t->to);
    AUTO(freep) char *got = NULL;
    size_t n;

    assert_null(fsroot_read(t->root, path, 64 * MIB, &got, &n));
    return n == SIZE && memcmp(got, t->big, n) == 0;
}

/* Comparisons are drawn, and what a busy machine struck out is not compared: a liar within may be
 * missed now and then. Always true: who was blamed has left nothing behind, and what is wrong is
 * what the liar gave. */
static void expect_big_or_believed(const struct place_of_test *t, const struct fetch_report *r)
{
    AUTO(freep) char *path = xasprintf("%s/" BIG, t->to);
    AUTO(freep) char *got = NULL;
    size_t n, wrong = 0;

    assert_null(fsroot_read(t->root, path, 64 * MIB, &got, &n));
    assert_int_equal(n, SIZE);
    for (size_t i = 0; i < SIZE; i++)
        wrong += got[i] != t->big[i];
    assert_true(wrong <= r->shares[1].bytes_b / MIB + 1);
    assert_true(!wrong || (r->shares[1].bytes_b > 0 && !t->blamed.n));
}

/* Two are right, one is wrong in some way: the file is right, and who it was is known. */
static void one_of_three_is_bad(void **state)
{
    static const struct {
        enum node_fault fault;
        uint64_t value;
        const char *why; /* NULL: it need not be noticed before the end */
    } cases[] = {
        {NODE_DEAD, 1, NULL},
        {NODE_SILENT, 1, NULL},
        {NODE_NOT_HTTP, 1, NULL},
        {NODE_TRICKLE, 200, NULL},
        {NODE_ERROR, 1, NULL},
        {NODE_VANISHES, 1, "status 404"},
        {NODE_LOOPS, 1, "redirects"},
        {NODE_ELSEWHERE, 1, "redirects to another place"},
        {NODE_SHORT, 1, NULL},
        {NODE_LONG, 1, NULL},
        {NODE_LENGTH, 1, NULL},
        {NODE_LENGTH, 2, "another range"},
        {NODE_LENGTH, 3, NULL},
        {NODE_LENGTH, 4, NULL},
        {NODE_DROPS, 50, NULL},
        {NODE_STALLS, 50, NULL},
        {NODE_THROTTLES, 4 * MIB, NULL},
        {NODE_LIES, 1, NULL},
        {NODE_LIES_WITHIN, 1, NULL},
        {NODE_CORRUPT, 1, NULL},
    };

    unsigned missed = 0;

    for (size_t i = 0; i < ARRAY_LEN(cases) * 2; i++) {
        struct place_of_test *t = *state;
        AUTO(fetch_report_clear) struct fetch_report r = {0};
        bool seen = false;

        if (cases[i / 2].fault < NODE_LIES && cases[i / 2].fault != NODE_THROTTLES && !(i % 2))
            continue; /* the same with and without ranges */
        want(t, BIG, 3, FETCH_VERIFY_NONE);
        for (size_t k = 0; k < 3; k++) {
            fault(t, k, NODE_RANGES, i % 2);
            fault(t, k, NODE_CAP, 48 * MIB);
        }
        fault(t, 1, cases[i / 2].fault, cases[i / 2].value);
        for (size_t k = 0; cases[i / 2].why && k < 3; k += 2)
            fault(t, k, NODE_LATE, 400); /* the bad one is heard before there is a whole file */
        get_well(t, &r);
        print_message("# %s, ranges %zu\n", node_faults[cases[i / 2].fault].name, i % 2);
        if (cases[i / 2].fault == NODE_LIES_WITHIN)
            expect_big_or_believed(t, &r);
        else
            expect_big(t);
        if (!is_big(t) && missed++ < 3)
            i--; /* once more; four times is no chance */
        assert_true(missed < 4);
        for (size_t k = 0; cases[i / 2].why && k < t->dropped.n; k++)
            seen = seen || strstr(t->dropped.items[k], cases[i / 2].why);
        if (cases[i / 2].why && i % 2 && !seen)
            fail_msg("'%s' was not told", cases[i / 2].why);
        for (size_t k = 0; k < r.bad_peers.n; k++)
            assert_non_null(strstr(t->urls[1], r.bad_peers.items[k]));
        begin_again(t);
    }
}

/* All of it is within the fingerprint, and the liar has sent it before the others say a word; one
 * that says little agrees with everybody and brings nobody together. */
static void a_liar_is_first_with_a_small_file(void **state)
{
    struct place_of_test *t = *state;
    size_t n = 2 * MIB + 777;

    put_file(t->from, SMALL, t->big, n);
    t->ctx.clock = &clock_system;
    for (uint64_t ranges = 0; ranges < 2; ranges++) {
        AUTO(fetch_report_clear) struct fetch_report r = {0};

        want(t, SMALL, NODES, FETCH_VERIFY_NONE);
        fault(t, 0, NODE_RANGES, 1);
        fault(t, 0, NODE_LIES, 1);
        fault(t, 1, NODE_STALLS, 30);
        for (size_t i = 2; i < NODES; i++) {
            fault(t, i, NODE_RANGES, ranges);
            fault(t, i, NODE_LATE, 100);
        }
        get_well(t, &r);
        expect_file(t, SMALL, t->big, n);
        begin_again(t);
    }
}

/* Two say another length than the one that is at work, and one who could turn the vote is silent:
 * until it is decided the file is nobody's of that length. */
static void a_length_while_one_is_silent(void **state)
{
    struct place_of_test *t = *state;

    t->ctx.clock = &clock_system;
    for (uint64_t i = 0; i < 2; i++) {
        AUTO(fetch_report_clear) struct fetch_report r = {0};

        want(t, BIG, 4, FETCH_VERIFY_NONE);
        for (size_t k = 0; k < 3; k++)
            fault(t, k, NODE_RANGES, i);
        fault(t, 0, NODE_LENGTH, 3 + i);
        fault(t, 0, NODE_CAP, i ? 48 * MIB : 9 * MIB);
        fault(t, 1, NODE_LATE, 50);
        fault(t, 2, NODE_LATE, 50);
        fault(t, 3, NODE_LATE, 2800);
        get_well(t, &r);
        expect_big(t);
        begin_again(t);
    }
}

/* Nothing but the comparison of the sources finds this liar, and its answers come when all bytes
 * are there: they are waited for. What is compared is drawn, so one time in ten may miss it. */
static void the_last_comparison_is_awaited(void **state)
{
    struct place_of_test *t = *state;

    for (int tries = 0; tries < 4; tries++) {
        AUTO(fetch_report_clear) struct fetch_report r = {0};

        want(t, BIG, 3, FETCH_VERIFY_NONE);
        for (size_t i = 0; i < 3; i++) {
            fault(t, i, NODE_RANGES, 1);
            fault(t, i, i == 1 ? NODE_CAP : NODE_LATE, i == 1 ? 64 * MIB : 60);
        }
        fault(t, 1, NODE_LIES_WITHIN, 1);
        get_well(t, &r);
        for (size_t k = 0; k < r.bad_peers.n; k++)
            assert_non_null(strstr(t->urls[1], r.bad_peers.items[k]));
        if (is_big(t))
            return;
        begin_again(t);
    }
    fail_msg("a liar was believed four times");
}

/* What it gave before it died is not right because it died. */
static void a_liar_that_is_gone(void **state)
{
    struct place_of_test *t = *state;

    for (int tries = 0; tries < 4; tries++) {
        AUTO(fetch_report_clear) struct fetch_report r = {0};

        want(t, BIG, 3, FETCH_VERIFY_NONE);
        for (size_t i = 0; i < 3; i++) {
            fault(t, i, NODE_RANGES, 1);
            fault(t, i, i == 1 ? NODE_CAP : NODE_LATE, i == 1 ? 64 * MIB : 60);
        }
        fault(t, 1, NODE_LIES_WITHIN, 1);
        fault(t, 1, NODE_DROPS, 60);
        get_well(t, &r);
        if (is_big(t))
            return;
        begin_again(t);
    }
    fail_msg("a liar was believed four times");
}

/* The liar is done before the others have said all that they are asked for: who was put aside
 * before its last word still counts. */
static void a_liar_is_quicker_than_a_word(void **state)
{
    struct place_of_test *t = *state;
    AUTO(freep) char *bad = xmemdup(t->big, SIZE);

    for (size_t at = 2 * MIB; at < SIZE - 2 * MIB; at += 65536)
        memset(bad + at, 'x', 100);
    for (size_t i = 0; i < 3; i++) {
        AUTO(fetch_report_clear) struct fetch_report r = {0};

        node_has(t, 1, BIG, bad, SIZE);
        want(t, BIG, 3, FETCH_VERIFY_NONE);
        for (size_t k = 0; k < 3; k++) {
            fault(t, k, NODE_RANGES, 1);
            fault(t, k, NODE_CAP, k == 1 ? 48 * MIB : 8 * MIB);
        }
        get_well(t, &r);
        expect_big(t);
        begin_again(t);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(one_of_three_is_bad),          CASE(a_liar_is_first_with_a_small_file),
        CASE(a_length_while_one_is_silent), CASE(the_last_comparison_is_awaited),
        CASE(a_liar_that_is_gone),          CASE(a_liar_is_quicker_than_a_word),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
