#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"

/* A file that arrives in pieces, in any order and from many sources, and may be left and gone on
 * with at any moment: dir/tmp-<name>, and dir/.agavectl/<name>.map, which says what of it is there
 * (segment_map.h) and is locked by who gets it. What kill -9 leaves counts within the same boot;
 * after another one what was made durable, about every 64 MiB or 10 s, by a thread of this module.
 * All calls from one thread, but partial_read, partial_frontier. */
struct partial;

/* dir must exist. Goes on with what is there when both files are ours and belong together, else
 * begins anew. ERR_REFUSED: the final name exists, somebody else is getting it, or something at one
 * of the temporary names is no plain file; ERR_SYS. */
struct err *partial_open(struct ctx *ctx, const char *dir, const char *name, struct partial **ret)
    MUST_CHECK;
/* What there is stays for the next partial_open, unless it is nothing. NULL is fine; returns NULL.
 */
struct partial *partial_free(struct partial *p);
void partial_freep(struct partial **p);

/* The length that a source tells: room for it and the map. Once; again with another length begins
 * the file anew. ERR_SYS with ENOSPC when it and spare_b do not fit, before a byte is written;
 * ERR_REMOTE for a length that no file has. */
struct err *partial_size(struct partial *p, uint64_t total_b, uint64_t spare_b) MUST_CHECK;
/* ERR_SYS with ENOSPC when less than what is missing and spare_b is left. */
struct err *partial_has_room(struct partial *p, uint64_t spare_b) MUST_CHECK;

uint64_t partial_total_b(const struct partial *p); /* UINT64_MAX: unknown */
uint64_t partial_have_b(const struct partial *p);
uint64_t partial_resumed_b(const struct partial *p); /* of it, from a run before */
bool partial_whole(const struct partial *p);
/* One byte a block (segment_map.h), valid until the length changes. */
const uint8_t *partial_blocks(const struct partial *p, size_t *ret_n);
/* All bytes before this one are there. From any thread. */
uint64_t partial_frontier_b(const struct partial *p);

/* Sources that were proven to have this very file, also by a run before this one: numbers other
 * than 0, of the caller's making. At most SEGMENT_PROVEN_MAX are remembered. ERR_SYS. */
bool partial_is_proven(const struct partial *p, uint64_t source);
struct err *partial_note_proven(struct partial *p, uint64_t source) MUST_CHECK;
/* It was wrong: forgotten, also for the next run. */
struct err *partial_unprove(struct partial *p, uint64_t source) MUST_CHECK;

enum partial_put { PARTIAL_WRITTEN, PARTIAL_SAME, PARTIAL_DIFFERS };
/* One block of that source (1 to 254), whole: at_b is a multiple of SEGMENT_BLOCK_B, n is the
 * block's length. What is there already is compared and never changed. *ret_writer: who wrote it
 * (of PARTIAL_SAME and PARTIAL_DIFFERS). ERR_SYS. */
struct err *partial_put(struct partial *p, uint8_t source, uint64_t at_b, const void *data,
                        size_t n, enum partial_put *ret, uint8_t *ret_writer) MUST_CHECK;
/* What that source alone gave is missing again; SEGMENT_MISSING: all of it. heirs, one byte a
 * block: who has sent the same block since and has it from now on, or SEGMENT_MISSING; NULL: nobody
 * has. Durably. */
struct err *partial_forget(struct partial *p, uint8_t source, const uint8_t *heirs) MUST_CHECK;
/* The same for these blocks, whoever gave them. */
struct err *partial_forget_range(struct partial *p, size_t from, size_t to) MUST_CHECK;
/* n bytes from at_b, all below the frontier. From any thread. ERR_SYS. */
struct err *partial_read(const struct partial *p, uint64_t at_b, void *data, size_t n) MUST_CHECK;
/* The pages below this byte are not needed in memory any more. From any thread. */
void partial_drop_cache(const struct partial *p, uint64_t from_b, uint64_t to_b);
/* Makes durable what is there, now. ERR_SYS. */
struct err *partial_sync(struct partial *p) MUST_CHECK;

/* All of it must be there. Owner (UINT32_MAX: as it is), mode 0644, onto the disk, final name;
 * the map is gone then. ERR_REFUSED when the name exists by now; ERR_SYS. */
struct err *partial_finish(struct partial *p, uint32_t uid, uint32_t gid) MUST_CHECK;
