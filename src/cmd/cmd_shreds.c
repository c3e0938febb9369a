/* agavectl shreds: which slots of the ledger are complete, and is there a run at the tip that a
 * validator could be started inside (READY)? Reads the blockstore beside a running validator. */
#include "cmd/commands.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "config/config.h"
#include "solana/shred_runs.h"

#define DEFAULT_SLOTS 500
#define MAX_SLOTS     (4u << 20)
#define PICTURE_LINE  64
#define PICTURE_MAX   (128 * PICTURE_LINE)
#define SHOWN_RUNS    10
#define SHOWN_RANGES  20

struct shreds_opts {
    const char *ledger;
};

static const struct opt shreds_options[] = {
    {.type = OPT_STR,
     .lng = "ledger",
     .arg = "DIR",
     .help = "the validator's ledger folder, which holds rocksdb/",
     .offset = offsetof(struct shreds_opts, ledger)},
    {0},
};

struct window {
    bool range; /* first to last; else the last n */
    uint64_t n, first, last;
};

static struct err *parse_window(int argc, char **argv, struct window *ret)
{
    struct window w = {.n = DEFAULT_SLOTS};
    const char *dash = argc ? strchr(argv[0], '-') : NULL;

    if (argc && !dash)
        TRY_CTX(parse_u64(argv[0], 1, MAX_SLOTS, &w.n), "number of slots");
    if (dash) {
        AUTO(freep) char *from = xstrndup(argv[0], (size_t)(dash - argv[0]));

        w.range = true;
        TRY_CTX(parse_u64(from, 0, UINT64_MAX - 1, &w.first), "first slot of '%s'", argv[0]);
        TRY_CTX(parse_u64(dash + 1, 0, UINT64_MAX - 1, &w.last), "last slot of '%s'", argv[0]);
        if (w.first > w.last)
            return err_new(ERR_BADINPUT, "'%s' ends before it begins; give the lower slot first",
                           argv[0]);
        if (w.last - w.first >= MAX_SLOTS)
            return err_new(ERR_BADINPUT, "'%s' is more than %u slots; give a smaller range",
                           argv[0], MAX_SLOTS);
    }
    *ret = w;
    return NULL;
}

static struct err *ledger_of(const struct ctx *ctx, const struct shreds_opts *o, const char **ret)
{
    if (!o->ledger && !ctx->cfg)
        return err_new(ERR_BADINPUT, "no ledger is known; give --ledger DIR or --config FILE");
    *ret = o->ledger ? o->ledger : ctx->cfg->validator.ledger;
    return NULL;
}

static struct json *slot_or_null(uint64_t v)
{
    return v == SLOT_UNKNOWN ? NULL : json_new_u64(v);
}

static struct json *json_slot(const struct slot_state *s)
{
    struct json *j = json_new_object();

    json_put(j, "slot", json_new_u64(s->meta.slot));
    json_put(j, "full", json_new_bool(s->meta.full));
    json_put(j, "consumed", json_new_u64(s->meta.consumed));
    json_put(j, "received", json_new_u64(s->meta.received));
    json_put(j, "last_index", slot_or_null(s->meta.last_index));
    json_put(j, "parent", slot_or_null(s->meta.parent));
    json_put(j, "root", json_new_bool(s->root));
    json_put(j, "dead", json_new_bool(s->dead));
    return j;
}

static struct json *json_run(const struct shred_run *r)
{
    struct json *j;

    if (r->slots == 0)
        return NULL;
    j = json_new_object();
    json_put(j, "first", json_new_u64(r->first));
    json_put(j, "last", json_new_u64(r->last));
    json_put(j, "slots", json_new_u64(r->slots));
    return j;
}

static struct json *json_report(const struct blockstore *b, const struct shred_report *r)
{
    struct json *doc = answer_new(), *slots = json_new_array(), *runs = json_new_array();
    struct json *warnings = json_new_array();
    const struct strlist *said = blockstore_warnings(b);
    bool empty = r->first > r->last;

    for (size_t i = 0; i < r->slots_n; i++)
        json_push(slots, json_slot(&r->slots[i]));
    for (size_t i = 0; i < r->runs_n; i++)
        json_push(runs, json_run(&r->runs[i]));
    for (size_t i = 0; i < said->n; i++)
        json_push(warnings, json_new_str(said->items[i]));
    json_put(doc, "first", empty ? NULL : json_new_u64(r->first));
    json_put(doc, "last", empty ? NULL : json_new_u64(r->last));
    json_put(doc, "total", json_new_u64(r->total));
    json_put(doc, "complete", json_new_u64(r->complete));
    json_put(doc, "incomplete", json_new_u64(r->incomplete));
    json_put(doc, "highest_received", slot_or_null(r->highest_received));
    json_put(doc, "ready", json_new_bool(r->ready));
    json_put(doc, "ready_run", r->ready ? json_run(&r->tip_run) : NULL);
    json_put(doc, "tip_run", json_run(&r->tip_run));
    json_put(doc, "runs", runs);
    json_put(doc, "slots", slots);
    json_put(doc, "warnings", warnings);
    json_put(doc, "open_ms", json_new_u64(blockstore_open_ms(b)));
    return doc;
}

#define LLU(v) ((unsigned long long)(v))

static int by_length(const void *a, const void *b)
{
    const struct shred_run *x = a, *y = b;

    if (x->slots != y->slots)
        return x->slots > y->slots ? -1 : 1;
    return x->first > y->first ? -1 : 1;
}

static int by_first(const void *a, const void *b)
{
    const struct shred_run *x = a, *y = b;

    return x->first < y->first ? -1 : 1;
}

/* The longest ones, in the order of the slots. */
static void print_runs(const struct shred_report *r, struct out *out)
{
    static const char *const headers[] = {">FIRST", ">LAST", ">SLOTS", NULL};
    AUTO(table_freep) struct table *t = table_new(headers);
    size_t shown = r->runs_n < SHOWN_RUNS ? r->runs_n : SHOWN_RUNS;
    AUTO(freep) struct shred_run *runs = NULL;

    if (r->runs_n == 0) {
        out_printf(out, "no runs: no slot of the window is complete\n");
        return;
    }
    runs = xmemdup(r->runs, r->runs_n * sizeof(*runs));
    qsort(runs, r->runs_n, sizeof(*runs), by_length);
    qsort(runs, shown, sizeof(*runs), by_first);
    out_printf(out, "\nruns of complete slots, each the child of the one before:\n");
    for (size_t i = 0; i < shown; i++) {
        char first[24], last[24], slots[24];
        const char *const cells[] = {first, last, slots, NULL};

        snprintf(first, sizeof(first), "%llu", LLU(runs[i].first));
        snprintf(last, sizeof(last), "%llu", LLU(runs[i].last));
        snprintf(slots, sizeof(slots), "%llu", LLU(runs[i].slots));
        table_row(t, cells);
    }
    table_print(t, out);
    if (shown < r->runs_n)
        out_printf(out, "and %zu more, none longer than these\n", r->runs_n - shown);
}

static void print_ready(const struct shred_report *r, struct out *out)
{
    const struct shred_run *t = &r->tip_run;
    const char *on = out->color ? (r->ready ? "\033[32m" : "\033[33m") : "";
    const char *off = out->color ? "\033[0m" : "";
    uint64_t below = r->highest_received - t->last;

    out_printf(out, "\nREADY: %s%s%s, ", on, r->ready ? "yes" : "no", off);
    if (t->slots == 0) {
        out_printf(out, "no slot is complete\n");
        return;
    }
    out_printf(out,
               "the run at the tip is %llu to %llu: %s%llu slots, its end %llu below the highest "
               "received slot %llu\n",
               LLU(t->first), LLU(t->last), r->tip_run_open ? "at least " : "", LLU(t->slots),
               LLU(below), LLU(r->highest_received));
    if (t->slots <= SHRED_READY_SLOTS)
        out_printf(out, "  more than %d slots are needed\n", SHRED_READY_SLOTS);
    if (below > SHRED_READY_DISTANCE)
        out_printf(out, "  it may end at most %d below\n", SHRED_READY_DISTANCE);
    if (r->ready)
        out_printf(out,
                   "  a snapshot of one of these slots can be replayed to %llu without "
                   "repair\n",
                   LLU(t->last));
}

static bool is_incomplete(const struct slot_state *s)
{
    return s->meta.received > 0 && (!s->meta.full || s->dead);
}

static void print_incomplete(const struct shred_report *r, struct out *out)
{
    size_t ranges = 0, left = 0;

    if (r->incomplete == 0)
        return;
    out_printf(out, "\nincomplete slots:");
    for (size_t i = 0; i < r->slots_n; i++) {
        uint64_t first = r->slots[i].meta.slot, last = first;

        if (!is_incomplete(&r->slots[i]))
            continue;
        while (i + 1 < r->slots_n && is_incomplete(&r->slots[i + 1]) &&
               r->slots[i + 1].meta.slot == last + 1) {
            i++;
            last++;
        }
        if (ranges++ >= SHOWN_RANGES)
            left += last - first + 1;
        else if (first == last)
            out_printf(out, " %llu", LLU(first));
        else
            out_printf(out, " %llu-%llu", LLU(first), LLU(last));
    }
    if (left)
        out_printf(out, " and %zu more (-o json has them all)", left);
    out_printf(out, "\n");
}

/* A way to draw a slot. */
struct mark {
    char c;
    const char *color, *means;
};
enum { MARK_COMPLETE, MARK_PARTIAL, MARK_DEAD, MARK_NAMED, MARK_NOTHING, MARK_N };
static const struct mark marks[MARK_N] = {
    [MARK_COMPLETE] = {'#', "\033[32m", "complete"},
    [MARK_PARTIAL] = {'+', "\033[33m", "incomplete"},
    [MARK_DEAD] = {'x', "\033[31m", "dead"},
    [MARK_NAMED] = {'o', "\033[2m", "named by a child only"},
    [MARK_NOTHING] = {'.', "\033[2m", "nothing: skipped or not seen"},
};

static int mark_of(const struct slot_state *s)
{
    if (s->dead)
        return MARK_DEAD;
    if (s->meta.full)
        return MARK_COMPLETE;
    return s->meta.received ? MARK_PARTIAL : MARK_NAMED;
}

static void draw(int mark, int *current, struct out *out)
{
    if (out->color && mark != *current)
        out_printf(out, "\033[0m%s", marks[mark].color);
    *current = mark;
    out_printf(out, "%c", marks[mark].c);
}

static void print_picture(const struct shred_report *r, struct out *out)
{
    uint64_t first = r->first;
    size_t at = 0;

    if (r->last - first >= PICTURE_MAX)
        first = r->last - PICTURE_MAX + 1;
    out_printf(out, "\n");
    for (int m = 0; m < MARK_N; m++)
        out_printf(out, "%s%c %s", m ? ", " : "", marks[m].c, marks[m].means);
    if (first != r->first)
        out_printf(out, "; the last %d slots", PICTURE_MAX);
    out_printf(out, "\n");
    /* Counted from the first, because the last may be close to the end of the numbers. */
    for (uint64_t drawn = 0; drawn <= r->last - first; drawn += PICTURE_LINE) {
        uint64_t line = first + drawn;
        int current = MARK_N;

        out_printf(out, "%12llu ", LLU(line));
        for (uint64_t slot = line; slot <= r->last && slot - line < PICTURE_LINE; slot++) {
            while (at < r->slots_n && r->slots[at].meta.slot < slot)
                at++;
            draw(at < r->slots_n && r->slots[at].meta.slot == slot ? mark_of(&r->slots[at])
                                                                   : MARK_NOTHING,
                 &current, out);
        }
        out_printf(out, "%s\n", out->color ? "\033[0m" : "");
    }
}

static void print_report(const char *ledger, const struct shred_report *r, struct out *out)
{
    if (r->first > r->last) {
        out_printf(out, "the blockstore of '%s' has no shreds yet\n\nREADY: no\n", ledger);
        return;
    }
    out_printf(out, "slots %llu to %llu of '%s'\n", LLU(r->first), LLU(r->last), ledger);
    out_printf(out, "  total       %llu slots with shreds\n", LLU(r->total));
    out_printf(out, "  complete    %llu", LLU(r->complete));
    if (r->total)
        out_printf(out, " (%.1f %%)", 100.0 * (double)r->complete / (double)r->total);
    out_printf(out, "\n  incomplete  %llu\n", LLU(r->incomplete));
    print_runs(r, out);
    print_ready(r, out);
    print_incomplete(r, out);
    print_picture(r, out);
}

static struct err *shreds_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                              struct out *out)
{
    AUTO(shred_report_clear) struct shred_report r = {0};
    AUTO(blockstore_closep) struct blockstore *b = NULL;
    struct window w;
    const char *ledger;

    TRY(parse_window(argc, argv, &w));
    TRY(ledger_of(ctx, opts, &ledger));
    TRY(blockstore_open(ctx, ledger, &b));
    if (w.range)
        TRY(shred_report_range(b, w.first, w.last, &r));
    else
        TRY(shred_report_last(b, w.n, &r));
    for (size_t i = 0; i < blockstore_warnings(b)->n; i++)
        log_note("warning: %s", blockstore_warnings(b)->items[i]);
    if (out->json)
        out_json(out, json_report(b, &r));
    else
        print_report(ledger, &r, out);
    return NULL;
}

const struct cmd cmd_shreds = {
    .name = "shreds",
    .summary = "show which slots of the ledger are complete",
    .usage = "[N|A-B]",
    .detail =
        "Reads the blockstore, also beside a running validator, and reports the last N slots "
        "(500), or the slots from A to B: how many have shreds, how many of these are complete, "
        "and the runs of complete slots along their parents.\n"
        "READY is yes when the run that ends at the highest complete slot has more than 100 "
        "members and ends at most 32 below the highest slot received: a snapshot inside that run "
        "can be replayed without repair.\n"
        "RocksDB's library is needed; tools/get-rocksdb gets it.",
    .example = "agavectl shreds --ledger /srv/solana/ledger 1000",
    .flags = CMD_CONFIG_MAYBE | CMD_JSON,
    .max_args = 1,
    .opts = shreds_options,
    .opts_size = sizeof(struct shreds_opts),
    .run = shreds_run,
};
