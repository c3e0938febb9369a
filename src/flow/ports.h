#pragma once

#include "base/ctx.h"
#include "base/err.h"

/* Before a start: can the validator have the ports that the config names? ERR_REFUSED names the
 * first that is taken and by whom; ERR_BADINPUT: an address is none of this host's. Needs ctx->cfg.
 * To be asked only while the validator itself does not run. */
struct err *ports_check(struct ctx *ctx) MUST_CHECK;
