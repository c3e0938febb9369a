/* Layer 4: does the storage come back after a reboot as it is now? From /etc/fstab (or mount
 * units); what must be formatted before is the stage units'. Nothing is changed: a wrong line is
 * found here today instead of on a console at the next boot. */
#include "host/fstab.h"

#include "base/str.h"
#include "config/config.h"
#include "stage/boot.h"
#include "stage/table.h"

/* One mount of the config and what the next boot does about it. */
struct place {
    const char *id, *id_nofail;
    const char *device; /* that it must be; "": whatever is there */
    const char *where;
    const char *name; /* for people */
};

static bool fstab_enabled(const struct ctx *ctx)
{
    return ctx->cfg && *ctx->cfg->storage.volume.mount;
}

static bool has(const struct boot_mount *m, const char *option)
{
    return fstab_option(&m->entry, option, NULL);
}

/* Of a place without a device in the config it counts what is mounted there now; ZFS mounts its
 * datasets without fstab. */
static bool is_asked(const struct mounts *now, const struct place *p)
{
    const struct mount_info *on = mounts_at(now, p->where);

    return *p->where && (*p->device || (on && !str_eq(on->fstype, "zfs")));
}

static void add_missing(const struct place *p, struct findings *ret)
{
    findings_add(ret, p->id, 4, SEV_WARN,
                 "%s at '%s' does not survive a reboot: neither /etc/fstab nor a mount unit has it",
                 p->name, p->where);
}

/* Will what is mounted be the configured device, as xfs, for writing? What is wrong, or NULL. */
static struct err *wrong_device(struct ctx *ctx, const struct place *p, const struct boot_mount *m,
                                char **ret)
{
    AUTO(freep) char *device = fstab_device(&m->entry);
    bool same = true;

    *ret = NULL;
    if (*p->device)
        TRY(boot_same_device(ctx, device, p->device, &same));
    if (!same)
        *ret = xasprintf("it names '%s', not '%s'", m->entry.spec, p->device);
    else if (!str_eq(m->entry.type, "xfs") && !str_eq(m->entry.type, "auto"))
        *ret = xasprintf("it says %s, not xfs", m->entry.type);
    else if (has(m, "ro"))
        *ret = xstrdup("it would be read-only");
    return NULL;
}

static void check_nofail(const struct place *p, const struct boot_mount *m, struct findings *ret)
{
    if (!has(m, "nofail") && m->n)
        findings_add(ret, p->id_nofail, 4, SEV_WARN,
                     "%s: without nofail, a boot that cannot mount '%s' ends in emergency mode, "
                     "where no SSH is: add it",
                     m->source, p->where);
}

static void add_comes_back(const struct place *p, const struct boot_mount *m, struct findings *ret)
{
    bool off = has(m, "noauto");
    enum severity sev = off || m->n > 1 ? SEV_WARN : SEV_OK;

    findings_add(ret, p->id, 4, sev, "%s: the next boot %s '%s' at '%s'%s", m->source,
                 off ? "does not mount (noauto)" : "mounts", m->entry.spec, p->where,
                 m->n > 1 ? "; another line is for the same place: remove one" : "");
}

static struct err *check_disk(struct ctx *ctx, const struct fstab *f, const struct place *p,
                              struct boot_mount *m, struct findings *ret)
{
    AUTO(freep) char *wrong = NULL;
    struct err *e = boot_mount_find(ctx, f, p->where, m);

    if (e && e->kind == ERR_NOTFOUND) {
        add_missing(p, ret);
        return err_free(e);
    }
    TRY(e);
    TRY(wrong_device(ctx, p, m, &wrong));
    AUTO(freep)
    char *want = xasprintf("xfs%s%s", *p->device ? " of " : "", p->device);
    AUTO(freep) char *got = xasprintf("%s of %s", m->entry.type, m->entry.spec);
    if (wrong)
        finding_compare(findings_add(ret, p->id, 4, SEV_FAIL,
                                     "%s is wrong for %s at '%s': %s; correct it before the next "
                                     "boot",
                                     m->source, p->name, p->where, wrong),
                        want, got, m->source);
    else
        add_comes_back(p, m, ret);
    check_nofail(p, m, ret);
    return NULL;
}

/* A RAM disk is blank at every boot: the mount must pull in what formats it. */
static void check_format(const struct boot_mount *m, struct findings *ret)
{
    bool pulls = false;

    if (!m->source)
        return;
    bool makes = has(m, "x-systemd.makefs");
    for (size_t i = 0; i < m->requires.n; i++)
        pulls = pulls || (str_ends(m->requires.items[i], ".service") &&
                          !str_starts(m->requires.items[i], "modprobe@"));
    if (pulls)
        findings_add(ret, "fstab.ramdisk.format", 4, SEV_OK, "%s waits for what formats it",
                     m->source);
    else if (makes)
        findings_add(ret, "fstab.ramdisk.format", 4, SEV_NOTE,
                     "%s: x-systemd.makefs leaves a device with any signature as it is, and takes "
                     "no options of mkfs: a unit that runs mkfs.xfs -f is surer",
                     m->source);
    else
        findings_add(ret, "fstab.ramdisk.format", 4, SEV_WARN,
                     "%s: the RAM disk is blank after a boot, and this line does not wait for a "
                     "unit that formats it: add x-systemd.requires=format-ramdisk.service",
                     m->source);
}

static struct err *check_ramdisk(struct ctx *ctx, const struct mounts *now, const struct fstab *f,
                                 struct findings *ret)
{
    const struct place p = {"fstab.ramdisk", "fstab.ramdisk.nofail",
                            ctx->cfg->storage.ramdisk.device, ctx->cfg->storage.ramdisk.mount,
                            "the RAM disk"};
    AUTO(boot_mount_clear) struct boot_mount m = {0};
    const struct mount_info *on = mounts_at(now, p.where);

    if (!is_asked(now, &p))
        return NULL;
    if (on && !on->major && !*p.device) { /* a tmpfs needs no device and no mkfs */
        struct err *e = boot_mount_find(ctx, f, p.where, &m);

        if (e && e->kind == ERR_NOTFOUND) {
            add_missing(&p, ret);
            return err_free(e);
        }
        TRY(e);
        add_comes_back(&p, &m, ret);
        return NULL;
    }
    TRY(check_disk(ctx, f, &p, &m, ret));
    check_format(&m, ret);
    return NULL;
}

/* zfs-mount.service mounts the datasets of a pool; what fstab mounts below one before that would be
 * hidden, or keeps the dataset from being mounted. */
static void check_bind_zfs(const struct ctx *ctx, const struct mounts *now,
                           const struct boot_mount *m, struct findings *ret)
{
    const struct mount_info *root = mounts_over(now, ctx->cfg->storage.kind_root);
    bool waits = false;

    if (!*ctx->cfg->storage.kind_root || !root || !str_eq(root->fstype, "zfs"))
        return;
    for (size_t i = 0; i < m->after.n; i++)
        waits = waits || str_starts(m->after.items[i], "zfs");
    findings_add(ret, "fstab.bind.zfs", 4, waits ? SEV_OK : SEV_WARN,
                 waits ? "%s waits for ZFS"
                       : "%s: '%s' is a dataset that ZFS mounts itself, and "
                         "this line does not wait for it: add "
                         "x-systemd.requires=zfs-mount.service",
                 m->source, root->target);
}

static void check_bind_options(const struct boot_mount *m, struct findings *ret)
{
    const char *wrong = NULL;

    if (!has(m, "rbind"))
        wrong = "what is mounted below the volume does not appear there: use rbind";
    else if (!has(m, "rslave") || !has(m, "rshared"))
        wrong = "an unmount below a plain rbind unmounts the volume's own mounts as well: use "
                "rbind,rslave,rshared";
    findings_add(ret, "fstab.bind.propagation", 4, wrong ? SEV_WARN : SEV_OK, "%s%s%s", m->source,
                 wrong ? ": " : " makes it rslave,rshared", wrong ? wrong : "");
}

static struct err *check_bind(struct ctx *ctx, const struct mounts *now, const struct fstab *f,
                              struct findings *ret)
{
    const struct place p = {"fstab.bind", "fstab.bind.nofail", ctx->cfg->storage.volume.mount,
                            ctx->cfg->storage.bind, "the bind"};
    AUTO(boot_mount_clear) struct boot_mount m = {0};

    if (!*p.where)
        return NULL;
    struct err *e = boot_mount_find(ctx, f, p.where, &m);
    if (e && e->kind == ERR_NOTFOUND) {
        add_missing(&p, ret);
        return err_free(e);
    }
    TRY(e);
    if (!str_eq(m.entry.spec, p.device) || (!has(&m, "bind") && !has(&m, "rbind")))
        finding_compare(findings_add(ret, p.id, 4, SEV_FAIL,
                                     "%s is wrong for '%s': it must bind '%s'; correct it before "
                                     "the next boot",
                                     m.source, p.where, p.device),
                        p.device, m.entry.spec, m.source);
    else
        add_comes_back(&p, &m, ret);
    check_nofail(&p, &m, ret);
    check_bind_options(&m, ret);
    check_bind_zfs(ctx, now, &m, ret);
    return NULL;
}

static struct err *fstab_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    const struct place volume = {"fstab.volume", "fstab.volume.nofail",
                                 ctx->cfg->storage.volume.device, ctx->cfg->storage.volume.mount,
                                 "the volume"};
    AUTO(boot_mount_clear) struct boot_mount m = {0};
    AUTO(fstab_clear) struct fstab f = {0};
    const struct mounts *now = NULL;
    struct err *e = fstab_read(ctx, &f);

    if (e && e->kind == ERR_NOTFOUND) /* all may be in mount units */
        e = err_free(e);
    TRY(e);
    TRY(scene_mounts(ctx, scene, &now));
    for (size_t i = 0; i < f.n_faults; i++)
        findings_add(ret, "fstab.syntax", 4, SEV_WARN,
                     "/etc/fstab:%u %s: the next boot skips it or reads it otherwise",
                     f.faults[i].line, f.faults[i].text);
    if (is_asked(now, &volume))
        TRY(check_disk(ctx, &f, &volume, &m, ret));
    TRY(check_ramdisk(ctx, now, &f, ret));
    return check_bind(ctx, now, &f, ret);
}

static const char *const fstab_after[] = {"volume", "ramdisk", "bind", NULL};

const struct stage stage_fstab = {
    .name = "fstab",
    .summary = "what of the storage comes back after a reboot",
    .layer = 4,
    .after = fstab_after,
    .order_reason = "what is wrong now is told before what will be",
    .enabled = fstab_enabled,
    .check = fstab_check,
};
