#pragma once

#include "base/ctx.h"
#include "lab/lab.h"

/* ERR_NOTFOUND: no lab; ERR_REMOTE, ERR_CORRUPT: not our file. */
struct err *lab_state_read(struct ctx *ctx, struct lab_state *ret) MUST_CHECK;
struct err *lab_state_write(struct ctx *ctx, const struct lab_state *s) MUST_CHECK;
