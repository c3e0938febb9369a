/* io/http_fault: failures in words, and whose they are; and how a proxy's are told from a node's.
 */
#include "io/http_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define URL   "http://h:1/x?key=s3cr3t"
#define PROXY "http://user:s3cr3t@p:2"

struct row {
    struct http_failure f;
    enum err_kind kind;
    bool by_proxy;
    const char *text;
};

static void check(const struct http_request *req, const struct row *r)
{
    bool by_proxy = !r->by_proxy;
    struct http_failure f = r->f;
    AUTO(err_freep) struct err *e = NULL;

    f.detail = f.detail ? f.detail : "in its own words";
    e = http_failure_err(req, URL, &f, &by_proxy);
    assert_string_equal(e->text, r->text);
    assert_int_equal(e->kind, r->kind);
    assert_int_equal(by_proxy, r->by_proxy);
    assert_int_equal(e->remote, r->by_proxy ? f.proxy_status : 0);
}

#define F(what_, ...)                                                                              \
    {                                                                                              \
        .what = HTTP_FAILS_##what_, __VA_ARGS__                                                    \
    }

static void of_the_other_side(void **state)
{
    static const struct row rows[] = {
        {F(OTHERWISE), ERR_REMOTE, false, "http://h:1/x: in its own words"},
        {F(TIME), ERR_TIMEOUT, false, "http://h:1/x: no connection within 3 s"},
        {F(TIME, .connected = true, .gone_ms = 5000), ERR_TIMEOUT, false,
         "http://h:1/x: not done within 5 s"},
        {F(TIME, .connected = true, .gone_ms = 10), ERR_TIMEOUT, false,
         "http://h:1/x: slower than 7 bytes/s for 2 s"},
        {F(URL), ERR_BADINPUT, false,
         "'http://h:1/x' is not a URL that can be asked: in its own words"},
        {F(NAME), ERR_REMOTE, false, "http://h:1/x: cannot resolve the host name"},
        {F(CONNECT, .sys = ECONNREFUSED), ERR_REMOTE, false, "http://h:1/x: connection refused"},
        {F(CONNECT), ERR_REMOTE, false, "http://h:1/x: cannot connect"},
        {F(EMPTY), ERR_REMOTE, false, "http://h:1/x: the connection closed without an answer"},
        {F(CUT, .taken_b = 3, .length_b = 9), ERR_REMOTE, false,
         "http://h:1/x: the connection closed after 3 of 9 bytes"},
        {F(CUT, .length_b = UINT64_MAX), ERR_REMOTE, false,
         "http://h:1/x: the connection closed in the middle of the answer"},
        {F(NOT_HTTP), ERR_REMOTE, false, "http://h:1/x: the answer is not HTTP"},
        {F(IO, .sys = ECONNRESET), ERR_REMOTE, false, "http://h:1/x: connection reset by peer"},
        {F(IO), ERR_REMOTE, false, "http://h:1/x: in its own words"},
    };
    const struct http_request req = {.timeout_ms = 5000, .min_rate_b_s = 7, .min_rate_s = 2};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check(&req, &rows[i]);
}

static void of_the_proxy(void **state)
{
#define BEHIND "; it was asked through the proxy 'http://p:2'"
#define BY     "http://h:1/x: proxy 'http://p:2': "
    static const struct row rows[] = {
        {F(CONNECT, .sys = ECONNREFUSED), ERR_REMOTE, true, BY "connection refused"},
        {F(CONNECT), ERR_REMOTE, true, BY "cannot connect to it"},
        {F(PROXY_NAME), ERR_REMOTE, true, BY "cannot resolve its name"},
        {F(TIME), ERR_TIMEOUT, true, BY "cannot connect to it in time"},
        {F(PROXY), ERR_REMOTE, true, BY "in its own words"},
        {F(IO, .proxy_status = 502), ERR_REMOTE, true, BY "it does not get through (status 502)"},
        {F(OTHERWISE, .proxy_status = 407), ERR_REMOTE, true,
         BY "it wants another user and password, http://user:password@host:port (status 407)"},
        {F(IO, .proxy_status = 403), ERR_REMOTE, true,
         BY "it refuses to connect to the other side (status 403)"},
        {F(TIME, .connected = true, .gone_ms = 5000), ERR_TIMEOUT, false,
         "http://h:1/x: not done within 5 s" BEHIND},
        {F(EMPTY), ERR_REMOTE, false,
         "http://h:1/x: the connection closed without an answer" BEHIND},
        {F(OTHERWISE), ERR_REMOTE, false, "http://h:1/x: in its own words" BEHIND},
    };
    const struct http_request req = {.timeout_ms = 5000, .proxy = PROXY};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check(&req, &rows[i]);
}

/* In clear a proxy has only a status to say that it did not get there. */
static void answers_that_are_the_proxys(void **state)
{
    const struct http_way way = {.proxy = PROXY}, direct = {0};
    struct err refused = {.text = (char *)(uintptr_t) "http://h:1/x: proxy 'http://p:2': refused"};
    const struct http_response by_proxy = {.err = &refused, .by_proxy = true},
                               by_node = {.err = &refused};

    for (int status = 100; status < 600; status++) {
        const struct http_response r = {.status = status};
        AUTO(freep) char *why = http_way_fault(&way, URL, &r);
        AUTO(freep) char *not = http_way_fault(&direct, URL, &r);
        AUTO(freep) char *none = http_way_fault(NULL, URL, &r);

        assert_true((why != NULL) == (status >= 502 && status <= 504));
        assert_true(!why || (strstr(why, "proxy 'http://p:2': ") == why && !strstr(why, "s3cr3t")));
        assert_null(not );
        assert_null(none);
    }
    AUTO(freep) char *why = http_way_fault(&way, URL, &by_proxy);
    AUTO(freep) char *not = http_way_fault(&way, URL, &by_node);
    assert_string_equal(why, "proxy 'http://p:2': refused");
    assert_null(not );
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_the_other_side),
        cmocka_unit_test(of_the_proxy),
        cmocka_unit_test(answers_that_are_the_proxys),
    };

    return cmocka_run_group_tests_name("http_fault", tests, NULL, NULL);
}
