#pragma once

#include "fetch/pair.h"

/* What the files of pair_get share: pair.c (the rounds), pair_plan.c (what is about to be fetched,
 * and whether it fits) and pair_one.c (one archive, from all who have it). */

#define PAIR_SOURCES_MAX 64

struct pair_work {
    struct ctx *ctx;
    const struct pair_job *job;
    struct pair_local *local;
    struct pair_report *ret;
    struct strlist avoid; /* names that nobody could deliver */
    struct strlist late;  /* names that would have been too old when they were here */
    bool planned;
    unsigned n_incr;
    struct err *failed; /* the last fetch that failed */
    uint64_t started_ns;
};

/* One round: the answers, and what follows from them. */
struct pair_round {
    struct fetch_found found;
    struct reasons_limits limits;
    struct reasons reasons;
};

/* Everybody who has the same file: the usable ones in their order, then those that are only slow or
 * far away. */
struct pair_sources {
    struct fetch_source items[PAIR_SOURCES_MAX];
    size_t offers[PAIR_SOURCES_MAX];
    size_t n;
    struct strlist labels;
};

/* s is zeroed; its labels are the caller's to clear. What it points to is r's. */
void pair_list_sources(const struct pair_round *r, bool incremental, const char *name,
                       struct pair_sources *s);
/* Into ret->rejected; only the first fault of each counts. */
void pair_reject(struct pair_work *w, const char *label, const char *why);
/* Who vouches for it: trust_text, or "any". */
const char *pair_trust_of(const struct pair_round *r, bool incremental, const struct fetch_file *f,
                          char buf[static TRUST_TEXT_MAX]);
/* Where it is fetched to. */
const char *pair_dir_of(const struct pair_job *job, bool incremental);

/* Tells the plan, once for all rounds, and makes the folder. *ret_go: it is to be fetched. Errors:
 * of events.plan and make_dir; ERR_SYS with ENOSPC: no room. */
struct err *pair_agree(struct pair_work *w, const struct pair_round *r, size_t best, bool *ret_go)
    MUST_CHECK;
/* e of pair_fetch; where the disk became full, with how much is missing. */
struct err *pair_hint_room(struct pair_work *w, const struct fetch_file *f, struct err *e)
    MUST_CHECK;
/* The archive of that offer, from all who have the same one. Who sent wrong bytes gets onto the
 * list of what is not tried again. Errors of fetch_archive. */
struct err *pair_fetch(struct pair_work *w, const struct pair_round *r, size_t which,
                       bool incremental, struct fetch_report *done) MUST_CHECK;
