#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"

/* Is a snapshot archive what its name says, and whole? Layout and hash: as Agave's (Agave
 * runtime 3.0.14, snapshot_utils.rs, hardened_unpack.rs, snapshot_hash.rs). Two levels, both at
 * every time, since the second costs nothing.
 * Structure, proven by the end:
 *   - the compressed stream decodes to its end and the tar ends as a tar ends;
 *   - the first entry is version 1.2.0 and every path is one that Agave unpacks;
 *   - there is one bank file, of the slot in the name; one status cache; at least one accounts
 *     file, each from a slot that the archive may hold (after the base, not after the slot).
 * Hash, known as soon as the bank file has been read, which lies at the front: BLAKE3 of its
 * lattice hash is the hash in the name. What differs is damage only for somebody who knows that the
 * name is of a cluster of 3.0 or later (hash_must): before, names held a hash of another kind.
 * Not proven: the accounts themselves (Agave sums their lattice hashes at start), and a base in an
 * incremental's name that is lower than the real one.
 * Memory is bounded: the window of the zstd frame (at most 128 MiB, usually 512 KiB) and 1 MiB. */
struct snapcheck;

enum snapcheck_hash {
    SNAPCHECK_HASH_UNREAD, /* the bank file has not come to its end yet */
    SNAPCHECK_HASH_PROVEN,
    SNAPCHECK_HASH_OTHER, /* the bank's is another one: not checkable, or damage */
    SNAPCHECK_HASH_NONE,  /* the bank file does not end in a lattice hash: the same */
};
/* "proven", "other", "none", "unread" */
const char *snapcheck_hash_name(enum snapcheck_hash h);

struct snapcheck_report {
    bool full;
    uint64_t base, slot; /* base: of an incremental; equals slot for a full one */
    char hash[48];       /* base58, as in the name */
    enum snapcheck_hash hash_is;
    char bank_hash[48];  /* of OTHER: base58 of what the bank file gives; else "" */
    uint64_t hash_at_b;  /* so much of the archive was read when the hash was known */
    uint64_t archive_b;  /* compressed */
    uint64_t unpacked_b; /* content of all files */
    uint64_t bank_b, status_cache_b;
    uint64_t accounts_files, accounts_b;
};

/* What an archive must be and may cost; the defaults are Agave's own limits of unpacking. */
struct snapcheck_limits {
    bool hash_must;      /* OTHER and NONE are ERR_CORRUPT: what will load it is 3.0 or later, and
                            ends with "snapshot hash mismatch" on them */
    uint64_t unpacked_b; /* 0: 4 TiB */
    uint64_t entries;    /* 0: 5,000,000 */
    uint64_t bank_b;     /* 0: 32 GiB; also of the status cache */
};

/* file: the final name, without a folder. limits may be NULL. ERR_BADINPUT when the name is none of
 * an archive, or of one in a format that 3.0 and later do not read (bzip2, gzip, plain tar). */
struct err *snapcheck_new(const char *file, const struct snapcheck_limits *limits,
                          struct snapcheck **ret) MUST_CHECK;
/* ERR_CORRUPT as soon as something is wrong ("its bank's hash is …"; the caller names the file).
 * After an error only free may be called. Does not block. */
struct err *snapcheck_feed(struct snapcheck *c, const void *data, size_t n) MUST_CHECK;
struct err *snapcheck_finish(struct snapcheck *c, struct snapcheck_report *ret) MUST_CHECK;
/* What is known by now; hash_is is the first of interest. Valid until free. */
const struct snapcheck_report *snapcheck_so_far(const struct snapcheck *c);
struct snapcheck *snapcheck_free(struct snapcheck *c); /* NULL is fine; returns NULL */
void snapcheck_freep(struct snapcheck **c);

/* The same for a file on disk (path below ctx->root; a symbolic link is refused). Blocks for as
 * long as reading takes; honours ctx->cancelled. progress may be NULL; it is called at most about
 * every 16 MiB, and its error ends the reading. limits may be NULL. ERR_REFUSED (a link),
 * ERR_NOTFOUND, ERR_SYS, ERR_CORRUPT, ERR_BADINPUT (name), ERR_CANCELLED, those of progress. */
struct err *snapshot_archive_verify_file(struct ctx *ctx, const char *path,
                                         const struct snapcheck_limits *limits,
                                         struct err *(*progress)(void *arg, uint64_t done_b,
                                                                 uint64_t total_b),
                                         void *arg, struct snapcheck_report *ret) MUST_CHECK;
