/* What is not tried again: how long, how many, and the file of it. */
#include "fetch/blacklist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/str.h"
#include "io/clock.h"
#include "io/fsroot.h"

#define HASH "13YedJS517PttpTvr7yDkcNC5dS1yZvpbWwXMBoZHUAE"

static void peers_come_back_and_hashes_do_not(void **state)
{
    AUTO(blacklist_clear) struct blacklist b = {0};

    blacklist_add(&b, BLACKLIST_PEER, "http://192.0.2.1:8899", "lied", 1000);
    blacklist_add(&b, BLACKLIST_HASH, HASH, "its bank is another", 0);
    assert_true(b.changed);
    assert_non_null(blacklist_find(&b, BLACKLIST_PEER, "http://192.0.2.1:8899", 999));
    assert_null(blacklist_find(&b, BLACKLIST_PEER, "http://192.0.2.1:8899", 1000));
    assert_null(blacklist_find(&b, BLACKLIST_HASH, "http://192.0.2.1:8899", 999));
    assert_non_null(blacklist_find(&b, BLACKLIST_HASH, HASH, UINT64_MAX));
    assert_null(blacklist_find(&b, BLACKLIST_PEER, NULL, 0));

    blacklist_add(&b, BLACKLIST_PEER, "http://192.0.2.1:8899", "again", 900);
    assert_int_equal(b.n, 2);
    assert_int_equal(b.items[0].until_ms, 1000); /* the later one */
    assert_string_equal(b.items[0].why, "again");
    blacklist_add(&b, BLACKLIST_PEER, "http://192.0.2.1:8899", "again", 0);
    blacklist_add(&b, BLACKLIST_PEER, "http://192.0.2.1:8899", "again", 5000);
    assert_int_equal(b.items[0].until_ms, 0); /* nothing is later than for ever */

    assert_true(blacklist_forget(&b, HASH));
    assert_false(blacklist_forget(&b, HASH));
    assert_int_equal(b.n, 1);
}

static void what_others_say_is_no_line_of_ours(void **state)
{
    AUTO(blacklist_clear) struct blacklist b = {0};
    AUTO(freep) char *long_value = xcalloc(1, 1000);

    memset(long_value, 'a', 999);
    blacklist_add(&b, BLACKLIST_PEER, "http://a\n", "x", 0);
    blacklist_add(&b, BLACKLIST_PEER, "", "x", 0);
    blacklist_add(&b, BLACKLIST_PEER, long_value, "x", 0);
    assert_int_equal(b.n, 0);
    blacklist_add(&b, BLACKLIST_PEER, "http://a", "status 500: \033[2J\n", 0);
    assert_string_equal(b.items[0].why, "status 500: ?[2J?");
}

static void a_full_list_lets_nodes_go_first(void **state)
{
    AUTO(blacklist_clear) struct blacklist b = {0};

    for (int i = 0; i < BLACKLIST_MAX; i++) {
        char value[32];

        snprintf(value, sizeof(value), "http://10.0.%d.%d:1", i / 256, i % 256);
        blacklist_add(&b, i % 2 ? BLACKLIST_HASH : BLACKLIST_PEER, value, "", i % 2 ? 0 : 5000 - i);
    }
    assert_int_equal(b.n, BLACKLIST_MAX);
    blacklist_add(&b, BLACKLIST_HASH, HASH, "", 0);
    assert_int_equal(b.n, BLACKLIST_MAX);
    assert_non_null(blacklist_find(&b, BLACKLIST_HASH, HASH, 0));
    assert_null(blacklist_find(&b, BLACKLIST_PEER, "http://10.0.15.254:1", 0)); /* ended first */
    assert_non_null(blacklist_find(&b, BLACKLIST_PEER, "http://10.0.15.252:1", 0));
    for (int i = 0; i < BLACKLIST_MAX; i++) {
        char value[32];

        snprintf(value, sizeof(value), "h%d", i);
        blacklist_add(&b, BLACKLIST_HASH, value, "", 0);
    }
    assert_int_equal(b.n, BLACKLIST_MAX); /* nothing but hashes: the newest is not added */
    assert_non_null(blacklist_find(&b, BLACKLIST_HASH, HASH, 0));
}

static void texts_that_are_no_list(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "not JSON"},
        {"[]", "schema_version"},
        {"{\"schema_version\": 2, \"entries\": []}", "later agavectl"},
        {"{\"schema_version\": 1}", "entries: not a list"},
        {"{\"schema_version\": 1, \"entries\": [1]}", "entry 1: kind"},
        {"{\"schema_version\": 1, \"entries\": [{\"kind\": \"x\"}]}", "'x' is no kind"},
        {"{\"schema_version\": 1, \"entries\": [{\"kind\": \"peer\", \"value\": \"\","
         " \"why\": \"\"}]}",
         "value: it is empty"},
        {"{\"schema_version\": 1, \"entries\": [{\"kind\": \"peer\", \"value\": \"a\\n\","
         " \"why\": \"\"}]}",
         "value: it is too long or has control characters"},
        {"{\"schema_version\": 1, \"entries\": [{\"kind\": \"peer\", \"value\": \"a\","
         " \"why\": \"\", \"until_ms\": 1.5}]}",
         "until_ms"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(blacklist_clear) struct blacklist b = {0};
        AUTO(err_freep)
        struct err *e = blacklist_parse(cases[i].text, strlen(cases[i].text), 0, &b);

        assert_non_null(e);
        assert_int_equal(e->kind, ERR_BADINPUT);
        if (!strstr(e->text, cases[i].why))
            fail_msg("'%s': %s", cases[i].text, e->text);
        assert_int_equal(b.n, 0);
    }
}

static void the_file_is_what_was_saved(void **state)
{
    AUTO(blacklist_clear) struct blacklist b = {0};
    AUTO(blacklist_clear) struct blacklist read = {0};
    AUTO(fsroot_closep) struct fsroot *root = NULL;
    char dir[] = "/tmp/agavectl-blacklist-XXXXXX";
    struct ctx ctx = {.clock = &clock_system};
    const char *path = "/var/lib/agavectl/snapshot-blacklist.json";

    assert_non_null(mkdtemp(dir));
    assert_null(fsroot_open(dir, &root));
    ctx.root = root;
    assert_null(blacklist_load(&ctx, path, &b)); /* none yet */
    assert_int_equal(b.n, 0);
    assert_null(blacklist_save(&ctx, path, &b)); /* nothing to say, nothing written */
    blacklist_add(&b, BLACKLIST_HASH, HASH, "its tar is torn", 0);
    blacklist_add(&b, BLACKLIST_PEER, "http://192.0.2.1:8899", "over", 1);
    blacklist_add(&b, BLACKLIST_PEER, "http://192.0.2.2:8899", "\"why\"",
                  clock_wall_ms(&ctx) + BLACKLIST_PEER_MS);
    assert_null(blacklist_save(&ctx, path, &b));
    assert_false(b.changed);
    assert_null(blacklist_load(&ctx, path, &read));
    assert_int_equal(read.n, 2);
    assert_false(read.changed);
    assert_string_equal(read.items[0].value, HASH);
    assert_int_equal(read.items[0].until_ms, 0);
    assert_string_equal(read.items[1].why, "\"why\"");
    assert_int_equal(read.items[1].until_ms, b.items[2].until_ms);

    assert_null(fsroot_write_atomic(root, path, "{", 1, 0644));
    blacklist_clear(&read);
    AUTO(err_freep) struct err *e = blacklist_load(&ctx, path, &read);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_BADINPUT);
    assert_non_null(strstr(e->text, path));
    assert_non_null(strstr(e->text, "remove it"));
    assert_null(fsroot_unlink(root, path));
    assert_null(fsroot_rmdir(root, "/var/lib/agavectl"));
    assert_null(fsroot_rmdir(root, "/var/lib"));
    assert_null(fsroot_rmdir(root, "/var"));
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peers_come_back_and_hashes_do_not),
        cmocka_unit_test(what_others_say_is_no_line_of_ours),
        cmocka_unit_test(a_full_list_lets_nodes_go_first),
        cmocka_unit_test(texts_that_are_no_list),
        cmocka_unit_test(the_file_is_what_was_saved),
    };

    return cmocka_run_group_tests_name("fetch/blacklist", tests, NULL, NULL);
}
