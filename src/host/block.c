/* What a block device holds, by libblkid's low-level probing (no cache, no udev database: both may
 * be old) and by a look at the bytes. "Blank" is a strong word: it allows mkfs. */
#include "host/block.h"

#include <blkid/blkid.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/str.h"
#include "io/fsroot.h"

#define ENDS_B   (1U << 20) /* looked at completely at both ends */
#define SAMPLES  256        /* pages between the ends */
#define PAGE_B   4096U
#define HITS_MAX 64

void block_info_clear(struct block_info *b)
{
    free(b->path);
    free(b->fstype);
    free(b->uuid);
    free(b->label);
    free(b->what);
    *b = (struct block_info){0};
}

/* Everything that libblkid finds, not only its best guess. */
struct hits {
    uint32_t supers, tables, damaged;
    enum block_content content; /* of the superblock found last */
    char *type, *uuid, *label, *table;
    struct strbuf names;
};

static void hits_clear(struct hits *h)
{
    free(h->type);
    free(h->uuid);
    free(h->label);
    free(h->table);
    strbuf_clear(&h->names);
}

static const char *value(blkid_probe pr, const char *name)
{
    const char *s = NULL;

    return blkid_probe_lookup_value(pr, name, &s, NULL) == 0 ? s : NULL;
}

static void replace(char **slot, const char *s)
{
    free(*slot);
    *slot = s ? xstrdup(s) : NULL;
}

static void hit(blkid_probe pr, struct hits *h)
{
    const char *type = value(pr, "TYPE"), *table = value(pr, "PTTYPE");
    const char *usage = value(pr, "USAGE");

    if (!type && !table)
        return;
    strbuf_printf(&h->names, "%s%s", h->names.len ? ", " : "", type ? type : table);
    h->damaged += value(pr, "SBBADCSUM") != NULL;
    if (!type) {
        h->tables++;
        replace(&h->table, table);
        return;
    }
    h->supers++;
    /* libblkid calls zfs_member a file system; it is one disk of a pool. */
    bool member = str_ends(type, "_member") || !str_eq(usage, "filesystem");
    h->content = str_eq(type, "swap") ? BLOCK_SWAP : member ? BLOCK_MEMBER : BLOCK_FILESYSTEM;
    replace(&h->type, type);
    replace(&h->uuid, value(pr, "UUID"));
    replace(&h->label, value(pr, "LABEL"));
}

static void probe_free(blkid_probe *pr)
{
    blkid_free_probe(*pr);
}

static struct err *find_signatures(int fd, uint64_t size_b, struct hits *h)
{
    AUTO(probe_free) blkid_probe pr = blkid_new_probe();
    int rc;

    if (!pr || blkid_probe_set_device(pr, fd, 0, (blkid_loff_t)size_b) != 0)
        return err_sys(errno ? errno : EIO, "cannot start to probe");
    blkid_probe_enable_superblocks(pr, 1);
    blkid_probe_set_superblocks_flags(pr, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE |
                                              BLKID_SUBLKS_UUID | BLKID_SUBLKS_LABEL |
                                              BLKID_SUBLKS_BADCSUM);
    blkid_probe_enable_partitions(pr, 1);
    errno = 0;
    for (int i = 0; (rc = blkid_do_probe(pr)) == 0; i++) {
        if (i == HITS_MAX)
            return err_new(ERR_CORRUPT, "more than %d signatures", HITS_MAX);
        hit(pr, h);
    }
    if (rc < 0)
        return err_sys(errno ? errno : EIO, "cannot probe for signatures");
    return NULL;
}

/* *ret: the offset of the first byte in [at, at+n) that is not zero, or UINT64_MAX. */
static struct err *first_nonzero(int fd, uint64_t at, uint64_t n, uint64_t *ret)
{
    uint8_t buf[65536];

    while (n) {
        size_t want = n < sizeof(buf) ? (size_t)n : sizeof(buf);
        ssize_t got = pread(fd, buf, want, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(errno, "cannot read at byte %llu", (unsigned long long)at);
        if (got == 0)
            return err_new(ERR_CORRUPT, "ends at byte %llu, before its size",
                           (unsigned long long)at);
        for (size_t i = 0; i < (size_t)got; i++) {
            if (buf[i]) {
                *ret = at + i;
                return NULL;
            }
        }
        at += (uint64_t)got;
        n -= (uint64_t)got;
    }
    *ret = UINT64_MAX;
    return NULL;
}

/* Both ends in full and pages in between: content without a signature mostly begins at the start,
 * but an image written to an offset, or an encrypted volume whose header was wiped, does not. */
static struct err *find_bytes(int fd, uint64_t size_b, uint64_t *ret)
{
    uint64_t end = size_b < ENDS_B ? size_b : ENDS_B;

    TRY(first_nonzero(fd, 0, end, ret));
    if (*ret == UINT64_MAX)
        TRY(first_nonzero(fd, size_b - end, end, ret));
    for (uint64_t i = 1; i < SAMPLES && *ret == UINT64_MAX && size_b > 2 * ENDS_B; i++) {
        uint64_t at = size_b / SAMPLES * i / PAGE_B * PAGE_B;

        TRY(first_nonzero(fd, at, PAGE_B, ret));
    }
    return NULL;
}

static char *describe_one(const struct hits *h)
{
    AUTO(freep)
    char *label = h->label && *h->label ? xasprintf(" (label '%s')", h->label) : xstrdup("");

    if (h->content == BLOCK_FILESYSTEM)
        return xasprintf("an %s file system%s", h->type, label);
    if (h->content == BLOCK_SWAP)
        return xstrdup("swap space");
    return xasprintf("a member of something larger: %s%s", h->type, label);
}

static void judge_signatures(struct hits *h, struct block_info *ret)
{
    if (h->supers + h->tables > 1) {
        ret->content = BLOCK_UNKNOWN;
        ret->what = xasprintf("several signatures at once: %s", strbuf_text(&h->names));
    } else if (h->tables) {
        ret->content = BLOCK_PARTITIONS;
        ret->what = xasprintf("a partition table (%s)", h->table);
    } else if (h->damaged) {
        ret->content = BLOCK_UNKNOWN;
        ret->what = xasprintf("a damaged %s superblock", h->type);
    } else {
        ret->content = h->content;
        ret->what = describe_one(h);
    }
    ret->fstype = TAKE(h->type);
    ret->uuid = TAKE(h->uuid);
    ret->label = TAKE(h->label);
}

struct err *block_look(int fd, uint64_t size_b, struct block_info *ret)
{
    AUTO(hits_clear) struct hits h = {0};
    uint64_t at = UINT64_MAX;

    if (size_b) /* to libblkid, 0 means "to the end" */
        TRY(find_signatures(fd, size_b, &h));
    if (h.supers + h.tables) {
        judge_signatures(&h, ret);
        return NULL;
    }
    TRY(find_bytes(fd, size_b, &at));
    ret->content = at == UINT64_MAX ? BLOCK_BLANK : BLOCK_UNKNOWN;
    ret->what = at == UINT64_MAX
                    ? xstrdup("nothing (no signature, zeros)")
                    : xasprintf("content without a known signature (byte %llu is not zero)",
                                (unsigned long long)at);
    return NULL;
}

static struct err *device_facts(int fd, struct block_info *b)
{
    struct stat st;
    int sector = 0, ro = 0;

    if (fstat(fd, &st) < 0)
        return err_sys(errno, "cannot look at it");
    if (!S_ISBLK(st.st_mode))
        return err_new(ERR_BADINPUT, "it is not a block device");
    b->major = major(st.st_rdev);
    b->minor = minor(st.st_rdev);
    if (ioctl(fd, BLKGETSIZE64, &b->size_b) < 0 || ioctl(fd, BLKSSZGET, &sector) < 0 ||
        ioctl(fd, BLKROGET, &ro) < 0)
        return err_sys(errno, "cannot ask for its size");
    b->sector_b = (uint32_t)sector;
    b->read_only = ro != 0;
    return NULL;
}

/* A member of host.json's "block" as text, or NULL. To be freed. */
static struct err *captured_text(const struct json *entry, const char *key, char **ret)
{
    const struct json *v = json_get(entry, key);
    const char *s = NULL;

    if (v)
        TRY_CTX(json_as_str(v, &s), "host.json: block: %s", key);
    *ret = s ? xstrdup(s) : NULL;
    return NULL;
}

static struct err *captured_number(const struct json *entry, const char *key, uint64_t def,
                                   uint64_t *ret)
{
    const struct json *v = json_get(entry, key);

    *ret = def;
    return v ? err_wrap(json_as_u64(v, ret), "host.json: block: %s", key) : NULL;
}

static char *captured_what(const struct block_info *b)
{
    static const char *const what[] = {
        [BLOCK_BLANK] = "nothing (no signature, zeros)",
        [BLOCK_PARTITIONS] = "a partition table",
        [BLOCK_SWAP] = "swap space",
        [BLOCK_UNKNOWN] = "content without a known signature",
    };
    struct hits h = {.content = b->content,
                     .type = b->fstype ? b->fstype : (char[]){"unknown"},
                     .label = b->label};

    return b->content == BLOCK_FILESYSTEM || b->content == BLOCK_MEMBER ? describe_one(&h)
                                                                        : xstrdup(what[b->content]);
}

static struct err *captured_content(const struct json *entry, struct block_info *b)
{
    static const char *const names[] = {
        [BLOCK_BLANK] = "blank",
        [BLOCK_FILESYSTEM] = "filesystem",
        [BLOCK_PARTITIONS] = "partitions",
        [BLOCK_MEMBER] = "member",
        [BLOCK_SWAP] = "swap",
        [BLOCK_UNKNOWN] = "unknown",
    };
    AUTO(freep) char *content = NULL;
    uint64_t sector = 0;
    size_t i = 0;

    TRY(captured_text(entry, "content", &content));
    while (i < ARRAY_LEN(names) && !str_eq(names[i], content))
        i++;
    if (i == ARRAY_LEN(names))
        return err_new(ERR_BADINPUT, "host.json: block: content '%s' is none",
                       content ? content : "");
    b->content = (enum block_content)i;
    TRY(captured_text(entry, "fstype", &b->fstype));
    TRY(captured_text(entry, "uuid", &b->uuid));
    TRY(captured_text(entry, "label", &b->label));
    TRY(captured_number(entry, "size_b", 0, &b->size_b));
    TRY(captured_number(entry, "sector_b", 512, &sector));
    b->sector_b = (uint32_t)sector;
    if (json_has(entry, "read_only"))
        TRY(json_as_bool(json_get(entry, "read_only"), &b->read_only));
    b->what = captured_what(b);
    return NULL;
}

/* A captured host has no device to read: what was read there stands in host.json. */
static struct err *captured_probe(struct ctx *ctx, const char *dev, struct block_info *b)
{
    const struct json *all = json_get(fsroot_captured(ctx->root), "block");
    const struct json *entry = json_get(all, dev);
    AUTO(freep) char *real = NULL;

    TRY(block_number(ctx, dev, &b->major, &b->minor));
    TRY(fsroot_real(ctx->root, dev, &real));
    entry = entry ? entry : json_get(all, real);
    if (!entry)
        return err_new(ERR_ABSENT, "this captured host does not say what '%s' holds", dev);
    return captured_content(entry, b);
}

struct err *block_number(struct ctx *ctx, const char *dev, uint32_t *ret_major, uint32_t *ret_minor)
{
    struct stat st;

    TRY_CTX(fsroot_stat(ctx->root, dev, &st), "device '%s'", dev);
    if (!S_ISBLK(st.st_mode))
        return err_new(ERR_BADINPUT, "device '%s': it is not a block device", dev);
    *ret_major = major(st.st_rdev);
    *ret_minor = minor(st.st_rdev);
    return NULL;
}

struct err *block_probe(struct ctx *ctx, const char *dev, struct block_info *ret)
{
    AUTO(block_info_clear) struct block_info b = {.path = xstrdup(dev)};
    AUTO(closep) int fd = -1;

    if (fsroot_captured(ctx->root)) {
        TRY(captured_probe(ctx, dev, &b));
    } else {
        TRY_CTX(fsroot_openat(ctx->root, dev, O_RDONLY | O_NONBLOCK, 0, &fd), "device '%s'", dev);
        TRY_CTX(device_facts(fd, &b), "device '%s'", dev);
        TRY_CTX(block_look(fd, b.size_b, &b), "device '%s'", dev);
    }
    *ret = b;
    b = (struct block_info){0};
    return NULL;
}
