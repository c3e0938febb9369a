/* Is the right device mounted at each place, and does the bind lead where it should? Compares what
 * the kernel says now with the config; changes nothing and knows nothing of fstab. */
#include "stage/storage_now.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "host/block.h"
#include "io/fsroot.h"
#include "stage/ramdisk.h"

#define SECTOR_B 512u /* of /sys/dev/block/<n>/size, whatever the device has */

void storage_now_clear(struct storage_now *s)
{
    free(s->volume.path);
    free(s->ramdisk.path);
    strlist_clear(&s->faults);
    *s = (struct storage_now){0};
}

/* 0: a device without a size, as of a tmpfs. */
static struct err *device_size(struct ctx *ctx, const struct mount_info *on, uint64_t *ret)
{
    AUTO(freep) char *path = xasprintf("/sys/dev/block/%u:%u/size", on->major, on->minor);
    uint64_t sectors = 0;
    struct err *e = fsroot_read_u64(ctx->root, path, &sectors);

    *ret = 0;
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    if (__builtin_mul_overflow(sectors, SECTOR_B, ret))
        return err_new(ERR_CORRUPT, "'%s' is larger than any device", path);
    return NULL;
}

/* One place of the config that must be a mount of its own. */
struct place {
    const char *name; /* "the RAM disk" */
    const char *where;
    const char *device; /* "": none, as of a tmpfs */
    const char *fstype; /* "" : any */
};

static struct err *check_device(struct ctx *ctx, const struct place *p, const struct mount_info *on,
                                struct strlist *faults)
{
    uint32_t major = 0, minor = 0;
    struct err *e = block_number(ctx, p->device, &major, &minor);

    if (e && (e->kind == ERR_NOTFOUND || e->kind == ERR_BADINPUT)) {
        strlist_addf(faults, "%s: %s", p->name, e->text);
        return err_free(e);
    }
    TRY(e);
    if (major != on->major || minor != on->minor)
        strlist_addf(faults, "at '%s' lies '%s' (%u:%u), not %s '%s' (%u:%u)", p->where, on->source,
                     on->major, on->minor, p->name, p->device, major, minor);
    return NULL;
}

static struct err *check_place(struct ctx *ctx, const struct mounts *m, const struct place *p,
                               struct boot_device *ret, struct strlist *faults)
{
    const struct mount_info *on = mounts_at(m, p->where);

    ret->path = *p->device ? xstrdup(p->device) : NULL;
    if (!on) {
        strlist_addf(faults, "%s is not mounted at '%s'", p->name, p->where);
        return NULL;
    }
    ret->major = on->major;
    ret->minor = on->minor;
    TRY(device_size(ctx, on, &ret->size_b));
    if (*p->fstype && !str_eq(on->fstype, p->fstype))
        strlist_addf(faults, "at '%s' lies %s, not %s", p->where, on->fstype, p->fstype);
    return *p->device ? check_device(ctx, p, on, faults) : NULL;
}

/* What is below path, with its slash, when path is at or below folder; NULL: it is not. */
static const char *below(const char *path, const char *folder)
{
    size_t n = strlen(folder);

    if (!n || strncmp(path, folder, n) != 0 || (path[n] && path[n] != '/'))
        return NULL;
    return path + n;
}

char *storage_through_bind(const struct config *c, const char *path)
{
    const char *rest = below(path, c->storage.volume.mount);

    return *c->storage.bind && rest ? xasprintf("%s%s", c->storage.bind, rest) : NULL;
}

/* Do both names lead to one folder? */
static struct err *check_same(struct ctx *ctx, const char *path, struct strlist *faults)
{
    AUTO(freep) char *seen = storage_through_bind(ctx->cfg, path);
    struct stat a, b;

    if (!seen)
        return NULL;
    struct err *e = fsroot_stat(ctx->root, path, &a);
    e = e ? e : fsroot_stat(ctx->root, seen, &b);
    if (e && e->kind == ERR_NOTFOUND) {
        strlist_addf(faults, "'%s' does not show '%s': %s", seen, path, e->text);
        return err_free(e);
    }
    TRY(e);
    if (a.st_dev != b.st_dev || a.st_ino != b.st_ino)
        strlist_addf(faults, "'%s' is another folder than '%s'", seen, path);
    return NULL;
}

static struct err *check_bind(struct ctx *ctx, const struct mounts *m, struct strlist *faults)
{
    const struct config *c = ctx->cfg;

    if (!*c->storage.bind || !*c->storage.volume.mount)
        return NULL;
    if (!mounts_at(m, c->storage.bind)) {
        strlist_addf(faults, "the bind is not mounted at '%s'", c->storage.bind);
        return NULL;
    }
    TRY(check_same(ctx, c->storage.volume.mount, faults));
    return ramdisk_is_mount(c) ? check_same(ctx, c->storage.ramdisk.mount, faults) : NULL;
}

static struct err *look_accounts(struct ctx *ctx, struct storage_now *s)
{
    const char *dir = ctx->cfg->validator.accounts;
    struct stat st;

    if (!*dir)
        return NULL;
    TRY(fsroot_is_folder(ctx->root, dir, &s->accounts_there));
    if (!s->accounts_there)
        return NULL;
    TRY(fsroot_stat(ctx->root, dir, &st));
    s->accounts_dev = st.st_dev;
    s->accounts_ino = st.st_ino;
    s->uid = st.st_uid;
    s->gid = st.st_gid;
    s->mode = st.st_mode & 07777;
    return NULL;
}

/* Without a device in the config the folder is used as it is: what it lies on is only told. */
static struct err *look_volume(struct ctx *ctx, const struct mounts *m, struct storage_now *s)
{
    const char *where = ctx->cfg->storage.volume.mount;
    const struct mount_info *on = mounts_over(m, where);
    struct place p = {"the volume", where, ctx->cfg->storage.volume.device, ""};

    if (*p.device)
        return check_place(ctx, m, &p, &s->volume, &s->faults);
    if (!on)
        return NULL;
    s->volume.major = on->major;
    s->volume.minor = on->minor;
    return device_size(ctx, on, &s->volume.size_b);
}

struct err *storage_now_look(struct ctx *ctx, const struct mounts *m, struct storage_now *ret)
{
    const struct config *c = ctx->cfg;
    AUTO(storage_now_clear) struct storage_now s = {0};

    if (*c->storage.volume.mount)
        TRY(look_volume(ctx, m, &s));
    if (ramdisk_is_mount(c)) {
        const struct place p = {"the RAM disk", c->storage.ramdisk.mount,
                                ramdisk_is_device(c) ? c->storage.ramdisk.device : "",
                                ramdisk_fstype(c)};

        TRY(check_place(ctx, m, &p, &s.ramdisk, &s.faults));
    }
    TRY(check_bind(ctx, m, &s.faults));
    TRY(look_accounts(ctx, &s));
    *ret = s;
    s = (struct storage_now){0};
    return NULL;
}
