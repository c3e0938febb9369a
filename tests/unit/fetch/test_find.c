/* fetch/find: what nodes answer and what is made of it, the lists that name them. */
#include "fetch/find.h"

#include "fetch/questions.h"
#include "io/clock.h"
#include "io/http.h"
#include "server.h"

#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#define HASH_A                 "GupLekLKvChSdAVpYZvMdESWrG1UFBr7rgcGPq5exWnR"
#define HASH_B                 "5vz4jENNJdy3VU1fUMjz9qomfbEaExGFtyJtmcTtQDYq"
#define FULL(slot, hash)       "snapshot-" slot "-" hash ".tar.zst"
#define INCR(base, slot, hash) "incremental-snapshot-" base "-" slot "-" hash ".tar.zst"
#define F_ALIAS                "/snapshot.tar.bz2"
#define I_ALIAS                "/incremental-snapshot.tar.bz2"

#define PEER_MS 2000

struct world {
    volatile sig_atomic_t cancelled;
    struct ctx ctx;
    struct strlist rpcs, sources, known;
    struct fetch_scope scope;
};

static void open_world(struct world *w)
{
    w->ctx = (struct ctx){.http = &http_curl, .clock = &clock_system, .cancelled = &w->cancelled};
    w->scope = (struct fetch_scope){
        .rpcs = &w->rpcs, .sources = &w->sources, .known = &w->known, .peer_ms = PEER_MS};
}

static void world_clear(struct world *w)
{
    strlist_clear(&w->rpcs);
    strlist_clear(&w->sources);
    strlist_clear(&w->known);
}

/* Asks one server with these pages; the offer is valid until fetch_found_clear. */
static void find_one(const struct page *pages, struct fetch_found *ret)
{
    AUTO(world_clear) struct world w = {0};
    struct server *s = server_start(pages);

    open_world(&w);
    strlist_addf(&w.sources, "%s/", server_url(s));
    strlist_addf(&w.sources, "%s/nothing", server_url(s)); /* somebody must answer */
    assert_null(fetch_find(&w.ctx, &w.scope, ret));
    assert_string_equal(ret->offers[0].peer.url, server_url(s));
    server_stop(s);
    assert_int_equal(ret->n, 2);
    assert_int_equal(ret->offers[1].reason, FETCH_NO_SNAPSHOT);
    assert_true(ret->offers[0].peer.given);
    assert_null(ret->offers[0].peer.id);
}

static void an_agave_node(void **state)
{
    static const struct page pages[] = {
        {.path = F_ALIAS, .status = 303, .location = "/" FULL("802", HASH_A)},
        {.path = I_ALIAS, .status = 303, .location = "/" INCR("802", "1102", HASH_B)},
        {.path = "/" FULL("802", HASH_A), .body = "12345", .body_n = 5},
        {.path = "/" INCR("802", "1102", HASH_B), .body = "123", .body_n = 3},
        {0},
    };
    AUTO(fetch_found_clear) struct fetch_found f = {0};

    find_one(pages, &f);
    assert_null(f.offers[0].why);
    assert_string_equal(f.offers[0].full.name, FULL("802", HASH_A));
    assert_true(str_ends(f.offers[0].full.url, "/" FULL("802", HASH_A)));
    assert_int_equal(f.offers[0].full.slot, 802);
    assert_int_equal(f.offers[0].full.size_b, 5);
    assert_string_equal(f.offers[0].incr.name, INCR("802", "1102", HASH_B));
    assert_int_equal(f.offers[0].incr.base, 802);
    assert_int_equal(f.offers[0].incr.slot, 1102);
    assert_int_equal(f.offers[0].incr.size_b, 3);
    assert_string_equal(f.offers[0].full.hash, HASH_A);
    assert_string_equal(f.offers[0].incr.hash, HASH_B);
    assert_int_equal(f.offers[0].reason, FETCH_USABLE);
    assert_int_equal(f.offers[0].ranges, FETCH_RANGES_NO);
    assert_true(f.offers[0].latency_us.known && f.offers[0].latency_us.v < 1000000);
    assert_true(f.offers[0].rate_b_s < 0);
}

static void a_server_with_ranges(void **state)
{
    static const struct page pages[] = {
        {.path = F_ALIAS, .status = 303, .location = "/" FULL("802", HASH_A)},
        {.path = "/" FULL("802", HASH_A), .body = "12345", .body_n = 5, .ranges = true},
        {0},
    };
    AUTO(fetch_found_clear) struct fetch_found f = {0};

    find_one(pages, &f);
    assert_int_equal(f.offers[0].ranges, FETCH_RANGES_YES);
    assert_int_equal(f.offers[0].full.size_b, 5);
}

/* A proxy in front of it has moved the file. */
static void a_file_that_redirects(void **state)
{
    static const struct page pages[] = {
        {.path = F_ALIAS, .status = 303, .location = FULL("802", HASH_A)},
        {.path = "/" FULL("802", HASH_A), .status = 302, .location = "/there/file"},
        {.path = "/there/file", .status = 302, .location = "again"},
        {.path = "/there/again", .body = "12345", .body_n = 5},
        {0},
    };
    AUTO(fetch_found_clear) struct fetch_found f = {0};

    find_one(pages, &f);
    assert_null(f.offers[0].why);
    assert_int_equal(f.offers[0].full.size_b, 5);
    assert_true(str_ends(f.offers[0].full.url, "/" FULL("802", HASH_A)));
}

static void a_full_one_only(void **state)
{
    static const struct page pages[] = {
        {.path = F_ALIAS, .status = 303, .location = FULL("802", HASH_A)},
        {.path = "/" FULL("802", HASH_A), .body = "12345", .body_n = 5},
        {0},
    };
    AUTO(fetch_found_clear) struct fetch_found f = {0};

    find_one(pages, &f);
    assert_null(f.offers[0].why);
    assert_non_null(f.offers[0].full.name);
    assert_null(f.offers[0].incr.name);
}

static void a_server_without_head(void **state)
{
    static const struct page pages[] = {
        {.path = F_ALIAS, .status = 303, .location = "/" FULL("802", HASH_A), .head_status = 405},
        {.path = I_ALIAS, .status = 404, .head_status = 501},
        {.path = "/" FULL("802", HASH_A), .body = "12345", .body_n = 5, .head_status = 405},
        {0},
    };
    AUTO(fetch_found_clear) struct fetch_found f = {0};

    find_one(pages, &f);
    assert_null(f.offers[0].why);
    assert_non_null(f.offers[0].full.name);
    assert_true(f.offers[0].full.size_b == UINT64_MAX);
}

/* Another host with the same port, written with as many characters. */
static void a_redirect_to_another_host(void **state)
{
    struct page pages[] = {{.path = F_ALIAS, .status = 303, .location = "/"}, {0}};
    AUTO(world_clear) struct world w = {0};
    struct server *s = server_start(pages);
    AUTO(freep)
    char *there = xasprintf("http://127.0.0.2%s/" FULL("802", HASH_A), server_url(s) + 16);
    AUTO(fetch_found_clear) struct fetch_found f = {0};

    open_world(&w);
    strlist_add(&w.sources, server_url(s));
    pages[0].location = there;
    assert_null(fetch_find(&w.ctx, &w.scope, &f));
    server_stop(s);
    assert_int_equal(f.offers[0].reason, FETCH_ELSEWHERE);
    assert_string_equal(f.offers[0].why, "it redirects to another place");
}

/* One page for each fixed name, what is to be said, and what is left of the offer. */
static void why_not(void **state)
{
    static char large[100000];
    static const struct {
        struct page full, incr;
        const char *why;
        enum fetch_reason reason; /* FETCH_USABLE: the full one is good */
    } cases[] = {
        {{.status = 404}, {.status = 404}, "it has no snapshot", FETCH_NO_SNAPSHOT},
        {{.status = 500},
         {.status = 404},
         "it answers /snapshot.tar.bz2 with status 500",
         FETCH_STATUS},
        {{.body = "x", .body_n = 1},
         {.status = 404},
         "it answers /snapshot.tar.bz2 with status 200",
         FETCH_STATUS},
        {{.head_status = 405, .body = large, .body_n = sizeof(large)},
         {.status = 404},
         "larger than 65536 bytes",
         FETCH_NOT_HTTP},
        {{.status = 303, .location = "http://127.0.0.2/" FULL("1", HASH_A)},
         {.status = 404},
         "it redirects to another place",
         FETCH_ELSEWHERE},
        {{.status = 303, .location = "//127.0.0.1/" FULL("1", HASH_A)},
         {.status = 404},
         "it redirects to another place",
         FETCH_ELSEWHERE},
        {{.status = 303, .location = "/" FULL("1", "x")},
         {.status = 404},
         "it redirects to what is no snapshot",
         FETCH_BAD_NAME},
        {{.status = 303, .location = "/" INCR("1", "2", HASH_A)},
         {.status = 404},
         "it answers /snapshot.tar.bz2 with 'incremental-snapshot-1-2-",
         FETCH_BAD_NAME},
        {{.status = 303, .location = "/snapshot-1-" HASH_A ".tar.bz2"},
         {.status = 404},
         "is in a format that Agave 3.0 and later ignore",
         FETCH_FORMAT},
        {{.status = 303, .location = "/" FULL("7", HASH_A)},
         {.status = 404},
         "it names '" FULL("7", HASH_A) "' but answers it with status 404",
         FETCH_VANISHED},
        {{.status = 303, .location = "/" FULL("802", HASH_A)},
         {.status = 303, .location = "/" INCR("702", "999", HASH_A)},
         "its incremental builds on slot 702, its full one is 802",
         FETCH_USABLE},
        {{.status = 303, .location = "/" FULL("802", HASH_A)},
         {.status = 303, .location = "/" INCR("802", "999", HASH_A)},
         "it names '" INCR("802", "999", HASH_A) "' but answers it with status 404",
         FETCH_USABLE},
        {{.status = 303, .location = "/" FULL("802", HASH_A)},
         {.status = 500},
         "it answers /incremental-snapshot.tar.bz2 with status 500",
         FETCH_USABLE},
        {{.status = 404, .head_status = 501},
         {.status = 404},
         "it has no snapshot",
         FETCH_NO_SNAPSHOT},
        {{.status = 405}, {.status = 405}, "it has no snapshot", FETCH_NO_SNAPSHOT},
        {{.raw = "SSH-2.0-OpenSSH_9.2p1\r\n"}, {0}, "the answer is not HTTP", FETCH_NOT_HTTP},
        {{.raw = ""}, {0}, "the connection closed without an answer", FETCH_NO_ANSWER},
        {{.status = 303, .location = F_ALIAS}, {0}, "it redirects in a circle", FETCH_ELSEWHERE},
        {{.status = 303, .location = "/../" FULL("802", HASH_A)},
         {0},
         "it redirects to a path that leads upwards",
         FETCH_BAD_NAME},
        {{.status = 303, .location = "/%2e%2e/" FULL("802", HASH_A)},
         {0},
         "it redirects to a path that leads upwards",
         FETCH_BAD_NAME},
        {{.status = 303, .location = "file:///" FULL("802", HASH_A)},
         {0},
         "it redirects to another place",
         FETCH_ELSEWHERE},
        {{.status = 303, .location = ""}, {0}, "", FETCH_BAD_NAME},
        {{.status = 303, .location = "/empty/" FULL("802", HASH_A)},
         {.status = 303, .location = "/" INCR("802", "999", HASH_A)},
         "is empty",
         FETCH_BAD_SIZE},
        {{.status = 303, .location = "/endless/" FULL("802", HASH_A)},
         {.status = 404},
         "has 9223372036854775808 bytes, it says",
         FETCH_BAD_SIZE},
        {{.status = 303, .location = "/circle/" FULL("802", HASH_A)},
         {.status = 404},
         "redirects in a circle",
         FETCH_ELSEWHERE},
        {{.status = 303, .location = "/away/" FULL("802", HASH_A)},
         {.status = 404},
         "redirects to another place",
         FETCH_ELSEWHERE},
        {{.status = 303, .location = "/broken/" FULL("802", HASH_A)},
         {.status = 404},
         "it names '" FULL("802", HASH_A) "' but answers it with status 500",
         FETCH_STATUS},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct page pages[] = {
            cases[i].full,
            cases[i].incr,
            {.path = "/" FULL("802", HASH_A), .body = "12345", .body_n = 5},
            {.path = "/empty/" FULL("802", HASH_A)},
            {.path = "/endless/" FULL("802", HASH_A), .length = (size_t)1 << 63},
            {.path = "/circle/" FULL("802", HASH_A),
             .status = 302,
             .location = "/circle/" FULL("802", HASH_A)},
            {.path = "/away/" FULL("802", HASH_A), .status = 302, .location = "http://127.0.0.2/"},
            {.path = "/broken/" FULL("802", HASH_A), .status = 500},
            {0},
        };
        AUTO(fetch_found_clear) struct fetch_found f = {0};

        pages[0].path = F_ALIAS;
        pages[1].path = I_ALIAS;
        find_one(pages, &f);
        if (!f.offers[0].why || !strstr(f.offers[0].why, cases[i].why))
            fail_msg("%zu: wanted '%s', got '%s'", i, cases[i].why,
                     f.offers[0].why ? f.offers[0].why : "nothing");
        if (f.offers[0].reason != cases[i].reason)
            fail_msg("%zu: wanted %s, got %s", i, fetch_reason_name(cases[i].reason),
                     fetch_reason_name(f.offers[0].reason));
        assert_int_equal(f.offers[0].full.name != NULL, cases[i].reason == FETCH_USABLE);
        assert_null(f.offers[0].incr.name);
    }
}

/* It makes a new full archive between two questions: the older of the two answers is asked for once
 * more. */
static void the_full_one_changes_meanwhile(void **state)
{
    static const struct page new_full[] = {
        {.path = F_ALIAS,
         .status = 303,
         .location = "/" FULL("702", HASH_A),
         .next_location = "/" FULL("802", HASH_A)},
        {.path = I_ALIAS, .status = 303, .location = "/" INCR("802", "999", HASH_B)},
        {.path = "/" FULL("802", HASH_A), .body = "12345", .body_n = 5},
        {.path = "/" INCR("802", "999", HASH_B), .body = "123", .body_n = 3},
        {0},
    };
    static const struct page old_incr[] = {
        {.path = F_ALIAS, .status = 303, .location = "/" FULL("802", HASH_A)},
        {.path = I_ALIAS,
         .status = 303,
         .location = "/" INCR("702", "790", HASH_A),
         .next_location = "/" INCR("802", "999", HASH_B)},
        {.path = "/" FULL("802", HASH_A), .body = "12345", .body_n = 5},
        {.path = "/" INCR("802", "999", HASH_B), .body = "123", .body_n = 3},
        {0},
    };
    const struct page *const cases[] = {new_full, old_incr};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(fetch_found_clear) struct fetch_found f = {0};

        find_one(cases[i], &f);
        assert_int_equal(f.offers[0].reason, FETCH_USABLE);
        assert_null(f.offers[0].why);
        assert_string_equal(f.offers[0].full.name, FULL("802", HASH_A));
        assert_int_equal(f.offers[0].full.size_b, 5);
        assert_string_equal(f.offers[0].incr.name, INCR("802", "999", HASH_B));
        assert_int_equal(f.offers[0].incr.size_b, 3);
    }
}

/* Several nodes behind one name: the incremental stays, with its own base, for who has that one. */
static void an_incremental_of_another_full_one(void **state)
{
    static const struct page pages[] = {
        {.path = F_ALIAS, .status = 303, .location = "/" FULL("802", HASH_A)},
        {.path = I_ALIAS, .status = 303, .location = "/" INCR("702", "999", HASH_B)},
        {.path = "/" FULL("802", HASH_A), .body = "12345", .body_n = 5},
        {.path = "/" INCR("702", "999", HASH_B), .body = "123", .body_n = 3},
        {0},
    };
    AUTO(fetch_found_clear) struct fetch_found f = {0};

    find_one(pages, &f);
    assert_int_equal(f.offers[0].reason, FETCH_USABLE);
    assert_string_equal(f.offers[0].why, "its incremental builds on slot 702, its full one is 802");
    assert_int_equal(f.offers[0].full.slot, 802);
    assert_int_equal(f.offers[0].incr.base, 702);
    assert_int_equal(f.offers[0].incr.size_b, 3);
}

static void one_dead_source_changes_nothing(void **state)
{
    static const struct page pages[] = {
        {.path = F_ALIAS, .status = 303, .location = "/" FULL("802", HASH_A)},
        {.path = "/" FULL("802", HASH_A), .body = "12345", .body_n = 5},
        {0},
    };
    AUTO(world_clear) struct world w = {0};
    struct server *s = server_start(pages);
    AUTO(freep) char *nobody = nobodys_url();
    AUTO(fetch_found_clear) struct fetch_found f = {0};

    open_world(&w);
    strlist_add(&w.sources, nobody);
    strlist_add(&w.sources, server_url(s));
    strlist_add(&w.sources, "no url");
    strlist_add(&w.sources, nobody); /* once is enough */
    assert_null(fetch_find(&w.ctx, &w.scope, &f));
    assert_int_equal(f.n, 3);
    assert_non_null(strstr(f.offers[0].why, "connection refused"));
    assert_int_equal(f.offers[0].reason, FETCH_NO_ANSWER);
    assert_null(f.offers[1].why);
    assert_string_equal(f.offers[1].full.name, FULL("802", HASH_A));
    assert_non_null(f.offers[2].why);
    w.cancelled = 1;
    struct fetch_found none = {0};
    AUTO(err_freep) struct err *e = fetch_find(&w.ctx, &w.scope, &none);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_CANCELLED);
    server_stop(s);
}

static uint64_t now_ms(void)
{
    return clock_system.mono_ns() / 1000000;
}

/* Accepts connections in the kernel's queue and says nothing. */
static char *silent_url(int *ret_fd)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);

    *ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(*ret_fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(*ret_fd, 64), 0);
    assert_int_equal(getsockname(*ret_fd, (struct sockaddr *)&a, &n), 0);
    return xasprintf("http://127.0.0.1:%u", ntohs(a.sin_port));
}

/* By its own deadline, and by that of all; the good one is found in both cases. */
static void silence_ends(void **state)
{
    static const struct page pages[] = {
        {.path = F_ALIAS, .status = 303, .location = "/" FULL("802", HASH_A)},
        {.path = "/" FULL("802", HASH_A), .body = "12345", .body_n = 5},
        {0},
    };
    static const struct {
        uint32_t peer_ms, total_ms;
        const char *why;
    } cases[] = {{400, 60000, "no answer within 0.4 s"}, {60000, 400, "the time for all was over"}};
    struct server *s = server_start(pages);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(world_clear) struct world w = {0};
        AUTO(fetch_found_clear) struct fetch_found f = {0};
        AUTO(closep) int fd = -1;
        AUTO(freep) char *silent = silent_url(&fd);
        uint64_t begun = now_ms();

        open_world(&w);
        w.scope.peer_ms = cases[i].peer_ms;
        w.scope.total_ms = cases[i].total_ms;
        w.scope.max_sockets = 2;
        strlist_add(&w.sources, server_url(s));
        strlist_add(&w.sources, silent);
        assert_null(fetch_find(&w.ctx, &w.scope, &f));
        assert_in_range(now_ms() - begun, 350, 5000);
        assert_non_null(f.offers[0].full.name);
        assert_int_equal(f.offers[1].reason, FETCH_NO_ANSWER);
        assert_string_equal(f.offers[1].why, cases[i].why);
    }
    server_stop(s);
}

/* A progress callback that holds up the loop, as a busy host does: at its first, third, ... call,
 * so that a question gets out between two of them. */
struct hold {
    uint64_t ms;
    unsigned calls, most;
};

static void hold_up(void *arg, size_t done, size_t all, size_t with_snapshot)
{
    struct hold *h = arg;
    uint64_t until = now_ms() + h->ms;

    for (uint64_t now = now_ms(); h->calls < h->most && h->calls % 2 == 0 && now < until;
         now = now_ms())
        (void)poll(NULL, 0, (int)(until - now));
    h->calls++;
}

/* Its first answer does not come: asked again when this host was too busy to hear it, else not. */
static void silence_while_we_are_busy_is_no_answer(void **state)
{
    static const struct page pages[] = {
        {.path = F_ALIAS, .status = 303, .location = "/" FULL("802", HASH_A), .mute = 1},
        {.path = I_ALIAS, .status = 404},
        {.path = "/" FULL("802", HASH_A), .body = "12345", .body_n = 5},
        {0},
    };

    for (int busy = 0; busy < 2; busy++) {
        AUTO(world_clear) struct world w = {0};
        AUTO(fetch_found_clear) struct fetch_found f = {0};
        struct hold hold = {.ms = 1000, .most = busy ? 1 : 0};
        static const struct page others[] = {{.path = F_ALIAS, .status = 404}, {0}};
        struct server *s = server_start(pages), *other = server_start(others);

        open_world(&w);
        w.scope.peer_ms = busy ? 800 : PEER_MS;
        w.scope.progress = hold_up;
        w.scope.arg = &hold;
        strlist_add(&w.sources, server_url(s));
        strlist_add(&w.sources, server_url(other));
        assert_null(fetch_find(&w.ctx, &w.scope, &f));
        assert_int_equal(f.offers[0].reason, busy ? FETCH_USABLE : FETCH_NO_ANSWER);
        assert_int_equal(f.offers[1].reason, FETCH_NO_SNAPSHOT);
        if (busy)
            assert_int_equal(f.offers[0].full.slot, 802);
        server_stop(s);
        server_stop(other);
    }
}

/* Twice silent is silent, however busy we are. */
static void nobody_is_asked_a_third_time(void **state)
{
    static const struct page pages[] = {
        {.path = F_ALIAS, .status = 303, .location = "/" FULL("802", HASH_A), .mute = 2}, {0}};
    static const struct page others[] = {{.path = F_ALIAS, .status = 404}, {0}};
    AUTO(world_clear) struct world w = {0};
    AUTO(fetch_found_clear) struct fetch_found f = {0};
    struct server *s = server_start(pages), *other = server_start(others);
    struct hold hold = {.ms = 500, .most = UINT_MAX};

    open_world(&w);
    w.scope.peer_ms = 400;
    w.scope.progress = hold_up;
    w.scope.arg = &hold;
    strlist_add(&w.sources, server_url(s));
    strlist_add(&w.sources, server_url(other));
    assert_null(fetch_find(&w.ctx, &w.scope, &f));
    assert_int_equal(f.offers[0].reason, FETCH_NO_ANSWER);
    server_quiet(s);
    assert_string_equal(server_log(s), "HEAD " F_ALIAS "\nHEAD " F_ALIAS "\n");
    server_stop(s);
    server_stop(other);
}

/* References of a provider have a key in their path or query, and are asked for snapshots as well
 * when no sources are configured. */
static void keys_in_urls_are_not_told(void **state)
{
    AUTO(world_clear) struct world w = {0};
    struct fetch_found none;

    open_world(&w);
    strlist_add(&w.rpcs, "http://127.0.0.1:1/k3y");
    strlist_add(&w.sources, "http://127.0.0.1:1/?key=k3y");
    AUTO(err_freep) struct err *e = fetch_find(&w.ctx, &w.scope, &none);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_REMOTE);
    assert_null(strstr(e->text, "k3y"));
    assert_non_null(strstr(e->text, "; http://127.0.0.1:1/...: connection refused; "));
}

/* ---- the nodes of a cluster ----------------------------------------------------------------- */

#define ID_A        "4Nd1mBQtrMJVYVfKf2PJy9NZUZdTAsp7D4xWLs4gDB4T"
#define ID_B        "GupLekLKvChSdAVpYZvMdESWrG1UFBr7rgcGPq5exWnR"
#define ID_C        "5vz4jENNJdy3VU1fUMjz9qomfbEaExGFtyJtmcTtQDYq"
#define ID_D        "HF2ascaqTAT64TRpX9MpRaPgpvvQ8oq1rMyg65WhxiPW"
#define LIST(nodes) "{\"jsonrpc\":\"2.0\",\"result\":[" nodes "],\"id\":1}"
#define NODE(id, shred)                                                                            \
    "{\"pubkey\":\"" id "\",\"rpc\":\"%s\",\"version\":\"3.0.14\",\"shredVersion\":" shred "}"

static struct page posted(const char *list)
{
    return (struct page){.path = "/", .body = list, .body_n = strlen(list)};
}

static const struct fetch_offer *offer_at(const struct fetch_found *f, const char *url)
{
    for (size_t i = 0; i < f->n; i++)
        if (str_eq(f->offers[i].peer.url, url))
            return &f->offers[i];
    fail_msg("nobody at %s", url);
    return NULL;
}

/* Two RPC nodes: one lists itself, a good one, a dead one, one without RPC and one of another fork;
 * the other one cannot list. */
static void nodes_of_a_cluster(void **state)
{
    static const struct page file_pages[] = {
        {.path = F_ALIAS, .status = 303, .location = "/" FULL("802", HASH_A)},
        {.path = "/" FULL("802", HASH_A), .body = "12345", .body_n = 5},
        {0},
    };
    struct page list_pages[2] = {{.path = "/"}, {0}}, no_pages[2];
    const char *refusal =
        "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32601,\"message\":\"Method not "
        "found\"},\"id\":1}";
    struct server *good = server_start(file_pages), *fork = server_start(file_pages);
    struct server *lists = server_start(list_pages), *cannot;
    AUTO(freep) char *nobody = nobodys_url();
    AUTO(freep)
    char *list = xasprintf(
        LIST(NODE(ID_A, "7") "," NODE(ID_B, "7") "," NODE(ID_C, "8") "," NODE(
            ID_D, "7") ","
                       "{\"pubkey\":\"" HASH_A
                       "x\"},{\"pubkey\":\"11111111111111111111111111111112\",\"rpc\":null}"),
        server_url(lists) + 7, server_url(good) + 7, server_url(fork) + 7, nobody + 7);
    AUTO(fetch_found_clear) struct fetch_found f = {0};
    AUTO(world_clear) struct world w = {0};

    list_pages[0] = posted(list);
    no_pages[0] = posted(refusal);
    no_pages[1] = (struct page){0};
    cannot = server_start(no_pages);
    open_world(&w);
    strlist_add(&w.rpcs, server_url(cannot));
    strlist_addf(&w.rpcs, "%s/", server_url(lists));
    strlist_add(&w.known, ID_B);
    assert_null(fetch_find(&w.ctx, &w.scope, &f));
    assert_int_equal(f.n, 5);
    assert_int_equal(f.listed_by, 1);
    assert_int_equal(f.without_rpc, 1);
    assert_int_equal(f.errors.n, 1);
    assert_non_null(strstr(f.errors.items[0], "Method not found"));
    assert_ptr_equal(strstr(f.errors.items[0], server_url(cannot)), f.errors.items[0]);
    assert_string_equal(f.offers[0].peer.url, server_url(cannot)); /* the given ones first */
    assert_string_equal(f.offers[1].peer.url, server_url(lists));
    assert_string_equal(f.offers[1].peer.id, ID_A);
    assert_int_equal(f.offers[1].reason, FETCH_NO_SNAPSHOT);
    assert_true(f.offers[1].peer.given && !f.offers[1].peer.known);
    const struct fetch_offer *o = offer_at(&f, server_url(good));
    assert_int_equal(o->reason, FETCH_USABLE);
    assert_string_equal(o->peer.id, ID_B);
    assert_string_equal(o->peer.version, "3.0.14");
    assert_true(o->peer.shred_version.known && o->peer.shred_version.v == 7);
    assert_true(o->peer.known && !o->peer.given);
    o = offer_at(&f, server_url(fork));
    assert_int_equal(o->reason, FETCH_SHRED_VERSION);
    assert_string_equal(o->why, "its shred version is 8, the cluster's 7");
    assert_null(o->full.name);
    assert_int_equal(offer_at(&f, nobody)->reason, FETCH_NO_ANSWER);
    server_stop(good);
    server_stop(fork);
    server_stop(lists);
    server_stop(cannot);
}

static void only_those_that_were_given(void **state)
{
    struct page pages[2] = {{.path = "/"}, {0}};
    struct server *s = server_start(pages);
    AUTO(freep)
    char *list =
        xasprintf(LIST(NODE(ID_A, "7") "," NODE(ID_B, "7")), server_url(s) + 7, "127.0.0.1:1");
    AUTO(fetch_found_clear) struct fetch_found f = {0};
    AUTO(world_clear) struct world w = {0};

    pages[0] = posted(list);
    open_world(&w);
    w.scope.only_given = true;
    strlist_add(&w.rpcs, server_url(s));
    assert_null(fetch_find(&w.ctx, &w.scope, &f));
    assert_int_equal(f.n, 1);
    assert_string_equal(f.offers[0].peer.id, ID_A);
    server_stop(s);
}

/* An address that two ids claim, or an id with two addresses, proves nothing about who is there. */
static void who_is_known_must_be_undisputed(void **state)
{
    struct page pages[2] = {{.path = "/"}, {0}};
    struct server *s = server_start(pages);
    AUTO(freep)
    char *list =
        xasprintf(LIST(NODE(ID_A, "7") "," NODE(ID_B, "7") "," NODE(ID_C, "7") "," NODE(ID_C, "7")),
                  "127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3");
    AUTO(fetch_found_clear) struct fetch_found f = {0};
    AUTO(world_clear) struct world w = {0};

    pages[0] = posted(list);
    open_world(&w);
    strlist_add(&w.rpcs, server_url(s));
    strlist_add(&w.known, ID_A);
    strlist_add(&w.known, ID_B);
    strlist_add(&w.known, ID_C);
    assert_null(fetch_find(&w.ctx, &w.scope, &f));
    assert_int_equal(f.n, 4);
    for (size_t i = 0; i < f.n; i++)
        assert_false(f.offers[i].peer.known);
    server_stop(s);
}

#define SLOT(n)     "{\"jsonrpc\":\"2.0\",\"result\":" n ",\"id\":1}"
#define IDENTITY(i) "{\"jsonrpc\":\"2.0\",\"result\":{\"identity\":\"" i "\"},\"id\":1}"

static void see_all_done(void *arg, size_t done, size_t all, size_t with_snapshot)
{
    bool *seen = arg;

    *seen |= done == all;
}

/* Of those that tell one the lower middle one. Who is silent is waited for while the nodes are
 * asked, and not before. */
static void the_tip_is_asked_beside_the_nodes(void **state)
{
    const struct page low[] = {posted(SLOT("1000")), {0}}, high[] = {posted(SLOT("5000")), {0}};
    const struct page mid[] = {posted(SLOT("2000")), {0}};
    struct server *servers[] = {server_start(low), server_start(high), server_start(mid)};
    AUTO(fetch_found_clear) struct fetch_found f = {0};
    AUTO(strlist_clear) struct strlist from = {0};
    AUTO(world_clear) struct world w = {0};
    AUTO(closep) int fd = -1;
    AUTO(freep) char *silent = silent_url(&fd);
    bool done_while_waiting = false;

    open_world(&w);
    w.scope.tip_from = &from;
    w.scope.progress = see_all_done;
    w.scope.arg = &done_while_waiting;
    for (size_t i = 0; i < ARRAY_LEN(servers); i++)
        strlist_add(&from, server_url(servers[i]));
    strlist_add(&from, silent);
    strlist_add(&w.sources, server_url(servers[0]));
    assert_null(fetch_find(&w.ctx, &w.scope, &f));
    assert_true(f.tip.known && f.tip.v == 2000);
    assert_true(done_while_waiting);
    for (size_t i = 0; i < ARRAY_LEN(servers); i++)
        server_stop(servers[i]);
}

/* A list has its address, the operator its name: one node, with what the list says of it. */
static void a_name_and_its_address_are_one(void **state)
{
    static const struct page file_pages[] = {
        {.path = F_ALIAS, .status = 303, .location = "/" FULL("802", HASH_A)},
        {.path = "/" FULL("802", HASH_A), .body = "12345", .body_n = 5},
        {0},
    };
    struct page list_pages[2] = {{.path = "/"}, {0}};
    struct server *lists = server_start(list_pages), *node = server_start(file_pages);
    AUTO(freep)
    char *list = xasprintf(LIST(NODE(ID_A, "7") "," NODE(ID_B, "7")), server_url(lists) + 7,
                           server_url(node) + 7);
    AUTO(freep) char *named = xasprintf("http://localhost:%s", strrchr(server_url(node), ':') + 1);
    AUTO(fetch_found_clear) struct fetch_found f = {0};
    AUTO(world_clear) struct world w = {0};

    list_pages[0] = posted(list);
    open_world(&w);
    strlist_add(&w.rpcs, server_url(lists));
    strlist_add(&w.sources, named);
    strlist_add(&w.known, ID_B);
    assert_null(fetch_find(&w.ctx, &w.scope, &f));
    assert_int_equal(f.n, 2);
    assert_string_equal(f.offers[1].peer.url, named);
    assert_string_equal(f.offers[1].peer.address, server_url(node) + 7);
    assert_string_equal(f.offers[1].peer.id, ID_B);
    assert_true(f.offers[1].peer.given && f.offers[1].peer.known && !f.offers[1].peer.rpc);
    assert_true(f.offers[0].peer.rpc);
    server_stop(lists);
    server_stop(node);
}

/* Behind a name is another port, or another host in front of it: it is the one that it says it is,
 * for counting, and known for nothing. */
static void a_name_says_who_it_is(void **state)
{
    struct page list_pages[2] = {{.path = "/"}, {0}};
    const struct page front_pages[] = {
        {.path = F_ALIAS, .status = 303, .location = "/" FULL("802", HASH_A)},
        {.path = "/" FULL("802", HASH_A), .body = "12345", .body_n = 5},
        posted(IDENTITY(ID_B)),
        {0},
    };
    struct server *lists = server_start(list_pages), *front = server_start(front_pages);
    AUTO(freep) char *nobody = nobodys_url();
    AUTO(freep)
    char *list =
        xasprintf(LIST(NODE(ID_A, "7") "," NODE(ID_B, "7")), server_url(lists) + 7, nobody + 7);
    AUTO(freep) char *named = xasprintf("http://localhost:%s", strrchr(server_url(front), ':') + 1);
    AUTO(fetch_found_clear) struct fetch_found f = {0};
    AUTO(world_clear) struct world w = {0};

    list_pages[0] = posted(list);
    open_world(&w);
    strlist_add(&w.rpcs, server_url(lists));
    strlist_add(&w.sources, named);
    strlist_add(&w.known, ID_B);
    assert_null(fetch_find(&w.ctx, &w.scope, &f));
    assert_int_equal(f.n, 3);
    assert_string_equal(f.offers[1].peer.url, named);
    assert_string_equal(f.offers[1].peer.id, ID_B);
    assert_false(f.offers[1].peer.known);
    assert_true(offer_at(&f, nobody)->peer.known);
    server_stop(lists);
    server_stop(front);
}

static void every_reason_has_a_name(void **state)
{
    for (int i = 0; i < FETCH_REASONS_N; i++)
        assert_true(strlen(fetch_reason_name((enum fetch_reason)i)) > 1);
}

static void redirects_within_one_place(void **state)
{
    static const struct {
        const char *asked, *location, *to;
    } cases[] = {
        {"http://h:1/a", "/b", "http://h:1/b"},
        {"http://h:1/a/b", "c", "http://h:1/a/c"},
        {"http://h:1", "c", "http://h:1/c"},
        {"http://h:1/a/b?x=/y", "c", "http://h:1/a/c"},
        {"http://h:1/a", "http://h:1/b", "http://h:1/b"},
        {"http://h:1/a", "http://h:1", NULL},
        {"http://h:1/a", "http://h:12/b", NULL},
        {"http://h:1/a", "http://h:1@evil/b", NULL},
        {"http://h:1/a", "http://h:1\\@evil/b", NULL},
        {"http://h:1/a", "https://h:1/b", NULL},
        {"http://h:1/a", "//h:1/b", NULL},
        {"http://h:1/a", "file:///b", NULL},
        {"http://h:1/a", "/b c", NULL},
        {"http://h:1/a", "/b\r\nX: y", NULL},
        {"http://h:1/a", "/\xc3\xa4", NULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(freep) char *to = fetch_redirect(cases[i].asked, cases[i].location);

        if (!str_eq(to, cases[i].to))
            fail_msg("%zu: %s", i, to ? to : "NULL");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_agave_node),
        cmocka_unit_test(a_server_with_ranges),
        cmocka_unit_test(a_file_that_redirects),
        cmocka_unit_test(a_full_one_only),
        cmocka_unit_test(a_server_without_head),
        cmocka_unit_test(a_redirect_to_another_host),
        cmocka_unit_test(why_not),
        cmocka_unit_test(the_full_one_changes_meanwhile),
        cmocka_unit_test(an_incremental_of_another_full_one),
        cmocka_unit_test(one_dead_source_changes_nothing),
        cmocka_unit_test(silence_ends),
        cmocka_unit_test(silence_while_we_are_busy_is_no_answer),
        cmocka_unit_test(nobody_is_asked_a_third_time),
        cmocka_unit_test(keys_in_urls_are_not_told),
        cmocka_unit_test(nodes_of_a_cluster),
        cmocka_unit_test(only_those_that_were_given),
        cmocka_unit_test(who_is_known_must_be_undisputed),
        cmocka_unit_test(the_tip_is_asked_beside_the_nodes),
        cmocka_unit_test(a_name_and_its_address_are_one),
        cmocka_unit_test(a_name_says_who_it_is),
        cmocka_unit_test(every_reason_has_a_name),
        cmocka_unit_test(redirects_within_one_place),
    };

    return cmocka_run_group_tests_name("fetch_find", tests, NULL, NULL);
}
