#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"

/* What was done and seen at this boot: /run/agavectl/boot.json (0644; the folder is root's), and a
 * copy below the kind root at BOOT_PROOF_SENTINEL, where node and pod see it. A proof of another
 * boot (boot_id) proves nothing. */
#define BOOT_PROOF_PATH     "/run/agavectl/boot.json"
#define BOOT_PROOF_SENTINEL ".agavectl-boot.json" /* in storage.bind, or the volume's mount */

struct boot_device {
    char *path; /* NULL: none is configured */
    uint32_t major, minor;
    uint64_t size_b;
};
struct boot_proof {
    uint32_t schema_version;            /* 1 */
    char boot_id[40];                   /* /proc/sys/kernel/random/boot_id */
    uint64_t formatted_at;              /* UTC, seconds; 0: not formatted in this boot */
    uint64_t mounted_at;                /* seen mounted by `boot finish`; 0: not yet */
    uint64_t owned_at;                  /* the accounts folder made and given to its owner */
    uint64_t node_seen_at, pod_seen_at; /* the same directory there; 0: not yet, or none */
    struct boot_device volume, ramdisk;
    uint64_t accounts_dev, accounts_ino; /* of the accounts folder on the host */
    bool clean;                          /* the boot before this one was left in order */
    char *disabled;                      /* local state that was put aside, or NULL */
    char *failed;                        /* what went wrong, or NULL */
};
void boot_proof_clear(struct boot_proof *p);
/* ERR_NOTFOUND: there is none; ERR_CORRUPT. One of another boot is read as well: compare boot_id.
 */
struct err *boot_proof_read(struct ctx *ctx, const char *path, struct boot_proof *ret) MUST_CHECK;
/* Whole and durable enough for this boot. */
struct err *boot_proof_write(struct ctx *ctx, const char *path, const struct boot_proof *p)
    MUST_CHECK;
/* This boot's id. */
struct err *boot_id_read(struct ctx *ctx, char ret[static 40]) MUST_CHECK;
