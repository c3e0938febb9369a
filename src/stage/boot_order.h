#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"

/* Is there a circle in the order in which the next boot starts the storage and what needs it?
 * systemd breaks one by dropping a job, says so in a line of its log, and goes on: "running", with
 * the mount missing. Looked for in what lies on the disk: the early targets, the mounts of
 * /etc/fstab, the given units, enabled services of the administrator, and whatever these pull in,
 * with the dependencies that systemd 252 adds by itself (systemd.unit(5), systemd.service(5),
 * systemd.mount(5), "Default Dependencies"). *ret_circle: "a.service, b.mount, a.service", each
 * before the next; NULL: none. To be freed. ERR_SYS, ERR_CORRUPT. */
struct err *boot_order_circle(struct ctx *ctx, const struct strlist *units, char **ret_circle)
    MUST_CHECK;
