#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* A release of Agave, for rules that differ between them. */
struct agave_version {
    bool known;
    uint32_t major, minor, patch;
};
/* "3.0.14", "v3.0.14", "3.1", "4.0.0-rc.1", or a line that holds "agave-validator 3.0.14" (what
 * --version prints). ERR_BADINPUT, also below 3.0: whose rules are not known here. */
struct err *agave_version_parse(const char *text, struct agave_version *ret) MUST_CHECK;
/* Of a known version: is it lower than major.minor? */
bool agave_version_before(const struct agave_version *v, uint32_t major, uint32_t minor);
