#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"
#include "host/unit_file.h"
#include "look/scene.h"
#include "stage/boot.h"
#include "stage/finding.h"

/* What others have put on this host for the next boot: the unit that formats the RAM disk, the one
 * that makes the accounts folder, and whether Docker or the validator's service waits for them. */
struct units_look {
    struct ctx *ctx;
    bool memory;            /* there is a RAM disk; else the accounts lie on the volume */
    const char *needed;     /* the mount without which nothing may start */
    const char *mount;      /* of the RAM disk */
    const char *device;     /* "": not configured */
    char *mount_unit;       /* "srv-solana-ramdisk.mount" */
    struct boot_mount boot; /* empty when the next boot does not mount it */
    struct strlist names;   /* services to look through */
    const char *repair;     /* stage that puts right what is missing; NULL: the operator */
};
void units_look_clear(struct units_look *l);
/* ret: {0}, to be cleared. */
struct err *units_look_open(struct ctx *ctx, struct scene *scene, struct units_look *ret)
    MUST_CHECK;

/* Everything but our own files; docker, or the validator's service, as systemd would merge it. */
struct err *units_check_found(const struct units_look *l, struct scene *scene, struct findings *ret)
    MUST_CHECK;
struct err *units_check_consumers(const struct units_look *l, struct scene *scene,
                                  struct findings *ret) MUST_CHECK;
/* The unit that formats the RAM disk by mkfs, and the one that makes the accounts folder; ours are
 * neither. ret: {0}, to be cleared in any case. */
struct err *units_find_formatter(const struct units_look *l, struct unit_file *ret, bool *ret_found)
    MUST_CHECK;
struct err *units_find_maker(const struct units_look *l, struct unit_file *ret, bool *ret_found)
    MUST_CHECK;
