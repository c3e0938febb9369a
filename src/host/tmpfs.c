/* What a file system in memory can do, asked of the kernel and not of its version where possible.
 */
#include "host/tmpfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/str.h"
#include "io/fsroot.h"

/* 0: begun and the flag was taken; else errno. */
static int try_flag(const char *fstype, const char *flag)
{
    AUTO(closep) int fd = fsopen(fstype, FSOPEN_CLOEXEC);

    if (fd < 0)
        return errno;
    return fsconfig(fd, FSCONFIG_SET_FLAG, flag, NULL, 0) == 0 ? 0 : errno;
}

static struct err *by_release(struct ctx *ctx, bool *ret)
{
    AUTO(freep) char *line = NULL;
    unsigned major = 0, minor = 0;

    TRY(fsroot_read_line(ctx->root, "/proc/sys/kernel/osrelease", &line));
    *ret = sscanf(line, "%u.%u", &major, &minor) == 2 && (major > 6 || (major == 6 && minor >= 4));
    return NULL;
}

struct err *tmpfs_takes_noswap(struct ctx *ctx, bool *ret)
{
    int e = EPERM;

    if (str_eq(fsroot_dir(ctx->root), "/") && !fsroot_captured(ctx->root))
        e = try_flag("tmpfs", "noswap");
    if (e == EPERM || e == ENOSYS)
        return by_release(ctx, ret);
    *ret = e == 0;
    return NULL;
}

/* The smallest piece that a program may expect to work. */
#define SECTOR_B 512
#define ALIGN_B  4096

struct err *odirect_probe(struct ctx *ctx, const char *folder, enum odirect *ret)
{
    AUTO(freep) void *buf = NULL;
    AUTO(closep) int fd = -1;

    if (fsroot_captured(ctx->root))
        return err_new(ERR_REFUSED, "nothing is tried on a captured host");
    struct err *e = fsroot_openat(ctx->root, folder, O_TMPFILE | O_RDWR | O_DIRECT, 0600, &fd);
    if (e && e->kind == ERR_SYS && e->sys == EINVAL) {
        *ret = ODIRECT_REFUSED;
        return err_free(e);
    }
    TRY(e);
    if (posix_memalign(&buf, ALIGN_B, SECTOR_B) != 0)
        return err_sys(ENOMEM, "cannot take %d bytes", SECTOR_B);
    memset(buf, 0, SECTOR_B);
    ssize_t n = pwrite(fd, buf, SECTOR_B, 0);
    if (n < 0 && errno != EINVAL)
        return err_sys(errno, "cannot write with O_DIRECT in '%s'", folder);
    *ret = n == SECTOR_B ? ODIRECT_TAKEN : ODIRECT_COARSE;
    return NULL;
}
