/* The RAM disk as a tmpfs: no device, no mkfs, made by its mount. Its size is what it may hold, and
 * what it holds is memory of whoever wrote it. */
#include <string.h>

#include "base/str.h"
#include "config/config.h"
#include "host/tmpfs.h"
#include "io/fsroot.h"
#include "stage/folders.h"
#include "stage/ramdisk.h"
#include "stage/ramdisk_parts.h"

struct err *ramdisk_options(struct ctx *ctx, char **ret)
{
    const struct config *c = ctx->cfg;
    bool noswap = false;

    if (ramdisk_kind(c) != RAMDISK_TMPFS) {
        *ret = xstrdup("noatime");
        return NULL;
    }
    TRY(tmpfs_takes_noswap(ctx, &noswap));
    *ret = xasprintf("noatime,size=%lluk,mode=0755,uid=%llu,gid=%llu%s",
                     (unsigned long long)(ramdisk_size_b(c) / 1024),
                     (unsigned long long)c->validator.uid, (unsigned long long)c->validator.gid,
                     noswap ? ",noswap" : "");
    return NULL;
}

/* What the kernel shows of it: "rw,size=1048576k,…"; *ret 0: nothing, which means no limit. */
static struct err *shown_size(const char *options, uint64_t *ret_b)
{
    const char *at = options;

    *ret_b = 0;
    while (at && !str_starts(at, "size="))
        at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL;
    if (!at)
        return NULL;
    at += strlen("size=");
    AUTO(freep) char *kib = xstrndup(at, strcspn(at, "k,"));
    TRY_CTX(parse_u64(kib, 0, UINT64_MAX / 1024, ret_b), "size of a tmpfs");
    *ret_b *= at[strlen(kib)] == 'k' ? 1024 : 1;
    return NULL;
}

static struct err *check_size(const struct config *cfg, const struct mount_info *at,
                              struct findings *ret)
{
    uint64_t want_b = ramdisk_size_b(cfg), got_b = 0;
    char want[32], got[32];

    TRY(shown_size(at->fs_options, &got_b));
    fmt_size(want_b, want, sizeof(want));
    if (got_b)
        fmt_size(got_b, got, sizeof(got));
    if (got_b == want_b)
        findings_add(ret, "ramdisk.size", RAMDISK_LAYER, SEV_OK, "the tmpfs at '%s' may hold %s",
                     at->target, got);
    else
        finding_compare(
            findings_add(ret, "ramdisk.size", RAMDISK_LAYER, SEV_WARN,
                         "the tmpfs at '%s' may hold %s, not %s: 'mount -o remount,size=%lluk %s' "
                         "changes that without losing anything",
                         at->target, got_b ? got : "all of the memory", want,
                         (unsigned long long)(want_b / 1024), at->target),
            want, got_b ? got : "no limit", "/proc/self/mountinfo");
    return NULL;
}

static struct err *check_mounted(struct ctx *ctx, const struct disk *d, const struct mount_info *at,
                                 struct findings *ret)
{
    bool right = str_eq(at->fstype, "tmpfs");
    bool ro = mount_is_read_only(at);

    if (right && !ro) {
        findings_add(ret, d->id_mount, RAMDISK_LAYER, SEV_OK, "a tmpfs is mounted at '%s'",
                     d->mount);
        return check_size(ctx->cfg, at, ret);
    }
    finding_compare(
        findings_add(ret, d->id_mount, RAMDISK_LAYER, SEV_FAIL, "%s of '%s' %s '%s'%s", at->fstype,
                     at->source, right ? "is mounted read-only at" : "is mounted at", d->mount,
                     right ? ""
                           : ", where a tmpfs belongs: unmount it when nothing uses it, "
                             "or set storage.ramdisk.kind to what it is"),
        "tmpfs", at->fstype, "/proc/self/mountinfo");
    return NULL;
}

struct err *ramdisk_check_tmpfs(struct ctx *ctx, struct scene *scene, const struct disk *d,
                                struct findings *ret)
{
    const struct mounts *m = NULL;
    bool fits = false;

    TRY(scene_mounts(ctx, scene, &m));
    const struct mount_info *at = mounts_at(m, d->mount);
    if (at)
        return check_mounted(ctx, d, at, ret);
    AUTO(freep) char *options = NULL;
    TRY(ramdisk_options(ctx, &options));
    TRY(ramdisk_check_fits(ctx, scene, ret, &fits));
    TRY(disk_check_hidden(ctx, d, ret));
    struct finding *f = findings_add(ret, d->id_mount, RAMDISK_LAYER, SEV_FAIL,
                                     "no tmpfs is mounted at '%s'", d->mount);
    finding_compare(f, options, "nothing", "/proc/self/mountinfo");
    f->repair = fits ? "ramdisk" : NULL;
    return folders_missing(ctx, d->mount, &f->old);
}

struct err *ramdisk_mount_tmpfs(struct ctx *ctx, const struct change *c)
{
    AUTO(freep) char *target = fsroot_path(ctx->root, c->object);

    TRY(fsroot_mkdirs(ctx->root, c->object, 0755));
    return mounts_mount("tmpfs", target, "tmpfs", c->arg);
}
