/* Real devices and mounts in a private mount namespace, with an account of what is left behind. */
#include "real.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/str.h"
#include "fixture.h"
#include "host/loop.h"
#include "host/mounts.h"
#include "host/zram.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "io/proc.h"

static struct real *not_real(const char *const *parts, const char *why)
{
    for (size_t i = 0; parts[i]; i++)
        printf("# not real: %s: %s\n", parts[i], why);
    printf("1..0 # SKIP %s\n", why);
    fflush(stdout);
    return NULL;
}

#define LABS "/run/agavectl/lab"

/* Mounts of this namespace and loop devices on files in the folder, as text. */
static char *account(struct real *r)
{
    AUTO(strbuf_clear) struct strbuf b = {0};
    AUTO(mounts_clear) struct mounts m = {0};
    AUTO(strlist_clear) struct strlist names = {0};

    assert_ok(mounts_read(&r->ctx, &m));
    for (size_t i = 0; i < m.n; i++)
        if (!str_starts(m.items[i].target,
                        LABS)) /* a lab of this machine may come or go meanwhile */
            strbuf_printf(&b, "mount %s %s\n", m.items[i].target, m.items[i].fstype);
    assert_ok(fsroot_list(r->ctx.root, "/sys/block", &names));
    for (size_t i = 0; i < names.n; i++) {
        AUTO(freep) char *file = NULL;
        struct err *e = loop_backing(&r->ctx, names.items[i], &file);

        if (!e && str_starts(file, r->dir))
            strbuf_printf(&b, "loop %s %s\n", names.items[i], file);
        err_free(e);
    }
    for (size_t i = 0; i < r->zrams.n; i++)
        strbuf_printf(&b, "zram %s\n", r->zrams.items[i]);
    return strbuf_take(&b);
}

struct real *real_new(const char *const *parts)
{
    char dir[] = "/var/tmp/agavectl-real-XXXXXX";

    if (geteuid() != 0)
        return not_real(parts, "needs root");
    if (access("/dev/loop-control", R_OK | W_OK) < 0)
        return not_real(parts, "no loop devices here");
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return not_real(parts, "no mount namespace of our own");
    struct real *r = xcalloc(1, sizeof(*r));
    assert_non_null(mkdtemp(dir));
    r->dir = xstrdup(dir);
    r->ctx = (struct ctx){.clock = &clock_system, .proc = &proc_system};
    assert_ok(fsroot_open("/", &r->ctx.root));
    r->before = account(r);
    for (size_t i = 0; parts[i]; i++)
        printf("# real: %s: in a mount namespace of the test's own\n", parts[i]);
    fflush(stdout);
    return r;
}

bool real_mounted(struct real *r, const char *path)
{
    AUTO(mounts_clear) struct mounts m = {0};

    assert_ok(mounts_read(&r->ctx, &m));
    return mounts_at(&m, path) != NULL;
}

void real_umount_all(struct real *r)
{
    for (int i = 0; i < 100; i++) {
        AUTO(mounts_clear) struct mounts m = {0};
        const struct mount_info *last = NULL;

        assert_ok(mounts_read(&r->ctx, &m));
        for (size_t k = 0; k < m.n; k++)
            if (str_starts(m.items[k].target, r->dir) &&
                mounts_at(&m, m.items[k].target) == &m.items[k])
                last = &m.items[k];
        if (!last)
            return;
        assert_ok(mounts_umount(last->target));
    }
    fail_msg("mounts that do not go away");
}

/* After a failed test: nothing may stay on the machine all the same. */
static void drop_loops(struct real *r)
{
    AUTO(strlist_clear) struct strlist names = {0};

    assert_ok(fsroot_list(r->ctx.root, "/sys/block", &names));
    for (size_t i = 0; i < names.n; i++) {
        AUTO(freep) char *file = NULL;
        AUTO(freep) char *dev = xasprintf("/dev/%s", names.items[i]);
        struct err *e = loop_backing(&r->ctx, dev, &file);

        if (!e && str_starts(file, r->dir))
            e = loop_detach(&r->ctx, dev);
        err_free(e);
    }
}

void real_end(struct real *r)
{
    if (!r)
        return;
    AUTO(freep) char *after = account(r);
    bool same = str_eq(after, r->before);

    if (!same)
        fprintf(stderr, "left behind; before:\n%safter:\n%s", r->before, after);
    if (!same)
        real_umount_all(r);
    drop_loops(r);
    for (size_t i = 0; !same && i < r->zrams.n; i++)
        err_free(zram_remove(&r->ctx, r->zrams.items[i]));
    strlist_clear(&r->zrams);
    r->ctx.root = fsroot_close(r->ctx.root);
    remove_tree(r->dir);
    free(r->dir);
    free(r->before);
    free(r);
    if (!same)
        exit(1);
}

int real_ended(struct real *r, int failed)
{
    real_end(r);
    return failed;
}

char *real_path(struct real *r, const char *name)
{
    return xasprintf("%s/%s", r->dir, name);
}

char *real_dir(struct real *r, const char *name)
{
    char *path = real_path(r, name);

    assert_ok(fsroot_mkdirs(r->ctx.root, path, 0755));
    return path;
}

char *real_image(struct real *r, const char *name, unsigned long long size_b)
{
    char *path = real_path(r, name);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size_b), 0);
    assert_int_equal(close(fd), 0);
    return path;
}

char *real_loop(struct real *r, const char *name, unsigned long long size_b)
{
    AUTO(freep) char *file = real_image(r, name, size_b);
    char *dev = NULL;

    assert_ok(loop_attach(file, NULL, &dev));
    return dev;
}

char *real_zram(struct real *r, unsigned long long size_b)
{
    char *dev = NULL;

    if (!zram_available(&r->ctx)) {
        printf("# not real: block devices: no zram in this kernel\n");
        return NULL;
    }
    assert_ok(zram_add(&r->ctx, size_b, &dev));
    strlist_add(&r->zrams, dev);
    return dev;
}

char *real_zram_free(struct real *r)
{
    for (unsigned n = 7; n < 60; n++) {
        AUTO(freep) char *dev = xasprintf("/dev/zram%u", n);
        uint64_t size_b;
        struct err *e = zram_size(&r->ctx, dev, &size_b);
        bool none = e && e->kind == ERR_NOTFOUND;

        err_free(e); /* one that cannot be looked at is not free */
        if (!none)
            continue;
        strlist_add(&r->zrams, dev);
        return TAKE(dev);
    }
    fail_msg("no free number");
    return NULL;
}

void real_zram_remove(struct real *r, const char *dev)
{
    struct strlist left = {0};

    assert_ok(zram_remove(&r->ctx, dev));
    for (size_t i = 0; i < r->zrams.n; i++)
        if (!str_eq(r->zrams.items[i], dev))
            strlist_add(&left, r->zrams.items[i]);
    strlist_clear(&r->zrams);
    r->zrams = left;
}

void real_run(struct real *r, const char *const *argv)
{
    AUTO(freep) char *path = NULL;
    const char *full[16] = {0};

    assert_ok(proc_find(&r->ctx, argv[0], &path));
    full[0] = path;
    for (size_t i = 1; argv[i] && i + 1 < ARRAY_LEN(full); i++)
        full[i] = argv[i];
    assert_ok(proc_run(&r->ctx, full, 60, NULL));
}

static uint64_t mix(uint64_t sum, const void *data, size_t n)
{
    const uint8_t *b = data;

    for (size_t i = 0; i < n; i++)
        sum = (sum ^ b[i]) * 1099511628211ULL; /* FNV-1a */
    return sum;
}

/* Zero pages are left out: a read of a sparse file may turn a hole into one. */
static uint64_t mix_page(uint64_t sum, const uint8_t *page, size_t n, off_t at)
{
    size_t i = 0;

    while (i < n && page[i] == 0)
        i++;
    return i == n ? sum : mix(mix(sum, &at, sizeof(at)), page, n);
}

unsigned long long real_sum(struct real *r, const char *dev)
{
    AUTO(freep) char *file = NULL;
    AUTO(closep) int dev_fd = open(dev, O_RDONLY | O_CLOEXEC);
    uint64_t sum = 1469598103934665603ULL;
    uint8_t page[4096];
    off_t at = 0;

    assert_ok(loop_backing(&r->ctx, dev, &file));
    AUTO(closep) int fd = open(file, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && dev_fd >= 0);
    assert_int_equal(fsync(dev_fd), 0);
    while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
        at -= at % (off_t)sizeof(page);
        ssize_t n = pread(fd, page, sizeof(page), at);

        assert_true(n > 0);
        sum = mix_page(sum, page, (size_t)n, at);
        at += n;
    }
    assert_int_equal(errno, ENXIO); /* no data behind this place */
    return sum;
}

void real_write(const char *dev, unsigned long long at, const void *data, size_t n)
{
    int fd = open(dev, O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, n, (off_t)at), (ssize_t)n);
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(close(fd), 0);
}
