/* Layer 1: the kernel and the processor. What agavectl needs of them (mount_setattr, xfs, a RAM
 * disk), what Agave needs (io_uring, AVX2 for the official programs), and settings that would end a
 * machine that only waits. */
#include <inttypes.h>

#include "base/str.h"
#include "config/config.h"
#include "io/fsroot.h"
#include "stage/table.h"

#define FILE_MAX_B    (16U << 20)
#define CPUINFO_MAX_B (64U << 20)

static bool kernel_enabled(const struct ctx *ctx)
{
    return ctx->cfg != NULL;
}

static struct err *read_release(struct ctx *ctx, char **ret, unsigned *ret_major,
                                unsigned *ret_minor)
{
    AUTO(freep) char *release = NULL;

    TRY(fsroot_read_line(ctx->root, "/proc/sys/kernel/osrelease", &release));
    if (sscanf(release, "%u.%u", ret_major, ret_minor) != 2)
        return err_new(ERR_CORRUPT, "the kernel's release '%s' is no version", release);
    *ret = TAKE(release);
    return NULL;
}

/* anza-xyz/agave: 3.0.0 could not unpack on 5.15 (#8036); 3.1 aims at 5.15 and newer and ends where
 * io_uring lacks what it wants (#10481, seen on 5.4). */
static void check_release(const char *release, unsigned major, unsigned minor, struct findings *ret)
{
    unsigned v = major * 1000 + minor;
    enum severity sev = v < 5012 ? SEV_FAIL : v < 5016 ? SEV_WARN : SEV_OK;
    const char *why = v < 5012   ? ": older than 5.12, which has no mount_setattr: the bind cannot "
                                   "be given its propagation"
                      : v < 5015 ? ": older than 5.15, at which Agave aims"
                      : v < 5016 ? ": Agave 3.0.0 could not unpack snapshots on some 5.15 kernels; "
                                   "6.x works"
                                 : "";

    finding_compare(findings_add(ret, "kernel.release", 1, sev, "Linux %s%s", release, why),
                    "5.16 or newer", release, "/proc/sys/kernel/osrelease");
}

/* Is a line of the text the word, or does it end in it after a blank? "nodev\txfs", "\txfs" */
static bool has_line(const char *text, const char *word)
{
    size_t n = strlen(word);

    for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
        if ((at == text || strchr("\n\t ", at[-1])) && (at[n] == '\n' || at[n] == '\0'))
            return true;
    return false;
}

/* Is there a module file of this name? depmod(8) lists them as "kernel/fs/xfs/xfs.ko.xz: …". */
static bool lists_module(const char *text, const char *module)
{
    AUTO(freep) char *file = xasprintf("/%s.ko", module);

    return strstr(text, file) != NULL;
}

/* *ret_known false: neither of the two lists can be read. */
static struct err *in_module_lists(struct ctx *ctx, const char *release, const char *module,
                                   bool *ret, bool *ret_known)
{
    static const char *const names[] = {"modules.builtin", "modules.dep"};

    for (size_t i = 0; i < ARRAY_LEN(names) && !*ret; i++) {
        AUTO(freep) char *path = xasprintf("/lib/modules/%s/%s", release, names[i]);
        AUTO(freep) char *text = NULL;
        struct err *e = fsroot_read(ctx->root, path, FILE_MAX_B, &text, NULL);

        if (e && e->kind == ERR_NOTFOUND) {
            err_free(e);
            continue;
        }
        TRY(e);
        *ret_known = true;
        *ret = lists_module(text, module);
    }
    return NULL;
}

static void add_feature(const char *id, const char *name, bool there, bool known,
                        struct findings *ret)
{
    if (there)
        findings_add(ret, id, 1, SEV_OK, "this kernel has %s", name);
    else if (known)
        findings_add(ret, id, 1, SEV_FAIL,
                     "this kernel has no %s: install the package with the other modules of this "
                     "kernel, or another kernel",
                     name);
    else
        findings_add(ret, id, 1, SEV_UNKNOWN,
                     "%s is not loaded, and which modules this kernel has could not be seen", name);
}

static struct err *check_xfs(struct ctx *ctx, const char *release, struct findings *ret)
{
    AUTO(freep) char *text = NULL;
    bool there = false, known = false;

    TRY(fsroot_read(ctx->root, "/proc/filesystems", FILE_MAX_B, &text, NULL));
    there = has_line(text, "xfs");
    if (!there)
        TRY(in_module_lists(ctx, release, "xfs", &there, &known));
    add_feature("kernel.xfs", "xfs", there, known, ret);
    return NULL;
}

/* The driver behind the configured device; other names are not memory or not ours to know. */
static struct err *check_ramdisk(struct ctx *ctx, const char *release, struct findings *ret)
{
    const char *dev = ctx->cfg->storage.ramdisk.device;
    const char *module = str_starts(dev, "/dev/ram")    ? "brd"
                         : str_starts(dev, "/dev/zram") ? "zram"
                                                        : NULL;
    AUTO(freep) char *sys = module ? xasprintf("/sys/module/%s", module) : NULL;
    bool there = false, known = false;
    struct stat st;

    if (!module)
        return NULL;
    struct err *e = fsroot_stat(ctx->root, sys, &st);
    there = !e;
    err_free(e); /* not loaded */
    e = there ? NULL : fsroot_stat(ctx->root, dev, &st);
    there = there || (!e && S_ISBLK(st.st_mode)); /* built in, it need not show in /sys/module */
    err_free(e);
    if (!there)
        TRY(in_module_lists(ctx, release, module, &there, &known));
    add_feature("kernel.ramdisk", module, there, known, ret);
    return NULL;
}

/* Documentation/admin-guide/sysctl/kernel.rst, io_uring_disabled since 6.6: 0 all may, 1 only a
 * group and who has CAP_SYS_ADMIN, 2 nobody. */
static struct err *check_io_uring(struct ctx *ctx, struct findings *ret)
{
    uint64_t v = 0;
    struct err *e = fsroot_read_u64(ctx->root, "/proc/sys/kernel/io_uring_disabled", &v);

    if (e && e->kind == ERR_NOTFOUND) /* older: nothing forbids it */
        e = err_free(e);
    TRY(e);
    findings_add(ret, "kernel.iouring", 1, v ? SEV_WARN : SEV_OK,
                 v ? "io_uring is forbidden (kernel.io_uring_disabled=%" PRIu64
                     "): Agave 3.0 reads and writes more slowly without it, 3.1 ends; set it to 0"
                   : "io_uring is allowed (kernel.io_uring_disabled=%" PRIu64 ")",
                 v);
    return NULL;
}

static struct err *check_cgroup(struct ctx *ctx, struct findings *ret)
{
    struct stat st;
    struct err *e = fsroot_stat(ctx->root, "/sys/fs/cgroup/cgroup.controllers", &st);
    bool v2 = !e;

    if (e && e->kind == ERR_NOTFOUND)
        e = err_free(e);
    TRY(e);
    findings_add(ret, "kernel.cgroup", 1, v2 ? SEV_OK : SEV_NOTE,
                 v2 ? "control groups are version 2"
                    : "control groups are version 1: Kubernetes 1.31 and newer only maintain it");
    return NULL;
}

/* Agave's requirements: AVX2 for the official programs, the SHA extensions for speed. */
static struct err *check_cpu(struct ctx *ctx, struct findings *ret)
{
    AUTO(freep) char *text = NULL;

    TRY(fsroot_read(ctx->root, "/proc/cpuinfo", CPUINFO_MAX_B, &text, NULL));
    const char *line = strstr(text, "\nflags");
    if (!line) {
        findings_add(ret, "kernel.avx", 1, SEV_UNKNOWN,
                     "/proc/cpuinfo does not say what this processor can do");
        return NULL;
    }
    AUTO(freep) char *flags = xasprintf("%.*s ", (int)strcspn(line + 1, "\n"), line + 1);
    bool avx = strstr(flags, " avx2 ") != NULL, sha = strstr(flags, " sha_ni ") != NULL;
    findings_add(ret, "kernel.avx", 1, avx ? SEV_OK : SEV_FAIL,
                 avx ? "the processor has AVX2"
                     : "the processor has no AVX2: Agave's official programs end with an illegal "
                       "instruction; only one that was built for it runs");
    findings_add(ret, "kernel.sha", 1, sha ? SEV_OK : SEV_NOTE,
                 sha ? "the processor has the SHA extensions"
                     : "the processor has no SHA extensions: proof of history is slow on it");
    return NULL;
}

/* The setting, or def where this kernel has none. */
static struct err *setting(struct ctx *ctx, const char *path, uint64_t def, uint64_t *ret)
{
    struct err *e = fsroot_read_u64(ctx->root, path, ret);

    if (!e || e->kind != ERR_NOTFOUND)
        return e;
    *ret = def;
    return err_free(e);
}

/* A thread that waits for a slow disk for two minutes is no reason to end a machine with a ledger.
 */
static struct err *check_panic(struct ctx *ctx, struct findings *ret)
{
    uint64_t hung = 0, panic = 0;

    TRY(setting(ctx, "/proc/sys/kernel/hung_task_panic", 0, &hung));
    TRY(setting(ctx, "/proc/sys/kernel/panic", 0, &panic));
    findings_add(ret, "kernel.hungtask", 1, hung ? SEV_WARN : SEV_OK,
                 hung ? "kernel.hung_task_panic is set: a thread that waits for the disk for long "
                        "ends the whole machine; set it to 0"
                      : "a thread that waits for long does not end the machine");
    findings_add(ret, "kernel.panic", 1, SEV_OK,
                 panic ? "after a panic the machine restarts (kernel.panic=%" PRIu64 ")"
                       : "after a panic the machine waits for somebody (kernel.panic=%" PRIu64 ")",
                 panic);
    return NULL;
}

static struct err *check_memory(struct ctx *ctx, struct findings *ret)
{
    AUTO(freep) char *huge = NULL;
    AUTO(freep) char *swaps = NULL;
    struct err *e =
        fsroot_read_line(ctx->root, "/sys/kernel/mm/transparent_hugepage/enabled", &huge);

    if (!e && strstr(huge, "[always]"))
        findings_add(ret, "kernel.hugepages", 1, SEV_NOTE,
                     "transparent huge pages are 'always': memory grows in larger steps than it is "
                     "used");
    err_free(e); /* a kernel without them */
    e = fsroot_read(ctx->root, "/proc/swaps", FILE_MAX_B, &swaps, NULL);
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    const char *first = strchr(swaps, '\n');
    if (first && first[1] == '/')
        findings_add(ret, "kernel.swap", 1, SEV_NOTE,
                     "swap is in use ('%.*s'): a validator that is swapped out falls behind",
                     (int)strcspn(first + 1, " \t\n"), first + 1);
    return NULL;
}

/* One part that cannot be looked at does not hide the others. */
static void part(struct err *e, const char *id, struct findings *ret)
{
    if (e)
        findings_add(ret, id, 1, SEV_UNKNOWN, "could not look: %s", e->text);
    err_free(e);
}

static struct err *kernel_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    AUTO(freep) char *release = NULL;
    unsigned major = 0, minor = 0;

    TRY(read_release(ctx, &release, &major, &minor));
    check_release(release, major, minor, ret);
    part(check_xfs(ctx, release, ret), "kernel.xfs", ret);
    part(check_ramdisk(ctx, release, ret), "kernel.ramdisk", ret);
    part(check_io_uring(ctx, ret), "kernel.iouring", ret);
    part(check_cgroup(ctx, ret), "kernel.cgroup", ret);
    part(check_cpu(ctx, ret), "kernel.avx", ret);
    part(check_panic(ctx, ret), "kernel.hungtask", ret);
    part(check_memory(ctx, ret), "kernel.swap", ret);
    return NULL;
}

const struct stage stage_kernel = {
    .name = "kernel",
    .summary = "the kernel and the processor: what agavectl and Agave need of them",
    .layer = 1,
    .order_reason = "needs nothing of the others",
    .enabled = kernel_enabled,
    .check = kernel_check,
};
