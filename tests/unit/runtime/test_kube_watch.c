/* runtime/kube_watch over a server that breaks off, forgets and lies. What it says next is a
 * script: each connection is one step. */
#include "runtime/kube_watch.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/str.h"
#include "io/clock.h"
#include "io/http.h"

/* ---- the server ------------------------------------------------------------------------------ */

enum then { CLOSE, CUT, STALL };
struct step {
    const char *asks; /* what its first line begins with */
    int status;
    const char *body;
    enum then then; /* in order; in the middle of a chunk; not at all until the client goes */
};
static struct {
    int fd, port;
    pthread_t thread;
    const struct step *steps;
    size_t at;
    char wrong[512]; /* the first request that nobody expected */
} server;

static void send_text(int fd, const char *text)
{
    for (size_t n = strlen(text); n;) {
        ssize_t done = send(fd, text, n, MSG_NOSIGNAL);

        if (done <= 0)
            return;
        text += done;
        n -= (size_t)done;
    }
}

static void serve(int fd)
{
    const struct step *s = &server.steps[server.at];
    char request[4096] = "", head[256], size[32], c;
    size_t n = 0;

    while (!strstr(request, "\r\n\r\n") && n < sizeof(request) - 1) {
        ssize_t got = recv(fd, request + n, sizeof(request) - 1 - n, 0);

        if (got <= 0)
            return;
        n += (size_t)got;
        request[n] = 0;
    }
    if (!s->asks || strncmp(request, s->asks, strlen(s->asks)) != 0) {
        if (!*server.wrong)
            snprintf(server.wrong, sizeof(server.wrong), "step %zu: %.*s", server.at,
                     (int)strcspn(request, "\r"), request);
        return;
    }
    server.at++;
    snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\n\r\n", s->status);
    send_text(fd, head);
    snprintf(size, sizeof(size), "%zx\r\n", strlen(s->body));
    if (*s->body) {
        send_text(fd, size);
        send_text(fd, s->body);
        send_text(fd, "\r\n");
    }
    if (s->then == CUT)
        send_text(fd, "40\r\n{\"type");
    if (s->then == CLOSE)
        send_text(fd, "0\r\n\r\n");
    shutdown(fd, SHUT_WR);
    while (s->then == STALL && recv(fd, &c, 1, 0) > 0)
        ;
}

static void *run(void *arg)
{
    int fd;

    while ((fd = accept(server.fd, NULL, NULL)) >= 0) {
        serve(fd);
        close(fd);
    }
    return NULL;
}

static struct kube_access access_;
static const struct kube kube = {.access = &access_, .timeout_ms = 2000};
static struct ctx ctx = {.http = &http_curl, .clock = &clock_system};

static int setup(void **state)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(sin);

    server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server.fd, (struct sockaddr *)&sin, n), 0);
    assert_int_equal(listen(server.fd, 8), 0);
    assert_int_equal(getsockname(server.fd, (struct sockaddr *)&sin, &n), 0);
    server.at = 0;
    *server.wrong = 0;
    access_ = (struct kube_access){
        .path = xstrdup("config"),
        .user = xstrdup("me"),
        .server = xasprintf("http://127.0.0.1:%d", ntohs(sin.sin_port)),
    };
    return 0;
}

static void play(const struct step *steps)
{
    server.steps = steps;
    assert_int_equal(pthread_create(&server.thread, NULL, run, NULL), 0);
}

static int teardown(void **state)
{
    shutdown(server.fd, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    close(server.fd);
    kube_access_clear(&access_);
    return 0;
}

/* ---- what is told ---------------------------------------------------------------------------- */

struct told {
    struct strbuf text;
    const char *last; /* ends when that is the newest */
    bool away;
    struct err *fails; /* what seen answers */
};

static struct err *on_seen(void *arg, enum kube_seen what, const struct json *object,
                           bool *ret_stop)
{
    struct told *t = arg;
    const char *name, *version;

    assert_null(json_as_str(json_get(json_get(object, "metadata"), "name"), &name));
    assert_null(json_as_str(json_get(json_get(object, "metadata"), "resourceVersion"), &version));
    strbuf_printf(&t->text, "%c%s%s ", *kube_seen_name(what), name, version);
    *ret_stop = t->last && strstr(strbuf_text(&t->text), t->last);
    return TAKE(t->fails);
}

static struct err *on_listed(void *arg, bool *ret_stop)
{
    struct told *t = arg;

    strbuf_puts(&t->text, "| ");
    *ret_stop = t->last && str_eq(t->last, "|");
    return NULL;
}

static struct err *on_tick(void *arg, const struct err *why, uint64_t away_ms, bool *ret_stop)
{
    struct told *t = arg;

    t->away |= why != NULL;
    return NULL;
}

static struct err *follow(struct told *t, uint32_t within_ms)
{
    const struct kube_watch w = {
        .kind = KUBE_POD,
        .name_space = "ns",
        .selector = "a=b",
        .within_ms = within_ms,
        .seen = on_seen,
        .listed = on_listed,
        .tick = on_tick,
        .arg = t,
    };
    struct err *e = kube_watch(&ctx, &kube, &w);

    if (*server.wrong)
        fail_msg("%s", server.wrong);
    return e;
}

static void assert_told(struct told *t, const char *want)
{
    assert_string_equal(strbuf_text(&t->text), want);
    strbuf_clear(&t->text);
}

#define READY "GET /readyz HTTP"
#define LIST  "GET /api/v1/namespaces/ns/pods?&labelSelector=a%3Db HTTP"
#define STREAM                                                                                     \
    "GET /api/v1/namespaces/ns/pods?&labelSelector=a%3Db&watch=true&allowWatchBookmarks=true"      \
    "&timeoutSeconds=10&resourceVersion="
#define POD(name, version)                                                                         \
    "{\"metadata\":{\"name\":\"" name "\",\"uid\":\"u-" name "\",\"resourceVersion\":\"" version   \
    "\"}}"
#define PODS(version, items)                                                                       \
    "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"" version "\"},\"items\":[" items   \
    "]}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define BOOKMARK(version)   EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"" version "\"}}")
#define GONE                                                                                       \
    EVENT("ERROR", "{\"kind\":\"Status\",\"code\":410,\"message\":\"too old resource version\"}")

static void a_watch_begins_with_what_is_there(void **state)
{
    const struct step steps[] = {
        {LIST, 200, PODS("10", POD("x", "3") "," POD("y", "4"))},
        {STREAM "10 ", 200, EVENT("MODIFIED", POD("x", "11")) EVENT("ADDED", POD("z", "12"))},
        {STREAM "12 ", 200, EVENT("DELETED", POD("y", "13"))},
        {NULL},
    };
    struct told t = {.last = "Dy13"};

    play(steps);
    assert_null(follow(&t, 20000));
    assert_told(&t, "Ax3 Ay4 | Mx11 Az12 Dy13 ");
}

static void a_broken_connection_is_taken_up_where_it_broke(void **state)
{
    const struct step steps[] = {
        {LIST, 200, PODS("10", "")},
        {STREAM "10 ", 200, EVENT("ADDED", POD("x", "11")) BOOKMARK("20"), CUT},
        {STREAM "20 ", 503, "not now"},
        {STREAM "20 ", 200, EVENT("DELETED", POD("x", "21")), STALL},
        {NULL},
    };
    struct told t = {.last = "D"};

    play(steps);
    assert_null(follow(&t, 20000));
    assert_told(&t, "| Ax11 Dx21 ");
}

static void a_lost_history_is_made_up_for_by_a_list(void **state)
{
    const struct step steps[] = {
        {LIST, 200, PODS("10", POD("x", "3") "," POD("y", "4") "," POD("z", "5"))},
        {STREAM "10 ", 200, GONE},
        /* y has gone unseen, z has changed, v is new */
        {LIST, 200, PODS("30", POD("x", "3") "," POD("z", "25") "," POD("v", "26"))},
        {STREAM "30 ", 410, "{\"kind\":\"Status\",\"code\":410}"},
        {LIST, 200, PODS("40", POD("x", "3") "," POD("z", "25"))},
        /* the store was put back */
        {STREAM "40 ", 504, "{\"kind\":\"Status\",\"message\":\"Too large resource version\"}"},
        {LIST, 200, PODS("7", POD("z", "5"))},
        {NULL},
    };
    struct told t = {.last = "Dx"};

    play(steps);
    assert_null(follow(&t, 20000));
    assert_told(&t, "Ax3 Ay4 Az5 | Mz25 Av26 Dy4 Dv26 Mz5 Dx3 ");
}

static void nonsense_is_not_the_end(void **state)
{
    const struct step steps[] = {
        {LIST, 200, PODS("10", "")},
        {STREAM "10 ", 200, EVENT("ADDED", POD("x", "11")) "{\"type\":\"TEAPOT\"}\n"},
        {STREAM "11 ", 200, EVENT("ADDED", POD("y", "12"))},
        {NULL},
    };
    struct told t = {.last = "Ay"};

    play(steps);
    assert_null(follow(&t, 20000));
    assert_told(&t, "| Ax11 Ay12 ");
}

static void a_server_that_is_away_is_waited_for(void **state)
{
    const struct step steps[] = {{NULL}};
    AUTO(freep) char *nobody = xstrdup("http://127.0.0.1:1");
    struct told t = {0};
    char *real = access_.server;

    play(steps);
    access_.server = nobody;
    AUTO(err_freep) struct err *e = follow(&t, 1200);
    access_.server = real;
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_TIMEOUT);
    assert_non_null(strstr(e->text, "it does not answer"));
    assert_true(t.away);
    assert_told(&t, "");
}

static void who_may_not_watch_is_told(void **state)
{
    const struct step steps[] = {
        {LIST, 200, PODS("10", "")},
        {STREAM "10 ", 403, "{\"kind\":\"Status\",\"message\":\"cannot watch\"}"},
        {LIST, 200, PODS("10", "")},
        {STREAM "10 ", 403, "{\"kind\":\"Status\",\"message\":\"cannot watch\"}"},
        {NULL},
    };
    struct told t = {0};

    play(steps);
    AUTO(err_freep) struct err *e = follow(&t, 20000);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_REFUSED);
    assert_non_null(strstr(e->text, "HTTP 403: cannot watch"));
    assert_told(&t, "| ");
}

static void a_server_that_has_just_started_refuses_everybody(void **state)
{
    const struct step steps[] = {
        {LIST, 200, PODS("10", "")},
        {STREAM "10 ", 200, EVENT("ADDED", POD("x", "11")), CUT},
        {STREAM "11 ", 403, "{}"},
        {LIST, 403, "{}"},
        {READY, 500, "[-]informer-sync failed"},
        {LIST, 403, "{}"},
        {READY, 200, "ok"}, /* in between */
        {LIST, 200, PODS("20", POD("x", "11") "," POD("y", "12"))},
        {NULL},
    };
    struct told t = {.last = "Ay"};

    play(steps);
    assert_null(follow(&t, 20000));
    assert_told(&t, "| Ax11 Ay12 ");
}

static void the_caller_s_own_failure_is_returned(void **state)
{
    const struct step steps[] = {{LIST, 200, PODS("10", POD("x", "3"))}, {NULL}};
    struct told t = {.fails = err_new(ERR_TIMEOUT, "mine")};

    play(steps);
    AUTO(err_freep) struct err *e = follow(&t, 20000);
    assert_non_null(e);
    assert_string_equal(e->text, "mine");
    assert_told(&t, "Ax3 ");
}

/* ---- the end of one -------------------------------------------------------------------------- */

#define ONE       "/api/v1/namespaces/ns/pods?fieldSelector=metadata.name%3Dx"
#define ONE_LIST  "GET " ONE " HTTP"
#define ONE_WATCH "GET " ONE "&watch=true"

static struct err *gone(void)
{
    const struct kube_meta x = {.name = (char *)(uintptr_t) "x",
                                .name_space = (char *)(uintptr_t) "ns",
                                .uid = (char *)(uintptr_t) "u-x"};
    struct err *e = kube_wait_gone(&ctx, &kube, KUBE_POD, &x, 20000, NULL, NULL);

    if (*server.wrong)
        fail_msg("%s", server.wrong);
    return e;
}

static void the_end_of_a_pod_is_seen(void **state)
{
    const struct step steps[] = {
        {ONE_LIST, 200, PODS("10", POD("x", "3"))},
        {ONE_WATCH, 200, EVENT("MODIFIED", POD("x", "11")), CUT},
        {ONE_WATCH, 200, EVENT("DELETED", POD("x", "12")), STALL},
        {NULL},
    };

    play(steps);
    assert_null(gone());
    assert_int_equal(server.at, 3);
}

static void another_pod_of_that_name_is_not_it(void **state)
{
    const struct step steps[] = {
        {ONE_LIST, 200,
         PODS("10", "{\"metadata\":{\"name\":\"x\",\"uid\":\"other\",\"resourceVersion\":\"3\"}}")},
        {NULL},
    };

    play(steps);
    assert_null(gone());
    assert_int_equal(server.at, 1);
}

static void without_the_right_to_watch_it_is_looked_at(void **state)
{
    const struct step steps[] = {
        {ONE_LIST, 403, "{\"message\":\"cannot list\"}"},
        {READY, 200, "ok"},
        {ONE_LIST, 403, "{\"message\":\"cannot list\"}"},
        {"GET /api/v1/namespaces/ns/pods/x HTTP", 200, POD("x", "3")},
        {"GET /api/v1/namespaces/ns/pods/x HTTP", 500, "oops"},
        {"GET /api/v1/namespaces/ns/pods/x HTTP", 404, "{}"},
        {NULL},
    };

    play(steps);
    assert_null(gone());
    assert_int_equal(server.at, 6);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static struct err *count_line(void *arg, const char *text, size_t n)
{
    struct strbuf *all = arg;

    assert_int_equal(strlen(text), n);
    strbuf_printf(all, "[%s]", text);
    return NULL;
}

static void lines_come_whole_however_they_are_cut(void **state)
{
    static const char text[] = "one\n\ntwo\nthree";

    for (size_t piece = 1; piece < sizeof(text); piece++) {
        AUTO(strbuf_clear) struct strbuf buf = {0};
        AUTO(strbuf_clear) struct strbuf all = {0};

        for (size_t at = 0; at < sizeof(text) - 1; at += piece) {
            size_t left = sizeof(text) - 1 - at;

            assert_null(
                kube_lines_feed(&buf, text + at, left < piece ? left : piece, count_line, &all));
        }
        assert_string_equal(all.data, "[one][two]");
        assert_int_equal(buf.len, 5);
    }
}

static void a_line_has_a_longest(void **state)
{
    AUTO(strbuf_clear) struct strbuf buf = {0};
    AUTO(freep) char *big = xcalloc(1, KUBE_LINE_MAX_B);

    memset(big, 'x', KUBE_LINE_MAX_B);
    assert_null(kube_lines_feed(&buf, big, KUBE_LINE_MAX_B, count_line, NULL));
    AUTO(err_freep) struct err *e = kube_lines_feed(&buf, "y", 1, count_line, NULL);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_REMOTE);
}

static void what_is_no_event(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "{\"type\":\"ADDED\"}",
        "{\"type\":\"ADDED\",\"object\":{}}",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"uid\":\"u\"}}}",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"1\"}}}",
        "{\"type\":\"added\",\"object\":{\"metadata\":{\"uid\":\"u\",\"resourceVersion\":\"1\"}}}",
        "{\"type\":7,\"object\":{\"metadata\":{\"uid\":\"u\",\"resourceVersion\":\"1\"}}}",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"uid\":7,\"resourceVersion\":\"1\"}}}",
        "{\"type\":\"ERROR\",\"object\":{\"code\":\"x\"}}",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct kube_watch_event v = {0};
        AUTO(err_freep) struct err *e = kube_watch_event_parse(bad[i], strlen(bad[i]), &v);

        if (!e)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(e->kind, ERR_REMOTE);
        assert_null(v.object);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_watch_begins_with_what_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown(a_broken_connection_is_taken_up_where_it_broke, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_lost_history_is_made_up_for_by_a_list, setup, teardown),
        cmocka_unit_test_setup_teardown(nonsense_is_not_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(a_server_that_is_away_is_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(who_may_not_watch_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_server_that_has_just_started_refuses_everybody, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_caller_s_own_failure_is_returned, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_of_a_pod_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(another_pod_of_that_name_is_not_it, setup, teardown),
        cmocka_unit_test_setup_teardown(without_the_right_to_watch_it_is_looked_at, setup,
                                        teardown),
        cmocka_unit_test(lines_come_whole_however_they_are_cut),
        cmocka_unit_test(a_line_has_a_longest),
        cmocka_unit_test(what_is_no_event),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
