#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "io/http.h"
#include "io/http_head.h"

/* One answer as it comes in: its bounds, who is told of it, and what is kept; for http_wire.c. url
 * is that of the hop, for messages. An error of the request's callbacks is returned unchanged. */
struct http_intake {
    const struct http_request *req; /* borrowed */
    struct http_head head;
    int status;        /* as far as it is known; 0: not yet */
    uint64_t length_b; /* of the body, or UINT64_MAX */
    uint64_t taken_b;  /* of the body */
    struct strbuf body;
    bool told;     /* on_answer was called */
    bool nonsense; /* more came than may come */
};
void http_intake_clear(struct http_intake *i);
/* The answer of another hop begins. */
void http_intake_again(struct http_intake *i);
/* A header line. ERR_REMOTE: too many bytes of them. */
struct err *http_intake_line(struct http_intake *i, const char *url, const char *line, size_t n)
    MUST_CHECK;
/* What the library has made of the head; length: below 0 it knows none. */
void http_intake_is(struct http_intake *i, int status, int64_t length);
/* A piece of the body, after http_intake_is. ERR_REMOTE: too large. */
struct err *http_intake_take(struct http_intake *i, const char *url, const char *data, size_t n)
    MUST_CHECK;
/* The answer is whole: on_answer of one without a body is called now. */
struct err *http_intake_end(struct http_intake *i) MUST_CHECK;
/* What is to be handed on, into ret. */
void http_intake_give(struct http_intake *i, struct http_response *ret);
