/* A status as one JSON document: unknown is null, never a number. Members are added, none changes
 * its meaning. */
#include "look/status.h"

#include "base/str.h"

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
    json_put(unit, "restarts", looked && s->runtime ? json_new_u64(s->unit.restarts) : NULL);
    json_put(unit, "age_s", u64_or_null(s->age_s));
    json_put(unit, "error", json_new_str(s->unit_error));
    return unit;
}

/* What is known of a start that is under way: the phase in words, and how far it is. */
static struct json *json_start(const struct status *s)
{
    const struct admin_progress *p = &s->phase;
    struct json *j;

    if (!s->phase_known)
        return NULL;
    j = json_new_object();
    json_put(j, "text", json_new_str(p->text));
    json_put(j, "slot", p->has_slot ? json_new_u64(p->slot) : NULL);
    json_put(j, "max_slot", p->has_max ? json_new_u64(p->max_slot) : NULL);
    json_put(j, "stake_percent", p->has_percent ? json_new_u64(p->percent) : NULL);
    json_put(j, "from", p->from[0] ? json_new_str(p->from) : NULL);
    json_put(j, "slots_per_s", s->start_rate.known ? json_new_f64(s->start_rate.per_s[0]) : NULL);
    json_put(j, "eta_s", u64_or_null(s->start_eta_s));
    return j;
}

struct json *status_json(const struct status *s)
{
    struct json *j = json_new_object(), *slots = json_new_object(), *snapshot = json_new_object();
    AUTO(freep) char *via = NULL;

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
    json_put(snapshot, "full_trust", json_new_str(s->full_trust));
    json_put(snapshot, "incremental_trust", json_new_str(s->incremental_trust));
    json_put(snapshot, "error", json_new_str(s->snapshot_error));
    json_put(j, "snapshot", snapshot);
    json_put(j, "rpc_error", json_new_str(s->rpc_error));
    if (s->via_pid)
        via = xasprintf("netns of process %d", (int)s->via_pid);
    json_put(j, "via", json_new_str(via));
    json_put(j, "start", json_start(s));
    json_put(j, "phase_error", json_new_str(s->phase_error));
    json_put(j, "memory", unit_memory_json(&s->host));
    json_put(j, "oom", unit_oom_json(&s->host));
    json_put(j, "udp", unit_udp_json(&s->host));
    json_put(j, "relay", NULL); /* filled by the command, from the stage relay */
    return j;
}
