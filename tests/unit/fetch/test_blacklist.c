/* What is not tried again: how long, how many, and the file of it. */
#include "fetch/blacklist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

/* ---- the file ----------------------------------------------------------------------------- */

#define PATH "/var/lib/agavectl/snapshot-blacklist.json"

struct host {
    char dir[40];
    struct fsroot *root;
    struct ctx ctx;
};

static int setup(void **state)
{
    struct host *h = xcalloc(1, sizeof(*h));

    snprintf(h->dir, sizeof(h->dir), "/tmp/agavectl-blacklist-XXXXXX");
    assert_non_null(mkdtemp(h->dir));
    assert_null(fsroot_open(h->dir, &h->root));
    h->ctx = (struct ctx){.clock = &clock_system, .root = h->root};
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    struct host *h = *state;

    assert_null(fsroot_unlink(h->root, PATH));
    assert_null(fsroot_unlink(h->root, PATH ".lock"));
    assert_null(fsroot_rmdir(h->root, "/var/lib/agavectl")); /* and nothing else was in there */
    assert_null(fsroot_rmdir(h->root, "/var/lib"));
    assert_null(fsroot_rmdir(h->root, "/var"));
    assert_int_equal(rmdir(h->dir), 0);
    fsroot_close(h->root);
    free(h);
    return 0;
}

static void the_file_is_what_was_saved(void **state)
{
    struct host *h = *state;
    AUTO(blacklist_clear) struct blacklist b = {0};
    AUTO(blacklist_clear) struct blacklist read = {0};
    uint64_t until_ms = clock_wall_ms(&h->ctx) + BLACKLIST_PEER_MS;

    assert_null(blacklist_load(&h->ctx, PATH, &b)); /* none yet */
    assert_int_equal(b.n, 0);
    assert_null(blacklist_save(&h->ctx, PATH, &b)); /* nothing to say, nothing written */
    blacklist_add(&b, BLACKLIST_HASH, HASH, "its tar is torn", 0);
    blacklist_add(&b, BLACKLIST_PEER, "http://192.0.2.1:8899", "over", 1);
    blacklist_add(&b, BLACKLIST_PEER, "http://192.0.2.2:8899", "\"why\"", until_ms);
    assert_null(blacklist_save(&h->ctx, PATH, &b));
    assert_false(b.changed);
    assert_null(blacklist_load(&h->ctx, PATH, &read));
    assert_int_equal(read.n, 2);
    assert_false(read.changed);
    assert_string_equal(read.items[0].value, HASH);
    assert_int_equal(read.items[0].until_ms, 0);
    assert_string_equal(read.items[1].why, "\"why\"");
    assert_int_equal(read.items[1].until_ms, until_ms);

    assert_null(fsroot_write_atomic(h->root, PATH, "{", 1, 0644));
    blacklist_clear(&read);
    AUTO(err_freep) struct err *e = blacklist_load(&h->ctx, PATH, &read);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_BADINPUT);
    assert_non_null(strstr(e->text, PATH));
    assert_non_null(strstr(e->text, "remove it"));
    /* and what is broken is not written over by who had read it before */
    blacklist_add(&b, BLACKLIST_HASH, "other", "", 0);
    AUTO(err_freep) struct err *e2 = blacklist_save(&h->ctx, PATH, &b);
    assert_non_null(e2);
    assert_int_equal(e2->kind, ERR_BADINPUT);
}

/* Two runs at the same time: what the other one has saved since we read the list stays. */
static void what_others_saved_stays(void **state)
{
    struct host *h = *state;
    AUTO(blacklist_clear) struct blacklist a = {0};
    AUTO(blacklist_clear) struct blacklist b = {0};
    AUTO(blacklist_clear) struct blacklist read = {0};

    blacklist_add(&a, BLACKLIST_HASH, HASH, "", 0);
    blacklist_add(&a, BLACKLIST_HASH, "old", "", 0);
    assert_null(blacklist_save(&h->ctx, PATH, &a));
    assert_null(blacklist_load(&h->ctx, PATH, &b));
    blacklist_add(&a, BLACKLIST_HASH, "of a", "", 0);
    assert_true(blacklist_forget(&a, "old"));
    blacklist_add(&b, BLACKLIST_HASH, "of b", "", 0);
    assert_null(blacklist_save(&h->ctx, PATH, &a));
    assert_null(blacklist_save(&h->ctx, PATH, &b));
    assert_null(blacklist_load(&h->ctx, PATH, &read));
    assert_int_equal(read.n, 3);
    assert_non_null(blacklist_find(&read, BLACKLIST_HASH, HASH, 0));
    assert_non_null(blacklist_find(&read, BLACKLIST_HASH, "of a", 0));
    assert_non_null(blacklist_find(&read, BLACKLIST_HASH, "of b", 0));
    assert_int_equal(b.n, 3); /* and is known here */
    /* what was forgotten here is not written back by what is here still */
    assert_null(blacklist_find(&b, BLACKLIST_HASH, "old", 0));
}

static void writer(struct host *h, int who)
{
    for (int i = 0; i < 10; i++) {
        AUTO(blacklist_clear) struct blacklist b = {0};
        AUTO(freep) char *value = xasprintf("of %d: %d", who, i);
        struct err *e = blacklist_load(&h->ctx, PATH, &b);

        blacklist_add(&b, BLACKLIST_HASH, value, "", 0);
        if (e || (e = blacklist_save(&h->ctx, PATH, &b)))
            _exit(1);
    }
    _exit(0);
}

static void many_write_at_once(void **state)
{
    struct host *h = *state;
    AUTO(blacklist_clear) struct blacklist read = {0};
    pid_t pids[4];

    for (int i = 0; i < 4; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            writer(h, i);
    }
    for (int i = 0; i < 4; i++) {
        int status;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    assert_null(blacklist_load(&h->ctx, PATH, &read));
    assert_int_equal(read.n, 40);
}

/* 100 times as fast, so that nobody waits 5 s for it. */
static uint64_t quick_ns(void)
{
    return clock_system.mono_ns() * 100;
}

static void quick_wait(uint64_t wait_ns, const volatile sig_atomic_t *cancelled)
{
    clock_system.wait(wait_ns / 100, cancelled);
}

static void a_lock_is_not_waited_for_without_end(void **state)
{
    struct host *h = *state;
    const struct clock_ops quick = {
        .mono_ns = quick_ns, .wall_ms = clock_system.wall_ms, .wait = quick_wait};
    AUTO(blacklist_clear) struct blacklist b = {0};
    AUTO(closep) int fd = -1;

    h->ctx.clock = &quick;
    blacklist_add(&b, BLACKLIST_HASH, HASH, "", 0);
    assert_null(blacklist_save(&h->ctx, PATH, &b));
    assert_null(fsroot_openat(h->root, PATH ".lock", O_RDONLY, 0, &fd));
    assert_int_equal(flock(fd, LOCK_EX), 0);
    blacklist_add(&b, BLACKLIST_HASH, "more", "", 0);
    AUTO(err_freep) struct err *e = blacklist_save(&h->ctx, PATH, &b);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_TIMEOUT);
    assert_true(b.changed); /* it can be tried again */
    assert_int_equal(flock(fd, LOCK_UN), 0);
    assert_null(blacklist_save(&h->ctx, PATH, &b));
}

static void who_a_node_is(void **state)
{
    struct host *h = *state;
    AUTO(blacklist_clear) struct blacklist saved = {0};
    AUTO(blacklist_clear) struct blacklist b = {0};

    blacklist_add_peer(&saved, "liar", "http://192.0.2.1:8899", "lied", 0);
    blacklist_add_peer(&saved, NULL, "http://192.0.2.9:80", "lied", 0);
    assert_null(blacklist_save(&h->ctx, PATH, &saved));
    assert_null(blacklist_load(&h->ctx, PATH, &b));
    /* the same id is the same node, wherever it goes */
    assert_non_null(blacklist_find_peer(&b, "liar", "http://192.0.2.1:8899", 0));
    assert_non_null(blacklist_find_peer(&b, "liar", "http://192.0.2.2:8899", 0));
    /* another one at its address is another node, if it says who it is */
    assert_null(blacklist_find_peer(&b, "other", "http://192.0.2.1:8899", 0));
    assert_non_null(blacklist_find_peer(&b, NULL, "http://192.0.2.1:8899", 0));
    assert_null(blacklist_find_peer(&b, NULL, "http://192.0.2.1:8900", 0));
    /* one that had no id is its address */
    assert_non_null(blacklist_find_peer(&b, NULL, "http://192.0.2.9:80", 0));
    assert_non_null(blacklist_find_peer(&b, "somebody", "http://192.0.2.9:80", 0));
    assert_null(blacklist_find_peer(&b, NULL, "http://192.0.2.9:81", 0));
    assert_true(blacklist_forget(&b, "http://192.0.2.1:8899"));
    assert_null(blacklist_find_peer(&b, "liar", "http://192.0.2.1:8899", 0));
}

#define FILE_CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peers_come_back_and_hashes_do_not),
        cmocka_unit_test(what_others_say_is_no_line_of_ours),
        cmocka_unit_test(a_full_list_lets_nodes_go_first),
        cmocka_unit_test(texts_that_are_no_list),
        FILE_CASE(the_file_is_what_was_saved),
        FILE_CASE(what_others_saved_stays),
        FILE_CASE(many_write_at_once),
        FILE_CASE(a_lock_is_not_waited_for_without_end),
        FILE_CASE(who_a_node_is),
    };

    return cmocka_run_group_tests_name("fetch/blacklist", tests, NULL, NULL);
}
