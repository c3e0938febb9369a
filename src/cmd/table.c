/* The one list of commands, alphabetical; one a line. */
#include "cmd/commands.h"

/* clang-format off */
const struct cmd *const cmd_table[] = {
    &cmd_commands,
    &cmd_boot,
    &cmd_check,
    &cmd_completion,
    &cmd_config,
    &cmd_help,
    &cmd_history,
    &cmd_lab,
    &cmd_log,
    &cmd_man,
    &cmd_op,
    &cmd_prepare,
    &cmd_restart,
    &cmd_shreds,
    &cmd_snapshot,
    &cmd_start,
    &cmd_status,
    &cmd_stop,
    &cmd_up,
    &cmd_version,
    NULL,
};
/* clang-format on */
