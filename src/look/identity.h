#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"
#include "look/scene.h"

/* The folders that the validator writes, as three parties see them: the host, the kind node, and
 * the validator itself (in its pod, or as a process of the host). A mount that did not get through
 * fails silently: the pod writes into the empty folder below the mount point. Two names are the
 * same folder when the kernel says so (st_dev and st_ino), and the tables of mounts lead to the
 * same folder of the same file system (proc(5), mountinfo: major:minor, root and what follows). */
enum identity_space { IDENTITY_HOST, IDENTITY_NODE, IDENTITY_POD, IDENTITY_SPACES };

enum identity_answer {
    IDENTITY_NOT_APPLICABLE, /* this space has no name for it, or there is no such space */
    IDENTITY_SAME,           /* as on the host; for the host: it is there */
    IDENTITY_DIFFERENT,
    IDENTITY_ABSENT, /* nothing is there under that name */
    IDENTITY_UNSEEN, /* could not look: why is never NULL; never ok */
};
/* What is there in place of the host's folder, with IDENTITY_DIFFERENT. */
enum identity_wrong {
    IDENTITY_WRONG_NONE,
    IDENTITY_WRONG_BELOW, /* the folder that the host's mount hides: the mount is missing there */
    IDENTITY_WRONG_STALE, /* a mount that the host does not have any more */
    IDENTITY_WRONG_OTHER, /* another folder or file system */
    IDENTITY_WRONG_OLD_BOOT, /* the sentinel of another boot, or a damaged one */
};
struct identity_view {
    enum identity_answer answer;
    enum identity_wrong wrong;
    char *path; /* its name there; NULL: it has none */
    char *is;   /* what is there, for people: "xfs 230:0 '/ledger', inode 131"; NULL: nothing */
    char *why;  /* what is wrong, or why it could not be seen; NULL with the other answers */
};
struct identity_place {
    /* "ledger", "accounts", "snapshots", "volume", "ramdisk" (their mount points), "sentinel" (of
     * the boot, look/boot_proof.h), or the name of a persistent volume of kubernetes.volumes that
     * leads to none of these. Owned. */
    char *name;
    struct identity_view views[IDENTITY_SPACES];
};
/* The node's mount that must pass on what is mounted on the host later. */
struct identity_receives {
    char *path; /* in the node: kind.mount, or a mount below it on the way to one of the places */
    bool ok;
    const char *got; /* mount_propagation; NULL: nothing is mounted there. Static text */
};
struct identity {
    struct {
        const char *who; /* "the host", "the kind node", "the validator's pod"; static text */
        pid_t pid;       /* whose root and table of mounts were looked at; 0: nobody's */
        bool none;       /* the config asks for none, or (pod) no validator runs */
        struct err *err; /* why all of it could not be looked at, or NULL */
    } spaces[IDENTITY_SPACES];
    struct identity_place *places;
    size_t n;
    struct identity_receives *receives; /* empty where the node could not be looked at */
    size_t n_receives;
};
void identity_clear(struct identity *i);

/* Looks at all of it, through /proc/<pid>/root, and follows no link out of it. Needs ctx->cfg. What
 * could not be looked at is in *ret; an error is only what no answer can be given without: the
 * host's own mounts. Blocks as scene_node does, and for the file systems' I/O. */
struct err *identity_look(struct ctx *ctx, struct scene *scene, struct identity *ret) MUST_CHECK;
/* NULL: there is no such place. */
const struct identity_place *identity_find(const struct identity *i, const char *name);
/* One space as a whole. SAME: at least one place is the same and none anything else, but for those
 * that do not apply; else the worst (UNSEEN, DIFFERENT, ABSENT). *ret_why: what is wrong with all
 * of it, to be freed; NULL with SAME and NOT_APPLICABLE. */
enum identity_answer identity_sum(const struct identity *i, enum identity_space space,
                                  char **ret_why);
