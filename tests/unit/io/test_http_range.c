/* io/http_range: what a Range header means for a file of some size. */
#include "io/http_range.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void ranges(void **state)
{
    static const struct {
        const char *header;
        uint64_t size_b;
        enum http_range want;
        uint64_t first, last;
    } rows[] = {
        {"bytes=0-0", 10, HTTP_RANGE_SOME, 0, 0},
        {"bytes=3-", 10, HTTP_RANGE_SOME, 3, 9},
        {"Bytes=3-99", 10, HTTP_RANGE_SOME, 3, 9},
        {"bytes=-4", 10, HTTP_RANGE_SOME, 6, 9},
        {"bytes=-40", 10, HTTP_RANGE_SOME, 0, 9},
        {"bytes=9-9", 10, HTTP_RANGE_SOME, 9, 9},
        {"bytes=0-18446744073709551615", 10, HTTP_RANGE_SOME, 0, 9},
        {"bytes=0-99999999999999999999999", 10, HTTP_RANGE_SOME, 0, 9},
        {"bytes=10-", 10, HTTP_RANGE_BEYOND, 0, 0},
        {"bytes=99999999999999999999999-", 10, HTTP_RANGE_BEYOND, 0, 0},
        {"bytes=-0", 10, HTTP_RANGE_BEYOND, 0, 0},
        {"bytes=0-0", 0, HTTP_RANGE_BEYOND, 0, 0},
        {"bytes=-1", 0, HTTP_RANGE_BEYOND, 0, 0},
        {"bytes=5-4", 10, HTTP_RANGE_NONE, 0, 0},
        {"bytes=0-1,3-4", 10, HTTP_RANGE_NONE, 0, 0},
        {"bytes=-", 10, HTTP_RANGE_NONE, 0, 0},
        {"bytes=", 10, HTTP_RANGE_NONE, 0, 0},
        {"bytes= 1-2", 10, HTTP_RANGE_NONE, 0, 0},
        {"bytes=1 -2", 10, HTTP_RANGE_NONE, 0, 0},
        {"bytes=1-2 ", 10, HTTP_RANGE_NONE, 0, 0},
        {"bytes=--5", 10, HTTP_RANGE_NONE, 0, 0},
        {"lines=1-2", 10, HTTP_RANGE_NONE, 0, 0},
        {"", 10, HTTP_RANGE_NONE, 0, 0},
        {NULL, 10, HTTP_RANGE_NONE, 0, 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t first = 0, last = 0;

        assert_int_equal(http_range_parse(rows[i].header, rows[i].size_b, &first, &last),
                         rows[i].want);
        assert_int_equal(first, rows[i].first);
        assert_int_equal(last, rows[i].last);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
