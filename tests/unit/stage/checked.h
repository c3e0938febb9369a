#pragma once

#include <stddef.h>

#include "base/ctx.h"
#include "config/config.h"
#include "fixture.h"
#include "stage/engine.h"

/* One stage looked at on a made-up host: files of a fixture, a config in its usual places. */
struct checked {
    struct fixture f;
    struct config *cfg;
    struct check_report r;
};
/* more: lines of YAML in place of the defaults, or NULL. The host has an XFS at /srv/solana and one
 * in memory below it, and no validator. */
void checked_new(struct checked *c, const char *more);
void checked_clear(struct checked *c);
/* The validator, process 100, in its cgroup, with the config's arguments and more. */
void checked_validator(struct checked *c, const char *more_args);
/* Looks anew. */
void checked_look(struct checked *c, const struct stage *s);
/* There must be a finding of this id and severity, and its text (what, want, got or source) must
 * have part; NULL: any. */
void checked_has(struct checked *c, const char *id, enum severity sev, const char *part);
/* There must be none of this id above SEV_OK. */
void checked_fine(struct checked *c, const char *id);
/* No finding at all that is worse than a note. */
void checked_clean(struct checked *c);
