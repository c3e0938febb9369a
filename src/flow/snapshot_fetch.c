/* A fetch as the config says. When one is due, and where it goes, is decided by who calls. */
#include "flow/snapshot_fetch.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"
#include "flow/snapshot_text.h"

#define MEASURE_MS 4000

void snapshot_job_fill(struct snapshot_scope *s, const struct config *c, struct pair_job *job)
{
    job->scope = &s->find;
    job->limits = s->limits;
    job->max_age_end = s->max_age_end;
    job->convergence_slots = s->convergence_slots;
    job->measure_ms = MEASURE_MS;
    job->blacklist = &s->blacklist;
    job->min_rate_b_s = (uint64_t)s->limits.min_rate_b_s;
    job->max_rate_b_s = c ? c->snapshot.max_rate_mib_s << 20 : 0;
}

static void on_say(void *arg, const char *text)
{
    report_progress(arg, "%s", text);
}

static void on_progress(void *arg, const struct fetch_progress *p)
{
    AUTO(freep) char *text = snapshot_progress_text(p);

    report_progress(arg, "%s", text);
}

struct pair_events snapshot_events(const struct flow_report *report)
{
    return (struct pair_events){
        .say = on_say, .progress = on_progress, .arg = (void *)(uintptr_t)report};
}

struct err *snapshot_fetch(struct ctx *ctx, uint64_t tip, const struct pair_job *how,
                           struct pair_local *local, struct pair_report *ret)
{
    AUTO(snapshot_scope_clear) struct snapshot_scope scope = {0};
    const struct config *c = ctx->cfg;
    struct pair_job job = *how;
    struct err *e, *saved;

    TRY(snapshot_scope_init(ctx, NULL, &scope));
    scope.find.tip_from = &c->cluster.references;
    scope.limits.tip = (struct known_u64){.known = true, .v = tip};
    snapshot_job_fill(&scope, c, &job);
    job.uid = (uint32_t)c->validator.uid;
    job.gid = (uint32_t)c->validator.gid;
    e = pair_get(ctx, &job, local, ret);
    saved = snapshot_scope_save(ctx, &scope);
    if (saved)
        log_debug("what failed is not remembered: %s", saved->text);
    err_free(saved);
    return e;
}
