/* See archive.h. One thread runs all transfers and writes; the partial file's thread makes durable
 * and the verifier's checks. Here: what is begun when (the decisions themselves are schedule.c's),
 * what is told on the way, and the end. */
#include "fetch/archive.h"

#include <stdlib.h>

#include "base/fault.h"
#include "base/log.h"
#include "fetch/archive_parts.h"
#include "fetch/schedule.h"
#include "io/clock.h"
#include "io/http.h"
#include "solana/snapshot_name.h"

#define SPARE_B       ((uint64_t)1 << 30)
#define MIN_RATE_B_S  ((uint64_t)64 << 10)
#define MAX_STREAMS   16
#define EACH_STREAMS  4 /* connections to a source: they hide the round trips */
#define TICK_MS       50
#define TELL_NS       ((uint64_t)500000000)
#define ROOM_NS       ((uint64_t)1000000000)
#define HELD_UP_NS    ((uint64_t)1000000000)
#define STALL_S       3.0
#define PROOF_S       12.0 /* for the fingerprint; then at the least rate */
#define LIMITED       0.4  /* of the limit: a machine that is busy need not reach all of it */
#define ANSWER_S      6.0
#define JUDGE_S       5.0
#define FORGIVEN_S    20.0
#define LAST_S        30.0
#define LAST_CHECKS_S 10.0
#define HEARD_S       2.0     /* and a twentieth of what it took: for the first words of others */
#define OVERLAPS      8       /* of a source, and then each eighth */
#define FULL_LIMIT_S  12000.0 /* Agave's least for a full archive, and what an incremental gets */
#define INCR_LIMIT_S  250.0

void fetch_report_clear(struct fetch_report *r)
{
    for (size_t i = 0; i < r->n_shares; i++) {
        free((void *)(uintptr_t)r->shares[i].label);
        free((void *)(uintptr_t)r->shares[i].why);
    }
    free(r->shares);
    strlist_clear(&r->dropped);
    strlist_clear(&r->bad_peers);
    *r = (struct fetch_report){0};
}

void archive_fail(struct archive *a, struct err *e)
{
    if (a->fatal)
        err_free(e);
    else
        a->fatal = e;
}

/* ---- what is begun ------------------------------------------------------------------------ */

struct picture {
    struct sched_source sources[SOURCES_MAX];
    struct sched_stream streams[STREAMS_MAX];
    struct stream *of[STREAMS_MAX];
    struct sched_view view;
};

static uint64_t block_up(const struct archive *a, uint64_t at_b)
{
    uint64_t up = (at_b + SEGMENT_BLOCK_B - 1) / SEGMENT_BLOCK_B * SEGMENT_BLOCK_B;

    return up < partial_total_b(a->partial) ? up : partial_total_b(a->partial);
}

static void picture_sources(const struct archive *a, uint64_t now, struct picture *p)
{
    for (size_t i = 0; i < a->n_sources; i++) {
        const struct source *s = &a->sources[i];
        bool ready = source_may_work(a, s, now) && s->answered;

        p->sources[i] = (struct sched_source){
            .ready = ready && (s->state == SOURCE_READY || !s->ranges),
            .ranges = s->ranges,
            .streams = s->n_streams,
            /* What it is begun with proves it; nothing may make that slower. */
            .max_streams = s->strikes || !source_has_print(a, s) ? 1 : EACH_STREAMS,
            .rate_b_s = source_prospect(s, now),
            .tried = s->tried,
        };
    }
}

/* Of one without ranges: when it becomes slow, a new start elsewhere is dear enough without waiting
 * for the average to say so. */
static double present_rate(const struct stream *s, double average_b_s, uint64_t now)
{
    double b_s = meter_rate(&s->meter, now, 2);

    if (meter_age_s(&s->meter, now) < 2)
        return average_b_s;
    b_s = b_s < average_b_s ? b_s : average_b_s;
    return b_s < 1 ? 1 : b_s; /* 0 would be unknown */
}

static void picture_streams(const struct archive *a, uint64_t now, struct picture *p)
{
    for (size_t i = 0; i < a->n_streams; i++) {
        struct stream *s = a->streams[i];
        size_t source = (size_t)(s->source - a->sources);
        struct sched_source *of = &p->sources[source];

        if (s->enough || !s->source->answered)
            continue;
        if (s->kind == STREAM_SINGLE && (!of->running || s->pos_b > of->pos_b)) {
            of->running = true;
            of->rate_b_s = present_rate(s, of->rate_b_s, now);
            of->pos_b = s->pos_b;
            of->age_s = meter_age_s(&s->meter, now);
        }
        p->of[p->view.n_streams] = s;
        p->streams[p->view.n_streams++] = (struct sched_stream){
            .source = source,
            .pos_b = s->pos_b,
            .end_b = block_up(a, s->end_b),
            .rate_b_s = stream_rate(s, now),
            .compares = s->hedge || s->kind == STREAM_CHECK || s->source->state != SOURCE_READY,
            .hedged = s->hedged,
        };
    }
}

static void take_picture(const struct archive *a, struct picture *p)
{
    uint64_t now = clock_mono_ns(a->ctx), total_b = partial_total_b(a->partial);

    p->view = (struct sched_view){
        .total_b = total_b,
        .missing_b = total_b - partial_have_b(a->partial),
        .first = (size_t)(partial_frontier_b(a->partial) / SEGMENT_BLOCK_B),
        .sources = p->sources,
        .n_sources = a->n_sources,
        .streams = p->streams,
        .max_streams = a->max_streams,
        .in_order = a->verifier != NULL,
    };
    p->view.blocks = partial_blocks(a->partial, &p->view.n_blocks);
    picture_sources(a, now, p);
    picture_streams(a, now, p);
}

/* The block before was somebody else's: it is read once more, which proves that both have the same
 * file where they meet. */
static uint64_t with_overlap(const struct archive *a, struct source *s, uint64_t from_b)
{
    size_t n, at = (size_t)(from_b / SEGMENT_BLOCK_B);
    const uint8_t *blocks = partial_blocks(a->partial, &n);

    if (!at || blocks[at - 1] == SEGMENT_MISSING || blocks[at - 1] == s->id)
        return from_b;
    if (a->known && blocks[at - 1] == SEGMENT_EARLIER)
        return from_b; /* these very sources wrote it */
    if (s->overlaps++ >= OVERLAPS && s->overlaps % OVERLAPS)
        return from_b;
    return from_b - SEGMENT_BLOCK_B;
}

static void do_move(struct archive *a, struct picture *p, const struct sched_move *m)
{
    struct source *s = &a->sources[m->source];
    struct stream *n;

    if (m->what == SCHED_STEAL)
        p->of[m->victim]->end_b = m->from_b;
    if (m->what == SCHED_HEDGE)
        p->of[m->victim]->hedged = true;
    /* Those without ranges that race side by side all end where the other one begins. */
    for (size_t i = 0; m->what == SCHED_STEAL && i < a->n_streams; i++)
        if (a->streams[i]->kind == STREAM_SINGLE && a->streams[i]->end_b > m->from_b &&
            p->of[m->victim]->kind == STREAM_SINGLE)
            a->streams[i]->end_b = m->from_b;
    n = stream_begin(a, s, STREAM_FILL, with_overlap(a, s, m->from_b), m->to_b);
    n->hedge = m->what == SCHED_HEDGE;
}

/* One that failed may fail again, and the end would wait for it: is there somebody else who could
 * compare that block? */
static bool others_compare(const struct archive *a, const struct source *s, size_t block)
{
    uint64_t now = clock_mono_ns(a->ctx);
    size_t n;
    const uint8_t *blocks = partial_blocks(a->partial, &n);

    for (size_t i = 0; s->strikes && block < n && i < a->n_sources; i++) {
        const struct source *o = &a->sources[i];

        if (o->state == SOURCE_READY && o->ranges && !o->strikes && o->id != blocks[block] &&
            source_may_work(a, o, now))
            return true;
    }
    return false;
}

/* One that is due and that this source can make; false: none. */
static bool begin_check(struct archive *a, struct source *s)
{
    size_t n;
    const uint8_t *blocks = partial_blocks(a->partial, &n);

    for (size_t i = 0; i < a->n_checks; i++) {
        struct check c = a->checks[i];

        if (c.to > n || blocks[c.from] == SEGMENT_MISSING || blocks[c.from] == s->id ||
            others_compare(a, s, c.from))
            continue;
        a->checks[i] = a->checks[--a->n_checks];
        stream_begin(a, s, STREAM_CHECK, c.from * SEGMENT_BLOCK_B,
                     block_up(a, c.to * SEGMENT_BLOCK_B));
        return true;
    }
    return false;
}

/* What was asked of one that has failed since is somebody else's. */
static void hand_on_checks(struct archive *a)
{
    for (size_t i = a->n_streams; i > 0; i--) {
        struct stream *s = a->streams[i - 1];
        size_t block = (size_t)(s->pos_b / SEGMENT_BLOCK_B);

        if (s->kind == STREAM_CHECK && !s->enough && s->pos_b < s->end_b &&
            a->n_checks < CHECKS_MAX && !(a->dispute.on && a->dispute.judge == s->source) &&
            others_compare(a, s->source, block))
            stream_end(s);
    }
}

static void begin_checks(struct archive *a)
{
    uint64_t now = clock_mono_ns(a->ctx);

    for (size_t i = 0; i < a->n_sources && a->n_checks; i++) {
        struct source *s = &a->sources[i];

        if (s->state == SOURCE_READY && s->ranges && source_may_work(a, s, now) &&
            s->n_streams < EACH_STREAMS && a->n_streams < STREAMS_MAX)
            (void)begin_check(a, s);
    }
}

/* How long those with ranges need for the rest; < 0: nobody is at work. */
static double present_s(const struct picture *p)
{
    double b_s = 0;

    for (size_t i = 0; i < p->view.n_sources; i++)
        if (p->sources[i].ready && p->sources[i].ranges)
            b_s += p->sources[i].rate_b_s > 0 ? p->sources[i].rate_b_s : 1e6;
    return b_s > 0 ? (double)p->view.missing_b / b_s : -1;
}

/* One that is not needed is left when it has said what the others are compared with. */
static void end_single(struct archive *a, const struct source *s)
{
    uint64_t head_b = block_up(a, sources_head_b(a));

    for (size_t i = a->n_streams; i > 0; i--)
        if (a->streams[i - 1]->source != s)
            continue;
        else if (source_has_head(a, s) || a->streams[i - 1]->begun_b)
            stream_end(a->streams[i - 1]);
        else if (a->streams[i - 1]->end_b > head_b)
            a->streams[i - 1]->end_b = head_b;
}

static void begin_singles(struct archive *a, const struct picture *p)
{
    bool shall[SOURCES_MAX];

    schedule_singles(&p->view, present_s(p), a->limit_s, shall);
    for (size_t i = 0; i < a->n_sources; i++) {
        struct source *s = &a->sources[i];

        if (!s->answered || s->ranges || shall[i] == p->sources[i].running)
            continue;
        if (!shall[i] && a->dispute.on && a->dispute.judge == s)
            continue;
        if (!shall[i])
            end_single(a, s);
        else if (a->n_streams < STREAMS_MAX && !s->n_streams)
            stream_begin(a, s, STREAM_SINGLE, 0, s->total_b);
    }
}

/* What was forgotten behind those that read from the beginning: the quickest begins once more. */
static void begin_filler(struct archive *a)
{
    uint64_t low_b = UINT64_MAX, now = clock_mono_ns(a->ctx), end_b;
    const struct stream *best = NULL;

    for (size_t i = 0; i < a->n_streams; i++) {
        const struct stream *s = a->streams[i];

        if (s->source->ranges && s->source->state == SOURCE_READY)
            return;
        if (s->kind != STREAM_SINGLE || s->source->state != SOURCE_READY || s->enough)
            continue;
        low_b = s->pos_b < low_b ? s->pos_b : low_b;
        if (!best || stream_rate(s, now) > stream_rate(best, now))
            best = s;
    }
    end_b = best ? low_b : 0;
    if (partial_frontier_b(a->partial) < end_b && a->n_streams < STREAMS_MAX)
        stream_begin(a, best->source, STREAM_SINGLE, 0, best->source->total_b)->end_b = end_b;
}

/* Those that were not heard of yet, or have to be asked again. */
static void begin_asking(struct archive *a)
{
    uint64_t now = clock_mono_ns(a->ctx);

    for (size_t i = 0; i < a->n_sources && a->n_streams < STREAMS_MAX; i++) {
        struct source *s = &a->sources[i];

        if (s->state != SOURCE_ASKED || s->n_streams || s->not_before_ns > now)
            continue;
        if (s->answered && source_has_head(a, s))
            continue;
        s->answered = false; /* or its answer was cut off */
        stream_begin(a, s, STREAM_ASK, 0, sources_head_b(a));
    }
}

void archive_plan(struct archive *a)
{
    AUTO(freep) struct picture *p = NULL;

    if (a->fatal)
        return;
    begin_asking(a);
    if (partial_total_b(a->partial) == UINT64_MAX)
        return;
    begin_checks(a);
    if (partial_whole(a->partial))
        return;
    p = xcalloc(1, sizeof(*p));
    take_picture(a, p);
    begin_singles(a, p);
    begin_filler(a);
    for (int guard = 0; guard < STREAMS_MAX; guard++) {
        struct sched_move m;

        memset(p, 0, sizeof(*p));
        take_picture(a, p);
        m = schedule_next(&p->view);
        if (m.what == SCHED_NOTHING || a->n_streams == STREAMS_MAX)
            return;
        do_move(a, p, &m);
    }
}

/* ---- who is too slow ---------------------------------------------------------------------- */

/* Ours is the fault when nothing was taken for a while: a disk that blocks. */
static void forgive_all(struct archive *a, uint64_t now)
{
    for (size_t i = 0; i < a->n_sources; i++)
        meter_begin(&a->sources[i].meter, now);
    for (size_t i = 0; i < a->n_streams; i++)
        meter_begin(&a->streams[i]->meter, now);
}

static size_t rates_of_others(const struct archive *a, const struct source *s, uint64_t now,
                              double *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < a->n_sources; i++) {
        const struct source *o = &a->sources[i];

        if (o == s || o->state != SOURCE_READY || !source_may_work(a, o, now))
            continue;
        if (s->ranges ? o->ranges : true)
            ret[n++] = source_rate(o, now);
    }
    return n;
}

static struct err *too_slow(double rate_b_s, double over_s)
{
    char text[32];

    if (rate_b_s < 1)
        return err_new(ERR_TIMEOUT, "no bytes for %.0f s", over_s);
    return err_new(ERR_TIMEOUT, "only %s/s", fmt_size((uint64_t)rate_b_s, text, sizeof(text)));
}

static uint64_t min_rate(const struct archive *a)
{
    return a->job->min_rate_b_s ? a->job->min_rate_b_s : MIN_RATE_B_S;
}

/* The operator's limit is what holds all of them up: nobody is slow then. */
static bool is_limited(const struct archive *a, uint64_t now)
{
    double limit_b_s = (double)a->job->max_rate_b_s;

    return limit_b_s > 0 && meter_rate(&a->wire, now, JUDGE_S) > limit_b_s * LIMITED;
}

static void judge_ready(struct archive *a, struct source *s, uint64_t now)
{
    double others[SOURCES_MAX], rate = meter_rate(&s->meter, now, JUDGE_S);
    double age_s = meter_age_s(&s->meter, now), idle_s = meter_idle_s(&s->meter, now);
    uint64_t min_b_s = min_rate(a);
    size_t n = rates_of_others(a, s, now, others);

    if (age_s >= JUDGE_S && rate > s->best_b_s)
        s->best_b_s = rate;
    if (s->strikes && (double)(now - s->struck_ns) / 1e9 > FORGIVEN_S && age_s >= JUDGE_S)
        s->strikes--, s->struck_ns = now;
    if (n && idle_s >= STALL_S)
        source_strike(a, s, too_slow(0, idle_s));
    else if (age_s >= JUDGE_S && schedule_is_slow(rate, s->best_b_s, (double)min_b_s, others, n))
        source_strike(a, s, too_slow(rate, JUDGE_S));
    else if (!n && age_s >= LAST_S && meter_rate(&s->meter, now, 9) < (double)min_b_s &&
             idle_s >= 0)
        source_drop(a, s, too_slow(rate, LAST_S));
}

/* One that has not proven itself yet holds nobody up, but it is not waited for without end. */
static void judge_asked(struct archive *a, struct source *s, uint64_t now)
{
    double rate = meter_rate(&s->meter, now, JUDGE_S);

    if (s->n_streams && meter_idle_s(&s->meter, now) >= ANSWER_S)
        source_strike(a, s, too_slow(0, ANSWER_S));
    else if (s->n_streams && meter_age_s(&s->meter, now) >= PROOF_S && rate < (double)min_rate(a))
        source_strike(a, s, too_slow(rate, JUDGE_S));
}

/* A single connection that stands still while the others of its source go on. */
static void judge_streams(struct archive *a, uint64_t now)
{
    for (size_t i = a->n_streams; i > 0; i--) {
        struct stream *s = a->streams[i - 1];

        if (s->kind != STREAM_SINGLE && s->source->state == SOURCE_READY &&
            meter_idle_s(&s->meter, now) >= STALL_S && meter_idle_s(&s->source->meter, now) < 1)
            stream_end(s);
    }
}

static bool is_there(const struct archive *a, const struct stream *s)
{
    size_t n, to = segment_blocks(s->end_b);
    const uint8_t *blocks = partial_blocks(a->partial, &n);

    for (size_t i = (size_t)(s->pos_b / SEGMENT_BLOCK_B); i < to && i < n; i++)
        if (blocks[i] == SEGMENT_MISSING)
            return false;
    return true;
}

/* Of two that were asked for the same, the one that comes second. */
static void end_needless(struct archive *a)
{
    for (size_t i = a->n_streams; i > 0; i--) {
        struct stream *s = a->streams[i - 1];

        if (s->kind == STREAM_FILL && (s->hedge || s->hedged) && is_there(a, s))
            stream_end(s);
    }
}

static void judge(struct archive *a, uint64_t now)
{
    bool limited = is_limited(a, now);

    for (size_t i = 0; i < a->n_sources && !limited; i++) {
        struct source *s = &a->sources[i];

        if (s->state == SOURCE_READY && s->n_streams)
            judge_ready(a, s, now);
        else if (s->state == SOURCE_ASKED)
            judge_asked(a, s, now);
    }
    if (!limited)
        judge_streams(a, now);
    end_needless(a);
}

/* ---- what is told ------------------------------------------------------------------------- */

static void fill_shares(const struct archive *a, uint64_t now, struct fetch_share *ret)
{
    for (size_t i = 0; i < a->n_sources; i++) {
        const struct source *s = &a->sources[i];

        ret[i] = (struct fetch_share){
            .label = s->label,
            .bytes_b = s->kept_b,
            .rate_b_s = s->n_streams ? meter_rate(&s->meter, now, 3) : 0,
            .ranges = s->ranges,
            .why = s->state == SOURCE_DROPPED && s->why ? s->why->text : NULL,
        };
    }
}

static void tell(struct archive *a, uint64_t now)
{
    struct fetch_share shares[SOURCES_MAX];
    struct fetch_progress p = {
        .file = a->job->name,
        .done_b = partial_have_b(a->partial),
        .total_b = partial_total_b(a->partial),
        .verified_b = a->verifier ? verifier_done_b(a->verifier) : 0,
        .again_b = a->again_b,
        .rate_b_s = meter_rate(&a->kept, now, 3),
        .eta_s = -1,
        .shares = shares,
        .n_shares = a->n_sources,
    };

    if (!a->job->progress)
        return;
    if (p.done_b == p.total_b)
        p.eta_s = 0;
    else if (p.total_b != UINT64_MAX && p.rate_b_s > 0)
        p.eta_s = (double)(p.total_b - p.done_b) / p.rate_b_s;
    fill_shares(a, now, shares);
    a->job->progress(a->job->arg, &p);
}

static struct err *look_after(struct archive *a, uint64_t now)
{
    if (now - a->told_ns >= TELL_NS) {
        a->told_ns = now;
        tell(a, now);
        if (a->job->may_go_on)
            TRY(a->job->may_go_on(a->job->arg));
    }
    if (now - a->room_ns >= ROOM_NS && partial_total_b(a->partial) != UINT64_MAX) {
        a->room_ns = now;
        TRY(partial_has_room(a->partial, a->spare_b));
    }
    return NULL;
}

/* ---- the end of it ------------------------------------------------------------------------ */

/* One that can is there, if only after a pause. */
static bool can_be_compared(const struct archive *a)
{
    size_t n;
    const uint8_t *blocks = partial_blocks(a->partial, &n);

    for (size_t i = 0; i < a->n_checks; i++)
        for (size_t k = 0; k < a->n_sources && a->checks[i].to <= n; k++)
            if (a->sources[k].state == SOURCE_READY && a->sources[k].ranges &&
                blocks[a->checks[i].from] != a->sources[k].id)
                return true;
    return false;
}

/* Of a small file the first one may have sent all before another one has said a word. */
static bool is_to_be_heard(const struct archive *a, uint64_t now)
{
    double took_s = (double)(a->done_ns - a->begun_ns) / 1e9;
    double since_s = (double)(now - a->done_ns) / 1e9;
    enum sources_word said = sources_word(a);

    if (said == SOURCES_DISAGREE)
        return true;
    if (since_s > took_s / 20 + HEARD_S || said == SOURCES_AGREE)
        return false;
    for (size_t i = 0; i < a->n_streams; i++) {
        const struct stream *s = a->streams[i];

        if (!s->enough && s->source->state <= SOURCE_READY &&
            !(s->source->answered && source_has_head(a, s->source)))
            return true;
    }
    return false;
}

/* The last comparisons are waited for, as long as something comes: what is compared is little, and
 * who is too slow is left. */
static bool is_comparing(struct archive *a, uint64_t now)
{
    bool in_time;

    if (blame_is_asking(a))
        return true;
    a->done_ns = a->done_ns ? a->done_ns : now;
    if (is_to_be_heard(a, now))
        return true;
    if (!a->whole_ns || a->whole_wire_b != a->wire_b)
        a->whole_ns = now;
    a->whole_wire_b = a->wire_b;
    in_time = (double)(now - a->whole_ns) / 1e9 <= LAST_CHECKS_S;
    if (in_time)
        hand_on_checks(a);
    if (in_time)
        begin_checks(a);
    for (size_t i = 0; i < a->n_streams; i++) {
        const struct stream *s = a->streams[i];

        if (s->kind == STREAM_CHECK && !s->enough &&
            (in_time || (a->dispute.on && a->dispute.judge == s->source)))
            return true;
        if (s->kind == STREAM_PRINT && s->source->state == SOURCE_ASKED && in_time && a->n_checks)
            return true; /* it is about to be one that can compare */
    }
    return in_time && (a->dispute.on || can_be_compared(a));
}

/* ---- the loop ----------------------------------------------------------------------------- */

struct run {
    struct archive *a;
    struct fetch_report *report;
    bool good, stop;
};

static struct err *tick(void *arg, bool *ret_stop)
{
    struct run *r = arg;
    struct archive *a = r->a;
    uint64_t now = clock_mono_ns(a->ctx);
    bool none = false;

    if (a->fatal)
        return TAKE(a->fatal);
    if (now - a->tick_ns < (uint64_t)TICK_MS * 500000)
        return NULL;
    if (now - a->tick_ns > HELD_UP_NS)
        forgive_all(a, now);
    a->tick_ns = now;
    judge(a, now);
    TRY(dispute_tick(a));
    TRY(sources_group(a));
    TRY(look_after(a, now));
    TRY(blame_hear(a, &r->report->check, &r->good));
    TRY(blame_tick(a));
    if (!partial_whole(a->partial)) {
        a->whole_ns = a->done_ns = 0;
        TRY(sources_in_time(a, now));
        TRY(sources_none_left(a, &none));
    }
    r->stop = *ret_stop = partial_whole(a->partial) && !is_comparing(a, now);
    if (none && !r->stop)
        return sources_error(a);
    archive_plan(a);
    if (a->fatal)
        return TAKE(a->fatal);
    return NULL;
}

/* Until the file is whole; between two tries of sources that wait there may be no transfer. */
static struct err *receive(struct run *r)
{
    struct archive *a = r->a;

    for (r->stop = false; !r->stop;) {
        bool stop = false;

        TRY(http_loop_run(a->loop, TICK_MS, tick, r));
        if (ctx_cancelled(a->ctx))
            return err_new(ERR_CANCELLED, "interrupted");
        if (!r->stop)
            TRY(tick(r, &stop));
        if (!r->stop && !a->n_streams)
            a->ctx->clock->wait((uint64_t)TICK_MS * 1000000, a->ctx->cancelled);
    }
    streams_end_of(a, NULL);
    return NULL;
}

static struct err *await_verifier(struct run *r)
{
    struct archive *a = r->a;

    while (a->verifier && !verifier_is_over(a->verifier)) {
        if (ctx_cancelled(a->ctx))
            return err_new(ERR_CANCELLED, "interrupted");
        TRY(look_after(a, clock_mono_ns(a->ctx)));
        (void)verifier_wait(a->verifier, 100);
    }
    return r->good ? NULL : blame_hear(a, &r->report->check, &r->good);
}

static void fill_report(struct archive *a, struct fetch_report *ret)
{
    uint64_t now = clock_mono_ns(a->ctx);

    ret->size_b = partial_total_b(a->partial);
    ret->resumed_b = partial_resumed_b(a->partial);
    ret->front_b = a->front_b;
    ret->wire_b = a->wire_b;
    ret->seconds = (double)(now - a->begun_ns) / 1e9;
    ret->first_byte_s = a->first_ns ? (double)(a->first_ns - a->begun_ns) / 1e9 : 0;
    ret->shares = xcalloc(a->n_sources, sizeof(*ret->shares));
    ret->n_shares = a->n_sources;
    fill_shares(a, now, ret->shares);
    for (size_t i = 0; i < a->n_sources; i++) {
        ret->shares[i].label = xstrdup(ret->shares[i].label);
        ret->shares[i].why = ret->shares[i].why ? xstrdup(ret->shares[i].why) : NULL;
    }
    ret->dropped = a->dropped;
    ret->bad_peers = a->bad;
    a->dropped = a->bad = (struct strlist){0};
}

static void archive_clear(struct archive *a)
{
    streams_end_of(a, NULL);
    http_loop_free(a->loop);
    verifier_free(a->verifier);
    partial_free(a->partial);
    dispute_end(a);
    blame_end(a);
    witness_clear(a);
    sources_close(a);
    strlist_clear(&a->dropped);
    strlist_clear(&a->bad);
    err_free(a->fatal);
}

static struct err *prepare(struct archive *a)
{
    const struct fetch_job *job = a->job;
    struct http_loop_opts opts = {.max_sockets = STREAMS_MAX, .rate_b_s = job->max_rate_b_s};
    struct snapshot_name name;

    TRY(snapshot_name_parse(job->name, &name));
    a->limit_s = name.incremental ? INCR_LIMIT_S : FULL_LIMIT_S;
    a->max_streams = job->max_streams ? job->max_streams : MAX_STREAMS;
    if (a->max_streams > STREAMS_MAX / 2)
        a->max_streams = STREAMS_MAX / 2; /* the rest is for asking and checking */
    a->spare_b = job->spare_b ? job->spare_b : SPARE_B;
    a->begun_ns = a->tick_ns = clock_mono_ns(a->ctx);
    a->deadline = (struct deadline){.by_ns = job->whole_by_ns, .begun_ns = a->begun_ns};
    TRY(sources_open(a));
    TRY(partial_open(a->ctx, job->dir, job->name, &a->partial));
    a->known = partial_have_b(a->partial) > 0;
    for (size_t i = 0; i < a->n_sources; i++)
        a->known = a->known && partial_is_proven(a->partial, a->sources[i].token);
    for (size_t i = 0; i < a->n_sources; i++)
        a->sources[i].probed = a->known;
    if (partial_total_b(a->partial) != UINT64_MAX) /* it may be whole, and no source needed */
        TRY(archive_verify_again(a));
    return http_loop_new(a->ctx, &opts, &a->loop);
}

static struct err *whole_and_proven(struct archive *a, struct fetch_report *ret)
{
    struct run run = {.a = a, .report = ret};

    while (!run.good) {
        TRY(receive(&run));
        TRY(await_verifier(&run));
    }
    return NULL;
}

struct err *fetch_archive(struct ctx *ctx, const struct fetch_job *job, struct fetch_report *ret)
{
    AUTO(archive_clear) struct archive a = {.ctx = ctx, .job = job};
    AUTO(fetch_report_clear) struct fetch_report report = {0};

    TRY(prepare(&a));
    TRY_CTX(whole_and_proven(&a, &report), "cannot fetch '%s'", job->name);
    FAULT("fetch-whole");
    blame_passed(&a);
    fill_report(&a, &report);
    if (job->finishing)
        TRY(job->finishing(job->arg, &report));
    TRY(partial_finish(a.partial, job->uid, job->gid));
    tell(&a, clock_mono_ns(ctx));
    *ret = report;
    report = (struct fetch_report){0};
    return NULL;
}
