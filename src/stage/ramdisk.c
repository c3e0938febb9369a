/* Layer 4: the accounts lie in memory, on a device with an XFS or on a tmpfs, or on the volume as
 * everything else. What is in memory is lost at every reboot, so that a blank RAM disk is the
 * normal case and not an accident. This file joins the parts; what each kind needs is in
 * ramdisk_*.c. */
#include "stage/ramdisk.h"

#include <string.h>

#include "base/str.h"
#include "host/brd.h"
#include "stage/bank_state.h"
#include "stage/ramdisk_parts.h"
#include "stage/table.h"

enum ramdisk_kind ramdisk_kind(const struct config *cfg)
{
    static const char *const names[] = {
        [RAMDISK_DEVICE] = "device", [RAMDISK_BRD] = "brd",   [RAMDISK_ZRAM] = "zram",
        [RAMDISK_TMPFS] = "tmpfs",   [RAMDISK_NONE] = "none",
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(cfg->storage.ramdisk.kind, names[i]))
            return (enum ramdisk_kind)i;
    return RAMDISK_DEVICE;
}

bool ramdisk_is_device(const struct config *cfg)
{
    enum ramdisk_kind k = ramdisk_kind(cfg);

    return *cfg->storage.ramdisk.mount && *cfg->storage.ramdisk.device && k != RAMDISK_TMPFS &&
           k != RAMDISK_NONE;
}

bool ramdisk_is_mount(const struct config *cfg)
{
    return ramdisk_is_device(cfg) ||
           (*cfg->storage.ramdisk.mount && ramdisk_kind(cfg) == RAMDISK_TMPFS);
}

const char *ramdisk_fstype(const struct config *cfg)
{
    return ramdisk_kind(cfg) == RAMDISK_TMPFS ? "tmpfs" : "xfs";
}

const char *ramdisk_source(const struct config *cfg)
{
    return ramdisk_kind(cfg) == RAMDISK_TMPFS ? "tmpfs" : cfg->storage.ramdisk.device;
}

const char *ramdisk_module(const struct config *cfg)
{
    enum ramdisk_kind k = ramdisk_kind(cfg);

    return k == RAMDISK_BRD ? "brd" : k == RAMDISK_ZRAM ? "zram" : NULL;
}

uint64_t ramdisk_size_b(const struct config *cfg)
{
    return cfg->storage.ramdisk.size_gib << 30; /* the key's maximum leaves room for it */
}

struct disk ramdisk_disk(const struct config *cfg)
{
    return (struct disk){
        .stage = "ramdisk",
        .device = cfg->storage.ramdisk.device,
        .mount = cfg->storage.ramdisk.mount,
        .label = RAMDISK_LABEL,
        .in_memory = true,
        .id_device = "ramdisk.device",
        .id_content = "ramdisk.fstype",
        .id_mount = "ramdisk.mount",
        .id_users = "ramdisk.users",
        .id_hidden = "ramdisk.hidden",
        .id_folder = "ramdisk.folder",
        .id_memory = "ramdisk.memory",
    };
}

static bool ramdisk_enabled(const struct ctx *ctx)
{
    return ctx->cfg && *ctx->cfg->storage.ramdisk.mount;
}

static bool is_made(const struct config *cfg)
{
    return ramdisk_module(cfg) != NULL;
}

static struct err *check_disk(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    struct disk d = ramdisk_disk(ctx->cfg);
    AUTO(freep) char *text = NULL;

    if (is_made(ctx->cfg))
        TRY(ramdisk_check_device(ctx, scene, &d, &text, ret));
    if (ramdisk_kind(ctx->cfg) == RAMDISK_BRD && ctx->cfg->host.persist)
        TRY(ramdisk_check_conf(ctx, ret));
    return disk_check(ctx, scene, &d, ret);
}

static struct err *ramdisk_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    struct disk d = ramdisk_disk(ctx->cfg);
    enum ramdisk_kind kind = ramdisk_kind(ctx->cfg);

    if (kind == RAMDISK_TMPFS)
        TRY(ramdisk_check_tmpfs(ctx, scene, &d, ret));
    else if (kind != RAMDISK_NONE)
        TRY(check_disk(ctx, scene, ret));
    TRY(ramdisk_check_kind(ctx, scene, ret));
    return ramdisk_check_odirect(ctx, ret);
}

static struct err *ramdisk_plan(const struct ctx *ctx, const struct findings *f, struct plan *ret)
{
    struct disk d = ramdisk_disk(ctx->cfg);
    enum ramdisk_kind kind = ramdisk_kind(ctx->cfg);
    const struct finding *mount = findings_find(f, d.id_mount);

    if (kind == RAMDISK_NONE)
        return NULL;
    if (kind == RAMDISK_TMPFS) {
        if (!mount || !mount->repair)
            return NULL;
        AUTO(freep) char *after = xasprintf("tmpfs: %s", mount->want);
        struct change *c = plan_add(ret, CHANGE_CREATE, RAMDISK_VERB_TMPFS, d.mount, NULL, after);
        plan_undoable(c, mount->old)->arg = xstrdup(mount->want);
        return NULL;
    }
    ramdisk_plan_conf(ctx->cfg, f, ret);
    if (is_made(ctx->cfg))
        ramdisk_plan_device(ctx->cfg, f, ret, &d.remake);
    TRY(disk_plan(&d, f, ret));
    for (size_t i = 0; i < ret->n; i++) /* the file system goes with the device that we make */
        if (is_made(ctx->cfg) && disk_is_format(&ret->items[i]))
            ret->items[i].undoable = false;
    return NULL;
}

static bool below(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

struct err *ramdisk_forget_bank_state(struct ctx *ctx, const char *reason)
{
    const struct config *c = ctx->cfg;
    AUTO(freep) char *text = NULL;

    if (!c || !below(c->validator.accounts, c->storage.ramdisk.mount))
        return NULL;
    return bank_state_disable(ctx, c->validator.snapshots, reason, &text);
}

/* Does it make a RAM disk without accounts? */
static bool is_new(const struct change *c)
{
    return disk_is_format(c) || c->verb == RAMDISK_VERB_TMPFS || c->verb == RAMDISK_VERB_RELOAD;
}

static struct err *ramdisk_apply(struct ctx *ctx, const struct change *c)
{
    struct disk d = ramdisk_disk(ctx->cfg);

    if (is_new(c)) /* before: a crash in between costs a start from an archive, and no more */
        TRY(ramdisk_forget_bank_state(ctx, "the RAM disk was formatted"));
    if (c->verb == RAMDISK_VERB_TMPFS)
        return ramdisk_mount_tmpfs(ctx, c);
    if (c->verb >= DISK_VERB_END)
        return ramdisk_apply_device(ctx, c);
    return disk_apply(ctx, &d, c);
}

/* brd was unloaded and not loaded again: with it all that it held is gone. */
static struct err *ramdisk_cut_off(struct ctx *ctx, const struct change *c, bool *ret)
{
    enum kmodule_state state = KMODULE_MISSING;

    if (c->verb != RAMDISK_VERB_RELOAD || ramdisk_kind(ctx->cfg) != RAMDISK_BRD)
        return NULL;
    TRY(kmodule_look(ctx, BRD_MODULE, &state));
    *ret = state == KMODULE_LOADABLE;
    return NULL;
}

static const char *const ramdisk_after[] = {"volume", NULL};

const struct stage stage_ramdisk = {
    .name = "ramdisk",
    .summary = "the RAM disk for the accounts: made, formatted, at its place; or none",
    .layer = 4,
    .gate = true,
    .after = ramdisk_after,
    .order_reason = "its place is mostly a folder of the volume, which the volume would hide",
    .enabled = ramdisk_enabled,
    .readonly = "ramdisk.readonly",
    .check = ramdisk_check,
    .plan = ramdisk_plan,
    .apply = ramdisk_apply,
    .cut_off = ramdisk_cut_off,
    .undo_look = ramdisk_undo_look,
    .undo = ramdisk_undo,
};
