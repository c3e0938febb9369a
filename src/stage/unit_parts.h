#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "host/mounts.h"
#include "host/pids.h"
#include "look/scene.h"
#include "stage/finding.h"

/* What the parts of stage "unit" share: one look at the running validator. */
struct unit_look {
    struct ctx *ctx;
    struct scene *scene;
    const struct mounts *host;   /* the host's own mounts; empty when they cannot be read */
    const struct pids *pids;     /* the validator's processes; none: it does not run */
    const struct pid_info *main; /* the first of them, or NULL */
    bool own_view;               /* it sees the same mounts as we do */
    struct mounts view;          /* the mounts as it sees them; empty when it does not run, or
                                    cannot be read */
    struct err *blind;           /* why one of the two cannot be read; NULL: both were */
};

/* Each adds its findings; an error means that the part could not be looked at. */
struct err *unit_check_args(const struct unit_look *l, struct findings *ret) MUST_CHECK;
struct err *unit_check_zfs(const struct unit_look *l, struct findings *ret) MUST_CHECK;
struct err *unit_check_threads(const struct unit_look *l, struct findings *ret) MUST_CHECK;
struct err *unit_check_service(const struct unit_look *l, struct findings *ret) MUST_CHECK;
struct err *unit_check_memory(const struct unit_look *l, struct findings *ret) MUST_CHECK;
struct err *unit_check_cron(const struct unit_look *l, struct findings *ret) MUST_CHECK;
struct err *unit_check_timers(const struct unit_look *l, struct findings *ret) MUST_CHECK;
struct err *unit_check_upgrades(const struct unit_look *l, struct findings *ret) MUST_CHECK;
struct err *unit_check_rivals(const struct unit_look *l, struct findings *ret) MUST_CHECK;
struct err *unit_check_logrotate(const struct unit_look *l, struct findings *ret) MUST_CHECK;

/* The next value of a flag on a command line ("--flag value", "--flag=value", "-f value"), or NULL;
 * *at is 0 before the first call. Borrowed. */
const char *unit_arg_next(const struct pid_info *p, const char *flag, const char *short_flag,
                          size_t *at);
/* The last part of a path. Borrowed. */
const char *unit_base_name(const char *path);
