#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "look/boot_proof.h"

/* What the files of this layer share. */

/* One of format, finish, leave, seen at a time; the others wait. The caller closes *ret_fd.
 * ERR_TIMEOUT, ERR_CANCELLED, ERR_SYS. */
struct err *boot_lock(struct ctx *ctx, int *ret_fd) MUST_CHECK;

/* How the boot before was left: two files in journal_dir that outlive a boot, each with the id of
 * one. `boot finish` notes every boot that it sees, `boot leave` the one that ended in order. */
#define BOOT_MARK_SEEN "last-boot"
#define BOOT_MARK_LEFT "left-in-order"
/* Of the boot before this one. *ret_now: this boot has been noted, so that the answer was given
 * before and *ret says nothing. */
struct err *boot_left_read(struct ctx *ctx, enum boot_left *ret, bool *ret_now) MUST_CHECK;
/* This boot is seen, and not left. Durable. */
struct err *boot_left_begin(struct ctx *ctx) MUST_CHECK;
/* This boot ends in order. Durable. */
struct err *boot_left_end(struct ctx *ctx) MUST_CHECK;

/* The validator of this config, in a container as well: *ret_who says which process, to be freed;
 * NULL: none. An error means that it could not be looked. */
struct err *boot_validator(struct ctx *ctx, char **ret_who) MUST_CHECK;

/* The proof to its place, and its copy to below the bind (without one: into the volume). */
struct err *boot_proof_save(struct ctx *ctx, const struct boot_proof *p) MUST_CHECK;

/* Seconds of the wall clock, UTC. */
uint64_t boot_clock_s(const struct ctx *ctx);
