/* Stages "health" and "snapshots": what getHealth says against the gap, references that are dead,
 * late or lying, and every kind of file that can lie in the folder of snapshots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"
#include "checked.h"
#include "io/captured.h"
#include "io/fsroot.h"
#include "stage/table.h"
#include "tests/unit/solana/fake_http.h"

#define NODE    "http://127.0.0.1:8899"
#define A       "http://a:8899"
#define B       "http://b:8899"
#define C       "http://c:8899"
#define SLOT(n) 200, "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":" n "}"
#define CONFIG                                                                                     \
    "cluster:\n  references: [\"" A "\", \"" B "\", \"" C "\"]\n"                                  \
    "validator:\n  identity: /etc/agave/id.json\n"

static const struct fake_row healthy[] = {
    {NODE, "getHealth", SLOT("\"ok\"")}, {NODE, "getSlot", SLOT("99990")},
    {A, NULL, SLOT("100000")},           {B, NULL, SLOT("100001")},
    {C, NULL, SLOT("100002")},
};

static void host_new(struct checked *c, const struct fake_row *rows, size_t n)
{
    checked_new(c, CONFIG);
    c->f.ctx.http = &fake_http;
    fake_use(rows, n);
}

/* ---- health ------------------------------------------------------------------------------------
 */

static void ok_needs_both(void **state)
{
    static const struct fake_row stuck[] = {
        {NODE, "getHealth", SLOT("\"ok\"")}, {NODE, "getSlot", SLOT("90000")},
        {A, NULL, SLOT("100000")},           {B, NULL, SLOT("100001")},
        {C, NULL, SLOT("100002")},
    };
    static const struct fake_row late[] = {
        {NODE, "getHealth", SLOT("\"ok\"")}, {NODE, "getSlot", SLOT("99940")},
        {A, NULL, SLOT("100000")},           {B, NULL, SLOT("100001")},
        {C, NULL, SLOT("100002")},
    };
    AUTO(checked_clear) struct checked c;

    host_new(&c, healthy, ARRAY_LEN(healthy));
    checked_validator(&c, "");
    checked_look(&c, &stage_health);
    checked_has(&c, "health.state", SEV_OK, "11 slots behind");
    checked_has(&c, "health.references", SEV_OK, "3 of 3");
    checked_clean(&c);
    fake_use(stuck, ARRAY_LEN(stuck));
    checked_look(&c, &stage_health);
    checked_has(&c, "health.state", SEV_FAIL,
                "10001 slots behind the tip, and getHealth alone lies");
    fake_use(late, ARRAY_LEN(late));
    checked_look(&c, &stage_health);
    checked_has(&c, "health.state", SEV_WARN, "61 slots behind");
}

static void what_could_not_be_asked_is_not_ok(void **state)
{
    static const struct fake_row alone[] = {
        {NODE, "getHealth", SLOT("\"ok\"")},
        {NODE, "getSlot", SLOT("99990")},
    };
    static const struct fake_row unhealthy[] = {
        {NODE, "getHealth", 200,
         "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"error\":{\"code\":-32005,\"message\":\"Node is "
         "unhealthy\",\"data\":{}}}"},
        {NODE, "getSlot", SLOT("99990")},
        {A, NULL, SLOT("100000")},
    };
    AUTO(checked_clear) struct checked c;

    host_new(&c, alone, ARRAY_LEN(alone));
    checked_validator(&c, "");
    checked_look(&c, &stage_health);
    checked_has(&c, "health.state", SEV_UNKNOWN, "getHealth alone proves nothing");
    checked_has(&c, "health.references", SEV_UNKNOWN, "0 of 3");
    fake_use(healthy + 2, 3); /* a process, but neither admin socket nor RPC */
    checked_look(&c, &stage_health);
    checked_has(&c, "health.state", SEV_WARN, "it starts");
    fake_use(healthy + 1, 4); /* slots, but no getHealth */
    checked_look(&c, &stage_health);
    checked_has(&c, "health.state", SEV_UNKNOWN, "cannot ask the node");
    fake_use(unhealthy, ARRAY_LEN(unhealthy));
    checked_look(&c, &stage_health);
    checked_has(&c, "health.state", SEV_FAIL, "not healthy");
}

static void a_validator_that_is_down_is_judged_by_why(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, healthy + 2, 3);
    checked_look(&c, &stage_health);
    checked_has(&c, "health.state", SEV_NOTE, "does not run"); /* never set up */
    fixture_put(&c.f, "/proc/sys/kernel/random/boot_id", "b\n");
    fixture_put(&c.f, "/run/agavectl/agave-validator.json",
                "{\"wanted\":false,\"pid\":0,\"start\":0,\"boot_id\":\"b\",\"started_ms\":1,"
                "\"restarts\":0,\"bin\":null}");
    checked_look(&c, &stage_health);
    checked_has(&c, "health.state", SEV_WARN, "does not run"); /* stopped on purpose */
    fixture_put(&c.f, "/run/agavectl/agave-validator.json",
                "{\"wanted\":true,\"pid\":77,\"start\":5,\"boot_id\":\"b\",\"started_ms\":1,"
                "\"restarts\":0,\"bin\":null}");
    checked_look(&c, &stage_health);
    checked_has(&c, "health.state", SEV_FAIL, "ended without being asked to");
}

static void references_are_judged_one_by_one(void **state)
{
    static const struct fake_row rows[] = {
        {NODE, "getHealth", SLOT("\"ok\"")}, {NODE, "getSlot", SLOT("99990")},
        {A, NULL, SLOT("100000")},           {B, NULL, SLOT("99000")},
        {C, NULL, SLOT("100001")},
    };
    static const struct fake_row ahead[] = {
        {NODE, "getHealth", SLOT("\"ok\"")},
        {NODE, "getSlot", SLOT("99990")},
        {A, NULL, SLOT("100000")},
        {B, NULL, SLOT("500000")},
    };
    AUTO(checked_clear) struct checked c;

    host_new(&c, rows, ARRAY_LEN(rows));
    checked_look(&c, &stage_health);
    checked_has(&c, "health.reference", SEV_WARN, B " is 1000 slots behind");
    fake_use(ahead, ARRAY_LEN(ahead));
    checked_look(&c, &stage_health);
    checked_has(&c, "health.reference", SEV_WARN, B " is 400000 slots ahead");
    checked_has(&c, "health.reference", SEV_WARN, C " does not tell its slot");
    checked_clear(&c);
    checked_new(&c, NULL);
    c.f.ctx.http = &fake_http;
    checked_look(&c, &stage_health);
    checked_has(&c, "health.references", SEV_WARN, "no reference is configured");
}

/* ---- snapshots ---------------------------------------------------------------------------------
 */

#define HASH       "AoNd8oJEBQNiREzWyRUXYkwgpteeWNRzDYEY4PYRQ9rM"
#define FULL(slot) "/srv/solana/snapshots/snapshot-" slot "-" HASH ".tar.zst"
#define INCR(base, slot)                                                                           \
    "/srv/solana/snapshots/incremental-snapshot-" base "-" slot "-" HASH ".tar.zst"

/* root's files, which the validator can read */
static void put(struct checked *c, const char *path)
{
    fixture_put(&c->f, path, "x");
}

static void look(struct checked *c)
{
    checked_look(c, &stage_snapshots);
}

static void fresh_snapshots_are_fine(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, healthy, ARRAY_LEN(healthy));
    put(&c, FULL("60000"));
    put(&c, INCR("60000", "95000"));
    look(&c);
    checked_has(&c, "snapshots.full", SEV_OK, "slot 60000, with an incremental");
    checked_has(&c, "snapshots.age", SEV_OK, "slot 95000) is 5001 slots behind");
    checked_clean(&c);
}

static void old_ones_fail_where_they_are_needed(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, healthy, ARRAY_LEN(healthy));
    put(&c, FULL("80000"));
    look(&c);
    checked_has(&c, "snapshots.age", SEV_FAIL, "20001 slots behind the tip: starting from it");
    assert_string_equal(findings_find(&c.r.findings, "snapshots.age")->fix, "agavectl up");
    put(&c, FULL("80001")); /* 20,000 is still fine */
    look(&c);
    checked_has(&c, "snapshots.age", SEV_OK, NULL);
    put(&c, INCR("80000", "99999")); /* of another full one: does not count */
    look(&c);
    checked_has(&c, "snapshots.age", SEV_OK, "slot 80001");
    checked_clear(&c);
    host_new(&c, healthy, ARRAY_LEN(healthy));
    put(&c, FULL("80000"));
    checked_validator(&c, "");
    look(&c);
    checked_has(&c, "snapshots.age", SEV_NOTE, "too old for a restart");
}

static void no_tip_no_age(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, healthy, 2);
    put(&c, FULL("80000"));
    look(&c);
    checked_has(&c, "snapshots.age", SEV_UNKNOWN, "no reference tells the tip");
}

static void nothing_to_start_from_is_told(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, healthy, ARRAY_LEN(healthy));
    look(&c);
    checked_has(&c, "snapshots.full", SEV_WARN, "nothing to begin from");
    put(&c, "/srv/solana/snapshots/snapshot-99000-" HASH ".tar.bz2");
    put(&c, "/srv/solana/snapshots/snapshot-99000-" HASH ".tar.gz");
    look(&c);
    checked_has(&c, "snapshots.full", SEV_WARN, "that 3.0 can read");
    checked_has(&c, "snapshots.format", SEV_NOTE, ".tar.gz'");
}

static void half_files_are_found(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, healthy, ARRAY_LEN(healthy));
    put(&c, FULL("99000"));
    put(&c, FULL("99000") ".aria2");
    put(&c, "/srv/solana/snapshots/tmp-snapshot-archive-1-x/y");
    put(&c, "/srv/solana/snapshots/remote/tmp-snapshot-99-" HASH ".tar.zst");
    put(&c, "/srv/solana/snapshots/other.iso.aria2");
    fixture_put(&c.f, INCR("99000", "99100"), "%s", "");
    put(&c, INCR("70000", "99100"));
    look(&c);
    checked_has(&c, "snapshots.half", SEV_FAIL, "wears its final name");
    checked_has(&c, "snapshots.partial", SEV_NOTE, "the next start removes it");
    checked_has(&c, "snapshots.partial", SEV_NOTE, "remote/tmp-snapshot-99-");
    checked_has(&c, "snapshots.partial", SEV_NOTE, "other.iso.aria2' is left over");
    checked_has(&c, "snapshots.empty", SEV_FAIL, "99000-99100");
    checked_has(&c, "snapshots.orphan", SEV_NOTE, "needs the full snapshot of slot 70000");
    checked_validator(&c, ""); /* now the first of them is being written */
    look(&c);
    for (size_t i = 0; i < c.r.findings.n; i++)
        assert_null(strstr(c.r.findings.items[i].what, "tmp-snapshot-archive"));
}

/* The same on a captured host, whose owners and answers are in host.json. */
static void a_file_that_the_validator_cannot_read_is_found(void **state)
{
    AUTO(checked_clear) struct checked c;

    host_new(&c, healthy, ARRAY_LEN(healthy));
    put(&c, FULL("99000"));
    put(&c, FULL("98000"));
    fixture_put(
        &c.f, "/host.json",
        "{\"stat\": {\"" FULL("99000") "\": {\"type\": \"file\", \"mode\": \"0600\","
                                       " \"size_b\": 7, \"uid\": 0}},"
                                       " \"answers\": [{\"url\": \"" A
                                       "\", \"body_has\": \"\\\"id\\\":6\", \"body\":"
                                       " {\"jsonrpc\": \"2.0\", \"id\": 6, \"result\": 100000}}]}");
    c.f.ctx.root = fsroot_close(c.f.ctx.root);
    assert_ok(fsroot_open_captured(c.f.dir, &c.f.ctx.root));
    c.f.ctx.http = &http_captured;
    look(&c);
    checked_has(&c, "snapshots.owner", SEV_FAIL, "snapshot-99000");
    checked_has(&c, "snapshots.owner", SEV_NOTE, "snapshot-98000");
    checked_has(&c, "snapshots.age", SEV_OK, "1000 slots behind");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ok_needs_both),
        cmocka_unit_test(what_could_not_be_asked_is_not_ok),
        cmocka_unit_test(a_validator_that_is_down_is_judged_by_why),
        cmocka_unit_test(references_are_judged_one_by_one),
        cmocka_unit_test(fresh_snapshots_are_fine),
        cmocka_unit_test(old_ones_fail_where_they_are_needed),
        cmocka_unit_test(no_tip_no_age),
        cmocka_unit_test(nothing_to_start_from_is_told),
        cmocka_unit_test(half_files_are_found),
        cmocka_unit_test(a_file_that_the_validator_cannot_read_is_found),
    };

    return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}
