#pragma once

#include "base/known.h"
#include "config/config.h"
#include "solana/snapshot_load.h"

/* How the config's validator chooses what it begins from: its flags in validator.args, and the
 * version that the caller knows (or not). cfg may be NULL: the defaults of Agave. */
/* Its folders: validator.snapshots, and what validator.args say of archives. Borrows from cfg. */
struct snapdirs snapshot_dirs(const struct config *cfg);
/* The same of an argument list (without the program); dir: where nothing is said. */
struct snapdirs snapshot_dirs_of(const struct strlist *args, const char *dir);
/* Of --expected-shred-version: the cluster, and the fork of it, that this validator is of. Unknown:
 * not given, or no such number. */
struct known_u64 snapshot_shred_version(const struct config *cfg);
struct snapload_rules snapshot_rules(const struct config *cfg, const struct agave_version *v);
