#pragma once

#include "fixture.h"

/* What the runbook's playbook leaves in /etc/systemd/system: units that format the RAM disk and
 * make the folder in it, and Docker's drop-in, which waits for both. */
#define RUNBOOK_ETC "/etc/systemd/system/"
/* Of storage and runtime as in its fstab. */
#define RUNBOOK_CONFIG                                                                             \
    "storage:\n  volume: {device: /dev/zvol/tank/solana}\n  ramdisk: {device: /dev/ram0}\n"        \
    "validator: {runtime: kubernetes}\n"
#define RUNBOOK_FORMAT                                                                             \
    "[Unit]\nDefaultDependencies=no\nBefore=srv-solana-ramdisk.mount local-fs.target\n"            \
    "[Service]\nType=oneshot\nExecStart=/usr/sbin/mkfs.xfs -q -f -K /dev/ram0\n"
#define RUNBOOK_ACCOUNTS                                                                           \
    "[Unit]\nRequiresMountsFor=/srv/solana/ramdisk\n[Service]\n"                                   \
    "ExecStart=/usr/bin/install -d -m 0755 -o 1000 -g 1000 /srv/solana/ramdisk/accounts\n"

/* A systemd with Docker's unit and this fstab, and nothing for the storage. */
void runbook_bare(struct fixture *f, const char *fstab);
/* The units of the RAM disk; the one of the folder is enabled. */
void runbook_units(struct fixture *f);
/* The drop-in. */
void runbook_docker(struct fixture *f);
/* The same drop-in with a setting of somebody's own in it: agavectl cannot take it over. */
void runbook_docker_with_more(struct fixture *f);
