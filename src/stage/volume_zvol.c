/* The zvol under the validator's volume. It is made with room kept for all of its size: a sparse
 * one ends in write errors under the ledger when the pool is full. Its pool and the datasets above
 * it are the operator's, and so is any zvol that is there already. */
#include "stage/volume_zvol.h"

#include <stdlib.h>

#include "base/str.h"
#include "config/config.h"
#include "host/block.h"
#include "host/block_id.h"
#include "host/zfs.h"
#include "io/clock.h"

#define ID      "volume.zvol"
#define ZVOL    "/dev/zvol/"
#define NODE_MS 60000 /* udev makes the link; a machine that imports a pool is slow */
#define POLL_MS 100

static const char *dataset(const struct ctx *ctx)
{
    const char *dev = ctx->cfg->storage.volume.device;

    return str_starts(dev, ZVOL) ? dev + strlen(ZVOL) : NULL;
}

static uint64_t size_b(const struct ctx *ctx)
{
    return ctx->cfg->storage.volume.size_gib << 30; /* the key's maximum leaves room for it */
}

static void blocked(struct disk *d, struct findings *ret, struct err *e)
{
    bool told = e->kind == ERR_ABSENT || e->kind == ERR_BADINPUT || e->kind == ERR_REFUSED;

    findings_add(ret, ID, 4, told ? SEV_FAIL : SEV_UNKNOWN, "%s%s",
                 told ? "" : "could not look: ", e->text);
    d->make_blocked = true;
    err_free(e);
}

/* There is a dataset of that name, but no device. */
static void check_there(const char *name, const struct zfs_dataset *z, struct disk *d,
                        struct findings *ret)
{
    d->make_blocked = true;
    if (z->type == ZFS_VOLUME)
        findings_add(ret, ID, 4, SEV_FAIL,
                     "zvol '%s' is there, and its device '%s' is not: see whether udev runs "
                     "(udevadm trigger), and zfs get volmode %s",
                     name, d->device, name);
    else
        findings_add(ret, ID, 4, SEV_FAIL,
                     "dataset '%s' is no volume, and io_uring on a file system of ZFS can hang the "
                     "machine: name another one in the config",
                     name);
}

static struct err *check_parent(struct ctx *ctx, const char *name, struct disk *d,
                                struct findings *ret)
{
    AUTO(freep) char *parent = zfs_parent(name);
    AUTO(zfs_dataset_clear) struct zfs_dataset z = {0};
    char want[32], room[32];
    struct err *e = parent ? zfs_get(ctx, parent, &z) : NULL;

    if (e && e->kind != ERR_NOTFOUND)
        return e;
    bool pool = !parent || !strchr(parent, '/'), none = !parent || e || z.type != ZFS_FILESYSTEM;
    err_free(e);
    d->make_blocked = none || z.available_b < size_b(ctx);
    fmt_size(size_b(ctx), want, sizeof(want));
    if (none)
        findings_add(ret, ID, 4, SEV_FAIL,
                     pool ? "pool '%s' is not there: import it (zpool import), or correct "
                            "storage.volume.device"
                          : "dataset '%s' is not there, and zvol '%s' would lie in it: make it "
                            "first, as you want it",
                     parent ? parent : name, name);
    else if (d->make_blocked)
        findings_add(ret, ID, 4, SEV_FAIL, "zvol '%s' of %s is not made: '%s' has room for %s",
                     name, want, parent, fmt_size(z.available_b, room, sizeof(room)));
    else
        findings_add(ret, ID, 4, SEV_FAIL, "zvol '%s' of %s does not exist", name, want)->repair =
            "volume";
    return NULL;
}

struct err *volume_zvol_check(struct ctx *ctx, struct disk *d, struct findings *ret,
                              char **ret_made_as)
{
    const char *name = dataset(ctx);
    AUTO(zfs_dataset_clear) struct zfs_dataset z = {0};
    uint32_t major, minor;
    struct err *e = name ? block_number(ctx, d->device, &major, &minor) : NULL;

    *ret_made_as = NULL;
    if (!name || !e || e->kind != ERR_NOTFOUND)
        return err_free(e); /* what else is wrong with it is said by disk_check */
    err_free(e);
    if (!size_b(ctx)) {
        findings_add(ret, ID, 4, SEV_FAIL,
                     "zvol '%s' has no device: import its pool, or set storage.volume.size_gib to "
                     "have it made",
                     name);
        return NULL;
    }
    *ret_made_as = block_id_zvol_text(name);
    e = zfs_get(ctx, name, &z);
    if (e && e->kind == ERR_NOTFOUND) {
        err_free(e);
        e = check_parent(ctx, name, d, ret);
    } else if (!e) {
        check_there(name, &z, d, ret);
    }
    if (e)
        blocked(d, ret, e);
    return NULL;
}

struct err *volume_zvol_check_size(struct ctx *ctx, struct findings *ret)
{
    AUTO(block_id_clear) struct block_id id = {0};
    const struct finding *content = findings_find(ret, "volume.fstype");
    const struct finding *device = findings_find(ret, "volume.device");
    char got[32], want[32];

    if (!dataset(ctx) || !size_b(ctx) || !device || device->sev != SEV_OK)
        return NULL;
    bool to_format = content && content->repair;
    TRY(block_id_read(ctx, ctx->cfg->storage.volume.device, &id));
    if (!id.size_b || id.size_b == size_b(ctx))
        return NULL;
    fmt_size(id.size_b, got, sizeof(got));
    fmt_size(size_b(ctx), want, sizeof(want));
    finding_compare(
        findings_add(ret, "volume.size", 4, to_format ? SEV_FAIL : SEV_WARN,
                     "zvol '%s' has %s (%llu bytes), and storage.volume.size_gib says %s: correct "
                     "the one that is wrong (zfs set volsize, then xfs_growfs)",
                     dataset(ctx), got, (unsigned long long)id.size_b, want),
        want, got, "/sys/dev/block");
    return NULL;
}

bool volume_zvol_plan(const struct ctx *ctx, const struct findings *f, struct plan *ret)
{
    const struct finding *zvol = findings_find(f, ID), *size = findings_find(f, "volume.size");
    char text[32];

    if (size && size->sev == SEV_FAIL)
        return false;
    if (!zvol || !zvol->repair)
        return true;
    AUTO(freep) char *object = block_id_zvol_text(dataset(ctx));
    AUTO(freep)
    char *after = xasprintf("%s in blocks of 16 KiB, room kept for all of it",
                            fmt_size(size_b(ctx), text, sizeof(text)));
    struct change *c =
        plan_undoable(plan_add(ret, CHANGE_CREATE, VOLUME_VERB_ZVOL, object, NULL, after), NULL);
    c->arg = xasprintf("%llu %s", (unsigned long long)size_b(ctx), dataset(ctx));
    return true;
}

/* "8796093022208 tank/solana" */
static struct err *arg_of(const struct change *c, uint64_t *ret_size_b, const char **ret_name)
{
    const char *blank = c->arg ? strchr(c->arg, ' ') : NULL;
    AUTO(freep) char *size = blank ? xstrndup(c->arg, (size_t)(blank - c->arg)) : NULL;

    if (!blank)
        return err_new(ERR_CORRUPT, "the change does not say which zvol is meant");
    TRY(parse_u64(size, 1, UINT64_MAX, ret_size_b));
    *ret_name = blank + 1;
    return NULL;
}

static struct err *node_is_there(struct ctx *ctx, void *arg, bool *ret_done)
{
    uint32_t major, minor;
    struct err *e = block_number(ctx, arg, &major, &minor);

    *ret_done = !e;
    return e && e->kind == ERR_NOTFOUND ? err_free(e) : e;
}

struct err *volume_zvol_apply(struct ctx *ctx, const struct disk *d, const struct change *c)
{
    const char *name = NULL;
    uint64_t want_b = 0;

    TRY(arg_of(c, &want_b, &name));
    AUTO(freep) char *device = xasprintf(ZVOL "%s", name);
    AUTO(freep) char *what = block_id_zvol_text(name);
    if (!str_eq(device, d->device))
        return err_new(ERR_REFUSED,
                       "this was decided for '%s', and the config names '%s' now: run the command "
                       "again",
                       device, d->device);
    TRY(zfs_create_volume(ctx, name, want_b));
    TRY(err_hint(wait_until(ctx, "the zvol's device", NODE_MS, POLL_MS, node_is_there, device),
                 "zvol '%s' was made and udev did not name it: see whether udev runs", name));
    return block_id_expect(ctx, device, what);
}

struct err *volume_zvol_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
{
    const char *name = NULL;
    uint64_t want_b = 0;
    bool gone = false;

    TRY(arg_of(c, &want_b, &name));
    struct err *e = zfs_is_gone(ctx, name, &gone);
    *ret = gone ? (struct undo_look){.verdict = UNDO_GONE}
                : (struct undo_look){
                      .verdict = UNDO_KEEP,
                      .what = xasprintf("zvol '%s' stays with what is on it%s%s; 'zfs destroy %s' "
                                        "removes it",
                                        name, e ? ": " : "", e ? e->text : "", name)};
    return err_free(e);
}
