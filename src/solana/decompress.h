#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Streaming decompression of what snapshot archives (zstd, lz4) and genesis archives (bzip2) are
 * packed with: compressed bytes are pushed in, plain bytes come out through a callback in pieces of
 * at most 128 KiB. */
enum compression { COMPRESSION_ZSTD, COMPRESSION_LZ4, COMPRESSION_BZIP2 };

struct decompress;
typedef struct err *decompress_sink_fn(void *arg, const void *data, size_t n);

/* The largest zstd window that is accepted: 2^27 bytes, which is also where Agave's own decoder
 * stops (a larger window makes its start fail). The memory used is the window that the frame asks
 * for (level 1 asks for 512 KiB) plus less than 1 MiB. */
#define DECOMPRESS_WINDOW_LOG_MAX 27

/* From the end of a snapshot's file name: ".zst", ".lz4". ERR_BADINPUT for anything else. */
struct err *compression_of_name(const char *name, enum compression *ret) MUST_CHECK;
struct err *decompress_new(enum compression kind, decompress_sink_fn *sink, void *arg,
                           struct decompress **ret) MUST_CHECK;
/* Every frame of the stream is decoded (of bzip2 there may be one), its checksum verified when it
 * has one. ERR_CORRUPT "… at byte N of the file"; an error of the sink is returned as it is. After
 * an error only free may be called. */
struct err *decompress_feed(struct decompress *d, const void *data, size_t n) MUST_CHECK;
/* ERR_CORRUPT when the stream ends inside a frame or holds none. */
struct err *decompress_finish(struct decompress *d) MUST_CHECK;
struct decompress *decompress_free(struct decompress *d); /* NULL is fine; returns NULL */
void decompress_freep(struct decompress **d);
