/* Devices, mounts and owners behind the folders that the validator uses. Says what is, also where
 * it is not what the checks want: they say that. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/fsroot.h"
#include "look/discover_parts.h"

#define MOUNTS "the mount table and /etc/fstab"

static bool is_ram(const char *device)
{
    return str_starts(device, "/dev/ram") || str_starts(device, "/dev/zram");
}

static bool is_block(const struct mount_info *m)
{
    return str_starts(m->source, "/dev/") && m->source[5];
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash && slash != path ? xstrndup(path, (size_t)(slash - path)) : xstrdup("/");
}

/* The device of a mount, under a name that stays. */
static struct err *set_device(struct ctx *ctx, struct discovery *d, const char *key,
                              const struct mount_info *m)
{
    AUTO(freep) char *device = NULL;
    AUTO(freep) char *origin = xasprintf("what is mounted at %s (%s)", m->target, m->source);
    bool stable = false;

    TRY(stable_device(ctx, m->source, &device, &stable));
    found_text(d, key, device, origin);
    if (!stable)
        noted(d,
              "%s: '%s' has no name below /dev/disk/by-id or /dev/zvol: another device may "
              "have it after a reboot",
              key, device);
    return NULL;
}

static struct err *volume(struct asking *a, const struct mount_info *m)
{
    struct discovery *d = a->d;
    const char *ledger = d->cfg->validator.ledger;
    AUTO(freep) char *folder = folder_of(ledger);

    if (str_eq(m->target, "/")) {
        if (is_found(d, "validator.ledger"))
            found_text(d, "storage.volume.mount", folder, "the folder above the ledger");
        not_found(d, "storage.volume.device", "'%s' is not on a file system of its own", ledger);
        return NULL;
    }
    found_text(d, "storage.volume.mount", m->target, MOUNTS);
    if (is_block(m)) {
        TRY(set_device(a->ctx, d, "storage.volume.device", m));
        found_volume_size(a, m);
        return NULL;
    }
    not_found(d, "storage.volume.device", "'%s' is on %s ('%s'), which is no block device", ledger,
              m->fstype, m->source);
    return NULL;
}

static struct err *ramdisk(struct asking *a, const struct mount_info *m,
                           const struct mount_info *volume)
{
    struct discovery *d = a->d;
    const char *accounts = d->cfg->validator.accounts;

    if ((volume && str_eq(m->target, volume->target)) || str_eq(m->target, "/")) {
        if (is_found(d, "validator.accounts"))
            found_text(d, "storage.ramdisk.mount", accounts, "the accounts have no mount");
        if (volume && str_eq(m->target, volume->target))
            found_no_ramdisk(a, m);
        if (!is_found(d, "storage.ramdisk.kind"))
            not_found(d, "storage.ramdisk.device", "'%s' is on the same file system as '%s'",
                      accounts, m->target);
        return NULL;
    }
    found_text(d, "storage.ramdisk.mount", m->target, MOUNTS);
    if (is_block(m) && is_ram(m->source)) {
        TRY(set_device(a->ctx, d, "storage.ramdisk.device", m));
        return found_ramdisk_device(a, m);
    }
    if (str_eq(m->fstype, "tmpfs")) {
        found_ramdisk_tmpfs(a, m);
        return NULL;
    }
    not_found(d, "storage.ramdisk.device", "'%s' is on %s ('%s'), which is no RAM disk", accounts,
              m->fstype, m->source);
    return NULL;
}

/* The same file system once more, below what the kind node sees. */
static void bind(struct discovery *d, const struct mounts *host, const struct mount_info *volume)
{
    const char *root = d->cfg->storage.kind_root;
    size_t n = strlen(root);

    for (size_t i = 0; i < host->n; i++) {
        const struct mount_info *m = &host->items[i];

        if (m->major != volume->major || m->minor != volume->minor ||
            !str_eq(m->root, volume->root) || strncmp(m->target, root, n) != 0 ||
            m->target[n] != '/' || mounts_at(host, m->target) != m)
            continue;
        found_text(d, "storage.bind", m->target, MOUNTS);
        return;
    }
    not_found(d, "storage.bind", "'%s' is not mounted below '%s' now", volume->target, root);
}

static struct err *kind_storage(struct ctx *ctx, struct discovery *d, bool has_kind)
{
    bool there = false;

    if (has_kind)
        return NULL;
    TRY(fsroot_is_folder(ctx->root, d->cfg->storage.kind_root, &there));
    if (there)
        return NULL;
    AUTO(freep) char *why = xasprintf("no '%s' on this host", d->cfg->storage.kind_root);
    found_text(d, "storage.kind_root", "", why);
    found_text(d, "storage.bind", "", why);
    return NULL;
}

/* Whoever owns the ledger wrote it. */
static struct err *owner(struct ctx *ctx, struct discovery *d)
{
    const char *ledger = d->cfg->validator.ledger;
    AUTO(freep) char *origin = xasprintf("the owner of '%s'", ledger);
    struct stat st;
    struct err *e = fsroot_stat(ctx->root, ledger, &st);

    if (e && e->kind == ERR_NOTFOUND) {
        err_free(e);
        if (!is_found(d, "validator.uid"))
            not_found(d, "validator.uid", "there is no '%s' that would have an owner", ledger);
        return NULL;
    }
    TRY(e);
    found_number(d, "validator.uid", st.st_uid, origin);
    found_number(d, "validator.gid", st.st_gid, origin);
    return NULL;
}

/* What fstab mounts for a path when nothing is mounted there now: a host that is down for repair.
 */
static const struct fstab_entry *planned(const struct asking *a, const char *path)
{
    const struct fstab_entry *best = NULL;

    for (size_t i = 0; i < a->fstab.n; i++) {
        const struct fstab_entry *f = &a->fstab.items[i];
        size_t n = strlen(f->target);

        if (str_eq(f->target, "/") || fstab_option(f, "bind", NULL) ||
            fstab_option(f, "rbind", NULL) || strncmp(path, f->target, n) != 0 ||
            (path[n] != '/' && path[n]))
            continue;
        if (!best || n > strlen(best->target))
            best = f;
    }
    return best;
}

/* As a mount that is not there yet; its texts are owned by the fstab and by *ret_device. */
static const struct mount_info *mount_of(const struct asking *a, const char *path,
                                         struct mount_info *room, char **ret_device)
{
    const struct mount_info *m = mounts_over(&a->host, path);
    const struct fstab_entry *f = planned(a, path);

    if (!f || (m && strlen(m->target) >= strlen(f->target)))
        return m;
    *ret_device = fstab_device(f);
    *room = (struct mount_info){.root = (char *)(uintptr_t) "/",
                                .target = f->target,
                                .fstype = f->type,
                                .fs_options = f->options,
                                .source = *ret_device};
    return room;
}

static void planned_bind(struct asking *a, const struct mount_info *volume)
{
    for (size_t i = 0; i < a->fstab.n; i++) {
        const struct fstab_entry *f = &a->fstab.items[i];
        AUTO(freep) char *origin = xasprintf("/etc/fstab:%u", f->line);

        if ((fstab_option(f, "bind", NULL) || fstab_option(f, "rbind", NULL)) &&
            str_eq(f->spec, volume->target))
            found_text(a->d, "storage.bind", f->target, origin);
    }
}

struct err *discover_storage(struct asking *a)
{
    struct mount_info v_room, r_room;
    AUTO(freep) char *v_device = NULL;
    AUTO(freep) char *r_device = NULL;
    struct discovery *d = a->d;
    const struct mount_info *v = mount_of(a, d->cfg->validator.ledger, &v_room, &v_device);
    const struct mount_info *r = mount_of(a, d->cfg->validator.accounts, &r_room, &r_device);
    bool own = v && !str_eq(v->target, "/");

    TRY(kind_storage(a->ctx, d, a->has_laconic));
    if (v)
        TRY(volume(a, v));
    if (r)
        TRY(ramdisk(a, r, v));
    found_kind_dataset(a);
    if (own && v != &v_room && *d->cfg->storage.kind_root)
        bind(d, &a->host, v);
    if (own && *d->cfg->storage.kind_root && !is_found(d, "storage.bind"))
        planned_bind(a, v);
    return owner(a->ctx, d);
}
