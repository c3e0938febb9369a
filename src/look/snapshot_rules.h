#pragma once

#include "config/config.h"
#include "solana/snapshot_load.h"

/* How the config's validator chooses what it begins from: its flags in validator.args, and the
 * version that the caller knows (or not). cfg may be NULL: the defaults of Agave. */
struct snapload_rules snapshot_rules(const struct config *cfg, const struct agave_version *v);
