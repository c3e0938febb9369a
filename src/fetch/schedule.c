/* See schedule.h. The ideas: big pieces by time, the lowest missing first so that the verifier can
 * follow, and taken from whoever is too slow with it; smaller ones towards the end; who has nothing
 * left to take takes the later part of what would end last, cut so that both end together; and at
 * the very end the same bytes are asked of two. */
#include "fetch/schedule.h"

#include <stdlib.h>
#include <string.h>

#include "fetch/segment_map.h"

#define PIECE_S      8.0
#define PIECE_MIN_B  ((uint64_t)2 << 20)
#define PIECE_SLOW_B ((uint64_t)256 << 10) /* the same, of one that needs long for it */
#define PIECE_NEW_B  ((uint64_t)4 << 20)   /* while nothing is known about a source */
#define PIECE_MAX_B  ((uint64_t)256 << 20)
#define HEDGE_B      ((uint64_t)2 << 20)
#define FAIR         1.5
#define FAIR_ORDER   3.0  /* the same, when somebody reads behind */
#define GAIN_S       0.05 /* less is not worth a connection */
#define HEDGE_S      0.2
#define UNKNOWN_B_S  1e6

#define HOLD_MAX_S 10.0 /* for so long the lowest missing bytes may wait for one stream */
#define HOLD_MIN_S 0.5
#define HOLD_PART  0.4 /* of what is left, which is more than any piece that goes as planned */
#define TAIL_PART  16  /* of the file: its end may be there before the rest */
#define TAIL_MIN_B ((uint64_t)4 << 20)

#define RACERS       3
#define RACE_FROM_B  ((uint64_t)4 << 20) /* a rate is known then */
#define RACE_S       5.0
#define RACE_EARLY_S 2.0
#define MARGIN       1.2
#define EXPLORE_S    120.0

/* ---- with ranges -------------------------------------------------------------------------- */

static double stream_rate(const struct sched_view *v, const struct sched_stream *s)
{
    const struct sched_source *of = &v->sources[s->source];

    if (s->rate_b_s > 0)
        return s->rate_b_s;
    return of->rate_b_s > 0 && of->streams ? of->rate_b_s / of->streams : UNKNOWN_B_S;
}

/* What one more stream of it would give, when all that it may have are busy. */
static double thief_rate(const struct sched_source *s)
{
    return s->rate_b_s > 0 ? s->rate_b_s / s->max_streams : UNKNOWN_B_S;
}

/* The one that is furthest from what it may have; of those the fastest. SIZE_MAX: nobody is free.
 */
static size_t free_source(const struct sched_view *v, const bool *out)
{
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < v->n_sources; i++) {
        const struct sched_source *s = &v->sources[i],
                                  *b = best == SIZE_MAX ? NULL : &v->sources[best];
        double used, best_used;

        if (!s->ready || !s->ranges || s->streams >= s->max_streams || out[i])
            continue;
        used = (double)s->streams / s->max_streams;
        best_used = b ? (double)b->streams / b->max_streams : 2;
        if (used < best_used || (used == best_used && s->rate_b_s > b->rate_b_s))
            best = i;
    }
    return best;
}

static bool is_from_beginning(const struct sched_view *v, const struct sched_stream *s)
{
    return !v->sources[s->source].ranges;
}

/* One that reads what is there already, from the file's beginning, may never come to what is not.
 */
static bool covers(const struct sched_view *v, const struct sched_stream *s, uint64_t at_b)
{
    if (v->in_order && is_from_beginning(v, s) && s->pos_b < v->first * SEGMENT_BLOCK_B)
        return false;
    return !s->compares && s->pos_b <= at_b && at_b < s->end_b;
}

/* at_b, or the end of the streams that are on their way to it. */
static uint64_t past_streams(const struct sched_view *v, uint64_t at_b)
{
    bool moved = true;

    while (moved) {
        moved = false;
        for (size_t i = 0; i < v->n_streams; i++)
            if (covers(v, &v->streams[i], at_b)) {
                at_b = v->streams[i].end_b;
                moved = true;
            }
    }
    return at_b;
}

/* The lowest bytes that are missing and nobody's, at most max_b. */
static bool find_hole(const struct sched_view *v, uint64_t max_b, uint64_t *ret_from,
                      uint64_t *ret_to)
{
    uint64_t at = (uint64_t)v->first * SEGMENT_BLOCK_B, to;

    for (;;) {
        size_t i = (size_t)(at / SEGMENT_BLOCK_B);

        while (i < v->n_blocks && v->blocks[i] != SEGMENT_MISSING)
            i++;
        if (i >= v->n_blocks)
            return false;
        at = (uint64_t)i * SEGMENT_BLOCK_B;
        to = past_streams(v, at);
        if (to == at)
            break;
        if (to >= v->total_b)
            return false;
        at = to;
    }
    for (to = at; to < v->total_b && to - at < max_b; to += SEGMENT_BLOCK_B)
        if (v->blocks[to / SEGMENT_BLOCK_B] != SEGMENT_MISSING || past_streams(v, to) != to)
            break;
    *ret_from = at;
    *ret_to = to < v->total_b ? to : v->total_b;
    return true;
}

/* What is missing and nobody's, about. */
static uint64_t loose_b(const struct sched_view *v)
{
    uint64_t taken_b = 0;

    for (size_t i = 0; i < v->n_streams; i++)
        if (!v->streams[i].compares)
            taken_b += v->streams[i].end_b - v->streams[i].pos_b;
    return v->missing_b > taken_b ? v->missing_b - taken_b : 0;
}

/* What all with ranges give together; 0: nobody knows. */
static double ranges_rate(const struct sched_view *v)
{
    double b_s = 0;

    for (size_t i = 0; i < v->n_sources; i++)
        if (v->sources[i].ready && v->sources[i].ranges)
            b_s += v->sources[i].rate_b_s;
    return b_s;
}

/* How long the lowest missing bytes may be waited for: pieces end before that, unless they have
 * become slow. The nearer the end, the less time is left to read behind. */
static double hold_s(const struct sched_view *v)
{
    double b_s = ranges_rate(v), s = b_s > 0 ? (double)v->missing_b / b_s * HOLD_PART : HOLD_MAX_S;

    return s > HOLD_MAX_S ? HOLD_MAX_S : s < HOLD_MIN_S ? HOLD_MIN_S : s;
}

/* By time, and never all of its fair part of what is left: the end comes for all together. */
static uint64_t piece_b(const struct sched_view *v, const struct sched_source *s)
{
    double all_b_s = 0, share, size, least = (double)PIECE_MIN_B;
    double fair = v->in_order ? FAIR_ORDER : FAIR;

    for (size_t i = 0; i < v->n_sources; i++)
        if (v->sources[i].ready && v->sources[i].ranges)
            all_b_s += thief_rate(&v->sources[i]) * v->sources[i].max_streams;
    share = thief_rate(s) / all_b_s;
    size = s->rate_b_s > 0 ? thief_rate(s) * PIECE_S : (double)PIECE_NEW_B;
    if (size > (double)loose_b(v) * share / fair)
        size = (double)loose_b(v) * share / fair;
    if (size > (double)PIECE_MAX_B)
        size = (double)PIECE_MAX_B;
    if (v->in_order && s->rate_b_s > 0 && thief_rate(s) * hold_s(v) < least)
        least = thief_rate(s) * hold_s(v) < (double)PIECE_SLOW_B ? (double)PIECE_SLOW_B
                                                                 : thief_rate(s) * hold_s(v);
    return (uint64_t)(size < least ? least : size) / SEGMENT_BLOCK_B * SEGMENT_BLOCK_B;
}

static double left_s(const struct sched_view *v, const struct sched_stream *s)
{
    return (double)(s->end_b - s->pos_b) / stream_rate(v, s);
}

/* A connection among equals of one source is left alone: what it lost the others would win. */
static bool is_fair_game(const struct sched_view *v, const struct sched_stream *s, size_t thief)
{
    const struct sched_source *of = &v->sources[s->source];

    /* one whose end was moved back may be past it by now */
    if (s->compares || s->end_b < s->pos_b || s->end_b - s->pos_b < SEGMENT_BLOCK_B)
        return false;
    return s->source != thief || stream_rate(v, s) < of->rate_b_s / of->max_streams / 3;
}

static size_t last_to_end(const struct sched_view *v, size_t thief)
{
    size_t last = SIZE_MAX;

    for (size_t i = 0; i < v->n_streams; i++)
        if (is_fair_game(v, &v->streams[i], thief) &&
            (last == SIZE_MAX || left_s(v, &v->streams[i]) > left_s(v, &v->streams[last])))
            last = i;
    return last;
}

static uint64_t block_up(uint64_t at_b)
{
    return (at_b + SEGMENT_BLOCK_B - 1) / SEGMENT_BLOCK_B * SEGMENT_BLOCK_B;
}

/* The victim ends at cut_b; of what is nobody's then, the thief gets the first, at most max_b. All
 * that read the whole file side by side end there, and they may have been past others. */
static struct sched_move take_from(const struct sched_view *v, size_t thief, size_t victim,
                                   uint64_t cut_b, uint64_t max_b)
{
    struct sched_move m = {.what = SCHED_NOTHING, .source = thief, .victim = victim};
    struct sched_stream *streams = calloc(v->n_streams, sizeof(*streams));
    struct sched_view then = *v;
    bool of_all = is_from_beginning(v, &v->streams[victim]);

    if (!streams || cut_b >= v->streams[victim].end_b) {
        free(streams);
        return m;
    }
    memcpy(streams, v->streams, v->n_streams * sizeof(*streams));
    for (size_t i = 0; i < v->n_streams; i++)
        if (i == victim || (of_all && is_from_beginning(v, &streams[i])))
            streams[i].end_b = streams[i].end_b < cut_b ? streams[i].end_b : cut_b;
    then.streams = streams;
    if (find_hole(&then, max_b, &m.from_b, &m.to_b) && m.from_b < v->streams[victim].end_b)
        m.what = m.from_b < cut_b ? SCHED_START : SCHED_STEAL; /* lower ones are nobody's */
    free(streams);
    return m;
}

/* Of one that reads all of the file and is at the front, only the end is taken: what is in its way
 * would be there before the rest. */
static uint64_t tail_from(const struct sched_view *v)
{
    uint64_t tail_b = v->total_b / TAIL_PART > TAIL_MIN_B ? v->total_b / TAIL_PART : TAIL_MIN_B;

    return v->total_b > tail_b ? block_up(v->total_b - tail_b) : 0;
}

static struct sched_move steal(const struct sched_view *v, size_t thief, size_t victim)
{
    const struct sched_stream *s = &v->streams[victim];
    double mine = thief_rate(&v->sources[thief]), its = stream_rate(v, s);
    uint64_t rest_b = s->end_b - s->pos_b, from_b;
    double both_s = (double)rest_b / (mine + its);

    from_b = block_up(s->pos_b + (uint64_t)((double)rest_b * its / (mine + its)));
    if (v->in_order && is_from_beginning(v, s) && from_b < tail_from(v))
        from_b = tail_from(v);
    if (from_b >= s->end_b || left_s(v, s) - both_s < GAIN_S)
        return (struct sched_move){.what = SCHED_NOTHING};
    return take_from(v, thief, victim, from_b, UINT64_MAX);
}

/* ---- the lowest missing bytes ------------------------------------------------------------- */

/* Of those that read all of the file and are at its lowest missing bytes, the quickest. */
static size_t leading_stream(const struct sched_view *v)
{
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < v->n_streams; i++) {
        const struct sched_stream *s = &v->streams[i];

        if (is_from_beginning(v, s) && covers(v, s, v->first * SEGMENT_BLOCK_B) &&
            (best == SIZE_MAX || stream_rate(v, s) > stream_rate(v, &v->streams[best])))
            best = i;
    }
    return best;
}

/* One that cannot be given pieces is worth its place only while it is quicker than all others
 * together: what they fetch meanwhile waits for it. */
static bool is_in_the_way(const struct sched_view *v, const struct sched_stream *s, size_t thief)
{
    const struct sched_source *of = &v->sources[s->source];

    if (s->compares || s->pos_b >= s->end_b || left_s(v, s) <= hold_s(v))
        return false;
    if (is_from_beginning(v, s))
        return s->rate_b_s > 0 && of->rate_b_s > 0 && of->rate_b_s < ranges_rate(v);
    return is_fair_game(v, s, thief) && thief_rate(&v->sources[thief]) * 2 > stream_rate(v, s);
}

/* The lowest that is in the way keeps what it gives in half of that time, and who is free goes on
 * from there. */
static struct sched_move relieve(const struct sched_view *v, size_t who)
{
    size_t lowest = SIZE_MAX, leader = leading_stream(v);
    const struct sched_stream *s;

    for (size_t i = 0; i < v->n_streams; i++)
        if ((i == leader || !is_from_beginning(v, &v->streams[i])) &&
            is_in_the_way(v, &v->streams[i], who) &&
            (lowest == SIZE_MAX || v->streams[i].pos_b < v->streams[lowest].pos_b))
            lowest = i;
    if (lowest == SIZE_MAX)
        return (struct sched_move){.what = SCHED_NOTHING};
    s = &v->streams[lowest];
    return take_from(v, who, lowest,
                     block_up(s->pos_b + (uint64_t)(stream_rate(v, s) * hold_s(v) / 2)),
                     piece_b(v, &v->sources[who]));
}

static struct sched_move hedge(const struct sched_view *v, size_t who)
{
    size_t last = SIZE_MAX;

    for (size_t i = 0; i < v->n_streams; i++) {
        const struct sched_stream *s = &v->streams[i];

        if (s->compares || s->hedged || s->source == who || s->pos_b >= s->end_b)
            continue;
        if (last == SIZE_MAX || left_s(v, s) > left_s(v, &v->streams[last]))
            last = i;
    }
    if (last == SIZE_MAX || v->missing_b > HEDGE_B || left_s(v, &v->streams[last]) < HEDGE_S)
        return (struct sched_move){.what = SCHED_NOTHING};
    return (struct sched_move){
        .what = SCHED_HEDGE,
        .source = who,
        .victim = last,
        .from_b = v->streams[last].pos_b,
        .to_b = v->streams[last].end_b,
    };
}

static struct sched_move move_of(const struct sched_view *v, size_t who)
{
    struct sched_move m = {.what = SCHED_NOTHING};
    size_t victim;

    if (v->in_order)
        m = relieve(v, who);
    if (m.what != SCHED_NOTHING)
        return m;
    m = (struct sched_move){.source = who};
    if (find_hole(v, piece_b(v, &v->sources[who]), &m.from_b, &m.to_b)) {
        m.what = SCHED_START;
        return m;
    }
    victim = last_to_end(v, who);
    if (victim != SIZE_MAX)
        m = steal(v, who, victim);
    return m.what == SCHED_NOTHING ? hedge(v, who) : m;
}

struct sched_move schedule_next(const struct sched_view *v)
{
    struct sched_move m = {.what = SCHED_NOTHING};
    bool *out;

    if (v->n_streams >= v->max_streams || !v->missing_b)
        return m;
    out = calloc(v->n_sources + 1, sizeof(*out));
    for (size_t who; out && m.what == SCHED_NOTHING && (who = free_source(v, out)) != SIZE_MAX;) {
        m = move_of(v, who);
        out[who] = true;
    }
    free(out);
    return m;
}

/* ---- without ranges ----------------------------------------------------------------------- */

/* Time that it needs from where it is, or from the beginning. */
static double whole_s(const struct sched_view *v, const struct sched_source *s)
{
    uint64_t left_b = s->running ? v->total_b - s->pos_b : v->total_b;

    return s->rate_b_s > 0 ? (double)left_b / s->rate_b_s : -1;
}

/* It would be cut off before its end. */
static bool is_cut(const struct sched_view *v, const struct sched_source *s, double limit_s)
{
    return limit_s > 0 && s->rate_b_s > 0 && (double)v->total_b / s->rate_b_s > limit_s;
}

static bool is_single(const struct sched_source *s)
{
    return s->ready && !s->ranges;
}

/* Of two that could be begun: who first. Unknown ones come after those that are known. */
static bool is_better(const struct sched_view *v, const struct sched_source *a,
                      const struct sched_source *b, double limit_s)
{
    bool a_cut = is_cut(v, a, limit_s), b_cut = is_cut(v, b, limit_s);

    if (a_cut != b_cut)
        return b_cut;
    if (a->tried != b->tried && (a->rate_b_s <= 0) != (b->rate_b_s <= 0))
        return b->tried; /* what was tried and gave nothing comes last */
    return a->rate_b_s > b->rate_b_s;
}

static size_t best_waiting(const struct sched_view *v, double limit_s, const bool *taken,
                           bool untried)
{
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < v->n_sources; i++) {
        const struct sched_source *s = &v->sources[i];

        if (!is_single(s) || s->running || taken[i] || (untried && (s->tried || s->rate_b_s > 0)))
            continue;
        if (best == SIZE_MAX || is_better(v, s, &v->sources[best], limit_s))
            best = i;
    }
    return best;
}

/* Nothing runs: up to three that may be equally good. */
static void begin_race(const struct sched_view *v, double limit_s, bool *ret)
{
    size_t first = best_waiting(v, limit_s, ret, false), next;

    if (first == SIZE_MAX)
        return;
    ret[first] = true;
    for (int n = 1; n < RACERS; n++) {
        next = best_waiting(v, limit_s, ret, false);
        if (next == SIZE_MAX)
            return;
        if (v->sources[next].rate_b_s > 0 &&
            v->sources[next].rate_b_s * 2 < v->sources[first].rate_b_s)
            return;
        ret[next] = true;
    }
}

/* The one that runs and will be done first, as far as is known; SIZE_MAX: none runs. */
static size_t leader_of(const struct sched_view *v)
{
    size_t best = SIZE_MAX;
    double best_s = -1;

    for (size_t i = 0; i < v->n_sources; i++) {
        double s = whole_s(v, &v->sources[i]);

        if (!is_single(&v->sources[i]) || !v->sources[i].running)
            continue;
        if (best == SIZE_MAX || (s >= 0 && (best_s < 0 || s < best_s))) {
            best = i;
            best_s = s;
        }
    }
    return best;
}

/* Is a runner no match for the leader? */
static bool is_beaten(const struct sched_view *v, const struct sched_source *s,
                      const struct sched_source *leader)
{
    double its = whole_s(v, s), best = whole_s(v, leader);

    if (s == leader || best < 0)
        return false;
    if (s->age_s < RACE_EARLY_S || leader->age_s < RACE_EARLY_S)
        return false;
    if (its < 0 || its > 3 * best)
        return true;
    return s->age_s >= RACE_S && leader->age_s >= RACE_S;
}

/* Those that were only asked what they have, and answered with all of it, run as well: when it is
 * known, the quickest go on. */
static void thin_race(const struct sched_view *v, size_t leader, bool *ret)
{
    uint64_t known_b = v->total_b < RACE_FROM_B ? v->total_b : RACE_FROM_B;
    bool stays[256];

    for (size_t i = 0; i < v->n_sources && i < ARRAY_LEN(stays); i++) {
        size_t quicker = 0;

        for (size_t k = 0; k < v->n_sources; k++)
            quicker += ret[k] && k != i &&
                       (v->sources[k].rate_b_s > v->sources[i].rate_b_s ||
                        (v->sources[k].rate_b_s == v->sources[i].rate_b_s && k < i));
        stays[i] = i == leader || quicker < RACERS || v->sources[i].pos_b < known_b;
    }
    for (size_t i = 0; i < v->n_sources && i < ARRAY_LEN(stays); i++)
        ret[i] = ret[i] && stays[i];
}

void schedule_singles(const struct sched_view *v, double present_s, double limit_s, bool *ret)
{
    size_t leader = leader_of(v), next, running = 0;

    for (size_t i = 0; i < v->n_sources; i++) {
        const struct sched_source *s = &v->sources[i];

        ret[i] = is_single(s) && s->running && !is_beaten(v, s, &v->sources[leader]);
        running += ret[i];
    }
    if (running > RACERS)
        thin_race(v, leader, ret);
    if (leader == SIZE_MAX && present_s < 0) {
        begin_race(v, limit_s, ret);
        return;
    }
    if (leader != SIZE_MAX && present_s < 0)
        present_s = whole_s(v, &v->sources[leader]);
    if (running >= RACERS)
        return;
    next = best_waiting(v, limit_s, ret, false);
    if (next != SIZE_MAX && v->sources[next].rate_b_s > 0 && present_s >= 0 &&
        !is_cut(v, &v->sources[next], limit_s) &&
        whole_s(v, &v->sources[next]) * MARGIN < present_s)
        ret[next] = true;
    next = best_waiting(v, limit_s, ret, true);
    if (next != SIZE_MAX && running < 2 && present_s > EXPLORE_S)
        ret[next] = true;
}

/* ---- too slow ----------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

bool schedule_is_slow(double rate_b_s, double best_b_s, double min_b_s, const double *others_b_s,
                      size_t n)
{
    double sorted[256], floor_b_s = min_b_s;

    if (n == 0)
        return false;
    if (n > sizeof(sorted) / sizeof(sorted[0]))
        n = sizeof(sorted) / sizeof(sorted[0]);
    for (size_t i = 0; i < n; i++)
        sorted[i] = others_b_s[i];
    qsort(sorted, n, sizeof(sorted[0]), by_size);
    if (best_b_s / 10 > floor_b_s)
        floor_b_s = best_b_s / 10;
    if (sorted[n / 2] / 10 > floor_b_s)
        floor_b_s = sorted[n / 2] / 10;
    return rate_b_s < floor_b_s && sorted[n - 1] > rate_b_s;
}
