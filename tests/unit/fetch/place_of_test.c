/* See place_of_test.h. */
#include "place_of_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "io/clock.h"
#include "io/fsroot.h"
#include "io/http.h"
#include "server.h"
#include "../remove_tree.h"

/* ---- nodes -------------------------------------------------------------------------------- */

static const char *archives(void *arg)
{
    const struct node_of_test *n = arg;

    return n->dir ? n->dir : n->of->from;
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

static void open_node(struct place_of_test *t, size_t i, const char *name)
{
    AUTO(freep) char *free_url = nobodys_url();
    struct rpc_server_spec spec = {
        .pool = t->pool,
        .bind = "127.0.0.1",
        .port = (uint16_t)strtoul(strrchr(free_url, ':') + 1, NULL, 10),
        .archives = true,
        .ledger = t->from,
        .source = {.arg = &t->folders[i], .archives = archives},
    };

    t->folders[i].of = t;
    assert_null(rpc_server_open(&spec, &t->nodes[i]));
    free(t->urls[i]);
    t->urls[i] = xasprintf("%s/%s", free_url, name);
    t->sources[i] = (struct fetch_source){.url = t->urls[i]};
}

void fault(struct place_of_test *t, size_t i, enum node_fault f, uint64_t value)
{
    assert_null(rpc_server_fault(t->nodes[i], f, value));
}

uint64_t sent_b(const struct place_of_test *t)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < NODES; i++) {
        struct rpc_counts c;

        rpc_server_counts(t->nodes[i], &c);
        sum += c.bytes;
    }
    return sum;
}

/* ---- the place ---------------------------------------------------------------------------- */

static void on_dropped(void *arg, const char *label, const struct err *e)
{
    struct place_of_test *t = arg;

    strlist_addf(&t->dropped, "%s: %s", label, e->text);
}

static void on_blamed(void *arg, const char *label, const struct err *e, bool whole)
{
    struct place_of_test *t = arg;

    strlist_addf(&t->blamed, "%s", label);
    if (whole)
        strlist_addf(&t->whole, "%s", label);
    if (t->on_blamed)
        t->on_blamed(t);
}

static void on_progress(void *arg, const struct fetch_progress *p)
{
    struct place_of_test *t = arg;

    t->told++;
    t->told_b = p->done_b;
    assert_true(p->total_b == UINT64_MAX || p->done_b <= p->total_b);
    assert_int_equal(p->n_shares, t->job.n_sources);
    if (t->on_told)
        t->on_told(t);
    if ((t->cancel_at_b && p->done_b >= t->cancel_at_b) || (t->told_max && t->told >= t->told_max))
        t->cancelled = 1;
}

static struct err *on_finishing(void *arg, const struct fetch_report *r)
{
    struct place_of_test *t = arg;

    t->finished++;
    assert_true(r->size_b > 0 && r->n_shares == t->job.n_sources);
    return NULL;
}

void put_file(const char *dir, const char *name, const void *data, size_t n)
{
    AUTO(freep) char *path = xasprintf("%s/%s", dir, name);
    AUTO(fclosep) FILE *f = fopen(path, "wbe");

    assert_non_null(f);
    assert_true(fwrite(data, 1, n, f) == n);
}

void want(struct place_of_test *t, const char *name, size_t n, enum fetch_verify verify)
{
    for (size_t i = 0; i < NODES; i++)
        open_node(t, i, name);
    t->job = (struct fetch_job){
        .name = name,
        .dir = t->to,
        .sources = t->sources,
        .n_sources = n,
        .uid = UINT32_MAX,
        .gid = UINT32_MAX,
        .verify = verify,
        .spare_b = 1,
        .progress = on_progress,
        .dropped = on_dropped,
        .blamed = on_blamed,
        .finishing = on_finishing,
        .arg = t,
    };
}

int place_setup(void **state)
{
    struct place_of_test *t = xcalloc(1, sizeof(*t));
    uint32_t seed = 7;

    snprintf(t->dir, sizeof(t->dir), "/tmp/agavectl-test-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    t->from = xasprintf("%s/from", t->dir);
    t->to = xasprintf("%s/to", t->dir);
    assert_int_equal(mkdir(t->from, 0755), 0);
    assert_int_equal(mkdir(t->to, 0755), 0);
    assert_null(fsroot_open("/", &t->root));
    t->big = xmalloc(SIZE);
    for (size_t i = 0; i < SIZE; i++) {
        seed = seed * 1664525u + 1013904223u;
        t->big[i] = (char)(seed >> 24);
    }
    put_file(t->from, BIG, t->big, SIZE);
    t->ctx = (struct ctx){
        .root = t->root, .http = &http_curl, .clock = &quick, .cancelled = &t->cancelled};
    assert_null(rpc_pool_open(&t->pool));
    *state = t;
    return 0;
}

int place_teardown(void **state)
{
    struct place_of_test *t = *state;

    rpc_pool_close(t->pool);
    remove_tree(t->dir);
    fsroot_close(t->root);
    for (size_t i = 0; i < NODES; i++) {
        free(t->urls[i]);
        free(t->folders[i].dir);
    }
    strlist_clear(&t->dropped);
    strlist_clear(&t->blamed);
    strlist_clear(&t->whole);
    free(t->from);
    free(t->to);
    free(t->big);
    free(t);
    return 0;
}

void expect_file(const struct place_of_test *t, const char *name, const void *data, size_t n)
{
    AUTO(freep) char *path = xasprintf("%s/%s", t->to, name);
    AUTO(freep) char *got = NULL;
    AUTO(strlist_clear) struct strlist names = {0};
    size_t got_n;

    assert_null(fsroot_read(t->root, path, 64 * MIB, &got, &got_n));
    assert_int_equal(got_n, n);
    assert_true(memcmp(got, data, n) == 0);
    assert_null(fsroot_list(t->root, t->to, &names));
    assert_int_equal(names.n, 1); /* and nothing else */
}

void expect_big(const struct place_of_test *t)
{
    expect_file(t, BIG, t->big, SIZE);
}

bool there(const struct place_of_test *t, const char *name)
{
    AUTO(freep) char *path = xasprintf("%s/%s", t->to, name);

    return access(path, F_OK) == 0;
}

void begin_again(struct place_of_test *t)
{
    remove_tree(t->to);
    assert_int_equal(mkdir(t->to, 0755), 0);
    strlist_clear(&t->dropped);
    strlist_clear(&t->blamed);
    strlist_clear(&t->whole);
}

void node_has(struct place_of_test *t, size_t i, const char *name, const void *data, size_t n)
{
    if (!t->folders[i].dir) {
        t->folders[i].dir = xasprintf("%s/from-%zu", t->dir, i);
        assert_int_equal(mkdir(t->folders[i].dir, 0755), 0);
    }
    put_file(t->folders[i].dir, name, data, n);
}

struct err *get(struct place_of_test *t, struct fetch_report *ret)
{
    return fetch_archive(&t->ctx, &t->job, ret);
}

void get_well(struct place_of_test *t, struct fetch_report *ret)
{
    AUTO(err_freep) struct err *e = get(t, ret);

    if (e)
        fail_msg("%s", e->text);
}

void get_badly(struct place_of_test *t, enum err_kind kind, const char *text)
{
    AUTO(fetch_report_clear) struct fetch_report r = {0};
    AUTO(err_freep) struct err *e = get(t, &r);

    assert_non_null(e);
    if (e->kind != kind || !strstr(e->text, text))
        fail_msg("%s: %s", err_kind_name(e->kind), e->text);
    assert_false(there(t, t->job.name));
}
