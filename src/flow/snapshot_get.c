/* The snapshot step of `up`: keep what is good, fetch what is missing, never give the validator a
 * file that was not proven. Choosing and fetching is fetch/pair's work. */
#include "flow/snapshot_get.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"
#include "config/config.h"
#include "fetch/pair.h"
#include "fetch/partial_sweep.h"
#include "flow/snapshot_fetch.h"
#include "look/snapshot_rules.h"

#define REJECTED_MAX 8 /* named in the summary */

static uint64_t age_of(uint64_t tip, uint64_t slot)
{
    return tip > slot ? tip - slot : 0;
}

static void on_dropped(void *arg, const char *label, const struct err *e)
{
    report_progress(arg, "%s failed (%s); going on with others", label, e->text);
}

static struct err *fetch(struct ctx *ctx, uint64_t tip, const struct pair_events *events,
                         struct pair_local *local, struct pair_report *ret)
{
    const struct snapdirs dirs = snapshot_dirs(ctx->cfg);
    const struct pair_job job = {
        .dir = dirs.full ? dirs.full : dirs.dir,
        .incr_dir = dirs.incremental ? dirs.incremental : dirs.dir,
        /* Agave 3.0 and later end at a start with another hash than the name's, so that it is
         * looked at here in any case but one. */
        .verify = str_eq(ctx->cfg->snapshot.verify, "none") ? FETCH_VERIFY_NONE : FETCH_VERIFY_FULL,
        .hash_must = true,
        .events = events,
    };

    return snapshot_fetch(ctx, tip, &job, local, ret);
}

/* Nothing is wanted: half files of fetches that were cut off would fill the disk night by night.
 * Who cannot be removed is no reason not to start. */
static void sweep(struct ctx *ctx, const char *dir)
{
    const struct strlist none = {0};
    uint64_t freed_b = 0;
    struct err *e = partial_sweep(ctx, dir, &none, &freed_b);

    if (e)
        log_debug("half files stay: %s", e->text);
    err_free(e);
}

static void sweep_all(struct ctx *ctx, const struct snapdirs *dirs)
{
    sweep(ctx, dirs->full ? dirs->full : dirs->dir);
    if (dirs->full || dirs->incremental)
        sweep(ctx, dirs->incremental ? dirs->incremental : dirs->dir);
}

static char *summary(uint64_t tip, const struct pair_local *local, const struct pair_report *r)
{
    struct strbuf text = {0};
    const char *name = local->incr ? local->incr : local->full;

    strbuf_printf(&text, "slot %" PRIu64 ", %" PRIu64 " behind the tip%s%s", local->slot,
                  age_of(tip, local->slot), name ? ": " : "", name ? name : "");
    for (size_t i = 0; i < r->relaxed.n; i++)
        strbuf_printf(&text, "; %s", r->relaxed.items[i]);
    for (size_t i = 0; i < r->rejected.n && i < REJECTED_MAX; i++)
        strbuf_printf(&text, "%s%s", i ? "; " : "; not used: ", r->rejected.items[i]);
    if (r->rejected.n > REJECTED_MAX)
        strbuf_printf(&text, "; and %zu more", r->rejected.n - REJECTED_MAX);
    return strbuf_take(&text);
}

struct err *snapshot_get(struct ctx *ctx, uint64_t tip, const struct flow_report *report,
                         bool *ret_changed, char **ret_summary)
{
    AUTO(pair_local_clear) struct pair_local local = {0};
    AUTO(pair_report_clear) struct pair_report done = {0};
    struct pair_events events = snapshot_events(report);
    /* Before a start notes do not count, and what is here has to be as good as what is fetched. */
    const struct pair_look look = {.dirs = snapshot_dirs(ctx->cfg),
                                   .hash_must = !str_eq(ctx->cfg->snapshot.verify, "none")};

    events.dropped = on_dropped;
    TRY(pair_local_look(ctx, &look, &events, &local));
    *ret_changed = !local.full || age_of(tip, local.slot) > ctx->cfg->snapshot.max_age_slots;
    if (*ret_changed)
        TRY(fetch(ctx, tip, &events, &local, &done));
    else
        sweep_all(ctx, &look.dirs);
    *ret_changed = done.fetched.n > 0;
    *ret_summary = summary(done.tip_known ? done.tip : tip, &local, &done);
    return NULL;
}
