#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "stage/finding.h"
#include "stage/stage.h"

/* Which time service the next boot starts, and the link that enables one. */
struct time_services {
    const char *runs;       /* the program that disciplines the clock now, or NULL; static text */
    char *enabled, *masked; /* units, or NULL */
    /* The one unit that would be enabled: that of the program that runs, else the first of our list
     * that is installed; its file, and the link in the folder of the target that its file names
     * (WantedBy=). NULL: none, or one is enabled already. */
    char *unit, *file, *link;
    char *unset; /* one that is installed and can only be enabled by hand, or NULL */
};
void time_services_clear(struct time_services *s);
/* ret: {0}, to be cleared in any case. ERR_SYS, ERR_CORRUPT. */
struct err *time_services_find(struct ctx *ctx, struct time_services *ret) MUST_CHECK;

/* time.boot; only where systemd boots the host. */
struct err *time_boot_check(struct ctx *ctx, const struct time_services *s, struct findings *ret)
    MUST_CHECK;
/* Of the stage: one link, for the next boot alone. */
struct err *time_boot_plan(const struct ctx *ctx, const struct findings *f, struct plan *ret)
    MUST_CHECK;
struct err *time_boot_apply(struct ctx *ctx, const struct change *c) MUST_CHECK;
struct err *time_boot_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
    MUST_CHECK;
struct err *time_boot_undo(struct ctx *ctx, const struct change *c) MUST_CHECK;
