/* Reading header lines and what they say together, as text. Whoever receives them bounds their
 * number and length. */
#include "io/http_head.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

#define BLANKS " \t\r\n"

bool http_header_is(const char *line, size_t n, const char *name)
{
    size_t len = strlen(name);

    return n > len && strncasecmp(line, name, len) == 0 && line[len] == ':';
}

char *http_header_value(const char *line, size_t n)
{
    const char *colon = memchr(line, ':', n);
    const char *p = colon ? colon + 1 : line;
    const char *end = line + n;

    while (p < end && *p && strchr(BLANKS, *p))
        p++;
    while (end > p && (!end[-1] || strchr(BLANKS, end[-1])))
        end--;
    return xstrndup(p, (size_t)(end - p));
}

/* Digits up to the next other character; none, or more than max: false. */
static bool take_number(const char **p, uint64_t max, uint64_t *ret)
{
    const char *begin = *p;
    uint64_t v = 0;

    for (; **p >= '0' && **p <= '9'; (*p)++)
        if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(**p - '0'), &v) || v > max)
            return false;
    *ret = v;
    return *p > begin;
}

static bool take_char(const char **p, char c)
{
    if (**p != c)
        return false;
    (*p)++;
    return true;
}

bool http_content_length(const char *value, uint64_t *ret)
{
    const char *p = value;
    uint64_t v;

    if (!take_number(&p, UINT64_MAX, &v) || *p)
        return false;
    *ret = v;
    return true;
}

bool http_content_range(const char *value, uint64_t *ret_first_b, uint64_t *ret_last_b,
                        uint64_t *ret_total_b)
{
    uint64_t first, last, total = UINT64_MAX;
    const char *p = value;

    if (strncasecmp(p, "bytes", 5) != 0 || (p[5] != ' ' && p[5] != '\t'))
        return false;
    for (p += 5; *p == ' ' || *p == '\t'; p++)
        ;
    if (!take_number(&p, INT64_MAX, &first) || !take_char(&p, '-') ||
        !take_number(&p, INT64_MAX, &last) || !take_char(&p, '/'))
        return false;
    if (!take_char(&p, '*') && !take_number(&p, INT64_MAX, &total))
        return false;
    if (*p || last < first || (total != UINT64_MAX && last >= total))
        return false;
    *ret_first_b = first;
    *ret_last_b = last;
    *ret_total_b = total;
    return true;
}

bool http_accepts_bytes(const char *value)
{
    for (const char *p = value; *p;) {
        size_t n;

        p += strspn(p, " \t,");
        n = strcspn(p, " \t,");
        if (n == 5 && strncasecmp(p, "bytes", 5) == 0)
            return true;
        p += n;
    }
    return false;
}

void http_head_clear(struct http_head *h)
{
    free(h->location);
    *h = (struct http_head){0};
}

static void take_line(struct http_head *h, const char *line, size_t n)
{
    struct http_answer *a = &h->answer;
    AUTO(freep) char *value = http_header_value(line, n);

    if (http_header_is(line, n, "location") && !h->location)
        h->location = TAKE(value);
    else if (http_header_is(line, n, "content-length"))
        h->has_length = http_content_length(value, &h->length_b);
    else if (http_header_is(line, n, "accept-ranges"))
        a->accepts_ranges = http_accepts_bytes(value);
    else if (http_header_is(line, n, "content-range"))
        a->ranged = http_content_range(value, &a->first_b, &a->last_b, &a->total_b);
}

void http_head_line(struct http_head *h, const char *line, size_t n)
{
    uint64_t bytes = h->bytes + n;

    if (n > 5 && strncmp(line, "HTTP/", 5) == 0) {
        http_head_clear(h);
        h->answer.total_b = UINT64_MAX;
    } else {
        take_line(h, line, n);
    }
    h->bytes = bytes;
}

struct http_answer http_head_answer(const struct http_head *h, int status)
{
    struct http_answer a = h->answer;

    a.status = status;
    if (status != 206 || !a.ranged)
        a = (struct http_answer){
            .status = status, .accepts_ranges = a.accepts_ranges, .total_b = UINT64_MAX};
    return a;
}
