#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/str.h"
#include "solana/snapshot_load.h"

/* Where new archives wait. A validator that runs removes archives by its own rules, serves what it
 * finds and begins its incrementals from the full archive that it knows: a new one among them
 * changes what it does, and in 3.0 a new full archive in the folder turns fast boot off. So while
 * one runs a new archive waits in <snapshots>/.agavectl/, which Agave does not read, and is given
 * its place between the stop and the next start. */

/* The folder that a new archive is fetched into (fetch_job.dir): dir itself, or its .agavectl,
 * which is made. To be freed. Errors of store_dir_open. */
struct err *store_target(struct ctx *ctx, const char *dir, bool running, char **ret) MUST_CHECK;

/* Gives what waits its place, by renames in one file system. Only what the next start would load
 * then and not now: a full archive with its incremental that is newer than what is there, or a
 * newer incremental of the full archive that is there. Fast boot is given up only for archives that
 * are more than gain_slots ahead of it. The rest stays where it waits. The caller knows that no
 * validator runs. Owners were set when the archives were fetched.
 * ret_moved: names; *ret_text: what was done and what it costs, for people, to be freed, NULL:
 * nothing waits that would be loaded. ERR_NOTFOUND: no such folder; ERR_REFUSED: .agavectl is not
 * ours, or the name is taken by now; ERR_SYS. Nothing or the incremental alone may have moved after
 * an error: the full one goes first. */
struct err *store_unstage(struct ctx *ctx, const struct snapdirs *dirs,
                          const struct snapload_rules *rules, uint64_t gain_slots,
                          struct strlist *ret_moved, char **ret_text) MUST_CHECK;
/* The decision alone: indices into l->files, the full one first. Pure but for loaded and why. */
struct store_move {
    size_t files[2], n;
    uint64_t slot;      /* where a start would begin then */
    uint64_t fast_boot; /* the slot of the fast boot that is given up; 0: none */
};
void store_unstage_plan(struct snaplocal *l, const struct snapload_rules *rules,
                        uint64_t gain_slots, struct store_move *ret);

/* Will it fit? Two incrementals are counted: the one that is fetched now, and the next one, since
 * the first is only removed when the second is whole. What lies in the folder, in remote/, in
 * .agavectl and as half files takes its room already and shows in free_b. */
struct store_room {
    uint64_t full_b, incremental_b; /* to be fetched; 0: none */
    uint64_t have_b;                /* of them, on the disk by now (halves) */
    uint64_t spare_b;               /* must be left */
    uint64_t free_b;                /* for an ordinary user */
    uint64_t prunable_b;            /* what prune would give back */
};
struct store_forecast {
    uint64_t need_b; /* of what is free; UINT64_MAX: more than any disk */
    bool fits, fits_pruned;
};
void store_forecast(const struct store_room *r, struct store_forecast *ret);
/* For people: "119 GiB are needed, 80.0 GiB are free; 'agavectl snapshot prune' would free …". To
 * be freed. */
char *store_forecast_text(const struct store_room *r, const struct store_forecast *f);
/* Fills have_b (of the halves called tmp-<full>, tmp-<incremental>; both may be NULL), free_b and
 * prunable_b, which is of the folder of snapshots also where dir is its .agavectl. Of a folder that
 * is not there, what its place has. ERR_SYS. */
struct err *store_room_look(struct ctx *ctx, const char *dir, const char *full,
                            const char *incremental, struct store_room *r) MUST_CHECK;
