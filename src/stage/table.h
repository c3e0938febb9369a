#pragma once

#include "stage/stage.h"

/* The stages, each in the file of its name; the order is in table.c. */
extern const struct stage stage_volume, stage_ramdisk, stage_bind, stage_dirs;
extern const struct stage stage_space, stage_sysctl, stage_limits, stage_time;
extern const struct stage stage_logrotate;
extern const struct stage stage_fstab, stage_units, stage_adopt, stage_boot;
extern const struct stage stage_kind_root, stage_packages, stage_kernel, stage_zfs;
extern const struct stage stage_docker, stage_cluster, stage_propagation;
extern const struct stage stage_unit, stage_snapshots, stage_health, stage_firewall, stage_relay;
