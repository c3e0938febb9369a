/* Decodes SlotMeta, the blockstore's record of one slot. Only what completeness needs: the children
 * and the indexes of completed data are measured, not kept.
 *
 * Three releases wrote three tails behind the same head, and a ledger upgraded in place holds them
 * side by side without a version number; the length tells them apart. */
#include "solana/slot_meta.h"

#include "base/bytes.h"

#define HEAD_B         56 /* seven integers; the seventh is the number of children */
#define MAX_CHILDREN   65536
#define BITMAP_B       4096
#define BITMAP_V3_TAIL 36 /* parent block id (32) and replay FEC set index (4) */

/* The list of completed data: m 32-bit indexes (V1), or a bitmap of m bytes, always 4,096 (V2),
 * which V3 follows with two more fields. tail starts behind the connected flags. */
static enum slot_meta_layout layout_of(const uint8_t *tail, size_t n)
{
    uint64_t m, rest;

    if (n < 8)
        return SLOT_META_OTHER;
    m = get_le64(tail);
    rest = n - 8;
    if (rest % 4 == 0 && rest / 4 == m)
        return SLOT_META_V1;
    if (m == BITMAP_B && rest == m)
        return SLOT_META_V2;
    if (m == BITMAP_B && rest == m + BITMAP_V3_TAIL)
        return SLOT_META_V3;
    return SLOT_META_OTHER;
}

struct err *slot_meta_decode(const void *value, size_t n, struct slot_meta *ret)
{
    const uint8_t *p = value;
    uint64_t children;
    size_t head;

    if (n < HEAD_B)
        return err_new(ERR_CORRUPT, "slot meta of %zu bytes is cut short", n);
    children = get_le64(p + 48);
    if (children > MAX_CHILDREN)
        return err_new(ERR_CORRUPT, "slot meta claims %llu children", (unsigned long long)children);
    head = HEAD_B + 8 * (size_t)children + 1;
    if (n < head)
        return err_new(ERR_CORRUPT, "slot meta of %zu bytes is too short for %llu children", n,
                       (unsigned long long)children);
    *ret = (struct slot_meta){
        .slot = get_le64(p),
        .consumed = get_le64(p + 8),
        .received = get_le64(p + 16),
        .last_index = get_le64(p + 32),
        .parent = get_le64(p + 40),
        .layout = layout_of(p + head, n - head),
    };
    ret->full = ret->last_index != SLOT_UNKNOWN && ret->consumed == ret->last_index + 1;
    return NULL;
}
