/* fetch_measure: rates side by side, against a server that gives so much and no more. The bounds
 * are wide: what matters is which one is faster, and whether our own link is blamed. */
#include "fetch/find.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../io/http_server.h"
#include "io/clock.h"
#include "io/http.h"

#define KIB        1024.0
#define TOTAL_MS   2500
#define OFFERS_MAX 8

struct world {
    struct server *server;
    volatile sig_atomic_t cancelled;
    struct ctx ctx;
    struct fetch_offer offers[OFFERS_MAX], *list[OFFERS_MAX];
    size_t n;
};

static void open_world(struct world *w)
{
    w->server = server_start();
    w->ctx = (struct ctx){.http = &http_curl, .clock = &clock_system, .cancelled = &w->cancelled};
}

static void add(struct world *w, const char *path)
{
    struct fetch_offer *o = &w->offers[w->n];

    *o = (struct fetch_offer){.rate_b_s = -1};
    if (path)
        o->full.url = xasprintf("http://127.0.0.1:%d%s", w->server->port, path);
    w->list[w->n++] = o;
}

static void close_world(struct world *w)
{
    for (size_t i = 0; i < w->n; i++)
        free(w->offers[i].full.url);
    server_stop(w->server);
}

static void assert_rate(const struct fetch_offer *o, double kib_s)
{
    if (o->rate_b_s < 0.6 * kib_s * KIB || o->rate_b_s > 1.4 * kib_s * KIB)
        fail_msg("%s: %.0f KiB/s", o->full.url, o->rate_b_s / KIB);
}

static void each_has_its_own(void **state)
{
    struct fetch_measured got;
    struct world w = {0};
    uint64_t begun, gone_ms;

    open_world(&w);
    add(&w, "/pour-400");
    add(&w, NULL);
    add(&w, "/pour-1600");
    add(&w, "/500");
    add(&w, "/html"); /* at its end at once */
    begun = clock_system.mono_ns();
    assert_null(fetch_measure(&w.ctx, w.list, w.n, TOTAL_MS, NULL, &got));
    gone_ms = (clock_system.mono_ns() - begun) / 1000000;
    assert_rate(&w.offers[0], 400);
    assert_true(w.offers[1].rate_b_s < 0);
    assert_rate(&w.offers[2], 1600);
    assert_true(w.offers[3].rate_b_s == 0);
    assert_true(w.offers[4].rate_b_s > 0);
    assert_false(got.own_limit);
    assert_true(got.all_b_s > 1600 * 0.6 * KIB);
    for (size_t i = 0; i < w.n; i++)
        assert_false(w.offers[i].rate_floor);
    assert_in_range(gone_ms, 1500, TOTAL_MS + 6000);
    close_world(&w);
}

/* 256 KiB at 2 MiB/s, then a tenth of it: alone it would look twice as fast as the other one. */
static void one_that_tires(void **state)
{
    struct world w = {0};

    open_world(&w);
    add(&w, "/tire-2048");
    add(&w, "/pour-600");
    assert_null(fetch_measure(&w.ctx, w.list, w.n, TOTAL_MS, NULL, NULL));
    assert_true(w.offers[0].rate_b_s < 500 * KIB);
    assert_rate(&w.offers[1], 600);
    close_world(&w);
}

static void our_own_link(void **state)
{
    struct fetch_measured got;
    struct world w = {0};
    size_t floors = 0;

    open_world(&w);
    for (int i = 0; i < 4; i++)
        add(&w, "/share-2000");
    assert_null(fetch_measure(&w.ctx, w.list, w.n, TOTAL_MS, NULL, &got));
    assert_true(got.own_limit);
    assert_in_range((uint64_t)(got.all_b_s / KIB), 1200, 3500);
    for (size_t i = 0; i < w.n; i++)
        floors += w.offers[i].rate_floor;
    assert_in_range(floors, 1, 4);
    close_world(&w);
}

static void nothing_to_measure(void **state)
{
    struct fetch_measured got = {.own_limit = true};
    struct world w = {0};

    open_world(&w);
    add(&w, NULL);
    assert_null(fetch_measure(&w.ctx, w.list, w.n, TOTAL_MS, NULL, &got));
    assert_false(got.own_limit);
    add(&w, "/pour-100");
    w.cancelled = 1;
    struct err *e = fetch_measure(&w.ctx, w.list, w.n, TOTAL_MS, NULL, &got);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_CANCELLED);
    err_free(e);
    close_world(&w);
}

static void one_that_is_all(void **state)
{
    struct fetch_measured got;
    struct world w = {0};

    open_world(&w);
    add(&w, "/pour-800");
    assert_null(fetch_measure(&w.ctx, w.list, w.n, 1000, NULL, &got));
    assert_rate(&w.offers[0], 800);
    assert_false(got.own_limit);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_has_its_own),   cmocka_unit_test(one_that_tires),
        cmocka_unit_test(our_own_link),       cmocka_unit_test(one_that_is_all),
        cmocka_unit_test(nothing_to_measure),
    };

    return cmocka_run_group_tests_name("fetch_measure", tests, NULL, NULL);
}
