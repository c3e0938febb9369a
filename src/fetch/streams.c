/* One transfer: a source, a place in the file and an end. Bytes are gathered to blocks; a block
 * that is missing is written, one that is there is compared. The end may come nearer while it runs
 * (somebody else took the rest), then the transfer is left when it gets there. */
#include "fetch/archive_parts.h"

#include <stdlib.h>
#include <string.h>

#include "io/clock.h"
#include "io/http.h"

#define CONNECT_MS 5000
#define BRIEF_B    ((uint64_t)512 << 10)
#define CHECK_EACH 256 /* blocks: one of 16 MiB is compared with another source */
#define PROBE      16  /* blocks: 1 MiB of the first that a source gives */

static struct err *enough(void)
{
    return err_new(ERR_CANCELLED, "enough of it");
}

/* Of one that was there for a moment only, that moment's is better than nothing. */
static double last_rate(const struct source *s, uint64_t now_ns)
{
    double b_s = source_rate(s, now_ns);

    return b_s <= 0 && s->meter.total_b >= BRIEF_B ? meter_rate(&s->meter, now_ns, 1) : b_s;
}

static void forget(struct stream *s)
{
    struct archive *a = s->a;

    for (size_t i = 0; i < a->n_streams; i++)
        if (a->streams[i] == s)
            a->streams[i] = a->streams[--a->n_streams];
    if (s->source->n_streams == 1) /* the last one: what it gave until now */
        s->source->last_b_s = last_rate(s->source, clock_mono_ns(a->ctx));
    s->source->n_streams--;
    if (s->kind == STREAM_PRINT)
        s->source->asking[s->part] = false;
    free(s->range);
    free(s->buf);
    free(s);
}

/* Of one that gave less than that: all of it, until there is one that gave more. Also of one that
 * is left because it fell silent: what it gave before is not right because of that. */
static void draw_last_check(const struct stream *s)
{
    struct archive *a = s->a;
    size_t from = (size_t)(s->begun_b / SEGMENT_BLOCK_B), to = (size_t)(s->pos_b / SEGMENT_BLOCK_B);

    if (s->kind != STREAM_FILL || s->source->probed || to <= from || a->n_checks == CHECKS_MAX ||
        s->source->state == SOURCE_ASIDE) /* nothing of it stays */
        return;
    s->source->probed = to - from >= PROBE;
    a->checks[a->n_checks++] = (struct check){to - from > PROBE ? to - PROBE : from, to};
}

/* What was to be compared still is, whoever did not get there; disputes and inquiries ask again by
 * themselves. */
static void hand_back_check(const struct stream *s)
{
    struct archive *a = s->a;
    size_t from = (size_t)(s->pos_b / SEGMENT_BLOCK_B);

    if (s->kind != STREAM_CHECK || s->enough || s->pos_b >= s->end_b || a->n_checks == CHECKS_MAX ||
        a->inquiry.on || (a->dispute.on && from == a->dispute.block))
        return;
    a->checks[a->n_checks++] = (struct check){from, segment_blocks(s->end_b)};
}

void stream_end(struct stream *s)
{
    if (s->enough)
        return; /* it is being ended */
    if (s->a->current == s) {
        s->enough = true;
        return;
    }
    http_cancel(s->transfer);
    draw_last_check(s);
    hand_back_check(s);
    forget(s);
}

void streams_end_of(struct archive *a, const struct source *s)
{
    for (size_t i = a->n_streams; i > 0; i--)
        if (!s || a->streams[i - 1]->source == s)
            stream_end(a->streams[i - 1]);
}

double stream_rate(const struct stream *s, uint64_t now_ns)
{
    double long_b_s = meter_rate(&s->meter, now_ns, 3),
           short_b_s = meter_rate(&s->meter, now_ns, 1);

    if (meter_age_s(&s->meter, now_ns) < 1)
        return 0;
    /* One that has just become slow is not trusted with what others can do; 0 would be unknown. */
    long_b_s = short_b_s < long_b_s ? short_b_s : long_b_s;
    return long_b_s < 1 ? 1 : long_b_s;
}

/* ---- blocks ------------------------------------------------------------------------------- */

/* A whole MiB of the first that it gives, and then a block now and then, is compared with what
 * another source has. */
static void draw_check(struct stream *s, size_t block)
{
    struct archive *a = s->a;
    bool probe = !s->source->probed && block >= s->begun_b / SEGMENT_BLOCK_B + PROBE;

    if (s->kind != STREAM_FILL || a->n_checks == CHECKS_MAX)
        return;
    if (!probe && (block * 2654435761u + a->draw) % CHECK_EACH)
        return;
    s->source->probed = s->source->probed || probe;
    a->checks[a->n_checks++] = (struct check){probe ? block + 1 - PROBE : block, block + 1};
}

static struct err *keep(struct stream *s, size_t block, size_t n)
{
    struct archive *a = s->a;
    enum partial_put put;
    uint8_t writer;
    struct err *e = partial_put(a->partial, s->source->id, s->pos_b, s->buf, n, &put, &writer);

    if (e) {
        archive_fail(a, e);
        return enough();
    }
    if (put != PARTIAL_WRITTEN && dispute_is_judge(a, s->source, block) &&
        (s->kind == STREAM_CHECK || s->kind == STREAM_SINGLE))
        return dispute_judged(a, s->source, block, put == PARTIAL_SAME, s->buf, n);
    if (put == PARTIAL_DIFFERS)
        return dispute_block(a, s->source, writer, block, s->buf, n);
    witness_block(a, s->source, block, n, writer == s->source->id || put == PARTIAL_WRITTEN);
    if (put == PARTIAL_SAME) {
        a->again_b += n;
        return NULL;
    }
    if (partial_total_b(a->partial) - partial_have_b(a->partial) > partial_total_b(a->partial) / 32)
        a->front_b = partial_frontier_b(a->partial);
    if (!a->first_ns)
        a->first_ns = clock_mono_ns(a->ctx);
    s->source->kept_b += n;
    s->source->good_ns = clock_mono_ns(a->ctx);
    meter_add(&a->kept, clock_mono_ns(a->ctx), n);
    if (a->verifier)
        verifier_wake(a->verifier);
    draw_check(s, block);
    return NULL;
}

static uint64_t block_end(const struct stream *s)
{
    uint64_t end = s->pos_b + SEGMENT_BLOCK_B;

    return end < s->source->total_b ? end : s->source->total_b;
}

static struct err *block_done(struct stream *s)
{
    struct archive *a = s->a;
    size_t block = (size_t)(s->pos_b / SEGMENT_BLOCK_B), n = s->buf_n;

    source_print(a, s->source, block, s->buf, n);
    if (s->source->state == SOURCE_READY)
        TRY(keep(s, block, n));
    s->pos_b += n;
    s->buf_n = 0;
    if (s->pos_b >= s->end_b && s->end_b < s->asked_b)
        s->enough = true;
    return NULL;
}

static struct err *take(struct stream *s, const uint8_t *data, size_t n)
{
    while (n && !s->enough && !s->a->fatal) {
        uint64_t want = block_end(s) - s->pos_b - s->buf_n;
        size_t part = n < want ? n : (size_t)want;

        if (s->pos_b >= s->asked_b)
            return err_remote(0, "it sends more than it was asked for");
        memcpy(s->buf + s->buf_n, data, part);
        s->buf_n += part;
        data += part;
        n -= part;
        if (part == want)
            TRY(block_done(s));
    }
    return NULL;
}

static struct err *on_data(void *arg, const void *data, size_t n)
{
    struct stream *s = arg;
    uint64_t now = clock_mono_ns(s->a->ctx);
    struct err *e;

    meter_add(&s->meter, now, n);
    meter_add(&s->source->meter, now, n);
    meter_add(&s->a->wire, now, n);
    s->a->wire_b += n;
    s->a->current = s;
    e = take(s, data, n);
    s->a->current = NULL;
    if (!e && (s->enough || s->a->fatal))
        e = enough();
    return e;
}

/* ---- answers ------------------------------------------------------------------------------ */

static struct err *first_answer(struct stream *s, const struct http_answer *h)
{
    uint64_t total_b = h->ranged ? h->total_b : h->length_b;

    if ((h->ranged && h->first_b != 0) || (h->status == 206 && !h->ranged))
        return err_remote(h->status, "it answers another range than it was asked for");
    if (total_b == UINT64_MAX)
        return err_remote(h->status, "it does not say how long the file is");
    if (total_b == 0)
        return err_remote(h->status, "it says that the file is empty");
    if (total_b > SEGMENT_FILE_MAX_B)
        return err_remote(h->status, "it announces %llu bytes, which no archive has",
                          (unsigned long long)total_b);
    s->asked_b = h->ranged ? h->last_b + 1 : total_b;
    if (s->asked_b > total_b || (s->asked_b % SEGMENT_BLOCK_B && s->asked_b != total_b))
        return err_remote(h->status, "it answers another range than it was asked for");
    if (!h->ranged) {
        s->kind = STREAM_SINGLE;
        s->source->tried = true;
    }
    s->end_b = s->asked_b;
    return source_answered(s->a, s->source, total_b, h->ranged);
}

static struct err *another_file(const struct stream *s)
{
    return err_new(ERR_NOTFOUND, "it has another file of that name than before");
}

static struct err *later_answer(struct stream *s, const struct http_answer *h)
{
    if (s->kind == STREAM_SINGLE)
        return h->length_b == s->source->total_b ? NULL : another_file(s);
    s->unranged = !h->ranged;
    if (!h->ranged)
        return err_remote(h->status, "it does not honour ranges any more");
    s->source->unranged = 0;
    if (h->total_b != s->source->total_b)
        return another_file(s);
    if (h->first_b != s->pos_b || h->last_b >= s->asked_b)
        return err_remote(h->status, "it answers another range than it was asked for");
    return NULL;
}

static struct err *on_answer(void *arg, const struct http_answer *h)
{
    struct stream *s = arg;
    struct err *e;

    s->a->current = s;
    e = s->source->answered ? later_answer(s, h) : first_answer(s, h);
    s->a->current = NULL;
    s->refused = e && !s->unranged;
    if (!e && (s->enough || s->a->fatal))
        e = enough();
    return e;
}

static struct err *status_error(const struct http_response *r)
{
    if (r->status == 404 || r->status == 410)
        return err_new(ERR_NOTFOUND, "it has no such file any more (status %d)", r->status);
    if (r->status == 416)
        return err_new(ERR_NOTFOUND, "its file is shorter than it said (status 416)");
    if (r->status / 100 != 2)
        return err_remote(r->status, "it answers with status %d", r->status);
    return NULL;
}

/* What went wrong, without the URL, which may hold a key; NULL: nothing. */
static struct err *outcome(const struct stream *s, struct http_response *r)
{
    AUTO(freep) char *proxy = http_way_fault(&s->a->job->way, s->source->spec->url, r);
    struct err *e = TAKE(r->err);

    if (s->enough || s->a->fatal) {
        err_free(e);
        return NULL;
    }
    s->source->proxy_fault = proxy != NULL;
    if (proxy) {
        err_free(e);
        return err_remote(r->status, "%s", proxy);
    }
    if (e) {
        const char *why = http_reason(e, s->source->spec->url);

        memmove(e->text, why, strlen(why) + 1);
        return e;
    }
    e = status_error(r);
    if (!e && s->pos_b < s->end_b)
        e = err_remote(0, "it sent less than it announced");
    else if (!e && s->kind == STREAM_ASK && s->pos_b < s->source->total_b &&
             s->pos_b < sources_head_b(s->a))
        e = err_remote(0, "it sent less than it was asked for"); /* or it would be asked at once */
    return e;
}

static void on_done(void *arg, struct http_transfer *t, struct http_response *r)
{
    struct stream *s = arg;
    struct archive *a = s->a;
    struct source *source = s->source;
    struct err *e = outcome(s, r);
    bool refused = s->refused, unranged = s->unranged;

    draw_last_check(s);
    hand_back_check(s);
    forget(s);
    if (e && refused)
        source_drop(a, source, e);
    else if (e && unranged)
        source_unranged(a, source, e);
    else if (e)
        source_strike(a, source, e);
    if (!a->fatal) {
        e = sources_group(a);
        if (e)
            archive_fail(a, e);
    }
    archive_plan(a);
}

/* ---- begin -------------------------------------------------------------------------------- */

struct stream *stream_begin(struct archive *a, struct source *s, enum stream_kind kind,
                            uint64_t from_b, uint64_t to_b)
{
    struct stream *n = xcalloc(1, sizeof(*n));
    struct http_request req = {
        .method = "GET",
        .url = s->spec->url,
        .connect_ms = CONNECT_MS,
        .max_body_b = UINT64_MAX,
        .follow = true,
        .on_data = on_data,
        .on_answer = on_answer,
        .arg = n,
    };
    uint64_t now = clock_mono_ns(a->ctx);

    http_take_way(&req, &a->job->way);
    *n = (struct stream){.a = a, .source = s, .kind = kind, .pos_b = from_b, .end_b = to_b};
    n->asked_b = to_b;
    n->begun_b = from_b;
    n->buf = xmalloc(SEGMENT_BLOCK_B);
    if (kind != STREAM_SINGLE) {
        n->range = xasprintf("Range: bytes=%llu-%llu", (unsigned long long)from_b,
                             (unsigned long long)to_b - 1);
        n->headers[0] = n->range;
        req.headers = n->headers;
    }
    meter_begin(&n->meter, now);
    if (!s->n_streams)
        meter_begin(&s->meter, now);
    s->n_streams++;
    s->tried = s->tried || kind == STREAM_SINGLE;
    a->streams[a->n_streams++] = n;
    n->transfer = http_begin(a->loop, &req, on_done, n);
    return n;
}
