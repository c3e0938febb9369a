#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "config/config.h"
#include "host/unit_file.h"
#include "look/scene.h"

/* The systemd unit that a control group belongs to ("sol.service", "session-1.scope"), or NULL. To
 * be freed. */
char *unit_of_cgroup(const char *cgroup);
/* The same when it is a service of its own; NULL: a session, a container, or a service that starts
 * programs for others. To be freed. */
char *service_of_cgroup(const char *cgroup);
/* Does it start the validator of the config? */
bool service_starts_it(const struct config *c, const struct unit_file *u);
/* The systemd service that runs the validator, or would: the one whose control group its process is
 * in, else the first of the administrator's that starts its program. ERR_NOTFOUND: there is none.
 * ret: to be cleared. */
struct err *service_find(struct ctx *ctx, struct scene *scene, struct unit_file *ret) MUST_CHECK;
