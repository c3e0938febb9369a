#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "host/pids.h"

/* Which processes use which files, in whatever mount namespace they live: a container's process
 * shows paths of its own, so places are compared as (file system, path within it). Needs root for
 * other users' processes: ERR_SYS (EACCES) otherwise, never "nobody". A process that has
 * capabilities which this root lacks cannot be looked at; ret->unseen counts those. */

/* Processes that have a file open, their working directory, root, executable or a mapped file at or
 * below folder, or on a mount below it. Kernel threads are left out. ERR_NOTFOUND (no folder). */
struct err *pids_using(struct ctx *ctx, const char *folder, struct pids *ret) MUST_CHECK;
/* Processes that hold an flock on the file: the one that took it and those that inherited the
 * descriptor. ERR_NOTFOUND (no file); ERR_SYS when it is locked by somebody who cannot be seen. */
struct err *pids_flock_holders(struct ctx *ctx, const char *file, struct pids *ret) MUST_CHECK;
