/* The one list of stages, in the order of application. */
#include "stage/table.h"

const struct stage *const stage_table[] = {
    /* 1: base system */
    &stage_packages,
    &stage_kernel,
    &stage_zfs,
    &stage_docker,
    /* 2: what the kind node sees */
    &stage_kind_root,
    /* 4: the validator's storage and limits, before anything of 3 or 5 is started */
    &stage_volume,
    &stage_ramdisk,
    &stage_bind,
    &stage_dirs,
    &stage_space,
    &stage_sysctl,
    &stage_limits,
    &stage_time,
    &stage_logrotate,
    /* new in place before the old is turned off, whenever the power goes */
    &stage_units,
    &stage_fstab,
    &stage_adopt,
    &stage_boot,
    &stage_firewall,
    /* 3: cluster */
    &stage_cluster,
    /* 5: the validator */
    &stage_propagation,
    &stage_unit,
    &stage_snapshots,
    &stage_health,
    &stage_relay,
    NULL,
};
