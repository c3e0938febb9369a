/* fetch/schedule: in any world of sources all bytes come, each once, and nearly as fast as these
 * sources can; and fetch/meter. The worlds are played in steps of 10 ms. */
#include "fetch/schedule.h"

#include "fetch/meter.h"
#include "fetch/segment_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define SOURCES 6
#define STREAMS 16
#define STEP_S  0.01
#define MIB     ((uint64_t)1 << 20)

struct world_source {
    double rate_b_s;                    /* of all its connections together */
    double stalls_at_s, throttles_at_s; /* 0: never */
    unsigned connections;
    double throttles_to; /* of its rate; 0: 1/100 */
    bool single;         /* without ranges: it has one stream, from the beginning on */
};
struct world_stream {
    bool on;
    struct sched_stream s;
    double part_b;   /* of the block at pos_b */
    double seen_b_s; /* moving average, as the meter's */
    double begun_s;
};
struct world {
    struct world_source of[SOURCES];
    size_t n;
    uint64_t total_b, have_b, twice_b;
    uint8_t *blocks;
    size_t n_blocks;
    struct world_stream streams[STREAMS];
    double now_s, seen[SOURCES];
    unsigned moves;
    bool in_order;
    uint64_t front_b; /* without a gap when 1/32 was missing */
};

static uint32_t draw(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % below;
}

static void world_open(struct world *w, uint64_t total_b)
{
    w->total_b = total_b;
    w->n_blocks = segment_blocks(total_b);
    w->blocks = calloc(w->n_blocks, 1);
    assert_non_null(w->blocks);
    for (size_t i = 0; i < w->n; i++)
        if (w->of[i].single)
            w->streams[i] = (struct world_stream){.on = true, .s = {.source = i, .end_b = total_b}};
}

static size_t first_missing(const struct world *w)
{
    size_t first = 0;

    while (first < w->n_blocks && w->blocks[first])
        first++;
    return first;
}

static double present_rate(const struct world *w, size_t i)
{
    const struct world_source *s = &w->of[i];

    if (s->stalls_at_s > 0 && w->now_s >= s->stalls_at_s)
        return 0;
    if (s->throttles_at_s > 0 && w->now_s >= s->throttles_at_s)
        return s->rate_b_s * (s->throttles_to > 0 ? s->throttles_to : 0.01);
    return s->rate_b_s;
}

static unsigned streams_of(const struct world *w, size_t i)
{
    unsigned n = 0;

    for (size_t k = 0; k < STREAMS; k++)
        n += w->streams[k].on && w->streams[k].s.source == i;
    return n;
}

/* What the scheduler is told; index[k]: which stream of ours its k-th is. */
static void look(struct world *w, struct sched_source *sources, struct sched_stream *streams,
                 size_t *index, struct sched_view *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < w->n; i++)
        sources[i] = (struct sched_source){
            .ready = true,
            .ranges = !w->of[i].single,
            .running = w->of[i].single && streams_of(w, i),
            .streams = streams_of(w, i),
            .max_streams = w->of[i].connections,
            .rate_b_s = w->seen[i],
        };
    for (size_t k = 0; k < STREAMS; k++)
        if (w->streams[k].on) {
            index[n] = k;
            streams[n] = w->streams[k].s;
            streams[n++].rate_b_s = w->streams[k].seen_b_s;
        }
    *ret = (struct sched_view){
        .total_b = w->total_b,
        .missing_b = w->total_b - w->have_b,
        .blocks = w->blocks,
        .n_blocks = w->n_blocks,
        .first = first_missing(w),
        .sources = sources,
        .n_sources = w->n,
        .streams = streams,
        .n_streams = n,
        .max_streams = STREAMS,
        .in_order = w->in_order,
    };
}

static void expect_sane(const struct world *w, const struct sched_view *v,
                        const struct sched_move *m)
{
    assert_true(m->source < w->n && m->from_b < m->to_b && m->to_b <= w->total_b);
    assert_int_equal(m->from_b % SEGMENT_BLOCK_B, 0);
    assert_true(m->to_b % SEGMENT_BLOCK_B == 0 || m->to_b == w->total_b);
    assert_true(v->sources[m->source].streams < v->sources[m->source].max_streams);
    for (size_t k = 0; k < v->n_streams; k++) {
        const struct sched_stream *s = &v->streams[k];
        bool apart = s->compares || m->to_b <= s->pos_b || m->from_b >= s->end_b;

        if (m->what == SCHED_START)
            assert_true(apart); /* nothing is asked of two without need */
        if (m->what == SCHED_STEAL && k != m->victim && !w->of[s->source].single)
            assert_true(apart);
    }
    if (m->what == SCHED_STEAL)
        assert_true(m->from_b >= v->streams[m->victim].pos_b &&
                    m->from_b < v->streams[m->victim].end_b);
}

static void plan(struct world *w)
{
    for (int guard = 0; guard < 100; guard++) {
        struct sched_source sources[SOURCES];
        struct sched_stream streams[STREAMS];
        size_t index[STREAMS], k = 0;
        struct sched_view v;
        struct sched_move m;

        look(w, sources, streams, index, &v);
        m = schedule_next(&v);
        if (m.what == SCHED_NOTHING)
            return;
        expect_sane(w, &v, &m);
        w->moves++;
        for (size_t i = 0; m.what == SCHED_STEAL && i < v.n_streams; i++)
            if (i == m.victim ||
                (w->of[v.streams[m.victim].source].single && w->of[v.streams[i].source].single &&
                 v.streams[i].end_b > m.from_b))
                w->streams[index[i]].s.end_b = m.from_b;
        if (m.what == SCHED_HEDGE)
            w->streams[index[m.victim]].s.hedged = true;
        while (w->streams[k].on)
            k++;
        w->streams[k] = (struct world_stream){
            .on = true,
            .begun_s = w->now_s,
            .s = {.source = m.source,
                  .pos_b = m.from_b,
                  .end_b = m.to_b,
                  .compares = m.what == SCHED_HEDGE},
        };
    }
    fail_msg("the scheduler does not come to an end");
}

static void block_done(struct world *w, struct world_stream *s)
{
    size_t i = (size_t)(s->s.pos_b / SEGMENT_BLOCK_B);
    uint64_t n =
        s->s.end_b - s->s.pos_b < SEGMENT_BLOCK_B ? s->s.end_b - s->s.pos_b : SEGMENT_BLOCK_B;

    if (!w->blocks[i])
        w->have_b += n;
    else if (!w->of[s->s.source].single)
        w->twice_b += n;
    w->blocks[i] = 1;
    s->s.pos_b += n;
    if (w->total_b - w->have_b > w->total_b / 32)
        w->front_b = first_missing(w) * SEGMENT_BLOCK_B;
}

/* The world goes on by one step; a stream that stood for 3 s is given back, as the archive does. */
static void step(struct world *w)
{
    double got[SOURCES] = {0};

    for (size_t k = 0; k < STREAMS; k++) {
        struct world_stream *s = &w->streams[k];
        double n;

        if (!s->on)
            continue;
        n = present_rate(w, s->s.source) / streams_of(w, s->s.source) * STEP_S;
        got[s->s.source] += n;
        s->part_b += n;
        s->seen_b_s = 0.98 * s->seen_b_s + 0.02 * n / STEP_S;
        while (s->s.pos_b < s->s.end_b && s->part_b >= SEGMENT_BLOCK_B) {
            s->part_b -= SEGMENT_BLOCK_B;
            block_done(w, s);
        }
        if (s->s.pos_b < s->s.end_b && s->s.end_b - s->s.pos_b < SEGMENT_BLOCK_B &&
            s->part_b >= (double)(s->s.end_b - s->s.pos_b))
            block_done(w, s);
        s->on = s->s.pos_b < s->s.end_b;
        if (s->on && present_rate(w, s->s.source) <= 0 && w->now_s - s->begun_s > 3) {
            s->on = false;
            w->of[s->s.source].connections = 1; /* it is under suspicion */
        }
    }
    for (size_t i = 0; i < w->n; i++) /* of one that is idle, what it gave last */
        w->seen[i] = !streams_of(w, i) && got[i] <= 0 ? w->seen[i]
                                                      : 0.98 * w->seen[i] + 0.02 * got[i] / STEP_S;
    w->now_s += STEP_S;
}

static void play(struct world *w, double limit_s)
{
    while (w->have_b < w->total_b) {
        plan(w);
        step(w);
        if (w->now_s > limit_s)
            fail_msg("%g s and %llu of %llu bytes: more than %g s", w->now_s,
                     (unsigned long long)w->have_b, (unsigned long long)w->total_b, limit_s);
    }
    free(w->blocks);
}

static void three_rates(void **state)
{
    struct world w = {.n = 3, .of = {{60e6, 0, 0, 4}, {40e6, 0, 0, 4}, {20e6, 0, 0, 4}}};

    world_open(&w, 1200000000);
    play(&w, 10 / 0.97);
    assert_true(w.twice_b < 4 * MIB);
    assert_true(w.moves < 600);
}

static void one_stalls(void **state)
{
    struct world w = {.n = 3, .of = {{60e6, 0, 0, 4}, {40e6, 0, 0, 4}, {20e6, 4, 0, 4}}};

    world_open(&w, 1200000000);
    play(&w, (4 + (1200 - 480) / 100.0) / 0.95);
    assert_true(w.twice_b < 8 * MIB);
}

static void one_throttles(void **state)
{
    struct world w = {.n = 3, .of = {{60e6, 0, 0, 4}, {40e6, 0, 0, 4}, {20e6, 0, 2, 4}}};

    world_open(&w, 1200000000);
    play(&w, (2 + (1200 - 240) / 100.2) / 0.95);
}

/* ---- what is read behind ------------------------------------------------------------------- */

static void play_in_order(struct world w, double limit_s)
{
    w.in_order = true;
    world_open(&w, 1200000000);
    play(&w, limit_s);
    if (w.front_b < w.total_b / 10 * 9)
        fail_msg("%.0f %% without a gap towards the end",
                 100.0 * (double)w.front_b / (double)w.total_b);
    assert_true(w.twice_b < 8 * MIB);
}

static void a_slow_one_is_in_the_way(void **state)
{
    play_in_order(
        (struct world){.n = 3, .of = {{20e6, .single = true}, {60e6, 0, 0, 4}, {40e6, 0, 0, 4}}},
        12 / 0.97);
    play_in_order(
        (struct world){.n = 3, .of = {{1e4, .single = true}, {60e6, 0, 0, 4}, {40e6, 0, 0, 4}}},
        12 / 0.95);
    play_in_order((struct world){.n = 2, .of = {{60e6, .single = true}, {60e6, 0, 0, 1}}},
                  20 / 0.95);
}

static void a_quick_one_leads(void **state)
{
    play_in_order((struct world){.n = 2, .of = {{100e6, .single = true}, {60e6, 0, 0, 4}}}, 12);
    play_in_order(
        (struct world){.n = 3,
                       .of = {{100e6, .single = true}, {90e6, .single = true}, {60e6, 0, 0, 4}}},
        12);
}

/* It is quicker than the rest, until it is not. */
static void one_that_led_throttles(void **state)
{
    play_in_order(
        (struct world){.n = 2,
                       .of = {{100e6, 0, 4, .throttles_to = 0.2, .single = true}, {60e6, 0, 0, 4}}},
        (4 + (1200 - 400) / 60.0) / 0.9);
}

/* Not so slow that it would be given up. */
static void one_of_many_is_slow(void **state)
{
    play_in_order((struct world){.n = 3, .of = {{60e6, 0, 0, 4}, {40e6, 0, 0, 4}, {2e6, 0, 0, 4}}},
                  12 / 0.97);
    play_in_order(
        (struct world){
            .n = 3, .of = {{60e6, 0, 0, 4}, {40e6, 0, 0, 4}, {40e6, 0, 3, 4, .throttles_to = 0.1}}},
        (3 + (1200 - 420) / 104.0) / 0.95);
}

static void any_world(void **state)
{
    uint32_t seed = 20;

    for (int run = 0; run < 60; run++) {
        struct world w = {.n = 1 + draw(&seed, SOURCES), .in_order = run % 2};
        double sum = 0;

        for (size_t i = 0; i < w.n; i++) {
            w.of[i].rate_b_s = 1e5 * (1 + draw(&seed, 300));
            w.of[i].connections = 1 + draw(&seed, 4);
            sum += w.of[i].rate_b_s;
            if (i && draw(&seed, 4) == 0)
                w.of[i].stalls_at_s = 0.5 + draw(&seed, 8);
            if (i && draw(&seed, 4) == 0)
                w.of[i].throttles_at_s = 0.5 + draw(&seed, 8);
        }
        world_open(&w, (uint64_t)(sum * 2) + draw(&seed, 100000));
        play(&w, 1e4);
        assert_true(w.have_b == w.total_b);
        assert_true(w.twice_b <= 8 * MIB);
    }
}

static void holes_come_in_order(void **state)
{
    uint8_t blocks[100] = {1, 1, 0, 0, 1};
    const struct sched_source sources[] = {{.ready = true, .ranges = true, .max_streams = 2}};
    struct sched_stream running = {.pos_b = 2 * SEGMENT_BLOCK_B, .end_b = 4 * SEGMENT_BLOCK_B};
    struct sched_view v = {
        .total_b = 100 * SEGMENT_BLOCK_B - 7,
        .missing_b = 97 * SEGMENT_BLOCK_B - 7,
        .blocks = blocks,
        .n_blocks = 100,
        .sources = sources,
        .n_sources = 1,
        .streams = &running,
        .max_streams = 16,
    };
    struct sched_move m = schedule_next(&v);

    assert_int_equal(m.what, SCHED_START);
    assert_int_equal(m.from_b, 2 * SEGMENT_BLOCK_B);
    assert_int_equal(m.to_b, 4 * SEGMENT_BLOCK_B);
    v.n_streams = 1;
    m = schedule_next(&v);
    assert_int_equal(m.what, SCHED_START);
    assert_int_equal(m.from_b, 5 * SEGMENT_BLOCK_B);
    v.max_streams = 1;
    assert_int_equal(schedule_next(&v).what, SCHED_NOTHING);
}

/* ---- without ranges ----------------------------------------------------------------------- */

static void singles(const struct sched_source *s, size_t n, double present_s, double limit_s,
                    const char *want)
{
    const struct sched_view v = {.total_b = 100 * MIB, .sources = s, .n_sources = n};
    bool got[8];

    schedule_singles(&v, present_s, limit_s, got);
    for (size_t i = 0; i < n; i++)
        if (got[i] != (want[i] == '1'))
            fail_msg("source %zu of '%s'", i, want);
}

#define SINGLE(...) ((struct sched_source){.ready = true, __VA_ARGS__})

static void a_race_of_three(void **state)
{
    const struct sched_source fresh[] = {SINGLE(), SINGLE(), {0}, SINGLE(), SINGLE()};
    const struct sched_source known[] = {SINGLE(.rate_b_s = 1e6), SINGLE(.rate_b_s = 9e6),
                                         SINGLE(.rate_b_s = 5e6), SINGLE()};

    singles(fresh, 5, -1, 0, "11010");
    singles(known, 4, -1, 0, "0110");
    singles(fresh, 5, 30, 0, "00000"); /* those with ranges are quick enough */
    singles(fresh, 5, 900, 0, "10000");
}

static void the_race_ends(void **state)
{
    struct sched_source s[] = {
        SINGLE(.running = true, .tried = true, .rate_b_s = 10e6, .pos_b = 30 * MIB, .age_s = 3),
        SINGLE(.running = true, .tried = true, .rate_b_s = 9e6, .pos_b = 27 * MIB, .age_s = 3),
        SINGLE(.running = true, .tried = true, .rate_b_s = 1e6, .pos_b = 3 * MIB, .age_s = 3),
    };

    singles(s, 3, -1, 0, "110");
    s[0].age_s = s[1].age_s = s[2].age_s = 5;
    singles(s, 3, -1, 0, "100");
    s[0].age_s = 1;
    singles(s, 3, -1, 0, "111");
}

/* All were asked what they have, and each that has no ranges sends all of it. */
static void three_go_on_of_many(void **state)
{
    struct sched_source s[6];

    for (size_t i = 0; i < 6; i++)
        s[i] = (struct sched_source)SINGLE(.running = true, .tried = true, .pos_b = 5 * MIB,
                                           .rate_b_s = (double)(i + 1) * 1e6, .age_s = 1);
    s[0].pos_b = MIB; /* it is not known yet */
    singles(s, 6, -1, 0, "100111");
    s[0].pos_b = 5 * MIB;
    singles(s, 6, -1, 0, "000111");
    singles(s, 3, -1, 0, "111");
}

static void a_challenger(void **state)
{
    struct sched_source s[] = {
        SINGLE(.running = true, .tried = true, .rate_b_s = 1e6, .pos_b = 50 * MIB, .age_s = 60),
        SINGLE(.tried = true, .rate_b_s = 10e6),
        SINGLE(.tried = true, .rate_b_s = 2.1e6),
    };

    singles(s, 3, -1, 0, "110"); /* 10.5 s for all of it, or 52 s for the rest */
    s[1].rate_b_s = 2.2e6;
    singles(s, 3, -1, 0, "100"); /* 48 s: not by enough */
    s[1].rate_b_s = 10e6;
    singles(s, 3, -1, 5, "100"); /* the node would cut it after 5 s */
    s[1].ready = false;
    singles(s, 3, -1, 0, "100");
    s[0].running = s[0].ready = false;
    singles(s, 3, -1, 0, "001");
}

static void who_is_slow(void **state)
{
    const double others[] = {10e6, 20e6, 30e6}, slower[] = {1e5};

    assert_true(schedule_is_slow(1e6, 5e6, 65536, others, 3)); /* a tenth of the middle one */
    assert_false(schedule_is_slow(3e6, 5e6, 65536, others, 3));
    assert_true(schedule_is_slow(3e6, 40e6, 65536, others, 3)); /* a tenth of its own */
    assert_true(schedule_is_slow(60000, 60000, 65536, slower, 1));
    assert_false(schedule_is_slow(1e6, 40e6, 65536, slower, 1)); /* nobody could do better */
    assert_false(schedule_is_slow(0, 40e6, 65536, NULL, 0));
}

static void meters(void **state)
{
    struct meter m = {0};
    uint64_t now = 5000000000;

    assert_true(meter_rate(&m, now, 5) == 0);
    meter_begin(&m, now);
    for (int i = 0; i < 100; i++) /* 10 s of 1 MB/s, then 5 of 2 MB/s */
        meter_add(&m, now += 100000000, 100000);
    assert_true(meter_rate(&m, now, 5) > 0.94e6 && meter_rate(&m, now, 5) < 1.06e6);
    for (int i = 0; i < 50; i++)
        meter_add(&m, now += 100000000, 200000);
    assert_true(meter_rate(&m, now, 2) > 1.8e6 && meter_rate(&m, now, 2) < 2.21e6);
    assert_true(meter_idle_s(&m, now + 3000000000) == 3);
    assert_true(meter_rate(&m, now + 5500000000, 5) == 0);
    assert_true(meter_rate(&m, now + 60000000000, 5) == 0);
    assert_int_equal(m.total_b, 20000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_rates),
        cmocka_unit_test(one_stalls),
        cmocka_unit_test(one_throttles),
        cmocka_unit_test(a_slow_one_is_in_the_way),
        cmocka_unit_test(a_quick_one_leads),
        cmocka_unit_test(one_that_led_throttles),
        cmocka_unit_test(one_of_many_is_slow),
        cmocka_unit_test(any_world),
        cmocka_unit_test(holes_come_in_order),
        cmocka_unit_test(a_race_of_three),
        cmocka_unit_test(the_race_ends),
        cmocka_unit_test(three_go_on_of_many),
        cmocka_unit_test(a_challenger),
        cmocka_unit_test(who_is_slow),
        cmocka_unit_test(meters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
