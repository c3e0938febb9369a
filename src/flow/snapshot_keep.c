/* One round of `snapshot keep`. It does what `snapshot get` does, when the limits say that it is
 * time, and removes of what waits what is overtaken. Nothing else is ever removed here. */
#include "flow/snapshot_keep.h"

#include <inttypes.h>
#include <stdlib.h>

#include "config/config.h"
#include "fetch/pair.h"
#include "fetch/prune.h"
#include "fetch/store.h"
#include "fetch/tip.h"
#include "flow/snapshot_fetch.h"
#include "flow/unit_state.h"
#include "io/clock.h"
#include "look/snapshot_rules.h"

#define TIP_MS  2000
#define LOOK_NS (UINT64_C(2) * 1000000000)

const char *keep_outcome_name(enum keep_outcome o)
{
    static const char *const outcomes[] = {
        [KEEP_QUIET] = "quiet", [KEEP_FRESH] = "fresh",   [KEEP_FETCHED] = "fetched",
        [KEEP_STALE] = "stale", [KEEP_FAILED] = "failed",
    };

    return outcomes[o];
}

void keep_round_clear(struct keep_round *r)
{
    strlist_clear(&r->fetched);
    free(r->why);
    *r = (struct keep_round){0};
}

static struct json *known_json(const struct known_u64 *v)
{
    return v->known ? json_new_u64(v->v) : NULL;
}

struct json *keep_round_json(const struct keep_round *r)
{
    struct json *j = json_new_object(), *fetched = json_new_array();
    bool aged = r->tip.known && r->slot.known;

    for (size_t i = 0; i < r->fetched.n; i++)
        json_push(fetched, json_new_str(r->fetched.items[i]));
    json_put(j, "outcome", json_new_str(keep_outcome_name(r->outcome)));
    json_put(j, "tip", known_json(&r->tip));
    json_put(j, "slot", known_json(&r->slot));
    json_put(j, "age_slots",
             aged ? json_new_u64(r->tip.v > r->slot.v ? r->tip.v - r->slot.v : 0) : NULL);
    json_put(j, "fetched", fetched);
    json_put(j, "removed", json_new_u64(r->n_removed));
    json_put(j, "why", json_new_str(r->why));
    return j;
}

/* ---- fetching ---------------------------------------------------------------------------------
 */

static struct err *is_active_voter(struct ctx *ctx, bool *ret)
{
    AUTO(unit_config_freep) struct unit_config *u = NULL;

    *ret = false;
    if (!ctx->cfg->validator.voting)
        return NULL;
    TRY(unit_config_look(ctx, NULL, &u));
    return unit_look(ctx, u, ret);
}

/* A fetch can take hours, and the voter be started meanwhile: then nothing more is read or written.
 */
struct watch {
    struct ctx *ctx;
    uint64_t next_ns;
    bool voter;
};

static struct err *still_quiet(void *arg)
{
    struct watch *w = arg;
    uint64_t now_ns = clock_mono_ns(w->ctx);

    if (now_ns < w->next_ns)
        return NULL;
    w->next_ns = now_ns + LOOK_NS;
    TRY(is_active_voter(w->ctx, &w->voter));
    return w->voter ? err_new(ERR_REFUSED, "a voter was started meanwhile: what has arrived is "
                                           "kept, and gone on with when it does not run")
                    : NULL;
}

static struct err *fetch(struct ctx *ctx, uint64_t tip, const struct pair_events *events,
                         struct pair_local *local, struct watch *watch, struct pair_report *ret)
{
    AUTO(freep) char *target = NULL, *incr_target = NULL;
    const struct snapdirs dirs = snapshot_dirs(ctx->cfg);

    TRY(store_target(ctx, dirs.full ? dirs.full : dirs.dir, true, &target));
    TRY(store_target(ctx, dirs.incremental ? dirs.incremental : dirs.dir, true, &incr_target));
    const struct pair_job job = {
        .dir = target,
        .incr_dir = incr_target,
        .waiting = true,
        .verify = FETCH_VERIFY_FULL, /* there is time, and nobody looks on */
        .hash_must = true,
        .events = events,
        .may_go_on = still_quiet,
        .may_arg = watch,
    };

    return snapshot_fetch(ctx, tip, &job, local, ret);
}

/* Of what waits alone, and of what is about nothing. */
static struct err *remove_overtaken(struct ctx *ctx, size_t *ret_n)
{
    AUTO(prune_plan_clear) struct prune_plan plan = {0};
    AUTO(snaplocal_clear) struct snaplocal l = {0};
    const struct snapload_rules rules = snapshot_rules(ctx->cfg, &(struct agave_version){0});
    const struct prune_want want = {.running = true};
    const struct snapdirs dirs = snapshot_dirs(ctx->cfg);

    TRY(snaplocal_read_dirs(ctx, &dirs, NULL, &l));
    TRY(prune_plan_make(&l, &rules, &want, &plan));
    for (size_t i = 0; i < plan.n; i++)
        plan.items[i].remove &= l.files[i].place == SNAPLOCAL_STAGED;
    return prune(ctx, &l, &rules, &want, &plan, ret_n);
}

/* ---- a round ----------------------------------------------------------------------------------
 */

static bool is_fresh(const struct ctx *ctx, const struct keep_round *r)
{
    return r->slot.known &&
           (r->tip.v <= r->slot.v || r->tip.v - r->slot.v <= ctx->cfg->snapshot.fresh_slots);
}

/* The newest by its name, with what waits: a validator's own archives are new every minute, and
 * reading them each time would be all that this does. */
static struct err *newest(struct ctx *ctx, struct known_u64 *ret)
{
    AUTO(snaplocal_clear) struct snaplocal l = {0};
    AUTO(snapload_clear) struct snapload d = {0};
    const struct snapload_rules always = {.use = SNAPLOAD_ALWAYS};
    const struct snapdirs dirs = snapshot_dirs(ctx->cfg);

    TRY(snaplocal_read_dirs(ctx, &dirs, NULL, &l));
    for (size_t i = 0; i < l.n; i++)
        if (l.files[i].kind == SNAPLOCAL_ARCHIVE && l.files[i].place == SNAPLOCAL_STAGED)
            l.files[i].place = SNAPLOCAL_TOP;
    snapload_decide(&l, &always, &d);
    *ret = (struct known_u64){.known = d.from == SNAPLOAD_ARCHIVES, .v = d.slot};
    return NULL;
}

static struct err *bring(struct ctx *ctx, const struct flow_report *report, struct strlist *seen,
                         struct keep_round *r)
{
    const struct pair_events events = snapshot_events(report);
    struct watch watch = {.ctx = ctx};
    const struct pair_look look = {.dirs = snapshot_dirs(ctx->cfg),
                                   .waiting = true,
                                   .by_notes = true,
                                   .hash_must = true,
                                   .may_go_on = still_quiet,
                                   .may_arg = &watch,
                                   .seen = seen};
    AUTO(pair_local_clear) struct pair_local local = {0};
    AUTO(pair_report_clear) struct pair_report done = {0};
    struct err *e;

    TRY(newest(ctx, &r->slot));
    r->outcome = KEEP_FRESH;
    if (is_fresh(ctx, r))
        return NULL;
    e = pair_local_look(ctx, &look, &events, &local);
    if (!e)
        e = fetch(ctx, r->tip.v, &events, &local, &watch, &done);
    if (local.full)
        r->slot = (struct known_u64){.known = true, .v = local.slot};
    if (done.tip_known)
        r->tip = (struct known_u64){.known = true, .v = done.tip};
    r->fetched = done.fetched;
    done.fetched = (struct strlist){0};
    r->outcome = r->fetched.n ? KEEP_FETCHED : KEEP_STALE;
    if (e && watch.voter) {
        r->outcome = KEEP_QUIET;
        r->why = xstrdup(e->text);
        return err_free(e);
    }
    TRY(e);
    return r->fetched.n ? remove_overtaken(ctx, &r->n_removed) : NULL;
}

static struct err *ask_tip(struct ctx *ctx, struct known_u64 *ret)
{
    AUTO(snapshot_scope_clear) struct snapshot_scope scope = {0};

    TRY(snapshot_scope_init(ctx, NULL, &scope));
    TRY(fetch_tip(ctx, &ctx->cfg->cluster.references, &scope.find.way, TIP_MS, ret));
    return ret->known ? NULL
                      : err_new(ERR_TIMEOUT, "no reference tells the tip, so the age of what is "
                                             "here is not known");
}

static struct err *do_round(struct ctx *ctx, const struct flow_report *report, struct strlist *seen,
                            struct keep_round *r)
{
    bool active = false;

    TRY(is_active_voter(ctx, &active));
    if (active) {
        r->outcome = KEEP_QUIET;
        r->why = xstrdup("a voter runs: its disk and its network are its own");
        return NULL;
    }
    TRY(ask_tip(ctx, &r->tip));
    return bring(ctx, report, seen, r);
}

struct err *snapshot_keep_round(struct ctx *ctx, const struct flow_report *report,
                                struct strlist *seen, struct keep_round *ret)
{
    struct keep_round r = {0};
    struct err *e = do_round(ctx, report, seen, &r);

    if (e && e->kind == ERR_CANCELLED) {
        keep_round_clear(&r);
        return e;
    }
    if (e) {
        r.outcome = KEEP_FAILED;
        r.failed = e->kind;
        free(r.why);
        r.why = xstrdup(e->text);
    }
    err_free(e);
    *ret = r;
    return NULL;
}
