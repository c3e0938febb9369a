/* The parts of the machine's memory that are promised away. */
#include "stage/memory.h"

#include "base/str.h"
#include "config/config.h"
#include "host/cgroup.h"
#include "host/memory.h"
#include "io/fsroot.h"
#include "stage/disk.h"
#include "stage/service.h"

/* Size of the RAM disk as it is mounted, 0: no RAM disk there. */
static struct err *ramdisk_size(struct ctx *ctx, const struct mounts *m, uint64_t *ret_b)
{
    const struct mount_info *on = mounts_at(m, ctx->cfg->storage.ramdisk.mount);
    bool memory = false;
    struct statvfs v;

    *ret_b = 0;
    if (!on)
        return NULL;
    TRY(disk_in_memory(ctx, on, &memory));
    if (!memory)
        return NULL;
    TRY(fsroot_statvfs(ctx->root, on->target, &v));
    *ret_b = (uint64_t)v.f_blocks * v.f_frsize;
    return NULL;
}

/* Of the running validator's control groups, else of the service that would start it; not known:
 * nothing limits it. */
static struct err *memory_limit(struct ctx *ctx, struct scene *scene, struct known_u64 *ret)
{
    AUTO(cgroup_memory_clear) struct cgroup_memory m = {0};
    AUTO(unit_file_clear) struct unit_file u = {0};
    const struct pids *pids = NULL;
    const char *v;

    *ret = (struct known_u64){0};
    TRY(scene_validator(ctx, scene, &pids));
    if (pids->n) {
        TRY(cgroup_memory(ctx, pids->items[0].id.pid, &m));
        *ret = m.limit_b;
        return NULL;
    }
    struct err *e = service_find(ctx, scene, &u);
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    v = unit_file_get(&u, "Service", "MemoryMax");
    if (!v || !*v || str_eq(v, "infinity") || str_ends(v, "%"))
        return NULL;
    TRY_CTX(parse_size(v, &ret->v), "MemoryMax of '%s'", u.name);
    ret->known = true;
    return NULL;
}

struct err *memory_need(struct ctx *ctx, struct scene *scene, struct memory_need *ret)
{
    const struct mounts *m = NULL;
    struct host_memory mem = {0};
    struct memory_need need = {0};

    TRY(scene_mounts(ctx, scene, &m));
    TRY(ramdisk_size(ctx, m, &need.ramdisk_b));
    TRY(host_memory(ctx, &mem));
    if (!mem.total_b.known)
        return err_new(ERR_CORRUPT, "/proc/meminfo has no MemTotal");
    need.total_b = mem.total_b.v;
    struct err *e = memory_limit(ctx, scene, &need.limit_b);
    if (e && e->kind == ERR_ABSENT) /* no cgroup counts it, so none limits it */
        e = err_free(e);
    TRY(e);
    *ret = need;
    return NULL;
}
