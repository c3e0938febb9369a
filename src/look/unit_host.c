/* Memory, OOM kills and UDP of a running validator, as the kernel counts them. Decides nothing;
 * what a figure means is said in the header and printed by cmd. unit_host_json.c writes it down. */
#include "look/unit_host.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "host/pids.h"
#include "host/sockets.h"
#include "io/clock.h"

/* The names that a validator's process has, in the kernel's 15 bytes. */
static const char *const names[] = {"agave-validator", "solana-validato", "agavectl-lab-va"};

void unit_host_clear(struct unit_host *u)
{
    cgroup_memory_clear(&u->memory.cgroup);
    free(u->memory.error);
    oom_kills_clear(&u->oom.kills);
    free(u->oom.error);
    free(u->udp.error);
    free(u->udp.tvu_error);
    *u = (struct unit_host){0};
}

/* Keeps an error's text in *where unless there is one already; takes e. */
static void note(char **where, struct err *e)
{
    if (e && !*where)
        *where = xstrdup(e->text);
    (void)err_free(e); /* shown as text beside what could not be looked at */
}

static struct rate_look look_now(struct ctx *ctx, uint64_t id)
{
    return (struct rate_look){
        .id = id, .wall_ms = clock_wall_ms(ctx), .mono_ns = clock_mono_ns(ctx)};
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void add_resident(struct ctx *ctx, const struct unit_host_params *p, struct unit_memory *m)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < p->n_pids; i++) {
        struct process_memory one = {0};
        struct err *e = process_memory(ctx, p->pids[i], &one);

        if (e || !one.resident_b.known) { /* a sum without one of them would be too small */
            note(&m->error, e);
            return;
        }
        sum += one.resident_b.v;
    }
    m->resident_b = (struct known_u64){true, sum};
}

static void find_limit(struct unit_memory *m)
{
    const struct host_memory *h = &m->host;

    if (!m->counted)
        return; /* there may be a limit */
    if (m->cgroup.limit_b.known && (!h->total_b.known || m->cgroup.limit_b.v <= h->total_b.v)) {
        m->limit_b = m->cgroup.limit_b;
        m->held_b = cgroup_held_b(&m->cgroup.at_limit);
        return;
    }
    m->host_is_limit = h->total_b.known;
    m->limit_b = h->total_b;
    if (h->total_b.known && h->available_b.known && h->available_b.v <= h->total_b.v)
        m->held_b = (struct known_u64){true, h->total_b.v - h->available_b.v};
}

static void find_trend(struct ctx *ctx, struct rates_book *book, uint64_t start,
                       struct unit_memory *m)
{
    struct rate_look now = look_now(ctx, start << 1 | m->host_is_limit);
    double left;

    if (!m->held_b.known || !m->limit_b.known)
        return;
    now.v[0] = m->held_b.v;
    m->trend = rates_add(book, RATES_MEMORY, &now);
    left = m->limit_b.v > m->held_b.v ? (double)(m->limit_b.v - m->held_b.v) : 0;
    if (m->trend.known && m->trend.per_s[0] >= 1 && left / m->trend.per_s[0] < (double)INT64_MAX)
        m->limit_in_s = (struct known_u64){true, (uint64_t)ceil(left / m->trend.per_s[0])};
}

static void look_at_memory(struct ctx *ctx, const struct unit_host_params *p, struct unit_host *u)
{
    struct unit_memory *m = &u->memory;
    struct err *e = cgroup_memory(ctx, u->pid, &m->cgroup);

    m->counted = !e;
    note(&m->error, e);
    add_resident(ctx, p, m);
    find_limit(m);
}

/* ---- OOM ------------------------------------------------------------------------------------- */

bool unit_host_own_kill(const struct unit_host *u, const struct oom_kill *k)
{
    const char *own = u->memory.counted ? u->memory.cgroup.path : NULL;

    if (own && !str_eq(own, "/") && str_eq(own, k->cgroup))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(names[i], k->name))
            return true;
    return false;
}

bool unit_host_concerns(const struct unit_host *u, const struct oom_kill *k)
{
    return !k->by_limit || unit_host_own_kill(u, k);
}

/* The kernel's log is long: it is read only when the kernel's counter says that there was one. */
static void look_at_oom(struct ctx *ctx, const struct known_u64 *killed, struct unit_oom *o)
{
    struct err *e = NULL;

    if (!killed->known || killed->v > 0)
        e = kmsg_oom_kills(ctx, &o->kills);
    o->known = !e;
    note(&o->error, e);
}

/* ---- UDP ------------------------------------------------------------------------------------- */

/* A port that is only assumed must at least be the validator's own. */
static struct err *check_owner(struct ctx *ctx, pid_t pid, uint16_t port)
{
    AUTO(bound_sockets_clear) struct bound_sockets all = {0};
    bool own = false;

    TRY(sockets_read(ctx, pid, PORT_UDP, &all));
    for (size_t i = 0; i < all.n && !own; i++)
        if (all.items[i].port == port && all.items[i].inode)
            TRY(socket_is_of(ctx, pid, all.items[i].inode, &own));
    if (!own)
        return err_new(ERR_NOTFOUND, "UDP port %u is not the validator's", port);
    return NULL;
}

static void look_at_tvu(struct ctx *ctx, const struct unit_host_params *p, pid_t pid,
                        uint64_t start, struct unit_udp *d)
{
    struct rate_look now = look_now(ctx, start);
    struct err *e;

    d->tvu_port = p->tvu_port;
    d->tvu_from = p->tvu_from;
    if (!d->tvu_port.known)
        return;
    e = udp_port(ctx, pid, (uint16_t)d->tvu_port.v, &d->tvu);
    if (!e && d->tvu.sockets == 0)
        e = err_new(ERR_NOTFOUND, "no socket is bound to UDP port %u", (unsigned)d->tvu_port.v);
    if (!e && d->tvu_from == TVU_RANGE)
        e = check_owner(ctx, pid, (uint16_t)d->tvu_port.v);
    d->tvu_known = !e;
    note(&d->tvu_error, e);
    if (!d->tvu_known)
        return;
    now.v[0] = d->tvu.drops;
    d->tvu_rate = rates_add(p->book, RATES_TVU, &now);
}

static void look_at_udp(struct ctx *ctx, const struct unit_host_params *p, pid_t pid,
                        uint64_t start, struct unit_udp *d)
{
    struct rate_look now = look_now(ctx, start);
    struct err *e = udp_counters(ctx, pid, &d->counters);

    d->known = !e;
    note(&d->error, e);
    if (d->known) {
        now.v[0] = d->counters.in_datagrams;
        now.v[1] = d->counters.in_errors;
        now.v[2] = d->counters.rcvbuf_errors;
        d->rate = rates_add(p->book, RATES_UDP, &now);
    }
    look_at_tvu(ctx, p, pid, start, d);
}

/* What only a live process has. */
static void look_at_process(struct ctx *ctx, const struct unit_host_params *p,
                            struct unit_host *ret)
{
    uint64_t start = 0;
    struct err *e = pid_start(ctx, p->pids[0], &start);

    if (e) {
        (void)err_free(e); /* it ended meanwhile: nothing of it is known */
        return;
    }
    ret->pid = p->pids[0];
    ret->other_netns = netns_differs(ctx, ret->pid);
    look_at_memory(ctx, p, ret);
    find_trend(ctx, p->book, start, &ret->memory);
    look_at_udp(ctx, p, ret->pid, start, &ret->udp);
}

void unit_host_look(struct ctx *ctx, const struct unit_host_params *p, struct unit_host *ret)
{
    ret->looked = true;
    note(&ret->memory.error, host_memory(ctx, &ret->memory.host));
    if (p->n_pids)
        look_at_process(ctx, p, ret);
    look_at_oom(ctx, &ret->memory.host.oom_kills, &ret->oom);
}
