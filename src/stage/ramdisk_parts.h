#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "look/scene.h"
#include "stage/disk.h"
#include "stage/finding.h"
#include "stage/stage.h"

/* The parts of the stage ramdisk, for its own files alone. */
#define RAMDISK_LAYER 4
#define RAMDISK_CONF  "/etc/modprobe.d/agavectl-ramdisk.conf"
#define RAMDISK_LABEL "accounts"

enum {
    RAMDISK_VERB_CONF = DISK_VERB_END,
    RAMDISK_VERB_LOAD,   /* the module; arg, of zram: "DEVICE\nIDENTITY" of the one to come */
    RAMDISK_VERB_RELOAD, /* brd with another size */
    RAMDISK_VERB_ADD,    /* a zram device */
    RAMDISK_VERB_TMPFS,
};

/* Old of an added zram: it was there without a size, as the module makes its first ones. */
#define RAMDISK_UNSIZED "without a size"

uint64_t ramdisk_size_b(const struct config *cfg);
struct disk ramdisk_disk(const struct config *cfg);

/* Accounts and bank snapshots are one object: without the accounts Agave would exit at every start
 * from the latter. Nothing is done where the accounts lie elsewhere. */
struct err *ramdisk_forget_bank_state(struct ctx *ctx, const char *reason) MUST_CHECK;

/* ramdisk_make.c: the device of the kinds brd and zram. Fills made_as, remake and make_blocked of
 * *d; *ret_text keeps the text of made_as. */
struct err *ramdisk_check_device(struct ctx *ctx, struct scene *scene, struct disk *d,
                                 char **ret_text, struct findings *ret) MUST_CHECK;
/* Changes for what it found; *ret_remake: a device that is there goes first. */
void ramdisk_plan_device(const struct config *cfg, const struct findings *f, struct plan *ret,
                         bool *ret_remake);
struct err *ramdisk_apply_device(struct ctx *ctx, const struct change *c) MUST_CHECK;

/* ramdisk_conf.c: what modprobe.d says of brd. */
struct err *ramdisk_check_conf(struct ctx *ctx, struct findings *ret) MUST_CHECK;
void ramdisk_plan_conf(const struct config *cfg, const struct findings *f, struct plan *ret);

/* ramdisk_fits.c: does a RAM disk of that size fit into the machine beside the validator? Adds
 * ramdisk.fits. *ret false: it does not, or that could not be seen. */
struct err *ramdisk_check_fits(struct ctx *ctx, struct scene *scene, struct findings *ret,
                               bool *ret_fits) MUST_CHECK;

/* ramdisk_tmpfs.c */
struct err *ramdisk_check_tmpfs(struct ctx *ctx, struct scene *scene, const struct disk *d,
                                struct findings *ret) MUST_CHECK;
struct err *ramdisk_mount_tmpfs(struct ctx *ctx, const struct change *c) MUST_CHECK;

/* ramdisk_undo.c: as struct stage has them. */
struct err *ramdisk_undo_look(struct ctx *ctx, const struct change *c, struct undo_look *ret)
    MUST_CHECK;
struct err *ramdisk_undo(struct ctx *ctx, const struct change *c) MUST_CHECK;

/* ramdisk_cost.c: notes that change nothing. */
struct err *ramdisk_check_kind(struct ctx *ctx, struct scene *scene, struct findings *ret)
    MUST_CHECK;
struct err *ramdisk_check_odirect(struct ctx *ctx, struct findings *ret) MUST_CHECK;
