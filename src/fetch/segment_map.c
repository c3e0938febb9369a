/* See segment_map.h. Bytes in, bytes out: files and locks are partial.c's work. */
#include "fetch/segment_map.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"

#define PAGE_B  SEGMENT_HEAD_B
#define MAGIC   "agvmap1\n"
#define MAGIC_B 8

/* In the head; the CRC is over everything from TOTAL_AT on. */
enum {
    BLOCK_AT = 8,
    CRC_AT = 12,
    TOTAL_AT = 16,
    INODE_AT = 24,
    BOOT_AT = 32,
    NAME_AT = 72,
    PROVEN_AT = 200,
};
/* In a slot; the CRC is over the generation and all bits. */
enum { SLOT_CRC_AT = 0, SLOT_GENERATION_AT = 8, SLOT_BITS_AT = 16 };

void segment_map_clear(struct segment_map *m)
{
    free(m->blocks);
    *m = (struct segment_map){0};
}

size_t segment_blocks(uint64_t total_b)
{
    return (size_t)((total_b + SEGMENT_BLOCK_B - 1) / SEGMENT_BLOCK_B);
}

uint64_t segment_block_b(const struct segment_map *m, size_t i)
{
    return i + 1 < m->n ? SEGMENT_BLOCK_B : m->total_b - (uint64_t)i * SEGMENT_BLOCK_B;
}

static size_t pages(size_t n)
{
    return (n + PAGE_B - 1) / PAGE_B * PAGE_B;
}

static size_t bits_b(size_t blocks)
{
    return (blocks + 7) / 8;
}

static size_t slot_b(size_t blocks)
{
    return pages(SLOT_BITS_AT + bits_b(blocks));
}

static size_t slot_at(size_t blocks, uint64_t generation)
{
    return PAGE_B + pages(blocks) + (generation & 1 ? slot_b(blocks) : 0);
}

size_t segment_map_size(uint64_t total_b)
{
    size_t n = segment_blocks(total_b);

    return PAGE_B + pages(n) + 2 * slot_b(n);
}

size_t segment_block_at(size_t block)
{
    return PAGE_B + block;
}

/* ---- reading ------------------------------------------------------------------------------ */

/* A text of at most max - 1 bytes that fills its place up with zeros. */
static bool read_text(const uint8_t *at, size_t max, char *ret)
{
    size_t n = strnlen((const char *)at, max);

    for (size_t i = n; i < max; i++)
        if (at[i])
            return false;
    if (n == max)
        return false;
    memcpy(ret, at, n + 1);
    return true;
}

static struct err *parse_head(const uint8_t *p, size_t n, struct segment_map *m)
{
    if (n < PAGE_B || memcmp(p, MAGIC, MAGIC_B) != 0)
        return err_new(ERR_CORRUPT, "it is no map of a download");
    if (get_le32(p + CRC_AT) != crc32c(0, p + TOTAL_AT, PAGE_B - TOTAL_AT))
        return err_new(ERR_CORRUPT, "the head of the map is damaged");
    if (get_le32(p + BLOCK_AT) != SEGMENT_BLOCK_B)
        return err_new(ERR_CORRUPT, "the map has another size of blocks");
    m->total_b = get_le64(p + TOTAL_AT);
    m->inode = get_le64(p + INODE_AT);
    if (m->total_b == 0 || m->total_b > SEGMENT_FILE_MAX_B)
        return err_new(ERR_CORRUPT, "the map is of a file of impossible length");
    if (!read_text(p + BOOT_AT, sizeof(m->boot), m->boot) ||
        !read_text(p + NAME_AT, sizeof(m->name), m->name))
        return err_new(ERR_CORRUPT, "the map's texts are damaged");
    for (size_t i = 0; i < SEGMENT_PROVEN_MAX; i++)
        m->proven[i] = get_le64(p + PROVEN_AT + 8 * i);
    if (n != segment_map_size(m->total_b))
        return err_new(ERR_CORRUPT, "the map is cut off");
    m->n = segment_blocks(m->total_b);
    return NULL;
}

/* 0: not whole. */
static uint64_t slot_generation(const uint8_t *slot, size_t blocks)
{
    size_t n = SLOT_BITS_AT - SLOT_GENERATION_AT + bits_b(blocks);

    if (get_le32(slot + SLOT_CRC_AT) != crc32c(0, slot + SLOT_GENERATION_AT, n))
        return 0;
    return get_le64(slot + SLOT_GENERATION_AT);
}

static void take_slot(struct segment_map *m, const uint8_t *slot)
{
    const uint8_t *bits = slot + SLOT_BITS_AT;

    for (size_t i = 0; i < m->n; i++)
        m->blocks[i] = bits[i / 8] >> (i % 8) & 1 ? SEGMENT_EARLIER : SEGMENT_MISSING;
}

static void take_bytes(struct segment_map *m, const uint8_t *bytes)
{
    for (size_t i = 0; i < m->n; i++)
        m->blocks[i] = bytes[i] ? SEGMENT_EARLIER : SEGMENT_MISSING;
}

struct err *segment_map_parse(const void *data, size_t n, const char *boot, struct segment_map *ret)
{
    const uint8_t *p = data, *even, *odd;
    AUTO(segment_map_clear) struct segment_map m = {0};
    uint64_t even_no, odd_no;

    TRY(parse_head(p, n, &m));
    m.blocks = xcalloc(m.n, 1);
    even = p + slot_at(m.n, 0);
    odd = p + slot_at(m.n, 1);
    even_no = slot_generation(even, m.n);
    odd_no = slot_generation(odd, m.n);
    m.generation = even_no > odd_no ? even_no : odd_no;
    if (*boot && strcmp(boot, m.boot) == 0)
        take_bytes(&m, p + PAGE_B);
    else if (m.generation)
        take_slot(&m, even_no > odd_no ? even : odd);
    *ret = m;
    m = (struct segment_map){0};
    return NULL;
}

/* ---- writing ------------------------------------------------------------------------------ */

uint8_t *segment_map_format(const struct segment_map *m, size_t *ret_n)
{
    size_t n = segment_map_size(m->total_b);
    uint8_t *p = xcalloc(n, 1);

    segment_head_format(m, p);
    memcpy(p + PAGE_B, m->blocks, m->n);
    *ret_n = n;
    return p;
}

void segment_head_format(const struct segment_map *m, uint8_t ret[static SEGMENT_HEAD_B])
{
    uint8_t *p = ret;

    memset(p, 0, SEGMENT_HEAD_B);
    memcpy(p, MAGIC, MAGIC_B);
    put_le32(p + BLOCK_AT, SEGMENT_BLOCK_B);
    put_le64(p + TOTAL_AT, m->total_b);
    put_le64(p + INODE_AT, m->inode);
    memcpy(p + BOOT_AT, m->boot, strnlen(m->boot, sizeof(m->boot) - 1));
    memcpy(p + NAME_AT, m->name, strnlen(m->name, sizeof(m->name) - 1));
    for (size_t i = 0; i < SEGMENT_PROVEN_MAX; i++)
        put_le64(p + PROVEN_AT + 8 * i, m->proven[i]);
    put_le32(p + CRC_AT, crc32c(0, p + TOTAL_AT, PAGE_B - TOTAL_AT));
}

uint8_t *segment_slot_format(const struct segment_map *m, uint64_t generation, size_t *ret_at,
                             size_t *ret_n)
{
    size_t n = SLOT_BITS_AT + bits_b(m->n);
    uint8_t *p = xcalloc(n, 1), *bits = p + SLOT_BITS_AT;

    put_le64(p + SLOT_GENERATION_AT, generation);
    for (size_t i = 0; i < m->n; i++)
        if (m->blocks[i] != SEGMENT_MISSING)
            bits[i / 8] = (uint8_t)(bits[i / 8] | 1 << (i % 8));
    put_le32(p + SLOT_CRC_AT, crc32c(0, p + SLOT_GENERATION_AT, n - SLOT_GENERATION_AT));
    *ret_at = slot_at(m->n, generation);
    *ret_n = n;
    return p;
}
