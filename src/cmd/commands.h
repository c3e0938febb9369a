#pragma once

#include "cmd/cmd.h"

/* Every command, one a line, alphabetical: each is defined in cmd_<name>.c and listed in table.c.
 */
extern const struct cmd cmd_boot;
extern const struct cmd cmd_boot_check; /* a part of cmd_boot */
extern const struct cmd cmd_check;
extern const struct cmd cmd_commands;
extern const struct cmd cmd_completion;
extern const struct cmd cmd_config;
extern const struct cmd cmd_config_init; /* a part of cmd_config */
extern const struct cmd cmd_help;
extern const struct cmd cmd_history;
extern const struct cmd cmd_lab;
/* Parts of lab, in files of their own. */
extern const struct cmd cmd_lab_drill;
extern const struct cmd cmd_lab_fault;
extern const struct cmd cmd_lab_heal;
extern const struct cmd cmd_log;
extern const struct cmd cmd_man;
extern const struct cmd cmd_op;
extern const struct cmd cmd_prepare;
extern const struct cmd cmd_restart;
extern const struct cmd cmd_shreds;
extern const struct cmd cmd_snapshot;
extern const struct cmd cmd_snapshot_find; /* parts of cmd_snapshot */
extern const struct cmd cmd_snapshot_get;
extern const struct cmd cmd_snapshot_keep;
extern const struct cmd cmd_snapshot_list;
extern const struct cmd cmd_snapshot_serve;
extern const struct cmd cmd_snapshot_prune;
extern const struct cmd cmd_snapshot_verify;
extern const struct cmd cmd_start;
extern const struct cmd cmd_status;
extern const struct cmd cmd_stop;
extern const struct cmd cmd_up;
extern const struct cmd cmd_version;
