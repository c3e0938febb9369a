/* The one list of commands, alphabetical. */
#include "cmd/commands.h"

const struct cmd *const cmd_table[] = {
    &cmd_help,
    &cmd_shreds,
    &cmd_version,
    NULL,
};
