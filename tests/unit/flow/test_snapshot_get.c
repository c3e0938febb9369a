/* The snapshot step of up, against nodes of the lab: what is good stays, what is missing comes,
 * whatever the sources do. */
#include "flow/snapshot_get.h"

#include "base/str.h"
#include "config/config.h"
#include "fetch/provenance.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "io/http.h"
#include "lab/node/rpc_server.h"
#include "lab/node/snapshot_maker.h"
#include "../remove_tree.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define NODES 4
#define TIP   10000
#define DIR   "/snapshots"

struct node {
    struct rpc_server *server;
    char *dir, *url;
};
struct host {
    char dir[40];
    struct fsroot *root;
    struct config *cfg;
    struct ctx ctx;
    volatile sig_atomic_t cancelled;
    struct rpc_pool *pool;
    struct node nodes[NODES];
    char *full, *incr; /* names of the right pair */
    struct strlist said;
    const char *cancel_at; /* a text of the progress */
    bool changed;
    char *text;
};

/* ---- the place ----------------------------------------------------------------------------- */

static uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&a, n) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static const char *archives(void *arg)
{
    return ((struct node *)arg)->dir;
}

static void open_node(struct host *h, size_t i)
{
    struct node *n = &h->nodes[i];
    uint16_t port = free_port();
    struct rpc_server_spec spec = {
        .pool = h->pool,
        .bind = "127.0.0.1",
        .port = port,
        .archives = true,
        .source = {.arg = n, .archives = archives},
    };

    n->dir = xasprintf("%s/node%zu", h->dir, i);
    n->url = xasprintf("http://127.0.0.1:%u", port);
    assert_int_equal(mkdir(n->dir, 0755), 0);
    spec.ledger = n->dir;
    assert_null(rpc_server_open(&spec, &n->server));
}

static char *make(struct host *h, const char *dir, uint64_t slot, uint64_t base, uint64_t seed)
{
    const struct snapshot_maker_spec spec = {
        .seed = seed, .slot = slot, .base = base, .accounts_b = 300 << 10};
    char *name = NULL;

    assert_null(snapshot_maker_write(dir, &spec, &name));
    return name;
}

/* The same pair at every node. */
static void serve(struct host *h, uint64_t full, uint64_t incr)
{
    for (size_t i = 0; i < NODES; i++) {
        free(h->full);
        free(h->incr);
        h->full = make(h, h->nodes[i].dir, full, 0, 1);
        h->incr = make(h, h->nodes[i].dir, incr, full, 1);
    }
}

static void configure(struct host *h, const char *more)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    strbuf_printf(&b, "journal_dir: /state/op\nvalidator: {uid: %u, gid: %u, snapshots: " DIR "}\n",
                  geteuid(), getegid());
    strbuf_printf(&b, "snapshot:\n  discover: false\n  sources: [");
    for (size_t i = 0; i < NODES; i++)
        strbuf_printf(&b, "%s\"%s\"", i ? ", " : "", h->nodes[i].url);
    strbuf_printf(&b, "]\n%s", more);
    h->cfg = config_free(h->cfg);
    assert_null(config_parse(b.data, b.len, "test", &h->cfg));
    h->ctx.cfg = h->cfg;
}

static int open_host(void **state)
{
    struct host *h = xcalloc(1, sizeof(*h));

    snprintf(h->dir, sizeof(h->dir), "/tmp/agavectl-up-XXXXXX");
    assert_non_null(mkdtemp(h->dir));
    assert_null(fsroot_open(h->dir, &h->root));
    h->ctx = (struct ctx){
        .root = h->root, .http = &http_curl, .clock = &clock_system, .cancelled = &h->cancelled};
    assert_null(fsroot_mkdirs(h->root, DIR, 0755));
    assert_null(rpc_pool_open(&h->pool));
    for (size_t i = 0; i < NODES; i++)
        open_node(h, i);
    configure(h, "");
    *state = h;
    return 0;
}

static int close_host(void **state)
{
    struct host *h = *state;

    rpc_pool_close(h->pool);
    remove_tree(h->dir);
    for (size_t i = 0; i < NODES; i++) {
        free(h->nodes[i].dir);
        free(h->nodes[i].url);
    }
    config_free(h->cfg);
    fsroot_close(h->root);
    strlist_clear(&h->said);
    free(h->full);
    free(h->incr);
    free(h->text);
    free(h);
    return 0;
}

/* ---- a run --------------------------------------------------------------------------------- */

static void on_progress(void *arg, const char *text)
{
    struct host *h = arg;

    strlist_add(&h->said, text);
    if (h->cancel_at && strstr(text, h->cancel_at))
        h->cancelled = 1;
}

static struct err *run(struct host *h)
{
    const struct flow_report report = {.progress = on_progress, .arg = h};

    free(h->text);
    h->text = NULL;
    return snapshot_get(&h->ctx, TIP, &report, &h->changed, &h->text);
}

static void fault(struct host *h, size_t i, enum node_fault f, uint64_t value)
{
    assert_null(rpc_server_fault(h->nodes[i].server, f, value));
}

static uint64_t requests(const struct host *h)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < NODES; i++) {
        struct rpc_counts c;

        rpc_server_counts(h->nodes[i].server, &c);
        sum += c.requests;
    }
    return sum;
}

static bool there(struct host *h, const char *name)
{
    AUTO(freep) char *path = xasprintf(DIR "/%s", name);
    struct stat st;
    struct err *e = fsroot_stat(h->root, path, &st);
    bool is = !e;

    err_free(e);
    return is;
}

/* A wrong byte in what did not compress nobody sees but Agave; a lost end everybody does. */
static void damage(struct host *h, const char *dir, const char *name)
{
    AUTO(freep) char *path = xasprintf("%s/%s", dir, name);
    AUTO(closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0 && ftruncate(fd, 50000) == 0);
}

static void must(struct err *e)
{
    if (e)
        fail_msg("%s", e->text);
}

/* ---- what must be so ------------------------------------------------------------------------ */

static void a_pair_comes_and_stays(void **state)
{
    struct host *h = *state;
    AUTO(provenance_clear) struct provenance p = {0};
    uint64_t asked;

    serve(h, 9000, 9900);
    must(run(h));
    assert_true(h->changed && there(h, h->full) && there(h, h->incr));
    assert_true(str_starts(h->text, "slot 9900, 100 behind the tip: incremental-snapshot-9000-"));
    assert_null(provenance_read(&h->ctx, DIR, h->full, &p));
    assert_string_equal(p.verify, "full");
    assert_string_equal(p.hash, "proven");
    assert_string_equal(p.trust, "peers:4");
    asked = requests(h);
    must(run(h));
    assert_false(h->changed);
    assert_int_equal(requests(h), asked); /* nobody was asked for anything */
    assert_true(str_starts(h->text, "slot 9900, 100 behind the tip: incremental-"));
}

static void a_broken_archive_in_the_folder_is_the_operators(void **state)
{
    struct host *h = *state;
    AUTO(freep) char *local = xasprintf("%s" DIR, h->dir);
    AUTO(freep) char *name = make(h, local, 9100, 0, 1);
    uint64_t asked = requests(h);

    serve(h, 9000, 9900);
    damage(h, local, name);
    AUTO(err_freep) struct err *e = run(h);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_CORRUPT);
    assert_non_null(strstr(e->text, name));
    assert_non_null(strstr(e->text, "move it away and run this again"));
    assert_true(there(h, name) && !there(h, h->full));
    assert_int_equal(requests(h), asked);
}

/* Agave 3.0 and later end at it, so that it is as bad here as in what is fetched. */
static void another_hash_than_the_names_is_a_broken_one(void **state)
{
    struct host *h = *state;
    AUTO(freep) char *local = xasprintf("%s" DIR, h->dir);
    AUTO(freep) char *name = make(h, local, 9800, 0, 1);
    AUTO(freep) char *from = xasprintf("%s/%s", local, name);
    AUTO(freep)
    char *to =
        xasprintf("%s/snapshot-9800-GupLekLKvChSdAVpYZvMdESWrG1UFBr7rgcGPq5exWnR.tar.zst", local);

    assert_int_equal(rename(from, to), 0);
    AUTO(err_freep) struct err *e = run(h);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_CORRUPT);
    assert_non_null(strstr(e->text, "not the one in its name"));
    configure(h, "  verify: none\n");
    must(run(h)); /* the operator's word */
}

/* A validator may be told to keep each kind of archive in a folder of its own. */
static void each_kind_comes_into_its_folder(void **state)
{
    struct host *h = *state;
    AUTO(provenance_clear) struct provenance p = {0};
    uint64_t asked;

    assert_null(fsroot_mkdirs(h->root, DIR "/full", 0755));
    assert_null(fsroot_mkdirs(h->root, DIR "/incr", 0755));
    strlist_add(&h->cfg->validator.args, "--full-snapshot-archive-path");
    strlist_add(&h->cfg->validator.args, DIR "/full");
    strlist_add(&h->cfg->validator.args, "--incremental-snapshot-archive-path=" DIR "/incr");
    serve(h, 9000, 9900);
    must(run(h));
    AUTO(freep) char *full = xasprintf("full/%s", h->full);
    AUTO(freep) char *incr = xasprintf("incr/%s", h->incr);
    assert_true(there(h, full) && there(h, incr) && !there(h, h->full) && !there(h, h->incr));
    assert_null(provenance_read(&h->ctx, DIR "/full", h->full, &p));
    provenance_clear(&p);
    assert_null(provenance_read(&h->ctx, DIR "/incr", h->incr, &p));
    asked = requests(h);
    must(run(h));
    assert_false(h->changed);
    assert_int_equal(requests(h), asked);
}

static void sources_of_no_use_are_named(void **state)
{
    struct host *h = *state;

    configure(h, "  min_peers: 2\n");
    serve(h, 9000, 9900);
    fault(h, 0, NODE_DEAD, 1);
    fault(h, 1, NODE_NO_SNAPSHOTS, 1);
    must(run(h));
    assert_true(h->changed && there(h, h->incr));
    AUTO(freep) char *dead = xasprintf("%s (", h->nodes[0].url);
    AUTO(freep) char *none = xasprintf("%s (", h->nodes[1].url);
    assert_non_null(strstr(h->text, "; not used: "));
    assert_non_null(strstr(h->text, dead));
    assert_non_null(strstr(h->text, none));
    assert_null(strstr(h->text, h->nodes[2].url));
}

static void too_few_witnesses_are_none(void **state)
{
    struct host *h = *state;

    serve(h, 9000, 9900);
    fault(h, 0, NODE_DEAD, 1);
    fault(h, 1, NODE_DEAD, 1);
    AUTO(err_freep) struct err *e = run(h);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_NOTFOUND);
    assert_non_null(strstr(e->text, "2 untrusted"));
    assert_non_null(strstr(e->text, "2 no-answer"));
    assert_non_null(strstr(e->text, "--trust URL"));
    assert_false(there(h, h->full));
    configure(h, "  min_peers: 2\n");
    must(run(h));
    assert_true(there(h, h->full));
}

/* The newest name is at two nodes, and what they send is not what it says. */
static void a_name_that_nobody_can_deliver_is_left(void **state)
{
    struct host *h = *state;

    configure(h, "  min_peers: 2\n");
    serve(h, 9000, 9900);
    for (size_t i = 0; i < 2; i++) {
        AUTO(freep) char *liar = make(h, h->nodes[i].dir, 9950, 0, 7);

        damage(h, h->nodes[i].dir, liar);
    }
    must(run(h));
    assert_true(there(h, h->full) && there(h, h->incr));
    AUTO(freep) char *text = NULL;
    assert_null(fsroot_read(h->root, "/state/snapshot-blacklist.json", 65536, &text, NULL));
    assert_non_null(strstr(text, h->nodes[0].url));
    assert_null(strstr(text, h->nodes[2].url));
}

/* One of four sends damage, the others, which have the right file, nothing: theirs is no fault. */
static void the_silent_are_not_listed_with_a_liar(void **state)
{
    struct host *h = *state;

    serve(h, 9000, 9900);
    fault(h, 0, NODE_CORRUPT, 1);
    for (size_t i = 1; i < NODES; i++)
        fault(h, i, NODE_DROPS, 1);
    AUTO(err_freep) struct err *e = run(h);
    assert_non_null(e);
    assert_false(there(h, h->full));
    AUTO(freep) char *text = NULL;
    assert_null(fsroot_read(h->root, "/state/snapshot-blacklist.json", 65536, &text, NULL));
    assert_non_null(strstr(text, h->nodes[0].url));
    for (size_t i = 1; i < NODES; i++)
        assert_null(strstr(text, h->nodes[i].url));
    assert_null(strstr(text, "\"hash\""));
}

static void what_is_too_old_is_followed_by_what_is_not(void **state)
{
    struct host *h = *state;
    AUTO(freep) char *local = xasprintf("%s" DIR, h->dir);
    AUTO(freep) char *old = make(h, local, 1000, 0, 1);

    configure(h, "  max_age_slots: 5000\n");
    serve(h, 9000, 9900);
    must(run(h));
    assert_true(h->changed && there(h, old) && there(h, h->full) && there(h, h->incr));
}

/* The full archive that is here is what the newest incremental goes on from. */
static void only_the_incremental_is_fetched(void **state)
{
    struct host *h = *state;
    AUTO(freep) char *local = xasprintf("%s" DIR, h->dir);
    AUTO(freep) char *full = make(h, local, 4000, 0, 1);

    configure(h, "  max_age_slots: 5000\n");
    serve(h, 4000, 9900);
    assert_string_equal(full, h->full);
    must(run(h));
    assert_true(h->changed && there(h, h->incr));
    for (size_t i = 0; i < h->said.n; i++)
        assert_null(strstr(h->said.items[i], "verified 0 %, snapshot-4000"));
}

static void everything_is_too_old(void **state)
{
    struct host *h = *state;

    configure(h, "  max_age_slots: 500\n");
    serve(h, 9000, 9100);
    AUTO(err_freep) struct err *e = run(h);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_NOTFOUND);
    assert_non_null(strstr(e->text, "4 too-old"));
    assert_non_null(strstr(e->text, "--max-age 1000 (snapshot.max_age_slots) would help"));
}

static void cut_off_it_goes_on(void **state)
{
    struct host *h = *state;

    serve(h, 9000, 9900);
    for (size_t i = 0; i < NODES; i++)
        fault(h, i, NODE_SLOW, 200 << 10);
    h->cancel_at = " KiB of ";
    AUTO(err_freep) struct err *e = run(h);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_CANCELLED);
    assert_false(there(h, h->full));
    h->cancel_at = NULL;
    h->cancelled = 0;
    for (size_t i = 0; i < NODES; i++)
        fault(h, i, NODE_SLOW, 0);
    must(run(h));
    assert_true(there(h, h->full) && there(h, h->incr));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, open_host, close_host)

/* ---- too late ------------------------------------------------------------------------------- */

/* A time in which patience is ten times shorter. */
static uint64_t quick_ns(void)
{
    return clock_system.mono_ns() * 10;
}

static uint64_t wall_ms(void)
{
    return clock_system.wall_ms();
}

static void quick_wait(uint64_t wait_ns, const volatile sig_atomic_t *cancelled)
{
    clock_system.wait(wait_ns / 10, cancelled);
}

static const struct clock_ops quick = {.mono_ns = quick_ns, .wall_ms = wall_ms, .wait = quick_wait};

/* All send it so slowly that it would be past its age when it is here: that is said while it
 * arrives, and what has come is gone on with when the limit is another one. */
static void what_comes_too_late_is_left(void **state)
{
    struct host *h = *state;
    AUTO(freep) char *half = NULL;

    for (size_t i = 0; i < NODES; i++) {
        const struct snapshot_maker_spec spec = {
            .seed = 1, .slot = TIP - 1700, .accounts_files = 4, .accounts_b = 6 << 20};

        free(h->full);
        assert_null(snapshot_maker_write(h->nodes[i].dir, &spec, &h->full));
        fault(h, i, NODE_CAP, 1 << 20);
    }
    half = xasprintf("tmp-%s", h->full);
    h->ctx.clock = &quick;
    /* and not too slow: all are below 1 MiB/s in this time */
    configure(h, "  max_age_slots: 2000\n  min_peers: 1\n  min_rate_mib_s: 0\n");
    AUTO(err_freep) struct err *e = run(h);
    assert_non_null(e);
    if (e->kind != ERR_TIMEOUT || !strstr(e->text, "comes too late"))
        fail_msg("%s: %s", err_kind_name(e->kind), e->text);
    assert_true(there(h, half) && !there(h, h->full));
    for (size_t i = 0; i < NODES; i++)
        fault(h, i, NODE_CAP, 0);
    configure(h, "  max_age_slots: 20000\n  min_peers: 1\n");
    AUTO(err_freep) struct err *again = run(h);
    if (again)
        fail_msg("%s", again->text);
    assert_true(there(h, h->full) && !there(h, half));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_pair_comes_and_stays),
        CASE(a_broken_archive_in_the_folder_is_the_operators),
        CASE(another_hash_than_the_names_is_a_broken_one),
        CASE(each_kind_comes_into_its_folder),
        CASE(sources_of_no_use_are_named),
        CASE(too_few_witnesses_are_none),
        CASE(a_name_that_nobody_can_deliver_is_left),
        CASE(the_silent_are_not_listed_with_a_liar),
        CASE(what_is_too_old_is_followed_by_what_is_not),
        CASE(only_the_incremental_is_fetched),
        CASE(everything_is_too_old),
        CASE(cut_off_it_goes_on),
        CASE(what_comes_too_late_is_left),
    };

    return cmocka_run_group_tests_name("flow/snapshot_get", tests, NULL, NULL);
}
