#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "config/config.h"
#include "host/cgroup.h"
#include "host/unit_file.h"
#include "look/scene.h"

/* Does it start the validator of the config? */
bool service_starts_it(const struct config *c, const struct unit_file *u);
/* The systemd service that runs the validator, or would: the one whose control group its process is
 * in, else the first of the administrator's that starts its program. ERR_NOTFOUND: there is none.
 * ret: to be cleared. */
struct err *service_find(struct ctx *ctx, struct scene *scene, struct unit_file *ret) MUST_CHECK;
