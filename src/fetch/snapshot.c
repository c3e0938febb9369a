/* One archive, one stream: received, verified and written piece by piece. The final name appears by
 * a rename that cannot overwrite, after the check and the fsync, so whoever lists the folder sees a
 * whole file or none. Choosing sources is find.c's and pick.c's work. */
#include "fetch/snapshot.h"

#include "base/log.h"
#include "fetch/place.h"
#include "io/clock.h"
#include "io/http.h"
#include "solana/rpc.h"

#include <errno.h>

#define SOURCES_MAX 5 /* Agave's own --maximum-snapshot-download-abort */
#define SPARE_B     ((uint64_t)1 << 30)
#define TICK_NS     ((uint64_t)500000000)
#define MIN_RATE_S  30

struct stream {
    struct ctx *ctx;
    const struct fetch_job *job;
    const char *url;
    struct place *place;
    struct snapcheck *check;
    uint64_t spare_b;
    uint64_t done_b, total_b;
    uint64_t tick_ns, tick_b; /* at the last progress */
    double rate_b_s;
};

void fetch_report_clear(struct fetch_report *r)
{
    free(r->source);
    *r = (struct fetch_report){0};
}

static void tell(struct stream *s)
{
    struct fetch_progress p = {
        .file = s->job->name,
        .source = s->url,
        .done_b = s->done_b,
        .total_b = s->total_b,
        .rate_b_s = s->rate_b_s,
        .eta_s = -1,
    };

    if (s->total_b == s->done_b)
        p.eta_s = 0;
    else if (s->total_b != UINT64_MAX && s->rate_b_s > 0)
        p.eta_s = (double)(s->total_b - s->done_b) / s->rate_b_s;
    if (s->job->progress)
        s->job->progress(s->job->arg, &p);
}

/* About twice a second: rate (the last seconds count most), progress, and whether others are
 * filling the disk meanwhile. */
static struct err *tick(struct stream *s)
{
    uint64_t now_ns = clock_mono_ns(s->ctx), gone_ns = now_ns - s->tick_ns;
    double rate;

    if (gone_ns < TICK_NS)
        return NULL;
    rate = (double)(s->done_b - s->tick_b) * 1e9 / (double)gone_ns;
    s->rate_b_s = s->rate_b_s > 0 ? 0.7 * s->rate_b_s + 0.3 * rate : rate;
    s->tick_ns = now_ns;
    s->tick_b = s->done_b;
    tell(s);
    return place_has_room(s->place, s->spare_b);
}

static struct err *stream_answer(void *arg, const struct http_answer *a)
{
    struct stream *s = arg;
    uint64_t length_b = a->length_b, need_b = s->spare_b;

    s->total_b = length_b;
    if (length_b != UINT64_MAX && __builtin_add_overflow(length_b, s->spare_b, &need_b))
        need_b = UINT64_MAX;
    return place_has_room(s->place, need_b);
}

static struct err *stream_data(void *arg, const void *data, size_t n)
{
    struct stream *s = arg;

    if (s->total_b - s->done_b < n)
        return err_remote(0, "it sends more than the %llu bytes that it announced",
                          (unsigned long long)s->total_b);
    TRY(place_write(s->place, data, n));
    s->done_b += n;
    TRY(snapcheck_feed(s->check, data, n));
    return tick(s);
}

static struct err *check_status(int status)
{
    if (status == 404)
        return err_new(ERR_NOTFOUND, "it has no such file any more (status 404)");
    if (status / 100 != 2)
        return err_remote(status, "it answers with status %d", status);
    return NULL;
}

static struct err *receive(struct stream *s, struct fetch_report *ret)
{
    AUTO(http_response_clear) struct http_response got = {0};
    struct http_request req = {
        .method = "GET",
        .url = s->url,
        .max_body_b = UINT64_MAX,
        .min_rate_b_s = s->job->min_rate_b_s,
        .min_rate_s = s->job->min_rate_s ? s->job->min_rate_s : MIN_RATE_S,
        .follow = true,
        .on_data = stream_data,
        .on_answer = stream_answer,
        .arg = s,
    };

    TRY(http_one(s->ctx, &req, &got));
    TRY(check_status(got.status));
    if (s->total_b != UINT64_MAX && s->done_b != s->total_b)
        return err_remote(0, "it sent %llu of %llu bytes", (unsigned long long)s->done_b,
                          (unsigned long long)s->total_b);
    TRY(snapcheck_finish(s->check, &ret->check));
    ret->size_b = s->done_b;
    ret->seconds = got.seconds;
    return NULL;
}

static struct err *fetch(struct ctx *ctx, const char *url, const struct fetch_job *job,
                         struct fetch_report *ret)
{
    static const struct snapcheck_limits limits = {.hash_must = true};
    AUTO(snapcheck_freep) struct snapcheck *check = NULL;
    AUTO(place_freep) struct place *place = NULL;
    AUTO(fetch_report_clear) struct fetch_report report = {0};
    struct stream s = {
        .ctx = ctx,
        .job = job,
        .url = url,
        .total_b = UINT64_MAX,
        .spare_b = job->spare_b ? job->spare_b : SPARE_B,
        .tick_ns = clock_mono_ns(ctx),
    };

    TRY(snapcheck_new(job->name, &limits, &check));
    TRY(place_begin(ctx->root, job->dir, job->name, &place, &report.leftover_b));
    if (report.leftover_b)
        log_debug("removed %llu bytes of an earlier download of '%s'",
                  (unsigned long long)report.leftover_b, job->name);
    s.check = check;
    s.place = place;
    TRY(receive(&s, &report));
    TRY(place_finish(place, job->uid, job->gid, 0644));
    if (report.seconds > 0)
        s.rate_b_s = (double)s.done_b / report.seconds; /* the last word is the average */
    tell(&s);
    report.source = xstrdup(url);
    *ret = report;
    report = (struct fetch_report){0};
    return NULL;
}

/* "http://host:port" for people; to be freed. */
static char *place_of(const char *url)
{
    AUTO(freep) char *origin = xstrndup(url, http_origin_n(url));

    return rpc_url_label(origin);
}

struct err *fetch_snapshot(struct ctx *ctx, const char *url, const struct fetch_job *job,
                           struct fetch_report *ret)
{
    AUTO(freep) char *from = place_of(url);
    struct err *e = fetch(ctx, url, job, ret);
    const char *why = e ? http_reason(e, url) : NULL;

    if (e)
        memmove(e->text, why, strlen(why) + 1);
    return err_wrap(e, "cannot fetch '%s' from %s", job->name, from);
}

/* Another source may do better than one that failed so; nothing else is worth another try. */
static bool is_the_sources_fault(const struct err *e)
{
    return e->kind == ERR_REMOTE || e->kind == ERR_TIMEOUT || e->kind == ERR_NOTFOUND ||
           e->kind == ERR_CORRUPT || e->kind == ERR_BADINPUT;
}

struct err *fetch_best(struct ctx *ctx, const struct strlist *urls, const struct fetch_job *job,
                       struct fetch_report *ret)
{
    AUTO(snapcheck_freep) struct snapcheck *named = NULL;
    AUTO(strbuf_clear) struct strbuf why = {0};
    AUTO(err_freep) struct err *e = NULL;
    size_t n = urls->n < SOURCES_MAX ? urls->n : SOURCES_MAX;

    TRY(snapcheck_new(job->name, NULL, &named)); /* a bad name is nobody's fault but the caller's */
    for (size_t i = 0; i < n; i++) {
        err_free(e);
        e = fetch_snapshot(ctx, urls->items[i], job, ret);
        if (!e || !is_the_sources_fault(e))
            return TAKE(e);
        if (i + 1 < n && job->failed) {
            AUTO(freep) char *from = place_of(urls->items[i]);

            job->failed(job->arg, from, e);
        }
        strbuf_printf(&why, "%s%s", i ? "; " : "", e->text);
    }
    if (!e)
        return err_new(ERR_NOTFOUND, "no source has '%s'", job->name);
    if (n == 1)
        return TAKE(e);
    return err_new(e->kind, "%zu sources failed: %s", n, strbuf_text(&why));
}
