/* How fast each source is, all of them at once: one after another takes minutes and meets other
 * moments. Side by side they share our link, so a second phase lets the fastest go on alone: when
 * they then give more, it was we who were slow. Nothing is kept. */
#include "fetch/find.h"

#include <stdlib.h>

#include "io/clock.h"
#include "io/http_loop.h"

#define TOTAL_MS    10000
#define AT_ONCE_MAX 64
#define WAKE_MS     20
#define FULL_PART   0.6  /* of the time, for all of them together */
#define CROWDED     1.25 /* so much more alone is no chance */
#define OWN_SHARE   0.7  /* of an equal share: who has it may have been held back by the others */
#define SLACK_MS    100  /* of the whole time, for the end */

enum phase { WARM_UP, ALL, ALONE_WARM_UP, ALONE, OVER };

struct source {
    struct measuring *m;
    struct fetch_offer *offer;
    struct http_transfer *t; /* NULL: it has ended */
    uint64_t bytes, mark_b;  /* mark: at the begin of the phase that counts */
    uint64_t first_ns, end_ns;
    double all_b_s, alone_b_s; /* < 0: not measured */
    bool alone;                /* of those that go on alone */
};

struct measuring {
    struct ctx *ctx;
    struct source *sources;
    size_t n;
    enum phase phase;
    uint64_t begun_ns, mark_ns;
    double total_s;
};

static uint64_t now_ns(const struct measuring *m)
{
    return clock_mono_ns(m->ctx);
}

static double seconds(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e9 : 0;
}

static struct err *on_data(void *arg, const void *data, size_t n)
{
    struct source *s = arg;

    if (!s->first_ns)
        s->first_ns = now_ns(s->m);
    s->bytes += n;
    return NULL;
}

static void on_done(void *arg, struct http_transfer *t, struct http_response *r)
{
    struct source *s = arg;

    s->t = NULL;
    s->end_ns = now_ns(s->m);
}

static void begin(struct measuring *m, struct http_loop *l, struct source *s,
                  const struct http_way *way)
{
    const struct fetch_offer *o = s->offer;
    struct http_request req = {
        .method = "GET",
        .url = o->full.url ? o->full.url : o->incr.url,
        .follow = true,
        .max_body_b = UINT64_MAX,
        .on_data = on_data,
        .arg = s,
    };

    http_take_way(&req, way);
    s->m = m;
    s->all_b_s = s->alone_b_s = -1;
    s->t = http_begin(l, &req, on_done, s);
}

/* Since the mark. One that ended before it has the rate of all that it gave. */
static double rate_of(const struct source *s, uint64_t now)
{
    uint64_t mark_ns = s->m->mark_ns;
    double s_all, s_mark;

    if (!s->first_ns)
        return 0;
    if (s->t || s->end_ns > mark_ns) {
        s_mark = seconds(mark_ns > s->first_ns ? mark_ns : s->first_ns, s->t ? now : s->end_ns);
        if (s_mark > 0.1 || s->t)
            return s_mark > 0 ? (double)(s->bytes - s->mark_b) / s_mark : 0;
    }
    s_all = seconds(s->first_ns, s->end_ns);
    return (double)s->bytes / (s_all > 0.001 ? s_all : 0.001);
}

static void mark(struct measuring *m)
{
    m->mark_ns = now_ns(m);
    for (size_t i = 0; i < m->n; i++)
        m->sources[i].mark_b = m->sources[i].bytes;
}

static int by_rate(const void *a, const void *b)
{
    const struct source *const *x = a, *const *y = b;

    return ((*x)->all_b_s < (*y)->all_b_s) - ((*x)->all_b_s > (*y)->all_b_s);
}

/* The fastest quarter of those that still run goes on; false: there are no others to be without.
 * The others end: paused ones would go on to fill the kernel's buffers. */
static bool leave_the_fastest(struct measuring *m)
{
    AUTO(freep) struct source **order = xcalloc(m->n, sizeof(*order));
    size_t n = 0, alone;

    for (size_t i = 0; i < m->n; i++)
        if (m->sources[i].t)
            order[n++] = &m->sources[i];
    if (n < 2)
        return false;
    qsort(order, n, sizeof(*order), by_rate);
    alone = n / 4 ? n / 4 : 1;
    for (size_t i = 0; i < n; i++) {
        order[i]->alone = i < alone;
        if (!order[i]->alone)
            http_cancel(TAKE(order[i]->t));
    }
    return true;
}

static void end_all(struct measuring *m)
{
    uint64_t now = now_ns(m);

    for (size_t i = 0; i < m->n; i++)
        m->sources[i].all_b_s = rate_of(&m->sources[i], now);
    m->phase = leave_the_fastest(m) ? ALONE_WARM_UP : OVER;
}

static void end_alone(struct measuring *m)
{
    uint64_t now = now_ns(m);

    for (size_t i = 0; i < m->n; i++)
        if (m->sources[i].alone)
            m->sources[i].alone_b_s = rate_of(&m->sources[i], now);
    m->phase = OVER;
}

/* When the phase that is on ends, in seconds from the begin. One source alone has all of the time.
 */
static double phase_end_s(const struct measuring *m)
{
    double all_s = m->n > 1 ? m->total_s * FULL_PART : m->total_s;

    switch (m->phase) {
    case WARM_UP:
        return all_s / 2;
    case ALL:
        return all_s;
    case ALONE_WARM_UP:
        return (all_s + m->total_s) / 2;
    case ALONE:
    case OVER:
        break;
    }
    return m->total_s;
}

static void next_phase(struct measuring *m)
{
    if (m->phase == ALL) {
        end_all(m);
    } else if (m->phase == ALONE) {
        end_alone(m);
    } else {
        mark(m);
        m->phase++;
    }
}

static struct err *on_tick(void *arg, bool *ret_stop)
{
    struct measuring *m = arg;

    if (m->phase != OVER && seconds(m->begun_ns, now_ns(m)) >= phase_end_s(m))
        next_phase(m);
    *ret_stop = m->phase == OVER;
    return NULL;
}

/* Those that went on alone, against the same ones among all. */
static struct fetch_measured judge(const struct measuring *m)
{
    double all = 0, before = 0, after = 0;
    struct fetch_measured r = {0};

    for (size_t i = 0; i < m->n; i++) {
        const struct source *s = &m->sources[i];

        all += s->all_b_s > 0 ? s->all_b_s : 0;
        if (s->alone_b_s < 0)
            continue;
        before += s->all_b_s;
        after += s->alone_b_s;
    }
    r.own_limit = before > 0 && after > CROWDED * before;
    r.all_b_s = all > after ? all : after;
    return r;
}

static void write_rates(const struct measuring *m, const struct fetch_measured *r)
{
    double share = 0;

    for (size_t i = 0; i < m->n; i++)
        share += m->sources[i].all_b_s > 0 ? m->sources[i].all_b_s / (double)m->n : 0;
    for (size_t i = 0; i < m->n; i++) {
        const struct source *s = &m->sources[i];

        s->offer->rate_b_s = s->alone_b_s >= 0 ? s->alone_b_s : s->all_b_s;
        s->offer->rate_floor = r->own_limit && s->all_b_s >= OWN_SHARE * share;
    }
}

static struct err *measure(struct measuring *m, const struct http_way *way)
{
    const struct http_loop_opts o = {.max_sockets = AT_ONCE_MAX};
    AUTO(http_loop_freep) struct http_loop *l = NULL;

    TRY(http_loop_new(m->ctx, &o, &l));
    m->begun_ns = now_ns(m);
    for (size_t i = 0; i < m->n; i++)
        begin(m, l, &m->sources[i], way);
    TRY(http_loop_run(l, WAKE_MS, on_tick, m));
    /* all may be at their end before the time is over */
    if (m->phase == WARM_UP || m->phase == ALL)
        end_all(m);
    else if (m->phase != OVER)
        end_alone(m);
    return NULL;
}

struct err *fetch_measure(struct ctx *ctx, struct fetch_offer *const *offers, size_t n,
                          uint32_t total_ms, const struct http_way *way, struct fetch_measured *ret)
{
    AUTO(freep) struct source *sources = xcalloc(n, sizeof(*sources));
    struct measuring m = {.ctx = ctx, .sources = sources};
    struct fetch_measured got = {0};

    m.total_s = (double)((total_ms ? total_ms : TOTAL_MS) - SLACK_MS) / 1000;
    for (size_t i = 0; i < n && m.n < AT_ONCE_MAX; i++)
        if (offers[i]->full.url || offers[i]->incr.url)
            sources[m.n++].offer = offers[i];
    if (m.n) {
        TRY(measure(&m, way));
        got = judge(&m);
        write_rates(&m, &got);
    }
    if (ret)
        *ret = got;
    return NULL;
}
