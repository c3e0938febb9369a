#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"
#include "look/status.h"
#include "runtime/runtime.h"

/* What the config means for the runtime: the unit with its complete command line, and what status
 * looks at. Borrows from ctx->cfg, which must outlive it. */
struct unit_config {
    struct unit unit;
    const struct runtime *runtime; /* NULL: no driver (unit_config_look alone) */
    char *rpc_url;                 /* of the node itself */
    struct unit_systemd systemd;   /* what unit.systemd points to, where it does */

    char *bin;
    struct strlist argv, env;
};

/* Needs ctx->cfg. agave_bin: in place of validator.bin, or NULL. Whether the program is there and
 * the config is enough to start it is not asked here: stop and status must work without.
 * ERR_ABSENT: this version has no driver for the config's runtime. */
struct err *unit_config_new(struct ctx *ctx, const char *agave_bin, struct unit_config **ret)
    MUST_CHECK;
/* The same for who only looks: without a driver runtime is NULL. */
struct err *unit_config_look(struct ctx *ctx, const char *agave_bin, struct unit_config **ret)
    MUST_CHECK;
/* May it be started? To be asked before a start. ERR_ABSENT (no such program), ERR_BADINPUT (a key
 * of the config is missing, or validator.args repeats what another key says). */
struct err *unit_config_check(struct ctx *ctx, const struct unit_config *u) MUST_CHECK;
struct unit_config *unit_config_free(struct unit_config *u); /* NULL is fine; returns NULL */
void unit_config_freep(struct unit_config **u);

/* Borrows from u and from ctx->cfg. */
struct status_params unit_config_status(const struct ctx *ctx, const struct unit_config *u);
