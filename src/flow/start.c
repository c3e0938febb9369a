/* Starting the validator and waiting for it: what `up` and `start` share, and `start` itself, which
 * prepares nothing and therefore refuses a host that is not as the config says. */
#include "flow/start.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "flow/ports.h"
#include "flow/unit_state.h"
#include "flow/waiting.h"
#include "look/status.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "stage/engine.h"

#define ANSWER_MS 120000 /* Agave opens its admin socket before it loads anything */
#define POLL_MS   200
#define TIP_MS    400
#define TAIL_B    4096

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

static struct err *may_start(const struct unit_status *st)
{
    if (st->phase != PH_STOPPING)
        return NULL;
    return err_new(ERR_REFUSED,
                   "a stop of the validator is under way; finish it with 'agavectl stop'");
}

struct err *start_decide(struct ctx *ctx, const char *agave_bin, struct json *inputs,
                         bool *ret_running)
{
    AUTO(unit_config_freep) struct unit_config *u = NULL;
    struct unit_status st = {0};

    TRY(unit_config_new(ctx, agave_bin, &u));
    if (agave_bin && u->unit.systemd)
        return err_new(ERR_BADINPUT,
                       "--agave-bin: which program '%s' runs is said by its unit file",
                       u->unit.systemd->unit);
    TRY(u->runtime->status(ctx, &u->unit, &st));
    TRY(may_start(&st));
    *ret_running = unit_runs(&st);
    if (!*ret_running) { /* before anything is changed */
        TRY(unit_config_check(ctx, u));
        if (u->runtime->may_start)
            TRY(u->runtime->may_start(ctx, &u->unit));
        TRY(ports_check(ctx));
    }
    json_put(inputs, "program", json_new_str(u->unit.bin));
    json_put(inputs, "ledger", json_new_str(u->unit.ledger));
    json_put(inputs, "running", json_new_bool(*ret_running));
    return NULL;
}

static bool for_start(const void *arg, const struct stage *s)
{
    (void)arg;
    return s->gate || s->bars_start;
}

static bool has_bars(const void *arg, const struct stage *s)
{
    (void)arg;
    return s->bars_start != NULL;
}

static bool is_bar(const struct ctx *ctx, const struct finding *f, bool anew)
{
    const struct stage *s = stage_by_name(stage_table, f->stage);

    if (f->ignored || (f->sev != SEV_FAIL && f->sev != SEV_UNKNOWN))
        return false;
    return !s || s->gate || s->bars_start(ctx, f, anew);
}

/* anew: as stage.h's bars_start has it. ret_text NULL: not wanted. */
static struct err *look_before_start(struct ctx *ctx,
                                     bool (*wanted)(const void *arg, const struct stage *s),
                                     bool anew, char **ret_text)
{
    AUTO(check_report_clear) struct check_report r = {0};

    stages_check(ctx, &(struct check_opts){.wanted = wanted}, &r);
    for (size_t i = 0; i < r.findings.n; i++) {
        const struct finding *f = &r.findings.items[i];

        if (!is_bar(ctx, f, anew))
            continue;
        struct err *e = err_new(ERR_REFUSED, "%s: %s", f->id, f->what);
        const struct stage *s = stage_by_name(stage_table, f->stage);
        return s && s->gate ? err_hint(e, "'agavectl up' prepares the host") : e;
    }
    if (ret_text)
        *ret_text = xstrdup("as the config says");
    return NULL;
}

static struct err *start_ready(struct ctx *ctx, struct step_run *s)
{
    struct unit_state *state = s->state;
    struct unit_status st = {0};

    TRY(state->u->runtime->status(ctx, &state->u->unit, &st));
    TRY(may_start(&st));
    s->nothing = unit_runs(&st);
    if (s->nothing)
        return NULL;
    TRY(unit_config_check(ctx, state->u));
    if (state->u->runtime->may_start)
        TRY(state->u->runtime->may_start(ctx, &state->u->unit));
    TRY(look_before_start(ctx, has_bars, true, NULL));
    return ports_check(ctx);
}

static struct err *start_act(struct ctx *ctx, struct step_run *s)
{
    struct unit_state *state = s->state;

    if (ctx_cancelled(ctx))
        return err_new(ERR_CANCELLED, "interrupted before the validator was started");
    TRY(waiting_take(ctx, state->u->unit.bin, &state->waited));
    return state->u->runtime->start(ctx, &state->u->unit);
}

static struct err *tell_pid(struct ctx *ctx, struct step_run *s)
{
    struct unit_state *state = s->state;
    AUTO(freep) pid_t *pids = NULL;
    size_t n = 0;

    TRY(state->u->runtime->pids(ctx, &state->u->unit, &pids, &n));
    free(s->text);
    s->text = xasprintf("process %d on ledger %s%s%s", n ? pids[0] : 0, state->u->unit.ledger,
                        state->waited ? "; " : "", state->waited ? state->waited : "");
    return NULL;
}

static struct err *start_verify(struct ctx *ctx, struct step_run *s, bool *ret_done)
{
    struct unit_state *state = s->state;
    struct unit_status st = {0};

    TRY(state->u->runtime->status(ctx, &state->u->unit, &st));
    if (!s->probing && (st.phase == PH_FAILED || st.phase == PH_STOPPED))
        return ended(ctx, state->u, st.detail[0] ? st.detail : "it is gone");
    /* detail is what the admin socket said when it did not answer */
    *ret_done = st.phase == PH_RUNNING || (st.phase == PH_STARTING && !st.detail[0]);
    return *ret_done ? tell_pid(ctx, s) : NULL;
}

#define GOES_ON "the validator goes on; look with 'agavectl status'"

const struct step step_start = {
    .name = "start",
    .cls = STEP_PROBE_FIRST, /* a second process on one ledger is refused, but not to be tried */
    .bound = true,
    .waits_for = "an answer on the validator's admin socket",
    .goes_on = GOES_ON,
    .timeout_ms = ANSWER_MS,
    .poll_ms = POLL_MS,
    .ready = start_ready,
    .act = start_act,
    .verify = start_verify,
};

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

static struct err *tip_ready(struct ctx *ctx, struct step_run *s)
{
    struct unit_state *state = s->state;

    state->begun_ns = clock_mono_ns(ctx);
    state->first.known = false;
    state->loading = (struct loading){0};
    s->timeout_ms = ctx->cfg->up.timeout_s * 1000;
    return NULL;
}

static struct err *tip_verify(struct ctx *ctx, struct step_run *s, bool *ret_done)
{
    struct unit_state *state = s->state;
    struct status_params p = unit_config_status(ctx, state->u);
    AUTO(status_clear) struct status st = {0};
    char took[32];

    TRY(status_gather(ctx, &p, &st));
    loading_look(ctx, state->u->unit.bin, &st, &state->loading);
    if (st.unit.phase == PH_FAILED)
        return ended(ctx, state->u, st.unit.detail);
    if (st.unit.phase == PH_STOPPED || st.unit.phase == PH_STOPPING)
        return err_new(ERR_REFUSED, "somebody stopped the validator meanwhile");
    /* A validator fresh from a snapshot stands near the tip without having replayed anything: it is
     * there when it has moved. */
    const struct known_u64 *now = &st.slots[RPC_PROCESSED];
    if (!state->first.known)
        state->first = *now;
    *ret_done = st.health == HEALTH_OK && now->known && now->v > state->first.v;
    tell_progress(s->report, &st);
    if (*ret_done)
        s->text = xasprintf(
            "at the tip: slot %" PRIu64 ", gap %" PRIu64 ", %zu of %zu "
            "references agree, after %s",
            st.tip.v, st.gap.v, st.n_agree, st.n_refs,
            fmt_duration((double)(clock_mono_ns(ctx) - state->begun_ns) / 1e9, took, sizeof(took)));
    return NULL;
}

const struct step step_tip = {
    .name = "tip",
    .cls = STEP_IDEMPOTENT,
    .looks = true,
    .waits_for = "the tip",
    .goes_on = GOES_ON,
    .poll_ms = TIP_MS,
    .ready = tip_ready,
    .verify = tip_verify,
};

/* A host that is not as the config says would give the validator the wrong disk. */
static struct err *storage_holds(struct ctx *ctx, struct step_run *s)
{
    return look_before_start(ctx, for_start, false, &s->text);
}

const struct step step_holds = {
    .name = "holds",
    .cls = STEP_IDEMPOTENT,
    .bound = true,
    .looks = true,
    .ready = storage_holds,
};

static struct err *storage_holds_anew(struct ctx *ctx, struct step_run *s)
{
    return look_before_start(ctx, for_start, true, &s->text);
}

const struct step step_holds_anew = {
    .name = "holds",
    .cls = STEP_IDEMPOTENT,
    .bound = true,
    .looks = true,
    .ready = storage_holds_anew,
};

static struct err *decide(struct ctx *ctx, const void *opts, struct flow_plan *ret)
{
    const struct start_opts *o = opts;
    bool running = false;

    TRY(start_decide(ctx, o->agave_bin, ret->inputs, &running));
    flow_plan_add(ret, &step_holds, "storage", NULL, "look at the storage");
    flow_plan_add(ret, &step_start, "start", NULL, "start the validator")->in_place = running;
    if (o->wait_tip)
        flow_plan_add(ret, &step_tip, "tip", NULL, "wait until it is at the tip");
    return NULL;
}

static struct json *wish(struct ctx *ctx, const void *opts)
{
    const struct start_opts *o = opts;
    struct json *j = json_new_object();

    json_put(j, "agave_bin", json_new_str(o->agave_bin));
    json_put(j, "wait_tip", json_new_bool(o->wait_tip));
    return j;
}

static const struct step *const steps[] = {&step_holds, &step_start, &step_tip, NULL};

const struct flow start_flow = {
    .name = "start",
    .summary = "start the validator on a prepared host",
    .version = 1,
    .steps = steps,
    .decide = decide,
    .wish = wish,
    .open = unit_state_open,
    .close = unit_state_close,
};

struct err *flow_start(struct ctx *ctx, const struct start_opts *opts, const struct flow_how *how,
                       struct flow_result *ret)
{
    return flow_run(ctx, &start_flow, opts, how, ret);
}
