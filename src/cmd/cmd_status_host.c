/* The rows of agavectl status that come from the host's kernel. */
#include "cmd/cmd_status_host.h"

#include <inttypes.h>

#include "base/str.h"

#define LABEL      STATUS_LABEL
#define STEADY_B_S 1024 /* slower than this nothing grows that matters */
#define FAR_AWAY_S (365 * 86400ull)
#define HOUR_S     3600

const char *status_grouped(uint64_t v, char buf[static 32])
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

static void print_trend(const struct unit_memory *m, struct out *out)
{
    double b_s = m->trend.per_s[0], off = b_s < 0 ? -b_s : b_s;
    char size[32], time[32];

    if (!m->trend.known)
        return;
    if (off < STEADY_B_S) {
        out_printf(out, ", steady");
        return;
    }
    out_printf(out, ", %c%s/h", b_s < 0 ? '-' : '+',
               fmt_size((uint64_t)(off * HOUR_S), size, sizeof(size)));
    if (m->limit_in_s.known && m->limit_in_s.v < FAR_AWAY_S)
        out_printf(out, ": full in %s", fmt_duration((double)m->limit_in_s.v, time, sizeof(time)));
}

static void print_memory(const struct unit_memory *m, struct out *out)
{
    char resident[32], held[32], limit[32];

    out_printf(out, LABEL, "memory");
    if (m->resident_b.known)
        out_printf(out, "%s resident; ", fmt_size(m->resident_b.v, resident, sizeof(resident)));
    if (m->held_b.known && m->limit_b.known) {
        out_printf(out, m->host_is_limit ? "host %s of %s in use" : "%s of its limit of %s held",
                   fmt_size(m->held_b.v, held, sizeof(held)),
                   fmt_size(m->limit_b.v, limit, sizeof(limit)));
        print_trend(m, out);
        out_printf(out, "\n");
        return;
    }
    if (m->limit_b.known)
        out_printf(out, "unknown how much of %s", fmt_size(m->limit_b.v, limit, sizeof(limit)));
    else
        out_printf(out, "unknown against what limit");
    out_printf(out, "%s%s\n", m->error ? ": " : "", m->error ? m->error : "");
}

/* Only kills that matter to this validator; none: no row. */
static void print_oom(const struct unit_host *u, struct out *out)
{
    const struct oom_kill *last = NULL;
    size_t n = 0;
    char at[32];

    for (size_t i = 0; i < u->oom.kills.n; i++)
        if (unit_host_concerns(u, &u->oom.kills.items[i])) {
            last = &u->oom.kills.items[i];
            n++;
        }
    if (!u->oom.known)
        out_printf(out, LABEL "unknown when: %s\n", "oom", u->oom.error);
    if (!last)
        return;
    out_printf(out, LABEL "%zu kill%s, the last %s: process %d (%s), %s\n", "oom", n,
               n == 1 ? "" : "s", fmt_utc(last->at_ms, at, sizeof(at)), (int)last->pid, last->name,
               last->by_limit ? "at its cgroup's limit" : "the host was out of memory");
}

static void print_udp(const struct unit_host *u, struct out *out)
{
    const struct unit_udp *d = &u->udp;
    char in[32];

    out_printf(out, LABEL, "udp");
    if (!d->known) {
        out_printf(out, "unknown: %s\n", d->error);
        return;
    }
    if (!d->rate.known)
        out_printf(out, "unknown until a second look");
    else
        out_printf(out, "%s in, %.1f lost to full buffers, %.1f other errors per second",
                   status_grouped((uint64_t)(d->rate.per_s[0] + 0.5), in), d->rate.per_s[2],
                   d->rate.per_s[1] > d->rate.per_s[2] ? d->rate.per_s[1] - d->rate.per_s[2] : 0);
    out_printf(out, " (network namespace of process %d)\n", (int)u->pid);
}

static void print_tvu(const struct unit_udp *d, struct out *out)
{
    char drops[32], queue[32];

    if (!d->tvu_port.known)
        return;
    if (!d->tvu_known) {
        out_printf(out, LABEL "unknown: %s\n", "tvu", d->tvu_error);
        return;
    }
    out_printf(out, LABEL "port %u%s: %s dropped", "tvu", (unsigned)d->tvu_port.v,
               d->tvu_from == TVU_RANGE ? " (assumed)" : "", status_grouped(d->tvu.drops, drops));
    if (d->tvu_rate.known)
        out_printf(out, " (%.1f/s)", d->tvu_rate.per_s[0]);
    out_printf(out, ", %s waiting\n", fmt_size(d->tvu.rx_queue_b, queue, sizeof(queue)));
}

void status_print_host(const struct unit_host *u, struct out *out)
{
    if (u->pid)
        print_memory(&u->memory, out);
    if (u->looked)
        print_oom(u, out);
    if (u->pid) {
        print_udp(u, out);
        print_tvu(&u->udp, out);
    }
}
