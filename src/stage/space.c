/* Layer 4: room. Free space of every file system that the validator writes on, and whether the RAM
 * disk and the validator's memory limit fit into the machine's memory together: pages of a RAM disk
 * cannot be dropped, so that too much of both ends in a kill. */
#include <inttypes.h>

#include "base/str.h"
#include "config/config.h"
#include "io/fsroot.h"
#include "stage/memory.h"
#include "stage/table.h"

#define GIB          (1ULL << 30)
#define SHARE        10  /* of a small file system, this part must be free */
#define FAIL_SHARE   10  /* below this part of what must be free it is a failure */
#define INODES_SHARE 100 /* this part of the inodes must be free */

/* A file system and the folders of the validator that lie on it. */
struct room {
    const char *id, *id_inodes; /* of the first folder */
    const char *at;             /* mount point */
    struct strbuf used_for;
};
#define ROOMS_N 4
struct rooms {
    struct room items[ROOMS_N];
    size_t n;
};
static void rooms_clear(struct rooms *r)
{
    for (size_t i = 0; i < r->n; i++)
        strbuf_clear(&r->items[i].used_for);
}

static bool space_enabled(const struct ctx *ctx)
{
    return ctx->cfg && *ctx->cfg->validator.ledger;
}

static struct err *add_room(struct ctx *ctx, const struct mounts *m, const char *path,
                            const struct room *ids, const char *name, struct rooms *ret)
{
    AUTO(freep) char *real = NULL;

    TRY(fsroot_real(ctx->root, path, &real));
    const struct mount_info *on = mounts_over(m, real);
    if (!on)
        return err_new(ERR_CORRUPT, "the table of mounts has no root");
    for (size_t i = 0; i < ret->n; i++) {
        if (!str_eq(ret->items[i].at, on->target))
            continue;
        strbuf_printf(&ret->items[i].used_for, ", %s", name);
        return NULL;
    }
    struct room *r = &ret->items[ret->n++];
    *r = *ids;
    r->at = on->target;
    strbuf_puts(&r->used_for, name);
    return NULL;
}

static struct err *find_rooms(struct ctx *ctx, const struct mounts *m, struct rooms *ret)
{
    const struct config *c = ctx->cfg;
    const struct {
        const char *path, *name;
        struct room ids;
    } all[ROOMS_N] = {
        {c->validator.ledger, "ledger", {.id = "space.ledger", .id_inodes = "space.ledger.inodes"}},
        {c->validator.snapshots,
         "snapshots",
         {.id = "space.snapshots", .id_inodes = "space.snapshots.inodes"}},
        {c->validator.accounts,
         "accounts",
         {.id = "space.accounts", .id_inodes = "space.accounts.inodes"}},
        {c->validator.log, "log", {.id = "space.log", .id_inodes = "space.log.inodes"}},
    };

    for (size_t i = 0; i < ROOMS_N; i++)
        TRY(add_room(ctx, m, all[i].path, &all[i].ids, all[i].name, ret));
    return NULL;
}

/* check.min_free_gib is meant for a volume of terabytes: of a small one a tenth. */
static uint64_t least_free(const struct ctx *ctx, uint64_t size_b)
{
    uint64_t want = ctx->cfg->check.min_free_gib * GIB;

    return want < size_b / SHARE ? want : size_b / SHARE;
}

static void judge_room(const struct ctx *ctx, const struct room *r, const struct statvfs *v,
                       struct findings *ret)
{
    uint64_t size = (uint64_t)v->f_blocks * v->f_frsize, left = (uint64_t)v->f_bavail * v->f_frsize;
    uint64_t least = least_free(ctx, size);
    enum severity sev = left >= least ? SEV_OK : left >= least / FAIL_SHARE ? SEV_WARN : SEV_FAIL;
    char a[32], b[32], c[32];
    AUTO(freep) char *want = xasprintf("at least %s", fmt_size(least, c, sizeof(c)));

    finding_compare(findings_add(ret, r->id, 4, sev, "'%s' (%s) has %s of %s free%s", r->at,
                                 strbuf_text(&r->used_for), fmt_size(left, a, sizeof(a)),
                                 fmt_size(size, b, sizeof(b)),
                                 sev == SEV_OK ? "" : ": make room, or a full disk will stop it"),
                    want, a, r->at);
    if (v->f_files && v->f_favail < v->f_files / INODES_SHARE)
        findings_add(ret, r->id_inodes, 4, SEV_WARN,
                     "'%s' (%s) has %" PRIu64 " of %" PRIu64 " inodes free: remove small files",
                     r->at, strbuf_text(&r->used_for), (uint64_t)v->f_favail, (uint64_t)v->f_files);
}

static void check_room(struct ctx *ctx, const struct room *r, struct findings *ret)
{
    struct statvfs v;
    AUTO(err_freep) struct err *e = fsroot_statvfs(ctx->root, r->at, &v);

    if (e)
        findings_add(ret, r->id, 4, SEV_UNKNOWN, "%s", e->text);
    else
        judge_room(ctx, r, &v, ret);
}

static void judge_memory(uint64_t ram_b, const struct known_u64 *limit, uint64_t total_b,
                         struct findings *ret)
{
    uint64_t sum = ram_b + (limit->known ? limit->v : 0);
    bool over = sum < ram_b || sum >= total_b;
    enum severity sev = over ? SEV_FAIL : limit->known ? SEV_OK : SEV_NOTE;
    char a[32], b[32], c[32], d[32];
    AUTO(freep)
    char *limited = limit->known ? xasprintf("the validator's memory limit is %s",
                                             fmt_size(limit->v, b, sizeof(b)))
                                 : xstrdup("nothing limits the validator's memory");
    AUTO(freep) char *want = xasprintf("less than %s", fmt_size(total_b, c, sizeof(c)));

    finding_compare(findings_add(ret, "space.memory", 4, sev,
                                 "the RAM disk has %s, %s, and the machine has %s of memory%s",
                                 fmt_size(ram_b, a, sizeof(a)), limited, c,
                                 over ? ": when both are full the kernel kills; make one smaller "
                                        "while the validator is stopped"
                                      : ""),
                    want, fmt_size(sum, d, sizeof(d)), "/proc/meminfo");
}

static struct err *check_memory(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    struct memory_need need = {0};

    TRY(memory_need(ctx, scene, &need));
    if (need.ramdisk_b)
        judge_memory(need.ramdisk_b, &need.limit_b, need.total_b, ret);
    return NULL;
}

static struct err *space_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    AUTO(rooms_clear) struct rooms rooms = {0};
    const struct mounts *m = NULL;

    TRY(scene_mounts(ctx, scene, &m));
    TRY(find_rooms(ctx, m, &rooms));
    for (size_t i = 0; i < rooms.n; i++)
        check_room(ctx, &rooms.items[i], ret);
    struct err *e = check_memory(ctx, scene, ret);
    if (e)
        findings_add(ret, "space.memory", 4, SEV_UNKNOWN, "could not look: %s", e->text);
    err_free(e);
    return NULL;
}

static const char *const space_after[] = {"volume", "ramdisk", NULL};

const struct stage stage_space = {
    .name = "space",
    .summary = "free space, and the RAM disk against the machine's memory",
    .layer = 4,
    .after = space_after,
    .order_reason = "without the mounts it would be another disk's space",
    .enabled = space_enabled,
    .check = space_check,
};
