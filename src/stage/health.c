/* Layer 5: is the validator at the tip of its cluster? getHealth alone proves nothing: it compares
 * a node with its own view of the cluster, and a node that hears nothing stays "ok" for ever
 * (solana- rpc 3.0.14, rpc_health.rs). So the gap to a tip that references tell counts as much, and
 * the references themselves are looked at: how far each is from what most of them say. */
#include <inttypes.h>

#include "base/str.h"
#include "config/config.h"
#include "look/scene_status.h"
#include "stage/table.h"

static bool health_enabled(const struct ctx *ctx)
{
    return ctx->cfg && *ctx->cfg->validator.ledger;
}

/* Does its process exist? Without a driver nobody else can say that it is stopped. */
static bool runs(struct ctx *ctx, struct scene *scene)
{
    const struct pids *pids = NULL;
    struct err *e = scene_validator(ctx, scene, &pids);
    bool unsure = e;

    err_free(e); /* not known: what answers decides */
    return unsure || pids->n;
}

static bool nothing_answers(const struct status *s)
{
    return !s->health_known && !s->phase_known && !s->slots[RPC_FINALIZED].known;
}

static enum severity severity_stopped(const struct status *s)
{
    if (s->unit.phase == PH_FAILED)
        return SEV_FAIL; /* it was meant to run */
    return s->unit.phase == PH_ABSENT ? SEV_NOTE : SEV_WARN;
}

/* Agave itself calls a node behind from STATUS_AGREE_SLOTS on. */
static enum severity severity_behind(const struct status *s)
{
    return s->gap.known && s->gap.v <= STATUS_AGREE_SLOTS ? SEV_WARN : SEV_FAIL;
}

static void check_state(const struct status *s, bool alive, uint64_t tip_slots,
                        struct findings *ret)
{
    const char *why = s->reason ? s->reason : "";
    bool lies = s->health_known && s->node_health.state == RPC_HEALTH_OK;
    char gap[32] = "unknown";
    struct finding *f = NULL;

    if (s->gap.known)
        snprintf(gap, sizeof(gap), "%" PRIu64, s->gap.v);
    if (!alive && nothing_answers(s)) {
        f = findings_add(ret, "health.state", 5, severity_stopped(s),
                         "the validator does not run%s%s", *s->unit.detail ? ": " : "",
                         s->unit.detail);
    } else if (s->health == HEALTH_OK) {
        f = findings_add(ret, "health.state", 5, SEV_OK,
                         "getHealth says ok, and it is %s slots behind the tip", gap);
    } else if (s->health == HEALTH_BEHIND) {
        f = findings_add(ret, "health.state", 5, severity_behind(s),
                         lies ? "it is %s slots behind the tip, and getHealth alone lies: it says "
                                "ok; see 'agavectl status' for how fast it comes closer"
                              : "it is %s slots behind the tip; see 'agavectl status' for how fast "
                                "it comes closer",
                         gap);
    } else if (s->health == HEALTH_STARTING) {
        f = findings_add(ret, "health.state", 5, SEV_WARN, "it starts: %s", why);
    } else if (s->health == HEALTH_STOPPED) {
        f = findings_add(ret, "health.state", 5, severity_stopped(s), "it is stopped: %s", why);
    } else if (s->health == HEALTH_UNHEALTHY) {
        f = findings_add(ret, "health.state", 5, SEV_FAIL, "it is not healthy: %s; read its log",
                         why);
    } else {
        f = findings_add(ret, "health.state", 5, SEV_UNKNOWN,
                         "whether it is healthy is not known: "
                         "%s",
                         why);
    }
    AUTO(freep) char *want = xasprintf("ok, at most %" PRIu64 " slots behind", tip_slots);
    AUTO(freep) char *got = xasprintf("%s, %s slots behind", status_health_name(s->health), gap);
    finding_compare(f, want, got, "getHealth, getSlot and the references");
}

static void check_reference(const struct status *s, const struct status_reference *r,
                            struct findings *ret)
{
    AUTO(freep) char *tip = s->tip.known ? xasprintf("%" PRIu64, s->tip.v) : NULL;
    AUTO(freep) char *slot = r->slot.known ? xasprintf("%" PRIu64, r->slot.v) : NULL;
    struct finding *f;

    if (!r->slot.known)
        f = findings_add(ret, "health.reference", 5, SEV_WARN,
                         "reference %s does not tell its slot (%s): replace it in the "
                         "config",
                         r->url, r->error ? r->error : "no reason known");
    else if (s->tip.known && !r->agrees && r->slot.v < s->tip.v)
        f = findings_add(ret, "health.reference", 5, SEV_WARN,
                         "reference %s is %" PRIu64 " slots behind the tip (answered %" PRIu64
                         " ms ago): replace it in cluster.references",
                         r->url, s->tip.v - r->slot.v, r->age_ms);
    else if (s->tip.known && !r->agrees)
        f = findings_add(ret, "health.reference", 5, SEV_WARN,
                         "reference %s is %" PRIu64 " slots ahead of the tip that the others tell: "
                         "name a third one in cluster.references, which decides",
                         r->url, r->slot.v - s->tip.v);
    else
        f = findings_add(ret, "health.reference", 5, SEV_OK, "reference %s agrees on the tip",
                         r->url);
    finding_compare(f, tip, slot, r->url);
}

static void check_references(const struct status *s, struct findings *ret)
{
    if (!s->n_refs)
        findings_add(ret, "health.references", 5, SEV_WARN,
                     "no reference is configured: nothing tells the tip; name RPC nodes as "
                     "cluster.references in the config");
    else if (s->n_refs == 1)
        findings_add(ret, "health.references", 5, SEV_NOTE,
                     "one reference alone tells the tip: with two more one that lies changes "
                     "nothing");
    else
        findings_add(ret, "health.references", 5, s->n_answered ? SEV_OK : SEV_UNKNOWN,
                     "%zu of %zu references answer", s->n_answered, s->n_refs);
    for (size_t i = 0; i < s->n_refs; i++)
        check_reference(s, &s->refs[i], ret);
}

static struct err *health_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    const struct status *s = NULL;

    TRY(scene_status(ctx, scene, &s));
    check_state(s, runs(ctx, scene), ctx->cfg->up.tip_slots, ret);
    check_references(s, ret);
    return NULL;
}

static const char *const health_after[] = {"unit", NULL};

const struct stage stage_health = {
    .name = "health",
    .summary = "getHealth and the gap to the tip, and who tells the tip",
    .layer = 5,
    .after = health_after,
    .order_reason = "only a validator that runs is healthy",
    .enabled = health_enabled,
    .asks = PARTY_STATUS,
    .check = health_check,
};
