#pragma once

#include "base/ctx.h"
#include "base/err.h"

#define LOGROTATE_PATH "/etc/logrotate.d/agavectl"

/* The block that turns the validator's log, logrotate(8) 3.21, without the mark. To be freed.
 * ERR_BADINPUT: a path in it cannot be written in its syntax. ERR_SYS. */
struct err *logrotate_text(struct ctx *ctx, char **ret) MUST_CHECK;
