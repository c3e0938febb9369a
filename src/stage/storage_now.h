#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"
#include "config/config.h"
#include "host/mounts.h"
#include "look/boot_proof.h"

/* The validator's storage as it is at this moment, against the config: what `boot finish` makes
 * complete and the proof of a boot says was so. */
struct storage_now {
    struct boot_device volume, ramdisk; /* of what is mounted; 0:0 where nothing is */
    /* What is wrong with the mounts, for people, one each: a place where nothing or something else
     * is mounted, a bind that leads to another folder. */
    struct strlist faults;
    bool accounts_there; /* the accounts folder is a folder; looked at in any case */
    uint64_t accounts_dev, accounts_ino;
    uint32_t uid, gid, mode;
};
void storage_now_clear(struct storage_now *s);
/* m: mounts of this namespace. ERR_SYS, ERR_BADINPUT (something else than a folder is in the way).
 */
struct err *storage_now_look(struct ctx *ctx, const struct mounts *m, struct storage_now *ret)
    MUST_CHECK;
/* A folder below the volume as it appears below storage.bind; NULL: it does not. To be freed. */
char *storage_through_bind(const struct config *c, const char *path);
