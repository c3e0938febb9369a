#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"

/* One line of mountinfo (proc(5)); escapes are decoded. */
struct mount_info {
    int id, parent_id;
    uint32_t major, minor;
    char *root;       /* the folder of its file system that is mounted */
    char *target;     /* where */
    char *options;    /* per mount: "rw,relatime" */
    char *fs_options; /* per file system: "rw,attr2" */
    char *fstype;
    char *source;    /* "none" when the kernel has none */
    uint32_t shared; /* peer group; 0: not shared */
    uint32_t master; /* peer group that it receives from; 0: not a slave */
    bool unbindable;
};
struct mounts {
    struct mount_info *items;
    size_t n, cap;
};
void mounts_clear(struct mounts *m);

/* The mounts of this process's namespace, or of a process's. ERR_NOTFOUND (the process is gone),
 * ERR_CORRUPT (a line that cannot be read), ERR_SYS. */
struct err *mounts_read(struct ctx *ctx, struct mounts *ret) MUST_CHECK;
struct err *mounts_read_of(struct ctx *ctx, pid_t pid, struct mounts *ret) MUST_CHECK;
struct err *mounts_parse(const char *text, size_t n, struct mounts *ret) MUST_CHECK;

/* The mount that an absolute, normal path lies on, resolved as the kernel does it: stacked mounts
 * give the topmost, hidden ones are not found. NULL only when the table has no root. Owned by m. */
const struct mount_info *mounts_over(const struct mounts *m, const char *path);
/* The same when path is itself a mount point, else NULL. */
const struct mount_info *mounts_at(const struct mounts *m, const char *path);
/* Where a path that lies on the mount is within its file system: two names of one file have the
 * same one. To be freed. */
char *mount_inner_path(const struct mount_info *m, const char *path);
/* By its own options or by those of its file system. */
bool mount_is_read_only(const struct mount_info *m);
/* "shared", "shared and slave", "slave", "private", "unbindable". */
const char *mount_propagation(const struct mount_info *m);

/* Everything below acts on the caller's mount namespace and on real paths (not on ctx->root).
 * ERR_SYS (EBUSY, EPERM, ENOENT …). Blocks for the file system's I/O. */

/* A file system on a device, or tmpfs and the like: options as in fstab ("noatime,logbufs=8"), NULL
 * for none. No helper program is run, fstab is not read, the device is not guessed at. */
struct err *mounts_mount(const char *source, const char *target, const char *fstype,
                         const char *options) MUST_CHECK;
/* source and everything below it appears at target with propagation rslave,rshared: mounts made
 * later below source appear at target and go on from there; an unmount below target does not reach
 * source. All or nothing: a plain rbind, changed afterwards, would for a moment be a peer of its
 * source, and undoing it would unmount the source as well. Linux 5.12. */
struct err *mounts_rbind(const char *source, const char *target) MUST_CHECK;
/* Only the one mount, and private. (A peer of its parent would be mounted on itself a second time.)
 */
struct err *mounts_bind(const char *source, const char *target) MUST_CHECK;
/* Propagation of the mount at target: MS_SHARED, MS_SLAVE, MS_PRIVATE; with everything below it
 * when recursive. target must be a mount point. */
struct err *mounts_set_propagation(const char *target, unsigned long type, bool recursive)
    MUST_CHECK;
struct err *mounts_make_shared(const char *target, bool recursive) MUST_CHECK;
struct err *mounts_make_private(const char *target, bool recursive) MUST_CHECK;
/* Never forced, never lazy: ERR_REFUSED when it is in use (EBUSY). ERR_NOTFOUND when target is no
 * mount point. */
struct err *mounts_umount(const char *target) MUST_CHECK;
