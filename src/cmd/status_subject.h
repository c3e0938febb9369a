#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "look/found.h"
#include "look/status.h"
#include "look/unit_config.h"

/* What status looks at: the unit of the config, or a validator that was found running. */
struct subject {
    struct unit_config *unit; /* NULL: no config */
    struct founds found;      /* no config: the first is meant */
    struct status_params params;
    struct rates_book book; /* of a watch */
};
/* Says on stderr what was chosen where the config does not. Needs ctx->cfg or finds the one
 * validator of this host. ERR_BADINPUT: there is none, or there are several (named); ERR_REFUSED:
 * this user cannot see. ret: {0}, to be cleared; params borrow from the rest and from ctx->cfg. */
struct err *subject_choose(struct ctx *ctx, struct subject *ret) MUST_CHECK;
/* Between two frames of a watch the process may have become another one, or none: params.pid 0. */
void subject_find_again(struct ctx *ctx, struct subject *s);
void subject_clear(struct subject *s);
