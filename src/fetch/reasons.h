#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/known.h"
#include "base/str.h"
#include "fetch/blacklist.h"
#include "fetch/find.h"
#include "fetch/rank.h"
#include "fetch/trust.h"

/* Which of the nodes that were found can be used, and of those that cannot, why: judged with
 * limits, some of which give way when nothing fits. Pure. */
struct reasons_limits {
    struct known_u64 tip;    /* unknown: the highest slot that is believed stands in for it */
    uint64_t max_age;        /* slots behind the tip, now and when it would be here; 0: no limit */
    uint64_t max_latency_us; /* 0: no limit */
    double min_rate_b_s;     /* 0: no limit; a rate that is unknown passes */
    struct known_u64 shred_version;         /* unknown: that of most of the nodes */
    const struct strlist *exclude_versions; /* "3.0.1"; "3.0" is 3.0.0, 3.0.1, ...; NULL: none */
    const struct blacklist *blacklist;      /* NULL: none */
    uint64_t now_ms;                        /* since 1970, for the blacklist */
    struct trust_limits trust;
    bool trust_any;
    bool full_only; /* incremental archives are nothing */
    bool incr_only; /* only what builds on have_slot */
    /* The full archive that is here already, verified; hash NULL: none. */
    const char *have_hash;
    uint64_t have_slot, have_b;
    struct rank_rates rates;
    double guess_b_s; /* the rate of those that were not measured */
};

/* One for each offer. */
struct reasons_verdict {
    enum fetch_reason reason;
    uint32_t against; /* 1 << reason: every limit that it breaks; 0 for the faults of find */
    bool with_incr;   /* the way is full + incremental */
    bool have_full;
    uint64_t slot;  /* the resulting one */
    uint64_t get_b; /* to be fetched; UINT64_MAX: unknown */
    bool measured;  /* time is of a measured rate and known sizes */
    struct rank_time time;
};
struct reasons {
    struct reasons_verdict *verdicts; /* as found->offers */
    size_t n;
    size_t *order; /* indices of the usable ones, best first */
    size_t n_usable;
    struct trust_book trust;
    uint64_t tip; /* that was used */
    bool tip_known;
    uint64_t full_interval;
    size_t count[FETCH_REASONS_N]; /* with the nodes that tell no address */
};
void reasons_clear(struct reasons *r);
/* found must outlive ret. */
void reasons_judge(const struct fetch_found *found, const struct reasons_limits *l,
                   struct reasons *ret);

/* The same; where nothing is usable, limits give way one after another until something is: the
 * latency, the rate, then the age, doubled up to max_age_end. Never trust, and never what makes a
 * snapshot wrong. *l is what was used in the end; said: a line for each limit that gave way. */
void reasons_relax(const struct fetch_found *found, struct reasons_limits *l, uint64_t max_age_end,
                   struct reasons *ret, struct strlist *said);

/* "312 no-answer, 14 too-old, 3 untrusted", the most first; "" when there is none. */
char *reasons_text(const struct reasons *r);

/* The one limit that would let the most nodes in when it gave way; where there is none, what to do
 * about the reason that most have. */
struct reasons_advice {
    enum fetch_reason limit; /* FETCH_USABLE: there is none */
    size_t nodes;
    char *text; /* "2 nodes are only too old: --max-age 24100 would help"; or NULL */
};
void reasons_advise(const struct fetch_found *found, const struct reasons *r,
                    struct reasons_advice *ret);
void reasons_advice_clear(struct reasons_advice *a);

/* Is version one of those excluded? "3.0" excludes 3.0 and 3.0.x, not 3.01. */
bool reasons_version_is(const char *version, const char *excluded);
