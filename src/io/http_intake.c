/* What comes in for one request, whatever library reads it: no more than may come, to the caller's
 * callbacks or into memory. Knows neither sockets nor redirects. */
#include "io/http_intake.h"

#include "io/http_fault.h"

#define BODY_MAX_B    (16ULL * 1024 * 1024)
#define ERROR_MAX_B   (1024ULL * 1024) /* of an answer that is no success, to who streams */
#define HEADERS_MAX_B (256 * 1024)

void http_intake_clear(struct http_intake *i)
{
    http_head_clear(&i->head);
    strbuf_clear(&i->body);
}

void http_intake_again(struct http_intake *i)
{
    http_intake_clear(i);
    i->taken_b = 0;
}

static bool is_success(const struct http_intake *i)
{
    return i->status >= 200 && i->status < 300;
}

static bool is_streamed(const struct http_intake *i)
{
    return i->req->on_data && is_success(i);
}

/* Who streams may take any number of bytes, but not into memory. */
static uint64_t max_b(const struct http_intake *i)
{
    uint64_t max = i->req->max_body_b ? i->req->max_body_b : BODY_MAX_B;

    return i->req->on_data && !is_success(i) && max > ERROR_MAX_B ? ERROR_MAX_B : max;
}

struct err *http_intake_line(struct http_intake *i, const char *url, const char *line, size_t n)
{
    AUTO(freep) char *text = NULL;

    http_head_line(&i->head, line, n);
    if (i->head.bytes <= HEADERS_MAX_B)
        return NULL;
    i->nonsense = true;
    text = http_shown(url);
    return err_remote(0, "%s: more than %d bytes of headers", text, HEADERS_MAX_B);
}

void http_intake_is(struct http_intake *i, int status, int64_t length)
{
    const struct http_head *h = &i->head;

    i->status = status;
    i->length_b = h->has_length && length >= 0 ? (uint64_t)length : UINT64_MAX;
    if (h->has_length && length < 0 && h->length_b > INT64_MAX)
        i->length_b = h->length_b; /* the library goes on without one that it cannot hold */
}

/* Once per 2xx answer, before its first piece or, when it has none, at its end. */
struct err *http_intake_end(struct http_intake *i)
{
    struct http_answer a;

    if (i->told || !i->req->on_answer || !is_success(i))
        return NULL;
    i->told = true;
    a = http_head_answer(&i->head, i->status);
    a.length_b = i->length_b;
    return i->req->on_answer(i->req->arg, &a);
}

struct err *http_intake_take(struct http_intake *i, const char *url, const char *data, size_t n)
{
    uint64_t max = max_b(i);

    if (n > max - i->taken_b || (i->length_b != UINT64_MAX && i->length_b > max)) {
        AUTO(freep) char *text = http_shown(url);

        i->nonsense = true;
        return err_remote(i->status, "%s: the answer is larger than %llu bytes", text,
                          (unsigned long long)max);
    }
    i->taken_b += n;
    TRY(http_intake_end(i));
    if (is_streamed(i))
        return i->req->on_data(i->req->arg, data, n);
    strbuf_add(&i->body, data, n);
    return NULL;
}

void http_intake_give(struct http_intake *i, struct http_response *ret)
{
    ret->status = i->status;
    ret->length_b = i->length_b;
    ret->location = TAKE(i->head.location);
    ret->body_n = i->body.len;
    ret->body = is_streamed(i) ? NULL : strbuf_take(&i->body);
}
