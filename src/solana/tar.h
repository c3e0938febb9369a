#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* A streaming tar reader: bytes are pushed in, entries and their content come out through
 * callbacks. Reads POSIX ustar and GNU headers with GNU long names (path at most TAR_PATH_MAX
 * bytes); sizes in octal or base-256. Pax headers, sparse files, GNU long links and headers that
 * are neither are refused: no writer of snapshots makes them. Memory: one block and one path. */
#define TAR_PATH_MAX 4096

enum tar_type {
    TAR_FILE,
    TAR_DIR,
    TAR_OTHER, /* links, devices, pipes: reported, so that the reader's user can refuse by name */
};

struct tar_entry {
    const char *path; /* NUL-terminated, never empty, as it is in the header; valid in the call */
    enum tar_type type;
    char typeflag;   /* the header's own letter; '0' for files */
    uint64_t size_b; /* of the content; 0 unless TAR_FILE */
};

struct tar_sink {
    /* All of them must be set; an error ends the reading and is returned by tar_feed. */
    struct err *(*entry)(void *arg, const struct tar_entry *e);
    struct err *(*data)(void *arg, const void *data, size_t n); /* pieces in order; never for n 0 */
    struct err *(*end)(void *arg); /* the entry's content is complete */
};

struct tar;

struct tar *tar_new(const struct tar_sink *sink, void *arg); /* sink is borrowed */
/* ERR_CORRUPT "… at byte N of the tar" for a bad checksum, a bad number, an empty path, one zero
 * block alone, or anything but zeros after the two zero blocks (at most 1 MiB of them: writers fill
 * up to their record size). After an error only free may be called. */
struct err *tar_feed(struct tar *t, const void *data, size_t n) MUST_CHECK;
/* ERR_CORRUPT unless the two zero blocks were seen and the length is a multiple of 512. */
struct err *tar_finish(const struct tar *t) MUST_CHECK;
struct tar *tar_free(struct tar *t); /* NULL is fine; returns NULL */
void tar_freep(struct tar **t);
