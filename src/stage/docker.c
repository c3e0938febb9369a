/* Layer 1: Docker, which holds the kind node. Looked at only where the config names a kind node.
 * Nothing here is changed: how its daemon is set up is the operator's. */
#include "base/str.h"
#include "config/config.h"
#include "host/mounts.h"
#include "io/fsroot.h"
#include "look/scene_cluster.h"
#include "stage/table.h"

#define LAYER 1

static bool docker_enabled(const struct ctx *ctx)
{
    return ctx->cfg && (*ctx->cfg->kind.node || *ctx->cfg->kind.cluster);
}

/* A daemon that is not there is a fault of the host; one that may not be asked is none that is
 * known. */
static void unreachable(const struct ctx *ctx, const struct err *e, struct findings *ret)
{
    const char *socket = ctx->cfg->docker.socket;

    if (e->kind == ERR_ABSENT)
        findings_add(ret, "docker.reach", LAYER, SEV_FAIL,
                     "Docker cannot be reached: %s; but not before 'agavectl check volume ramdisk "
                     "bind' holds, since the node and the validator in it may come up with it; or "
                     "name its socket in docker.socket",
                     e->text);
    else
        findings_add(ret, "docker.reach", LAYER, SEV_UNKNOWN, "could not look: %s", e->text);
    finding_compare(&ret->items[ret->n - 1], "an answer", NULL, socket)->blinds = true;
}

/* With live-restore the containers outlive a restart of the daemon (an upgrade of its package is
 * one); without it the node is stopped, and after 10 s killed, with the validator in it. */
static void check_live_restore(const struct docker_info *info, struct findings *ret)
{
    struct finding *f = findings_add(
        ret, "docker.liverestore", LAYER, info->live_restore ? SEV_OK : SEV_WARN,
        info->live_restore
            ? "containers go on when Docker's daemon restarts"
            : "a restart or upgrade of Docker's daemon kills the kind node and the validator in "
              "it: set \"live-restore\": true in /etc/docker/daemon.json and reload Docker");

    finding_compare(f, "live-restore on", info->live_restore ? "on" : "off", "Docker's /info");
}

static struct err *check_root(struct ctx *ctx, struct scene *scene, const struct docker_info *info,
                              struct findings *ret)
{
    const struct mounts *m;
    AUTO(freep) char *real = NULL;

    if (!info->root_dir || *info->root_dir != '/')
        return err_new(ERR_REMOTE, "Docker does not say where its root is");
    TRY(scene_mounts(ctx, scene, &m));
    TRY(fsroot_real(ctx->root, info->root_dir, &real));
    const struct mount_info *on = mounts_over(m, real);
    if (!on)
        return err_new(ERR_CORRUPT, "the table of mounts has no root");
    bool zfs = str_eq(on->fstype, "zfs") || str_starts(on->fstype, "fuse.zfs") ||
               str_eq(info->driver, "zfs");
    struct finding *f = findings_add(
        ret, "docker.root", LAYER, zfs ? SEV_FAIL : SEV_OK, "Docker's root '%s' is on %s%s", real,
        str_eq(info->driver, "zfs") ? "ZFS (storage driver zfs)" : on->fstype,
        zfs ? ": what a pod writes beside its volumes (emptyDir, logs) goes to ZFS, on which "
              "io_uring can hang the machine; move it to another file system"
            : "");
    finding_compare(f, "any but zfs", str_eq(info->driver, "zfs") ? "zfs" : on->fstype,
                    "Docker's /info, /proc/self/mountinfo");
    return NULL;
}

static struct err *docker_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    const struct docker_info *info;
    const char *version;
    struct err *e = scene_docker(ctx, scene, &info, &version);

    if (e) {
        unreachable(ctx, e, ret);
        err_free(e);
        return NULL;
    }
    finding_compare(findings_add(ret, "docker.reach", LAYER, SEV_OK, "Docker %s answers", version),
                    "an answer", version, ctx->cfg->docker.socket);
    check_live_restore(info, ret);
    return check_root(ctx, scene, info, ret);
}

const struct stage stage_docker = {
    .name = "docker",
    .summary = "Docker answers and does not endanger the kind node",
    .layer = 1,
    .order_reason = "the kind node is one of its containers",
    .enabled = docker_enabled,
    .asks = PARTY_DOCKER,
    .check = docker_check,
};
