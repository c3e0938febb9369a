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
    assert_true(r.wire_b < 3 * SIZE); /* each of them has not sent all of it */
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
        CASE(the_last_source_fails),
        CASE(an_interrupt_leaves_what_came),
        CASE(a_name_that_may_not_be_given),
        CASE(a_half_file_that_is_wrong),
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
