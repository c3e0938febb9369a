/* agavectl status: one look, as a screen for people or as one JSON document. Decides nothing: what
 * the facts mean is look/status's business. */
#include <inttypes.h>

#include "base/str.h"
#include "cmd/commands.h"
#include "look/status.h"
#include "look/unit_config.h"

#define LABEL "%-10s "

struct status_opts {
    bool check;
};

/* "1,234,567": slots are long numbers that people compare. */
static const char *grouped(uint64_t v, char buf[static 32])
{
    char digits[24];
    int n = snprintf(digits, sizeof(digits), "%" PRIu64, v), at = 0;

    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            buf[at++] = ',';
        buf[at++] = digits[i];
    }
    buf[at] = 0;
    return buf;
}

static const char *slot_text(struct known_u64 slot, char buf[static 32])
{
    return slot.known ? grouped(slot.v, buf) : "unknown";
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
        out_printf(out, LABEL "%s slot%s", "gap", grouped(s->gap.v, slots),
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
        out_printf(out, LABEL "%s\n", "phase", s->phase.text);
    else
        out_printf(out, LABEL "unknown: %s\n", "phase",
                   s->phase_error ? s->phase_error : "not looked at");
    out_printf(out, LABEL "%s, %s", "unit", s->runtime ? s->runtime : "none",
               unit_phase_name(s->unit.phase));
    for (size_t i = 0; i < s->n_pids; i++)
        out_printf(out, "%s%d", i ? " " : ", pid ", (int)s->pids[i]);
    if (s->age_s.known)
        out_printf(out, ", up %s", fmt_duration((double)s->age_s.v, time, sizeof(time)));
    if (s->unit.phase != PH_UNKNOWN)
        out_printf(out, ", restarts %u", s->unit.restarts);
    out_printf(out, "%s%s\n", s->unit_error ? "; " : "", s->unit_error ? s->unit_error : "");
}

/* " (1,234 slots old)": against the tip, where that is known. */
static void print_age(const struct status *s, struct known_u64 slot, struct out *out)
{
    char buf[32];

    out_printf(out, "%s", slot_text(slot, buf));
    if (slot.known && s->tip.known && s->tip.v >= slot.v)
        out_printf(out, " (%s slots old)", grouped(s->tip.v - slot.v, buf));
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
        const char *const cells[] = {r->url, r->slot.known ? grouped(r->slot.v, buf) : NULL, says};

        table_row(t, cells);
    }
    out_printf(out, "\n");
    table_print(t, out);
}

static void print_status(const struct status *s, uint64_t tip_slots, struct out *out)
{
    out_printf(out, LABEL "%s%s%s\n", "health", status_health_name(s->health),
               s->reason ? ": " : "", s->reason ? s->reason : "");
    print_slots(s, out);
    print_gap(s, tip_slots, out);
    print_unit(s, out);
    print_snapshot(s, out);
    print_references(s, out);
}

static struct err *status_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                              struct out *out)
{
    const struct status_opts *o = opts;
    AUTO(unit_config_freep) struct unit_config *u = NULL;
    AUTO(status_clear) struct status s = {0};
    struct status_params params;

    TRY(unit_config_new(ctx, NULL, &u));
    params = unit_config_status(ctx, u);
    TRY(status_gather(ctx, &params, &s));
    if (out->json)
        out_json(out, status_json(&s));
    else
        print_status(&s, params.tip_slots, out);
    if (o->check && s.health != HEALTH_OK)
        out->exit = 3;
    return NULL;
}

static const struct opt options[] = {
    {.type = OPT_FLAG,
     .lng = "check",
     .help = "exit 3 unless health is ok",
     .offset = offsetof(struct status_opts, check)},
    {0},
};

const struct cmd cmd_status = {
    .name = "status",
    .summary = "show health, slots, gap to the tip, phase and unit",
    .usage = "",
    .detail =
        "Looks once at the unit, its admin socket, its RPC, the references and the snapshots on "
        "disk, within status.timeout_ms even when all of them are dead. What cannot be looked at "
        "is unknown (null in JSON).\n"
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
        "kept in state_dir.",
    .example = "agavectl status -o json",
    .flags = CMD_CONFIG | CMD_JSON,
    .opts = options,
    .opts_size = sizeof(struct status_opts),
    .run = status_run,
};
