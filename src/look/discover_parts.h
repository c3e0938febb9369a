#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"
#include "config/config.h"
#include "host/fstab.h"
#include "host/mounts.h"
#include "look/discover.h"
#include "look/laconic.h"

/* What the files of discover share with each other and nobody else. */
struct contradiction {
    const char *key; /* static */
    char *kept, *kept_from, *other, *other_from;
};
struct missing {
    const char *key; /* static */
    char *why;
};
struct discovery {
    struct config *cfg; /* what was found, over the defaults */
    char **origins;     /* by index into config_keys; NULL: not found */
    struct contradiction *contradictions;
    size_t n_contradictions, cap_contradictions;
    struct missing *missing;
    size_t n_missing, cap_missing;
    struct strlist notes;
    struct strlist remarks; /* contradictions and notes, for people */
};

/* Sets a key unless an earlier source has set it: then another value is a contradiction. A value
 * that the key does not take is missing, with the reason. */
void found(struct discovery *d, const char *key, const struct strlist *values, const char *origin);
void found_text(struct discovery *d, const char *key, const char *value, const char *origin);
void found_number(struct discovery *d, const char *key, uint64_t value, const char *origin);
bool is_found(const struct discovery *d, const char *key);
void not_found(struct discovery *d, const char *key, const char *fmt, ...) PRINTF(3, 4);
void noted(struct discovery *d, const char *fmt, ...) PRINTF(2, 3);

/* A path of somebody's mount namespace (own) as a path of the host: the same place of the same file
 * system, not below avoid where it is mounted elsewhere as well. NULL: it is not mounted on the
 * host. To be freed. */
char *place_on_host(const struct mounts *own, const struct mounts *host, const char *path,
                    const char *avoid);
/* The name of a block device that stays the same over a reboot: /dev/zvol/…, /dev/disk/by-id/…,
 * else the one that it has (*ret_stable false; a RAM disk's own name stays). To be freed. */
struct err *stable_device(struct ctx *ctx, const char *device, char **ret, bool *ret_stable)
    MUST_CHECK;

/* What the sources share while they are asked. */
struct asking {
    struct ctx *ctx;
    const struct discover_opts *opts;
    struct discovery *d;
    struct mounts host;
    struct laconic laconic;
    bool has_laconic;
    bool has_unit;
    size_t n_running;
    bool contained; /* the validator runs in a pod */
    char *cgroup;   /* of the validator that runs, or NULL */
    struct fstab fstab;
};

/* Where kind's copies of our folders are, or NULL: never the names that the host itself uses. */
const char *asking_kind_root(const struct asking *a);
/* A path that kind's copies may hold, as the host's own: by what is mounted, else by what fstab
 * binds at boot, else as it is. To be freed. */
char *asking_place(const struct asking *a, const char *path);
/* A command line without its program. own: the mounts of who gave it; NULL: the host's paths. */
void found_args(struct asking *a, const char *who, const struct mounts *own, char *const *argv);
/* The sources. The deployment folder is read first and asked last: what runs wins over what was
 * deployed, but only the folder says where kind's copies are. */
struct err *ask_laconic(struct asking *a) MUST_CHECK;
struct err *ask_processes(struct asking *a) MUST_CHECK;
struct err *ask_units(struct asking *a) MUST_CHECK;
void ask_deployed(struct asking *a);
/* From where the ledger and the accounts are: devices, mounts, the bind, who owns them. */
struct err *discover_storage(struct asking *a) MUST_CHECK;

/* How the storage is made, after its devices and mounts are known (discover_sizes.c). m: what is
 * mounted for the ledger, or for the accounts; a line of fstab where nothing is. */
void found_volume_size(struct asking *a, const struct mount_info *m);
struct err *found_ramdisk_device(struct asking *a, const struct mount_info *m) MUST_CHECK;
void found_ramdisk_tmpfs(struct asking *a, const struct mount_info *m);
/* m: of ledger and accounts, which lie on one file system. */
void found_no_ramdisk(struct asking *a, const struct mount_info *m);
void found_kind_dataset(struct asking *a);
