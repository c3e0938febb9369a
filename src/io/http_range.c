/* One Range header to the bytes that it means. What is not understood is no range, as the standard
 * has it: a client that gets 200 knows that it was not understood. */
#include "io/http_range.h"

#include <string.h>

#include "base/str.h"

/* Digits at *at, which moves behind them. A number beyond 64 bits is as good as the largest. */
static bool take_number(const char **at, uint64_t *ret)
{
    const char *p = *at;
    uint64_t v = 0;

    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++)
        v = v > (UINT64_MAX - 9) / 10 ? UINT64_MAX : v * 10 + (uint64_t)(*p - '0');
    *at = p;
    *ret = v;
    return true;
}

/* "-500": so many at the end. */
static enum http_range suffix(const char *at, uint64_t size_b, uint64_t *ret_first,
                              uint64_t *ret_last)
{
    uint64_t n;

    if (!take_number(&at, &n) || *at)
        return HTTP_RANGE_NONE;
    if (!n || !size_b)
        return HTTP_RANGE_BEYOND;
    *ret_first = n < size_b ? size_b - n : 0;
    *ret_last = size_b - 1;
    return HTTP_RANGE_SOME;
}

enum http_range http_range_parse(const char *header, uint64_t size_b, uint64_t *ret_first,
                                 uint64_t *ret_last)
{
    static const char unit[] = "bytes=";
    uint64_t first, last = UINT64_MAX;
    const char *at = header;

    if (!at || strncasecmp(at, unit, strlen(unit)) != 0)
        return HTTP_RANGE_NONE;
    at += strlen(unit);
    if (*at == '-')
        return suffix(at + 1, size_b, ret_first, ret_last);
    if (!take_number(&at, &first) || *at++ != '-')
        return HTTP_RANGE_NONE;
    if (*at && (!take_number(&at, &last) || *at || last < first))
        return HTTP_RANGE_NONE;
    if (first >= size_b)
        return HTTP_RANGE_BEYOND;
    *ret_first = first;
    *ret_last = last < size_b ? last : size_b - 1;
    return HTTP_RANGE_SOME;
}
