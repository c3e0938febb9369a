/* Devices, mounts and owners behind the folders that the validator uses. Says what is, also where
 * it is not what the checks want: they say that. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/fsroot.h"
#include "look/discover_parts.h"

#define MOUNTS "the mount table"

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

static struct err *volume(struct ctx *ctx, struct discovery *d, const struct mount_info *m)
{
    const char *ledger = d->cfg->validator.ledger;
    AUTO(freep) char *folder = folder_of(ledger);

    if (str_eq(m->target, "/")) {
        if (is_found(d, "validator.ledger"))
            found_text(d, "storage.volume.mount", folder, "the folder above the ledger");
        not_found(d, "storage.volume.device", "'%s' is not on a file system of its own", ledger);
        return NULL;
    }
    found_text(d, "storage.volume.mount", m->target, MOUNTS);
    if (is_block(m))
        return set_device(ctx, d, "storage.volume.device", m);
    not_found(d, "storage.volume.device", "'%s' is on %s ('%s'), which is no block device", ledger,
              m->fstype, m->source);
    return NULL;
}

static struct err *ramdisk(struct ctx *ctx, struct discovery *d, const struct mount_info *m,
                           const struct mount_info *volume)
{
    const char *accounts = d->cfg->validator.accounts;

    if (m == volume || str_eq(m->target, "/")) {
        if (is_found(d, "validator.accounts"))
            found_text(d, "storage.ramdisk.mount", accounts, "the accounts have no mount");
        not_found(d, "storage.ramdisk.device", "'%s' is on the same file system as '%s'", accounts,
                  m->target);
        return NULL;
    }
    found_text(d, "storage.ramdisk.mount", m->target, MOUNTS);
    if (is_block(m) && is_ram(m->source))
        return set_device(ctx, d, "storage.ramdisk.device", m);
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
    AUTO(freep) char *why = xasprintf("there is no '%s'", d->cfg->storage.kind_root);
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

struct err *discover_storage(struct ctx *ctx, struct discovery *d, const struct mounts *host,
                             bool has_kind)
{
    const struct mount_info *v = mounts_over(host, d->cfg->validator.ledger);
    const struct mount_info *r = mounts_over(host, d->cfg->validator.accounts);

    TRY(kind_storage(ctx, d, has_kind));
    if (v)
        TRY(volume(ctx, d, v));
    if (r)
        TRY(ramdisk(ctx, d, r, v));
    if (v && *d->cfg->storage.kind_root && !str_eq(v->target, "/"))
        bind(d, host, v);
    return owner(ctx, d);
}
