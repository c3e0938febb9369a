/* Writes made-up snapshot archives with libarchive, so that what the verifier reads was not written
 * by its own tar code. The bank's lattice hash depends on seed and slot alone: a full and an
 * incremental archive of the same slot carry the same hash, as real ones do. */
#include "lab/node/snapshot_maker.h"

#include "base/base58.h"
#include "base/blake3.h"
#include "base/bytes.h"
#include "base/str.h"
#include "solana/snapshot_name.h"

#include <archive.h>
#include <archive_entry.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define LATTICE_B 2048
#define PIECE_B   ((size_t)64 << 10)

/* Streams of numbers that belong to different parts of an archive. */
enum stream { STREAM_LATTICE = 1, STREAM_BANK, STREAM_STATUS_CACHE, STREAM_ACCOUNTS };

/* splitmix64: small, and good enough to look random to a compressor. */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t stream_begin(const struct snapshot_maker_spec *s, enum stream which, uint64_t n)
{
    uint64_t state = s->seed;

    state = next(&state) ^ s->slot;
    state = next(&state) ^ (uint64_t)which << 56;
    state = next(&state) ^ n;
    return next(&state);
}

/* random of every 4,096 bytes are random, the rest is 0. n is a multiple of 8. */
static void fill(uint64_t *state, uint8_t *buf, size_t n, size_t random)
{
    for (size_t i = 0; i < n; i += 8)
        put_le64(buf + i, i % 4096 < random ? next(state) : 0);
}

static void make_lattice(const struct snapshot_maker_spec *s, uint8_t ret[static LATTICE_B])
{
    uint64_t state = stream_begin(s, STREAM_LATTICE, 0);

    fill(&state, ret, LATTICE_B, LATTICE_B);
}

char *snapshot_maker_name(const struct snapshot_maker_spec *s)
{
    struct snapshot_name name = {
        .incremental = s->base != 0,
        .base = s->base,
        .slot = s->slot,
        .ext = SNAPSHOT_TAR_ZST,
    };
    uint8_t lattice[LATTICE_B], hash[32];
    char buf[SNAPSHOT_NAME_MAX];

    make_lattice(s, lattice);
    blake3_256(lattice, LATTICE_B, hash);
    base58_encode32(hash, name.hash);
    return xstrdup(snapshot_name_format(&name, buf));
}

static struct err *bad_archive(struct archive *a, const char *what)
{
    return err_new(ERR_BUG, "cannot write %s: %s", what, archive_error_string(a));
}

/* Headers as Agave writes them: no owner, no time. */
static struct err *put_header(struct archive *a, const char *path, bool dir, uint64_t size_b)
{
    struct archive_entry *e = archive_entry_new();
    int rc;

    archive_entry_set_pathname(e, path);
    archive_entry_set_filetype(e, dir ? AE_IFDIR : AE_IFREG);
    archive_entry_set_perm(e, dir ? 0755 : 0644);
    archive_entry_set_size(e, (la_int64_t)size_b);
    archive_entry_set_mtime(e, 0, 0);
    rc = archive_write_header(a, e);
    archive_entry_free(e);
    return rc == ARCHIVE_OK ? NULL : bad_archive(a, path);
}

static struct err *put_data(struct archive *a, const void *data, size_t n)
{
    return archive_write_data(a, data, n) == (la_ssize_t)n ? NULL : bad_archive(a, "content");
}

static struct err *put_filled(struct archive *a, const struct snapshot_maker_spec *s,
                              uint64_t state, uint64_t size_b)
{
    AUTO(freep) uint8_t *piece = xmalloc(PIECE_B);
    double share = s->compressible < 0 ? 0 : s->compressible > 1 ? 1 : s->compressible;
    size_t random = (size_t)((1 - share) * 4096);

    while (size_b) {
        size_t n = size_b < PIECE_B ? (size_t)size_b : PIECE_B;

        fill(&state, piece, PIECE_B, random);
        TRY(put_data(a, piece, n));
        size_b -= n;
    }
    return NULL;
}

static struct err *put_bank(struct archive *a, const struct snapshot_maker_spec *s)
{
    uint64_t size_b = s->bank_b ? s->bank_b : 32768;
    uint8_t tail[1 + LATTICE_B] = {1}; /* Some */
    AUTO(freep) char *dir = xasprintf("snapshots/%llu", (unsigned long long)s->slot);
    AUTO(freep) char *path = xasprintf("%s/%llu", dir, (unsigned long long)s->slot);

    if (size_b < 4096)
        size_b = 4096;
    make_lattice(s, tail + 1);
    TRY(put_header(a, dir, true, 0));
    TRY(put_header(a, path, false, size_b));
    TRY(put_filled(a, s, stream_begin(s, STREAM_BANK, 0), size_b - sizeof(tail)));
    return put_data(a, tail, sizeof(tail));
}

/* The slots of the storages lie in (base, slot], the newest first. */
static struct err *put_accounts(struct archive *a, const struct snapshot_maker_spec *s)
{
    uint32_t n = s->accounts_files ? s->accounts_files : 3;
    uint64_t size_b = s->accounts_b ? s->accounts_b : 65536;
    uint64_t step = (s->slot - s->base) / n;

    for (uint32_t k = 0; k < n; k++) {
        uint32_t i = s->reversed ? n - 1 - k : k;
        AUTO(freep)
        char *path = xasprintf("accounts/%llu.%u", (unsigned long long)(s->slot - step * i), i + 1);

        TRY(put_header(a, path, false, size_b));
        TRY(put_filled(a, s, stream_begin(s, STREAM_ACCOUNTS, i), size_b));
    }
    return NULL;
}

static struct err *put_all(struct archive *a, const struct snapshot_maker_spec *s)
{
    static const char version[] = "1.2.0";

    TRY(put_header(a, "version", false, strlen(version)));
    TRY(put_data(a, version, strlen(version)));
    TRY(put_header(a, "snapshots", true, 0));
    TRY(put_header(a, "snapshots/status_cache", false, 9000));
    TRY(put_filled(a, s, stream_begin(s, STREAM_STATUS_CACHE, 0), 9000));
    TRY(put_bank(a, s));
    return put_accounts(a, s);
}

static void archive_freep(struct archive **a)
{
    if (*a)
        (void)archive_write_free(*a); /* closed before when it matters */
}

static struct err *write_archive(int fd, const struct snapshot_maker_spec *s)
{
    AUTO(archive_freep) struct archive *a = archive_write_new();
    char level[48];

    snprintf(level, sizeof(level), "zstd:compression-level=%d", s->level ? s->level : 1);
    if (archive_write_set_format_gnutar(a) != ARCHIVE_OK ||
        archive_write_add_filter_zstd(a) != ARCHIVE_OK ||
        archive_write_set_options(a, level) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(a, 1) != ARCHIVE_OK ||
        archive_write_open_fd(a, fd) != ARCHIVE_OK)
        return bad_archive(a, "an archive");
    TRY(put_all(a, s));
    return archive_write_close(a) == ARCHIVE_OK ? NULL : bad_archive(a, "the archive's end");
}

struct err *snapshot_maker_write(const char *dir, const struct snapshot_maker_spec *s,
                                 char **ret_name)
{
    AUTO(freep) char *name = snapshot_maker_name(s);
    AUTO(freep) char *tmp = xasprintf("tmp-%s", name);
    AUTO(closep) int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
    struct err *e;

    if (dir_fd < 0)
        return err_sys(errno, "cannot open '%s'", dir);
    if (s->slot <= s->base)
        return err_new(ERR_BADINPUT, "slot %llu is not after base %llu",
                       (unsigned long long)s->slot, (unsigned long long)s->base);
    (void)unlinkat(dir_fd, tmp, 0); /* left over from a run that was killed; usually absent */
    fd = openat(dir_fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_sys(errno, "cannot create '%s/%s'", dir, tmp);
    e = err_wrap(write_archive(fd, s), "'%s/%s'", dir, tmp);
    if (close(TAKE_FD(fd)) < 0 && !e)
        e = err_sys(errno, "cannot write '%s/%s'", dir, tmp);
    if (!e && renameat(dir_fd, tmp, dir_fd, name) < 0)
        e = err_sys(errno, "cannot rename '%s/%s'", dir, tmp);
    if (e) {
        (void)unlinkat(dir_fd, tmp, 0); /* the first error is the one to report */
        return e;
    }
    *ret_name = TAKE(name);
    return NULL;
}
