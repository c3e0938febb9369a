#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "fetch/partial.h"
#include "solana/snapshot_archive.h"

/* Checks an archive while it arrives: a thread that reads behind the frontier of a partial file and
 * is done a moment after the last byte. */
struct verifier;

/* name: the final one; hash_must: as in snapcheck_limits. The partial file is borrowed and must
 * outlive it. ERR_BADINPUT (name), ERR_SYS. */
struct err *verifier_start(const struct partial *p, const char *name, bool hash_must,
                           struct verifier **ret) MUST_CHECK;
/* The frontier may have moved. */
void verifier_wake(struct verifier *v);
/* Of the file's beginning. */
uint64_t verifier_done_b(const struct verifier *v);
/* It has an answer, good or bad. */
bool verifier_is_over(const struct verifier *v);
/* Waits for the answer, at most wait_ms; returns whether it is there. */
bool verifier_wait(struct verifier *v, uint32_t wait_ms);
/* The answer; only once and only when it is over. ERR_CORRUPT with what is wrong, near *ret_at_b;
 * ERR_SYS. */
struct err *verifier_answer(struct verifier *v, struct snapcheck_report *ret, uint64_t *ret_at_b)
    MUST_CHECK;
/* Ends it at once. NULL is fine; returns NULL. */
struct verifier *verifier_free(struct verifier *v);
void verifier_freep(struct verifier **v);
