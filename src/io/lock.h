#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* One operation at a time on a host: an flock on /run/agavectl/lock that holds "pid what\n". */
#define HOSTLOCK_PATH "/run/agavectl/lock"
struct hostlock;

/* ERR_REFUSED "another agavectl is at work: pid N (up); wait for it to end" when taken. */
struct err *hostlock_take(const char *path, const char *what, struct hostlock **ret) MUST_CHECK;
/* Who signed the lock: its pid and what it does ("up"; to be freed). Whether that process has it is
 * another question. ERR_NOTFOUND: no lock, or no signature yet. */
struct err *hostlock_signature(const char *path, pid_t *ret_pid, char **ret_what) MUST_CHECK;
struct hostlock *hostlock_release(struct hostlock *l); /* NULL is fine; returns NULL */
void hostlock_releasep(struct hostlock **l);

/* Is the flock of an existing file held by anyone? ERR_NOTFOUND when there is no file. The test
 * takes and drops it (Agave's ledger.lock: agave-validator 3.0.14, lib.rs, fd-lock). */
struct err *flock_held(const char *path, bool *ret) MUST_CHECK;
/* Takes the flock or says ERR_REFUSED at once; the caller closes ret_fd to drop it. */
struct err *flock_take(const char *path, int *ret_fd) MUST_CHECK;
