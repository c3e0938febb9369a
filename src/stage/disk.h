#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "host/mounts.h"
#include "host/zram.h"
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
    /* The device is made by a change of the stage's own that comes before those of disk_plan: what
     * it will be, in the words of disk_identity. NULL: it must be there already. A missing one is
     * then planned for as a blank one; remake: also where one is there, which goes first. */
    const char *made_as;
    bool remake;
    bool make_blocked; /* it would be made, but another finding says why not */
};
#define DISK_ANOTHER "another one" /* got of id_device where one that is there is made anew */
/* First number of the verbs that a stage of its own may use beside those of disk_plan. */
#define DISK_VERB_END 16
struct err *disk_check(struct ctx *ctx, struct scene *scene, const struct disk *d,
                       struct findings *ret) MUST_CHECK;
/* What the device is, for a plan's arg: of one in memory kind and size ("zram, 1.0 GiB": it is made
 * anew at every boot and has nothing else), else as block_id_read. To be freed. */
struct err *disk_identity(struct ctx *ctx, const char *device, char **ret) MUST_CHECK;
char *disk_memory_identity(enum ramdev kind, uint64_t size_b);
/* Content of the folder that a mount would hide. */
struct err *disk_check_hidden(struct ctx *ctx, const struct disk *d, struct findings *ret)
    MUST_CHECK;
/* Pure: from the findings alone. A format of a device in memory that holds something else is
 * destructive, on the device's path. */
struct err *disk_plan(const struct disk *d, const struct findings *f, struct plan *ret) MUST_CHECK;
/* Its mount, and an XFS before it where format is set. what: the device (disk_identity), which is
 * looked at again just before each change; NULL: it is not known. */
void disk_plan_on(const struct disk *d, const char *what, bool format, struct plan *ret);
/* ERR_REFUSED also when the device is another one than when that was planned. */
struct err *disk_apply(struct ctx *ctx, const struct disk *d, const struct change *c) MUST_CHECK;
/* Does it make a file system? */
bool disk_is_format(const struct change *c);
/* Is it a file system in memory, or any on a device in memory? ERR_NOTFOUND (no such device in
 * /sys), ERR_SYS. */
struct err *disk_in_memory(struct ctx *ctx, const struct mount_info *on, bool *ret) MUST_CHECK;
