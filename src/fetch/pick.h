#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "fetch/find.h"

/* Which of the offers to take. */

/* Limits of a choice. The resulting slot (the incremental's, or the full one's without) must lie in
 * [min_slot, max_slot]. */
struct fetch_want {
    uint64_t min_slot, max_slot; /* max 0: no limit */
    /* Resulting slots at most this far below the highest are as good as it: among them the choice
     * that needs the fewest bytes wins. 0: the highest slot, whatever it costs. */
    uint64_t near_slots;
    /* Final names of archives that are here already and verified: nothing to fetch. May be NULL. */
    const struct strlist *have;
    /* Final names that no source could deliver: not chosen again. May be NULL. */
    const struct strlist *avoid;
};
struct fetch_choice {
    char *full, *incr;                   /* final names; incr NULL: the full one alone is best */
    uint64_t full_slot, slot;            /* slot: the resulting one */
    bool have_full, have_incr;           /* among want->have: nothing to fetch */
    struct strlist full_urls, incr_urls; /* where each is, in the order of the sources */
    uint64_t full_b, incr_b;             /* UINT64_MAX: unknown */
    char *warning;                       /* sources disagree about a slot's hash, or NULL */
};
/* Pure. The pair with the highest resulting slot (see near_slots); between equals the one that
 * needs fewer bytes, then the source named first. When sources disagree about a slot's hash, what
 * most of them say is taken. ERR_NOTFOUND with every source's reason when nothing fits. */
struct err *fetch_pick(const struct fetch_found *f, const struct fetch_want *want,
                       struct fetch_choice *ret) MUST_CHECK;
void fetch_choice_clear(struct fetch_choice *c);
