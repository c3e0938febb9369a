/* Layer 1: ZFS, where the host has it: the health of its pools, the volume's zvol, and how much
 * memory its cache may take beside the RAM disk and the validator. From /proc/spl and /sys alone:
 * zpool and zfs wait for a pool that hangs. Names are those of OpenZFS 2.1. */
#include <inttypes.h>

#include "base/str.h"
#include "config/config.h"
#include "host/block.h"
#include "io/fsroot.h"
#include "stage/memory.h"
#include "stage/table.h"

#define KSTAT      "/proc/spl/kstat/zfs"
#define ZVOL       "/dev/zvol/"
#define FILE_MAX_B (1U << 20)

static bool has_zvol(const struct ctx *ctx)
{
    return str_starts(ctx->cfg->storage.volume.device, ZVOL);
}

static bool module_there(struct ctx *ctx)
{
    struct stat st;
    struct err *e = fsroot_stat(ctx->root, "/sys/module/zfs", &st);

    err_free(e); /* only the question of "there or not" */
    return !e;
}

static bool zfs_enabled(const struct ctx *ctx)
{
    struct ctx c = *ctx;

    return ctx->cfg && (has_zvol(ctx) || module_there(&c));
}

/* zpool_state_t of OpenZFS as kstat names it. */
static enum severity severity_of_pool(const char *state)
{
    if (str_eq(state, "ONLINE"))
        return SEV_OK;
    return str_eq(state, "DEGRADED") ? SEV_WARN : SEV_FAIL;
}

static struct err *check_pools(struct ctx *ctx, struct findings *ret)
{
    AUTO(strlist_clear) struct strlist names = {0};

    TRY(fsroot_list(ctx->root, KSTAT, &names));
    for (size_t i = 0; i < names.n; i++) {
        AUTO(freep) char *path = xasprintf(KSTAT "/%s/state", names.items[i]);
        AUTO(freep) char *state = NULL;
        struct err *e = fsroot_read_line(ctx->root, path, &state);

        if (e && e->kind == ERR_NOTFOUND) { /* a file, or a folder of other counters */
            err_free(e);
            continue;
        }
        TRY(e);
        enum severity sev = severity_of_pool(state);
        finding_compare(findings_add(ret, "zfs.pool", 1, sev, "pool '%s' is %s%s%s", names.items[i],
                                     state, sev == SEV_OK ? "" : ": zpool status ",
                                     sev == SEV_OK ? "" : names.items[i]),
                        "ONLINE", state, path);
    }
    return NULL;
}

static void check_module(struct ctx *ctx, struct findings *ret)
{
    AUTO(freep) char *version = NULL;
    struct err *e = fsroot_read_line(ctx->root, "/sys/module/zfs/version", &version);

    if (!e)
        findings_add(ret, "zfs.module", 1, SEV_OK, "the ZFS module is loaded, version %s", version);
    else if (e->kind == ERR_NOTFOUND && !module_there(ctx))
        findings_add(ret, "zfs.module", 1, SEV_FAIL,
                     "the ZFS module is not loaded, and the volume is a zvol: modprobe zfs, and "
                     "import the pool");
    else
        findings_add(ret, "zfs.module", 1, SEV_UNKNOWN, "could not look: %s", e->text);
    err_free(e);
}

static struct err *check_zvol(struct ctx *ctx, struct findings *ret)
{
    const char *dev = ctx->cfg->storage.volume.device;
    AUTO(freep) char *real = NULL;
    uint32_t major = 0, minor = 0;
    struct err *e = NULL;

    if (!has_zvol(ctx))
        return NULL;
    e = block_number(ctx, dev, &major, &minor);
    if (e && e->kind == ERR_NOTFOUND && ctx->cfg->storage.volume.size_gib)
        return err_free(e); /* the stage volume makes it, or says why not */
    if (e && e->kind == ERR_NOTFOUND) {
        findings_add(ret, "zfs.zvol", 1, SEV_FAIL,
                     "zvol '%s' has no device: import its pool, or see whether its name is right "
                     "(zfs list -t volume)",
                     dev + strlen(ZVOL));
        return err_free(e);
    }
    TRY(e);
    TRY(fsroot_real(ctx->root, dev, &real));
    findings_add(ret, "zfs.zvol", 1, SEV_OK, "zvol '%s' is '%s'", dev + strlen(ZVOL), real);
    return NULL;
}

/* A folder inside a larger dataset shares its snapshots, quota and mount. */
static struct err *check_kind_root(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    const char *root = ctx->cfg->storage.kind_root;
    const struct mounts *m = NULL;

    if (!*root)
        return NULL;
    TRY(scene_mounts(ctx, scene, &m));
    const struct mount_info *on = mounts_over(m, root);
    if (!on || !str_eq(on->fstype, "zfs"))
        return NULL;
    bool own = str_eq(on->target, root);
    finding_compare(findings_add(ret, "zfs.kindroot", 2, own ? SEV_OK : SEV_WARN,
                                 own ? "'%s' is a dataset of its own ('%s')"
                                     : "'%s' is a folder in dataset '%s': a rollback or a full "
                                       "quota of that one takes the cluster with it; make it a "
                                       "dataset",
                                 root, on->source),
                    root, on->target, "/proc/self/mountinfo");
    return NULL;
}

/* "c_max                           4    805306368" */
static struct err *arc_max(struct ctx *ctx, uint64_t *ret_b)
{
    AUTO(freep) char *text = NULL;
    unsigned long long v = 0;

    TRY(fsroot_read(ctx->root, KSTAT "/arcstats", FILE_MAX_B, &text, NULL));
    const char *line = strstr(text, "\nc_max ");
    if (!line || sscanf(line, "\nc_max %*u %llu", &v) != 1)
        return err_new(ERR_CORRUPT, KSTAT "/arcstats has no c_max");
    *ret_b = v;
    return NULL;
}

static struct err *check_arc(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    struct memory_need need = {0};
    uint64_t arc = 0, sum = 0;
    char a[32], b[32], c[32], d[32];

    TRY(arc_max(ctx, &arc));
    TRY(memory_need(ctx, scene, &need));
    uint64_t limit = need.limit_b.known ? need.limit_b.v : 0;
    bool over = __builtin_add_overflow(arc, need.ramdisk_b, &sum) ||
                __builtin_add_overflow(sum, limit, &sum) || sum > need.total_b;
    findings_add(ret, "zfs.arc", 1, over ? SEV_WARN : SEV_OK,
                 "the cache of ZFS may take %s, the RAM disk has %s, the validator's limit is %s, "
                 "the machine has %s%s",
                 fmt_size(arc, a, sizeof(a)), fmt_size(need.ramdisk_b, b, sizeof(b)),
                 need.limit_b.known ? fmt_size(limit, c, sizeof(c)) : "none",
                 fmt_size(need.total_b, d, sizeof(d)),
                 over ? ": set zfs_arc_max in /etc/modprobe.d/zfs.conf" : "");
    return NULL;
}

static void part(struct err *e, const char *id, struct findings *ret)
{
    if (e)
        findings_add(ret, id, 1, SEV_UNKNOWN, "could not look: %s", e->text);
    err_free(e);
}

static struct err *zfs_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    check_module(ctx, ret);
    if (!module_there(ctx))
        return NULL;
    part(check_pools(ctx, ret), "zfs.pool", ret);
    part(check_zvol(ctx, ret), "zfs.zvol", ret);
    part(check_kind_root(ctx, scene, ret), "zfs.kindroot", ret);
    part(check_arc(ctx, scene, ret), "zfs.arc", ret);
    return NULL;
}

const struct stage stage_zfs = {
    .name = "zfs",
    .summary = "ZFS where the host has it: pools, the volume's zvol, the cache's memory",
    .layer = 1,
    .order_reason = "needs nothing of the others",
    .enabled = zfs_enabled,
    .check = zfs_check,
};
