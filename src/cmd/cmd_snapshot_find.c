/* agavectl snapshot find: who has which snapshots, and with which the tip is reached soonest. Looks
 * only; what it measures is thrown away. */
#include "cmd/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "cmd/cmd_status_host.h"
#include "cmd/snapshot_who.h"
#include "fetch/reasons.h"
#include "io/clock.h"
#include "solana/rpc.h"

#define MEASURE_MS   8000
#define MEASURED_MAX 24
#define SHOWN        20
#define ERRORS_SHOWN 5

struct find_opts {
    struct snapshot_who_opts who;
    bool no_speed, blacklist;
    struct strlist forget;
    uint64_t limit;
};

static const struct opt find_options[] = {
    SNAPSHOT_WHO_OPTS(struct find_opts, who),
    {.type = OPT_FLAG,
     .lng = "no-speed",
     .help = "list only: no rates are measured",
     .offset = offsetof(struct find_opts, no_speed)},
    {.type = OPT_U64,
     .lng = "limit",
     .arg = "N",
     .help = "show the N best (20; -o json: all)",
     .offset = offsetof(struct find_opts, limit),
     .max = 100000},
    {.type = OPT_FLAG,
     .lng = "blacklist",
     .help = "show what has failed and is not tried, and ask nobody",
     .offset = offsetof(struct find_opts, blacklist)},
    {.type = OPT_LIST,
     .lng = "forget",
     .arg = "VALUE",
     .help = "take this node or hash off that list, and ask nobody",
     .offset = offsetof(struct find_opts, forget)},
    {0},
};

/* All that there is to print. */
struct finding {
    struct fetch_found found;
    struct reasons_limits limits;
    const char *replay_from, *unpack_from; /* struct snapshot_scope */
    struct reasons reasons;
    struct strlist relaxed;
    bool measured;
    struct fetch_measured rates;
    double seconds;
};

static void finding_clear(struct finding *f)
{
    reasons_clear(&f->reasons);
    fetch_found_clear(&f->found);
    strlist_clear(&f->relaxed);
}

/* ---- the list of what is not tried ------------------------------------------------------------
 */

static void print_blacklist(const struct blacklist *b, struct out *out)
{
    static const char *const headers[] = {"KIND", "VALUE", "UNTIL", "WHY", NULL};
    AUTO(table_freep) struct table *t = table_new(headers);

    for (size_t i = 0; i < b->n; i++) {
        const struct blacklist_entry *e = &b->items[i];
        char until[32];
        const char *const cells[] = {
            blacklist_kind_name(e->kind), e->value,
            e->until_ms ? fmt_utc(e->until_ms, until, sizeof(until)) : "for ever", e->why};

        table_row(t, cells);
    }
    if (b->n)
        table_print(t, out);
    else
        out_printf(out, "nothing is on the list\n");
}

static void json_blacklist(const struct blacklist *b, struct out *out)
{
    struct json *doc = answer_new(), *entries = json_new_array();

    for (size_t i = 0; i < b->n; i++) {
        const struct blacklist_entry *e = &b->items[i];
        struct json *j = json_new_object();

        json_put(j, "kind", json_new_str(blacklist_kind_name(e->kind)));
        json_put(j, "value", json_new_str(e->value));
        json_put(j, "addr", e->addr ? json_new_str(e->addr) : NULL);
        json_put(j, "why", json_new_str(e->why));
        json_put(j, "until_ms", e->until_ms ? json_new_u64(e->until_ms) : NULL);
        json_push(entries, j);
    }
    json_put(doc, "entries", entries);
    out_json(out, doc);
}

static struct err *blacklist_run(struct ctx *ctx, const struct find_opts *o, struct out *out)
{
    AUTO(freep) char *path = snapshot_blacklist_path(ctx);
    AUTO(blacklist_clear) struct blacklist b = {0};

    if (!path)
        return err_new(ERR_NOTFOUND, "no list is kept for a user without a home");
    TRY(blacklist_load(ctx, path, &b));
    for (size_t i = 0; i < o->forget.n; i++)
        if (!blacklist_forget(&b, o->forget.items[i])) {
            AUTO(freep) char *shown = str_shown(o->forget.items[i], 100);

            return err_new(ERR_NOTFOUND, "'%s' is not on the list of '%s'", shown, path);
        }
    TRY(blacklist_save(ctx, path, &b));
    if (out->json)
        json_blacklist(&b, out);
    else
        print_blacklist(&b, out);
    return NULL;
}

/* ---- looking ----------------------------------------------------------------------------------
 */

static void on_find(void *arg, size_t done, size_t all, size_t with_snapshot)
{
    bool *open = arg;

    if (log_get_level() < LOG_NORMAL || !isatty(STDERR_FILENO))
        return;
    dprintf(STDERR_FILENO, "\r\033[Kasked %zu of %zu nodes, %zu have a snapshot", done, all,
            with_snapshot);
    *open = true;
}

static struct err *measure(struct ctx *ctx, const struct snapshot_scope *w, struct finding *f)
{
    struct fetch_offer *offers[MEASURED_MAX];
    size_t n = 0;

    for (; n < f->reasons.n_usable && n < MEASURED_MAX; n++)
        offers[n] = &f->found.offers[f->reasons.order[n]];
    if (n == 0)
        return NULL;
    log_note("measuring %zu nodes, %d s at most", n, MEASURE_MS / 1000);
    TRY(fetch_measure(ctx, offers, n, MEASURE_MS, &w->find.way, &f->rates));
    f->measured = true;
    reasons_clear(&f->reasons);
    reasons_relax(&f->found, &f->limits, w->max_age_end, &f->reasons, &f->relaxed);
    return NULL;
}

static struct err *look(struct ctx *ctx, struct snapshot_scope *w, const struct find_opts *o,
                        struct finding *ret)
{
    uint64_t from = clock_mono_ns(ctx);
    bool open = false;
    struct err *e;

    w->find.progress = on_find;
    w->find.arg = &open;
    ret->limits = w->limits;
    ret->replay_from = w->replay_from;
    ret->unpack_from = w->unpack_from;
    ret->limits.now_ms = clock_wall_ms(ctx);
    e = fetch_find(ctx, &w->find, &ret->found);
    if (open)
        dprintf(STDERR_FILENO, "\r\033[K");
    TRY(e);
    ret->limits.tip = ret->found.tip;
    reasons_relax(&ret->found, &ret->limits, w->max_age_end, &ret->reasons, &ret->relaxed);
    if (!o->no_speed)
        TRY(measure(ctx, w, ret));
    ret->seconds = (double)(clock_mono_ns(ctx) - from) / 1e9;
    return NULL;
}

/* ---- JSON -------------------------------------------------------------------------------------
 */

static struct json *known_json(bool known, double v)
{
    return known ? json_new_f64(v) : NULL;
}

/* A node that was given with a user, a path or a query may have a key there, and the file's URL
 * would have it as well. */
static bool has_secret(const struct fetch_peer *p)
{
    AUTO(freep) char *origin = http_origin(p->url);

    return p->given && !str_eq(origin, p->url);
}

static struct json *json_file(const struct fetch_file *f, bool incremental, bool secret)
{
    struct json *j;

    if (!f->name)
        return NULL;
    j = json_new_object();
    json_put(j, "name", json_new_str(f->name));
    if (incremental)
        json_put(j, "base", json_new_u64(f->base));
    json_put(j, "slot", json_new_u64(f->slot));
    json_put(j, "hash", json_new_str(f->hash));
    json_put(j, "size_b", f->size_b == UINT64_MAX ? NULL : json_new_u64(f->size_b));
    json_put(j, "url", json_new_str(secret ? NULL : f->url));
    return j;
}

static const struct trust_group *group_of(const struct finding *f, size_t i)
{
    const struct fetch_offer *o = &f->found.offers[i];
    bool incr = f->reasons.verdicts[i].with_incr;
    const struct trust_group *full = trust_find(&f->reasons.trust, false, &o->full);
    const struct trust_group *last = incr ? trust_find(&f->reasons.trust, true, &o->incr) : full;

    /* a way is trusted as its weaker half */
    return last && full && full->kind == TRUST_NONE ? full : last;
}

static struct json *json_source(const struct finding *f, size_t i)
{
    const struct fetch_offer *o = &f->found.offers[i];
    const struct reasons_verdict *v = &f->reasons.verdicts[i];
    AUTO(freep) char *label = rpc_url_label(o->peer.url);
    char trust[TRUST_TEXT_MAX];
    struct json *j = json_new_object();

    json_put(j, "addr", json_new_str(label));
    json_put(j, "id", json_new_str(o->peer.id));
    json_put(j, "version", json_new_str(o->peer.version));
    json_put(j, "shred_version",
             o->peer.shred_version.known ? json_new_u64(o->peer.shred_version.v) : NULL);
    json_put(j, "full", json_file(&o->full, false, has_secret(&o->peer)));
    json_put(j, "incremental",
             o->incr.base == o->full.slot ? json_file(&o->incr, true, has_secret(&o->peer)) : NULL);
    json_put(j, "latency_ms", known_json(o->latency_us.known, (double)o->latency_us.v / 1000.0));
    json_put(j, "ranges",
             o->ranges == FETCH_RANGES_UNKNOWN ? NULL
                                               : json_new_bool(o->ranges == FETCH_RANGES_YES));
    json_put(j, "rate_b_s", o->rate_b_s < 0 ? NULL : json_new_u64((uint64_t)o->rate_b_s));
    json_put(j, "trust", json_new_str(trust_text(group_of(f, i), trust)));
    json_put(j, "slot", json_new_u64(v->slot));
    json_put(j, "minutes_to_tip",
             known_json(v->measured && o->rate_b_s > 0 && v->time.minutes >= 0, v->time.minutes));
    return j;
}

static struct json *json_groups(const struct finding *f)
{
    struct json *groups = json_new_array();

    for (size_t i = 0; i < f->reasons.trust.n; i++) {
        const struct trust_group *g = &f->reasons.trust.items[i];
        char trust[TRUST_TEXT_MAX];
        struct json *j = json_new_object();

        json_put(j, "base", g->incremental ? json_new_u64(g->base) : NULL);
        json_put(j, "slot", json_new_u64(g->slot));
        json_put(j, "hash", json_new_str(g->hash));
        json_put(j, "sources", json_new_u64(g->sources));
        json_put(j, "networks", json_new_u64(g->networks));
        json_put(j, "trust", json_new_str(trust_text(g, trust)));
        json_push(groups, j);
    }
    return groups;
}

static struct json *json_list(const struct strlist *l)
{
    struct json *j = json_new_array();

    for (size_t i = 0; i < l->n; i++)
        json_push(j, json_new_str(l->items[i]));
    return j;
}

static struct json *json_errors(const struct fetch_found *f)
{
    struct json *j = json_list(&f->errors);

    if (f->proxy_fault && !strlist_has(&f->errors, f->proxy_fault))
        json_push(j, json_new_str(f->proxy_fault));
    return j;
}

static void print_json(const struct finding *f, uint64_t limit, struct out *out)
{
    struct json *doc = answer_new(), *sources = json_new_array(), *rejected = json_new_object();
    AUTO(reasons_advice_clear) struct reasons_advice advice = {0};
    const struct reasons *r = &f->reasons;

    for (size_t i = 0; i < r->n_usable && (!limit || i < limit); i++)
        json_push(sources, json_source(f, r->order[i]));
    for (int k = 0; k < FETCH_REASONS_N; k++)
        if (k != FETCH_USABLE && r->count[k])
            json_put(rejected, fetch_reason_name((enum fetch_reason)k), json_new_u64(r->count[k]));
    if (!r->n_usable)
        reasons_advise(&f->found, r, &advice);
    json_put(doc, "tip", r->tip_known ? json_new_u64(r->tip) : NULL);
    json_put(doc, "listed_by", json_new_u64(f->found.listed_by));
    json_put(doc, "nodes", json_new_u64(f->found.n + f->found.without_rpc));
    json_put(doc, "usable", json_new_u64(r->n_usable));
    json_put(doc, "sources", sources);
    json_put(doc, "rejected", rejected);
    json_put(doc, "groups", json_groups(f));
    json_put(doc, "relaxed", json_list(&f->relaxed));
    json_put(doc, "would_help", json_new_str(advice.text));
    json_put(doc, "errors", json_errors(&f->found));
    json_put(doc, "replay_slots_s", json_new_f64(f->limits.rates.replay_slots_s));
    json_put(doc, "replay_from", json_new_str(f->replay_from));
    json_put(doc, "unpack_b_s", json_new_f64(f->limits.rates.unpack_b_s));
    json_put(doc, "unpack_from", json_new_str(f->unpack_from));
    json_put(doc, "own_limit", f->measured ? json_new_bool(f->rates.own_limit) : NULL);
    json_put(doc, "seconds", json_new_f64(f->seconds));
    out_json(out, doc);
}

/* ---- text -------------------------------------------------------------------------------------
 */

/* "1,234,500 (67)": the slot and its age. */
static const char *slot_text(const struct fetch_file *f, const struct reasons *r,
                             char buf[static 64])
{
    char slot[32], age[32];

    if (!f->name)
        return NULL;
    if (r->tip >= f->slot)
        snprintf(buf, 64, "%s (%s)", status_grouped(f->slot, slot),
                 status_grouped(r->tip - f->slot, age));
    else
        snprintf(buf, 64, "%s (0)", status_grouped(f->slot, slot));
    return buf;
}

static const char *minutes_text(const struct fetch_offer *o, const struct reasons_verdict *v,
                                char buf[static 32])
{
    if (!v->measured || o->rate_b_s <= 0)
        return NULL;
    if (v->time.minutes < 0)
        return "never";
    snprintf(buf, 32, "%.1f", v->time.minutes);
    return buf;
}

static void print_row(struct table *t, const struct finding *f, size_t rank)
{
    size_t i = f->reasons.order[rank];
    const struct fetch_offer *o = &f->found.offers[i];
    const struct reasons_verdict *v = &f->reasons.verdicts[i];
    AUTO(freep) char *label = rpc_url_label(o->peer.url);
    char no[32], full[64], incr[64], size[32], rate[48], latency[32], minutes[32];
    char trust[TRUST_TEXT_MAX], per_s[32];
    const char *const cells[] = {
        no,
        label,
        o->peer.version,
        slot_text(&o->full, &f->reasons, full),
        v->with_incr ? slot_text(&o->incr, &f->reasons, incr) : NULL,
        v->get_b == UINT64_MAX ? NULL : size,
        o->rate_b_s < 0 ? NULL : rate,
        o->latency_us.known ? latency : NULL,
        minutes_text(o, v, minutes),
        trust_text(group_of(f, i), trust),
    };

    snprintf(no, sizeof(no), "%zu", rank + 1);
    fmt_size(v->get_b, size, sizeof(size));
    snprintf(rate, sizeof(rate), "%s%s/s", o->rate_floor ? "> " : "",
             fmt_size(o->rate_b_s > 0 ? (uint64_t)o->rate_b_s : 0, per_s, sizeof(per_s)));
    snprintf(latency, sizeof(latency), "%.1f ms", (double)o->latency_us.v / 1000.0);
    table_row(t, cells);
}

static void print_table(const struct finding *f, uint64_t limit, struct out *out)
{
    static const char *const headers[] = {
        ">#",       "NODE",     "VERSION", ">FULL (AGE)", ">INCREMENTAL (AGE)", ">SIZE", ">RATE",
        ">LATENCY", ">MINUTES", "TRUST",   NULL};
    AUTO(table_freep) struct table *t = table_new(headers);
    size_t n = f->reasons.n_usable, shown = limit && limit < n ? limit : n;

    for (size_t i = 0; i < shown; i++)
        print_row(t, f, i);
    if (shown)
        table_print(t, out);
    if (shown < n)
        out_printf(out, "and %zu more (--limit N, or -o json for all)\n", n - shown);
}

/* When will an incremental for the best full snapshot be gone? */
static void print_successor(const struct finding *f, struct out *out)
{
    const struct reasons *r = &f->reasons;
    const struct fetch_offer *o;
    char slot[32], left[32];
    uint64_t next;

    if (!r->n_usable || !r->verdicts[r->order[0]].with_incr)
        return;
    o = &f->found.offers[r->order[0]];
    next = o->full.slot + r->full_interval;
    if (next > r->tip)
        out_printf(out,
                   "the next full snapshot comes at about slot %s, in %s: from then on there are "
                   "no incrementals for this one\n",
                   status_grouped(next, slot),
                   fmt_duration((double)(next - r->tip) / f->limits.rates.cluster_slots_s, left,
                                sizeof(left)));
}

static void print_text(const struct finding *f, uint64_t limit, struct out *out)
{
    const struct reasons *r = &f->reasons;
    AUTO(freep) char *why = reasons_text(r);
    char tip[32], unpack[32];

    print_table(f, limit, out);
    if (f->measured && r->n_usable)
        out_printf(out,
                   "MINUTES to the tip: transfer, unpacking at %s/s (%s), and replay at %.1f "
                   "slots/s (%s)\n",
                   fmt_size((uint64_t)f->limits.rates.unpack_b_s, unpack, sizeof(unpack)),
                   f->unpack_from, f->limits.rates.replay_slots_s, f->replay_from);
    if (f->rates.own_limit)
        out_printf(out, "the rates are this host's limit rather than the nodes': they gave more "
                        "alone\n");
    print_successor(f, out);
    out_printf(out, "tip %s%s; %zu of %" PRIu64 " nodes can be used, found in %.1f s\n",
               status_grouped(r->tip, tip), r->tip_known ? "" : " (guessed: no RPC node tells)",
               r->n_usable, f->found.n + f->found.without_rpc, f->seconds);
    if (*why)
        out_printf(out, "not used: %s\n", why);
}

static struct err *say_rest(const struct finding *f)
{
    AUTO(reasons_advice_clear) struct reasons_advice advice = {0};
    const struct strlist *errors = &f->found.errors;

    for (size_t i = 0; i < f->relaxed.n; i++)
        log_note("%s", f->relaxed.items[i]);
    for (size_t i = 0; i < errors->n && i < ERRORS_SHOWN; i++)
        log_note("no list of nodes from %s", errors->items[i]);
    if (f->found.proxy_fault)
        log_note("%zu nodes could not be asked: %s", f->reasons.count[FETCH_PROXY],
                 f->found.proxy_fault);
    if (f->reasons.n_usable)
        return NULL;
    reasons_advise(&f->found, &f->reasons, &advice);
    AUTO(freep) char *why = reasons_text(&f->reasons);
    return err_new(ERR_NOTFOUND, "no node has a snapshot that can be used%s%s%s%s",
                   *why ? ": " : "", why, advice.text ? "; " : "", advice.text ? advice.text : "");
}

static struct err *snapshot_find_run(struct ctx *ctx, const void *opts, int argc, char **argv,
                                     struct out *out)
{
    AUTO(snapshot_scope_clear) struct snapshot_scope who = {0};
    AUTO(finding_clear) struct finding f = {0};
    const struct find_opts *o = opts;

    if (o->blacklist || o->forget.n)
        return blacklist_run(ctx, o, out);
    TRY(snapshot_who_choose(ctx, &o->who, &who));
    TRY(look(ctx, &who, o, &f));
    if (out->json)
        print_json(&f, o->limit, out);
    else
        print_text(&f, o->limit ? o->limit : SHOWN, out);
    return say_rest(&f);
}

const struct cmd cmd_snapshot_find = {
    .name = "find",
    .summary = "show who has which snapshots, best first",
    .usage = "",
    .detail =
        "Asks RPC nodes for the nodes of the cluster and every node for its full and its "
        "incremental snapshot, all at once, and measures how fast the best send. They are ordered "
        "by minutes to the tip: transfer, unpacking (snapshot.unpack_mib_s) and replay "
        "(--replay-rate, "
        "else what status and start saw of this host while it caught up, since the boot, else 5.0 "
        "slots a second), as the cluster goes on meanwhile; "
        "an incremental is counted as fetched last.\n\n"
        "A snapshot is believed when a known validator serves it (validator.known_validators, "
        "--known), a source whose word is enough (snapshot.trusted_sources, --trust), or nodes of "
        "at least 3 distinct networks. Networks are the first 16 bits of an IPv4 address and the "
        "first 32 of an IPv6 one; nodes with one identity are one. Private addresses are a network "
        "each when you name them, or when an RPC node that you name has an address of the same "
        "block (a lab, a private cluster); all others together are one. Who a node is, is taken "
        "from the lists of the RPC nodes that you name.\n\n"
        "Where nothing fits, limits give way one after another: latency, rate, then age up to "
        "snapshot.max_age_slots; each is said. Trust never does. When still nothing fits, the "
        "reasons are counted, and the one limit that would help is named; the exit code is 1.\n\n"
        "-o json: sources[] {addr, id, version, shred_version, full {name, slot, hash, size_b, "
        "url}, incremental {the same, and base} or null, latency_ms, ranges, rate_b_s, trust, "
        "slot, minutes_to_tip}, best first; rejected {reason: count}; groups[] {base, slot, hash, "
        "sources, networks, trust}; tip, listed_by, nodes, usable, relaxed[], would_help, "
        "replay_slots_s, replay_from, unpack_b_s, unpack_from, "
        "errors[]. What is unknown or not measured is null, and a url that would show a key.",
    .example = "agavectl snapshot find --rpc https://api.mainnet-beta.solana.com",
    .flags = CMD_CONFIG_MAYBE | CMD_JSON,
    .opts = find_options,
    .opts_size = sizeof(struct find_opts),
    .run = snapshot_find_run,
};
