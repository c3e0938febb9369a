/* io/http_loop: transfers that begin, wait, pause and end while others run. */
#include "io/http_loop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "http_server.h"
#include "io/captured.h"
#include "io/clock.h"

#define RUNS_MAX 16

/* One transfer of a test. */
struct run {
    struct world *w;
    struct http_transfer *t; /* NULL once it is over */
    char *url;
    uint64_t got_b;
    int status, dones;
    enum err_kind kind; /* of its failure */
    char why[200];      /* "": it did not fail */
    uint32_t rtt_us;
    struct http_answer answer;
    int answers;
    bool wrong; /* a byte that is not the low one of its offset */
};
struct world {
    struct server *server;
    struct ctx ctx;
    volatile sig_atomic_t cancelled;
    struct http_loop *loop;
    struct run runs[RUNS_MAX];
    size_t n;
    uint64_t at_ns;
    int step;
};

static void open_world(struct world *w, struct http_loop_opts o)
{
    w->server = server_start();
    w->ctx = (struct ctx){.http = &http_curl, .clock = &clock_system, .cancelled = &w->cancelled};
    assert_null(http_loop_new(&w->ctx, &o, &w->loop));
}

static void close_world(struct world *w)
{
    w->loop = http_loop_free(w->loop);
    server_stop(w->server);
    for (size_t i = 0; i < w->n; i++)
        free(w->runs[i].url);
}

static void on_done(void *arg, struct http_transfer *t, struct http_response *r)
{
    struct run *run = arg;

    assert_ptr_equal(t, run->t);
    run->dones++;
    run->t = NULL;
    run->status = r->status;
    run->rtt_us = r->rtt_us;
    if (r->err) {
        run->kind = r->err->kind;
        snprintf(run->why, sizeof(run->why), "%s", r->err->text);
    }
}

static struct err *on_bytes(void *arg, const void *data, size_t n)
{
    struct run *run = arg;
    const unsigned char *p = data;

    for (size_t i = 0; i < n; i++)
        run->wrong = run->wrong || p[i] != (unsigned char)(run->got_b + i);
    run->got_b += n;
    return NULL;
}

static struct run *begin_with(struct world *w, const char *path, struct http_request req,
                              http_done_fn *done)
{
    struct run *run = &w->runs[w->n++];

    run->w = w;
    run->url = xasprintf("http://127.0.0.1:%d%s", w->server->port, path);
    req.method = req.method ? req.method : "GET";
    req.url = run->url;
    req.arg = run;
    req.max_body_b = UINT64_MAX;
    run->t = http_begin(w->loop, &req, done ? done : on_done, run);
    return run;
}

static struct run *begin(struct world *w, const char *path)
{
    return begin_with(w, path, (struct http_request){.timeout_ms = 20000}, NULL);
}

static struct run *flow(struct world *w)
{
    return begin_with(w, "/flow", (struct http_request){.on_data = on_bytes}, NULL);
}

static void no_more_than_there_are_places(void **state)
{
    struct world w = {0};

    open_world(&w, (struct http_loop_opts){.max_sockets = 3});
    w.server->hold_until = 3;
    for (int i = 0; i < 10; i++)
        begin(&w, "/hold");
    assert_null(http_loop_run(w.loop, 0, NULL, NULL));
    for (size_t i = 0; i < w.n; i++) {
        assert_string_equal(w.runs[i].why, "");
        assert_int_equal(w.runs[i].status, 200);
        assert_int_equal(w.runs[i].dones, 1);
    }
    assert_int_equal(w.server->peak, 3);
    close_world(&w);
}

static void on_keep_done(void *arg, struct http_transfer *t, struct http_response *r)
{
    struct run *run = arg;

    on_done(arg, t, r);
    if (run->w->n < 6)
        begin_with(run->w, "/keep", (struct http_request){.timeout_ms = 20000}, on_keep_done);
}

static void connections_are_used_again(void **state)
{
    struct world w = {0};

    open_world(&w, (struct http_loop_opts){0});
    begin_with(&w, "/keep", (struct http_request){.timeout_ms = 20000}, on_keep_done);
    assert_null(http_loop_run(w.loop, 0, NULL, NULL));
    assert_int_equal(w.n, 6);
    for (size_t i = 0; i < w.n; i++) {
        assert_string_equal(w.runs[i].why, "");
        assert_true(w.runs[i].rtt_us > 0 && w.runs[i].rtt_us < 1000000);
    }
    assert_int_equal(w.server->n_conns, 1);
    close_world(&w);
}

static void the_last_one_closes_its_connection(void **state)
{
    struct world w = {0};

    open_world(&w, (struct http_loop_opts){.max_sockets = 1});
    for (int i = 0; i < 4; i++)
        begin_with(&w, "/keep", (struct http_request){.last = i % 2 == 1}, NULL);
    assert_null(http_loop_run(w.loop, 0, NULL, NULL));
    for (size_t i = 0; i < w.n; i++)
        assert_int_equal(w.runs[i].status, 200);
    assert_int_equal(w.server->n_conns, 2); /* the second one goes on the first one's */
    close_world(&w);
}

/* ---- cancel ------------------------------------------------------------------------------- */

static struct err *cancel_in_data(void *arg, const void *data, size_t n)
{
    struct run *run = arg;

    run->got_b += n;
    for (size_t i = 0; i < 4; i++) {
        struct run *other = &run->w->runs[i];

        if (other->t)
            http_cancel(other->t);
        other->t = NULL;
    }
    return NULL;
}

/* Itself, one before and one behind it, and one that waits for a place. */
static void cancelled_while_data_comes(void **state)
{
    struct world w = {0};

    open_world(&w, (struct http_loop_opts){.max_sockets = 4});
    begin(&w, "/stall");
    begin_with(&w, "/flow", (struct http_request){.on_data = cancel_in_data}, NULL);
    begin(&w, "/stall");
    begin(&w, "/cancel");
    begin_with(&w, "/flow", (struct http_request){.on_data = on_bytes}, NULL);
    struct run *waits = begin(&w, "/stall");
    struct run *last = begin(&w, "/html");
    http_cancel(TAKE(waits->t)); /* before anything has run */
    assert_null(http_loop_run(w.loop, 0, NULL, NULL));
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(w.runs[i].dones, 0);
    assert_true(w.runs[1].got_b > 0 && w.runs[1].got_b < SERVER_FLOW_B);
    assert_int_equal(w.runs[4].got_b, SERVER_FLOW_B);
    assert_int_equal(waits->dones, 0);
    assert_int_equal(last->status, 200);
    close_world(&w);
}

static void cancel_in_done(void *arg, struct http_transfer *t, struct http_response *r)
{
    struct run *run = arg;

    on_done(arg, t, r);
    http_cancel(t); /* nothing more happens to it */
    for (size_t i = 0; i < run->w->n; i++)
        if (run->w->runs[i].t)
            http_cancel(TAKE(run->w->runs[i].t));
}

static void cancelled_when_another_is_done(void **state)
{
    struct world w = {0};

    open_world(&w, (struct http_loop_opts){0});
    for (int i = 0; i < 5; i++)
        begin(&w, "/stall");
    begin_with(&w, "/html", (struct http_request){0}, cancel_in_done);
    begin_with(&w, "nonsense", (struct http_request){0}, NULL); /* over before that one */
    assert_null(http_loop_run(w.loop, 0, NULL, NULL));
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(w.runs[i].dones, 0);
    assert_int_equal(w.runs[5].dones, 1);
    close_world(&w);
}

static struct err *cancel_others(void *arg, const struct http_answer *a)
{
    struct run *run = arg;

    run->answers++;
    for (size_t i = 0; i < run->w->n; i++) {
        struct run *other = &run->w->runs[i];

        if (other != run && other->t)
            http_cancel(TAKE(other->t));
    }
    return NULL;
}

/* Whose answers come in one round: who was cancelled by the first is not told of its own. */
static void cancelled_with_its_answer_on_the_way(void **state)
{
    const struct http_request req = {.on_answer = cancel_others};

    for (int round = 0; round < 40; round++) {
        struct world w = {0};
        int answers = 0, dones = 0;

        open_world(&w, (struct http_loop_opts){0});
        for (int i = 0; i < 8; i++)
            begin_with(&w, i % 2 ? "/zero" : "/html", req, NULL);
        assert_null(http_loop_run(w.loop, 0, NULL, NULL));
        for (size_t i = 0; i < w.n; i++) {
            answers += w.runs[i].answers;
            dones += w.runs[i].dones;
        }
        assert_int_equal(answers, 1);
        assert_int_equal(dones, 1);
        close_world(&w);
    }
}

static void what_runs_ends_with_the_loop(void **state)
{
    struct world w = {0};

    open_world(&w, (struct http_loop_opts){0});
    flow(&w);
    begin(&w, "/cancel");
    w.server->hold_until = 1;
    w.loop = http_loop_free(w.loop);
    assert_int_equal(w.runs[0].dones + w.runs[1].dones, 0);
    close_world(&w);
}

static void one_that_cannot_begin_is_done_like_others(void **state)
{
    struct world w = {0};
    struct run *bad;

    open_world(&w, (struct http_loop_opts){0});
    bad = &w.runs[w.n++];
    bad->w = &w;
    bad->t = http_begin(w.loop, &(struct http_request){.method = "GET", .url = "ftp://x/"}, on_done,
                        bad);
    assert_int_equal(bad->dones, 0);
    assert_null(http_loop_run(w.loop, 0, NULL, NULL));
    assert_int_equal(bad->dones, 1);
    assert_int_equal(bad->kind, ERR_BADINPUT);
    close_world(&w);
}

/* ---- pause -------------------------------------------------------------------------------- */

static struct err *pause_at_first(void *arg, const void *data, size_t n)
{
    struct run *run = arg;

    if (run->got_b == 0)
        http_pause(run->t);
    else
        assert_int_equal(run->w->step, 2); /* nothing came while it was paused */
    return on_bytes(arg, data, n);
}

static struct err *resume_later(void *arg, bool *ret_stop)
{
    struct world *w = arg;
    uint64_t now = clock_system.mono_ns();

    if (w->step == 0 && w->runs[0].got_b > 0) {
        w->step = 1;
        w->at_ns = now;
    }
    if (w->step == 1 && now - w->at_ns > 1500000000) {
        w->step = 2;
        http_resume(w->runs[0].t);
    }
    return NULL;
}

/* Longer than its least rate would allow, with nothing else going on. */
static void a_paused_one_takes_nothing(void **state)
{
    struct world w = {0};
    struct http_request req = {.on_data = pause_at_first, .min_rate_b_s = 1, .min_rate_s = 1};

    open_world(&w, (struct http_loop_opts){0});
    begin_with(&w, "/flow", req, NULL);
    assert_null(http_loop_run(w.loop, 50, resume_later, &w));
    assert_int_equal(w.step, 2);
    assert_string_equal(w.runs[0].why, "");
    assert_int_equal(w.runs[0].got_b, SERVER_FLOW_B);
    assert_false(w.runs[0].wrong);
    close_world(&w);
}

static struct err *pause_then_fail(void *arg, const void *data, size_t n)
{
    struct run *run = arg;

    if (run->got_b == 0)
        http_pause(run->t);
    run->got_b += n;
    return run->w->step < 2 ? NULL : err_new(ERR_CORRUPT, "not what it should be");
}

/* What was held is handed on at the resume, and its failure ends the transfer. */
static void a_failure_after_a_pause(void **state)
{
    struct world w = {.step = 1};

    open_world(&w, (struct http_loop_opts){0});
    begin_with(&w, "/flow", (struct http_request){.on_data = pause_then_fail}, NULL);
    assert_null(http_loop_run(w.loop, 50, resume_later, &w));
    assert_int_equal(w.runs[0].dones, 1);
    assert_string_equal(w.runs[0].why, "not what it should be");
    assert_int_equal(w.runs[0].kind, ERR_CORRUPT);
    close_world(&w);
}

/* ---- the rate of all ---------------------------------------------------------------------- */

static struct err *watch_shares(void *arg, bool *ret_stop)
{
    struct world *w = arg;
    uint64_t least = UINT64_MAX, most = 0;

    for (size_t i = 0; i < w->n; i++) {
        least = w->runs[i].got_b < least ? w->runs[i].got_b : least;
        most = w->runs[i].got_b > most ? w->runs[i].got_b : most;
    }
    if (most > SERVER_FLOW_B / 2 && w->step == 0) {
        w->step = 1;
        assert_true(least > SERVER_FLOW_B / 8); /* nobody is left behind */
    }
    return NULL;
}

static void all_together_keep_the_rate(void **state)
{
    struct world w = {0};
    uint64_t begun, gone_ms;

    open_world(&w, (struct http_loop_opts){.rate_b_s = 3 * SERVER_FLOW_B});
    for (int i = 0; i < 3; i++)
        flow(&w);
    begun = clock_system.mono_ns();
    assert_null(http_loop_run(w.loop, 0, watch_shares, &w));
    gone_ms = (clock_system.mono_ns() - begun) / 1000000;
    for (size_t i = 0; i < w.n; i++) {
        assert_string_equal(w.runs[i].why, "");
        assert_int_equal(w.runs[i].got_b, SERVER_FLOW_B);
        assert_false(w.runs[i].wrong);
    }
    /* 1 s, less what the account holds at first and what one may take on credit at the end */
    assert_in_range(gone_ms, 850, 9000);
    close_world(&w);
}

/* ---- run ---------------------------------------------------------------------------------- */

static struct err *fail_once(void *arg, bool *ret_stop)
{
    struct world *w = arg;

    return w->step++ == 3 ? err_new(ERR_CORRUPT, "enough") : NULL;
}

static void an_error_of_tick_is_returned_and_nothing_is_lost(void **state)
{
    struct world w = {0};

    open_world(&w, (struct http_loop_opts){.rate_b_s = 16ULL << 20});
    flow(&w);
    struct err *e = http_loop_run(w.loop, 5, fail_once, &w);
    assert_non_null(e);
    assert_string_equal(e->text, "enough");
    err_free(e);
    assert_int_equal(w.runs[0].dones, 0);
    assert_null(http_loop_run(w.loop, 5, fail_once, &w));
    assert_int_equal(w.runs[0].got_b, SERVER_FLOW_B);
    assert_false(w.runs[0].wrong);
    close_world(&w);
}

static struct err *stop_at_once(void *arg, bool *ret_stop)
{
    *ret_stop = true;
    return NULL;
}

static void tick_can_stop_it(void **state)
{
    struct world w = {0};

    open_world(&w, (struct http_loop_opts){0});
    begin(&w, "/stall");
    assert_null(http_loop_run(w.loop, 0, stop_at_once, NULL));
    assert_int_equal(w.runs[0].dones, 0);
    assert_null(http_loop_run(w.loop, 0, stop_at_once, NULL));
    close_world(&w);
}

static struct err *leave(void *arg, bool *ret_stop)
{
    struct world *w = arg;

    w->cancelled = w->server->cancel;
    return NULL;
}

static void the_operator_can_leave(void **state)
{
    struct world w = {0};

    open_world(&w, (struct http_loop_opts){0});
    begin(&w, "/cancel");
    AUTO(err_freep) struct err *e = http_loop_run(w.loop, 10, leave, &w);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_CANCELLED);
    assert_int_equal(w.runs[0].dones, 0);
    close_world(&w);
}

static void without_work_it_returns(void **state)
{
    struct world w = {0};

    open_world(&w, (struct http_loop_opts){0});
    assert_null(http_loop_run(w.loop, 0, NULL, NULL));
    close_world(&w);
}

static void a_captured_host_has_no_network(void **state)
{
    struct ctx ctx = {.http = &http_captured, .clock = &clock_system};
    struct http_loop *l = NULL;
    AUTO(err_freep) struct err *e = http_loop_new(&ctx, &(struct http_loop_opts){0}, &l);

    assert_non_null(e);
    assert_int_equal(e->kind, ERR_ABSENT);
    assert_null(l);
}

/* ---- the new fields of a request ---------------------------------------------------------- */

static struct err *note_answer(void *arg, const struct http_answer *a)
{
    struct run *run = arg;

    assert_int_equal(run->got_b, 0);
    run->answer = *a;
    run->answers++;
    return a->status == 206 && !a->ranged ? err_new(ERR_REMOTE, "no range") : NULL;
}

static struct err *count_bytes(void *arg, const void *data, size_t n)
{
    struct run *run = arg;

    run->got_b += n;
    return NULL;
}

/* Who streams takes any number of bytes, but not those of a failure into memory. */
static void a_failure_without_end(void **state)
{
    struct world w = {0};
    struct run *run;

    open_world(&w, (struct http_loop_opts){0});
    run = begin_with(&w, "/giant-500",
                     (struct http_request){.on_data = on_bytes, .timeout_ms = 1000}, NULL);
    assert_null(http_loop_run(w.loop, 0, NULL, NULL));
    assert_int_equal(run->kind, ERR_REMOTE);
    assert_non_null(strstr(run->why, "larger than 1048576 bytes"));
    assert_int_equal(run->got_b, 0);
    close_world(&w);
}

static void heads_of_answers(void **state)
{
    static const struct {
        const char *path;
        int answers, status;
        uint64_t length_b, first_b, last_b, total_b, got_b;
        bool accepts, ranged, fails;
    } cases[] = {
        {"/part", 1, 206, 5, 5, 9, 100, 5, true, true, false},
        {"/part-lies", 1, 206, 5, 0, 0, UINT64_MAX, 0, false, false, true},
        {"/part-200", 1, 200, 5, 0, 0, UINT64_MAX, 5, false, false, false},
        {"/chunked", 1, 200, UINT64_MAX, 0, 0, UINT64_MAX, 11, false, false, false},
        {"/zero", 1, 200, 0, 0, 0, UINT64_MAX, 0, false, false, false},
        {"/early-hint", 1, 200, 2, 0, 0, UINT64_MAX, 2, false, false, false},
        {"/500", 0, 0, 0, 0, 0, 0, 0, false, false, false},
    };
    struct http_request req = {.on_answer = note_answer, .on_data = count_bytes};
    struct world w = {0};

    open_world(&w, (struct http_loop_opts){0});
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        begin_with(&w, cases[i].path, req, NULL);
    req = (struct http_request){.on_answer = note_answer, .method = "HEAD"};
    struct run *head = begin_with(&w, "/part", req, NULL);
    assert_null(http_loop_run(w.loop, 0, NULL, NULL));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct http_answer *a = &w.runs[i].answer;

        assert_int_equal(w.runs[i].answers, cases[i].answers);
        assert_int_equal(a->status, cases[i].status);
        assert_true(a->length_b == cases[i].length_b && a->first_b == cases[i].first_b);
        assert_true(a->last_b == cases[i].last_b && a->total_b == cases[i].total_b);
        assert_int_equal(a->accepts_ranges, cases[i].accepts);
        assert_int_equal(a->ranged, cases[i].ranged);
        assert_int_equal(w.runs[i].got_b, cases[i].got_b);
        assert_string_equal(w.runs[i].why, cases[i].fails ? "no range" : "");
    }
    assert_true(head->answer.ranged && head->answer.total_b == 100);
    close_world(&w);
}

/* Also when the environment says that this host needs none. */
static void all_goes_through_the_proxy(void **state)
{
    struct world w = {0};

    open_world(&w, (struct http_loop_opts){0});
    AUTO(freep) char *proxy = xasprintf("http://127.0.0.1:%d", w.server->port);
    struct http_request req = {
        .method = "GET", .url = "http://nowhere.invalid/html", .proxy = proxy, .timeout_ms = 5000};
    struct run *run = &w.runs[w.n++];

    setenv("no_proxy", "*", 1);
    run->w = &w;
    run->t = http_begin(w.loop, &req, on_done, run);
    assert_null(http_loop_run(w.loop, 0, NULL, NULL));
    unsetenv("no_proxy");
    assert_string_equal(run->why, "");
    assert_int_equal(run->status, 200);
    assert_int_equal(w.server->n_proxied, 1);
    assert_int_equal(run->rtt_us, 0); /* it would be the proxy's */
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_more_than_there_are_places),
        cmocka_unit_test(connections_are_used_again),
        cmocka_unit_test(the_last_one_closes_its_connection),
        cmocka_unit_test(cancelled_while_data_comes),
        cmocka_unit_test(cancelled_when_another_is_done),
        cmocka_unit_test(cancelled_with_its_answer_on_the_way),
        cmocka_unit_test(what_runs_ends_with_the_loop),
        cmocka_unit_test(one_that_cannot_begin_is_done_like_others),
        cmocka_unit_test(a_paused_one_takes_nothing),
        cmocka_unit_test(a_failure_after_a_pause),
        cmocka_unit_test(all_together_keep_the_rate),
        cmocka_unit_test(an_error_of_tick_is_returned_and_nothing_is_lost),
        cmocka_unit_test(tick_can_stop_it),
        cmocka_unit_test(the_operator_can_leave),
        cmocka_unit_test(without_work_it_returns),
        cmocka_unit_test(a_captured_host_has_no_network),
        cmocka_unit_test(a_failure_without_end),
        cmocka_unit_test(heads_of_answers),
        cmocka_unit_test(all_goes_through_the_proxy),
    };

    return cmocka_run_group_tests_name("http_loop", tests, NULL, NULL);
}
