#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "solana/snapshot_name.h"

/* What of a file has arrived, block by block, and the record of it that outlives us. The record is
 * our own format: one page of head (magic "agvmap1\n", block size, CRC-32C, length, inode of the
 * file, boot, name, sources that were proven), one byte a block (0: missing, else who wrote it),
 * padded to a page, and two slots of one bit a block, each with its generation and CRC-32C.
 *
 * The bytes are right as long as this boot lasts: what was written is in the page cache, whoever
 * was killed. The bits are written after the data was made durable and count after another boot;
 * two slots, because a cut of power may tear the one that is being written. Little-endian. */
#define SEGMENT_BLOCK_B    ((uint64_t)64 << 10)
#define SEGMENT_MISSING    0
#define SEGMENT_EARLIER    255                  /* written by a run before this one */
#define SEGMENT_FILE_MAX_B ((uint64_t)16 << 40) /* larger files than this are not believed */
#define SEGMENT_PROVEN_MAX 16
#define SEGMENT_BOOT_MAX   40

struct segment_map {
    char name[SNAPSHOT_NAME_MAX];
    char boot[SEGMENT_BOOT_MAX]; /* of the kernel that this was written under; "": unknown */
    uint64_t total_b, inode;
    /* Sources (any numbers of theirs) that were proven to have this very file; 0: none. */
    uint64_t proven[SEGMENT_PROVEN_MAX];
    uint64_t generation; /* of the newest slot; 0: none yet */
    uint8_t *blocks;     /* owned */
    size_t n;
};

void segment_map_clear(struct segment_map *m);
size_t segment_blocks(uint64_t total_b);
/* Bytes of block i: the last one may be shorter. */
uint64_t segment_block_b(const struct segment_map *m, size_t i);

/* The whole record. boot is the present one: under it the bytes count, else the newest good slot;
 * either way what is there is SEGMENT_EARLIER. ERR_CORRUPT: it is none, or damaged. */
struct err *segment_map_parse(const void *data, size_t n, const char *boot, struct segment_map *ret)
    MUST_CHECK;
/* The other way: a new record of m without slots. To be freed. */
uint8_t *segment_map_format(const struct segment_map *m, size_t *ret_n);
/* Largest record that a file may have, and where its parts are. */
size_t segment_map_size(uint64_t total_b);
size_t segment_block_at(size_t block);
/* The head alone, into one page that begins the record. */
#define SEGMENT_HEAD_B 4096
void segment_head_format(const struct segment_map *m, uint8_t ret[static SEGMENT_HEAD_B]);
/* One slot, for generation: where it belongs and its bytes; to be freed. */
uint8_t *segment_slot_format(const struct segment_map *m, uint64_t generation, size_t *ret_at,
                             size_t *ret_n);
