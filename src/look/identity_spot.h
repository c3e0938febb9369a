#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"
#include "host/mounts.h"

/* One path in one mount namespace, for look/identity.c. */
struct spot_space {
    struct ctx *ctx;
    int root_fd;  /* O_PATH on the process's root; -1: of a captured host */
    char *prefix; /* "", "/proc/500/root": that root as the host names it */
    struct mounts mounts;
};
/* pid 0: this process and ctx->root. root and mounts are of one process, also when the pid is used
 * again. ERR_NOTFOUND: it is gone; ERR_SYS (EACCES, EPERM: no rights), ERR_CORRUPT. ret is to be
 * cleared. */
struct err *spot_space_open(struct ctx *ctx, pid_t pid, struct spot_space *ret) MUST_CHECK;
void spot_space_clear(struct spot_space *s);

struct spot {
    bool has_ids; /* dev and ino are known: not on a captured host, unless it says so */
    dev_t dev;
    uint64_t ino;
    const struct mount_info *on; /* of the space; NULL: its table does not have it */
    char *inner;                 /* the folder of the file system, with on; NULL: not known */
};
void spot_clear(struct spot *s);
/* What is at an absolute path. Links are followed and never lead out of the process's root.
 * ERR_NOTFOUND: nothing (or a part of the path is no folder); ERR_SYS. On a captured host a path
 * that it does not list is where its table of mounts says. */
struct err *spot_look(const struct spot_space *s, const char *path, struct spot *ret) MUST_CHECK;
/* The same folder or file: by the numbers where both are known, and by the tables where both are.
 */
bool spot_same(const struct spot *a, const struct spot *b);
/* "xfs 230:0 '/ledger', inode 131". To be freed. */
char *spot_text(const struct spot *s);
/* Is b what the mounts of path on the host hide, at any depth? Then the mount that hides it, else
 * NULL. Of host's. */
const struct mount_info *spot_hidden_by(const struct spot_space *host, const char *path,
                                        const struct spot *b);
/* A small plain file, not through a link at its end. Errors as spot_look's; ERR_BADINPUT: it is no
 * plain file, or larger than max_b. */
struct err *spot_read(const struct spot_space *s, const char *path, size_t max_b, char **ret,
                      size_t *ret_n) MUST_CHECK;
