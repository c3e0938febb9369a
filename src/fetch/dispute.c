/* Sources that were proven equal, as far as that goes, gave other bytes for the same block. Others
 * are asked for it until two of all versions are the same: that one is right, and whoever gave
 * another one has lied. Where nobody is left to be asked no two agree and nobody is blamed: one
 * source is believed, the others are put aside, and the archive's own check decides (blame.c). */
#include "fetch/archive_parts.h"

#include <stdlib.h>
#include <string.h>

#include "io/clock.h"

static struct err *lied(const struct source *s, size_t block)
{
    return err_new(ERR_CORRUPT, "it sent wrong bytes near byte %llu",
                   (unsigned long long)(block * SEGMENT_BLOCK_B));
}

void dispute_end(struct archive *a)
{
    for (size_t i = 0; i < a->dispute.n_versions; i++)
        free(a->dispute.versions[i].bytes);
    a->dispute = (struct dispute){0};
}

bool dispute_has_version(const struct archive *a, const struct source *s)
{
    for (size_t i = 0; i < a->dispute.n_versions; i++)
        if (a->dispute.versions[i].source == s)
            return true;
    return false;
}

static bool is_party(const struct archive *a, const struct source *s)
{
    return s == a->dispute.writer || dispute_has_version(a, s);
}

/* Whoever gave a version other than right (n_versions: that of the file). */
static struct err *blame_others(struct archive *a, size_t right)
{
    struct source *liars[VERSIONS_MAX + 1];
    const struct dispute *d = &a->dispute;
    size_t n = 0, block = d->block;

    for (size_t i = 0; i < d->n_versions; i++)
        if (i != right)
            liars[n++] = d->versions[i].source;
    if (right < d->n_versions)
        liars[n++] = d->writer;
    dispute_end(a);
    for (size_t i = 0; i < n; i++)
        TRY(source_blame(a, liars[i], lied(liars[i], block), false));
    return NULL;
}

/* ---- who is asked ------------------------------------------------------------------------- */

static struct source *find_judge(const struct archive *a)
{
    uint64_t now = clock_mono_ns(a->ctx);

    for (size_t i = 0; i < a->n_sources; i++) {
        struct source *s = &a->sources[i];

        if (!is_party(a, s) && s->state == SOURCE_READY && s->ranges && source_may_work(a, s, now))
            return s;
    }
    return NULL;
}

/* One that will be able to be asked: it has failed just now, or has not proven yet which file it
 * has. Both end soon, well or with its drop. */
static bool judge_may_come(const struct archive *a)
{
    for (size_t i = 0; i < a->n_sources; i++) {
        const struct source *s = &a->sources[i];

        if (!is_party(a, s) && s->ranges &&
            (s->state == SOURCE_READY || (s->state == SOURCE_ASKED && s->answered)))
            return true;
    }
    return false;
}

/* One that reads the file from its beginning and has not come to that block yet. */
static struct source *find_reader(const struct archive *a)
{
    for (size_t i = 0; i < a->n_streams; i++) {
        const struct stream *s = a->streams[i];

        if (s->kind == STREAM_SINGLE && s->source->state == SOURCE_READY && !s->enough &&
            !is_party(a, s->source) && s->pos_b <= a->dispute.block * SEGMENT_BLOCK_B &&
            a->dispute.block * SEGMENT_BLOCK_B < s->end_b)
            return s->source;
    }
    return NULL;
}

/* The one that gave most is believed, but not who wrote what the check has tripped over. */
static struct source *believed(const struct archive *a, bool tripped)
{
    const struct dispute *d = &a->dispute;
    struct source *best = tripped ? NULL : d->writer;

    for (size_t i = 0; i < d->n_versions; i++) {
        struct source *s = d->versions[i].source;

        if (s->state != SOURCE_DROPPED && (!best || s->kept_b > best->kept_b))
            best = s;
    }
    return best;
}

static struct err *without_judge(struct archive *a)
{
    struct source *w = a->dispute.writer, *out[VERSIONS_MAX], *best;
    bool tripped = blame_is_near(a, a->dispute.block);
    size_t n = 0;

    best = believed(a, tripped);
    for (size_t i = 0; i < a->dispute.n_versions; i++)
        if (a->dispute.versions[i].source->state != SOURCE_DROPPED)
            out[n++] = a->dispute.versions[i].source;
    dispute_end(a);
    if (w->state != SOURCE_DROPPED && !n)
        return NULL;                              /* nobody contradicts any more */
    if (w->state == SOURCE_DROPPED && !tripped) { /* whoever is left will send it again */
        w->kept_b = 0;
        return archive_forget(a, w->id);
    }
    for (size_t i = 0; i < n; i++)
        if (out[i] != best && w->state != SOURCE_DROPPED)
            TRY(source_doubt(a, out[i]));
    if (tripped) {
        TRY(blame_suspect(a, w));
        a->suspect = n > 1 ? NULL : a->suspect; /* others were taken out as well */
        return NULL;
    }
    return best == w ? NULL : source_doubt(a, w);
}

static struct err *ask_judge(struct archive *a)
{
    struct dispute *d = &a->dispute;
    uint64_t from_b = d->block * SEGMENT_BLOCK_B;
    const struct source *second = witness_second(a, d->block);

    if (second && !is_party(a, second))
        return blame_others(a, d->n_versions);
    d->judge = d->n_versions < VERSIONS_MAX ? find_judge(a) : NULL;
    if (d->judge && a->n_streams < STREAMS_MAX) {
        stream_begin(a, d->judge, STREAM_CHECK, from_b, from_b + d->n);
        return NULL;
    }
    d->judge = d->n_versions < VERSIONS_MAX ? find_reader(a) : NULL;
    if (d->judge || (d->n_versions < VERSIONS_MAX && judge_may_come(a)))
        return NULL;
    return without_judge(a);
}

bool dispute_is_judge(const struct archive *a, const struct source *s, size_t block)
{
    return a->dispute.on && a->dispute.judge == s && a->dispute.block == block;
}

/* ---- what they say ------------------------------------------------------------------------ */

/* What is there is of a run before this one: the first who says otherwise may lie, but not two, and
 * not when the check has tripped over it. */
static struct err *doubt_earlier(struct archive *a, struct source *s, size_t block)
{
    if (blame_is_near(a, block))
        return archive_forget(a, SEGMENT_EARLIER);
    if (!a->earlier_doubted) {
        a->earlier_doubted = true;
        return source_doubt(a, s);
    }
    TRY(archive_forget(a, SEGMENT_EARLIER));
    for (size_t i = 0; i < a->n_sources; i++)
        if (a->sources[i].doubted)
            a->sources[i].doubted = false;
    return sources_group(a);
}

static void compare_later(struct archive *a, size_t block)
{
    if (a->n_checks < CHECKS_MAX)
        a->checks[a->n_checks++] = (struct check){block, block + 1};
}

static void add_version(struct archive *a, struct source *s, const void *data, size_t n)
{
    struct dispute *d = &a->dispute;

    d->versions[d->n_versions++] = (struct version){.source = s, .bytes = xmemdup(data, n)};
    streams_end_of(a, s);
}

struct err *dispute_block(struct archive *a, struct source *s, uint8_t writer, size_t block,
                          const void *data, size_t n)
{
    struct source *w = source_of_id(a, writer);
    struct err *e;

    if (a->dispute.on || /* one after another */
        (w && w != s && w->state == SOURCE_READY &&
         (!source_has_head(a, w) || !source_has_head(a, s) || !source_is_same(w, s)))) {
        /* or who has another file is decided by all (sources_group) */
        compare_later(a, block);
        return NULL;
    }
    if (!w) {
        e = doubt_earlier(a, s, block);
    } else if (w == s) {
        e = source_blame(a, s, lied(s, block), false);
    } else {
        a->dispute = (struct dispute){.on = true, .block = block, .writer = w, .n = n};
        add_version(a, s, data, n);
        e = ask_judge(a);
    }
    if (e)
        archive_fail(a, e);
    return NULL;
}

struct err *dispute_judged(struct archive *a, struct source *judge, size_t block, bool as_file,
                           const void *data, size_t n)
{
    struct dispute *d = &a->dispute;
    size_t same = 0;
    struct err *e;

    while (same < d->n_versions && memcmp(data, d->versions[same].bytes, n) != 0)
        same++;
    if (!as_file && same == d->n_versions) { /* one more version: nobody has lied yet */
        add_version(a, judge, data, n);
        e = ask_judge(a);
    } else {
        e = blame_others(a, as_file ? d->n_versions : same);
    }
    if (e)
        archive_fail(a, e);
    return NULL;
}

/* Who was put aside meanwhile has another file anyway. */
static void drop_versions(struct dispute *d)
{
    for (size_t i = d->n_versions; i > 0; i--)
        if (d->versions[i - 1].source->state == SOURCE_ASIDE) {
            free(d->versions[i - 1].bytes);
            d->versions[i - 1] = d->versions[--d->n_versions];
        }
}

/* The judge is still to send that block; what else it compares meanwhile is no answer. */
static bool is_on_its_way(const struct archive *a)
{
    const struct dispute *d = &a->dispute;

    for (size_t i = 0; i < a->n_streams; i++) {
        const struct stream *s = a->streams[i];
        uint64_t at_b = d->block * SEGMENT_BLOCK_B;

        if (s->source == d->judge && !s->enough && s->pos_b <= at_b && at_b < s->end_b &&
            (s->kind == STREAM_CHECK || s->kind == STREAM_SINGLE))
            return true;
    }
    return false;
}

struct err *dispute_tick(struct archive *a)
{
    struct dispute *d = &a->dispute;
    size_t n;
    const uint8_t *blocks = partial_blocks(a->partial, &n);

    if (!d->on)
        return NULL;
    /* Who has left has still written it, or said otherwise. */
    drop_versions(d);
    if (d->block >= n || blocks[d->block] != d->writer->id || !d->n_versions) {
        dispute_end(a);
        return NULL;
    }
    return d->judge && is_on_its_way(a) ? NULL : ask_judge(a);
}
