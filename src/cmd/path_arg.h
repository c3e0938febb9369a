#pragma once

#include "base/err.h"

/* A path as it was typed, made absolute from the working directory: ctx->root takes no other. To be
 * freed. ERR_SYS. */
struct err *path_arg(const char *path, char **ret) MUST_CHECK;
