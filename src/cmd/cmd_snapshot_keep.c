/* agavectl snapshot keep: a fresh snapshot waits, round after round. One line a round, for a log.
 */
#include "cmd/commands.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cmd/progress.h"
#include "flow/snapshot_keep.h"
#include "io/clock.h"
#include "io/io_class.h"

#define SECOND_NS  UINT64_C(1000000000)
#define INTERVAL_S 86400

struct keep_opts {
    const char *interval, *io_class;
};

static const char *const io_classes[] = {"idle", "best-effort", NULL};

static const struct opt keep_options[] = {
    {.type = OPT_STR,
     .lng = "on-interval",
     .arg = "DURATION",
     .help = "look again and again: 90s, 10m, 1h; without: once",
     .offset = offsetof(struct keep_opts, interval)},
    {.type = OPT_STR,
     .lng = "io-class",
     .arg = "CLASS",
     .help = "idle or best-effort (default): let others have the disk first",
     .offset = offsetof(struct keep_opts, io_class),
     .choices = io_classes},
    {0},
};

/* "90", "90s", "10m", "1h": seconds. */
static struct err *parse_interval(const char *text, uint64_t *ret_s)
{
    static const struct {
        char unit;
        uint64_t s;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}};
    size_t n = strlen(text);
    uint64_t factor = 1, v = 0;

    for (size_t i = 0; n > 1 && i < ARRAY_LEN(units); i++)
        if (text[n - 1] == units[i].unit)
            factor = units[i].s;
    AUTO(freep) char *number = xstrndup(text, n > 1 && strchr("smh", text[n - 1]) ? n - 1 : n);
    struct err *e = parse_u64(number, 1, INTERVAL_S / factor, &v);
    if (e) {
        err_free(e);
        return err_new(ERR_BADINPUT,
                       "option '--on-interval': '%.40s' is no time from 1s to 24h; give one like "
                       "10m",
                       text);
    }
    *ret_s = v * factor;
    return NULL;
}

/* ERR_SYS: nobody reads any more, and nobody would know what this does. */
static struct err *print_round(struct ctx *ctx, const struct keep_round *r, struct out *out)
{
    uint64_t now_ms = clock_wall_ms(ctx);
    char at[40];

    if (out->json) {
        struct json *doc = answer_new();

        json_put(doc, "at_ms", json_new_u64(now_ms));
        json_put(doc, "round", keep_round_json(r));
        out_json(out, doc);
    } else {
        out_printf(out, "%s %s", fmt_utc(now_ms, at, sizeof(at)), keep_outcome_name(r->outcome));
        if (r->slot.known && r->tip.known)
            out_printf(out, ", slot %" PRIu64 ", %" PRIu64 " behind the tip", r->slot.v,
                       r->tip.v > r->slot.v ? r->tip.v - r->slot.v : 0);
        for (size_t i = 0; i < r->fetched.n; i++)
            out_printf(out, "%s%s", i ? ", " : ": ", r->fetched.items[i]);
        if (r->n_removed)
            out_printf(out, "; %zu removed", r->n_removed);
        out_printf(out, "%s%s\n", r->why ? ": " : "", r->why ? r->why : "");
    }
    if (fflush(out->f) != 0 || ferror(out->f))
        return err_sys(errno, "cannot write the answer");
    return NULL;
}

/* The end that a service asks for is no failure; what is half fetched is gone on with. */
static struct err *rounds(struct ctx *ctx, uint64_t interval_s, struct out *out)
{
    AUTO(strlist_clear) struct strlist seen = {0};
    struct progress p;

    progress_init(&p);
    for (;;) {
        AUTO(keep_round_clear) struct keep_round r = {0};
        uint64_t next_ns = clock_mono_ns(ctx) + interval_s * SECOND_NS;
        struct err *e;

        report_begin(&p.report, "keep");
        e = snapshot_keep_round(ctx, &p.report, &seen, &r);
        progress_drop(&p);
        if (e)
            return e->kind == ERR_CANCELLED && interval_s ? err_free(e) : e;
        TRY(print_round(ctx, &r, out));
        if (!interval_s && r.outcome == KEEP_FAILED)
            return err_new(r.failed, "%s", r.why);
        if (!interval_s)
            return NULL;
        for (uint64_t now = clock_mono_ns(ctx); now < next_ns; now = clock_mono_ns(ctx)) {
            ctx->clock->wait(next_ns - now, ctx->cancelled);
            if (ctx_cancelled(ctx))
                return NULL;
        }
    }
}

static struct err *snapshot_keep_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                                     struct out *out)
{
    const struct keep_opts *o = opts;
    uint64_t interval_s = 0;

    if (o->interval)
        TRY(parse_interval(o->interval, &interval_s));
    TRY(io_class_set(str_eq(o->io_class, "idle") ? IO_CLASS_IDLE : IO_CLASS_BEST_EFFORT));
    return rounds(ctx, interval_s, out);
}

const struct cmd cmd_snapshot_keep = {
    .name = "keep",
    .summary = "keep a fresh snapshot ready, as a service",
    .usage = "",
    .detail =
        "Each round looks how far the newest archives of the folder, and those that wait in its "
        ".agavectl/, are behind the tip. More than snapshot.fresh_slots: what 'snapshot get' would "
        "fetch is fetched and waits in .agavectl/, where up, start and restart take it from when "
        "that is better than what is there; what waited and is overtaken is removed. Nothing else "
        "in the folder changes. While a voter of this config runs, nothing is asked or fetched.\n"
        "One line a round: quiet, fresh, fetched, stale (nobody has a newer one) or failed; with "
        "-o json an object. A round that "
        "failed is said, and the next one goes on where it was. SIGTERM ends it with 0. "
        "docs/snapshots.md has a unit for systemd.",
    .example = "agavectl snapshot keep --on-interval 10m",
    .flags = CMD_ROOT | CMD_CONFIG | CMD_JSON,
    .opts = keep_options,
    .opts_size = sizeof(struct keep_opts),
    .run = snapshot_keep_run,
};
