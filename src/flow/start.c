/* Starting the validator and waiting for it: what `up` and `start` share, and `start` itself, which
 * prepares nothing and therefore refuses a host that is not as the config says. */
#include "flow/start.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "flow/ports.h"
#include "look/status.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "stage/engine.h"

#define ANSWER_MS 120000 /* Agave opens its admin socket before it loads anything */
#define POLL_MS   200
#define TIP_MS    400
#define TAIL_B    4096

struct start_arg {
    const struct unit_config *u;
    const struct flow_report *report;
    uint64_t begun_ns;
    enum unit_phase phase;
    struct known_u64 first; /* processed slot at the first look */
};

/* The last line with words of a log file, for an error; NULL when there is none. */
static char *last_line(struct ctx *ctx, const char *path)
{
    AUTO(freep) char *text = NULL;
    size_t n = 0;
    struct err *e = fsroot_read_tail(ctx->root, path, TAIL_B, &text, &n);

    if (e) {
        err_free(e); /* the log itself is the hint then */
        return NULL;
    }
    while (n && strchr(" \n\r\t", text[n - 1]))
        text[--n] = 0;
    const char *nl = strrchr(text, '\n');
    return n ? xstrndup(nl ? nl + 1 : text, 300) : NULL;
}

static struct err *ended(struct ctx *ctx, const struct unit_config *u, const char *detail)
{
    AUTO(freep) char *line = last_line(ctx, ctx->cfg->validator.log);
    struct err *e = err_new(ERR_REMOTE, "the validator ended: %s", detail);

    if (line)
        e = err_hint(e, "its last words: %s", line);
    return err_hint(e, "see '%s'", ctx->cfg->validator.log);
}

static struct err *answers(struct ctx *ctx, void *arg, bool *ret_done)
{
    struct start_arg *a = arg;
    struct unit_status st = {0};

    TRY(a->u->runtime->status(ctx, &a->u->unit, &st));
    a->phase = st.phase;
    if (st.phase == PH_FAILED || st.phase == PH_STOPPED)
        return ended(ctx, a->u, st.detail[0] ? st.detail : "it is gone");
    /* detail is what the admin socket said when it did not answer */
    *ret_done = st.phase == PH_RUNNING || (st.phase == PH_STARTING && !st.detail[0]);
    return NULL;
}

bool unit_runs(const struct unit_status *st)
{
    return st->phase == PH_RUNNING || st->phase == PH_STARTING;
}

struct err *start_may(const struct unit_status *st)
{
    if (st->phase != PH_STOPPING)
        return NULL;
    return err_new(ERR_REFUSED,
                   "a stop of the validator is under way; finish it with 'agavectl stop'");
}

/* Nobody waits for it any more, but it runs. */
static struct err *goes_on(struct err *e)
{
    if (e && (e->kind == ERR_TIMEOUT || e->kind == ERR_CANCELLED))
        e = err_hint(e, "the validator goes on; look with 'agavectl status'");
    return e;
}

struct err *start_unit(struct ctx *ctx, const struct unit_config *u,
                       const struct flow_report *report, bool *ret_changed)
{
    struct start_arg a = {.u = u, .report = report};
    struct unit_status st = {0};

    report_begin(report, "start");
    TRY(u->runtime->status(ctx, &u->unit, &st));
    TRY(start_may(&st));
    *ret_changed = !unit_runs(&st);
    if (*ret_changed) {
        TRY(unit_config_check(ctx, u));
        TRY(ports_check(ctx));
        if (ctx_cancelled(ctx))
            return err_new(ERR_CANCELLED, "interrupted before the validator was started");
        TRY(u->runtime->start(ctx, &u->unit));
    }
    TRY(goes_on(wait_until(ctx, "an answer on the validator's admin socket", ANSWER_MS, POLL_MS,
                           answers, &a)));
    AUTO(freep) pid_t *pids = NULL;
    size_t n = 0;
    TRY(u->runtime->pids(ctx, &u->unit, &pids, &n));
    report_end(report, *ret_changed, "process %d on ledger %s", n ? pids[0] : 0, u->unit.ledger);
    return NULL;
}

static void tell_progress(const struct flow_report *report, const struct status *s)
{
    AUTO(strbuf_clear) struct strbuf b = {0};
    char eta[32];

    if (s->phase_known && s->phase.phase != ADMIN_RUNNING) {
        report_progress(report, "%s", s->phase.text);
        return;
    }
    strbuf_printf(&b, "%s", status_health_name(s->health));
    if (s->gap.known)
        strbuf_printf(&b, ", %" PRIu64 " slots to go", s->gap.v);
    if (s->rates.known)
        strbuf_printf(&b, ", %.1f slots/s", s->rates.replay);
    if (s->eta_s.known && s->eta_s.v)
        strbuf_printf(&b, ", about %s", fmt_duration((double)s->eta_s.v, eta, sizeof(eta)));
    else if (s->never)
        strbuf_puts(&b, ", never at this rate");
    if (s->reason)
        strbuf_printf(&b, " (%s)", s->reason);
    report_progress(report, "%s", strbuf_text(&b));
}

static struct err *at_tip(struct ctx *ctx, void *arg, bool *ret_done)
{
    struct start_arg *a = arg;
    struct status_params p = unit_config_status(ctx, a->u);
    AUTO(status_clear) struct status s = {0};
    char took[32];

    TRY(status_gather(ctx, &p, &s));
    if (s.unit.phase == PH_FAILED)
        return ended(ctx, a->u, s.unit.detail);
    if (s.unit.phase == PH_STOPPED || s.unit.phase == PH_STOPPING)
        return err_new(ERR_REFUSED, "somebody stopped the validator meanwhile");
    /* A validator fresh from a snapshot stands near the tip without having replayed anything: it is
     * there when it has moved. */
    const struct known_u64 *now = &s.slots[RPC_PROCESSED];
    if (!a->first.known)
        a->first = *now;
    *ret_done = s.health == HEALTH_OK && now->known && now->v > a->first.v;
    tell_progress(a->report, &s);
    if (*ret_done)
        report_end(
            a->report, false,
            "at the tip: slot %" PRIu64 ", gap %" PRIu64 ", %zu of %zu "
            "references agree, after %s",
            s.tip.v, s.gap.v, s.n_agree, s.n_refs,
            fmt_duration((double)(clock_mono_ns(ctx) - a->begun_ns) / 1e9, took, sizeof(took)));
    return NULL;
}

struct err *start_wait_tip(struct ctx *ctx, const struct unit_config *u,
                           const struct flow_report *report)
{
    struct start_arg a = {.u = u, .report = report, .begun_ns = clock_mono_ns(ctx)};

    report_begin(report, "tip");
    return goes_on(wait_until(ctx, "the tip", ctx->cfg->up.timeout_s * 1000, TIP_MS, at_tip, &a));
}

/* A host that is not as the config says would give the validator the wrong disk. */
static struct err *storage_holds(struct ctx *ctx)
{
    AUTO(check_report_clear) struct check_report r = {0};

    stages_check(ctx, &(struct check_opts){.gates_only = true}, &r);
    for (size_t i = 0; i < r.findings.n; i++) {
        const struct finding *f = &r.findings.items[i];

        if (!f->ignored && (f->sev == SEV_FAIL || f->sev == SEV_UNKNOWN))
            return err_new(ERR_REFUSED, "%s: %s; 'agavectl up' prepares the host", f->id, f->what);
    }
    return NULL;
}

struct err *flow_start(struct ctx *ctx, const struct start_opts *opts,
                       const struct flow_report *report, bool *ret_changed)
{
    AUTO(unit_config_freep) struct unit_config *u = NULL;

    TRY(unit_config_new(ctx, opts->agave_bin, &u));
    report_begin(report, "storage");
    TRY(storage_holds(ctx));
    report_end(report, false, "as the config says");
    TRY(start_unit(ctx, u, report, ret_changed));
    return opts->wait_tip ? start_wait_tip(ctx, u, report) : NULL;
}
