#pragma once

#include "base/ctx.h"
#include "base/err.h"

enum ns_kind { NS_MNT, NS_NET };

/* Named namespaces: a file at path with the namespace bound on it (nsfs), so that it lives without
 * a process. The mount that holds path must not be shared with others, or the kernel refuses to
 * bind a mount namespace there: ns_dir_make gives such a folder. */
/* The folder (0755, with parents), on a private mount: bound on itself when it must be. Doing it
 * again is fine. */
struct err *ns_dir_make(struct ctx *ctx, const char *dir) MUST_CHECK;
/* Takes back what ns_dir_make did; ERR_REFUSED while a namespace is still bound in it. Absent:
 * fine. */
struct err *ns_dir_remove(struct ctx *ctx, const char *dir) MUST_CHECK;

/* A new, empty namespace at path, which must not exist (ERR_REFUSED). In a mount namespace every
 * mount is made private; in a network namespace lo is up. Nothing is left behind on failure. */
struct err *ns_create(struct ctx *ctx, const char *path, enum ns_kind kind) MUST_CHECK;
/* This process (which must have one thread for NS_MNT) joins. ERR_NOTFOUND, ERR_SYS. Its working
 * directory and root become those of the namespace. */
struct err *ns_enter(const char *path, enum ns_kind kind) MUST_CHECK;
/* Unbinds and removes the file; the namespace ends with its last process. Absent: fine. */
struct err *ns_delete(struct ctx *ctx, const char *path) MUST_CHECK;
/* lo of the network namespace that the caller is in. */
struct err *ns_lo_up(void) MUST_CHECK;
