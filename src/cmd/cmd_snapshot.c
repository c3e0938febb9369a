/* agavectl snapshot: the group. Each command of it has a file of its own. */
#include "cmd/commands.h"

/* Alphabetical; one a line. */
/* clang-format off */
static const struct cmd *const snapshot_subs[] = {
    &cmd_snapshot_find,
    &cmd_snapshot_get,
    &cmd_snapshot_keep,
    &cmd_snapshot_list,
    &cmd_snapshot_prune,
    &cmd_snapshot_serve,
    &cmd_snapshot_verify,
    NULL,
};
/* clang-format on */

const struct cmd cmd_snapshot = {
    .name = "snapshot",
    .summary = "find, get, verify and keep snapshots",
    .usage = "",
    .detail = "A validator starts from a full snapshot and, where there is one, an incremental "
              "that builds on it. These commands find out who has which, get them from all who "
              "have the same at once, verify them while they arrive, and keep the folder in "
              "order.",
    .subs = snapshot_subs,
};
