#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/http.h"

/* Header lines of HTTP answers: what others sent, so nothing in them is believed. Pure. */

/* What the head of an answer says, line by line. {0} is the begin of one. */
struct http_head {
    uint64_t bytes; /* of all lines, those of heads before it (1xx) included */
    bool has_length;
    uint64_t length_b; /* of the Content-Length, when it has one */
    char *location;    /* the first Location, or NULL */
    struct http_answer answer;
};
void http_head_clear(struct http_head *h);
/* One line, not terminated. A status line begins again: what came before was a 1xx. */
void http_head_line(struct http_head *h, const char *line, size_t n);
/* As on_answer gets it, but for the length: ranges count in a 206 alone. */
struct http_answer http_head_answer(const struct http_head *h, int status);

/* Is this line of n bytes (not terminated) the header of that name? */
bool http_header_is(const char *line, size_t n, const char *name);
/* The value of a header line, without the blanks around it; to be freed. */
char *http_header_value(const char *line, size_t n);

/* The value of a Content-Length; false: no number, or of more than 64 bits. */
bool http_content_length(const char *value, uint64_t *ret);
/* "bytes 5-9/100" or "bytes 5-9/" and an asterisk, the value of a Content-Range (RFC 9110, 14.4).
 * False, and nothing is written, for every other text: no bytes, a last before its first or behind
 * the end, more than 63 bits. *ret_total_b is UINT64_MAX for the asterisk. */
bool http_content_range(const char *value, uint64_t *ret_first_b, uint64_t *ret_last_b,
                        uint64_t *ret_total_b);
/* Is "bytes" one of the units of an Accept-Ranges? */
bool http_accepts_bytes(const char *value);
