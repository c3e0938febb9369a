/* Gathers what `agavectl status` shows. Asks the unit and the admin socket first (both local and
 * quick), then the node and all references at once in what is left of the time. Changes nothing but
 * the two looks that rates keep. What the facts mean is decided in status_decide.c. */
#include "look/status.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"
#include "io/clock.h"
#include "io/fsroot.h"
#include "look/snapshot_trust.h"
#include "solana/snapshot_name.h"

/* Questions to the node itself, before those to the references. */
enum { ASK_HEALTH, ASK_PROCESSED, ASK_CONFIRMED, ASK_FINALIZED, ASK_SNAPSHOTS, N_ASK };

#define ADMIN_MS_MAX 200 /* the admin socket is local: slower than this is as good as silent */
#define HTTP_MS_MIN  50

void status_clear(struct status *s)
{
    for (size_t i = 0; i < s->n_refs; i++) {
        free(s->refs[i].url);
        free(s->refs[i].error);
    }
    free(s->refs);
    free(s->reason);
    free(s->rpc_error);
    free(s->phase_error);
    free(s->pids);
    free(s->unit_error);
    free(s->full_trust);
    free(s->incremental_trust);
    free(s->snapshot_error);
    unit_host_clear(&s->host);
    *s = (struct status){0};
}

/* Keeps an error's text in *where unless there is one already; takes e. */
static void note(char **where, struct err *e)
{
    if (e && !*where)
        *where = xstrdup(e->text);
    (void)err_free(e); /* shown as text beside what could not be looked at */
}

static void look_at_unit(struct ctx *ctx, const struct status_params *p, struct status *s)
{
    struct err *e;

    s->unit = (struct unit_status){.phase = PH_UNKNOWN, .age_s = UINT64_MAX};
    if (!p->runtime && p->pid) {
        s->pids = xmemdup(&p->pid, sizeof(p->pid));
        s->n_pids = 1;
        s->pids_known = true;
        s->unit.phase = PH_RUNNING;
    }
    if (!p->runtime)
        return;
    s->runtime = p->runtime->name;
    e = p->runtime->status(ctx, p->unit, &s->unit);
    if (e)
        s->unit = (struct unit_status){.phase = PH_UNKNOWN, .age_s = UINT64_MAX};
    s->age_s = (struct known_u64){s->unit.age_s != UINT64_MAX, s->unit.age_s};
    note(&s->unit_error, e);
    e = p->runtime->pids(ctx, p->unit, &s->pids, &s->n_pids);
    s->pids_known = !e;
    note(&s->unit_error, e);
}

/* Also the process's start time, which tells the next one from it. */
static struct known_u64 look_at_phase(struct ctx *ctx, const struct status_params *p,
                                      struct status *s)
{
    uint32_t ms = p->timeout_ms / 4 < ADMIN_MS_MAX ? p->timeout_ms / 4 : ADMIN_MS_MAX;
    struct known_u64 start = {0};
    struct err *e;

    if (!p->ledger)
        return start;
    e = admin_start_progress(ctx, p->ledger, ms, &s->phase);
    s->phase_known = !e;
    if (!e) {
        e = admin_start_time(ctx, p->ledger, ms, &start.v);
        start.known = !e;
    }
    note(&s->phase_error, e);
    /* A runtime that did not start it does not know since when it runs. */
    if (start.known && !s->age_s.known && clock_wall_ms(ctx) >= start.v)
        s->age_s = (struct known_u64){true, (clock_wall_ms(ctx) - start.v) / 1000};
    return start;
}

/* From the folder, which can be read when nothing runs; RPC's answer (NULL: it is off) only where
 * it cannot. */
static void look_at_snapshots(struct ctx *ctx, const struct status_params *p, struct rpc_call *call,
                              struct status *s)
{
    const char *full = p->full_dir ? p->full_dir : p->snapshots_dir;
    const char *incremental = p->incremental_dir ? p->incremental_dir : p->snapshots_dir;
    AUTO(snapshot_dir_clear) struct snapshot_dir d = {0};
    AUTO(err_freep) struct err *e = NULL;
    struct rpc_snapshots told;

    if (p->snapshots_dir) {
        e = snapshot_dirs_scan(ctx->root, full, incremental, &d);
        if (!e) {
            s->full_slot = (struct known_u64){d.has_full, d.full.name.slot};
            s->incremental_slot = (struct known_u64){d.has_incremental, d.incremental.name.slot};
            if (d.has_full)
                s->full_trust = snapshot_trust(ctx, full, d.full.path);
            if (d.has_incremental)
                s->incremental_trust = snapshot_trust(ctx, incremental, d.incremental.path);
            return;
        }
        note(&s->snapshot_error, TAKE(e));
    }
    e = call ? rpc_take_snapshots(call, &told) : NULL;
    if (!call || e)
        return;
    s->full_slot = (struct known_u64){true, told.full};
    s->incremental_slot = (struct known_u64){told.has_incremental, told.incremental};
}

/* The same questions, to wherever fd leads. */
static void fill_own(const struct status_params *p, int netns_fd, struct rpc_call *calls)
{
    static const char *const methods[N_ASK] = {
        "getHealth", "getSlot", "getSlot", "getSlot", "getHighestSnapshotSlot",
    };

    for (size_t i = 0; i < N_ASK; i++)
        calls[i] = (struct rpc_call){.url = p->rpc_url, .method = methods[i], .netns_fd = netns_fd};
    for (enum rpc_commitment c = RPC_PROCESSED; c <= RPC_FINALIZED; c++)
        calls[ASK_PROCESSED + c].params = rpc_commitment_params(c);
}

static void fill_references(const struct status_params *p, size_t n_refs, struct rpc_call *calls)
{
    for (size_t i = 0; i < n_refs; i++)
        calls[i] = (struct rpc_call){
            .url = p->refs[i], .method = "getSlot", .params = rpc_commitment_params(RPC_FINALIZED)};
}

/* Did anybody speak JSON-RPC there? */
static bool answered(const struct rpc_call *own)
{
    for (size_t i = 0; i < N_ASK; i++)
        if (!own[i].err || own[i].error)
            return true;
    return false;
}

static void read_own(struct rpc_call *calls, struct status *s)
{
    struct err *e = rpc_take_health(&calls[ASK_HEALTH], &s->node_health);

    s->health_known = !e;
    note(&s->rpc_error, e);
    for (enum rpc_commitment c = RPC_PROCESSED; c <= RPC_FINALIZED; c++) {
        e = rpc_take_slot(&calls[ASK_PROCESSED + c], &s->slots[c].v);
        s->slots[c].known = !e;
        note(&s->rpc_error, e);
    }
}

static void read_references(const struct status_params *p, struct rpc_call *calls,
                            uint64_t elapsed_ms, struct status *s)
{
    for (size_t i = 0; i < s->n_refs; i++) {
        struct status_reference *r = &s->refs[i];
        double answered_ms = calls[i].seconds * 1000;
        struct err *e = rpc_take_slot(&calls[i], &r->slot.v);

        r->url = rpc_url_label(p->refs[i]);
        if (!e && str_eq(p->refs[i], p->rpc_url))
            e = err_new(ERR_BADINPUT, "this is the node itself: it proves nothing about itself");
        r->slot.known = !e;
        if (answered_ms >= 0 && answered_ms < (double)elapsed_ms)
            r->age_ms = elapsed_ms - (uint64_t)answered_ms;
        note(&r->error, e);
    }
}

/* The unit's own network namespace, where that is another one and may be entered; else -1. */
static int open_netns(struct ctx *ctx, const struct status *s)
{
    AUTO(freep) char *path = NULL;
    int fd = -1;
    struct err *e;

    if (s->n_pids == 0 || !netns_differs(ctx, s->pids[0]))
        return -1;
    path = xasprintf("/proc/%d/ns/net", (int)s->pids[0]);
    e = fsroot_openat(ctx->root, path, O_RDONLY, 0, &fd);
    if (e)
        log_debug("status: %s", e->text);
    (void)err_free(e); /* without the right to it the node is asked from here alone */
    return fd;
}

/* All questions at once: to the node from here, to the node in its namespace, to the references. */
static struct err *look_at_slots(struct ctx *ctx, const struct status_params *p, uint32_t ms,
                                 struct status *s)
{
    AUTO(closep) int netns_fd = p->rpc_url ? open_netns(ctx, s) : -1;
    size_t n_here = p->rpc_url ? N_ASK : 0, n_there = netns_fd > 0 ? N_ASK : 0;
    AUTO(freep) struct rpc_call *calls = NULL;
    uint64_t start_ns = clock_mono_ns(ctx);
    struct rpc_call *own;
    struct err *e;

    s->n_refs = p->n_refs < STATUS_REFS_MAX ? p->n_refs : STATUS_REFS_MAX;
    s->refs = xcalloc(s->n_refs, sizeof(*s->refs));
    calls = xcalloc(n_here + n_there + s->n_refs, sizeof(*calls));
    own = calls;
    if (n_here)
        fill_own(p, 0, calls);
    if (n_there)
        fill_own(p, netns_fd, calls + n_here);
    fill_references(p, s->n_refs, calls + n_here + n_there);
    e = rpc_many(ctx, calls, n_here + n_there + s->n_refs, ms, p->beside);
    if (!e) {
        /* What answers at this address in its namespace is the node; here it may be another. */
        if (n_there && (answered(calls + n_here) || !answered(calls))) {
            own = calls + n_here;
            s->via_pid = s->pids[0];
        }
        if (n_here)
            read_own(own, s);
        read_references(p, calls + n_here + n_there, (clock_mono_ns(ctx) - start_ns) / 1000000, s);
        look_at_snapshots(ctx, p, n_here ? &own[ASK_SNAPSHOTS] : NULL, s);
    }
    rpc_calls_clear(calls, n_here + n_there + s->n_refs);
    return e;
}

static void measure_slots(struct ctx *ctx, struct rates_book *book, struct known_u64 start,
                          struct status *s)
{
    const struct rate_look now = {
        .id = start.v,
        .v = {s->slots[RPC_PROCESSED].v, s->tip.v},
        .wall_ms = clock_wall_ms(ctx),
        .mono_ns = clock_mono_ns(ctx),
    };
    struct rate r;

    if (!start.known || !s->slots[RPC_PROCESSED].known || !s->tip.known)
        return;
    r = rates_add(book, RATES_SLOTS, &now);
    s->rates.known = r.known;
    s->rates.replay = r.per_s[0];
    s->rates.chain = r.per_s[1];
    if (s->gap.known)
        rates_note_replay(book, &r, s->gap.v, now.wall_ms);
}

/* How far start-up has come, where it counts slots. */
static void measure_start(struct ctx *ctx, struct rates_book *book, struct known_u64 start,
                          struct status *s)
{
    const struct rate_look now = {
        .id = start.v,
        .v = {s->phase.slot},
        .wall_ms = clock_wall_ms(ctx),
        .mono_ns = clock_mono_ns(ctx),
    };

    if (!start.known || !s->phase_known || s->phase.phase != ADMIN_PROCESSING_LEDGER ||
        !s->phase.has_slot)
        return;
    s->start_rate = rates_add(book, RATES_START, &now);
    if (s->phase.has_max && s->phase.max_slot >= s->phase.slot && s->start_rate.known &&
        s->start_rate.per_s[0] > 0)
        s->start_eta_s =
            (struct known_u64){true, (uint64_t)ceil((double)(s->phase.max_slot - s->phase.slot) /
                                                    s->start_rate.per_s[0])};
}

static bool port_of(const char *text, char separator, struct known_u64 *ret)
{
    const char *last = strrchr(text, separator);
    struct err *e = parse_u64(last ? last + 1 : "", 1, UINT16_MAX, &ret->v);

    ret->known = !e;
    (void)err_free(e); /* told is not known */
    return ret->known;
}

/* Its own word for it once it has started. Until then the first port of its range is where it
 * begins to look for one, and the socket's presence is checked. */
static void find_tvu(struct ctx *ctx, const struct status_params *p, struct status *s,
                     struct unit_host_params *h)
{
    AUTO(freep) char *first = NULL;
    struct admin_contact c = {0};
    struct err *e = NULL;

    if (p->ledger && s->phase_known && s->phase.phase == ADMIN_RUNNING)
        e = admin_contact_info(ctx, p->ledger, ADMIN_MS_MAX, &c);
    if (e)
        log_debug("status: %s", e->text);
    (void)err_free(e);
    if (c.ready && port_of(c.tvu, ':', &h->tvu_port)) {
        h->tvu_from = TVU_CONTACT;
        return;
    }
    first =
        p->port_range ? xasprintf("=%.*s", (int)strcspn(p->port_range, "-"), p->port_range) : NULL;
    if (first && port_of(first, '=', &h->tvu_port))
        h->tvu_from = TVU_RANGE;
}

static void look_at_host(struct ctx *ctx, const struct status_params *p, struct rates_book *book,
                         struct status *s)
{
    struct unit_host_params h = {.pids = s->pids, .n_pids = s->n_pids, .book = book};

    if (!p->host)
        return;
    if (s->n_pids)
        find_tvu(ctx, p, s, &h);
    unit_host_look(ctx, &h, &s->host);
}

struct err *status_gather(struct ctx *ctx, const struct status_params *p, struct status *ret)
{
    AUTO(status_clear) struct status s = {0};
    AUTO(freep) struct rates_book *own_book = p->book ? NULL : xcalloc(1, sizeof(*own_book));
    struct rates_book *book = p->book ? p->book : own_book;
    uint64_t deadline_ns = deadline_in_ms(ctx, p->timeout_ms);
    struct known_u64 start;
    uint32_t left_ms;

    if (!p->book && p->state_dir)
        rates_load(ctx, p->state_dir, book);
    look_at_unit(ctx, p, &s);
    start = look_at_phase(ctx, p, &s);
    measure_start(ctx, book, start, &s);
    look_at_host(ctx, p, book, &s);
    left_ms = deadline_left_ms(ctx, deadline_ns);
    TRY(look_at_slots(ctx, p, left_ms > HTTP_MS_MIN ? left_ms : HTTP_MS_MIN, &s));
    status_decide_tip(&s);
    measure_slots(ctx, book, start, &s);
    if (!p->book && p->state_dir)
        rates_save(ctx, p->state_dir, book);
    status_decide_eta(&s, p->tip_slots);
    status_decide_health(&s, p->tip_slots);
    *ret = s;
    s = (struct status){0};
    return NULL;
}
