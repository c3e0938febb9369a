#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"

/* What is done at every boot, by units that the stage units writes, and by nobody else. Each can be
 * called again at any time of a boot, also under a running validator: what has been done is left
 * as it is and looked at again. They take no host lock, for they run before everything else and
 * beside whatever goes on, but one of their own. All need ctx->cfg and root. What was done or seen
 * is appended to ret_said, a line each. */

/* Before the RAM disk is mounted: a fresh file system on it, noted in the proof
 * (look/boot_proof.h). Nothing to format is success. Errors as ramdisk_make_fresh's, ERR_TIMEOUT
 * (the lock). */
struct err *boot_format(struct ctx *ctx, struct strlist *ret_said) MUST_CHECK;

/* After the mounts and before whatever could start the validator: looks whether the right devices
 * are mounted and the bind leads to the volume, makes the accounts folder and gives it to its
 * owner, puts local state aside whose accounts are lost, completes the proof, copies it below the
 * bind, and writes BOOT_OK_PATH as the last. ERR_CORRUPT: the storage is not as it must be, with
 * all that is wrong; BOOT_OK_PATH is gone then. */
struct err *boot_finish(struct ctx *ctx, struct strlist *ret_said) MUST_CHECK;

/* At the end of an orderly shutdown, after what runs the validator: notes for the next boot that
 * nothing was torn off. Left out, which is no error, while a validator is there or may be, and when
 * the host is not going down. */
struct err *boot_leave(struct ctx *ctx, struct strlist *ret_said) MUST_CHECK;

/* After the boot: do kind node and pod have the host's folders before them? Fills their
 * columns of the proof. wait: looks again until it is so or the deadline of this boot
 * (boot.seen_timeout_s after it) has passed; else once. ERR_TIMEOUT: that deadline, with what is
 * missing, which is in the proof as well; ERR_NOTFOUND: the storage is not ready, or (without wait)
 * what is missing so far; ERR_CANCELLED. */
struct err *boot_seen(struct ctx *ctx, bool wait, struct strlist *ret_said) MUST_CHECK;
