/* BLAKE3 as its paper describes it (O'Connor, Aumasson, Neves, Wilcox-O'Hearn: "BLAKE3, one
 * function, fast everywhere", 2020), plain hash with 32 bytes of output. One block at a time and no
 * vector code: it is for names and small checks, not for gigabytes. */
#include "base/blake3.h"

#include <string.h>

#include "base/bytes.h"

#define BLOCK_B    64
#define CHUNK_B    1024
#define TREE_DEPTH 54 /* 2^64 bytes in chunks of 2^10 */

enum { CHUNK_START = 1, CHUNK_END = 2, PARENT = 4, ROOT = 8 };

static const uint32_t iv[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                               0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
/* Between rounds the message words change places so. */
static const uint8_t order[16] = {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8};

/* The last compression of a chunk or parent, held back: only then is it known whether it is the
 * root. */
struct node {
    uint32_t cv[8];
    uint32_t words[16];
    uint64_t counter;
    uint32_t len_b, flags;
};

static uint32_t rotr(uint32_t v, int n)
{
    return v >> n | v << (32 - n);
}

static void mix(uint32_t *v, int a, int b, int c, int d, uint32_t x, uint32_t y)
{
    v[a] += v[b] + x;
    v[d] = rotr(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = rotr(v[b] ^ v[c], 12);
    v[a] += v[b] + y;
    v[d] = rotr(v[d] ^ v[a], 8);
    v[c] += v[d];
    v[b] = rotr(v[b] ^ v[c], 7);
}

static void mix_all(uint32_t *v, const uint32_t *m)
{
    mix(v, 0, 4, 8, 12, m[0], m[1]); /* columns */
    mix(v, 1, 5, 9, 13, m[2], m[3]);
    mix(v, 2, 6, 10, 14, m[4], m[5]);
    mix(v, 3, 7, 11, 15, m[6], m[7]);
    mix(v, 0, 5, 10, 15, m[8], m[9]); /* diagonals */
    mix(v, 1, 6, 11, 12, m[10], m[11]);
    mix(v, 2, 7, 8, 13, m[12], m[13]);
    mix(v, 3, 4, 9, 14, m[14], m[15]);
}

/* The first half of the output, which is the chaining value and also the 32 bytes of the root. */
static void compress(const struct node *node, uint32_t ret[static 8])
{
    uint32_t v[16], m[16], moved[16];

    memcpy(v, node->cv, 32);
    memcpy(v + 8, iv, 16);
    v[12] = (uint32_t)node->counter;
    v[13] = (uint32_t)(node->counter >> 32);
    v[14] = node->len_b;
    v[15] = node->flags;
    memcpy(m, node->words, sizeof(m));
    for (int round = 0; round < 7; round++) {
        mix_all(v, m);
        for (size_t i = 0; i < 16; i++)
            moved[i] = m[order[i]];
        memcpy(m, moved, sizeof(m));
    }
    for (int i = 0; i < 8; i++)
        ret[i] = v[i] ^ v[i + 8];
}

static void load_block(struct node *node, const uint8_t *data, size_t n)
{
    uint8_t block[BLOCK_B] = {0};

    if (n > 0)
        memcpy(block, data, n);
    for (size_t i = 0; i < 16; i++)
        node->words[i] = get_le32(block + 4 * i);
    node->len_b = (uint32_t)n;
}

/* All blocks of a chunk but the last, which stays in *ret. n is at most CHUNK_B. */
static void chunk(const uint8_t *data, size_t n, uint64_t counter, struct node *ret)
{
    *ret = (struct node){.counter = counter, .flags = CHUNK_START};
    memcpy(ret->cv, iv, sizeof(iv));
    for (; n > BLOCK_B; n -= BLOCK_B, data += BLOCK_B) {
        load_block(ret, data, BLOCK_B);
        compress(ret, ret->cv);
        ret->flags = 0;
    }
    load_block(ret, data, n);
    ret->flags |= CHUNK_END;
}

static void parent(const uint32_t left[static 8], const uint32_t right[static 8], struct node *ret)
{
    *ret = (struct node){.len_b = BLOCK_B, .flags = PARENT};
    memcpy(ret->cv, iv, sizeof(iv));
    memcpy(ret->words, left, 32);
    memcpy(ret->words + 8, right, 32);
}

void blake3_256(const void *data, size_t n, uint8_t ret[static 32])
{
    const uint8_t *p = data;
    uint32_t stack[TREE_DEPTH][8], cv[8];
    size_t depth = 0;
    uint64_t done = 0;
    struct node node;

    for (; n > CHUNK_B; n -= CHUNK_B, p += CHUNK_B) {
        chunk(p, CHUNK_B, done++, &node);
        compress(&node, cv);
        /* each trailing zero bit of the count is a subtree that is now complete */
        for (uint64_t whole = done; (whole & 1) == 0; whole >>= 1) {
            parent(stack[--depth], cv, &node);
            compress(&node, cv);
        }
        memcpy(stack[depth++], cv, sizeof(cv));
    }
    chunk(p, n, done, &node);
    while (depth > 0) {
        compress(&node, cv);
        parent(stack[--depth], cv, &node);
    }
    node.flags |= ROOT;
    node.counter = 0; /* of a root: which piece of the output */
    compress(&node, cv);
    for (size_t i = 0; i < 8; i++)
        put_le32(ret + 4 * i, cv[i]);
}
