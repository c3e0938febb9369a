#pragma once

#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"
#include "host/fstab.h"

/* What the next boot mounts at a place: a line of fstab, or a mount unit of the administrator's.
 * Shared by the stages fstab and units. */
struct boot_mount {
    struct fstab_entry entry; /* of a mount unit: What, Where, Type and Options, line 0 */
    char *source;             /* "/etc/fstab:3", or the unit's path */
    size_t n;                 /* how many lines of fstab there are for the place; 0: a mount unit */
    struct strlist requires;  /* units that it pulls in and waits for */
    struct strlist after;     /* units that it waits for, those in requires as well */
};
void boot_mount_clear(struct boot_mount *m);
/* ERR_NOTFOUND: the next boot mounts nothing there. ret: {0}, to be cleared. */
struct err *boot_mount_find(struct ctx *ctx, const struct fstab *f, const char *where,
                            struct boot_mount *ret) MUST_CHECK;
/* All words of a service's ExecStart= lines, without the prefixes of programs; what stands in one
 * word with blanks (the text behind sh -c) is split as well. */
struct unit_file;
void boot_exec_words(const struct unit_file *u, struct strlist *ret);
/* Do both names lead to the same block device? Names of devices that are not there are compared as
 * they are. */
struct err *boot_same_device(struct ctx *ctx, const char *a, const char *b, bool *ret) MUST_CHECK;
