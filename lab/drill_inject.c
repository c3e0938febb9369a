/* What a drill does to the lab's host, and how it is taken back. Each taking back can be done when
 * there is nothing to take back. */
#include "lab/drill_run.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host/block.h"
#include "host/mounts.h"
#include "io/fsroot.h"
#include "lab/lab.h"
#include "lab/lab_ns.h"
#include "solana/snapshot_name.h"

#define STEP_B ((off_t)256 << 20)
#define LAST_B 4096

/* The lab's volume, or nothing when none is mounted there. */
static struct err *open_volume(struct ctx *ctx, int *ret_fd)
{
    AUTO(mounts_clear) struct mounts m = {0};

    *ret_fd = -1;
    TRY(mounts_read(ctx, &m));
    if (!mounts_at(&m, DRILL_VOLUME))
        return NULL;
    return fsroot_openat(ctx->root, DRILL_VOLUME, O_RDONLY | O_DIRECTORY, 0, ret_fd);
}

static struct err *freeze(struct ctx *ctx, void *arg, char said[LAB_NS_SAID_B])
{
    AUTO(closep) int fd = -1;

    TRY(open_volume(ctx, &fd));
    if (fd < 0)
        return err_new(ERR_NOTFOUND, "nothing is mounted at '" DRILL_VOLUME "' of the lab");
    return ioctl(fd, FIFREEZE, 0) < 0 ? err_sys(errno, "cannot freeze '" DRILL_VOLUME "'") : NULL;
}

struct err *drill_freeze(struct drill_run *d)
{
    return lab_ns_run(d->ctx, freeze, NULL, NULL);
}

static struct err *thaw(struct ctx *ctx, void *arg, char said[LAB_NS_SAID_B])
{
    AUTO(closep) int fd = -1;

    TRY(open_volume(ctx, &fd));
    if (fd >= 0 && ioctl(fd, FITHAW, 0) < 0 && errno != EINVAL) /* EINVAL: not frozen */
        return err_sys(errno, "cannot thaw '" DRILL_VOLUME "'");
    return NULL;
}

struct err *drill_thaw(struct ctx *ctx)
{
    return lab_ns_there() ? lab_ns_run(ctx, thaw, NULL, NULL) : NULL;
}

/* Blocks are taken without being written: the image on the host does not grow. */
static struct err *fill(struct ctx *ctx, void *arg, char said[LAB_NS_SAID_B])
{
    AUTO(closep) int fd = -1;
    off_t at = 0;

    TRY(fsroot_openat(ctx->root, DRILL_FILL, O_WRONLY | O_CREAT | O_NOFOLLOW, 0600, &fd));
    at = lseek(fd, 0, SEEK_END);
    for (off_t step = STEP_B; step >= LAST_B;) {
        if (fallocate(fd, 0, at, step) == 0)
            at += step;
        else if (errno == ENOSPC)
            step /= 2;
        else if (errno != EINTR)
            return err_sys(errno, "cannot fill '" DRILL_VOLUME "'");
    }
    return NULL;
}

struct err *drill_fill(struct drill_run *d)
{
    return lab_ns_run(d->ctx, fill, NULL, NULL);
}

static struct err *unfill(struct ctx *ctx, void *arg, char said[LAB_NS_SAID_B])
{
    return fsroot_unlink(ctx->root, DRILL_FILL);
}

struct err *drill_unfill(struct ctx *ctx)
{
    return lab_ns_there() ? lab_ns_run(ctx, unfill, NULL, NULL) : NULL;
}

struct err *drill_linger(struct drill_run *d)
{
    return fsroot_write_atomic(d->ctx->root, DRILL_LINGER, "", 0, 0644);
}

struct err *drill_unlinger(struct ctx *ctx)
{
    return fsroot_unlink(ctx->root, DRILL_LINGER);
}

/* Archives, and half ones under our temporary names. */
static bool is_snapshot(const char *name)
{
    struct snapshot_name n;
    struct err *e = snapshot_name_parse(str_starts(name, "tmp-") ? name + 4 : name, &n);
    bool is = !e;

    err_free(e);
    return is;
}

static struct err *each_snapshot(struct ctx *ctx, void *arg, char said[LAB_NS_SAID_B])
{
    const bool *remove = arg;
    AUTO(strlist_clear) struct strlist names = {0};
    AUTO(strbuf_clear) struct strbuf text = {0};

    TRY(fsroot_list(ctx->root, DRILL_SNAPS, &names));
    for (size_t i = 0; i < names.n; i++) {
        AUTO(freep) char *path = xasprintf(DRILL_SNAPS "/%s", names.items[i]);

        if (!is_snapshot(names.items[i]))
            continue;
        if (*remove)
            TRY(fsroot_unlink(ctx->root, path));
        else
            strbuf_printf(&text, "%s%s", text.len ? " " : "", names.items[i]);
    }
    snprintf(said, LAB_NS_SAID_B, "%s", strbuf_text(&text));
    return NULL;
}

struct err *drill_remove_snapshots(struct drill_run *d)
{
    bool remove = true;

    return lab_ns_run(d->ctx, each_snapshot, &remove, NULL);
}

struct err *drill_snapshots(struct drill_run *d, char **ret_names)
{
    char said[LAB_NS_SAID_B];
    bool remove = false;

    TRY(lab_ns_run(d->ctx, each_snapshot, &remove, said));
    *ret_names = xstrdup(said);
    return NULL;
}

/* Zeros, whatever kind of disk it is. Nobody may use it: O_EXCL. */
static struct err *blank(struct ctx *ctx, const char *dev)
{
    AUTO(block_info_clear) struct block_info info = {0};
    AUTO(closep) int fd = open(dev, O_WRONLY | O_EXCL | O_CLOEXEC);
    uint64_t range[2] = {0, 0};

    if (fd < 0)
        return err_sys(errno, "cannot open '%s'", dev);
    if (ioctl(fd, BLKGETSIZE64, &range[1]) < 0 ||
        (ioctl(fd, BLKDISCARD, range) < 0 && ioctl(fd, BLKZEROOUT, range) < 0) || fsync(fd) < 0)
        return err_sys(errno, "cannot blank '%s'", dev);
    TRY(block_probe(ctx, dev, &info));
    if (info.content != BLOCK_BLANK)
        return err_new(ERR_REMOTE, "'%s' should be blank now, but it holds %s", dev, info.what);
    return NULL;
}

struct err *drill_lose_ramdisk(struct drill_run *d)
{
    AUTO(lab_state_clear) struct lab_state s = {0};

    TRY(lab_read(d->ctx, &s));
    TRY(lab_ns_umount_srv(d->ctx));
    TRY(lab_ns_mount_srv(d->ctx));
    return blank(d->ctx, s.ramdisk);
}
