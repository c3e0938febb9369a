#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"
#include "runtime/runtime.h"

/* The one gate in front of everything that a running validator would not survive: unmounting,
 * wiping, restarting its node, rebooting. While a proof is held, so is the ledger's
 * lock: a validator that somebody starts meanwhile refuses to run. */
struct stop_proof;

/* No process or thread of the unit on this host, none in uninterruptible sleep, and the ledger's
 * lock in our hands. ERR_REFUSED names who is left (pid, threads, state, where they wait); any
 * other error means that it could not be looked, which is no proof. A ledger folder that does not
 * exist has no validator on it. */
struct err *stop_prove(struct ctx *ctx, const struct runtime *rt, const struct unit *u,
                       struct stop_proof **ret) MUST_CHECK;
/* Drops the lock. NULL is fine; returns NULL. */
struct stop_proof *stop_proof_release(struct stop_proof *p);
void stop_proof_releasep(struct stop_proof **p);

/* Who they are and in what state, with their threads in uninterruptible sleep: "process 12 (agave-
 * validator, sleeping)". For people; never fails, says so where it could not look. To be freed. */
char *stop_who(struct ctx *ctx, const pid_t *pids, size_t n);
/* Threads of these processes that are in uninterruptible sleep, one text a thread: tid, name,
 * wchan, and the file and mount that its system call works on where the kernel tells. For people.
 */
struct err *stop_stuck(struct ctx *ctx, const pid_t *pids, size_t n, struct strlist *ret)
    MUST_CHECK;
