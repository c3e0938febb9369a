#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"
#include "solana/snapshot_load.h"

/* What of a folder of snapshots can go. Kept are the highest full archives and of each its highest
 * incremental, of what the validator sees and of what waits for it; by slot, never by the time of a
 * file. Never removed without being named: the last full archive that can be used, what a start
 * would load, and what the local state needs to be loaded (fast boot of 3.0). Bank snapshots, files
 * of others and what is being fetched are left alone in any case. */
struct prune_want {
    uint64_t keep_full; /* 0: 1 */
    bool running;       /* a validator runs, or that is not known: its own half files stay */
    bool halves;        /* half files of ours go even when they could be gone on with */
    const struct strlist *names;   /* these as well; or NULL */
    const struct strlist *destroy; /* of names: those that may go whatever it costs; or NULL */
};
struct prune_item {
    size_t file; /* into l->files */
    bool remove;
    char *why;
};
struct prune_plan {
    struct prune_item *items; /* one for each file of l, in its order */
    size_t n, n_removed;
    uint64_t freed_b;
    char *refused; /* a name that costs too much to go without its word, and why; NULL: none. Such a
                      plan can be shown and is not carried out */
    char *refused_name;
    struct strlist notes; /* what it will change for a start */
};
void prune_plan_clear(struct prune_plan *p);
/* Pure but for loaded and why of l. ERR_NOTFOUND: one of the names is not there; ERR_REFUSED: it is
 * being fetched, or not ours to remove. */
struct err *prune_plan_make(struct snaplocal *l, const struct snapload_rules *rules,
                            const struct prune_want *w, struct prune_plan *ret) MUST_CHECK;
/* Carries it out: p as prune_plan_make made it of l, maybe with fewer to remove. The folder is
 * looked at again before, with one prune at a time in it: an archive that would have to stay by now
 * ends it before anything went. *ret_n: files that went. What went away by itself meanwhile is
 * fine; a half that somebody gets by now stays, and so does the note of an archive that was
 * renamed. ERR_SYS, ERR_REFUSED (plan is refused, the folder has changed, another prune). */
struct err *prune(struct ctx *ctx, const struct snaplocal *l, const struct snapload_rules *rules,
                  const struct prune_want *w, const struct prune_plan *p, size_t *ret_n) MUST_CHECK;
