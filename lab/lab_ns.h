#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"
#include "io/proc.h"

/* Work inside the lab's namespaces, done by a short-lived child: this process stays where it is. */
#define LAB_NS     "/run/agavectl/lab/ns"
#define LAB_NS_MNT LAB_NS "/mnt"
#define LAB_NS_NET LAB_NS "/net"

/* Both namespaces exist afterwards; they are made when they are not there. */
struct err *lab_ns_make(struct ctx *ctx, bool *ret_changed) MUST_CHECK;
/* /srv of the lab is a file system of its own in memory: nothing shows on the host. */
struct err *lab_ns_mount_srv(struct ctx *ctx) MUST_CHECK;
/* Everything below /srv, and /srv. ERR_REFUSED when something is in use. */
struct err *lab_ns_umount_srv(struct ctx *ctx) MUST_CHECK;
/* Both namespaces and their folder; absent: fine. */
struct err *lab_ns_remove(struct ctx *ctx) MUST_CHECK;
struct err *lab_ns_spawn(struct ctx *ctx, const struct proc_daemon_spec *spec, pid_t *ret_pid)
    MUST_CHECK;
/* A piece of work there; what it writes to said comes back. ret_said may be NULL. */
#define LAB_NS_SAID_B 2048
typedef struct err *lab_ns_work(struct ctx *ctx, void *arg, char said[LAB_NS_SAID_B]);
struct err *lab_ns_run(struct ctx *ctx, lab_ns_work *fn, void *arg, char ret_said[LAB_NS_SAID_B])
    MUST_CHECK;
bool lab_ns_there(void);
/* Processes whose mount namespace is the lab's: "process 12 (bash), …", or NULL for none. */
struct err *lab_ns_users(struct ctx *ctx, char **ret) MUST_CHECK;
