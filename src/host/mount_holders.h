#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"

/* May a mount be taken away? By the kernel's own rules (Documentation/filesystems/
 * sharedsubtree.rst): an unmount goes on to wherever the mount below it passes its changes, unless
 * something is mounted on top there. */
struct mount_gone {
    const char *target; /* real path of a mount point, in this mount namespace */
    /* It shows what is mounted elsewhere as well: only its own users hold it. Else its file system
     * must be free afterwards, so that every other mount of it holds it, whoever made that. */
    bool bind;
    /* Mount points that will be gone before it, with what is below them; NULL-terminated, or NULL.
     */
    const char *const *before;
};
/* *ret_who: who keeps it, at most a few, for people: "mounted at '/a' in the mount namespace of
 * process 12 (bash); in use by process 7 (dd)"; NULL: nobody. To be freed. Mounts in namespaces
 * without a process cannot be seen. Needs root: ERR_SYS (EACCES) otherwise; ERR_NOTFOUND: nothing
 * is mounted there. */
struct err *mount_holders(struct ctx *ctx, const struct mount_gone *g, char **ret_who) MUST_CHECK;
/* Of a bind: mount points below it that came with it (each shows a mount of somewhere else), the
 * deepest first. Appends. ERR_REFUSED: another mount is below it. */
struct strlist;
struct err *mount_bound_below(struct ctx *ctx, const char *target, struct strlist *ret) MUST_CHECK;
