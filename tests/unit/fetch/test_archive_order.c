/* fetch/archive with sources of which some are slow, odd or lie from the beginning: who of them is
 * at work, and is what was read behind the bytes done when the last one comes? */
#include "fetch/archive.h"

#include "fetch/archive_parts.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "io/http.h"
#include "lab/node/rpc_server.h"
#include "lab/node/snapshot_maker.h"
#include "server.h"
#include "../remove_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define MIB      ((uint64_t)1 << 20)
#define NODES    4
#define SIZE_MIB 144

struct world {
    char dir[32];
    struct fsroot *root;
    struct ctx ctx;
    volatile sig_atomic_t cancelled;
    char *from, *to, *name; /* folders of the nodes and of what is fetched; the archive */
    uint64_t size_b;
    struct rpc_pool *pool;
    struct rpc_server *nodes[NODES];
    char *urls[NODES];
    struct fetch_source sources[NODES];
    struct fetch_job job;
    struct strlist dropped;
    void (*on_told)(struct world *w, const struct fetch_progress *p); /* may be NULL */
    unsigned late;
    uint64_t begun_ns, dropped_at_b;
};

/* ---- the world ---------------------------------------------------------------------------- */

static const char *archives(void *arg)
{
    return ((struct world *)arg)->from;
}

/* A time in which the patience of the fetch is ten times shorter. */
static uint64_t quick_ns(void)
{
    return clock_system.mono_ns() * 10;
}

static void quick_wait(uint64_t wait_ns, const volatile sig_atomic_t *cancelled)
{
    clock_system.wait(wait_ns / 10, cancelled);
}

static const struct clock_ops quick = {.mono_ns = quick_ns, .wait = quick_wait};

static void open_node(struct world *w, size_t i)
{
    AUTO(freep) char *free_url = nobodys_url();
    struct rpc_server_spec spec = {
        .pool = w->pool,
        .bind = "127.0.0.1",
        .port = (uint16_t)strtoul(strrchr(free_url, ':') + 1, NULL, 10),
        .archives = true,
        .ledger = w->from,
        .source = {.arg = w, .archives = archives},
    };

    assert_null(rpc_server_open(&spec, &w->nodes[i]));
    w->urls[i] = xasprintf("%s/%s", free_url, w->name);
    w->sources[i] = (struct fetch_source){.url = w->urls[i]};
}

static void fault(struct world *w, size_t i, enum node_fault f, uint64_t value)
{
    assert_null(rpc_server_fault(w->nodes[i], f, value));
}

static void on_dropped(void *arg, const char *label, const struct err *e)
{
    struct world *w = arg;

    strlist_addf(&w->dropped, "%s: %s", label, e->text);
}

static void on_progress(void *arg, const struct fetch_progress *p)
{
    struct world *w = arg;

    if (w->on_told)
        w->on_told(w, p);
}

/* A real archive of about so many MiB at n nodes. */
static void offer(struct world *w, uint64_t mib, size_t n, enum fetch_verify verify)
{
    const struct snapshot_maker_spec spec = {
        .seed = 7, .slot = 900, .accounts_files = 4, .accounts_b = mib * MIB / 4};
    AUTO(freep) char *path = NULL;
    struct stat st;

    assert_null(snapshot_maker_write(w->from, &spec, &w->name));
    path = xasprintf("%s/%s", w->from, w->name);
    assert_int_equal(stat(path, &st), 0);
    w->size_b = (uint64_t)st.st_size;
    for (size_t i = 0; i < n; i++)
        open_node(w, i);
    w->job = (struct fetch_job){
        .name = w->name,
        .dir = w->to,
        .sources = w->sources,
        .n_sources = n,
        .uid = UINT32_MAX,
        .gid = UINT32_MAX,
        .verify = verify,
        .spare_b = 1,
        .max_streams = 5, /* what each has begun is little of the file */
        .dropped = on_dropped,
        .progress = on_progress,
        .arg = w,
    };
}

static int setup(void **state)
{
    struct world *w = xcalloc(1, sizeof(*w));

    snprintf(w->dir, sizeof(w->dir), "/tmp/agavectl-test-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    w->from = xasprintf("%s/from", w->dir);
    w->to = xasprintf("%s/to", w->dir);
    assert_int_equal(mkdir(w->from, 0755), 0);
    assert_int_equal(mkdir(w->to, 0755), 0);
    assert_null(fsroot_open("/", &w->root));
    w->ctx = (struct ctx){
        .root = w->root, .http = &http_curl, .clock = &quick, .cancelled = &w->cancelled};
    assert_null(rpc_pool_open(&w->pool));
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    rpc_pool_close(w->pool);
    remove_tree(w->dir);
    fsroot_close(w->root);
    for (size_t i = 0; i < NODES; i++)
        free(w->urls[i]);
    strlist_clear(&w->dropped);
    free(w->from);
    free(w->to);
    free(w->name);
    free(w);
    return 0;
}

static void get_well(struct world *w, struct fetch_report *ret)
{
    AUTO(err_freep) struct err *e = fetch_archive(&w->ctx, &w->job, ret);
    AUTO(freep) char *from = xasprintf("%s/%s", w->from, w->name);
    AUTO(freep) char *to = xasprintf("%s/%s", w->to, w->name);
    AUTO(freep) char *sent = NULL;
    AUTO(freep) char *got = NULL;
    size_t sent_n, got_n;

    if (e)
        fail_msg("%s", e->text);
    assert_null(fsroot_read(w->root, from, 256 * MIB, &sent, &sent_n));
    assert_null(fsroot_read(w->root, to, 256 * MIB, &got, &got_n));
    assert_true(sent_n == got_n && memcmp(sent, got, sent_n) == 0);
    for (size_t i = 0; i < ret->n_shares; i++)
        print_message("# source %zu%s: %.1f MiB%s%s\n", i, ret->shares[i].ranges ? ", ranges" : "",
                      (double)ret->shares[i].bytes_b / (double)MIB, ret->shares[i].why ? ": " : "",
                      ret->shares[i].why ? ret->shares[i].why : "");
    print_message("# %.1f s, %.0f %% without a gap towards the end\n", ret->seconds,
                  100.0 * (double)ret->front_b / (double)ret->size_b);
}

/* ---- in order ----------------------------------------------------------------------------- */

/* What each connection has begun counts in so small a file; test_schedule.c has large ones. */
static void expect_in_order(const struct fetch_report *r)
{
    if (r->front_b < r->size_b / 6 * 5)
        fail_msg("%.1f of %.1f MiB without a gap towards the end", (double)r->front_b / (double)MIB,
                 (double)r->size_b / (double)MIB);
}

/* The first bytes come from one that can only begin at the first byte. */
static void a_slow_one_without_ranges(void **state)
{
    struct world *w = *state;
    AUTO(fetch_report_clear) struct fetch_report r = {0};

    offer(w, SIZE_MIB, 3, FETCH_VERIFY_STRUCTURE);
    fault(w, 0, NODE_CAP, 12 * MIB);
    for (size_t i = 1; i < 3; i++) {
        fault(w, i, NODE_RANGES, 1);
        fault(w, i, NODE_CAP, 30 * MIB);
        fault(w, i, NODE_LATE, 20);
    }
    get_well(w, &r);
    expect_in_order(&r);
    assert_true(r.shares[0].bytes_b > 0); /* it was there, and in the way */
}

/* The one that can only begin at the first byte is the best of all: it stays. */
static void a_quick_one_without_ranges(void **state)
{
    struct world *w = *state;
    AUTO(fetch_report_clear) struct fetch_report r = {0};

    offer(w, SIZE_MIB, 3, FETCH_VERIFY_STRUCTURE);
    fault(w, 0, NODE_CAP, 60 * MIB);
    for (size_t i = 1; i < 3; i++) {
        fault(w, i, NODE_RANGES, 1);
        fault(w, i, NODE_CAP, 10 * MIB);
    }
    get_well(w, &r);
    expect_in_order(&r);
    assert_true(r.shares[0].bytes_b > r.size_b / 2);
}

/* ---- who lies, and who is right ------------------------------------------------------------- */

/* The quickest lies from its first bytes on, and is heard first: of those that are right the
 * quicker one goes on, whenever the last one is heard. */
static void the_best_lies(void **state)
{
    struct world *w = *state;

    offer(w, 32, 3, FETCH_VERIFY_STRUCTURE);
    for (uint64_t late_ms = 0; late_ms <= 160; late_ms += 80) {
        AUTO(fetch_report_clear) struct fetch_report r = {0};

        fault(w, 0, NODE_LIES, 1);
        fault(w, 0, NODE_CAP, 30 * MIB);
        fault(w, 1, NODE_CAP, 20 * MIB);
        fault(w, 2, NODE_CAP, 5 * MIB);
        fault(w, 2, NODE_LATE, late_ms);
        get_well(w, &r);
        assert_true(r.shares[1].bytes_b > r.size_b / 4 * 3);
        assert_int_equal(r.shares[0].bytes_b, 0);
        remove_tree(w->to);
        assert_int_equal(mkdir(w->to, 0755), 0);
    }
}

/* ---- a cache that does not have it yet ------------------------------------------------------ */

/* Now and then it passes all of the file on instead of a piece: it is the only source, and stays
 * one with ranges. */
static void a_cache_that_is_cold(void **state)
{
    struct world *w = *state;
    AUTO(fetch_report_clear) struct fetch_report r = {0};

    offer(w, 48, 1, FETCH_VERIFY_STRUCTURE);
    fault(w, 0, NODE_RANGES, 1);
    fault(w, 0, NODE_COLD, 6);
    fault(w, 0, NODE_CAP, 24 * MIB);
    get_well(w, &r);
    assert_true(r.shares[0].ranges && !r.shares[0].why);
    assert_int_equal(w->dropped.n, 0);
}

static void all_become_cold(struct world *w, const struct fetch_progress *p)
{
    if (p->done_b > p->total_b / 4)
        fault(w, 0, NODE_COLD, 1);
}

/* It does nothing else any more: what it sends is read from its beginning. */
static void a_cache_that_stays_cold(void **state)
{
    struct world *w = *state;
    AUTO(fetch_report_clear) struct fetch_report r = {0};

    offer(w, 48, 1, FETCH_VERIFY_STRUCTURE);
    fault(w, 0, NODE_RANGES, 1);
    fault(w, 0, NODE_CAP, 24 * MIB);
    w->on_told = all_become_cold;
    get_well(w, &r);
    assert_true(!r.shares[0].ranges && !r.shares[0].why);
    assert_int_equal(w->dropped.n, 0);
}

/* ---- who has failed ------------------------------------------------------------------------ */

static void the_first_is_cut(struct world *w, const struct fetch_progress *p)
{
    if (p->done_b > p->total_b / 8 && p->shares[0].rate_b_s <= 0 && !w->dropped_at_b) {
        w->dropped_at_b = p->done_b;
        fault(w, 0, NODE_DROPS, 0);
    }
}

/* A connection that broke once: who can only begin at the first byte is begun again where that is
 * done earlier, and not left for one that is five times as slow. */
static void one_without_ranges_is_cut(void **state)
{
    struct world *w = *state;
    AUTO(fetch_report_clear) struct fetch_report r = {0};

    offer(w, 48, 2, FETCH_VERIFY_STRUCTURE);
    fault(w, 0, NODE_CAP, 20 * MIB);
    fault(w, 0, NODE_DROPS, 25);
    fault(w, 1, NODE_CAP, 4 * MIB);
    w->on_told = the_first_is_cut;
    get_well(w, &r);
    assert_true(w->dropped_at_b > 0);
    assert_true(r.shares[0].bytes_b > r.size_b / 4 * 3);
}

/* It stood still with what it had: until it gives something it is not trusted with much again. */
static void one_that_failed_gets_little(void **state)
{
    struct source s = {.last_b_s = 40e6, .good_ns = 5000, .ranges = true};

    assert_true(source_prospect(&s, 6000) == 40e6);
    s.strikes = 1;
    s.struck_ns = 6000;
    assert_true(source_prospect(&s, 7000) < 1e5);
    s.ranges = false; /* it takes nothing from others */
    assert_true(source_prospect(&s, 7000) == 40e6);
    s.ranges = true;
    s.good_ns = 7000;
    assert_true(source_prospect(&s, 7000) == 40e6);
}

/* What one gave before it was left is compared, and what it did not get to compare somebody else
 * does, but for a dispute, which asks again by itself. */
static void comparisons_are_not_lost(void **state)
{
    struct world *w = *state;
    AUTO(freep) char *url = nobodys_url();
    struct fetch_job job = {0};
    struct fetch_source spec = {.url = url};
    struct source source = {.spec = &spec, .state = SOURCE_READY, .total_b = 100 * MIB};
    struct archive a = {.ctx = &w->ctx, .job = &job, .sources = &source, .n_sources = 1};
    const struct http_loop_opts opts = {.max_sockets = 4};

    assert_null(http_loop_new(&w->ctx, &opts, &a.loop));
    stream_begin(&a, &source, STREAM_FILL, 4 * MIB, 8 * MIB)->pos_b += 5 * SEGMENT_BLOCK_B;
    stream_end(a.streams[0]);
    assert_int_equal(a.n_checks, 1);
    assert_true(a.checks[0].from == 64 && a.checks[0].to == 69 && !source.probed);
    stream_begin(&a, &source, STREAM_CHECK, 4 * MIB, 5 * MIB)->pos_b += 3 * SEGMENT_BLOCK_B;
    stream_end(a.streams[0]);
    assert_int_equal(a.n_checks, 2);
    assert_true(a.checks[1].from == 67 && a.checks[1].to == 80);
    a.dispute = (struct dispute){.on = true, .block = 64, .judge = &source};
    stream_begin(&a, &source, STREAM_CHECK, 4 * MIB, 4 * MIB + SEGMENT_BLOCK_B);
    stream_end(a.streams[0]);
    assert_int_equal(a.n_checks, 2);
    http_loop_free(a.loop);
}

/* ---- too late ------------------------------------------------------------------------------- */

static void on_late(void *arg)
{
    ((struct world *)arg)->late++;
}

/* It would be here long after it is too old: what has come stays, and is gone on with when that
 * does not count. Ten seconds here are one. */
static void one_that_comes_too_late(void **state)
{
    struct world *w = *state;
    AUTO(fetch_report_clear) struct fetch_report r = {0};
    uint64_t begun = quick_ns();

    offer(w, 32, 2, FETCH_VERIFY_STRUCTURE);
    fault(w, 0, NODE_CAP, MIB); /* five minutes */
    fault(w, 1, NODE_NO_SNAPSHOTS, 1);
    w->job.late = on_late;
    w->job.whole_by_ns = begun + (uint64_t)100 * 1000000000;
    AUTO(err_freep) struct err *e = fetch_archive(&w->ctx, &w->job, &r);
    assert_non_null(e);
    if (e->kind != ERR_TIMEOUT || !strstr(e->text, "too late") || w->late != 1)
        fail_msg("%s: %s", err_kind_name(e->kind), e->text);
    assert_true(quick_ns() - begun >= (uint64_t)90 * 1000000000);
    fault(w, 0, NODE_CAP, 64 * MIB);
    w->job.whole_by_ns = 0;
    get_well(w, &r);
    assert_true(r.resumed_b > MIB);
}

static void second_comes_back(struct world *w, const struct fetch_progress *p)
{
    if (quick_ns() - w->begun_ns > (uint64_t)60 * 1000000000)
        fault(w, 0, NODE_CAP, 64 * MIB);
}

/* It was too slow, and is in time. */
static void one_that_is_in_time(void **state)
{
    struct world *w = *state;
    AUTO(fetch_report_clear) struct fetch_report r = {0};

    w->begun_ns = quick_ns();
    offer(w, 32, 1, FETCH_VERIFY_STRUCTURE);
    fault(w, 0, NODE_CAP, MIB);
    w->job.late = on_late;
    w->job.whole_by_ns = w->begun_ns + (uint64_t)100 * 1000000000;
    w->on_told = second_comes_back;
    get_well(w, &r);
    assert_int_equal(w->late, 0);
}

/* One without ranges sends once more what is there, and nothing is kept meanwhile: whether it will
 * be in time is seen by what it sends. */
static void what_is_read_again_is_in_time(void **state)
{
    static const char name[] = "snapshot-7-AoNd8oJEBQNiREzWyRUXYkwgpteeWNRzDYEY4PYRQ9rM.tar.zst";
    static const uint8_t block[SEGMENT_BLOCK_B];
    struct world *w = *state;
    struct fetch_job job = {.name = name, .dir = w->to};
    struct source source = {.state = SOURCE_READY, .answered = true, .n_streams = 1, .tried = true};
    const uint64_t second = 1000000000, blocks = 2000;

    for (unsigned by_s = 100; by_s <= 900; by_s += 800) {
        AUTO(partial_freep) struct partial *p = NULL;
        struct stream s = {
            .source = &source, .kind = STREAM_SINGLE, .asked_b = blocks * SEGMENT_BLOCK_B};
        struct archive a = {.ctx = &w->ctx,
                            .job = &job,
                            .sources = &source,
                            .n_sources = 1,
                            .streams = {&s},
                            .n_streams = 1};
        enum partial_put put;
        uint8_t writer;
        struct err *e = NULL;

        assert_null(partial_open(&w->ctx, w->to, name, &p));
        assert_null(partial_size(p, blocks * SEGMENT_BLOCK_B, 1));
        for (size_t i = 0; i < 800; i++)
            assert_null(
                partial_put(p, 1, i * SEGMENT_BLOCK_B, block, sizeof(block), &put, &writer));
        a.partial = p;
        a.deadline = (struct deadline){.by_ns = (1 + by_s) * second, .begun_ns = second};
        meter_begin(&a.kept, second);
        meter_begin(&s.meter, second);
        meter_begin(&source.meter, second);
        s.end_b = s.asked_b;
        for (uint64_t i = 1; i < 380 && !e;
             i++) { /* two blocks a second: the whole file in 1000 s */
            uint64_t now = (1 + i) * second;

            meter_add(&s.meter, now, 2 * SEGMENT_BLOCK_B);
            meter_add(&source.meter, now, 2 * SEGMENT_BLOCK_B);
            s.pos_b += 2 * SEGMENT_BLOCK_B;
            e = sources_in_time(&a, now);
        }
        assert_true(by_s == 900 ? !e : e && e->kind == ERR_TIMEOUT);
        err_free(e);
        assert_null(partial_forget(p, SEGMENT_MISSING, NULL));
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_slow_one_without_ranges),
        CASE(a_quick_one_without_ranges),
        CASE(the_best_lies),
        CASE(a_cache_that_is_cold),
        CASE(a_cache_that_stays_cold),
        CASE(one_that_comes_too_late),
        CASE(one_that_is_in_time),
        CASE(comparisons_are_not_lost),
        CASE(what_is_read_again_is_in_time),
        CASE(one_without_ranges_is_cut),
        cmocka_unit_test(one_that_failed_gets_little),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
