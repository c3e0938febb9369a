/* The one list of commands, alphabetical. */
#include "cmd/commands.h"

/* clang-format off: one a line, so that two additions do not meet */
const struct cmd *const cmd_table[] = {
    &cmd_config, &cmd_help, &cmd_lab, &cmd_shreds, &cmd_version, NULL,
};
/* clang-format on */
