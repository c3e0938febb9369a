/* genesis.bin and its archive; the only user of libbz2. */
#include "lab/node/genesis.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

#include <bzlib.h>

#include "base/bytes.h"
#include "base/str.h"
#include "solana/ed25519.h"

#define GENESIS_B    4096
#define ARCHIVE_MAX  (10u << 20) /* Agave's limit of the unpacked size */
#define TAR_BLOCK    512
#define TAR_SIZE_AT  124
#define TAR_CKSUM_AT 148

static void fill(uint64_t seed, uint8_t out[GENESIS_B])
{
    for (size_t at = 0; at < GENESIS_B; at += 32) {
        uint8_t counter[16];
        struct sha256_part parts[] = {{"agavectl lab genesis", 20}, {counter, sizeof(counter)}};

        put_le64(counter, seed);
        put_le64(counter + 8, at);
        sha256(parts, ARRAY_LEN(parts), out + at);
    }
}

/* solana-shred-version `version_from_hash`: 16-bit halves folded, and never 0. */
static void describe(const uint8_t *bin, size_t n, struct genesis *ret)
{
    struct sha256_part part = {bin, n};
    uint8_t a = 0, b = 0;
    uint16_t v;

    sha256(&part, 1, ret->hash);
    for (size_t i = 0; i < 32; i += 2) {
        a ^= ret->hash[i];
        b ^= ret->hash[i + 1];
    }
    v = (uint16_t)(a << 8 | b);
    ret->shred_version = v == UINT16_MAX ? v : (uint16_t)(v + 1);
}

void genesis_from_seed(uint64_t seed, struct genesis *ret)
{
    uint8_t bin[GENESIS_B];

    fill(seed, bin);
    describe(bin, sizeof(bin), ret);
}

static void make_tar(uint64_t seed, uint8_t tar[TAR_BLOCK * 3 + GENESIS_B])
{
    unsigned sum = 0;
    char *head = (char *)tar;

    memset(tar, 0, TAR_BLOCK * 3 + GENESIS_B);
    memcpy(head, "genesis.bin", 11);
    memcpy(head + 100, "0000644", 7);
    memcpy(head + 108, "0000000", 7);
    memcpy(head + 116, "0000000", 7);
    snprintf(head + TAR_SIZE_AT, 12, "%011o", GENESIS_B);
    memcpy(head + 136, "00000000000", 11);
    memcpy(head + TAR_CKSUM_AT, "        ", 8);
    head[156] = '0';
    memcpy(head + 257, "ustar\00000", 8);
    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += tar[i];
    snprintf(head + TAR_CKSUM_AT, 7, "%06o", sum);
    fill(seed, tar + TAR_BLOCK);
}

static struct err *write_file(const char *dir, const char *name, const void *data, size_t n)
{
    AUTO(freep) char *tmp = xasprintf("%s/tmp-%s", dir, name);
    AUTO(freep) char *path = xasprintf("%s/%s", dir, name);
    AUTO(closep) int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);

    if (fd < 0)
        return err_sys(errno, "cannot create '%s'", tmp);
    if (write(fd, data, n) != (ssize_t)n)
        return err_sys(errno, "cannot write '%s'", tmp);
    if (close(TAKE_FD(fd)) < 0 || rename(tmp, path) < 0)
        return err_sys(errno, "cannot write '%s'", path);
    return NULL;
}

struct err *genesis_write(const char *dir, uint64_t seed)
{
    uint8_t tar[TAR_BLOCK * 3 + GENESIS_B];
    char packed[sizeof(tar) * 2];
    unsigned n = sizeof(packed);

    make_tar(seed, tar);
    if (BZ2_bzBuffToBuffCompress(packed, &n, (char *)tar, sizeof(tar), 9, 0, 0) != BZ_OK)
        return err_new(ERR_BUG, "cannot compress the genesis");
    return write_file(dir, "genesis.tar.bz2", packed, n);
}

static struct err *read_file(const char *dir, const char *name, uint8_t **ret, size_t *ret_n)
{
    AUTO(freep) char *path = xasprintf("%s/%s", dir, name);
    AUTO(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    AUTO(freep) uint8_t *data = NULL;
    struct stat st;
    ssize_t n;
    int error = errno;

    if (fd < 0 && error == ENOENT)
        return err_new(ERR_NOTFOUND, "no '%s'", path);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_sys(error, "cannot open '%s'", path);
    if (st.st_size > ARCHIVE_MAX)
        return err_new(ERR_CORRUPT, "'%s' is larger than 10 MiB", path);
    data = xmalloc((size_t)st.st_size);
    n = read(fd, data, (size_t)st.st_size);
    if (n != st.st_size)
        return err_sys(n < 0 ? errno : EIO, "cannot read '%s'", path);
    *ret = TAKE(data);
    *ret_n = (size_t)n;
    return NULL;
}

/* The first file of the archive must be genesis.bin; real archives hold other entries after it. */
static struct err *unpack(const char *dir)
{
    AUTO(freep) uint8_t *packed = NULL;
    AUTO(freep) uint8_t *tar = xmalloc(ARCHIVE_MAX + TAR_BLOCK);
    size_t packed_n = 0;
    unsigned tar_n = ARCHIVE_MAX + TAR_BLOCK;
    uint64_t size_b = 0;

    TRY(read_file(dir, "genesis.tar.bz2", &packed, &packed_n));
    if (BZ2_bzBuffToBuffDecompress((char *)tar, &tar_n, (char *)packed, (unsigned)packed_n, 0, 0) !=
            BZ_OK ||
        tar_n < TAR_BLOCK || strncmp((char *)tar, "genesis.bin", 100) != 0)
        return err_new(ERR_CORRUPT, "'%s/genesis.tar.bz2' is no genesis archive", dir);
    for (size_t i = TAR_SIZE_AT; i < TAR_SIZE_AT + 11 && tar[i] >= '0' && tar[i] <= '7'; i++)
        size_b = size_b * 8 + (uint64_t)(tar[i] - '0');
    if (size_b > tar_n - TAR_BLOCK)
        return err_new(ERR_CORRUPT, "'%s/genesis.tar.bz2' is cut short", dir);
    return write_file(dir, "genesis.bin", tar + TAR_BLOCK, size_b);
}

struct err *genesis_load(const char *dir, struct genesis *ret)
{
    AUTO(freep) uint8_t *bin = NULL;
    AUTO(freep) char *path = xasprintf("%s/genesis.bin", dir);
    size_t n = 0;

    if (access(path, F_OK) < 0)
        TRY(unpack(dir));
    TRY(read_file(dir, "genesis.bin", &bin, &n));
    describe(bin, n, ret);
    return NULL;
}
