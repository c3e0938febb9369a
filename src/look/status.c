/* Gathers what `agavectl status` shows. Asks the unit and the admin socket first (both local and
 * quick), then the node and all references at once in what is left of the time. Changes nothing but
 * the two looks that rates keep. What the facts mean is decided in status_decide.c. */
#include "look/status.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"
#include "io/clock.h"
#include "solana/snapshot_name.h"

/* Questions to the node itself, before those to the references. */
enum { ASK_HEALTH, ASK_PROCESSED, ASK_CONFIRMED, ASK_FINALIZED, ASK_SNAPSHOTS, N_ASK };

#define ADMIN_MS_MAX 200 /* the admin socket is local: slower than this is as good as silent */
#define HTTP_MS_MIN  50

void status_clear(struct status *s)
{
    for (size_t i = 0; i < s->n_refs; i++) {
        free(s->refs[i].url);
        free(s->refs[i].error);
    }
    free(s->refs);
    free(s->reason);
    free(s->rpc_error);
    free(s->phase_error);
    free(s->pids);
    free(s->unit_error);
    free(s->snapshot_error);
    *s = (struct status){0};
}

/* Keeps an error's text in *where unless there is one already; takes e. */
static void note(char **where, struct err *e)
{
    if (e && !*where)
        *where = xstrdup(e->text);
    (void)err_free(e); /* shown as text beside what could not be looked at */
}

static void look_at_unit(struct ctx *ctx, const struct status_params *p, struct status *s)
{
    struct err *e;

    s->unit = (struct unit_status){.phase = PH_UNKNOWN, .age_s = UINT64_MAX};
    if (!p->runtime)
        return;
    s->runtime = p->runtime->name;
    e = p->runtime->status(ctx, p->unit, &s->unit);
    if (e)
        s->unit = (struct unit_status){.phase = PH_UNKNOWN, .age_s = UINT64_MAX};
    s->age_s = (struct known_u64){s->unit.age_s != UINT64_MAX, s->unit.age_s};
    note(&s->unit_error, e);
    e = p->runtime->pids(ctx, p->unit, &s->pids, &s->n_pids);
    s->pids_known = !e;
    note(&s->unit_error, e);
}

/* Also the process's start time, which tells the next one from it. */
static struct known_u64 look_at_phase(struct ctx *ctx, const struct status_params *p,
                                      struct status *s)
{
    uint32_t ms = p->timeout_ms / 4 < ADMIN_MS_MAX ? p->timeout_ms / 4 : ADMIN_MS_MAX;
    struct known_u64 start = {0};
    struct err *e;

    if (!p->ledger)
        return start;
    e = admin_start_progress(ctx, p->ledger, ms, &s->phase);
    s->phase_known = !e;
    if (!e) {
        e = admin_start_time(ctx, p->ledger, ms, &start.v);
        start.known = !e;
    }
    note(&s->phase_error, e);
    /* A runtime that did not start it does not know since when it runs. */
    if (start.known && !s->age_s.known && clock_wall_ms(ctx) >= start.v)
        s->age_s = (struct known_u64){true, (clock_wall_ms(ctx) - start.v) / 1000};
    return start;
}

/* From the folder, which can be read when nothing runs; RPC's answer only where it cannot. */
static void look_at_snapshots(struct ctx *ctx, const struct status_params *p, struct rpc_call *call,
                              struct status *s)
{
    AUTO(snapshot_dir_clear) struct snapshot_dir d = {0};
    AUTO(err_freep) struct err *e = NULL;
    struct rpc_snapshots told;

    if (p->snapshots_dir) {
        e = snapshot_dir_scan(ctx->root, p->snapshots_dir, &d);
        if (!e) {
            s->full_slot = (struct known_u64){d.has_full, d.full.name.slot};
            s->incremental_slot = (struct known_u64){d.has_incremental, d.incremental.name.slot};
            return;
        }
        note(&s->snapshot_error, TAKE(e));
    }
    e = call->method ? rpc_take_snapshots(call, &told) : NULL;
    if (!call->method || e)
        return;
    s->full_slot = (struct known_u64){true, told.full};
    s->incremental_slot = (struct known_u64){told.has_incremental, told.incremental};
}

static void fill_calls(const struct status_params *p, size_t n_refs, struct rpc_call *calls)
{
    static const char *const methods[N_ASK] = {
        "getHealth", "getSlot", "getSlot", "getSlot", "getHighestSnapshotSlot",
    };

    for (size_t i = 0; p->rpc_url && i < N_ASK; i++)
        calls[i] = (struct rpc_call){.url = p->rpc_url, .method = methods[i]};
    for (enum rpc_commitment c = RPC_PROCESSED; c <= RPC_FINALIZED; c++)
        calls[ASK_PROCESSED + c].params = rpc_commitment_params(c);
    for (size_t i = 0; i < n_refs; i++)
        calls[N_ASK + i] = (struct rpc_call){
            .url = p->refs[i], .method = "getSlot", .params = rpc_commitment_params(RPC_FINALIZED)};
}

static void read_own(struct rpc_call *calls, struct status *s)
{
    struct err *e = rpc_take_health(&calls[ASK_HEALTH], &s->node_health);

    s->health_known = !e;
    note(&s->rpc_error, e);
    for (enum rpc_commitment c = RPC_PROCESSED; c <= RPC_FINALIZED; c++) {
        e = rpc_take_slot(&calls[ASK_PROCESSED + c], &s->slots[c].v);
        s->slots[c].known = !e;
        note(&s->rpc_error, e);
    }
}

static void read_references(const struct status_params *p, struct rpc_call *calls,
                            uint64_t elapsed_ms, struct status *s)
{
    for (size_t i = 0; i < s->n_refs; i++) {
        struct status_reference *r = &s->refs[i];
        double answered_ms = calls[i].seconds * 1000;
        struct err *e = rpc_take_slot(&calls[i], &r->slot.v);

        r->url = rpc_url_label(p->refs[i]);
        if (!e && str_eq(p->refs[i], p->rpc_url))
            e = err_new(ERR_BADINPUT, "this is the node itself: it proves nothing about itself");
        r->slot.known = !e;
        if (answered_ms >= 0 && answered_ms < (double)elapsed_ms)
            r->age_ms = elapsed_ms - (uint64_t)answered_ms;
        note(&r->error, e);
    }
}

static struct err *look_at_slots(struct ctx *ctx, const struct status_params *p, uint32_t ms,
                                 struct status *s)
{
    size_t skip = p->rpc_url ? 0 : N_ASK;
    AUTO(freep) struct rpc_call *calls = NULL;
    uint64_t start_ns = clock_mono_ns(ctx);
    struct err *e;

    s->n_refs = p->n_refs < STATUS_REFS_MAX ? p->n_refs : STATUS_REFS_MAX;
    s->refs = xcalloc(s->n_refs, sizeof(*s->refs));
    calls = xcalloc(N_ASK + s->n_refs, sizeof(*calls));
    fill_calls(p, s->n_refs, calls);
    e = rpc_many(ctx, calls + skip, N_ASK + s->n_refs - skip, ms);
    if (!e) {
        if (p->rpc_url)
            read_own(calls, s);
        read_references(p, calls + N_ASK, (clock_mono_ns(ctx) - start_ns) / 1000000, s);
        look_at_snapshots(ctx, p, &calls[ASK_SNAPSHOTS], s);
    }
    rpc_calls_clear(calls, N_ASK + s->n_refs);
    return e;
}

static void measure_rates(struct ctx *ctx, const struct status_params *p, struct known_u64 start,
                          struct status *s)
{
    const struct rate_look now = {
        .start_ms = start.v,
        .slot = s->slots[RPC_PROCESSED].v,
        .tip = s->tip.v,
        .wall_ms = clock_wall_ms(ctx),
        .mono_ns = clock_mono_ns(ctx),
    };

    if (p->state_dir && start.known && s->slots[RPC_PROCESSED].known && s->tip.known)
        s->rates = rates_update(ctx, p->state_dir, &now);
}

struct err *status_gather(struct ctx *ctx, const struct status_params *p, struct status *ret)
{
    AUTO(status_clear) struct status s = {0};
    uint64_t deadline_ns = deadline_in_ms(ctx, p->timeout_ms);
    struct known_u64 start;
    uint32_t left_ms;

    look_at_unit(ctx, p, &s);
    start = look_at_phase(ctx, p, &s);
    left_ms = deadline_left_ms(ctx, deadline_ns);
    TRY(look_at_slots(ctx, p, left_ms > HTTP_MS_MIN ? left_ms : HTTP_MS_MIN, &s));
    status_decide_tip(&s);
    measure_rates(ctx, p, start, &s);
    status_decide_eta(&s, p->tip_slots);
    status_decide_health(&s, p->tip_slots);
    *ret = s;
    s = (struct status){0};
    return NULL;
}

static struct json *u64_or_null(struct known_u64 n)
{
    return n.known ? json_new_u64(n.v) : NULL;
}

static struct json *json_references(const struct status *s)
{
    struct json *list = json_new_array();

    for (size_t i = 0; i < s->n_refs; i++) {
        const struct status_reference *r = &s->refs[i];
        struct json *j = json_new_object();

        json_put(j, "url", json_new_str(r->url));
        json_put(j, "slot", u64_or_null(r->slot));
        json_put(j, "age_ms", r->slot.known ? json_new_u64(r->age_ms) : NULL);
        json_put(j, "error", json_new_str(r->error));
        json_push(list, j);
    }
    return list;
}

static struct json *json_unit(const struct status *s)
{
    struct json *unit = json_new_object(), *pids = NULL;
    bool looked = s->unit.phase != PH_UNKNOWN;

    if (s->pids_known) {
        pids = json_new_array();
        for (size_t i = 0; i < s->n_pids; i++)
            json_push(pids, json_new_u64((uint64_t)s->pids[i]));
    }
    json_put(unit, "runtime", json_new_str(s->runtime));
    json_put(unit, "state", looked ? json_new_str(unit_phase_name(s->unit.phase)) : NULL);
    json_put(unit, "pids", pids);
    json_put(unit, "restarts", looked ? json_new_u64(s->unit.restarts) : NULL);
    json_put(unit, "age_s", u64_or_null(s->age_s));
    json_put(unit, "error", json_new_str(s->unit_error));
    return unit;
}

struct json *status_json(const struct status *s)
{
    struct json *j = json_new_object(), *slots = json_new_object(), *snapshot = json_new_object();

    json_put(j, "schema_version", json_new_u64(STATUS_SCHEMA));
    json_put(j, "health", json_new_str(status_health_name(s->health)));
    json_put(j, "reason", json_new_str(s->reason));
    for (enum rpc_commitment c = RPC_PROCESSED; c <= RPC_FINALIZED; c++)
        json_put(slots, rpc_commitment_name(c), u64_or_null(s->slots[c]));
    json_put(j, "slots", slots);
    json_put(j, "tip", u64_or_null(s->tip));
    json_put(j, "tip_references", json_new_u64(s->n_agree));
    json_put(j, "gap", u64_or_null(s->gap));
    json_put(j, "references", json_references(s));
    json_put(j, "replay_rate", s->rates.known ? json_new_f64(s->rates.replay) : NULL);
    json_put(j, "chain_rate", s->rates.known ? json_new_f64(s->rates.chain) : NULL);
    json_put(j, "eta_s", u64_or_null(s->eta_s));
    json_put(j, "phase", s->phase_known ? json_new_str(admin_phase_name(s->phase.phase)) : NULL);
    json_put(j, "unit", json_unit(s));
    json_put(snapshot, "full_slot", u64_or_null(s->full_slot));
    json_put(snapshot, "incremental_slot", u64_or_null(s->incremental_slot));
    json_put(snapshot, "error", json_new_str(s->snapshot_error));
    json_put(j, "snapshot", snapshot);
    json_put(j, "rpc_error", json_new_str(s->rpc_error));
    return j;
}
