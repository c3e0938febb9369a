/* io/http against a server on the loopback that does what bad servers do. */
#include "io/http.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/str.h"
#include "http_server.h"
#include "io/clock.h"
#include "io/proc.h"

/* How much later than its deadline something may end on a busy machine. */
#define SLACK_MS 8000

static const struct ctx plain = {.http = &http_curl, .clock = &clock_system};

static int setup(void **state)
{
    *state = server_start();
    return 0;
}

static int teardown(void **state)
{
    server_stop(*state);
    return 0;
}

static uint64_t now_ms(void)
{
    return clock_system.mono_ns() / 1000000;
}

static char *url_of(const struct server *s, const char *path)
{
    return xasprintf("http://127.0.0.1:%d%s", s->port, path);
}

/* One GET with everything else at its default. */
static struct err *get(const struct server *s, const char *path, struct http_response *ret)
{
    AUTO(freep) char *url = url_of(s, path);
    struct http_request req = {.method = "GET", .url = url, .timeout_ms = 10000};
    struct ctx ctx = plain;

    return http_one(&ctx, &req, ret);
}

static void assert_err(const struct err *e, enum err_kind kind, const char *part)
{
    assert_non_null(e);
    if (e->kind != kind || !strstr(e->text, part))
        fail_msg("want %s '%s', got %s '%s'", err_kind_name(kind), part, err_kind_name(e->kind),
                 e->text);
}

static void answers(void **state)
{
    static const struct {
        const char *path;
        int status;
        const char *body;
        uint64_t length_b;
    } cases[] = {
        {"/html", 200, "<html>no</html>", 15},
        {"/500", 500, "boom", 4},
        {"/none", 204, "", UINT64_MAX},
        {"/zero", 200, "", 0},
        {"/less", 200, "01234", 5},
        {"/until-close", 200, "all of it", UINT64_MAX},
        {"/chunked", 200, "hello world", UINT64_MAX},
        {"/early-hint", 200, "ok", 2},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(http_response_clear) struct http_response r = {0};
        AUTO(freep) char *url = url_of(*state, cases[i].path);

        assert_null(get(*state, cases[i].path, &r));
        assert_int_equal(r.status, cases[i].status);
        assert_string_equal(r.body, cases[i].body);
        assert_int_equal(r.body_n, strlen(cases[i].body));
        assert_true(r.length_b == cases[i].length_b);
        assert_string_equal(r.url, url);
        assert_null(r.location);
    }
}

static void broken_answers_are_errors(void **state)
{
    static const struct {
        const char *path, *part;
    } cases[] = {
        {"/empty", "/empty: the connection closed without an answer"},
        {"/early", "/early: the connection closed after 10 of 100 bytes"},
        {"/length", "/length: "},
        {"/chunk-cut", "/chunk-cut: the connection closed in the middle of the answer"},
        {"/chunk-bad", "/chunk-bad: "},
        {"/ssh", "/ssh: the answer is not HTTP"},
        {"/giant", "/giant: the answer is larger than 16777216 bytes"},
        {"/huge-length", "/huge-length: the answer is larger than 16777216 bytes"},
        {"/headers", "/headers: more than 262144 bytes of headers"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_response r = {0};
        AUTO(err_freep) struct err *e = get(*state, cases[i].path, &r);

        assert_err(e, ERR_REMOTE, cases[i].part);
        assert_null(r.body); /* written on success only */
    }
}

static void urls_that_cannot_be_asked(void **state)
{
    static const char *const bad[] = {"",         "ftp://127.0.0.1/", "file:///etc/passwd",
                                      "host",     "http://",          "http://a b/",
                                      "http://:", "http://x:99999/",  "gopher://127.0.0.1/"};
    struct ctx ctx = plain;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct http_request req = {.method = "GET", .url = bad[i], .timeout_ms = 2000};
        struct http_response r;
        AUTO(err_freep) struct err *e = http_one(&ctx, &req, &r);

        assert_err(e, ERR_BADINPUT, "");
    }
    struct http_request req = {.method = "GET", .url = "http://me:s3cret@127.0.0.1/"};
    struct http_response r;
    AUTO(err_freep) struct err *e = http_one(&ctx, &req, &r);
    assert_err(e, ERR_BADINPUT, "password");
    assert_null(strstr(e->text, "s3cret"));
}

static void refused_is_told_without_the_query(void **state)
{
    struct http_request req = {.method = "GET", .url = "http://127.0.0.1:1/?api-key=s3cret"};
    struct ctx ctx = plain;
    struct http_response r;
    AUTO(err_freep) struct err *e = http_one(&ctx, &req, &r);

    assert_err(e, ERR_REMOTE, "");
    assert_string_equal(e->text, "http://127.0.0.1:1/: connection refused");
}

static void tls_where_there_is_none_is_a_remote_error(void **state)
{
    AUTO(freep) char *plain_url = url_of(*state, "/html");
    AUTO(freep) char *url = xasprintf("https%s", plain_url + 4);
    struct http_request req = {.method = "GET", .url = url, .timeout_ms = 1000};
    struct ctx ctx = plain;
    struct http_response r;
    AUTO(err_freep) struct err *e = http_one(&ctx, &req, &r);

    assert_non_null(e);
    assert_true(e->kind == ERR_REMOTE || e->kind == ERR_TIMEOUT);
}

/* Waits for "ACCEPT 127.0.0.1:N" in the log of openssl s_server; 0: it did not come. */
static int tls_port(const char *log)
{
    uint64_t until = now_ms() + 10000;
    char line[128];
    int port = 0;

    while (port == 0 && now_ms() < until) {
        AUTO(fclosep) FILE *f = fopen(log, "r");

        while (f && port == 0 && fgets(line, sizeof(line), f))
            if (sscanf(line, "ACCEPT 127.0.0.1:%d", &port) != 1)
                port = 0;
        if (port == 0)
            clock_system.wait(20000000, NULL);
    }
    return port;
}

/* A certificate that nobody has signed: what anyone in the middle can make. */
static void a_certificate_is_verified(void **state)
{
    char dir[] = "/tmp/agavectl-test-tls-XXXXXX";
    struct ctx ctx = {.http = &http_curl, .clock = &clock_system, .proc = &proc_system};
    AUTO(freep) char *openssl = NULL;
    AUTO(err_freep) struct err *absent = proc_find(&ctx, "openssl", &openssl);
    struct http_response r;
    pid_t pid = 0;
    int port;

    if (absent) {
        puts("# not real: tls: no openssl program to make a certificate with");
        return;
    }
    assert_non_null(mkdtemp(dir));
    AUTO(freep) char *key = xasprintf("%s/key", dir);
    AUTO(freep) char *cert = xasprintf("%s/cert", dir);
    AUTO(freep) char *log = xasprintf("%s/log", dir);
    const char *const make[] = {
        openssl,   "req",   "-x509",         "-newkey", "rsa:2048",
        "-nodes",  "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
        "-keyout", key,     "-out",          cert,      NULL};
    const char *const serve[] = {openssl, "s_server", "-accept", "127.0.0.1:0", "-www",
                                 "-cert", cert,       "-key",    key,           NULL};
    const struct proc_daemon_spec spec = {
        .path = openssl, .argv = serve, .log = log, .uid = UINT32_MAX, .gid = UINT32_MAX};
    assert_null(proc_run(&ctx, make, 30, NULL));
    assert_null(proc_spawn_daemon(&spec, &pid));
    port = tls_port(log);
    AUTO(freep) char *url = xasprintf("https://127.0.0.1:%d/", port);
    const struct http_request req = {.method = "GET", .url = url, .timeout_ms = 10000};
    AUTO(err_freep) struct err *e = http_one(&ctx, &req, &r);
    kill(pid, SIGKILL);
    unlink(key);
    unlink(cert);
    unlink(log);
    rmdir(dir);
    assert_true(port > 0);
    assert_err(e, ERR_REMOTE, "certificate");
}

static void time_outs_hold(void **state)
{
    static const char *const paths[] = {"/stall", "/slow-body"};

    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        AUTO(freep) char *url = url_of(*state, paths[i]);
        struct http_request req = {.method = "GET", .url = url, .timeout_ms = 300};
        uint64_t begun = now_ms();
        struct ctx ctx = plain;
        struct http_response r;
        AUTO(err_freep) struct err *e = http_one(&ctx, &req, &r);

        assert_err(e, ERR_TIMEOUT, ": not done within 0.3 s");
        assert_in_range(now_ms() - begun, 295, 300 + SLACK_MS);
    }
}

static void on_alarm(int sig)
{
}

/* A changed terminal window, a finished child: no reason to end a transfer. */
static void signals_do_not_disturb(void **state)
{
    const struct itimerval every = {.it_interval.tv_usec = 5000, .it_value.tv_usec = 5000};
    const struct itimerval never = {.it_value.tv_usec = 0};
    const struct sigaction act = {.sa_handler = on_alarm}; /* no SA_RESTART */
    AUTO(freep) char *url = url_of(*state, "/slow-body");
    struct http_request req = {.method = "GET", .url = url, .timeout_ms = 300};
    struct ctx ctx = plain;
    struct http_response r;

    sigaction(SIGALRM, &act, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
    AUTO(err_freep) struct err *e = http_one(&ctx, &req, &r);
    setitimer(ITIMER_REAL, &never, NULL);
    assert_err(e, ERR_TIMEOUT, ": not done within 0.3 s");
}

static void connecting_has_a_time_out_of_its_own(void **state)
{
    int fds[3];
    AUTO(freep) char *url = xasprintf("http://127.0.0.1:%d/", dead_port(fds));
    struct http_request req = {.method = "GET", .url = url, .timeout_ms = 20000, .connect_ms = 300};
    uint64_t begun = now_ms();
    struct ctx ctx = plain;
    struct http_response r;
    AUTO(err_freep) struct err *e = http_one(&ctx, &req, &r);

    assert_err(e, ERR_TIMEOUT, "/: no connection within 0.3 s");
    assert_in_range(now_ms() - begun, 295, 300 + SLACK_MS);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
}

static void a_stream_that_is_too_slow_ends(void **state)
{
    AUTO(freep) char *url = url_of(*state, "/slow-body");
    struct http_request req = {.method = "GET", .url = url, .min_rate_b_s = 1000, .min_rate_s = 1};
    uint64_t begun = now_ms();
    struct ctx ctx = plain;
    struct http_response r;
    AUTO(err_freep) struct err *e = http_one(&ctx, &req, &r);

    assert_err(e, ERR_TIMEOUT, "slower than 1000 bytes/s for 1 s");
    assert_in_range(now_ms() - begun, 900, 3000 + SLACK_MS);
}

static void a_dead_one_does_not_hold_up_a_live_one(void **state)
{
    AUTO(freep) char *dead = url_of(*state, "/stall");
    AUTO(freep) char *live = url_of(*state, "/html");
    const struct http_request reqs[] = {
        {.method = "GET", .url = dead, .timeout_ms = 1500},
        {.method = "GET", .url = live, .timeout_ms = 1500},
        {.method = "GET", .url = "nonsense", .timeout_ms = 1500},
        {.method = "GET", .url = dead, .timeout_ms = 1500},
    };
    struct http_response r[4];
    uint64_t begun = now_ms();
    struct ctx ctx = plain;

    assert_null(http_curl.many(&ctx, reqs, 4, r));
    assert_in_range(now_ms() - begun, 1495, 2900); /* not 3,000: both dead ones at once */
    assert_err(r[0].err, ERR_TIMEOUT, "/stall");
    assert_null(r[1].err);
    assert_int_equal(r[1].status, 200);
    assert_true(r[1].seconds < 1.4);
    assert_err(r[2].err, ERR_BADINPUT, "nonsense");
    assert_err(r[3].err, ERR_TIMEOUT, "/stall");
    for (size_t i = 0; i < ARRAY_LEN(r); i++)
        http_response_clear(&r[i]);
}

#define CROWD 300
static void a_crowd_is_served_256_at_a_time(void **state)
{
    struct server *s = *state;
    AUTO(freep) char *url = url_of(s, "/hold");
    AUTO(freep) struct http_request *reqs = xcalloc(CROWD, sizeof(*reqs));
    AUTO(freep) struct http_response *r = xcalloc(CROWD, sizeof(*r));
    struct ctx ctx = plain;

    s->hold_until = 256;
    for (size_t i = 0; i < CROWD; i++)
        reqs[i] = (struct http_request){
            .method = "GET", .url = url, .timeout_ms = 30000, .connect_ms = 30000};
    assert_null(http_curl.many(&ctx, reqs, CROWD, r));
    for (size_t i = 0; i < CROWD; i++) {
        if (r[i].err)
            fail_msg("%zu: %s", i, r[i].err->text);
        assert_int_equal(r[i].status, 200);
        http_response_clear(&r[i]);
    }
    assert_int_equal(s->peak, 256);
}

static void the_operator_can_leave(void **state)
{
    struct server *s = *state;
    AUTO(freep) char *url = url_of(s, "/cancel");
    struct http_request req = {.method = "GET", .url = url};
    struct ctx ctx = {.http = &http_curl, .clock = &clock_system, .cancelled = &s->cancel};
    uint64_t begun = now_ms();
    struct http_response r;
    AUTO(err_freep) struct err *e = http_one(&ctx, &req, &r);

    assert_err(e, ERR_CANCELLED, "");
    assert_true(now_ms() - begun < 100 + SLACK_MS);
}

static void redirects_stay_on_the_same_place(void **state)
{
    static const struct {
        const char *path, *part;
    } bad[] = {{"/other", "/other: redirects to another place, 'http://127.0.0.2:1'"},
               {"/scheme", "/scheme: "},
               {"/loop", "/loop: more than 5 redirects"}};
    AUTO(freep) char *url = url_of(*state, "/same");
    AUTO(freep) char *end = url_of(*state, "/html");
    struct http_request req = {.method = "GET", .url = url, .follow = true, .timeout_ms = 5000};
    AUTO(http_response_clear) struct http_response r = {0};
    struct ctx ctx = plain;

    assert_null(http_one(&ctx, &req, &r));
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "<html>no</html>");
    assert_string_equal(r.url, end);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(freep) char *from = url_of(*state, bad[i].path);
        struct http_response none;

        req.url = from;
        AUTO(err_freep) struct err *e = http_one(&ctx, &req, &none);
        assert_non_null(e);
        assert_non_null(strstr(e->text, bad[i].part));
        assert_null(strstr(e->text, "s3cret"));
    }
}

static void a_redirect_is_an_answer_when_not_followed(void **state)
{
    AUTO(http_response_clear) struct http_response r = {0};

    assert_null(get(*state, "/other", &r));
    assert_int_equal(r.status, 302);
    assert_string_equal(r.location, "http://127.0.0.2:1/x?key=s3cret");
}

static void post_sends_its_body_and_head_takes_none(void **state)
{
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    AUTO(freep) char *echo = url_of(*state, "/echo");
    AUTO(freep) char *big = url_of(*state, "/huge-length");
    const struct http_request reqs[] = {
        {.method = "POST",
         .url = echo,
         .headers = headers,
         .body = "{\"a\":1}zzz",
         .body_n = 7,
         .timeout_ms = 5000},
        {.method = "HEAD", .url = big, .timeout_ms = 5000},
    };
    struct http_response r[2];
    struct ctx ctx = plain;

    assert_null(http_curl.many(&ctx, reqs, 2, r));
    assert_null(r[0].err);
    assert_string_equal(r[0].body, "{\"a\":1}");
    assert_null(r[1].err);
    assert_int_equal(r[1].status, 200);
    assert_true(r[1].length_b == 100000000000);
    assert_int_equal(r[1].body_n, 0);
    for (size_t i = 0; i < ARRAY_LEN(r); i++)
        http_response_clear(&r[i]);
}

static void every_method_goes_out_with_its_body(void **state)
{
    static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE"};
    AUTO(freep) char *echo = url_of(*state, "/echo-method");
    AUTO(freep) char *moved = url_of(*state, "/same");
    struct ctx ctx = plain;

    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        AUTO(freep) char *want = xasprintf("%s /echo-method HTTP/1.1|{\"a\":1}", methods[i]);
        struct http_request req = {.method = methods[i],
                                   .url = echo,
                                   .body = "{\"a\":1}",
                                   .body_n = 7,
                                   .follow = true,
                                   .timeout_ms = 5000};
        AUTO(http_response_clear) struct http_response r = {0};
        AUTO(http_response_clear) struct http_response elsewhere = {0};

        assert_null(http_one(&ctx, &req, &r));
        assert_string_equal(r.body, want);
        req.url = moved; /* what changes something is never sent again by itself */
        assert_null(http_one(&ctx, &req, &elsewhere));
        assert_int_equal(elsewhere.status, 302);
    }
}

static void headers_go_out_and_cannot_be_forged(void **state)
{
    static const char *const good[] = {"Range: bytes=5-9", NULL};
    static const char *const forged[] = {"X-A: 1\r\nX-B: 2", NULL};
    AUTO(freep) char *url = url_of(*state, "/echo-head");
    struct http_request req = {.method = "GET", .url = url, .headers = good, .timeout_ms = 5000};
    AUTO(http_response_clear) struct http_response r = {0};
    struct http_response none;
    struct ctx ctx = plain;

    assert_null(http_one(&ctx, &req, &r));
    assert_non_null(strstr(r.body, "\r\nRange: bytes=5-9\r\n"));
    assert_non_null(strstr(r.body, "\r\nUser-Agent: agavectl/"));
    req.headers = forged;
    AUTO(err_freep) struct err *e = http_one(&ctx, &req, &none);
    assert_err(e, ERR_BUG, "");
}

struct sink {
    struct strbuf text;
    uint64_t length_b;
    int told;
    struct err *fail_with;
};

static struct err *sink_data(void *arg, const void *data, size_t n)
{
    struct sink *sink = arg;

    strbuf_add(&sink->text, data, n);
    return TAKE(sink->fail_with);
}

static struct err *sink_answer(void *arg, const struct http_answer *a)
{
    struct sink *sink = arg;

    assert_int_equal(sink->text.len, 0); /* before the first piece */
    sink->length_b = a->length_b;
    sink->told++;
    return NULL;
}

static void streams_get_length_and_pieces(void **state)
{
    static const struct {
        const char *path, *text, *body; /* body: NULL when streamed */
        uint64_t length_b;
        int told;
    } cases[] = {{"/html", "<html>no</html>", NULL, 15, 1},
                 {"/chunked", "hello world", NULL, UINT64_MAX, 1},
                 {"/zero", "", NULL, 0, 1},
                 {"/same", "<html>no</html>", NULL, 15, 1},
                 {"/500", "", "boom", 0, 0}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(freep) char *url = url_of(*state, cases[i].path);
        struct sink sink = {0};
        struct http_request req = {.method = "GET",
                                   .url = url,
                                   .follow = true,
                                   .timeout_ms = 5000,
                                   .on_data = sink_data,
                                   .on_answer = sink_answer,
                                   .arg = &sink};
        AUTO(http_response_clear) struct http_response r = {0};
        struct ctx ctx = plain;

        assert_null(http_one(&ctx, &req, &r));
        assert_string_equal(strbuf_text(&sink.text), cases[i].text);
        assert_int_equal(sink.told, cases[i].told);
        assert_true(sink.length_b == cases[i].length_b);
        assert_true(str_eq(r.body, cases[i].body));
        strbuf_clear(&sink.text);
    }
}

static void an_error_of_the_reader_is_returned_as_it_is(void **state)
{
    AUTO(freep) char *url = url_of(*state, "/giant");
    struct err *mine = err_new(ERR_CORRUPT, "not a tar file");
    struct sink sink = {.fail_with = mine};
    struct http_request req = {
        .method = "GET", .url = url, .on_data = sink_data, .max_body_b = UINT64_MAX, .arg = &sink};
    struct http_response r;
    struct ctx ctx = plain;
    AUTO(err_freep) struct err *e = http_one(&ctx, &req, &r);

    assert_ptr_equal(e, mine);
    assert_string_equal(e->text, "not a tar file");
    strbuf_clear(&sink.text);
}

static void streams_are_bounded_too(void **state)
{
    AUTO(freep) char *url = url_of(*state, "/giant");
    struct sink sink = {0};
    struct http_request req = {
        .method = "GET", .url = url, .on_data = sink_data, .max_body_b = 100000, .arg = &sink};
    struct http_response r;
    struct ctx ctx = plain;
    AUTO(err_freep) struct err *e = http_one(&ctx, &req, &r);

    assert_err(e, ERR_REMOTE, "/giant: the answer is larger than 100000 bytes");
    assert_true(sink.text.len <= 100000);
    strbuf_clear(&sink.text);
}

static void proxies_of_the_environment_are_ignored(void **state)
{
    AUTO(http_response_clear) struct http_response r = {0};

    setenv("http_proxy", "http://127.0.0.1:1/", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1/", 1);
    struct err *e = get(*state, "/html", &r);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    assert_null(e);
    assert_int_equal(r.status, 200);
}

static void no_requests_are_no_work(void **state)
{
    struct ctx ctx = plain;

    assert_null(http_curl.many(&ctx, NULL, 0, NULL));
}

static void parts_of_urls(void **state)
{
    static const struct {
        const char *base, *path, *joined;
        size_t origin_n;
    } cases[] = {
        {"http://h:1", "/x", "http://h:1/x", 10},
        {"http://h:1///", "/x", "http://h:1/x", 10},
        {"https://h/a/?k=v", "/x", "https://h/a/?k=v/x", 9},
        {"https://h?k=://v", "/", "https://h?k=://v/", 9},
        {"h:1", "/x", "h:1/x", 3},
        {"", "/x", "/x", 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(freep) char *joined = http_join(cases[i].base, cases[i].path);

        assert_string_equal(joined, cases[i].joined);
        assert_int_equal(http_origin_n(cases[i].base), cases[i].origin_n);
    }
    static const char *const origins[][2] = {
        {"http://h:1/x@y", "http://h:1"},
        {"https://u:k3y@h?a=b@c", "https://h"},
        {"https://u:k3y@k3y@h", "https://h"},
        {"k3y@h:1", "h:1"},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(origins); i++) {
        AUTO(freep) char *origin = http_origin(origins[i][0]);

        assert_string_equal(origin, origins[i][1]);
    }
    AUTO(err_freep) struct err *e = err_new(ERR_REMOTE, "http://h/k3y: closed: 1");
    assert_string_equal(http_reason(e, "http://h/other"), "closed: 1");
    assert_string_equal(http_reason(e, "http://g/"), "http://h/k3y: closed: 1");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers),
        TEST(broken_answers_are_errors),
        TEST(urls_that_cannot_be_asked),
        TEST(refused_is_told_without_the_query),
        TEST(tls_where_there_is_none_is_a_remote_error),
        TEST(a_certificate_is_verified),
        TEST(time_outs_hold),
        TEST(signals_do_not_disturb),
        TEST(connecting_has_a_time_out_of_its_own),
        TEST(a_stream_that_is_too_slow_ends),
        TEST(a_dead_one_does_not_hold_up_a_live_one),
        TEST(a_crowd_is_served_256_at_a_time),
        TEST(the_operator_can_leave),
        TEST(redirects_stay_on_the_same_place),
        TEST(a_redirect_is_an_answer_when_not_followed),
        TEST(post_sends_its_body_and_head_takes_none),
        TEST(every_method_goes_out_with_its_body),
        TEST(headers_go_out_and_cannot_be_forged),
        TEST(streams_get_length_and_pieces),
        TEST(an_error_of_the_reader_is_returned_as_it_is),
        TEST(streams_are_bounded_too),
        TEST(proxies_of_the_environment_are_ignored),
        TEST(no_requests_are_no_work),
        cmocka_unit_test(parts_of_urls),
    };

    return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
