#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"

/* Datasets of ZFS, by the program zfs: there is no other stable interface. Only words that OpenZFS
 * 0.8 to 2.3 and zfs-fuse 0.7 have in common are used (zfs-get(8), zfs-create(8)). A pool that
 * hangs lets the program wait for ever: each call has a deadline (ERR_TIMEOUT), and none is begun
 * while the kernel says that the pool is suspended (ERR_REFUSED). ERR_ABSENT: no program zfs. */
enum zfs_type { ZFS_OTHER, ZFS_FILESYSTEM, ZFS_VOLUME };
struct zfs_dataset {
    enum zfs_type type;
    bool mounted;              /* of a file system */
    char *mountpoint;          /* a path, "none" or "legacy"; NULL: not a file system */
    char *canmount;            /* "on", "off" or "noauto"; NULL: not a file system */
    uint64_t available_b;      /* what may be written to it and below it */
    uint64_t volsize_b;        /* of a volume */
    uint64_t refreservation_b; /* less than volsize_b: room for the volume is not kept */
};
void zfs_dataset_clear(struct zfs_dataset *d);

/* Can a dataset have this name? At most 255 bytes, "pool/a/b"; a pool's name begins with a letter.
 * ERR_BADINPUT says what is wrong. module/zcommon/zfs_namecheck.c of OpenZFS 2.1. */
struct err *zfs_name_check(const char *name) MUST_CHECK;
/* The name of the dataset above: "tank/a" of "tank/a/b"; NULL of a pool. To be freed. */
char *zfs_parent(const char *name);
/* ERR_NOTFOUND: there is no such dataset (or its pool is not imported). ERR_REMOTE, with what zfs
 * says; ERR_CORRUPT: its answer cannot be read. Waits at most 30 s. */
struct err *zfs_get(struct ctx *ctx, const char *name, struct zfs_dataset *ret) MUST_CHECK;
/* The answer of `zfs get -H -p -o property,value`: lines "name<TAB>value". ERR_CORRUPT. */
struct err *zfs_get_parse(const char *text, size_t n, struct zfs_dataset *ret) MUST_CHECK;
/* true: its pool is there, and it is not. A pool that is away says nothing: ERR_NOTFOUND. */
struct err *zfs_is_gone(struct ctx *ctx, const char *name, bool *ret) MUST_CHECK;
/* Names of the snapshots and datasets directly below it. Errors as zfs_get. */
struct err *zfs_below(struct ctx *ctx, const char *name, struct strlist *ret) MUST_CHECK;

/* A volume that keeps room for all of its size (never a sparse one, which ends in write errors when
 * the pool is full), in blocks of 16 KiB; its parents must exist. *_b: a multiple of that. */
struct err *zfs_create_volume(struct ctx *ctx, const char *name, uint64_t size_b) MUST_CHECK;
/* A file system, mounted at that path; its parents must exist. */
struct err *zfs_create_filesystem(struct ctx *ctx, const char *name, const char *mountpoint)
    MUST_CHECK;
/* Unmounted first; never recursive: zfs refuses while it has snapshots or children. ERR_REFUSED: it
 * is still busy after 5 s. may: asked before each try, since whoever was busy in it may have left
 * something there; its error ends it. */
struct err *zfs_destroy(struct ctx *ctx, const char *name,
                        struct err *(*may)(struct ctx *ctx, void *arg), void *arg) MUST_CHECK;
