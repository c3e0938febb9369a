/* Two sources that were proven equal, as far as that goes, gave other bytes for the same block. A
 * third one is asked for it, and the majority is right. Where there is no third, the one that gave
 * more is believed for now and the other is put aside: the archive's own check has the last word
 * (archive.c). */
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
    free(a->dispute.bytes);
    a->dispute = (struct dispute){0};
}

static struct source *find_judge(const struct archive *a)
{
    uint64_t now = clock_mono_ns(a->ctx);

    for (size_t i = 0; i < a->n_sources; i++) {
        struct source *s = &a->sources[i];

        if (s != a->dispute.writer && s != a->dispute.other && s->state == SOURCE_READY &&
            s->ranges && source_may_work(a, s, now))
            return s;
    }
    return NULL;
}

static struct err *without_judge(struct archive *a)
{
    struct source *w = a->dispute.writer, *o = a->dispute.other;

    struct source *out = o->kept_b > w->kept_b ? w : o;

    dispute_end(a);
    if (w->state == SOURCE_DROPPED) { /* whoever is left will send it again */
        w->kept_b = 0;
        return archive_forget(a, w->id);
    }
    if (o->state == SOURCE_DROPPED)
        return NULL;
    out->doubted = true;
    return source_put_aside(a, out);
}

/* A third one that reads the file from its beginning: still before that block, or past it. */
static struct source *find_reader(const struct archive *a, bool past)
{
    for (size_t i = 0; i < a->n_streams; i++) {
        const struct stream *s = a->streams[i];

        if (s->kind == STREAM_SINGLE && s->source->state == SOURCE_READY && !s->enough &&
            s->source != a->dispute.writer && s->source != a->dispute.other &&
            past == (s->pos_b > a->dispute.block * SEGMENT_BLOCK_B))
            return s->source;
    }
    return NULL;
}

static struct err *ask_judge(struct archive *a)
{
    struct dispute *d = &a->dispute;
    uint64_t from_b = d->block * SEGMENT_BLOCK_B;
    struct source *o = d->other;
    size_t block = d->block;

    d->judge = find_judge(a);
    if (d->judge && a->n_streams < STREAMS_MAX) {
        stream_begin(a, d->judge, STREAM_CHECK, from_b, from_b + d->n);
        return NULL;
    }
    if (find_reader(a, true)) { /* it has compared that block and said nothing */
        dispute_end(a);
        return source_blame(a, o, lied(o, block));
    }
    d->judge = find_reader(a, false);
    return d->judge ? NULL : without_judge(a);
}

bool dispute_is_judge(const struct archive *a, const struct source *s, size_t block)
{
    return a->dispute.on && a->dispute.judge == s && a->dispute.block == block;
}

/* What is there is of a run before this one: the first who says otherwise may lie, but not two. */
static struct err *doubt_earlier(struct archive *a, struct source *s)
{
    if (!a->earlier_doubted) {
        a->earlier_doubted = true;
        s->doubted = true;
        return source_put_aside(a, s);
    }
    TRY(archive_forget(a, SEGMENT_EARLIER));
    for (size_t i = 0; i < a->n_sources; i++)
        if (a->sources[i].doubted)
            a->sources[i].doubted = false;
    return sources_group(a);
}

struct err *dispute_block(struct archive *a, struct source *s, uint8_t writer, size_t block,
                          const void *data, size_t n)
{
    struct dispute *d = &a->dispute;
    struct source *w = source_of_id(a, writer);
    struct err *e;

    if (d->on) { /* one after another */
        if (a->n_checks < CHECKS_MAX)
            a->checks[a->n_checks++] = (struct check){block, block + 1};
        return NULL;
    }
    if (w && w != s && w->state == SOURCE_READY &&
        (!source_has_head(a, w) || !source_has_head(a, s) || !source_is_same(w, s)))
        return NULL; /* who has another file is decided by all (sources_group) */
    if (!w) {
        e = doubt_earlier(a, s);
    } else if (w == s) {
        e = source_blame(a, s, lied(s, block));
    } else {
        *d = (struct dispute){.on = true, .block = block, .writer = w, .other = s, .n = n};
        d->bytes = xmemdup(data, n);
        streams_end_of(a, s);
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
    struct source *w = d->writer, *o = d->other;
    bool as_other = n == d->n && memcmp(data, d->bytes, n) == 0;
    struct err *e;

    dispute_end(a);
    if (as_file)
        e = source_blame(a, o, lied(o, block));
    else if (as_other)
        e = source_blame(a, w, lied(w, block));
    else
        e = source_blame(a, judge, lied(judge, block)); /* all three differ: they meet again */
    if (e)
        archive_fail(a, e);
    return NULL;
}

struct err *dispute_tick(struct archive *a)
{
    const struct dispute *d = &a->dispute;
    size_t n;
    const uint8_t *blocks = partial_blocks(a->partial, &n);

    if (!d->on)
        return NULL;
    /* Who has left has still written it, or said otherwise. */
    if (d->block >= n || blocks[d->block] != d->writer->id || d->other->state == SOURCE_ASIDE) {
        dispute_end(a);
        return NULL;
    }
    for (size_t i = 0; i < a->n_streams; i++)
        if (a->streams[i]->source == d->judge && !a->streams[i]->enough &&
            (a->streams[i]->kind == STREAM_CHECK || find_reader(a, false) == d->judge))
            return NULL;
    return ask_judge(a);
}
