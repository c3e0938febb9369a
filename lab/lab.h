#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "base/err.h"

/* A validator host and a small Solana world on this machine: block devices, a mount and a network
 * namespace, the world's process, and a config with which every command of agavectl works on it. */
#define LAB_DIR    "/run/agavectl/lab"     /* state, config, keys, namespaces */
#define LAB_DATA   "/var/lib/agavectl/lab" /* the volume's image, programs, the world's files */
#define LAB_CONFIG LAB_DIR "/agavectl.yaml"
#define LAB_UID    1000 /* the validator's and the world's user and group */

struct lab_opts {
    const char *programs; /* folder of agavectl-lab-validator and agavectl-lab-world; NULL: ours */
    uint64_t volume_b, ramdisk_b;
    uint64_t seed;
    uint64_t time_scale; /* the world's clock runs so many times faster */
    uint64_t nodes;      /* RPC nodes beside the first three; of a lab that is up as well */
    uint64_t members;    /* of the cluster without RPC; at the start only */
};

/* What is there. Texts are owned. */
struct lab_state {
    char *boot_id, *image, *volume, *ramdisk; /* devices: "" until they are made */
    bool ramdisk_is_loop;                     /* no zram on this machine: a second loop device */
    char *zram_before; /* names of the zram devices that were there before ours was made */
    uint64_t ramdisk_b;
    pid_t world_pid;
    uint64_t world_start;
    uint64_t seed, time_scale;
    bool complete; /* up came to its end */
};
void lab_state_clear(struct lab_state *s);

/* step: "disk", "ramdisk", "namespaces", "world", …; changed false: it was there already. */
struct lab_report {
    void (*step)(void *arg, bool changed, const char *step, const char *text);
    void *arg;
};

/* ERR_NOTFOUND when no lab is up on this machine since it was started. */
struct err *lab_read(struct ctx *ctx, struct lab_state *ret) MUST_CHECK;
/* Needs root. Everything that is there is left as it is; a lab that is half up (killed in the
 * middle, or before a reboot) is taken away first. On failure nothing is left.
 * ERR_ABSENT: a program is missing. *ret_changed: anything was made. */
struct err *lab_up(struct ctx *ctx, const struct lab_opts *opts, const struct lab_report *report,
                   bool *ret_changed) MUST_CHECK;
/* Ends the world, unmounts, detaches and removes everything. The lab's validator must have been
 * stopped before (ERR_REFUSED names who still uses the lab). No lab: nothing happens, *ret_changed
 * is false. */
struct err *lab_down(struct ctx *ctx, const struct lab_report *report, bool *ret_changed)
    MUST_CHECK;
/* This process joins the lab's network and mount namespaces; the working directory is kept. Call it
 * with one thread, before any file below the root is opened: a descriptor from before still sees
 * the host's mounts. ERR_NOTFOUND, ERR_SYS. */
struct err *lab_enter(void) MUST_CHECK;
