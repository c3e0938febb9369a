#pragma once

#include "base/ctx.h"
#include "base/err.h"

/* How the system calls us later, from its own folder and without our environment: the real path of
 * this program and of its config (NULL: the defaults). Both to be freed. ERR_SYS. */
struct err *self_paths(struct ctx *ctx, char **ret_program, char **ret_config) MUST_CHECK;
