#pragma once

#include <stdbool.h>

#include "base/ctx.h"

/* Why the hash of an archive is believed, from agavectl's note beside it (fetch/provenance.h):
 * "known-validator", "peers:5", "source", "any". NULL: it was not fetched by agavectl, or the note
 * cannot be read. path: the archive's; dir: the folder of snapshots. To be freed. */
char *snapshot_trust(struct ctx *ctx, const char *dir, const char *path);
/* Has nobody vouched for it (--trust-any)? trust may be NULL. */
bool snapshot_trust_is_any(const char *trust);
