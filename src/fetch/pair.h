#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"
#include "fetch/archive.h"
#include "fetch/blacklist.h"
#include "fetch/find.h"
#include "fetch/reasons.h"
#include "fetch/trust.h"
#include "solana/snapshot_local.h"

/* A snapshot to start from, in one plan: who has what (find.h), whom to believe (trust.h), with
 * what the tip is reached soonest (rank.h), the full archive from all who have it (archive.h), and
 * then, since it ages meanwhile, the newest incremental for it; and another one until the end is
 * near enough to the tip. What is here already is not fetched again. */

/* What is about to be fetched; texts are borrowed for the call. */
struct pair_plan {
    const char *full, *incr; /* final names; incr NULL: the full one alone */
    bool have_full;          /* it is here */
    uint64_t full_b, incr_b; /* UINT64_MAX: unknown; of the full one 0 when it is here */
    uint64_t slot, tip;      /* the resulting one; the cluster's */
    bool tip_known;
    size_t full_sources, incr_sources;
    const char *full_trust, *incr_trust; /* trust_text; "any": nobody vouches; NULL: not fetched */
    const struct rank_time *time;
    bool measured;                 /* time is of measured rates, else of a guess */
    uint64_t need_b, free_b;       /* of the disk: full, two incrementals and what must be left */
    const struct strlist *relaxed; /* limits that gave way */
};
struct pair_events {
    void (*say)(void *arg, const char *text); /* what is done now */
    /* Before the first byte, once. An error ends everything; !*ret_go ends it without one. */
    struct err *(*plan)(void *arg, const struct pair_plan *p, bool *ret_go);
    void (*progress)(void *arg, const struct fetch_progress *p); /* as fetch_job */
    void (*dropped)(void *arg, const char *label, const struct err *e);
    void (*fetched)(void *arg, const char *name, const struct fetch_report *r);
    void *arg;
}; /* each may be NULL */

/* What is here, verified. Names NULL: nothing. */
struct pair_local {
    char *full, *incr;
    uint64_t full_slot, slot, full_b;
};
void pair_local_clear(struct pair_local *l);
struct pair_look {
    struct snapdirs dirs; /* of snapshots, each with its remote/ */
    bool waiting;         /* and its .agavectl/ */
    bool by_notes;  /* one that was proven when we fetched it, by a note of our own, and was not
                       written to since, is not read again */
    bool hash_must; /* as in snapcheck_limits: what will load it is 3.0 or later */
    /* Asked while an archive is read, which takes minutes; an error ends it. May be NULL. */
    struct err *(*may_go_on)(void *arg);
    void *may_arg;
    /* What was read and is good, for who looks again and again: as long as nothing of the file has
     * changed it is not read a second time. Kept by the caller, for looks of one hash_must; may be
     * NULL. */
    struct strlist *seen;
};
/* The highest full archive and its highest incremental, as Agave 3.0 and later choose. Each is
 * verified, which takes as long as reading does. A folder that is not there is nothing.
 * ERR_CORRUPT, ERR_BADINPUT: one is broken, and Agave would try to load it; ERR_SYS, ERR_CANCELLED,
 * those of may_go_on. */
struct err *pair_local_look(struct ctx *ctx, const struct pair_look *look,
                            const struct pair_events *events, struct pair_local *ret) MUST_CHECK;

#define PAIR_SPARE_B ((uint64_t)1 << 30)
struct pair_job {
    const struct fetch_scope *scope;
    struct reasons_limits limits; /* tip, blacklist, have_* are filled in here */
    uint64_t max_age_end;         /* slots; see reasons_relax */
    uint64_t convergence_slots;   /* 0: one incremental is enough */
    uint32_t measure_ms;          /* 0: rates are not measured beforehand when there is a choice */
    struct blacklist *blacklist;  /* what turns out to be bad is added; NULL: none */
    /* As in fetch_job. */
    const char *dir;      /* for full archives */
    const char *incr_dir; /* for incrementals; NULL: dir */
    bool waiting; /* dir and incr_dir are the .agavectl of folders of snapshots, whose notes these
                     are */
    uint32_t uid, gid;
    enum fetch_verify verify;
    bool hash_must;   /* also where the versions of the sources do not tell */
    uint64_t spare_b; /* 0: PAIR_SPARE_B */
    uint64_t min_rate_b_s, max_rate_b_s;
    const struct pair_events *events; /* may be NULL */
    /* Makes dir where it is not there: before the first byte, and not at all when nothing is
     * fetched. May be NULL. */
    struct err *(*make_dir)(void *arg);
    /* Asked right before an archive gets its final name, which may be hours after the beginning; an
     * error ends the job, and what has arrived stays for the next one. May be NULL. */
    struct err *(*may_name)(void *arg);
    /* The same, about twice a second while something is fetched. */
    struct err *(*may_go_on)(void *arg);
    void *may_arg; /* of all of these */
};
struct pair_report {
    struct strlist fetched;  /* final names, in their order */
    struct strlist rejected; /* "http://host:port (why)": nodes that the operator named and nodes
                                that failed while something was fetched */
    struct strlist relaxed;  /* limits that gave way */
    uint64_t slot, tip;      /* what is here now ends at slot */
    bool tip_known;
    bool stopped; /* by events.plan */
    uint64_t wire_b;
    double seconds;
};
void pair_report_clear(struct pair_report *r);

/* local: what is here; kept up to date. Blocks until it is done. ERR_NOTFOUND: nothing fits: why,
 * and the one limit that would help; ERR_SYS with ENOSPC before the first byte, or in
 * the middle: then with how much is missing; else as fetch_archive. Whole archives stay whatever
 * happens later, and the same call goes on with what is not whole. ret is filled as far as it went
 * after an error, too. */
struct err *pair_get(struct ctx *ctx, const struct pair_job *job, struct pair_local *local,
                     struct pair_report *ret) MUST_CHECK;
