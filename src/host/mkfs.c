/* mkfs.xfs, behind the two questions that make it safe: is the device blank, and does nobody use
 * it? -f is given for a device in memory alone, so elsewhere the program's own refusal stays in
 * force as well. */
#include "host/mkfs.h"

#include "base/str.h"
#include "host/block.h"
#include "host/block_users.h"
#include "host/zram.h"
#include "io/proc.h"

#define MKFS_TIMEOUT_S 600
#define XFS_LABEL_MAX  12
#define SETTLE_MS      2000

static struct err *check_blank(const struct block_info *b)
{
    if (b->content != BLOCK_BLANK)
        return err_new(ERR_REFUSED,
                       "will not make a file system on '%s': it holds %s; clear it yourself when "
                       "nothing on it is needed",
                       b->path, b->what);
    return NULL;
}

static struct err *check_fits(const struct block_info *b)
{
    char size[32];

    if (b->read_only)
        return err_new(ERR_REFUSED, "cannot make a file system on '%s': the device is read-only",
                       b->path);
    if (b->size_b < MKFS_XFS_MIN_B)
        return err_new(ERR_REFUSED,
                       "cannot make an xfs on '%s': it has %s and needs at least 300 MiB", b->path,
                       fmt_size(b->size_b, size, sizeof(size)));
    return NULL;
}

static struct err *check_users(struct ctx *ctx, const char *dev)
{
    AUTO(block_users_clear) struct block_users u = {0};

    TRY(block_users_settled(ctx, dev, SETTLE_MS, &u));
    if (!u.n)
        return NULL;
    AUTO(freep) char *who = block_users_text(&u);
    return err_new(ERR_REFUSED, "will not make a file system on '%s': it is in use: %s", dev, who);
}

static struct err *run_mkfs(struct ctx *ctx, const char *dev, const char *label, bool force)
{
    AUTO(freep) char *prog = NULL;
    const char *argv[8] = {0};
    size_t n = 0;

    TRY_CTX(proc_find(ctx, "mkfs.xfs", &prog),
            "cannot make an xfs (mkfs.xfs is in the package xfsprogs)");
    argv[n++] = prog;
    argv[n++] = "-q";
    if (force)
        argv[n++] = "-f";
    if (label) {
        argv[n++] = "-L";
        argv[n++] = label;
    }
    argv[n++] = dev;
    /* An interrupt waits for its end: half a file system is neither blank nor one, and clearing it
     * would be left to the operator. */
    struct ctx whole = *ctx;
    whole.cancelled = NULL;
    return proc_run(&whole, argv, MKFS_TIMEOUT_S, NULL);
}

static struct err *look_free(struct ctx *ctx, const char *dev, const char *label,
                             struct block_info *ret)
{
    if (label && strlen(label) > XFS_LABEL_MAX)
        return err_new(ERR_BADINPUT, "label '%s' is longer than %d bytes", label, XFS_LABEL_MAX);
    TRY(check_users(ctx, dev));
    return block_probe(ctx, dev, ret);
}

struct err *mkfs_xfs(struct ctx *ctx, const char *dev, const char *label)
{
    AUTO(block_info_clear) struct block_info b = {0};

    TRY(look_free(ctx, dev, label, &b));
    TRY(check_blank(&b));
    TRY(check_fits(&b));
    return run_mkfs(ctx, dev, label, false);
}

struct err *mkfs_xfs_fresh(struct ctx *ctx, const char *dev, const char *label)
{
    AUTO(block_info_clear) struct block_info b = {0};
    enum ramdev kind = RAMDEV_NONE;

    TRY(look_free(ctx, dev, label, &b));
    TRY(check_fits(&b));
    TRY(ramdev_kind(ctx, b.major, b.minor, &kind));
    if (kind == RAMDEV_NONE)
        return err_new(ERR_REFUSED,
                       "will not make a file system over what '%s' holds (%s): it is not in memory",
                       dev, b.what);
    return run_mkfs(ctx, dev, label, b.content != BLOCK_BLANK);
}
