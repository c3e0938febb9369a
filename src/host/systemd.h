#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"

/* Is this host booted by systemd (sd_booted(3): /run/systemd/system; of a captured host its first
 * process tells as well)? */
struct err *systemd_booted(struct ctx *ctx, bool *ret) MUST_CHECK;
/* Makes the manager read its files again (Manager.Reload of org.freedesktop.systemd1, systemd 252).
 * Nothing is started or stopped by it. Where systemd has not booted the host, nothing is done.
 * ERR_ABSENT (no bus), ERR_REFUSED, ERR_TIMEOUT, ERR_REMOTE. Blocks, at most 90 s. */
struct err *systemd_reload(struct ctx *ctx) MUST_CHECK;
