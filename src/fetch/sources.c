/* The sources of one file: which of them have the same one, who failed how often, and who is left.
 * The first that answers may begin at once; when the larger number turns out to have another file,
 * what it gave is forgotten, which costs the first moments only. */
#include "fetch/archive_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "io/clock.h"
#include "io/http.h"
#include "solana/rpc.h"

#define HEAD_B        ((uint64_t)2 << 20)
#define TAIL_B        ((uint64_t)1 << 20)
#define KNOWN_HEAD_B  ((uint64_t)128 << 10)
#define KNOWN_TAIL    2 /* blocks */
#define KNOWN_WINDOW  2
#define WINDOW_B      ((uint64_t)256 << 10)
#define STRIKES       3
#define UNRANGED      3
#define PROBATION_B_S 65536.0
#define BACKOFF_NS    ((uint64_t)500000000)
#define PATIENCE_S    30.0 /* with the last one that is left */
#define WAIT_S        3.0  /* for the answers of all, when what is there has another length */

/* ---- the fingerprint ---------------------------------------------------------------------- */

static size_t blocks_of(uint64_t b)
{
    return (size_t)(b / SEGMENT_BLOCK_B);
}

uint64_t sources_head_b(const struct archive *a)
{
    return a->known ? KNOWN_HEAD_B : HEAD_B;
}

/* Of a file of that length, all that this run compares. The parts do not overlap. */
static void draw_parts(struct archive *a, uint64_t total_b)
{
    size_t n = segment_blocks(total_b), head = blocks_of(sources_head_b(a));
    size_t tail = a->known ? KNOWN_TAIL : blocks_of(TAIL_B) + 1, room;
    size_t window = a->known ? KNOWN_WINDOW : blocks_of(WINDOW_B);
    struct print_part *p = a->parts;

    if (a->parts_of_b == total_b)
        return;
    a->parts_of_b = total_b;
    memset(p, 0, sizeof(a->parts));
    p[0].to = n < head ? n : head;
    if (n <= head)
        return;
    p[1].from = n - head > tail ? n - tail : head;
    p[1].to = n;
    p[1].at = blocks_of(HEAD_B);
    room = p[1].from - head;
    if (!room)
        return;
    p[2].from = head + (size_t)(a->draw % (room > window ? room - window + 1 : 1));
    p[2].to = p[2].from + window < p[1].from ? p[2].from + window : p[1].from;
    p[2].at = blocks_of(HEAD_B) + blocks_of(TAIL_B) + 1;
}

/* Where a block's hash is in the print; false: it belongs to no part. Parts but the head are those
 * of the present length. */
static bool print_at(const struct archive *a, const struct source *s, size_t block, size_t *ret)
{
    if (block < blocks_of(HEAD_B)) {
        *ret = block;
        return true;
    }
    for (size_t i = 1; i < PRINT_PARTS && s->total_b == a->parts_of_b; i++)
        if (block >= a->parts[i].from && block < a->parts[i].to) {
            *ret = a->parts[i].at + block - a->parts[i].from;
            return true;
        }
    return false;
}

void source_print(struct archive *a, struct source *s, size_t block, const void *data, size_t n)
{
    uint8_t hash[32];
    size_t at;

    if (!print_at(a, s, block, &at) || s->printed[at])
        return;
    blake3_256(data, n, hash);
    memcpy(s->print[at], hash, PRINT_HASH_B);
    s->printed[at] = true;
}

static bool has_part(const struct archive *a, const struct source *s, size_t part)
{
    const struct print_part *p = &a->parts[part];
    size_t at;

    /* the window of a small fingerprint may lie in what is the head of a whole one */
    for (size_t i = p->from; i < p->to && i < segment_blocks(s->total_b); i++)
        if (!print_at(a, s, i, &at) || !s->printed[at])
            return false;
    return true;
}

bool source_has_head(const struct archive *a, const struct source *s)
{
    return has_part(a, s, 0);
}

/* All that can be known of it without reading the file: of one without ranges the head. */
bool source_has_print(const struct archive *a, const struct source *s)
{
    for (size_t i = 0; i < PRINT_PARTS; i++)
        if ((i == 0 || s->ranges) && !has_part(a, s, i))
            return false;
    return s->answered;
}

bool source_prints_alike(const struct archive *a, const struct source *s, const struct source *b,
                         size_t block)
{
    size_t at;

    return b && s->total_b == b->total_b && print_at(a, s, block, &at) && s->printed[at] &&
           b->printed[at] && memcmp(s->print[at], b->print[at], PRINT_HASH_B) == 0;
}

bool source_is_same(const struct source *a, const struct source *b)
{
    if (a->total_b != b->total_b)
        return false;
    for (size_t i = 0; i < PRINT_BLOCKS; i++)
        if (a->printed[i] && b->printed[i] && memcmp(a->print[i], b->print[i], PRINT_HASH_B) != 0)
            return false;
    return true;
}

static void ask_parts(struct archive *a, struct source *s)
{
    if (s->not_before_ns > clock_mono_ns(a->ctx))
        return;
    for (size_t i = 0; i < PRINT_PARTS && s->ranges; i++) {
        const struct print_part *p = &a->parts[i];
        uint64_t to_b = p->to * SEGMENT_BLOCK_B;
        struct stream *n;

        if (s->asking[i] || p->from == p->to || has_part(a, s, i))
            continue;
        if (a->n_streams == STREAMS_MAX)
            return;
        s->asking[i] = true;
        n = stream_begin(a, s, STREAM_PRINT, p->from * SEGMENT_BLOCK_B,
                         to_b < s->total_b ? to_b : s->total_b);
        n->part = i;
    }
}

/* ---- groups ------------------------------------------------------------------------------- */

struct group {
    size_t n;
    bool present; /* one of them has given bytes */
    double rate_b_s;
    uint64_t total_b;
    bool in[SOURCES_MAX];
};

static bool takes_part(const struct archive *a, const struct source *s)
{
    if (s->state == SOURCE_DROPPED || s->doubted || !s->answered)
        return false;
    /* whoever was put aside before it had said all has said something else than the others */
    return s->state != SOURCE_ASKED || has_part(a, s, 0);
}

static void add_print(struct source *to, const struct source *s)
{
    for (size_t i = 0; i < PRINT_BLOCKS; i++) {
        if (s->printed[i])
            memcpy(to->print[i], s->print[i], PRINT_HASH_B);
        to->printed[i] = to->printed[i] || s->printed[i];
    }
}

/* Whoever says the same as the first and as all that were taken before; of what only some have said
 * yet, the first word counts. Those who have said enough are asked first: one of whom little is
 * known agrees with everybody, and would bring a liar and the truth together. */
static void group_of(const struct archive *a, size_t first, struct group *ret)
{
    struct source all = a->sources[first]; /* what the group says, together */

    *ret = (struct group){.total_b = all.total_b};
    for (size_t i = 0; i < 2 * a->n_sources; i++) {
        const struct source *s = &a->sources[i % a->n_sources];

        if (has_part(a, s, 0) != (i < a->n_sources) || !takes_part(a, s) ||
            !source_is_same(&all, s))
            continue;
        add_print(&all, s);
        ret->in[i % a->n_sources] = true;
        ret->n++;
        ret->present = ret->present || s->kept_b > 0 || s->state == SOURCE_READY;
        ret->rate_b_s += source_rate(s, clock_mono_ns(a->ctx));
    }
}

static bool is_larger(const struct group *a, const struct group *b)
{
    if (a->n != b->n)
        return a->n > b->n;
    return a->present != b->present ? a->present : a->rate_b_s > b->rate_b_s;
}

static bool choose_group(const struct archive *a, struct group *ret)
{
    bool found = false;

    for (size_t i = 0; i < a->n_sources; i++) {
        struct group g;

        if (!takes_part(a, &a->sources[i]))
            continue;
        group_of(a, i, &g);
        if (!found || is_larger(&g, ret))
            *ret = g;
        found = true;
    }
    return found;
}

struct err *source_put_aside(struct archive *a, struct source *s)
{
    s->state = SOURCE_ASIDE;
    streams_end_of(a, s);
    s->tried = false; /* not by its own fault: it may be begun again */
    s->kept_b = s->read_to_b = 0;
    return archive_forget(a, s->id);
}

struct err *source_doubt(struct archive *a, struct source *s)
{
    s->doubted = true;
    TRY(partial_unprove(a->partial, s->token));
    return source_put_aside(a, s);
}

/* All but the head, which is that of any length: the places of the others are drawn anew. */
static void forget_parts(struct source *s)
{
    memset(s->printed + blocks_of(HEAD_B), 0, sizeof(s->printed) - blocks_of(HEAD_B));
}

/* The length is what the first one says, or the larger number of sources: where the disk has no
 * room for it, it is that source that is dropped, since another one may say less. */
static struct err *take_length(struct archive *a, struct source *s)
{
    struct err *e;

    if (partial_total_b(a->partial) != s->total_b) {
        a->known = false;
        a->verifier = verifier_free(a->verifier);
        blame_end(a);
        witness_clear(a);
        dispute_end(a);
        for (size_t i = 0; i < a->n_sources; i++) {
            forget_parts(&a->sources[i]);
            a->sources[i].kept_b = 0;
        }
        a->n_checks = 0;
    }
    e = partial_size(a->partial, s->total_b, a->spare_b);
    if (e && e->sys == ENOSPC) {
        source_drop(a, s, e);
        return NULL;
    }
    TRY(e);
    draw_parts(a, s->total_b);
    return a->verifier || blame_is_asking(a) ? NULL : archive_verify_again(a);
}

static struct err *join(struct archive *a, struct source *s)
{
    if (s->state == SOURCE_READY && s->ranges && source_has_print(a, s))
        TRY(partial_note_proven(a->partial, s->token));
    if (s->state == SOURCE_READY) {
        ask_parts(a, s); /* one that was cut off on the way */
        return NULL;
    }
    if (partial_total_b(a->partial) != s->total_b)
        TRY(take_length(a, s));
    if (s->state == SOURCE_DROPPED)
        return NULL;
    ask_parts(a, s);
    if (source_has_print(a, s))
        s->state = SOURCE_READY;
    return NULL;
}

size_t sources_ready(const struct archive *a)
{
    size_t n = 0;

    for (size_t i = 0; i < a->n_sources; i++)
        n += a->sources[i].state == SOURCE_READY;
    return n;
}

/* Those that may still say otherwise, and soon: the first that have answered are not the majority
 * because they are the first. One that is read from its beginning is at work meanwhile. */
static bool is_undecided(const struct archive *a, const struct group *g)
{
    size_t open = 0, others = 0;

    if ((double)(clock_mono_ns(a->ctx) - a->begun_ns) / 1e9 >= WAIT_S)
        return false;
    for (size_t i = 0; i < a->n_sources; i++) {
        const struct source *s = &a->sources[i];

        if (s->state == SOURCE_DROPPED || s->doubted)
            continue;
        if (!s->answered || !has_part(a, s, 0))
            open++;
        else
            others += !g->in[i];
    }
    return open && g->n <= others + open;
}

/* Some are still to be heard of. */
static bool is_early(const struct archive *a)
{
    bool waiting = false;

    for (size_t i = 0; i < a->n_sources; i++)
        waiting = waiting || (a->sources[i].state == SOURCE_ASKED && !a->sources[i].answered);
    return waiting && (double)(clock_mono_ns(a->ctx) - a->begun_ns) / 1e9 < WAIT_S;
}

static bool contradicts(const struct archive *a, const struct source *s, const struct group *g)
{
    for (size_t i = 0; i < a->n_sources; i++)
        if (g->in[i] && !source_is_same(&a->sources[i], s))
            return true;
    return false;
}

/* Those that have left: what they gave of another file must not stay in this one. */
static struct err *forget_strangers(struct archive *a, const struct group *g)
{
    for (size_t i = 0; i < a->n_sources; i++) {
        struct source *s = &a->sources[i];

        if (s->state != SOURCE_DROPPED || !s->kept_b || !contradicts(a, s, g))
            continue;
        s->kept_b = 0;
        TRY(archive_forget(a, s->id));
    }
    return NULL;
}

enum sources_word sources_word(const struct archive *a)
{
    const struct source *first = NULL;
    size_t n = 0;

    for (size_t i = 0; i < a->n_sources; i++) {
        const struct source *s = &a->sources[i];

        if (s->state > SOURCE_READY || !s->answered || !has_part(a, s, 0))
            continue;
        if (first && !source_is_same(first, s))
            return SOURCES_DISAGREE;
        first = s;
        n++;
    }
    return n > 1 ? SOURCES_AGREE : SOURCES_ALONE;
}

struct err *sources_group(struct archive *a)
{
    bool undecided;
    struct group g;

    if (!choose_group(a, &g))
        return NULL;
    undecided = is_undecided(a, &g);
    /* Whoever is at work has a file of the present length until he is put aside; and of a run
     * before this one there is more to lose than a moment. */
    if (partial_total_b(a->partial) != g.total_b &&
        (sources_ready(a) ? undecided : partial_have_b(a->partial) && is_early(a)))
        return NULL;
    for (size_t i = 0; i < a->n_sources; i++) {
        struct source *s = &a->sources[i];

        if (!g.in[i] && takes_part(a, s) && s->state != SOURCE_ASIDE && !undecided)
            TRY(source_put_aside(a, s));
    }
    for (size_t i = 0; i < a->n_sources; i++)
        if (g.in[i])
            TRY(join(a, &a->sources[i]));
    return forget_strangers(a, &g);
}

struct err *source_answered(struct archive *a, struct source *s, uint64_t total_b, bool ranges)
{
    s->answered = true;
    s->total_b = total_b;
    s->ranges = ranges;
    /* One that is read from its beginning is compared as it goes. */
    if (sources_ready(a) && partial_total_b(a->partial) == total_b && !ranges)
        s->state = SOURCE_READY;
    if (sources_ready(a)) {
        if (partial_total_b(a->partial) == total_b)
            ask_parts(a, s);
        return NULL;
    }
    if (partial_total_b(a->partial) != UINT64_MAX && partial_total_b(a->partial) != total_b)
        return NULL; /* what is there may be right: sources_group decides */
    TRY(take_length(a, s));
    if (s->state == SOURCE_DROPPED)
        return NULL;
    s->state = SOURCE_READY;
    ask_parts(a, s);
    return NULL;
}

/* ---- failures ----------------------------------------------------------------------------- */

double source_rate(const struct source *s, uint64_t now_ns)
{
    if (s->n_streams && meter_age_s(&s->meter, now_ns) >= 1)
        return meter_rate(&s->meter, now_ns, 5);
    return s->last_b_s > 0 ? s->last_b_s : s->spec->rate_b_s > 0 ? s->spec->rate_b_s : 0;
}

double source_prospect(const struct source *s, uint64_t now_ns)
{
    double b_s = source_rate(s, now_ns);

    /* What it takes now would be waited for again, and the end may be near. One without ranges
     * takes nothing from others: who of them goes on is seen by what they give. */
    return s->ranges && s->strikes && s->good_ns < s->struck_ns && b_s > PROBATION_B_S
               ? PROBATION_B_S
               : b_s;
}

/* What the proxy does to all of them is told once, and in its name. */
static void tell_drop(struct archive *a, const struct source *s, const struct err *e)
{
    const char *end =
        s->proxy_fault && str_starts(e->text, "proxy '") ? strstr(e->text, "': ") : NULL;
    AUTO(freep) char *proxy = end ? xstrndup(e->text, (size_t)(end + 1 - e->text)) : NULL;
    const char *label = end ? proxy : s->label, *why = end ? end + 3 : e->text;
    struct err told = {.kind = e->kind, .remote = e->remote, .text = (char *)(uintptr_t)why};
    AUTO(freep) char *line = xasprintf("%s: %s", label, why);

    if (end && strlist_has(&a->dropped, line))
        return;
    strlist_add(&a->dropped, line);
    if (a->job->dropped)
        a->job->dropped(a->job->arg, label, &told);
}

void source_drop(struct archive *a, struct source *s, struct err *e)
{
    if (s->state == SOURCE_DROPPED) {
        err_free(e);
        return;
    }
    streams_end_of(a, s);
    s->state = SOURCE_DROPPED;
    err_free(s->why);
    s->why = e;
    tell_drop(a, s, e);
}

/* Nothing will be better the next time. */
static bool is_final(const struct err *e)
{
    return e->kind == ERR_NOTFOUND || e->kind == ERR_BADINPUT || e->kind == ERR_CORRUPT ||
           e->kind == ERR_REFUSED || e->kind == ERR_ABSENT ||
           (e->remote >= 300 && e->remote < 429 && e->remote != 408);
}

/* Also with another file: theirs may be the right one. */
static bool others_could(const struct archive *a, const struct source *s)
{
    for (size_t i = 0; i < a->n_sources; i++) {
        const struct source *o = &a->sources[i];

        if (o != s && o->state != SOURCE_DROPPED && o->answered)
            return true;
    }
    return false;
}

void source_strike(struct archive *a, struct source *s, struct err *e)
{
    uint64_t now = clock_mono_ns(a->ctx);
    unsigned max = s->answered && !s->ranges ? STRIKES - 1 : STRIKES;

    if (s->state == SOURCE_DROPPED || (s->not_before_ns > now && !is_final(e))) {
        err_free(e);
        return;
    }
    if (is_final(e)) {
        source_drop(a, s, e);
        return;
    }
    s->strikes++;
    s->struck_ns = now;
    if (s->strikes >= max && s->good_ns && !others_could(a, s) &&
        (double)(now - s->good_ns) / 1e9 < PATIENCE_S)
        s->strikes = max - 1; /* nobody else could do better */
    if (s->strikes >= max) {
        source_drop(a, s, e);
        return;
    }
    streams_end_of(a, s);
    s->not_before_ns = now + (BACKOFF_NS << (s->strikes - 1));
    err_free(s->why);
    s->why = e;
}

void source_unranged(struct archive *a, struct source *s, struct err *e)
{
    uint64_t now = clock_mono_ns(a->ctx);

    if (s->state == SOURCE_DROPPED || s->not_before_ns > now) {
        err_free(e);
        return;
    }
    err_free(s->why);
    s->why = e;
    s->not_before_ns = now + (BACKOFF_NS << s->unranged++);
    if (s->unranged < UNRANGED)
        return; /* its other transfers go on */
    streams_end_of(a, s);
    s->ranges = s->tried = false;
    s->unranged = 0;
}

void source_convict(struct archive *a, struct source *s, struct err *e, bool whole)
{
    if (!s->blamed)
        strlist_add(&a->bad, s->label);
    s->blamed = true;
    if (a->job->blamed)
        a->job->blamed(a->job->arg, s->label, e, whole);
    if (s->state == SOURCE_DROPPED) { /* that is the worse reason */
        err_free(s->why);
        s->why = e;
    } else {
        source_drop(a, s, e);
    }
}

struct err *source_blame(struct archive *a, struct source *s, struct err *e, bool whole)
{
    source_convict(a, s, e, whole);
    s->kept_b = s->read_to_b = 0;
    TRY(partial_unprove(a->partial, s->token));
    return archive_forget(a, s->id);
}

struct source *source_of_id(struct archive *a, uint8_t id)
{
    return id == SEGMENT_MISSING || id == SEGMENT_EARLIER ? NULL : &a->sources[id - 1];
}

bool source_may_work(const struct archive *a, const struct source *s, uint64_t now_ns)
{
    if (dispute_has_version(a, s))
        return false;
    return s->state != SOURCE_DROPPED && s->state != SOURCE_ASIDE && s->not_before_ns <= now_ns;
}

/* Those that have another file, or that a run before this one contradicts: the turn is theirs. */
static struct err *bring_back(struct archive *a, bool *ret_any)
{
    *ret_any = false;
    for (size_t i = 0; i < a->n_sources; i++) {
        if (a->sources[i].state != SOURCE_ASIDE)
            continue;
        a->sources[i].state = SOURCE_ASKED;
        a->sources[i].doubted = false;
        a->sources[i].not_before_ns = 0;
        *ret_any = true;
    }
    if (!*ret_any)
        return NULL;
    a->known = false;
    a->parts_of_b = 0;
    for (size_t i = 0; i < a->n_sources; i++)
        forget_parts(&a->sources[i]);
    draw_parts(a, partial_total_b(a->partial));
    TRY(archive_forget(a, SEGMENT_MISSING));
    return sources_group(a);
}

static bool revive_slow(struct archive *a)
{
    bool any = false;

    for (size_t i = 0; i < a->n_sources; i++) {
        struct source *s = &a->sources[i];

        if (s->state != SOURCE_DROPPED || s->why->kind != ERR_TIMEOUT || s->revived || !s->good_ns)
            continue;
        s->revived = any = true;
        /* nothing of it is here any more: the file is another one by now */
        s->state = s->kept_b ? SOURCE_READY : SOURCE_ASKED;
        s->strikes = 0;
        s->not_before_ns = 0;
        s->best_b_s = 0;
    }
    return any;
}

struct err *sources_none_left(struct archive *a, bool *ret)
{
    bool back = false;

    *ret = false;
    for (size_t i = 0; i < a->n_sources; i++)
        if (a->sources[i].state == SOURCE_READY || a->sources[i].state == SOURCE_ASKED)
            return NULL;
    if (revive_slow(a))
        return NULL;
    TRY(bring_back(a, &back));
    *ret = !back;
    return NULL;
}

/* Worst last: which kind says most about all of them. */
static int weight(enum err_kind kind)
{
    static const enum err_kind order[] = {ERR_NOTFOUND, ERR_BADINPUT, ERR_SYS,
                                          ERR_TIMEOUT,  ERR_REMOTE,   ERR_CORRUPT};

    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        if (order[i] == kind)
            return (int)i;
    return -1;
}

struct err *sources_error(const struct archive *a)
{
    AUTO(strbuf_clear) struct strbuf text = {0};
    const struct err *worst = NULL;

    for (size_t i = 0; i < a->n_sources; i++) {
        const struct source *s = &a->sources[i];

        if (!s->why)
            continue;
        strbuf_printf(&text, "%s%s: %s", text.len ? "; " : "", s->label, s->why->text);
        if (!worst || weight(s->why->kind) > weight(worst->kind))
            worst = s->why;
    }
    if (!worst)
        return err_new(ERR_NOTFOUND, "no source has '%s'", a->job->name);
    return err_new_(__FILE__, __LINE__, worst->kind, 0, worst->remote, "%s", strbuf_text(&text));
}

/* ---- too late ------------------------------------------------------------------------------- */

/* Somebody who is not at work could be in time, or nobody knows yet. */
static bool others_may_do_it(const struct archive *a, uint64_t now, double left_s)
{
    for (size_t i = 0; i < a->n_sources; i++) {
        const struct source *s = &a->sources[i];
        double b_s = source_rate(s, now);

        if (s->state == SOURCE_ASKED && (s->n_streams || s->not_before_ns <= now))
            return true;
        if (s->state != SOURCE_READY || s->n_streams || !source_may_work(a, s, now))
            continue;
        if (b_s > 0 ? (double)s->total_b / b_s <= left_s : !s->tried)
            return true;
    }
    return false;
}

/* What is missing and how quickly it comes. One without ranges sends first what is there already,
 * and nothing is kept meanwhile: it will be done with its own rest. */
static void look_ahead(const struct archive *a, uint64_t now, uint64_t *ret_b, double *ret_b_s)
{
    uint64_t total_b = partial_total_b(a->partial);

    *ret_b = total_b - partial_have_b(a->partial);
    *ret_b_s = meter_rate(&a->kept, now, 10);
    for (size_t i = 0; i < a->n_streams; i++) {
        const struct stream *s = a->streams[i];
        uint64_t rest_b = total_b > s->pos_b ? total_b - s->pos_b : 0;
        double b_s = meter_rate(&s->meter, now, 10);

        if (s->kind != STREAM_SINGLE || s->source->state != SOURCE_READY || s->end_b < total_b)
            continue;
        if ((double)rest_b * *ret_b_s < (double)*ret_b * b_s) {
            *ret_b = rest_b;
            *ret_b_s = b_s;
        }
    }
}

struct err *sources_in_time(struct archive *a, uint64_t now)
{
    double b_s, left_s = deadline_left_s(&a->deadline, now);
    uint64_t missing_b;
    char rate[32], needs[32], left[32];

    if (partial_total_b(a->partial) == UINT64_MAX)
        return NULL;
    look_ahead(a, now, &missing_b, &b_s);
    if (!deadline_is_missed(&a->deadline, now, missing_b, b_s) || others_may_do_it(a, now, left_s))
        return NULL;
    if (a->job->late)
        a->job->late(a->job->arg);
    return err_new(ERR_TIMEOUT,
                   "it comes too late: at %s/s it needs %s more, and in %s it is too old; what has "
                   "arrived stays",
                   fmt_size((uint64_t)b_s, rate, sizeof(rate)),
                   b_s >= 1 ? fmt_duration((double)missing_b / b_s, needs, sizeof(needs))
                            : "for ever",
                   fmt_duration(left_s, left, sizeof(left)));
}

/* ---- open and close ----------------------------------------------------------------------- */

/* "http://host:port" for people; to be freed. */
static char *label_of(const struct fetch_source *s)
{
    AUTO(freep) char *origin = NULL;

    if (s->label)
        return xstrdup(s->label);
    origin = xstrndup(s->url, http_origin_n(s->url));
    return rpc_url_label(origin);
}

/* In the map: who it is, as far as that can be known. */
static uint64_t token_of(const char *url)
{
    uint8_t hash[32];
    uint64_t token;

    blake3_256(url, strlen(url), hash);
    memcpy(&token, hash, sizeof(token));
    return token;
}

struct err *sources_open(struct archive *a)
{
    size_t n = a->job->n_sources < SOURCES_MAX ? a->job->n_sources : SOURCES_MAX;

    if (!n)
        return err_new(ERR_NOTFOUND, "no source has '%s'", a->job->name);
    if (getrandom(&a->draw, sizeof(a->draw), 0) != sizeof(a->draw))
        return err_sys(errno, "cannot draw a number");
    a->sources = xcalloc(n, sizeof(*a->sources));
    a->n_sources = n;
    for (size_t i = 0; i < n; i++) {
        a->sources[i].spec = &a->job->sources[i];
        a->sources[i].label = label_of(&a->job->sources[i]);
        a->sources[i].id = (uint8_t)(i + 1);
        a->sources[i].token = token_of(a->job->sources[i].url);
    }
    return NULL;
}

void sources_close(struct archive *a)
{
    for (size_t i = 0; i < a->n_sources; i++) {
        free(a->sources[i].label);
        err_free(a->sources[i].why);
    }
    free(TAKE(a->sources));
    a->n_sources = 0;
}
