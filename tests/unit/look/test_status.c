/* look/status: which tip is believed, what health means, rates from two looks; and the whole look
 * with made-up parts. */
#include "look/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>

#include "io/fsroot.h"
#include "tests/unit/solana/fake_http.h"

#define TIP_SLOTS 32
#define NONE      UINT64_MAX /* in tables: not known */

/* ---- the tip --------------------------------------------------------------------------------- */

static struct status with_slots(uint64_t own, const uint64_t *slots, size_t n)
{
    struct status s = {.n_refs = n, .refs = xcalloc(n, sizeof(*s.refs))};

    s.slots[RPC_FINALIZED] = (struct known_u64){own != NONE, own};
    for (size_t i = 0; i < n; i++)
        s.refs[i].slot = (struct known_u64){slots[i] != NONE, slots[i]};
    return s;
}

static void which_tip_is_believed(void **state)
{
    static const struct {
        const char *what;
        uint64_t own, slots[5];
        size_t n;
        uint64_t tip, gap;
        size_t n_agree;
    } rows[] = {
        {"nobody asked", 900, {0}, 0, NONE, NONE, 0},
        {"nobody answers", 900, {NONE, NONE}, 2, NONE, NONE, 0},
        {"one source", 900, {1000}, 1, 1000, 100, 1},
        {"one of two is down", 900, {NONE, 1000}, 2, 1000, 100, 1},
        {"two: the lower one", 900, {1010, 1000}, 2, 1000, 100, 2},
        {"three: the middle one", 900, {1005, 1000, 1010}, 3, 1005, 105, 3},
        {"a liar far ahead", 900, {1000, 999999999, 1003}, 3, 1003, 103, 2},
        {"a liar far behind", 900, {1000, 5, 1003}, 3, 1000, 100, 2},
        {"a stuck one above us", 900, {5000, 950, 5003}, 3, 5000, 4100, 2},
        {"two honest, one down, one liar", 900, {1000, NONE, 1ull << 39, 1003}, 4, 1003, 103, 2},
        {"four, one liar far ahead", 900, {1000, 1001, 1002, 1ull << 39}, 4, 1001, 101, 3},
        {"four, one stuck above us", 900, {901, 5000, 5001, 5002}, 4, 5000, 4100, 3},
        {"two, one far ahead", 900, {1000, 1ull << 39}, 2, 1000, 100, 1},
        {"two, one stale: we prove it", 900, {10, 5000}, 2, 5000, 4100, 1},
        {"two stale ones against one", 900, {10, 20, 5000}, 3, 5000, 4100, 1},
        {"all behind us", 5000, {1000, 1001, 1002}, 3, 1001, 0, 3},
        {"we are a little ahead", 1010, {1000, 1001}, 2, 1000, 0, 2},
        {"our own slot is not known", NONE, {1000, 1001}, 2, 1000, NONE, 2},
        {"nor is it, with a liar", NONE, {1000, 1001, 1ull << 39}, 3, 1001, NONE, 2},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(status_clear) struct status s = with_slots(rows[i].own, rows[i].slots, rows[i].n);

        status_decide_tip(&s);
        if (s.tip.known != (rows[i].tip != NONE) || (s.tip.known && s.tip.v != rows[i].tip) ||
            s.gap.known != (rows[i].gap != NONE) || (s.gap.known && s.gap.v != rows[i].gap) ||
            s.n_agree != rows[i].n_agree)
            fail_msg("%s: tip %llu gap %llu agree %zu", rows[i].what, (unsigned long long)s.tip.v,
                     (unsigned long long)s.gap.v, s.n_agree);
    }
}

/* Whatever one of three references says, the tip stays what the two honest ones say. */
static void one_of_three_changes_nothing(void **state)
{
    static const uint64_t lies[] = {NONE, 0, 1, 899, 4999, 5000, 5003, 5004, 6000, RPC_SLOT_MAX};

    for (size_t i = 0; i < ARRAY_LEN(lies); i++)
        for (size_t at = 0; at < 3; at++) {
            uint64_t slots[3] = {5000, 5003, 5003};

            slots[at] = lies[i];
            slots[(at + 1) % 3] = 5000;
            slots[(at + 2) % 3] = 5003;
            AUTO(status_clear) struct status s = with_slots(900, slots, 3);
            status_decide_tip(&s);
            assert_true(s.tip.known);
            assert_in_range(s.tip.v, 5000, 5003);
        }
}

/* ---- health ---------------------------------------------------------------------------------- */

static void what_health_means(void **state)
{
    static const struct {
        const char *what;
        enum unit_phase unit;
        int phase;  /* enum admin_phase, or -1: the socket does not answer */
        int health; /* enum rpc_health_state, or -1: RPC does not answer */
        uint64_t own, refs[3];
        size_t n_refs;
        enum status_health want;
        const char *reason; /* part of it; NULL: none */
    } rows[] = {
        {"at the tip", PH_RUNNING, ADMIN_RUNNING, RPC_HEALTH_OK, 990, {1000, 1000}, 2, HEALTH_OK},
        {"at the tip, one source",
         PH_RUNNING,
         ADMIN_RUNNING,
         RPC_HEALTH_OK,
         990,
         {1000},
         1,
         HEALTH_OK},
        {"at the tip, the socket may not be read",
         PH_RUNNING,
         -1,
         RPC_HEALTH_OK,
         990,
         {1000},
         1,
         HEALTH_OK},
        {"at the tip, nobody manages it", PH_UNKNOWN, -1, RPC_HEALTH_OK, 990, {1000}, 1, HEALTH_OK},
        {"gap just small enough",
         PH_RUNNING,
         ADMIN_RUNNING,
         RPC_HEALTH_OK,
         968,
         {1000},
         1,
         HEALTH_OK},
        {"gap one too many",
         PH_RUNNING,
         ADMIN_RUNNING,
         RPC_HEALTH_OK,
         967,
         {1000},
         1,
         HEALTH_BEHIND,
         "33 slots behind the tip; getHealth alone says ok"},
        {"getHealth lies",
         PH_RUNNING,
         ADMIN_RUNNING,
         RPC_HEALTH_OK,
         448,
         {1000, 1001},
         2,
         HEALTH_BEHIND,
         "552 slots behind the tip; getHealth alone says ok"},
        {"both say behind",
         PH_RUNNING,
         ADMIN_RUNNING,
         RPC_HEALTH_BEHIND,
         448,
         {1000},
         1,
         HEALTH_BEHIND,
         "552 slots behind the tip"},
        {"only getHealth says behind",
         PH_RUNNING,
         ADMIN_RUNNING,
         RPC_HEALTH_BEHIND,
         1000,
         {1000},
         1,
         HEALTH_BEHIND,
         "getHealth says 42 slots behind"},
        {"behind by getHealth, no tip",
         PH_RUNNING,
         ADMIN_RUNNING,
         RPC_HEALTH_BEHIND,
         1000,
         {NONE},
         1,
         HEALTH_BEHIND,
         "getHealth says 42"},
        {"ok without a tip is not ok",
         PH_RUNNING,
         ADMIN_RUNNING,
         RPC_HEALTH_OK,
         1000,
         {NONE, NONE},
         2,
         HEALTH_UNKNOWN,
         "no reference tells the tip (2 asked)"},
        {"ok without any reference",
         PH_RUNNING,
         ADMIN_RUNNING,
         RPC_HEALTH_OK,
         1000,
         {0},
         0,
         HEALTH_UNKNOWN,
         "no reference"},
        {"ok without its own slot",
         PH_RUNNING,
         ADMIN_RUNNING,
         RPC_HEALTH_OK,
         NONE,
         {1000},
         1,
         HEALTH_UNKNOWN,
         "does not tell its finalized slot"},
        {"contradiction",
         PH_RUNNING,
         ADMIN_RUNNING,
         RPC_HEALTH_OK,
         1000,
         {1001, 900000},
         2,
         HEALTH_UNKNOWN,
         "2 references contradict each other"},
        {"a stale one is no contradiction",
         PH_RUNNING,
         ADMIN_RUNNING,
         RPC_HEALTH_OK,
         1000,
         {1001, 5},
         2,
         HEALTH_OK},
        {"contradiction, but behind either way",
         PH_RUNNING,
         ADMIN_RUNNING,
         RPC_HEALTH_OK,
         1000,
         {5000, 900000},
         2,
         HEALTH_BEHIND,
         "4000 slots behind"},
        {"all references are far behind us",
         PH_RUNNING,
         ADMIN_RUNNING,
         RPC_HEALTH_OK,
         5000,
         {1000, 1001},
         2,
         HEALTH_UNKNOWN,
         "4000 slots behind this node"},
        {"unhealthy",
         PH_RUNNING,
         ADMIN_RUNNING,
         RPC_HEALTH_UNHEALTHY,
         1000,
         {1000},
         1,
         HEALTH_UNHEALTHY,
         "getHealth says"},
        {"halted", PH_RUNNING, ADMIN_HALTED, -1, NONE, {1000}, 1, HEALTH_UNHEALTHY, "halted"},
        {"starting by the socket",
         PH_RUNNING,
         ADMIN_LOADING_LEDGER,
         -1,
         NONE,
         {1000},
         1,
         HEALTH_STARTING,
         "loading"},
        {"starting although getHealth says ok",
         PH_RUNNING,
         ADMIN_STARTING_SERVICES,
         RPC_HEALTH_OK,
         1000,
         {1000},
         1,
         HEALTH_STARTING,
         "starting services"},
        {"starting by the unit", PH_STARTING, -1, -1, NONE, {1000}, 1, HEALTH_STARTING, "starting"},
        {"stopped", PH_STOPPED, -1, -1, NONE, {1000}, 1, HEALTH_STOPPED, "stopped"},
        {"never set up", PH_ABSENT, -1, -1, NONE, {NONE}, 1, HEALTH_STOPPED, "absent"},
        {"failed", PH_FAILED, -1, -1, NONE, {NONE}, 1, HEALTH_STOPPED, "failed"},
        {"a stranger on our port",
         PH_STOPPED,
         -1,
         RPC_HEALTH_OK,
         1000,
         {1000},
         1,
         HEALTH_UNKNOWN,
         "something answers on its RPC port"},
        {"runs outside of our runtime",
         PH_ABSENT,
         ADMIN_RUNNING,
         RPC_HEALTH_OK,
         1000,
         {1000},
         1,
         HEALTH_OK},
        {"runs and its RPC is silent",
         PH_RUNNING,
         ADMIN_RUNNING,
         -1,
         NONE,
         {1000},
         1,
         HEALTH_UNKNOWN,
         "cannot ask the node"},
        {"nothing can be looked at",
         PH_UNKNOWN,
         -1,
         -1,
         NONE,
         {NONE},
         1,
         HEALTH_UNKNOWN,
         "cannot ask the node"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO(status_clear)
        struct status s = with_slots(rows[i].own, rows[i].refs, rows[i].n_refs);

        s.unit.phase = rows[i].unit;
        s.phase_known = rows[i].phase >= 0;
        if (s.phase_known)
            s.phase.phase = (enum admin_phase)rows[i].phase;
        snprintf(s.phase.text, sizeof(s.phase.text), "%s",
                 rows[i].phase == ADMIN_LOADING_LEDGER ? "loading the ledger"
                                                       : "starting services");
        s.health_known = rows[i].health >= 0;
        if (s.health_known)
            s.node_health = (struct rpc_health){(enum rpc_health_state)rows[i].health, 42};
        status_decide_tip(&s);
        status_decide_health(&s, TIP_SLOTS);
        if (s.health != rows[i].want || !s.reason != !rows[i].reason ||
            (s.reason && !strstr(s.reason, rows[i].reason)))
            fail_msg("%s: %s, '%s'", rows[i].what, status_health_name(s.health),
                     s.reason ? s.reason : "no reason");
    }
}

static void time_to_the_tip(void **state)
{
    static const struct {
        uint64_t gap;
        bool known;
        double replay, chain;
        uint64_t eta;
        bool never;
    } rows[] = {
        {0, false, 0, 0, 0, false},
        {TIP_SLOTS, false, 0, 0, 0, false},
        {TIP_SLOTS + 1, false, 0, 0, NONE, false},
        {100, true, 4.5, 2.5, 50, false},
        {101, true, 4.5, 2.5, 51, false},
        {100, true, 2.5, 2.5, NONE, true},
        {100, true, 1.0, 2.5, NONE, true},
        {100, true, 0, 0, NONE, true},
        {10, true, 1.0, 2.5, 0, false},
        {NONE, true, 4.5, 2.5, NONE, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct status s = {.gap = {rows[i].gap != NONE, rows[i].gap},
                           .rates = {rows[i].known, rows[i].replay, rows[i].chain}};

        status_decide_eta(&s, TIP_SLOTS);
        assert_int_equal(s.eta_s.known, rows[i].eta != NONE);
        if (s.eta_s.known)
            assert_int_equal(s.eta_s.v, rows[i].eta);
        assert_int_equal(s.never, rows[i].never);
    }
}

/* ---- rates ----------------------------------------------------------------------------------- */

static char dir[64];
static uint64_t now_ms, wall_jump_ms;

static uint64_t fake_mono_ns(void)
{
    return now_ms * 1000000;
}

static uint64_t fake_wall_ms(void)
{
    return 1700000000000 + now_ms + wall_jump_ms;
}

static const struct clock_ops fake_clock = {.mono_ns = fake_mono_ns, .wall_ms = fake_wall_ms};
static struct ctx ctx = {.http = &fake_http, .clock = &fake_clock};

static int make_root(void **state)
{
    snprintf(dir, sizeof(dir), "/tmp/agavectl-status-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    now_ms = 5000000;
    wall_jump_ms = 0;
    return fsroot_open(dir, &ctx.root) ? -1 : 0;
}

static int remove_root(void **state)
{
    err_free(fsroot_unlink(ctx.root, "/state/status-sample.json"));
    err_free(fsroot_rmdir(ctx.root, "/state"));
    ctx.root = fsroot_close(ctx.root);
    return rmdir(dir);
}

struct slots_rate {
    bool known;
    double replay, chain;
};

/* As one run of status does it: the book is read, used and written. */
static struct rate add_to_file(enum rates_series series, uint64_t id, uint64_t a, uint64_t b)
{
    const struct rate_look l = {
        .id = id, .v = {a, b}, .mono_ns = fake_mono_ns(), .wall_ms = fake_wall_ms()};
    struct rates_book book;
    struct rate r;

    rates_load(&ctx, "/state", &book);
    r = rates_add(&book, series, &l);
    rates_save(&ctx, "/state", &book);
    return r;
}

static struct slots_rate look(uint64_t start_ms, uint64_t slot, uint64_t tip)
{
    struct rate r = add_to_file(RATES_SLOTS, start_ms, slot, tip);

    return (struct slots_rate){r.known, r.per_s[0], r.per_s[1]};
}

static void two_looks_make_a_rate(void **state)
{
    struct stat st;
    struct slots_rate r;

    assert_false(look(1, 100, 1000).known);
    assert_null(fsroot_stat(ctx.root, "/state/status-sample.json", &st));
    assert_int_equal(st.st_mode & 07777, 0600);
    now_ms += 1999;
    assert_false(look(1, 110, 1005).known);
    now_ms += 1; /* 2 s after the first */
    r = look(1, 120, 1005);
    assert_true(r.known);
    assert_float_equal(r.replay, 10, 1e-9);
    assert_float_equal(r.chain, 2.5, 1e-9);
}

static void asking_every_second_works(void **state)
{
    unsigned n_known = 0;

    for (unsigned i = 0; i < 20; i++, now_ms += 1000) {
        struct slots_rate r = look(1, 100 + 4 * i, 1000 + 3 * i);

        n_known += r.known;
        if (r.known) {
            assert_float_equal(r.replay, 4, 1e-9);
            assert_float_equal(r.chain, 3, 1e-9);
        }
    }
    assert_int_equal(n_known, 18);
}

static void looks_that_do_not_count(void **state)
{
    assert_false(look(1, 100, 1000).known);
    now_ms += 10000;
    assert_false(look(2, 200, 1100).known); /* another process */
    now_ms += RATES_MAX_MS + 1;
    assert_false(look(2, 300, 1200).known); /* too old */
    now_ms += 10000;
    assert_false(look(2, 200, 1300).known); /* went back */
    now_ms += 10000;
    assert_false(look(2, 300, 1200).known); /* the tip went back */
    now_ms += RATES_MAX_MS;
    assert_true(look(2, 400, 1300).known);
    now_ms = 1000; /* another boot */
    assert_false(look(2, 500, 1400).known);
}

/* The wall clock is set while the other one goes on: forwards, then back. */
static void a_clock_that_jumps_makes_no_rate(void **state)
{
    assert_false(look(1, 100, 1000).known);
    now_ms += 10000;
    wall_jump_ms = 3600000;
    assert_false(look(1, 200, 1100).known);
    now_ms += 10000;
    assert_true(look(1, 300, 1200).known);
    now_ms += 10000;
    wall_jump_ms = 0;
    assert_false(look(1, 400, 1300).known);
    now_ms += 10000;
    assert_true(look(1, 500, 1400).known);
}

/* Memory's trend may fall, needs half a minute and takes the longest stretch that it has. */
static void a_trend_is_a_long_one(void **state)
{
    struct rate r = add_to_file(RATES_MEMORY, 7, 1000000, 0);

    assert_false(r.known);
    now_ms += RATES_TREND_MS - 1;
    assert_false(add_to_file(RATES_MEMORY, 7, 1000000, 0).known);
    now_ms += 1;
    r = add_to_file(RATES_MEMORY, 7, 1300000, 0);
    assert_true(r.known);
    assert_float_equal(r.per_s[0], 10000, 1e-9);
    now_ms += RATES_TREND_MS;
    r = add_to_file(RATES_MEMORY, 7, 400000, 0); /* since the first one, not since the last */
    assert_float_equal(r.per_s[0], -10000, 1e-9);
    assert_int_equal(r.over_ms, 60000);
    for (int i = 0; i < 60; i++) {
        now_ms += 15000;
        r = add_to_file(RATES_MEMORY, 7, 400000, 0);
    }
    assert_float_equal(r.per_s[0], 0, 1e-9); /* the first ones are forgotten */
    assert_in_range(r.over_ms, 8 * 60000, RATES_MAX_MS);
    assert_false(add_to_file(RATES_MEMORY, 8, 400000, 0).known); /* another process */
}

static void note(double replay, double chain, uint64_t gap)
{
    const struct rate r = {.known = true, .per_s = {replay, chain}};
    struct rates_book book;

    rates_load(&ctx, "/state", &book);
    rates_note_replay(&book, &r, gap, fake_wall_ms());
    rates_save(&ctx, "/state", &book);
}

static double noted(void)
{
    struct rates_book book;

    rates_load(&ctx, "/state", &book);
    return book.replay.known ? book.replay.per_s : -1;
}

/* At the tip, or with nothing to replay, what is seen is the cluster and not this host. */
static void replay_counts_while_it_catches_up(void **state)
{
    assert_float_equal(noted(), -1, 1e-9);
    note(2.5, 2.4, 3);
    note(0, 2.5, 5000);
    note(5000, 2.5, 5000);
    assert_float_equal(noted(), -1, 1e-9);
    note(10, 2.5, 5000);
    assert_float_equal(noted(), 10, 1e-9);
    note(5, 2.5, 4000);
    assert_float_equal(noted(), 9, 1e-9);
    note(2.5, 2.4, 2); /* it is there */
    assert_float_equal(noted(), 9, 1e-9);
    assert_false(look(1, 100, 1000).known); /* a look without it does not lose it */
    assert_float_equal(noted(), 9, 1e-9);
}

/* One series does not disturb another, and a look without one of them does not lose it. */
static void series_are_apart(void **state)
{
    assert_false(look(1, 100, 1000).known);
    now_ms += 1500;
    assert_false(add_to_file(RATES_UDP, 3, 10, 0).known);
    now_ms += 1500;
    assert_true(look(1, 130, 1030).known);
    assert_false(add_to_file(RATES_UDP, 3, 20, 0).known);
    now_ms += 500;
    assert_float_equal(add_to_file(RATES_UDP, 3, 30, 2).per_s[0], 10, 1e-9);
}

static void a_file_that_is_not_ours(void **state)
{
    static const char *const files[] = {
        "",
        "x",
        "{}",
        "[]",
        "{\"schema_version\":1,\"looks\":[]}",
        "{\"schema_version\":3,\"slots\":[]}",
        "{\"schema_version\":2,\"slots\":[{}]}",
        "{\"schema_version\":2,\"slots\":[1,2,3]}",
        "{\"schema_version\":2,\"slots\":[{\"id\":1,\"wall_ms\":1,\"mono_ns\":1,\"v\":[1]}]}",
        ("{\"schema_version\":2,\"slots\":[{\"id\":1,\"wall_ms\":1,\"mono_ns\":1,"
         "\"v\":[18446744073709551615,1]}]}"),
    };

    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        assert_null(fsroot_mkdirs(ctx.root, "/state", 0755));
        assert_null(fsroot_write_atomic(ctx.root, "/state/status-sample.json", files[i],
                                        strlen(files[i]), 0600));
        assert_false(look(1, 100, 1000).known);
        now_ms += 5000;
        assert_true(look(1, 110, 1010).known); /* replaced by one of ours */
        now_ms += 5000;
    }
}

static void no_right_to_write(void **state)
{
    int fd = -1;

    /* A file in the place of the folder: nobody, not even root, can write below it. */
    assert_null(fsroot_openat(ctx.root, "/state", O_WRONLY | O_CREAT, 0600, &fd));
    close(fd);
    assert_false(look(1, 100, 1000).known);
    now_ms += 5000;
    assert_false(look(1, 110, 1010).known);
    assert_null(fsroot_unlink(ctx.root, "/state"));
}

/* ---- the whole look -------------------------------------------------------------------------- */

static enum unit_phase fake_phase;

static struct err *fake_status(struct ctx *c, const struct unit *u, struct unit_status *ret)
{
    if (fake_phase == PH_UNKNOWN)
        return err_new(ERR_SYS, "cannot look");
    *ret = (struct unit_status){.phase = fake_phase, .restarts = 2, .age_s = 77};
    return NULL;
}

static struct err *fake_pids(struct ctx *c, const struct unit *u, pid_t **ret, size_t *ret_n)
{
    if (fake_phase == PH_UNKNOWN)
        return err_new(ERR_SYS, "cannot look");
    *ret = xmalloc(sizeof(**ret));
    **ret = 4242;
    *ret_n = fake_phase == PH_RUNNING;
    return NULL;
}

static const struct runtime fake_runtime = {
    .name = "fake", .status = fake_status, .pids = fake_pids};

#define SELF    "http://127.0.0.1:8899"
#define SLOT(n) "{\"jsonrpc\":\"2.0\",\"result\":" #n ",\"id\":$ID}"

static const char *const refs[] = {"http://a.test", "http://b.test/key?k=s3cret", "http://c.test",
                                   "http://d.test"};

static struct status_params params(void)
{
    return (struct status_params){.rpc_url = SELF,
                                  .refs = refs,
                                  .n_refs = ARRAY_LEN(refs),
                                  .ledger = "/no/ledger",
                                  .snapshots_dir = "/no/snapshots",
                                  .runtime = &fake_runtime,
                                  .state_dir = "/state",
                                  .tip_slots = TIP_SLOTS,
                                  .timeout_ms = 800};
}

static const struct fake_row rows_ok[] = {
    {SELF, "getHealth", 200, "{\"jsonrpc\":\"2.0\",\"result\":\"ok\",\"id\":$ID}"},
    {SELF, "processed", 200, SLOT(1032)},
    {SELF, "confirmed", 200, SLOT(1031)},
    {SELF, "finalized", 200, SLOT(1000)},
    {SELF, "getHighestSnapshotSlot", 200,
     "{\"jsonrpc\":\"2.0\",\"result\":{\"full\":800,\"incremental\":null},\"id\":$ID}"},
    {"http://a.test", "finalized", 200, SLOT(1010)},
    {"http://b.test/key?k=s3cret", "finalized", 500, "<html>"},
    {"http://c.test", "finalized", 200, SLOT(18446744073709551615)},
    {"http://d.test", "finalized", 200, SLOT(1012)},
};

static void the_whole_look(void **state)
{
    AUTO(status_clear) struct status s = {0};
    AUTO(json_freep) struct json *doc = NULL;
    AUTO(freep) char *text = NULL, *want = NULL;
    const struct status_params p = params();

    fake_phase = PH_RUNNING;
    fake_use(rows_ok, ARRAY_LEN(rows_ok));
    assert_null(status_gather(&ctx, &p, &s));
    assert_int_equal(fake_batches, 1); /* one wait for all */
    assert_int_equal(fake_asked, 9);
    doc = status_json(&s);
    text = json_text(doc, false);
    want = xasprintf(
        "{\"schema_version\":1,\"health\":\"ok\",\"reason\":null,"
        "\"slots\":{\"processed\":1032,\"confirmed\":1031,\"finalized\":1000},"
        "\"tip\":1010,\"tip_references\":2,\"gap\":10,\"references\":["
        "{\"url\":\"http://a.test\",\"slot\":1010,\"age_ms\":0,\"error\":null},"
        "{\"url\":\"http://b.test/...\",\"slot\":null,\"age_ms\":null,"
        "\"error\":\"getSlot at 'http://b.test/...': HTTP status 500\"},"
        "{\"url\":\"http://c.test\",\"slot\":null,\"age_ms\":null,"
        "\"error\":\"getSlot at 'http://c.test': 18446744073709551615 is not a plausible slot\"},"
        "{\"url\":\"http://d.test\",\"slot\":1012,\"age_ms\":0,\"error\":null}],"
        "\"replay_rate\":null,\"chain_rate\":null,\"eta_s\":0,\"phase\":null,"
        "\"unit\":{\"runtime\":\"fake\",\"state\":\"running\",\"pids\":[4242],\"restarts\":2,"
        "\"age_s\":77,\"error\":null},"
        "\"snapshot\":{\"full_slot\":800,\"incremental_slot\":null,"
        "\"full_trust\":null,\"incremental_trust\":null,"
        "\"error\":\"snapshots: cannot open '/no/snapshots': No such file or "
        "directory\"},"
        "\"rpc_error\":null,\"via\":null,\"start\":null,"
        "\"phase_error\":\"startProgress: cannot connect to '%s/no/ledger/admin.rpc': "
        "No such file or directory\","
        "\"memory\":null,\"oom\":null,\"udp\":null,\"relay\":null}",
        dir);
    assert_string_equal(text, want);
}

static void nothing_answers(void **state)
{
    AUTO(status_clear) struct status s = {0};
    AUTO(json_freep) struct json *doc = NULL;
    const struct status_params p = params();

    fake_phase = PH_UNKNOWN;
    fake_use(NULL, 0);
    assert_null(status_gather(&ctx, &p, &s));
    doc = status_json(&s);
    static const char *const unknown[] = {"tip",        "gap",   "replay_rate",
                                          "chain_rate", "eta_s", "phase"};
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
        assert_true(json_has(doc, unknown[i]));
        assert_null(json_get(doc, unknown[i]));
    }
    static const char *const unit[] = {"state", "pids", "restarts", "age_s"};
    for (size_t i = 0; i < ARRAY_LEN(unit); i++) {
        assert_true(json_has(json_get(doc, "unit"), unit[i]));
        assert_null(json_get(json_get(doc, "unit"), unit[i]));
    }
    assert_int_equal(s.health, HEALTH_UNKNOWN);
    assert_non_null(strstr(s.rpc_error, "getHealth at '" SELF "': connection refused"));
}

static void rpc_off_and_no_references(void **state)
{
    AUTO(status_clear) struct status s = {0};
    struct status_params p = params();

    p.rpc_url = NULL;
    p.n_refs = 0;
    fake_phase = PH_STOPPED;
    fake_use(NULL, 0);
    assert_null(status_gather(&ctx, &p, &s));
    assert_int_equal(fake_asked, 0);
    assert_int_equal(s.health, HEALTH_STOPPED);
}

static void interrupted(void **state)
{
    static const volatile sig_atomic_t yes = 1;
    struct ctx stopped = ctx;
    struct status s = {.n_refs = 99};
    const struct status_params p = params();

    stopped.cancelled = &yes;
    fake_phase = PH_RUNNING;
    fake_use(NULL, 0);
    AUTO(err_freep) struct err *e = status_gather(&stopped, &p, &s);
    assert_int_equal(e->kind, ERR_CANCELLED);
    assert_int_equal(s.n_refs, 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(which_tip_is_believed),
        cmocka_unit_test(one_of_three_changes_nothing),
        cmocka_unit_test(what_health_means),
        cmocka_unit_test(time_to_the_tip),
        cmocka_unit_test_setup_teardown(two_looks_make_a_rate, make_root, remove_root),
        cmocka_unit_test_setup_teardown(asking_every_second_works, make_root, remove_root),
        cmocka_unit_test_setup_teardown(looks_that_do_not_count, make_root, remove_root),
        cmocka_unit_test_setup_teardown(a_clock_that_jumps_makes_no_rate, make_root, remove_root),
        cmocka_unit_test_setup_teardown(a_trend_is_a_long_one, make_root, remove_root),
        cmocka_unit_test_setup_teardown(replay_counts_while_it_catches_up, make_root, remove_root),
        cmocka_unit_test_setup_teardown(series_are_apart, make_root, remove_root),
        cmocka_unit_test_setup_teardown(a_file_that_is_not_ours, make_root, remove_root),
        cmocka_unit_test_setup_teardown(no_right_to_write, make_root, remove_root),
        cmocka_unit_test_setup_teardown(the_whole_look, make_root, remove_root),
        cmocka_unit_test_setup_teardown(nothing_answers, make_root, remove_root),
        cmocka_unit_test_setup_teardown(rpc_off_and_no_references, make_root, remove_root),
        cmocka_unit_test_setup_teardown(interrupted, make_root, remove_root),
    };

    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
