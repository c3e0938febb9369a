/* Reads a snapshot archive from front to end without unpacking it and says whether it is what its
 * name says. The chain is: bytes → decompress → tar → the entry callbacks here. What is proven and
 * what is not stands in the header. Nothing of the archive is kept but the tail of the bank file.
 */
#include "solana/snapshot_archive.h"

#include "base/base58.h"
#include "base/blake3.h"
#include "base/str.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "solana/decompress.h"
#include "solana/snapshot_name.h"
#include "solana/tar.h"

#include <errno.h>
#include <fcntl.h>

#define VERSION_TEXT "1.2.0"
#define LATTICE_B    2048
#define TAIL_B       (1 + LATTICE_B + 1 + 32) /* tag, lattice hash, tag, block id */
#define READ_B       ((size_t)1 << 20)
#define PROGRESS_B   ((uint64_t)16 << 20)

enum part { PART_NONE, PART_VERSION, PART_STATUS_CACHE, PART_BANK, PART_ACCOUNTS };

struct snapcheck {
    struct snapshot_name name;
    struct snapcheck_limits limits;
    struct snapcheck_report report;
    struct decompress *decompress;
    struct tar *tar;
    enum part part;
    uint64_t entries;
    bool have_version, have_status_cache, have_bank;
    char version[8];
    size_t version_n, tail_n;
    uint8_t tail[TAIL_B];
};

_Static_assert(sizeof(((struct snapcheck_report *)0)->hash) >= BASE58_32_MAX, "a hash fits");

#define SHOWN_N 80 /* bytes of a path from the archive in a message */

static struct err *once(bool *have, const char *what)
{
    if (*have)
        return err_new(ERR_CORRUPT, "it holds %s twice", what);
    *have = true;
    return NULL;
}

static struct err *check_size(const char *what, uint64_t size_b, uint64_t max_b)
{
    if (size_b > max_b)
        return err_new(ERR_CORRUPT, "%s claims %llu bytes, more than the limit of %llu", what,
                       (unsigned long long)size_b, (unsigned long long)max_b);
    return NULL;
}

static struct err *begin_version(struct snapcheck *c, uint64_t size_b)
{
    c->part = PART_VERSION;
    TRY(once(&c->have_version, "the file 'version'"));
    return check_size("the file 'version'", size_b, sizeof(c->version));
}

static struct err *begin_status_cache(struct snapcheck *c, uint64_t size_b)
{
    c->part = PART_STATUS_CACHE;
    c->report.status_cache_b = size_b;
    TRY(once(&c->have_status_cache, "the status cache"));
    return check_size("the status cache", size_b, c->limits.bank_b);
}

static struct err *begin_bank(struct snapcheck *c, uint64_t size_b)
{
    c->part = PART_BANK;
    c->report.bank_b = size_b;
    TRY(once(&c->have_bank, "a bank file"));
    return check_size("the bank file", size_b, c->limits.bank_b);
}

/* accounts/<slot>.<id> */
static struct err *begin_accounts(struct snapcheck *c, const char *file, uint64_t size_b)
{
    const char *dot = strchr(file, '.');
    AUTO(freep) char *slot_text = dot ? xstrndup(file, (size_t)(dot - file)) : NULL;
    uint64_t slot, id;

    c->part = PART_ACCOUNTS;
    AUTO(err_freep)
    struct err *e =
        dot ? parse_u64(slot_text, 0, UINT64_MAX, &slot) : err_new(ERR_BADINPUT, "no dot");
    if (!e)
        e = parse_u64(dot + 1, 0, UINT64_MAX, &id);
    if (e) {
        AUTO(freep) char *shown = str_shown(file, SHOWN_N);

        return err_new(ERR_CORRUPT, "it holds 'accounts/%s', which is no <slot>.<id>", shown);
    }
    if (slot > c->name.slot)
        return err_new(ERR_CORRUPT, "it holds accounts of slot %llu, but its name says slot %llu",
                       (unsigned long long)slot, (unsigned long long)c->name.slot);
    if (c->name.incremental && slot <= c->name.base)
        return err_new(
            ERR_CORRUPT,
            "it holds accounts of slot %llu, but its name says that it starts after %llu",
            (unsigned long long)slot, (unsigned long long)c->name.base);
    c->report.accounts_files++;
    c->report.accounts_b += size_b; /* cannot overflow: unpacked_b is the larger sum */
    return NULL;
}

/* What stands below snapshots/<slot>, slot being a number other than the name's, is its own error:
 * a renamed archive is the likely cause. */
static struct err *bad_path(const struct snapcheck *c, const char *path)
{
    size_t digits = str_starts(path, "snapshots/") ? strspn(path + 10, "0123456789") : 0;
    AUTO(freep) char *shown = str_shown(path, SHOWN_N);

    if (digits && (path[10 + digits] == 0 || path[10 + digits] == '/'))
        return err_new(ERR_CORRUPT, "its bank is at '%s', but its name says slot %llu", shown,
                       (unsigned long long)c->name.slot);
    return err_new(ERR_CORRUPT, "it holds '%s', which Agave does not unpack", shown);
}

static struct err *begin_file(struct snapcheck *c, const struct tar_entry *e)
{
    char bank[64];

    snprintf(bank, sizeof(bank), "snapshots/%llu/%llu", (unsigned long long)c->name.slot,
             (unsigned long long)c->name.slot);
    if (str_eq(e->path, "version"))
        return begin_version(c, e->size_b);
    if (str_eq(e->path, "snapshots/status_cache"))
        return begin_status_cache(c, e->size_b);
    if (str_eq(e->path, bank))
        return begin_bank(c, e->size_b);
    if (str_starts(e->path, "accounts/"))
        return begin_accounts(c, e->path + 9, e->size_b);
    return bad_path(c, e->path);
}

static struct err *begin_dir(struct snapcheck *c, const char *path)
{
    size_t n = strlen(path);
    AUTO(freep) char *bare = xstrndup(path, n && path[n - 1] == '/' ? n - 1 : n);
    char bank[40];

    c->part = PART_NONE;
    snprintf(bank, sizeof(bank), "snapshots/%llu", (unsigned long long)c->name.slot);
    if (str_eq(bare, "accounts") || str_eq(bare, "snapshots") || str_eq(bare, bank))
        return NULL;
    return bad_path(c, bare);
}

static struct err *snapcheck_entry(void *arg, const struct tar_entry *e)
{
    struct snapcheck *c = arg;

    if (!c->have_version && !str_eq(e->path, "version")) {
        AUTO(freep) char *first = str_shown(e->path, SHOWN_N);

        return err_new(ERR_CORRUPT, "its first entry is '%s', not 'version'", first);
    }
    if (++c->entries > c->limits.entries)
        return err_new(ERR_CORRUPT, "it holds more than %llu files",
                       (unsigned long long)c->limits.entries);
    if (__builtin_add_overflow(c->report.unpacked_b, e->size_b, &c->report.unpacked_b) ||
        c->report.unpacked_b > c->limits.unpacked_b)
        return err_new(ERR_CORRUPT, "it unpacks to more than %llu bytes",
                       (unsigned long long)c->limits.unpacked_b);
    switch (e->type) {
    case TAR_FILE:
        return begin_file(c, e);
    case TAR_DIR:
        return begin_dir(c, e->path);
    case TAR_OTHER:
        break;
    }
    AUTO(freep) char *shown = str_shown(e->path, SHOWN_N);
    return err_new(ERR_CORRUPT, "it holds '%s', which is a link, device or pipe", shown);
}

static void keep_tail(struct snapcheck *c, const uint8_t *p, size_t n)
{
    size_t keep;

    if (n >= TAIL_B) {
        memcpy(c->tail, p + n - TAIL_B, TAIL_B);
        c->tail_n = TAIL_B;
        return;
    }
    keep = c->tail_n < TAIL_B - n ? c->tail_n : TAIL_B - n;
    memmove(c->tail, c->tail + c->tail_n - keep, keep);
    memcpy(c->tail + keep, p, n);
    c->tail_n = keep + n;
}

static struct err *snapcheck_data(void *arg, const void *data, size_t n)
{
    struct snapcheck *c = arg;

    if (c->part == PART_VERSION) {
        if (n > sizeof(c->version) - c->version_n)
            return err_new(ERR_BUG, "the tar reader gave more than the entry's size");
        memcpy(c->version + c->version_n, data, n);
        c->version_n += n;
    } else if (c->part == PART_BANK) {
        keep_tail(c, data, n);
    }
    return NULL;
}

/* Where the lattice hash may start, counted from the end of the bank file, and what must follow it:
 * 2.3 to 4.0 write it last; later readers know one more optional field, the block id. */
static bool lattice_at(const struct snapcheck *c, size_t from_end, const uint8_t **ret)
{
    const uint8_t *tag = c->tail + c->tail_n - from_end;
    size_t rest = from_end - 1 - LATTICE_B;

    if (from_end > c->tail_n || *tag != 1)
        return false;
    if (rest && tag[1 + LATTICE_B] != (rest == 1 ? 0 : 1))
        return false;
    *ret = tag + 1;
    return true;
}

/* Looks which hash the bank file gives; what that means is for hash_must to say. */
static void look_at_hash(struct snapcheck *c)
{
    static const size_t places[] = {1 + LATTICE_B, 1 + LATTICE_B + 1, 1 + LATTICE_B + 1 + 32};
    struct snapcheck_report *r = &c->report;
    char got[BASE58_32_MAX] = "";

    r->hash_at_b = r->archive_b;

    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        const uint8_t *lattice;
        uint8_t hash[32];

        if (!lattice_at(c, places[i], &lattice))
            continue;
        blake3_256(lattice, LATTICE_B, hash);
        base58_encode32(hash, got);
        if (str_eq(got, c->name.hash)) {
            r->hash_is = SNAPCHECK_HASH_PROVEN;
            return;
        }
    }
    r->hash_is = got[0] ? SNAPCHECK_HASH_OTHER : SNAPCHECK_HASH_NONE;
    memcpy(r->bank_hash, got, sizeof(got));
}

static struct err *check_bank(struct snapcheck *c)
{
    look_at_hash(c);
    if (!c->limits.hash_must || c->report.hash_is == SNAPCHECK_HASH_PROVEN)
        return NULL;
    if (c->report.hash_is == SNAPCHECK_HASH_NONE)
        return err_new(ERR_CORRUPT, "its bank file does not end in a lattice hash (damaged, or "
                                    "written by Agave 2.2 or older)");
    return err_new(ERR_CORRUPT, "its bank's hash is %s, not the one in its name",
                   c->report.bank_hash);
}

static struct err *snapcheck_end(void *arg)
{
    struct snapcheck *c = arg;
    enum part part = c->part;

    c->part = PART_NONE;
    if (part == PART_BANK)
        return check_bank(c);
    if (part != PART_VERSION)
        return NULL;
    if (c->version_n == strlen(VERSION_TEXT) && memcmp(c->version, VERSION_TEXT, c->version_n) == 0)
        return NULL;
    AUTO(freep) char *version = xstrndup(c->version, c->version_n);
    AUTO(freep) char *shown = str_shown(version, SHOWN_N);
    return err_new(ERR_CORRUPT, "its version is '%s', not " VERSION_TEXT, shown);
}

static const struct tar_sink sink = {
    .entry = snapcheck_entry,
    .data = snapcheck_data,
    .end = snapcheck_end,
};

static struct err *to_tar(void *arg, const void *data, size_t n)
{
    return tar_feed(arg, data, n);
}

struct err *snapcheck_new(const char *file, const struct snapcheck_limits *limits,
                          struct snapcheck **ret)
{
    AUTO(snapcheck_freep) struct snapcheck *c = xcalloc(1, sizeof(*c));
    enum compression kind;

    TRY(snapshot_name_parse(file, &c->name));
    if (c->name.legacy)
        return err_new(ERR_BADINPUT,
                       "'%s' is in a format that Agave wrote up to 2.3 and 3.0 and later do not "
                       "read: only .tar.zst and .tar.lz4 can be used",
                       file);
    TRY(compression_of_name(file, &kind));
    c->report.full = !c->name.incremental;
    c->report.slot = c->name.slot;
    c->report.base = c->name.incremental ? c->name.base : c->name.slot;
    memcpy(c->report.hash, c->name.hash, sizeof(c->name.hash));
    if (limits)
        c->limits = *limits;
    if (!c->limits.unpacked_b)
        c->limits.unpacked_b = (uint64_t)4 << 40;
    if (!c->limits.entries)
        c->limits.entries = 5000000;
    if (!c->limits.bank_b)
        c->limits.bank_b = (uint64_t)32 << 30;
    c->tar = tar_new(&sink, c);
    TRY(decompress_new(kind, to_tar, c->tar, &c->decompress));
    *ret = TAKE(c);
    return NULL;
}

struct err *snapcheck_feed(struct snapcheck *c, const void *data, size_t n)
{
    c->report.archive_b += n;
    return decompress_feed(c->decompress, data, n);
}

static struct err *check_complete(const struct snapcheck *c)
{
    TRY(decompress_finish(c->decompress));
    TRY(tar_finish(c->tar));
    if (!c->have_version)
        return err_new(ERR_CORRUPT, "it is empty");
    if (!c->have_bank)
        return err_new(ERR_CORRUPT, "it holds no bank file");
    if (!c->have_status_cache)
        return err_new(ERR_CORRUPT, "it holds no status cache");
    if (!c->report.accounts_files)
        return err_new(ERR_CORRUPT, "it holds no accounts");
    return NULL;
}

struct err *snapcheck_finish(struct snapcheck *c, struct snapcheck_report *ret)
{
    TRY(check_complete(c));
    *ret = c->report;
    return NULL;
}

const struct snapcheck_report *snapcheck_so_far(const struct snapcheck *c)
{
    return &c->report;
}

const char *snapcheck_hash_name(enum snapcheck_hash h)
{
    static const char *const hashes[] = {
        [SNAPCHECK_HASH_UNREAD] = "unread",
        [SNAPCHECK_HASH_PROVEN] = "proven",
        [SNAPCHECK_HASH_OTHER] = "other",
        [SNAPCHECK_HASH_NONE] = "none",
    };

    return hashes[h];
}

struct snapcheck *snapcheck_free(struct snapcheck *c)
{
    if (c) {
        decompress_free(c->decompress);
        tar_free(c->tar);
        free(c);
    }
    return NULL;
}

void snapcheck_freep(struct snapcheck **c)
{
    *c = snapcheck_free(*c);
}

static struct err *open_archive(struct ctx *ctx, const char *path, int *ret_fd, uint64_t *ret_b)
{
    AUTO(closep) int fd = -1;
    struct stat st;

    struct err *e = fsroot_openat(ctx->root, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, &fd);
    if (e && e->sys == ELOOP) {
        err_free(e);
        return err_new(ERR_REFUSED,
                       "'%s' is a symbolic link, which is not followed: name what it leads to, or "
                       "put the archive itself there",
                       path);
    }
    TRY(e);
    if (fstat(fd, &st) < 0)
        return err_sys(errno, "cannot look at '%s'", path);
    if (!S_ISREG(st.st_mode))
        return err_new(ERR_BADINPUT, "'%s' is not a plain file", path);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* only an advice */
    *ret_b = (uint64_t)st.st_size;
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

struct err *snapshot_archive_verify_file(struct ctx *ctx, const char *path,
                                         const struct snapcheck_limits *limits,
                                         struct err *(*progress)(void *arg, uint64_t done_b,
                                                                 uint64_t total_b),
                                         void *arg, struct snapcheck_report *ret)
{
    const char *slash = strrchr(path, '/');
    AUTO(snapcheck_freep) struct snapcheck *c = NULL;
    AUTO(freep) char *buf = xmalloc(READ_B);
    AUTO(closep) int fd = -1;
    uint64_t total_b, done_b = 0, told_b = 0;

    TRY(snapcheck_new(slash ? slash + 1 : path, limits, &c));
    TRY(open_archive(ctx, path, &fd, &total_b));
    for (;;) {
        ssize_t n;

        if (ctx_cancelled(ctx))
            return err_new(ERR_CANCELLED, "interrupted while reading '%s'", path);
        n = read(fd, buf, READ_B);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(errno, "cannot read '%s'", path);
        if (n == 0)
            break;
        TRY_CTX(snapcheck_feed(c, buf, (size_t)n), "'%s'", path);
        done_b += (uint64_t)n;
        if (progress && done_b - told_b >= PROGRESS_B) {
            TRY(progress(arg, done_b, total_b));
            told_b = done_b;
        }
    }
    TRY_CTX(snapcheck_finish(c, ret), "'%s'", path);
    return NULL;
}
