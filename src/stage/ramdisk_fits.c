/* Does a RAM disk of the configured size fit into this machine? Asked before one is made: its
 * pages are taken when they are written, so that one that is too large fails in mid-flight, by the
 * kernel killing the validator. */
#include "base/str.h"
#include "config/config.h"
#include "stage/memory.h"
#include "stage/ramdisk.h"
#include "stage/ramdisk_parts.h"

#define ID "ramdisk.fits"

/* zram keeps less than it is given, but how much less only its content decides. */
static void add_tight(bool zram, uint64_t size_b, const struct memory_need *need,
                      struct findings *ret)
{
    char want[32], total[32], limit[32];
    bool alone = size_b >= need->total_b || !need->limit_b.known;
    AUTO(freep)
    char *beside = alone ? xstrdup("")
                         : xasprintf(" beside the %s that the validator may take",
                                     fmt_size(need->limit_b.v, limit, sizeof(limit)));

    finding_compare(findings_add(ret, ID, RAMDISK_LAYER, zram ? SEV_WARN : SEV_FAIL,
                                 "a RAM disk of %s does not fit into %s of memory%s: %s",
                                 fmt_size(size_b, want, sizeof(want)),
                                 fmt_size(need->total_b, total, sizeof(total)), beside,
                                 zram ? "it holds as much only when that compresses well"
                                      : "set a smaller storage.ramdisk.size_gib, or kind none"),
                    "size and limit below the memory", want, "/proc/meminfo");
}

struct err *ramdisk_check_fits(struct ctx *ctx, struct scene *scene, struct findings *ret,
                               bool *ret_fits)
{
    uint64_t size_b = ramdisk_size_b(ctx->cfg), sum_b = 0;
    enum ramdisk_kind kind = ramdisk_kind(ctx->cfg);
    struct memory_need need = {0};
    struct err *e = memory_need(ctx, scene, &need);

    *ret_fits = false;
    if (e) {
        findings_add(ret, ID, RAMDISK_LAYER, SEV_UNKNOWN,
                     "whether a RAM disk fits into the memory could not be seen: %s", e->text);
        err_free(e);
        return NULL;
    }
    /* What a tmpfs holds counts against the validator's own limit: it is not needed twice. */
    uint64_t limit_b = need.limit_b.known && kind != RAMDISK_TMPFS ? need.limit_b.v : 0;
    bool over = __builtin_add_overflow(size_b, limit_b, &sum_b) || sum_b >= need.total_b;
    *ret_fits = !over || kind == RAMDISK_ZRAM;
    if (over)
        add_tight(kind == RAMDISK_ZRAM, size_b, &need, ret);
    return NULL;
}
