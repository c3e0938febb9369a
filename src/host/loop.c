/* Loop devices: files as block devices. Attached in one call, so that a device is never half set
 * up; detached only when it is free, because the kernel otherwise agrees and does it later, when
 * nobody expects it. */
#include "host/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "io/clock.h"
#include "io/fsroot.h"

#define LOOP_TRIES 64

static struct err *configure(int loop_fd, int file_fd, const char *file,
                             const struct loop_opts *opts, bool direct, int *ret_errno)
{
    struct loop_config c = {
        .fd = (uint32_t)file_fd,
        .block_size = opts->sector_b,
        .info.lo_flags = (opts->read_only ? LO_FLAGS_READ_ONLY : 0U) |
                         (opts->autoclear ? LO_FLAGS_AUTOCLEAR : 0U) |
                         (direct ? LO_FLAGS_DIRECT_IO : 0U),
    };

    for (size_t i = 0; i + 1 < sizeof(c.info.lo_file_name) && file[i]; i++)
        c.info.lo_file_name[i] = (uint8_t)file[i];
    *ret_errno = 0;
    if (ioctl(loop_fd, LOOP_CONFIGURE, &c) == 0)
        return NULL;
    *ret_errno = errno;
    return err_sys(*ret_errno, "cannot attach '%s' to a loop device", file);
}

/* One try on the device that the kernel calls free; *ret_again: somebody else was quicker. */
static struct err *attach_once(int ctl, int file_fd, const char *file, const struct loop_opts *opts,
                               char **ret_dev, bool *ret_again)
{
    int n = ioctl(ctl, LOOP_CTL_GET_FREE), e = 0;

    *ret_again = false;
    if (n < 0)
        return err_sys(errno, "no free loop device");
    AUTO(freep) char *dev = xasprintf("/dev/loop%d", n);
    AUTO(closep) int fd = open(dev, (opts->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (fd < 0)
        return err_sys(errno, "cannot open '%s'", dev);
    AUTO(err_freep) struct err *err = configure(fd, file_fd, file, opts, opts->direct_io, &e);
    /* Direct I/O is a wish: not every file system can, and not with every sector size. */
    if (err && opts->direct_io && (e == EINVAL || e == EOPNOTSUPP)) {
        err_free(TAKE(err));
        err = configure(fd, file_fd, file, opts, false, &e);
    }
    *ret_again = err && e == EBUSY;
    if (err)
        return TAKE(err);
    *ret_dev = TAKE(dev);
    return NULL;
}

struct err *loop_attach(const char *file, const struct loop_opts *opts, char **ret_dev)
{
    static const struct loop_opts plain = {0};
    const struct loop_opts *o = opts ? opts : &plain;
    AUTO(closep) int file_fd = open(file, (o->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);

    if (file_fd < 0)
        return errno == ENOENT ? err_new(ERR_NOTFOUND, "no file '%s'", file)
                               : err_sys(errno, "cannot open '%s'", file);
    AUTO(closep) int ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (ctl < 0)
        return err_sys(errno, "cannot open '/dev/loop-control'");
    for (int i = 0;; i++) {
        bool again = false;
        struct err *e = attach_once(ctl, file_fd, file, o, ret_dev, &again);

        if (!e || !again || i == LOOP_TRIES)
            return e;
        err_free(e);
    }
}

/* The attachment that is to end; another one may take the device at once. */
struct gone {
    const char *dev;
    struct loop_info64 was;
};

static struct err *probe_gone(struct ctx *ctx, void *arg, bool *ret_done)
{
    const struct gone *g = arg;
    struct loop_info64 now = {0};
    AUTO(closep) int fd = open(g->dev, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && errno != ENOENT && errno != ENXIO)
        return err_sys(errno, "cannot open '%s'", g->dev);
    *ret_done = fd < 0 || (ioctl(fd, LOOP_GET_STATUS64, &now) < 0 && errno == ENXIO) ||
                now.lo_inode != g->was.lo_inode || now.lo_device != g->was.lo_device;
    return NULL;
}

/* The exclusive open fails while a file system or another device sits on it. */
static struct err *open_idle(const char *dev, int *ret_fd)
{
    int fd = open(dev, O_RDWR | O_EXCL | O_CLOEXEC), e;

    if (fd < 0 && (errno == EACCES || errno == EROFS)) /* attached read-only */
        fd = open(dev, O_RDONLY | O_EXCL | O_CLOEXEC);
    *ret_fd = fd;
    if (fd >= 0)
        return NULL;
    e = errno;
    if (e == EBUSY)
        return err_new(ERR_REFUSED, "cannot detach '%s': it is in use", dev);
    return e == ENOENT ? err_new(ERR_NOTFOUND, "no device '%s'", dev)
                       : err_sys(e, "cannot open '%s'", dev);
}

struct err *loop_detach(struct ctx *ctx, const char *dev)
{
    struct gone g = {.dev = dev};
    AUTO(closep) int fd = -1;

    TRY(open_idle(dev, &fd));
    if (ioctl(fd, LOOP_GET_STATUS64, &g.was) < 0)
        return errno == ENXIO ? NULL : err_sys(errno, "'%s' is not a loop device", dev);
    if (ioctl(fd, LOOP_CLR_FD) < 0 && errno != ENXIO)
        return err_sys(errno, "cannot detach '%s'", dev);
    close(TAKE_FD(fd)); /* it happens at the last close */
    return wait_until(ctx, "the loop device to be detached", 5000, 20, probe_gone, &g);
}

static struct err *is_on(const char *dev, const struct stat *st, bool *ret)
{
    struct loop_info64 info = {0};
    AUTO(closep) int fd = open(dev, O_RDONLY | O_CLOEXEC);

    *ret = false;
    if (fd < 0)
        return errno == ENOENT || errno == ENXIO ? NULL : err_sys(errno, "cannot open '%s'", dev);
    if (ioctl(fd, LOOP_GET_STATUS64, &info) < 0)
        return errno == ENXIO ? NULL : err_sys(errno, "cannot ask '%s' for its file", dev);
    *ret = info.lo_inode == st->st_ino && info.lo_device == st->st_dev;
    return NULL;
}

struct err *loop_find(struct ctx *ctx, const char *file, struct strlist *ret)
{
    AUTO(strlist_clear) struct strlist names = {0};
    AUTO(strlist_clear) struct strlist found = {0};
    struct stat st;

    if (stat(file, &st) < 0)
        return errno == ENOENT ? err_new(ERR_NOTFOUND, "no file '%s'", file)
                               : err_sys(errno, "cannot look at '%s'", file);
    TRY(fsroot_list(ctx->root, "/sys/block", &names));
    for (size_t i = 0; i < names.n; i++) {
        bool on = false;

        if (!str_starts(names.items[i], "loop"))
            continue;
        AUTO(freep) char *dev = xasprintf("/dev/%s", names.items[i]);
        TRY(is_on(dev, &st, &on));
        if (on)
            strlist_add(&found, dev);
    }
    *ret = found;
    found = (struct strlist){0};
    return NULL;
}

struct err *loop_backing(struct ctx *ctx, const char *dev, char **ret)
{
    const char *name = strrchr(dev, '/');
    AUTO(freep) char *path = xasprintf("/sys/block/%s/loop/backing_file", name ? name + 1 : dev);

    return fsroot_read_line(ctx->root, path, ret);
}
