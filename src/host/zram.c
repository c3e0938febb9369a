/* Block devices in memory. zram is controlled by /sys/class/zram-control and its device's folder in
 * /sys; brd can only be recognised (its number and size are fixed when the module is loaded). */
#include "host/zram.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/str.h"
#include "io/fsroot.h"

#define ZRAM_CONTROL "/sys/class/zram-control"
/* linux/major.h: RAMDISK_MAJOR */
#define BRD_MAJOR 1
#define ZRAM_MAX  64 /* more than anybody has: numbers above are refused */

bool zram_available(struct ctx *ctx)
{
    struct stat st;
    struct err *e = fsroot_stat(ctx->root, ZRAM_CONTROL "/hot_add", &st);

    err_free(e); /* only the question of "there or not" */
    return !e;
}

/* Reading hot_add makes a device, so it is read exactly once. */
static struct err *hot_add(struct ctx *ctx, uint64_t *ret_n)
{
    char buf[32];
    AUTO(closep) int fd = -1;
    ssize_t n;

    TRY(fsroot_openat(ctx->root, ZRAM_CONTROL "/hot_add", O_RDONLY, 0, &fd));
    n = read(fd, buf, sizeof(buf) - 1);
    if (n < 0)
        return err_sys(errno, "cannot make a zram device");
    buf[n] = '\0';
    buf[strcspn(buf, "\n")] = '\0';
    return parse_u64(buf, 0, UINT32_MAX, ret_n);
}

static struct err *hot_remove(struct ctx *ctx, uint64_t n)
{
    AUTO(freep) char *text = xasprintf("%llu", (unsigned long long)n);

    return fsroot_write(ctx->root, ZRAM_CONTROL "/hot_remove", text);
}

static struct err *set_size(struct ctx *ctx, uint64_t n, uint64_t size_b)
{
    AUTO(freep) char *path = xasprintf("/sys/block/zram%llu/disksize", (unsigned long long)n);
    AUTO(freep) char *size = xasprintf("%llu", (unsigned long long)size_b);

    return err_wrap(fsroot_write(ctx->root, path, size), "cannot size zram%llu",
                    (unsigned long long)n);
}

struct err *zram_add(struct ctx *ctx, uint64_t size_b, char **ret_dev)
{
    uint64_t n = 0;

    if (!zram_available(ctx))
        return err_new(ERR_ABSENT, "this kernel has no zram; load its module: modprobe zram");
    TRY(hot_add(ctx, &n));
    struct err *e = set_size(ctx, n, size_b);
    if (e) {
        (void)err_free(hot_remove(ctx, n)); /* the first failure is the one to tell */
        return e;
    }
    *ret_dev = xasprintf("/dev/zram%llu", (unsigned long long)n);
    return NULL;
}

struct err *zram_number(const char *dev, uint64_t *ret)
{
    struct err *e = str_starts(dev, "/dev/zram")
                        ? parse_u64(dev + strlen("/dev/zram"), 0, ZRAM_MAX - 1, ret)
                        : err_new(ERR_BADINPUT, "another name");

    if (!e)
        return NULL;
    err_free(e);
    return err_new(ERR_BADINPUT, "'%s' is none of /dev/zram0 … /dev/zram%d", dev, ZRAM_MAX - 1);
}

struct err *zram_size(struct ctx *ctx, const char *dev, uint64_t *ret_b)
{
    uint64_t n = 0;

    TRY(zram_number(dev, &n));
    AUTO(freep) char *path = xasprintf("/sys/block/zram%llu/disksize", (unsigned long long)n);
    return fsroot_read_u64(ctx->root, path, ret_b);
}

/* The kernel gives out the lowest free number: those below ours are taken, and given back by the
 * caller. extra: room for ZRAM_MAX numbers. */
static struct err *add_up_to(struct ctx *ctx, uint64_t number, uint64_t *extra, size_t *n)
{
    while (*n < ZRAM_MAX) {
        uint64_t got = 0;

        TRY(hot_add(ctx, &got));
        if (got == number)
            return NULL;
        extra[(*n)++] = got;
        if (got > number)
            break;
    }
    return err_new(ERR_REFUSED, "the kernel gives out other numbers: zram%llu cannot be had",
                   (unsigned long long)number);
}

static struct err *add_number(struct ctx *ctx, uint64_t number, uint64_t size_b)
{
    uint64_t extra[ZRAM_MAX];
    size_t n = 0;
    struct err *e = add_up_to(ctx, number, extra, &n);
    bool added = !e;

    /* One that somebody has taken in the meantime cannot be removed, and is theirs then. */
    for (size_t i = n; i-- > 0;)
        err_free(hot_remove(ctx, extra[i]));
    e = e ? e : set_size(ctx, number, size_b);
    if (e && added)
        err_free(hot_remove(ctx, number)); /* the first failure is the one to tell */
    return e;
}

struct err *zram_make(struct ctx *ctx, const char *dev, uint64_t size_b, bool *ret_made)
{
    uint64_t n = 0, now_b = 0;
    char have[32], want[32];

    *ret_made = false;
    TRY(zram_number(dev, &n));
    if (!zram_available(ctx))
        return err_new(ERR_ABSENT, "this kernel has no zram; load its module: modprobe zram");
    struct err *e = zram_size(ctx, dev, &now_b);
    if (e && e->kind == ERR_NOTFOUND) {
        err_free(e);
        *ret_made = true;
        return err_wrap(add_number(ctx, n, size_b), "cannot make '%s'", dev);
    }
    TRY(e);
    if (now_b == size_b)
        return NULL;
    if (now_b)
        return err_new(ERR_REFUSED,
                       "'%s' is there with %s, not %s: it is somebody else's; name another number "
                       "in storage.ramdisk.device",
                       dev, fmt_size(now_b, have, sizeof(have)),
                       fmt_size(size_b, want, sizeof(want)));
    *ret_made = true;
    return set_size(ctx, n, size_b);
}

/* The kernel refuses while somebody has the device open or mounted. */
static struct err *reset(struct ctx *ctx, const char *dev, uint64_t *ret_n)
{
    struct stat st;

    if (!str_starts(dev, "/dev/zram"))
        return err_new(ERR_BADINPUT, "'%s' is not a zram device", dev);
    TRY_CTX(parse_u64(dev + strlen("/dev/zram"), 0, UINT32_MAX, ret_n), "'%s' is not a zram device",
            dev);
    AUTO(freep) char *path = xasprintf("/sys/block/zram%llu/reset", (unsigned long long)*ret_n);
    TRY_CTX(fsroot_stat(ctx->root, path, &st), "no zram device '%s'", dev);
    return fsroot_write(ctx->root, path, "1");
}

static struct err *not_removed(struct err *e, const char *dev, const char *what)
{
    if (e && e->kind == ERR_SYS && e->sys == EBUSY) {
        err_free(e);
        return err_new(ERR_REFUSED, "cannot %s '%s': it is in use", what, dev);
    }
    return err_wrap(e, "cannot %s '%s'", what, dev);
}

struct err *zram_reset(struct ctx *ctx, const char *dev)
{
    uint64_t n = 0;

    return not_removed(reset(ctx, dev, &n), dev, "reset");
}

struct err *zram_remove(struct ctx *ctx, const char *dev)
{
    uint64_t n = 0;
    struct err *e = reset(ctx, dev, &n);

    return not_removed(e ? e : hot_remove(ctx, n), dev, "remove");
}

struct err *ramdev_kind(struct ctx *ctx, uint32_t major, uint32_t minor, enum ramdev *ret)
{
    AUTO(freep) char *dir = xasprintf("/sys/dev/block/%u:%u", major, minor);
    AUTO(freep) char *mm = xasprintf("%s/mm_stat", dir); /* only zram has it */
    struct stat st;

    if (major == BRD_MAJOR) { /* the number is its driver's own */
        *ret = RAMDEV_BRD;
        return NULL;
    }
    TRY(fsroot_stat(ctx->root, dir, &st));
    struct err *e = fsroot_stat(ctx->root, mm, &st);
    if (e && e->kind != ERR_NOTFOUND)
        return e;
    *ret = e ? RAMDEV_NONE : RAMDEV_ZRAM;
    err_free(e);
    return NULL;
}

const char *ramdev_name(enum ramdev k)
{
    static const char *const names[] = {
        [RAMDEV_NONE] = "not in memory",
        [RAMDEV_BRD] = "RAM disk (brd)",
        [RAMDEV_ZRAM] = "zram",
    };

    return names[k];
}
