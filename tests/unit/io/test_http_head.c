/* io/http_head: what header lines say. */
#include "io/http_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"

static void content_ranges(void **state)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t first_b, last_b, total_b;
    } cases[] = {
        {"bytes 0-0/1", true, 0, 0, 1},
        {"bytes 5-9/100", true, 5, 9, 100},
        {"Bytes \t5-9/100", true, 5, 9, 100},
        {"bytes 5-9/*", true, 5, 9, UINT64_MAX},
        {"bytes 0-9223372036854775806/9223372036854775807", true, 0, INT64_MAX - 1, INT64_MAX},
        {"", false, 0, 0, 0},
        {"bytes", false, 0, 0, 0},
        {"bytes=5-9/100", false, 0, 0, 0},
        {"bytes5-9/100", false, 0, 0, 0},
        {"items 5-9/100", false, 0, 0, 0},
        {"bytes */100", false, 0, 0, 0},
        {"bytes 9-5/100", false, 0, 0, 0},
        {"bytes 5-100/100", false, 0, 0, 0},
        {"bytes 0-0/0", false, 0, 0, 0},
        {"bytes -9/100", false, 0, 0, 0},
        {"bytes 5-/100", false, 0, 0, 0},
        {"bytes 5-9/", false, 0, 0, 0},
        {"bytes 5-9", false, 0, 0, 0},
        {"bytes 5-9/100 ", false, 0, 0, 0},
        {"bytes 5-9/100,bytes 20-29/100", false, 0, 0, 0},
        {"bytes 5 -9/100", false, 0, 0, 0},
        {"bytes +5-9/100", false, 0, 0, 0},
        {"bytes 0x5-9/100", false, 0, 0, 0},
        {"bytes 0-1/9223372036854775808", false, 0, 0, 0},
        {"bytes 0-18446744073709551616/*", false, 0, 0, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t first_b = 77, last_b = 77, total_b = 77;

        if (http_content_range(cases[i].text, &first_b, &last_b, &total_b) != cases[i].good)
            fail_msg("'%s'", cases[i].text);
        assert_true(first_b == (cases[i].good ? cases[i].first_b : 77));
        assert_true(last_b == (cases[i].good ? cases[i].last_b : 77));
        assert_true(total_b == (cases[i].good ? cases[i].total_b : 77));
    }
}

static void units_of_ranges(void **state)
{
    assert_true(http_accepts_bytes("bytes"));
    assert_true(http_accepts_bytes(" items , BYTES"));
    assert_false(http_accepts_bytes("none"));
    assert_false(http_accepts_bytes(""));
    assert_false(http_accepts_bytes("megabytes"));
    assert_false(http_accepts_bytes("bytes-not"));
}

static void lines(void **state)
{
    static const struct {
        const char *line, *value;
        bool is;
    } cases[] = {
        {"Location: /x\r\n", "/x", true},   {"LOCATION:\t/x \t\r\n", "/x", true},
        {"location:\r\n", "", true},        {"location:", "", true},
        {"Locations: /x\r\n", "/x", false}, {"X-Location: /x\r\n", "/x", false},
        {"location", "location", false},    {"", "", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        /* exactly as long as it says, so that a byte more is seen by the sanitizer */
        size_t n = strlen(cases[i].line);
        AUTO(freep) char *line = xmemdup(cases[i].line, n ? n : 1);
        AUTO(freep) char *value = http_header_value(line, n);

        assert_int_equal(http_header_is(line, n, "location"), cases[i].is);
        assert_string_equal(value, cases[i].value);
    }
}

/* What the lines of an answer say together; a 1xx before it counts only in the bytes. */
static void a_head(void **state)
{
    static const char *const lines[] = {"HTTP/1.1 103 Early Hints\r\n",
                                        "Location: /early\r\n",
                                        "Content-Length: 1\r\n",
                                        "HTTP/1.1 206 Partial\r\n",
                                        "Location: /a\r\n",
                                        "location: /b\r\n",
                                        "Content-Length: 5\r\n",
                                        "Accept-Ranges: bytes\r\n",
                                        "Content-Range: bytes 5-9/100\r\n"};
    AUTO(http_head_clear) struct http_head h = {0};
    uint64_t bytes = 0;

    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        http_head_line(&h, lines[i], strlen(lines[i]));
        bytes += strlen(lines[i]);
    }
    assert_int_equal(h.bytes, bytes);
    assert_string_equal(h.location, "/a");
    assert_true(h.has_length && h.length_b == 5);
    struct http_answer a = http_head_answer(&h, 206);
    assert_true(a.ranged && a.accepts_ranges && a.first_b == 5 && a.last_b == 9);
    assert_true(a.total_b == 100);
    a = http_head_answer(&h, 200); /* a range without 206 is none */
    assert_true(!a.ranged && a.accepts_ranges && !a.last_b && a.total_b == UINT64_MAX);
    http_head_line(&h, "HTTP/1.1 206 Partial\r\n", 22);
    a = http_head_answer(&h, 206);
    assert_true(!a.ranged && a.total_b == UINT64_MAX && !h.location && !h.has_length);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_ranges),
        cmocka_unit_test(units_of_ranges),
        cmocka_unit_test(lines),
        cmocka_unit_test(a_head),
    };

    return cmocka_run_group_tests_name("http_head", tests, NULL, NULL);
}
