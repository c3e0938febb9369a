#pragma once

#include "base/ctx.h"
#include "base/err.h"

/* How the system calls us later, from its own folder and without our environment: the real path of
 * this program and of its config (NULL: the defaults). Both to be freed. ERR_SYS. */
struct err *self_paths(struct ctx *ctx, char **ret_program, char **ret_config) MUST_CHECK;
/* Why root must not be made to run this program at every boot: not installed (below /tmp or
 * /var/tmp, or its file is deleted), or somebody else than root can put another one in its place
 * (file or folders up to /; a sticky folder keeps what is root's). *ret_why: NULL, it may; else for
 * people, to be freed. Where this is no captured host and not its /, a missing program may as well.
 * ERR_SYS. */
struct err *self_unsafe(struct ctx *ctx, const char *program, char **ret_why) MUST_CHECK;
