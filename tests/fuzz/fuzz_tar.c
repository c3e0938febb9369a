/* The tar reader: content never exceeds what the entry announced, and pieces do not matter. */
#include "solana/tar.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct sum {
    uint64_t left, entries, bytes;
};

static struct err *sum_entry(void *arg, const struct tar_entry *e)
{
    struct sum *s = arg;

    assert(s->left == 0 && e->path[0] && strlen(e->path) <= TAR_PATH_MAX);
    s->left = e->size_b;
    s->entries++;
    return NULL;
}

static struct err *sum_data(void *arg, const void *data, size_t n)
{
    struct sum *s = arg;

    assert(n && n <= s->left);
    s->left -= n;
    s->bytes += n;
    return NULL;
}

static struct err *sum_end(void *arg)
{
    assert(((struct sum *)arg)->left == 0);
    return NULL;
}

static struct err *read_all(const uint8_t *data, size_t n, size_t piece, struct sum *ret)
{
    static const struct tar_sink sink = {.entry = sum_entry, .data = sum_data, .end = sum_end};
    AUTO(tar_freep) struct tar *t = tar_new(&sink, ret);

    for (size_t at = 0; at < n; at += piece)
        TRY(tar_feed(t, data + at, n - at < piece ? n - at : piece));
    return tar_finish(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct sum whole = {0}, pieces = {0};
    AUTO(err_freep) struct err *a = read_all(data, n, n ? n : 1, &whole);
    AUTO(err_freep) struct err *b = read_all(data, n, 37, &pieces);

    assert(!a == !b && (!a || strcmp(a->text, b->text) == 0));
    assert(whole.entries == pieces.entries && (a || whole.bytes == pieces.bytes));
    return 0;
}
