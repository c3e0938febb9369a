/* The archive's own check says no: whose fault is it? What it trips over may lie before the place
 * where it trips: a decoder gathers a whole block, and copies from a window behind it. So nobody is
 * blamed for having written the last block. In this order:
 *
 * - A source that has sent every byte up to there, written here or compared, has a bad file.
 * - Else what was read last is compared with other sources, block by block: first NEAR_B, and when
 *   all of that is the same FAR_B, in which the largest window that is accepted has room. Bytes
 *   that differ are a dispute (dispute.c).
 * - What nobody else could compare is suspect: who wrote it is put aside for this run, and proven
 *   wrong only when the check then says yes to what the others send in its place. The last one left
 *   is asked for it once more.
 * - Where all agree it is the archive as all of them have it: they are given up, and not blamed. A
 *   lie further back than FAR_B is not found. */
#include "fetch/archive_parts.h"

#include <stdlib.h>
#include <string.h>

#include "io/clock.h"

#define NEAR_B      ((uint64_t)4 << 20)
#define FAR_B       ((uint64_t)132 << 20) /* 128 MiB and more than a decoder's block */
#define PIECE       64                    /* blocks that are asked of one at a time */
#define CONNECTIONS 6                     /* to a source, with those that fetch */
#define AGAIN_B     ((uint64_t)1 << 30)   /* without ranges "once more" is all of it */

struct err *archive_verify_again(struct archive *a)
{
    a->verifier = verifier_free(a->verifier);
    if (a->job->verify == FETCH_VERIFY_NONE)
        return NULL;
    return verifier_start(a->partial, a->job->name,
                          a->job->verify == FETCH_VERIFY_FULL && a->job->hash_must, &a->verifier);
}

void blame_end(struct archive *a)
{
    err_free(a->inquiry.why);
    a->inquiry = (struct inquiry){0};
}

bool blame_is_asking(const struct archive *a)
{
    return a->inquiry.on;
}

bool blame_is_near(const struct archive *a, size_t block)
{
    return a->inquiry.on && block >= a->inquiry.from && block < a->inquiry.to;
}

static size_t back_from(size_t to, uint64_t by_b)
{
    size_t by = (size_t)(by_b / SEGMENT_BLOCK_B);

    return to > by ? to - by : 0;
}

/* ---- who is taken out --------------------------------------------------------------------- */

struct err *blame_suspect(struct archive *a, struct source *s)
{
    if (s->state != SOURCE_DROPPED && s->suspected++) { /* it had its second turn */
        source_drop(a, s,
                    err_new(ERR_CORRUPT, "the check says no to what it alone has sent, twice"));
    }
    if (s->state == SOURCE_DROPPED) {
        s->kept_b = 0;
        TRY(archive_forget(a, s->id));
    } else {
        TRY(source_doubt(a, s));
    }
    a->suspect = s;
    return NULL;
}

void blame_passed(struct archive *a)
{
    struct source *s = a->suspect;

    if (s && !s->blamed)
        source_convict(a, s,
                       err_new(ERR_CORRUPT, "the archive is good with what others sent in place "
                                            "of its bytes, and was not with them"),
                       false);
}

/* Nobody else could take its place, whoever is put aside included. */
static bool is_alone(const struct archive *a, const struct source *s)
{
    for (size_t i = 0; i < a->n_sources; i++)
        if (&a->sources[i] != s && a->sources[i].state != SOURCE_DROPPED)
            return false;
    return s->state != SOURCE_DROPPED;
}

/* The damage may be of the way here, or ours. */
static bool may_send_again(const struct source *s, size_t to)
{
    return !s->again && (s->ranges || to * SEGMENT_BLOCK_B <= AGAIN_B);
}

static struct err *send_again(struct archive *a, struct source *s, size_t to)
{
    s->again = true;
    return archive_forget_range(a, back_from(to, NEAR_B), to);
}

/* Every byte that the check read came from it. *ret_any: there is such a one. */
static struct err *blame_whole(struct archive *a, const struct err *e, size_t to, bool *ret_any)
{
    struct source *of[SOURCES_MAX];
    size_t n = 0;

    for (size_t i = 0; i < a->n_sources; i++)
        if (!a->sources[i].blamed && witness_of_all(a, &a->sources[i], to))
            of[n++] = &a->sources[i];
    *ret_any = n > 0;
    if (n == 1 && is_alone(a, of[0]) && may_send_again(of[0], to))
        return send_again(a, of[0], to);
    for (size_t i = 0; i < n; i++)
        TRY(source_blame(a, of[i], err_copy(e), true));
    return NULL;
}

/* ---- comparing ---------------------------------------------------------------------------- */

static bool is_under_way(const struct archive *a, size_t block)
{
    uint64_t at_b = block * SEGMENT_BLOCK_B;

    for (size_t i = 0; i < a->n_streams; i++) {
        const struct stream *s = a->streams[i];

        if (s->kind == STREAM_CHECK && !s->enough && s->pos_b <= at_b && at_b < s->end_b)
            return true;
    }
    return false;
}

/* ret: of each block from inquiry.from on, whether somebody is to be asked for it. Returns whether
 * something is under way. */
static bool list_open(struct archive *a, bool *ret)
{
    const struct inquiry *q = &a->inquiry;
    bool waits = false;

    for (size_t i = q->from; i < q->to; i++) {
        bool coming = !witness_second(a, i) && is_under_way(a, i);

        ret[i - q->from] = !witness_second(a, i) && !coming;
        waits = waits || coming;
    }
    return waits;
}

/* The next of them that s has not written, at most a piece. */
static void ask_one(struct archive *a, struct source *s, bool *open)
{
    const struct inquiry *q = &a->inquiry;
    size_t n, from = q->from, to;
    const uint8_t *blocks = partial_blocks(a->partial, &n);
    uint64_t end_b;

    while (from < q->to && (!open[from - q->from] || blocks[from] == s->id))
        from++;
    for (to = from; to < q->to && to < from + PIECE && open[to - q->from] && blocks[to] != s->id;)
        open[to++ - q->from] = false;
    end_b = to * SEGMENT_BLOCK_B;
    if (to > from)
        stream_begin(a, s, STREAM_CHECK, from * SEGMENT_BLOCK_B,
                     end_b < partial_total_b(a->partial) ? end_b : partial_total_b(a->partial));
}

/* Returns whether somebody compares, or will be able to. */
static bool ask_all(struct archive *a)
{
    AUTO(freep) bool *open = xcalloc(a->inquiry.to - a->inquiry.from, sizeof(*open));
    uint64_t now = clock_mono_ns(a->ctx);
    bool waits = list_open(a, open);
    size_t n;
    const uint8_t *blocks = partial_blocks(a->partial, &n);

    for (size_t i = 0; i < a->n_sources; i++) {
        struct source *s = &a->sources[i];
        bool could = s->state == SOURCE_ASKED || (s->state == SOURCE_READY && s->ranges);

        if (s->state == SOURCE_READY && s->ranges && source_may_work(a, s, now))
            while (s->n_streams < CONNECTIONS && a->n_streams < STREAMS_MAX) {
                size_t before = a->n_streams;

                ask_one(a, s, open);
                if (a->n_streams == before)
                    break;
                waits = true;
            }
        for (size_t b = a->inquiry.from; could && !waits && b < a->inquiry.to; b++)
            waits = open[b - a->inquiry.from] && blocks[b] != s->id;
    }
    return waits;
}

/* ---- the end of it ------------------------------------------------------------------------ */

struct suspects {
    struct source *of[SOURCES_MAX];
    size_t n;
    bool gone; /* one of them has left */
};

static void add_suspect(struct suspects *l, struct source *s)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->of[i] == s)
            return;
    l->of[l->n++] = s;
    l->gone = l->gone || s->state == SOURCE_DROPPED;
}

/* Who wrote what nobody else could compare; what is nearest counts alone. */
static void list_suspects(struct archive *a, struct suspects *ret)
{
    const struct inquiry *q = &a->inquiry;
    size_t n, near = back_from(q->to, NEAR_B);
    const uint8_t *blocks = partial_blocks(a->partial, &n);

    *ret = (struct suspects){0};
    for (size_t i = q->to; i > q->from && (!ret->n || i > near); i--)
        if (!witness_second(a, i - 1) && source_of_id(a, blocks[i - 1]))
            add_suspect(ret, source_of_id(a, blocks[i - 1]));
}

static bool has_earlier(const struct archive *a)
{
    size_t n;
    const uint8_t *blocks = partial_blocks(a->partial, &n);

    return memchr(blocks, SEGMENT_EARLIER, a->inquiry.to) != NULL;
}

/* All who could be asked send the same. */
static struct err *give_up(struct archive *a, const struct err *why)
{
    size_t n = sources_ready(a);

    for (size_t i = 0; i < a->n_sources; i++)
        if (a->sources[i].state == SOURCE_READY) {
            source_drop(a, &a->sources[i],
                        err_new(ERR_CORRUPT, "%s; %zu sources send the same there", why->text, n));
            a->sources[i].kept_b = 0;
        }
    return archive_forget(a, SEGMENT_MISSING);
}

/* Those who are gone first, then those that others can replace; of those that nobody can the one
 * that gave most stays. */
static struct err *take_out(struct archive *a, const struct suspects *l, size_t to,
                            const struct err *why)
{
    struct source *last = l->of[0];
    bool others = false;

    for (size_t i = 0; i < a->n_sources; i++) {
        bool suspect = false;

        for (size_t k = 0; k < l->n; k++)
            suspect = suspect || l->of[k] == &a->sources[i];
        others = others || (!suspect && a->sources[i].state != SOURCE_DROPPED);
    }
    for (size_t i = 0; i < l->n; i++)
        last = l->of[i]->kept_b > last->kept_b ? l->of[i] : last;
    if (!others && l->n == 1 && !l->gone && may_send_again(last, to))
        return send_again(a, last, to);
    if (!others && l->n == 1 && !l->gone) {
        source_drop(a, last, err_copy(why));
        last->kept_b = 0;
        return archive_forget(a, last->id);
    }
    for (size_t i = 0; i < l->n; i++)
        if (l->gone ? l->of[i]->state == SOURCE_DROPPED : others || l->of[i] != last)
            TRY(blame_suspect(a, l->of[i]));
    if (l->n > 1)
        a->suspect = NULL; /* one of them, but which */
    return NULL;
}

static struct err *conclude(struct archive *a)
{
    AUTO(err_freep) struct err *why = TAKE(a->inquiry.why);
    size_t to = a->inquiry.to;
    bool earlier = has_earlier(a);
    struct suspects l;

    list_suspects(a, &l);
    blame_end(a);
    if (earlier)
        TRY(archive_forget(a, SEGMENT_EARLIER));
    else if (l.n)
        TRY(take_out(a, &l, to, why));
    else
        TRY(give_up(a, why));
    return archive_verify_again(a);
}

static struct err *begin(struct archive *a, struct err *e, uint64_t at_b)
{
    AUTO(err_freep) struct err *why = e;
    size_t n, to = (size_t)(at_b / SEGMENT_BLOCK_B) + 1;
    bool any = false;

    (void)partial_blocks(a->partial, &n);
    to = to < n ? to : n; /* it may end where it should not */
    a->verifier = verifier_free(a->verifier);
    TRY(blame_whole(a, why, to, &any));
    if (any)
        return archive_verify_again(a);
    a->inquiry = (struct inquiry){
        .on = true, .to = to, .from = back_from(to, NEAR_B), .n_forgotten = a->n_forgotten};
    a->inquiry.why = TAKE(why);
    return NULL;
}

struct err *blame_tick(struct archive *a)
{
    struct inquiry *q = &a->inquiry;

    if (!q->on || a->dispute.on)
        return NULL;
    if (q->n_forgotten != a->n_forgotten) { /* what it tripped over is not there any more */
        blame_end(a);
        return archive_verify_again(a);
    }
    if (ask_all(a))
        return NULL;
    if (q->far || q->from == 0)
        return conclude(a);
    q->far = true;
    q->from = back_from(q->to, FAR_B);
    return NULL;
}

/* The check may say no at any time, and its yes comes last. */
struct err *blame_hear(struct archive *a, struct snapcheck_report *ret, bool *ret_good)
{
    uint64_t at_b = 0;
    struct err *e;

    *ret_good = a->job->verify == FETCH_VERIFY_NONE && partial_whole(a->partial);
    if (!a->verifier || !verifier_is_over(a->verifier))
        return NULL;
    e = verifier_answer(a->verifier, ret, &at_b);
    if (e && e->kind == ERR_CORRUPT)
        return begin(a, e, at_b);
    *ret_good = !e;
    return e;
}
