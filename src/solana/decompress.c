/* zstd and LZ4 frames and bzip2 streams, pushed in by pieces. One interface, because an archive's
 * name alone decides. The zstd frame format is RFC 8878, LZ4's is its own "frame format" document;
 * all libraries check every checksum that there is. Agave's encoder writes none for zstd, so a
 * flipped byte is mostly found by what reads the output. */
#include "solana/decompress.h"

#include "base/str.h"

#include <bzlib.h>
#include <lz4frame.h>
#include <zstd.h>
#include <zstd_errors.h>

#define PIECE_B ((size_t)128 << 10)

struct decompress {
    enum compression kind;
    decompress_sink_fn *sink;
    void *arg;
    ZSTD_DStream *zstd;
    LZ4F_dctx *lz4;
    bz_stream *bzip2;
    uint64_t in_b;   /* consumed so far */
    bool any, whole; /* a byte was seen; the last frame is complete */
    char piece[PIECE_B];
};

struct err *compression_of_name(const char *name, enum compression *ret)
{
    if (str_ends(name, ".zst"))
        *ret = COMPRESSION_ZSTD;
    else if (str_ends(name, ".lz4"))
        *ret = COMPRESSION_LZ4;
    else
        return err_new(ERR_BADINPUT, "'%s' ends neither in .zst nor in .lz4", name);
    return NULL;
}

static const char *const names[] = {
    [COMPRESSION_ZSTD] = "zstd", [COMPRESSION_LZ4] = "lz4", [COMPRESSION_BZIP2] = "bzip2"};

static bool begin(struct decompress *d)
{
    switch (d->kind) {
    case COMPRESSION_ZSTD:
        d->zstd = ZSTD_createDStream();
        return d->zstd && !ZSTD_isError(ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax,
                                                               DECOMPRESS_WINDOW_LOG_MAX));
    case COMPRESSION_LZ4:
        return !LZ4F_isError(LZ4F_createDecompressionContext(&d->lz4, LZ4F_VERSION));
    case COMPRESSION_BZIP2:
        d->bzip2 = xcalloc(1, sizeof(*d->bzip2));
        return BZ2_bzDecompressInit(d->bzip2, 0, 0) == BZ_OK;
    }
    return false;
}

struct err *decompress_new(enum compression kind, decompress_sink_fn *sink, void *arg,
                           struct decompress **ret)
{
    AUTO(decompress_freep) struct decompress *d = xcalloc(1, sizeof(*d));

    d->kind = kind;
    d->sink = sink;
    d->arg = arg;
    if (!begin(d))
        return err_new(ERR_BUG, "cannot start the %s library", names[kind]);
    *ret = TAKE(d);
    return NULL;
}

static struct err *bad_stream(const struct decompress *d, const char *why)
{
    return err_new(ERR_CORRUPT, "%s data is damaged near byte %llu of the file (%s)",
                   names[d->kind], (unsigned long long)d->in_b, why);
}

/* One call of the library: consumes some of the input, fills at most one piece of output. */
static struct err *step_zstd(struct decompress *d, const uint8_t *in, size_t n, size_t *ret_in,
                             size_t *ret_out)
{
    ZSTD_inBuffer src = {.src = in, .size = n};
    ZSTD_outBuffer dst = {.dst = d->piece, .size = PIECE_B};
    size_t left = ZSTD_decompressStream(d->zstd, &dst, &src);

    if (ZSTD_getErrorCode(left) == ZSTD_error_frameParameter_windowTooLarge)
        return err_new(ERR_CORRUPT,
                       "its zstd frame asks for a window of more than %u MiB, which "
                       "Agave refuses",
                       1U << (DECOMPRESS_WINDOW_LOG_MAX - 20));
    if (ZSTD_isError(left))
        return bad_stream(d, ZSTD_getErrorName(left));
    d->whole = left == 0;
    *ret_in = src.pos;
    *ret_out = dst.pos;
    return NULL;
}

static struct err *step_lz4(struct decompress *d, const uint8_t *in, size_t n, size_t *ret_in,
                            size_t *ret_out)
{
    size_t out = PIECE_B, used = n;
    size_t left = LZ4F_decompress(d->lz4, d->piece, &out, in, &used, NULL);

    if (LZ4F_isError(left))
        return bad_stream(d, LZ4F_getErrorName(left));
    d->whole = left == 0;
    *ret_in = used;
    *ret_out = out;
    return NULL;
}

static struct err *step_bzip2(struct decompress *d, const uint8_t *in, size_t n, size_t *ret_in,
                              size_t *ret_out)
{
    unsigned take = n < PIECE_B ? (unsigned)n : (unsigned)PIECE_B;
    int rc;

    if (d->whole)
        return bad_stream(d, "data after the end");
    d->bzip2->next_in = (char *)(uintptr_t)in; /* the library does not write there */
    d->bzip2->avail_in = take;
    d->bzip2->next_out = d->piece;
    d->bzip2->avail_out = PIECE_B;
    rc = BZ2_bzDecompress(d->bzip2);
    if (rc != BZ_OK && rc != BZ_STREAM_END)
        return bad_stream(d, rc == BZ_DATA_ERROR ? "wrong checksum or content" : "no bzip2");
    d->whole = rc == BZ_STREAM_END;
    *ret_in = take - d->bzip2->avail_in;
    *ret_out = PIECE_B - d->bzip2->avail_out;
    return NULL;
}

static struct err *step(struct decompress *d, const uint8_t *in, size_t n, size_t *ret_in,
                        size_t *ret_out)
{
    switch (d->kind) {
    case COMPRESSION_ZSTD:
        return step_zstd(d, in, n, ret_in, ret_out);
    case COMPRESSION_LZ4:
        return step_lz4(d, in, n, ret_in, ret_out);
    case COMPRESSION_BZIP2:
        return step_bzip2(d, in, n, ret_in, ret_out);
    }
    return err_new(ERR_BUG, "no such compression");
}

struct err *decompress_feed(struct decompress *d, const void *data, size_t n)
{
    const uint8_t *in = data;
    size_t used, out;

    if (!n)
        return NULL; /* zstd would take it for the begin of another frame */
    d->any = true;
    /* A full piece may mean that the library holds more output than it could give. */
    do {
        TRY(step(d, in, n, &used, &out));
        in += used;
        n -= used;
        d->in_b += used;
        if (out)
            TRY(d->sink(d->arg, d->piece, out));
        if (n && !used && !out)
            return bad_stream(d, "no progress");
    } while (n || (out == PIECE_B && !d->whole));
    return NULL;
}

struct err *decompress_finish(struct decompress *d)
{
    if (!d->any)
        return err_new(ERR_CORRUPT, "the file is empty");
    if (!d->whole)
        return err_new(ERR_CORRUPT, "the file is cut off: the %s data does not end at byte %llu",
                       names[d->kind], (unsigned long long)d->in_b);
    return NULL;
}

struct decompress *decompress_free(struct decompress *d)
{
    if (d) {
        ZSTD_freeDStream(d->zstd);
        if (d->lz4)
            (void)LZ4F_freeDecompressionContext(d->lz4); /* its result is for callers who resume */
        if (d->bzip2)
            (void)BZ2_bzDecompressEnd(d->bzip2); /* fails only when it never began */
        free(d->bzip2);
        free(d);
    }
    return NULL;
}

void decompress_freep(struct decompress **d)
{
    *d = decompress_free(*d);
}
