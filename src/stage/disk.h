#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "host/mounts.h"
#include "look/scene.h"
#include "stage/finding.h"
#include "stage/stage.h"

/* What the stages volume and ramdisk have in common: a block device that holds an XFS and is
 * mounted at one place; or, without a device, a folder that is used as it is. */
struct disk {
    const char *stage;  /* name of the stage that repairs it */
    const char *device; /* "" : the folder is used as it is */
    const char *mount;
    const char *label; /* for a new file system */
    bool in_memory;    /* its content is expected to be lost at reboot */
    /* static texts: one finding id per question */
    const char *id_device, *id_content, *id_mount, *id_users, *id_hidden, *id_folder;
    const char *id_memory; /* of one in memory alone */
    const char *id_name;   /* its name may be another's after a reboot; NULL: not asked */
};
struct err *disk_check(struct ctx *ctx, struct scene *scene, const struct disk *d,
                       struct findings *ret) MUST_CHECK;
/* Pure: from the findings alone. */
struct err *disk_plan(const struct disk *d, const struct findings *f, struct plan *ret) MUST_CHECK;
/* Its mount, and an XFS before it where format is set. what: the device (block_id.text), which is
 * looked at again just before each change; NULL: it is not known. */
void disk_plan_on(const struct disk *d, const char *what, bool format, struct plan *ret);
/* ERR_REFUSED also when the device is another one than when that was planned. */
struct err *disk_apply(struct ctx *ctx, const struct disk *d, const struct change *c) MUST_CHECK;
/* Is it a file system in memory, or any on a device in memory? ERR_NOTFOUND (no such device in
 * /sys), ERR_SYS. */
struct err *disk_in_memory(struct ctx *ctx, const struct mount_info *on, bool *ret) MUST_CHECK;
