/* The tar format as POSIX (ustar) and the GNU manual ("Basic Tar Format") describe it, read block
 * by block. Strict on purpose: what it reads is written by one known program, so anything odd is
 * damage. It creates no files and judges no path; its user does. */
#include "solana/tar.h"

#include "base/bytes.h"
#include "base/str.h"

#define BLOCK_B 512
#define PADDING_MAX                                                                                \
    ((uint64_t)1 << 20) /* zeros after the end: one record of the largest usual size */

/* Offsets in a header block. */
enum {
    H_NAME = 0,
    H_SIZE = 124,
    H_CHECKSUM = 148,
    H_TYPE = 156,
    H_MAGIC = 257,
    H_PREFIX = 345,
    NAME_N = 100,
    SIZE_N = 12,
    CHECKSUM_N = 8,
    PREFIX_N = 155,
};

enum state { IN_HEADER, IN_DATA, IN_LONG_NAME, IN_PADDING, AT_END };

struct tar {
    const struct tar_sink *sink;
    void *arg;
    enum state state;
    uint64_t at;        /* bytes read */
    uint64_t left;      /* of the content */
    uint32_t padding;   /* of the block after it */
    uint64_t end_zeros; /* bytes after the two zero blocks */
    bool zero_block;    /* the block before was all zeros */
    bool in_entry;      /* the sink waits for end() */
    size_t block_n;     /* bytes of block[] */
    size_t long_n;      /* bytes of path[] from a GNU long name, 0: none */
    uint8_t block[BLOCK_B];
    char path[TAR_PATH_MAX + 1];
};

struct tar *tar_new(const struct tar_sink *sink, void *arg)
{
    struct tar *t = xcalloc(1, sizeof(*t));

    t->sink = sink;
    t->arg = arg;
    return t;
}

struct tar *tar_free(struct tar *t)
{
    free(t);
    return NULL;
}

void tar_freep(struct tar **t)
{
    *t = tar_free(*t);
}

static struct err *bad_at(uint64_t at, const char *why)
{
    return err_new(ERR_CORRUPT, "%s at byte %llu of the tar", why, (unsigned long long)at);
}

/* In the block that was read last. */
static struct err *bad(const struct tar *t, const char *why)
{
    return bad_at(t->at >= BLOCK_B ? t->at - BLOCK_B : 0, why);
}

/* Octal digits, blanks allowed before, ended by NUL, blank or the field's end. */
static bool parse_octal(const uint8_t *p, size_t n, uint64_t *ret)
{
    uint64_t v = 0;
    size_t i = 0;

    while (i < n && p[i] == ' ')
        i++;
    if (i == n || p[i] < '0' || p[i] > '7')
        return false;
    for (; i < n && p[i] >= '0' && p[i] <= '7'; i++)
        if (__builtin_mul_overflow(v, 8, &v) || __builtin_add_overflow(v, p[i] - '0', &v))
            return false;
    for (; i < n; i++)
        if (p[i] != 0 && p[i] != ' ')
            return false;
    *ret = v;
    return true;
}

/* GNU's base-256: the first byte's top bit marks it, the rest is big-endian. A negative number
 * overflows.
 */
static bool parse_number(const uint8_t *p, size_t n, uint64_t *ret)
{
    uint64_t v = p[0] & 0x7f;

    if (!(p[0] & 0x80))
        return parse_octal(p, n, ret);
    for (size_t i = 1; i < n; i++)
        if (__builtin_mul_overflow(v, 256, &v) || __builtin_add_overflow(v, p[i], &v))
            return false;
    *ret = v;
    return v <= INT64_MAX;
}

static bool checksum_holds(const uint8_t *block)
{
    uint64_t want, sum = 0;

    for (size_t i = 0; i < BLOCK_B; i++)
        sum += i >= H_CHECKSUM && i < H_CHECKSUM + CHECKSUM_N ? ' ' : block[i];
    return parse_octal(block + H_CHECKSUM, CHECKSUM_N, &want) && want == sum;
}

static bool all_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

/* The path of the header, unless a long name came before it. */
static void take_path(struct tar *t, bool gnu)
{
    const char *name = (const char *)t->block + H_NAME;
    const char *prefix = (const char *)t->block + H_PREFIX;
    size_t name_n = strnlen(name, NAME_N), prefix_n = gnu ? 0 : strnlen(prefix, PREFIX_N), at = 0;

    if (t->long_n)
        return;
    if (prefix_n) {
        memcpy(t->path, prefix, prefix_n);
        t->path[prefix_n] = '/';
        at = prefix_n + 1;
    }
    memcpy(t->path + at, name, name_n);
    t->path[at + name_n] = 0;
}

static const char *refused_type(char flag)
{
    switch (flag) {
    case 'S':
        return "a sparse file, which no snapshot of today holds,";
    case 'x':
    case 'g':
        return "a pax header, which no writer of snapshots makes,";
    case 'K':
        return "a long link name, which no writer of snapshots makes,";
    default:
        return NULL;
    }
}

static struct err *end_content(struct tar *t)
{
    bool was_entry = t->in_entry;

    t->in_entry = false;
    t->state = t->padding ? IN_PADDING : IN_HEADER;
    return was_entry ? t->sink->end(t->arg) : NULL;
}

static struct err *begin_content(struct tar *t, enum state state, uint64_t size_b)
{
    t->state = state;
    t->left = size_b;
    t->padding = (uint32_t)((BLOCK_B - size_b % BLOCK_B) % BLOCK_B);
    return size_b ? NULL : end_content(t);
}

static struct err *begin_entry(struct tar *t, char flag, uint64_t size_b, bool gnu)
{
    struct tar_entry e = {.path = t->path, .typeflag = flag};

    take_path(t, gnu);
    t->long_n = 0;
    if (!t->path[0])
        return bad(t, "a header without a path");
    if (flag == '0' || flag == 0 || flag == '7')
        e.typeflag = '0', e.type = TAR_FILE, e.size_b = size_b;
    else
        e.type = flag == '5' ? TAR_DIR : TAR_OTHER;
    if (e.type != TAR_FILE && size_b)
        return bad(t, "a folder, link or device that claims to have content");
    TRY(t->sink->entry(t->arg, &e));
    t->in_entry = true;
    return begin_content(t, IN_DATA, size_b);
}

static struct err *take_header(struct tar *t)
{
    const uint8_t *magic = t->block + H_MAGIC;
    bool gnu = memcmp(magic, "ustar  ", 8) == 0; /* with its NUL */
    char flag = (char)t->block[H_TYPE];
    uint64_t size_b;

    if (all_zero(t->block, BLOCK_B)) {
        if (t->long_n)
            return bad(t, "the end right after a long name");
        t->state = t->zero_block ? AT_END : IN_HEADER;
        t->zero_block = true;
        return NULL;
    }
    if (t->zero_block)
        return bad(t, "data after a single zero block");
    if (!checksum_holds(t->block))
        return bad(t, "a header with a wrong checksum");
    if (!gnu && memcmp(magic,
                       "ustar\0"
                       "00",
                       8) != 0)
        return bad(t, "a header that is neither ustar nor GNU");
    if (refused_type(flag))
        return bad(t, refused_type(flag));
    if (!parse_number(t->block + H_SIZE, SIZE_N, &size_b))
        return bad(t, "a header with a size that is no number");
    if (flag != 'L')
        return begin_entry(t, flag, size_b, gnu);
    if (t->long_n || size_b < 2 || size_b > TAR_PATH_MAX + 1)
        return bad(t, "a long name of a wrong length");
    return begin_content(t, IN_LONG_NAME, size_b);
}

static size_t min_size(uint64_t a, size_t b)
{
    return a < b ? (size_t)a : b;
}

/* GNU writes the long name with its NUL, which is the last byte of the content. */
static struct err *take_long_name(struct tar *t, const uint8_t *p, size_t n)
{
    memcpy(t->path + t->long_n, p, n);
    t->long_n += n;
    t->left -= n;
    if (t->left)
        return NULL;
    if (memchr(t->path, 0, t->long_n) != t->path + t->long_n - 1)
        return bad(t, "a long name that does not end with its NUL");
    return end_content(t);
}

/* After the end: what fills the last record up. */
static struct err *only_zeros(const struct tar *t, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] || t->end_zeros + i >= PADDING_MAX)
            return bad_at(t->at + i, "data after the end");
    return NULL;
}

/* Consumes at least one of n > 0 bytes. */
static struct err *take(struct tar *t, const uint8_t *p, size_t n, size_t *ret_used)
{
    size_t used = n;

    switch (t->state) {
    case IN_HEADER:
        used = min_size(BLOCK_B - t->block_n, n);
        memcpy(t->block + t->block_n, p, used);
        t->block_n += used;
        t->at += used;
        *ret_used = used;
        if (t->block_n < BLOCK_B)
            return NULL;
        t->block_n = 0;
        return take_header(t);
    case IN_LONG_NAME:
        used = min_size(t->left, n);
        t->at += used;
        *ret_used = used;
        return take_long_name(t, p, used);
    case IN_DATA:
        used = min_size(t->left, n);
        t->at += used;
        *ret_used = used;
        TRY(t->sink->data(t->arg, p, used));
        t->left -= used;
        return t->left ? NULL : end_content(t);
    case IN_PADDING:
        used = min_size(t->padding, n);
        t->padding -= (uint32_t)used;
        if (!t->padding)
            t->state = IN_HEADER;
        break;
    case AT_END:
        TRY(only_zeros(t, p, used));
        t->end_zeros += used;
        break;
    }
    t->at += used;
    *ret_used = used;
    return NULL;
}

struct err *tar_feed(struct tar *t, const void *data, size_t n)
{
    const uint8_t *p = data;

    while (n) {
        size_t used = 0;

        TRY(take(t, p, n, &used));
        p += used;
        n -= used;
    }
    return NULL;
}

struct err *tar_finish(const struct tar *t)
{
    if (t->state != AT_END)
        return err_new(ERR_CORRUPT, "the tar is cut off: it does not end at byte %llu%s",
                       (unsigned long long)t->at, t->in_entry ? ", which is inside a file" : "");
    if (t->at % BLOCK_B)
        return err_new(ERR_CORRUPT, "the tar has %llu bytes, which are no whole blocks",
                       (unsigned long long)t->at);
    return NULL;
}
