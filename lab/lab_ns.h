#pragma once

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
/* Processes whose mount namespace is the lab's: "process 12 (bash), …", or NULL for none. */
struct err *lab_ns_users(struct ctx *ctx, char **ret) MUST_CHECK;
