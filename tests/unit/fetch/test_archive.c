/* fetch/archive against nodes of the lab that do everything wrong: the right file arrives while one
 * of them has it, and what is left behind can be gone on with. */
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

/* ---- cases -------------------------------------------------------------------------------- */

static void from_all_who_honour_ranges(void **state)
{
    struct place_of_test *t = *state;
    AUTO(fetch_report_clear) struct fetch_report r = {0};
    struct stat st;

    want(t, BIG, 3, FETCH_VERIFY_NONE);
    for (size_t i = 0; i < 3; i++) {
        fault(t, i, NODE_RANGES, 1);
        fault(t, i, NODE_CAP, 8 * MIB);
    }
    get_well(t, &r);
    expect_big(t);
    for (size_t i = 0; i < 3; i++)
        assert_true(r.shares[i].bytes_b > MIB && r.shares[i].ranges && !r.shares[i].why);
    assert_int_equal(r.shares[0].bytes_b + r.shares[1].bytes_b + r.shares[2].bytes_b, SIZE);
    assert_true(r.wire_b < SIZE + 20 * MIB);
    assert_int_equal(r.size_b, SIZE);
    assert_int_equal(t->finished, 1);
    assert_true(t->told > 1 && t->told_b == SIZE);
    AUTO(freep) char *path = xasprintf("%s/" BIG, t->to);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
}

static void from_one_who_does_not(void **state)
{
    struct place_of_test *t = *state;
    AUTO(fetch_report_clear) struct fetch_report r = {0};

    want(t, BIG, 1, FETCH_VERIFY_NONE);
    get_well(t, &r);
    expect_big(t);
    assert_int_equal(r.wire_b, SIZE);
    assert_false(r.shares[0].ranges);
}

static void a_race(void **state)
{
    struct place_of_test *t = *state;
    AUTO(fetch_report_clear) struct fetch_report r = {0};

    want(t, BIG, 3, FETCH_VERIFY_NONE);
    fault(t, 0, NODE_CAP, 2 * MIB);
    fault(t, 1, NODE_CAP, 16 * MIB);
    fault(t, 2, NODE_CAP, 2 * MIB);
    get_well(t, &r);
    expect_big(t);
    assert_true(r.shares[1].bytes_b > SIZE * 3 / 4);
    assert_true(r.wire_b < SIZE + SIZE / 2);
}

static void a_real_archive_is_proven(void **state)
{
    struct place_of_test *t = *state;
    AUTO(fetch_report_clear) struct fetch_report r = {0};
    AUTO(freep)
    char *path = xasprintf("%s/tests/data/snapshots/" REAL, getenv("AGAVECTL_TEST_SOURCE"));
    AUTO(freep) char *data = NULL;
    size_t n;

    assert_null(fsroot_read(t->root, path, MIB, &data, &n));
    put_file(t->from, REAL, data, n);
    want(t, REAL, 2, FETCH_VERIFY_FULL);
    t->job.hash_must = true;
    get_well(t, &r);
    expect_file(t, REAL, data, n);
    assert_int_equal(r.check.slot, 1102);
    assert_int_equal(r.check.hash_is, SNAPCHECK_HASH_PROVEN);
    assert_int_equal(r.check.archive_b, n);
}

/* One of two sends wrong bytes: whoever is believed first, the archive's own check decides. */
static void of_two_the_check_decides(void **state)
{
    struct place_of_test *t = *state;
    AUTO(freep)
    char *path = xasprintf("%s/tests/data/snapshots/" REAL, getenv("AGAVECTL_TEST_SOURCE"));
    AUTO(freep) char *data = NULL;
    size_t n;

    assert_null(fsroot_read(t->root, path, MIB, &data, &n));
    put_file(t->from, REAL, data, n);
    for (size_t bad = 0; bad < 2; bad++)
        for (uint64_t ranges = 0; ranges < 2; ranges++) {
            AUTO(fetch_report_clear) struct fetch_report r = {0};

            want(t, REAL, 2, FETCH_VERIFY_STRUCTURE);
            fault(t, 0, NODE_RANGES, ranges);
            fault(t, 1, NODE_RANGES, ranges);
            fault(t, bad, NODE_CORRUPT, 1);
            fault(t, 1 - bad, NODE_LATE, 100);
            get_well(t, &r);
            expect_file(t, REAL, data, n);
            if (r.bad_peers.n)
                assert_non_null(strstr(t->urls[bad], r.bad_peers.items[0]));
            begin_again(t);
        }
}

static void nobody_has_a_whole_one(void **state)
{
    struct place_of_test *t = *state;

    for (uint64_t ranges = 0; ranges < 2; ranges++) {
        want(t, BIG, 2, FETCH_VERIFY_STRUCTURE); /* noise is no archive */
        fault(t, 0, NODE_RANGES, ranges);
        fault(t, 1, NODE_RANGES, ranges);
        get_badly(t, ERR_CORRUPT, "127.0.0.1");
        assert_false(there(t, "tmp-" BIG) || there(t, ".agavectl"));
    }
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
        expect_big(t);
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
    for (uint64_t i = 0; i < 8; i++) {
        AUTO(fetch_report_clear) struct fetch_report r = {0};

        want(t, BIG, 4, FETCH_VERIFY_NONE);
        for (size_t k = 0; k < 3; k++)
            fault(t, k, NODE_RANGES, i % 2);
        fault(t, 0, NODE_LENGTH, 3 + i / 2 % 2);
        fault(t, 0, NODE_CAP, i / 4 ? 48 * MIB : 9 * MIB);
        fault(t, 1, NODE_LATE, 50);
        fault(t, 2, NODE_LATE, 50);
        fault(t, 3, NODE_LATE, 2800);
        get_well(t, &r);
        expect_big(t);
        begin_again(t);
    }
}

/* The only source fails: its name is told, and what came stays, to be gone on with. */
static void the_last_source_fails(void **state)
{
    static const struct {
        enum node_fault fault;
        uint64_t value;
        enum err_kind kind;
        const char *text;
        bool resumes;
    } cases[] = {
        {NODE_DEAD, 1, ERR_REMOTE, "onnection refused", false},
        {NODE_VANISHES, 1, ERR_NOTFOUND, "404", false},
        {NODE_LENGTH, 1, ERR_REMOTE, "empty", false},
        {NODE_LENGTH, 2, ERR_REMOTE, "no archive has", false},
        {NODE_ELSEWHERE, 1, ERR_REMOTE, "another place", false},
        {NODE_DROPS, 50, ERR_REMOTE, "closed", true},
        {NODE_STALLS, 50, ERR_TIMEOUT, "no bytes", true},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct place_of_test *t = *state;
        AUTO(fetch_report_clear) struct fetch_report r = {0};

        want(t, BIG, 1, FETCH_VERIFY_NONE);
        fault(t, 0, cases[i].fault, cases[i].value);
        t->sources[1] = t->sources[0];
        if (cases[i].fault == NODE_ELSEWHERE) /* to the pool's first, which is itself for node 0 */
            t->sources[0] = (struct fetch_source){.url = t->urls[2]};
        if (cases[i].fault == NODE_ELSEWHERE)
            fault(t, 2, NODE_ELSEWHERE, 1);
        get_badly(t, cases[i].kind, cases[i].text);
        assert_int_equal(there(t, "tmp-" BIG), cases[i].resumes);
        assert_int_equal(there(t, ".agavectl/" BIG ".map"), cases[i].resumes);
        t->sources[0] = (struct fetch_source){.url = t->urls[3]};
        fault(t, 3, NODE_RANGES, 1);
        get_well(t, &r);
        expect_big(t);
        if (cases[i].resumes)
            assert_true(r.resumed_b > SIZE / 3 && r.wire_b < SIZE);
        begin_again(t);
    }
}

static void an_interrupt_leaves_what_came(void **state)
{
    struct place_of_test *t = *state;

    for (uint64_t ranges = 0; ranges < 2; ranges++) {
        AUTO(fetch_report_clear) struct fetch_report r = {0};

        want(t, BIG, 1, FETCH_VERIFY_NONE);
        fault(t, 0, NODE_RANGES, ranges);
        fault(t, 0, NODE_CAP, 8 * MIB);
        t->cancel_at_b = 8 * MIB;
        get_badly(t, ERR_CANCELLED, "interrupted");
        t->cancelled = 0;
        t->cancel_at_b = 0;
        get_well(t, &r);
        expect_big(t);
        assert_true(r.resumed_b >= 8 * MIB && r.resumed_b < SIZE);
        if (ranges)
            assert_true(r.wire_b < SIZE);
        else /* all of it again, compared and not written */
            assert_int_equal(r.shares[0].bytes_b, SIZE - r.resumed_b);
        begin_again(t);
    }
}

static struct err *not_now(void *arg, const struct fetch_report *r)
{
    return err_new(ERR_REFUSED, "not while it runs");
}

/* Whole and proven, and its owner says no: nothing has the name, and nothing is lost. */
static void a_name_that_may_not_be_given(void **state)
{
    struct place_of_test *t = *state;
    struct err *(*finishing)(void *, const struct fetch_report *);
    AUTO(fetch_report_clear) struct fetch_report r = {0};

    want(t, BIG, 1, FETCH_VERIFY_NONE);
    finishing = t->job.finishing;
    t->job.finishing = not_now;
    get_badly(t, ERR_REFUSED, "not while it runs");
    t->job.finishing = finishing;
    get_well(t, &r);
    expect_big(t);
    assert_int_equal(r.resumed_b, SIZE);
}

/* A half file that is not what the sources have. */
static void a_half_file_that_is_wrong(void **state)
{
    struct place_of_test *t = *state;
    AUTO(freep) char *tmp = xasprintf("%s/tmp-" BIG, t->to);
    int fd;

    for (size_t i = 0; i < 8; i++) {
        AUTO(fetch_report_clear) struct fetch_report r = {0};

        want(t, BIG, 2, FETCH_VERIFY_NONE);
        fault(t, 0, NODE_CAP, 8 * MIB);
        fault(t, 0, NODE_RANGES, i / 4);
        fault(t, 1, NODE_RANGES, i / 4);
        t->job.n_sources = 1;
        t->cancel_at_b = 5 * MIB;
        get_badly(t, ERR_CANCELLED, "interrupted");
        t->cancelled = 0;
        t->cancel_at_b = t->told = 0;
        t->told_max = 400;
        fd = open(tmp, O_WRONLY | O_CLOEXEC);
        assert_true(fd >= 0 && pwrite(fd, "wrong", 5, i & 1 ? 100 : 3 * (off_t)MIB) == 5);
        close(fd);
        if (i / 4 && !(i & 1)) { /* who was proven is not compared there again */
            begin_again(t);
            continue;
        }
        t->job.n_sources = i & 2 ? 2 : 1;
        get_well(t, &r);
        expect_big(t);
        begin_again(t);
        t->told_max = 0;
    }
}

static bool is_big(const struct place_of_test *t)
{
    AUTO(freep) char *path = xasprintf("%s/" BIG, t->to);
    AUTO(freep) char *got = NULL;
    size_t n;

    assert_null(fsroot_read(t->root, path, 64 * MIB, &got, &n));
    return n == SIZE && memcmp(got, t->big, n) == 0;
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

static void second_gets_well(struct place_of_test *t)
{
    if (t->told == 3)
        fault(t, 1, NODE_DROPS, 0);
}

/* A connection that broke while it proved itself: it is asked again, and is there when the other
 * one is gone. */
static void the_first_answer_is_cut(void **state)
{
    struct place_of_test *t = *state;
    AUTO(fetch_report_clear) struct fetch_report r = {0};

    want(t, BIG, 2, FETCH_VERIFY_NONE);
    for (size_t i = 0; i < 2; i++)
        fault(t, i, NODE_RANGES, 1);
    fault(t, 0, NODE_CAP, 32 * MIB);
    fault(t, 0, NODE_DROPS, 60);
    fault(t, 1, NODE_DROPS, 10);
    fault(t, 1, NODE_LATE, 20); /* the other one is first */
    t->on_told = second_gets_well;
    t->told_max = 400;
    get_well(t, &r);
    expect_big(t);
    assert_true(r.shares[1].bytes_b > 4 * MIB);
}

/* It answers, and gives a few bytes for ever: without anybody else there is nothing to wait for. */
static void one_that_never_proves_itself(void **state)
{
    struct place_of_test *t = *state;

    want(t, BIG, 2, FETCH_VERIFY_NONE);
    for (size_t i = 0; i < 2; i++)
        fault(t, i, NODE_RANGES, 1);
    fault(t, 0, NODE_CAP, 32 * MIB);
    fault(t, 0, NODE_DROPS, 60);
    fault(t, 1, NODE_SLOW, 20000);
    t->told_max = 400;
    get_badly(t, ERR_REMOTE, "only ");
}

/* Who waits for its turn under the limit of all is not slow. */
static void the_limit_is_nobodys_fault(void **state)
{
    struct place_of_test *t = *state;
    AUTO(fetch_report_clear) struct fetch_report r = {0};

    want(t, BIG, 4, FETCH_VERIFY_NONE);
    for (size_t i = 0; i < 4; i++)
        fault(t, i, NODE_RANGES, 1);
    t->ctx.clock = &clock_system; /* which is what the limit goes by */
    t->job.max_rate_b_s = 4 * MIB;
    get_well(t, &r);
    expect_big(t);
    assert_int_equal(t->dropped.n, 0);
    for (size_t i = 0; i < 4; i++)
        assert_true(r.shares[i].bytes_b > 0);
}

static struct err *refuse(void *arg, const struct fetch_report *r)
{
    return err_new(ERR_REFUSED, "not today");
}

/* All of it was here, and nothing of it was proven, when the run before this one ended. */
static void a_whole_one_is_checked_as_well(void **state)
{
    struct place_of_test *t = *state;
    struct err *(*finishing)(void *, const struct fetch_report *);

    want(t, BIG, 1, FETCH_VERIFY_NONE);
    finishing = t->job.finishing;
    t->job.finishing = refuse;
    get_badly(t, ERR_REFUSED, "not today");
    assert_true(there(t, "tmp-" BIG));
    t->job.finishing = finishing;
    t->job.verify = FETCH_VERIFY_STRUCTURE; /* noise is no archive */
    get_badly(t, ERR_CORRUPT, "127.0.0.1");
}

static void names_and_disks_that_do_not_fit(void **state)
{
    struct place_of_test *t = *state;

    want(t, BIG, 1, FETCH_VERIFY_NONE);
    t->job.spare_b = (uint64_t)1 << 60;
    get_badly(t, ERR_SYS, "are needed");
    assert_false(there(t, "tmp-" BIG) || there(t, ".agavectl"));
    t->job.spare_b = 1;
    put_file(t->to, BIG, "mine", 4);
    AUTO(fetch_report_clear) struct fetch_report r = {0};
    AUTO(err_freep) struct err *e = get(t, &r);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_REFUSED);
    t->job.name = "../x";
    AUTO(err_freep) struct err *e2 = get(t, &r);
    assert_non_null(e2);
    assert_int_equal(e2->kind, ERR_BADINPUT);
    t->job.name = BIG;
    t->job.n_sources = 0;
    AUTO(err_freep) struct err *e3 = get(t, &r);
    assert_non_null(e3);
    assert_int_equal(e3->kind, ERR_NOTFOUND);
}

static void a_limit_of_the_rate(void **state)
{
    struct place_of_test *t = *state;
    AUTO(fetch_report_clear) struct fetch_report r = {0};
    uint64_t begun = clock_system.mono_ns();

    want(t, BIG, 2, FETCH_VERIFY_NONE);
    fault(t, 0, NODE_RANGES, 1);
    fault(t, 1, NODE_RANGES, 1);
    t->job.max_rate_b_s = 10 * MIB;
    get_well(t, &r);
    expect_big(t);
    assert_true(clock_system.mono_ns() - begun > 1000000000);
}

#ifdef AGAVECTL_FAULTS
/* Ten times killed at a place, then to its end. */
static void killed(void **state)
{
    struct place_of_test *t = *state;
    AUTO(fetch_report_clear) struct fetch_report r = {0};
    unsigned kills = 0;

    want(t, BIG, 2, FETCH_VERIFY_NONE);
    for (size_t i = 0; i < 2; i++) {
        fault(t, i, NODE_RANGES, 1);
        fault(t, i, NODE_CAP, 24 * MIB);
    }
    for (int i = 0; i < 10; i++) {
        AUTO(freep) char *at = xasprintf("partial-block:%d", i ? 6 : 130);
        pid_t pid = fork();
        int status;

        if (pid == 0) {
            setenv("AGAVECTL_FAULT", at, 1);
            _exit(get(t, &r) ? 1 : 0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        kills += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    }
    assert_int_equal(kills, 10);
    get_well(t, &r);
    expect_big(t);
    /* Each of them had written some blocks, one of which did not count. */
    assert_true(r.resumed_b <= (130 + 9 * 6 - 10) * 65536);
    assert_true(r.resumed_b > (130 + 9 * 6 - 11) * 65536); /* the last one is short */
    /* Who was proven once need not prove all of it again. */
    assert_true(sent_b(t) < SIZE + 40 * MIB);
}
#endif

#define CASE(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(from_all_who_honour_ranges),
        CASE(from_one_who_does_not),
        CASE(a_race),
        CASE(a_real_archive_is_proven),
        CASE(of_two_the_check_decides),
        CASE(nobody_has_a_whole_one),
        CASE(one_of_three_is_bad),
        CASE(a_liar_is_first_with_a_small_file),
        CASE(a_length_while_one_is_silent),
        CASE(the_last_source_fails),
        CASE(an_interrupt_leaves_what_came),
        CASE(a_name_that_may_not_be_given),
        CASE(a_half_file_that_is_wrong),
        CASE(the_last_comparison_is_awaited),
        CASE(a_liar_that_is_gone),
        CASE(the_first_answer_is_cut),
        CASE(one_that_never_proves_itself),
        CASE(the_limit_is_nobodys_fault),
        CASE(a_whole_one_is_checked_as_well),
        CASE(names_and_disks_that_do_not_fit),
        CASE(a_limit_of_the_rate),
#ifdef AGAVECTL_FAULTS
        CASE(killed),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
