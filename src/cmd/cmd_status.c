/* agavectl status: one look, or one after another, as a screen for people or as a JSON document.
 * Decides nothing: what the facts mean is look/status's business. */
#include <stdlib.h>

#include "base/str.h"
#include "cmd/cmd_status_host.h"
#include "cmd/commands.h"
#include "cmd/status_relay.h"
#include "cmd/status_subject.h"
#include "cmd/watch.h"
#include "config/config.h"
#include "flow/op.h"
#include "look/snapshot_trust.h"
#include "look/status.h"

#define LABEL STATUS_LABEL

struct status_opts {
    bool check;
    uint64_t watch_s; /* 0: one look */
};

static const char *slot_text(struct known_u64 slot, char buf[static 32])
{
    return slot.known ? status_grouped(slot.v, buf) : "unknown";
}

static void print_slots(const struct status *s, struct out *out)
{
    char p[32], c[32], f[32], t[32];

    out_printf(out, LABEL "processed %s, confirmed %s, finalized %s\n", "slots",
               slot_text(s->slots[RPC_PROCESSED], p), slot_text(s->slots[RPC_CONFIRMED], c),
               slot_text(s->slots[RPC_FINALIZED], f));
    out_printf(out, LABEL "%s", "tip", slot_text(s->tip, t));
    if (!s->tip.known)
        out_printf(out, " (none of %zu references answers)\n", s->n_refs);
    else if (s->n_answered == 1)
        out_printf(out, " (from one source of %zu)\n", s->n_refs);
    else
        out_printf(out, " (%zu of %zu references agree)\n", s->n_agree, s->n_refs);
}

static void print_gap(const struct status *s, uint64_t tip_slots, struct out *out)
{
    char slots[32], time[32];

    if (!s->gap.known) {
        out_printf(out, LABEL "unknown\n", "gap");
    } else {
        out_printf(out, LABEL "%s slot%s", "gap", status_grouped(s->gap.v, slots),
                   s->gap.v == 1 ? "" : "s");
        if (s->gap.v <= tip_slots)
            out_printf(out, ", at the tip\n");
        else if (s->eta_s.known)
            out_printf(out, ", at the tip in %s\n",
                       fmt_duration((double)s->eta_s.v, time, sizeof(time)));
        else
            out_printf(out, ", at the tip %s\n",
                       s->never ? "never at this rate" : "at an unknown time");
    }
    if (s->rates.known)
        out_printf(out, LABEL "replay %.2f, cluster %.2f slots/s\n", "rates", s->rates.replay,
                   s->rates.chain);
    else
        out_printf(out, LABEL "unknown until a second look (2 s to 10 min after the first)\n",
                   "rates");
}

static void print_unit(const struct status *s, struct out *out)
{
    char time[32];

    if (s->phase_known)
        out_printf(out, LABEL "%s", "phase", s->phase.text);
    else
        out_printf(out, LABEL "unknown: %s", "phase",
                   s->phase_error ? s->phase_error : "not looked at");
    if (s->start_rate.known)
        out_printf(out, ", %.1f slots/s", s->start_rate.per_s[0]);
    if (s->start_eta_s.known)
        out_printf(out, ", through in %s",
                   fmt_duration((double)s->start_eta_s.v, time, sizeof(time)));
    out_printf(out, "\n" LABEL "%s%s%s", "unit", s->runtime ? s->runtime : "",
               s->runtime ? ", " : "", unit_phase_name(s->unit.phase));
    for (size_t i = 0; i < s->n_pids; i++)
        out_printf(out, "%s%d", i ? " " : ", pid ", (int)s->pids[i]);
    if (s->age_s.known)
        out_printf(out, ", up %s", fmt_duration((double)s->age_s.v, time, sizeof(time)));
    if (s->unit.phase != PH_UNKNOWN && s->runtime)
        out_printf(out, ", restarts %u", s->unit.restarts);
    out_printf(out, "%s%s\n", s->unit_error ? "; " : "", s->unit_error ? s->unit_error : "");
}

/* " (1,234 slots old)": against the tip, where that is known. */
static void print_age(const struct status *s, struct known_u64 slot, struct out *out)
{
    char buf[32];

    out_printf(out, "%s", slot_text(slot, buf));
    if (slot.known && s->tip.known && s->tip.v >= slot.v)
        out_printf(out, " (%s slots old)", status_grouped(s->tip.v - slot.v, buf));
}

static void print_snapshot(const struct status *s, struct out *out)
{
    out_printf(out, LABEL, "snapshot");
    if (!s->full_slot.known && s->snapshot_error) {
        out_printf(out, "unknown: %s\n", s->snapshot_error);
        return;
    }
    if (!s->full_slot.known) {
        out_printf(out, "none\n");
        return;
    }
    out_printf(out, "full ");
    print_age(s, s->full_slot, out);
    if (s->incremental_slot.known) {
        out_printf(out, ", incremental ");
        print_age(s, s->incremental_slot, out);
    }
    if (snapshot_trust_is_any(s->full_trust) || snapshot_trust_is_any(s->incremental_trust))
        out_printf(out, "; nobody vouched for %s (--trust-any)",
                   snapshot_trust_is_any(s->full_trust) ? "the full one" : "the incremental");
    out_printf(out, "\n");
}

/* The method and the URL in front of the message stand in the same row already. */
static const char *bare(const char *error)
{
    const char *end = strstr(error, "': ");

    return str_starts(error, "getSlot at '") && end ? end + 3 : error;
}

static void print_references(const struct status *s, struct out *out)
{
    static const char *const headers[] = {"REFERENCE", ">SLOT", "SAYS", NULL};
    AUTO(table_freep) struct table *t = NULL;

    if (s->n_refs == 0)
        return;
    t = table_new(headers);
    for (size_t i = 0; i < s->n_refs; i++) {
        const struct status_reference *r = &s->refs[i];
        char buf[32];
        const char *says = r->error    ? bare(r->error)
                           : r->agrees ? "agrees"
                                       : "another tip: set aside";
        const char *const cells[] = {r->url, r->slot.known ? status_grouped(r->slot.v, buf) : NULL,
                                     says};

        table_row(t, cells);
    }
    out_printf(out, "\n");
    table_print(t, out);
}

/* An operation that was not finished: before anything else, because other flows wait for it. */
struct unfinished {
    bool found;
    struct op op;
    char *error; /* NULL: looked at */
};

static void unfinished_clear(struct unfinished *u)
{
    op_clear(&u->op);
    free(u->error);
}

static void look_at_operations(struct ctx *ctx, struct unfinished *ret)
{
    AUTO(op_dirs_clear) struct op_dirs dirs = {0};
    struct err *e;

    op_dirs_get(ctx, &dirs);
    e = op_unfinished(ctx, &dirs, &ret->op, &ret->found);
    if (e)
        ret->error = xstrdup(e->text);
    (void)err_free(e); /* shown: could not look is not "none" */
}

static void print_operation(const struct unfinished *u, struct out *out)
{
    AUTO(freep) char *line = u->found ? op_line(&u->op) : NULL;

    if (line)
        out_printf(out, "%s\n", line);
    else if (u->error)
        out_printf(out, "cannot tell whether an operation is unfinished: %s\n", u->error);
}

static void put_operation(const struct unfinished *u, struct json *doc)
{
    json_put(doc, "operation", u->found ? op_json(&u->op, false) : NULL);
    json_put(doc, "operation_error", json_new_str(u->error));
}

static void print_status(const struct status *s, const struct status_relay *relay,
                         uint64_t tip_slots, struct out *out)
{
    out_printf(out, LABEL "%s%s%s\n", "health", status_health_name(s->health),
               s->reason ? ": " : "", s->reason ? s->reason : "");
    print_slots(s, out);
    print_gap(s, tip_slots, out);
    if (s->via_pid)
        out_printf(out, LABEL "asked in the network namespace of process %d\n", "rpc",
                   (int)s->via_pid);
    print_unit(s, out);
    status_print_host(&s->host, out);
    status_relay_print(relay, out);
    print_snapshot(s, out);
    print_references(s, out);
}

struct frame_arg {
    const struct status_opts *opts;
    struct subject *subject;
    bool again; /* not the first one */
    int *exit;
};

static struct err *frame(struct ctx *ctx, void *arg, struct out *out)
{
    struct frame_arg *a = arg;
    AUTO(status_clear) struct status s = {0};
    AUTO(unfinished_clear) struct unfinished u = {0};
    AUTO(status_relay_clear) struct status_relay relay = {0};
    struct json *doc;

    if (a->again)
        subject_find_again(ctx, a->subject);
    a->again = true;
    TRY(status_gather(ctx, &a->subject->params, &s));
    look_at_operations(ctx, &u);
    status_relay_look(ctx, &relay);
    if (out->json) {
        doc = status_json(&s);
        put_operation(&u, doc);
        json_put(doc, "relay", status_relay_json(&relay));
        out_json(out, doc);
    } else {
        print_operation(&u, out);
        print_status(&s, &relay, a->subject->params.tip_slots, out);
    }
    if (a->opts->check && s.health != HEALTH_OK)
        *a->exit = 3;
    return NULL;
}

static struct err *status_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                              struct out *out)
{
    const struct status_opts *o = opts;
    AUTO(subject_clear) struct subject subject = {0};
    struct frame_arg a = {.opts = o, .subject = &subject, .exit = &out->exit};
    struct err *e;

    if (o->check && o->watch_s)
        return err_new(ERR_BADINPUT, "'--check' and '--watch' exclude each other");
    TRY(subject_choose(ctx, &subject));
    if (!o->watch_s)
        return frame(ctx, &a, out);
    rates_load(ctx, subject.params.state_dir, &subject.book);
    subject.params.book = &subject.book;
    e = watch_run(ctx, out, o->watch_s * 1000, frame, &a);
    rates_save(ctx, subject.params.state_dir, &subject.book);
    return e;
}

static const struct opt options[] = {
    {.type = OPT_FLAG,
     .lng = "check",
     .help = "exit 3 unless health is ok",
     .offset = offsetof(struct status_opts, check)},
    {.type = OPT_U64,
     .lng = "watch",
     .arg = "SECONDS",
     .help =
         "again and again, in place on a terminal, until Ctrl-C; every 2 s unless said otherwise",
     .offset = offsetof(struct status_opts, watch_s),
     .min = 1,
     .max = 3600,
     .bare = "2"},
    {0},
};

const struct cmd cmd_status = {
    .name = "status",
    .summary = "show health, slots, gap to the tip, phase and unit",
    .usage = "",
    .detail =
        "Looks once at the unit, its admin socket, its RPC, the references, the snapshots on "
        "disk, and what the kernel counts of its memory and network, within status.timeout_ms even "
        "when all of them are dead. What cannot be looked at is unknown (null in JSON). Without a "
        "config it is the validator that runs on this host, found by the lock on its ledger.\n"
        "\n"
        "health is the first of these that holds, and says why:\n"
        "  stopped    nothing runs, and neither its admin socket nor its RPC answers\n"
        "  unhealthy  its start ended in a halt, or it says so itself\n"
        "  starting   it is in any phase before running\n"
        "  behind     it says so, or its gap to the tip is above up.tip_slots\n"
        "  unknown    something that ok needs is missing, or the references contradict\n"
        "             each other, or are far behind the node\n"
        "  ok         it says so and its gap is at most up.tip_slots\n"
        "A node that hears nothing of the cluster calls itself ok for ever: that alone is not "
        "believed.\n"
        "\n"
        "The tip is the finalized slot of the references, the middle one of three: one that is "
        "down or lies changes nothing. Two that contradict each other give no ok.\n"
        "\n"
        "Rates and the time to the tip need two looks, 2 s to 10 min apart; the last ones are "
        "kept in state_dir.\n"
        "\n"
        "memory is what counts against the lowest limit of the unit's control groups, or against "
        "the host's memory when there is none, without the page cache of files, which the kernel "
        "drops before it kills. Its trend needs looks 30 s apart. udp counts everything in the "
        "unit's network namespace, tvu the sockets of its TVU port alone. When the unit has a "
        "network namespace of its own, its RPC is asked in there (root only).",
    .example = "agavectl status -o json",
    .flags = CMD_CONFIG_MAYBE | CMD_JSON,
    .opts = options,
    .opts_size = sizeof(struct status_opts),
    .run = status_run,
};
