#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/json.h"

/* What was done and seen at this boot: /run/agavectl/boot.json (0644; the folder is root's), and a
 * copy below the kind root at BOOT_PROOF_SENTINEL, where node and pod see it. A proof of another
 * boot (boot_id) proves nothing. */
#define BOOT_PROOF_PATH     "/run/agavectl/boot.json"
#define BOOT_PROOF_SENTINEL ".agavectl-boot.json" /* in storage.bind, or the volume's mount */
#define BOOT_PROOF_MAX_B    (64u << 10)
/* Made by `boot finish` when nothing is wrong: docker and the others assert it (tmpfs: of this
 * boot). Holds the boot's id and a newline. */
#define BOOT_OK_PATH "/run/agavectl/boot-ok"
/* There while `boot format` has the RAM disk in this boot: whatever else is meant to format it
 * waits for that and is not run then. Its content means nothing. */
#define BOOT_FORMATS_PATH "/run/agavectl/formats"

struct boot_device {
    char *path;            /* as configured; NULL: no device is */
    uint32_t major, minor; /* of what is mounted (a tmpfs: 0:N); 0:0: not seen */
    uint64_t size_b;       /* 0: not known */
};
enum boot_left {
    BOOT_LEFT_UNKNOWN, /* nobody could have left a mark: the first boot with these units */
    BOOT_LEFT_CLEAN,
    BOOT_LEFT_UNCLEAN, /* power loss, a crash, or a validator that was still there */
};
struct boot_proof {
    uint32_t schema_version;            /* 1 */
    char boot_id[40];                   /* /proc/sys/kernel/random/boot_id */
    uint64_t formatted_at;              /* UTC, seconds; 0: not formatted in this boot */
    uint64_t mounted_at;                /* seen mounted by `boot finish`; 0: not yet */
    uint64_t owned_at;                  /* the accounts folder made and given to its owner */
    uint64_t node_seen_at, pod_seen_at; /* the same directory there; 0: not yet, or none */
    struct boot_device volume, ramdisk;
    uint64_t accounts_dev, accounts_ino; /* st_dev, st_ino of the accounts folder; 0: not yet */
    enum boot_left left;                 /* how the boot before this one was left */
    char *disabled;                      /* local state that was put aside, or NULL */
    char *failed;                        /* what `boot finish` found wrong, or NULL */
    char *unseen;                        /* what `boot seen` gave up to wait for, or NULL */
};
void boot_proof_clear(struct boot_proof *p);
/* A new one of this boot, with nothing done. */
struct err *boot_proof_new(struct ctx *ctx, struct boot_proof *ret) MUST_CHECK;
/* ERR_NOTFOUND: there is none; ERR_CORRUPT. One of another boot is read as well: compare boot_id.
 */
struct err *boot_proof_read(struct ctx *ctx, const char *path, struct boot_proof *ret) MUST_CHECK;
/* name: for the text. ERR_CORRUPT. */
struct err *boot_proof_parse(const char *text, size_t n, const char *name, struct boot_proof *ret)
    MUST_CHECK;
/* To be freed (json_free). What is 0 or unknown is null. */
struct json *boot_proof_json(const struct boot_proof *p);
/* Whole and durable enough for this boot; with the missing folders of the path. */
struct err *boot_proof_write(struct ctx *ctx, const char *path, const struct boot_proof *p)
    MUST_CHECK;
/* When this boot began: seconds since 1970, UTC, by the clock as it is set now. ERR_CORRUPT. */
struct err *boot_time_read(struct ctx *ctx, uint64_t *ret) MUST_CHECK;
/* This boot's id. ERR_CORRUPT: the kernel gave something else. */
struct err *boot_id_read(struct ctx *ctx, char ret[static 40]) MUST_CHECK;
/* This boot's proof, or a new one when there is none, or it is of another boot or damaged
 * (*ret_damaged, to be freed, says how; NULL: it is not). */
struct err *boot_proof_now(struct ctx *ctx, struct boot_proof *ret, char **ret_damaged) MUST_CHECK;
