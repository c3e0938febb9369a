/* Layer 1: the programs that the layers above run or stand on, and which versions of them.
 * Installing is the operator's: this layer is outside agavectl. */
#include "host/packages.h"

#include "base/str.h"
#include "config/config.h"
#include "io/fsroot.h"
#include "stage/table.h"

struct need {
    const char *id, *program;
    const char *const *packages; /* of Debian and Ubuntu, the first that is installed counts */
    enum severity sev;           /* when it is missing */
    const char *why;
};

static bool packages_enabled(const struct ctx *ctx)
{
    return ctx->cfg != NULL;
}

static bool uses_device(const struct config *c)
{
    return *c->storage.volume.device || *c->storage.ramdisk.device;
}

static bool uses_kind(const struct config *c)
{
    return *c->kind.cluster || *c->laconic.deployment_dir;
}

static char *package_version(const struct dpkg *d, const char *const *packages)
{
    char *v = NULL;

    for (size_t i = 0; d->text && packages[i] && !v; i++)
        v = dpkg_version(d, packages[i]);
    return v;
}

/* Not knowing a version is said. */
static void add_found(const char *id, const char *path, const char *version, struct findings *ret)
{
    finding_compare(findings_add(ret, id, 1, version ? SEV_OK : SEV_NOTE,
                                 version ? "'%s' is there, version %s"
                                         : "'%s' is there; its version is not known: no package "
                                           "has it",
                                 path, version),
                    NULL, version, path);
}

static void check_need(struct ctx *ctx, const struct dpkg *d, const struct need *n,
                       struct findings *ret)
{
    AUTO(freep) char *path = NULL;
    AUTO(freep) char *version = package_version(d, n->packages);
    struct err *e = program_find(ctx, n->program, &path);

    if (!e)
        add_found(n->id, path, version, ret);
    else if (e->kind == ERR_NOTFOUND)
        findings_add(ret, n->id, 1, n->sev, "program '%s' is missing: %s; install %s", n->program,
                     n->why, n->packages[0]);
    else
        findings_add(ret, n->id, 1, SEV_UNKNOWN, "could not look for '%s': %s", n->program,
                     e->text);
    err_free(e);
}

static struct err *uses_zfs(struct ctx *ctx, struct scene *scene, bool *ret)
{
    const struct mounts *m = NULL;

    *ret = str_starts(ctx->cfg->storage.volume.device, "/dev/zvol/");
    if (*ret)
        return NULL;
    TRY(scene_mounts(ctx, scene, &m));
    for (size_t i = 0; i < m->n; i++)
        *ret = *ret || str_eq(m->items[i].fstype, "zfs");
    return NULL;
}

/* "2.1.11-1" and "2.1.11-1ubuntu2": the tools' and the module's upstream version. */
static bool same_upstream(const char *a, const char *b)
{
    size_t n = strcspn(a, "-+~"), k = strcspn(b, "-+~");

    return n == k && strncmp(a, b, n) == 0;
}

/* The tools talk to the module over an interface that changes between versions. */
static void compare_zfs(struct ctx *ctx, const char *tools, struct findings *ret)
{
    AUTO(freep) char *module = NULL;
    struct err *e = fsroot_read_line(ctx->root, "/sys/module/zfs/version", &module);

    if (!e && tools && !same_upstream(tools, module))
        finding_compare(findings_add(ret, "packages.zfsmodule", 1, SEV_WARN,
                                     "the ZFS module is %s, its programs are %s: restart into the "
                                     "new module when the validator may stop",
                                     module, tools),
                        tools, module, "/sys/module/zfs/version");
    else if (!e && tools)
        findings_add(ret, "packages.zfsmodule", 1, SEV_OK, "module and programs of ZFS are %s",
                     module);
    else if (!e)
        findings_add(ret, "packages.zfsmodule", 1, SEV_NOTE,
                     "the ZFS module is %s; which version its programs have is not known", module);
    err_free(e); /* not loaded: the stage zfs says so */
}

static struct err *check_zfs(struct ctx *ctx, struct scene *scene, const struct dpkg *d,
                             struct findings *ret)
{
    static const char *const packages[] = {"zfsutils-linux", "zfs-fuse", NULL};
    const struct need need = {"packages.zfs", "zfs", packages, SEV_FAIL,
                              "ZFS is in use on this host"};
    bool used = false;

    TRY(uses_zfs(ctx, scene, &used));
    if (!used)
        return NULL;
    AUTO(freep) char *tools = package_version(d, packages);
    check_need(ctx, d, &need, ret);
    compare_zfs(ctx, tools, ret);
    return NULL;
}

static void check_laconic(struct ctx *ctx, struct findings *ret)
{
    const char *bin = ctx->cfg->laconic.bin;
    AUTO(freep) char *path = NULL;
    AUTO(freep) char *version = NULL;
    struct err *e = program_find(ctx, bin, &path);

    if (e) {
        findings_add(ret, "packages.laconic", 1, e->kind == ERR_NOTFOUND ? SEV_FAIL : SEV_UNKNOWN,
                     "laconic-so is not there: %s; name it in laconic.bin", e->text);
        err_free(e);
        return;
    }
    /* Not known is said by the finding. */
    err_free(python_version(ctx, path, "stack_orchestrator", &version));
    finding_compare(findings_add(ret, "packages.laconic", 1, version ? SEV_OK : SEV_NOTE,
                                 version ? "'%s' is there, version %s"
                                         : "'%s' is there; which version is not known",
                                 path, version),
                    NULL, version, path);
}

static struct err *packages_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    static const char *const xfs[] = {"xfsprogs", NULL}, *const ssh[] = {"openssh-client", NULL};
    static const char *const docker[] = {"docker-ce", "docker.io", "moby-engine", NULL};
    const struct need mkfs = {"packages.xfs", "mkfs.xfs", xfs, SEV_FAIL,
                              "no device can be given its file system"};
    const struct need client = {"packages.ssh", "ssh", ssh, SEV_WARN,
                                "other hosts are reached by it"};
    const struct need daemon = {"packages.docker", "dockerd", docker, SEV_FAIL,
                                "the kind node is a container of Docker's"};
    AUTO(dpkg_clear) struct dpkg d = {0};
    struct err *e = dpkg_read(ctx, &d);

    if (e && e->kind == ERR_NOTFOUND)
        e = err_free(e); /* another distribution: versions are not known, and said so */
    TRY(e);
    if (uses_device(ctx->cfg))
        check_need(ctx, &d, &mkfs, ret);
    check_need(ctx, &d, &client, ret);
    if (uses_kind(ctx->cfg)) {
        check_need(ctx, &d, &daemon, ret);
        check_laconic(ctx, ret);
    }
    return check_zfs(ctx, scene, &d, ret);
}

const struct stage stage_packages = {
    .name = "packages",
    .summary = "the programs that everything above stands on, and their versions",
    .layer = 1,
    .order_reason = "needs nothing of the others",
    .enabled = packages_enabled,
    .check = packages_check,
};
