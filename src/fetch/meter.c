/* See meter.h. */
#include "fetch/meter.h"

#include <string.h>

#define NS_PER_S 1e9

void meter_begin(struct meter *m, uint64_t now_ns)
{
    *m = (struct meter){
        .begun_ns = now_ns ? now_ns : 1, .slot = now_ns / METER_SLOT_NS, .last_ns = now_ns};
}

/* Slots that nobody added to are empty, not old. */
static void advance(struct meter *m, uint64_t slot)
{
    if (slot <= m->slot)
        return;
    if (slot - m->slot >= METER_SLOTS)
        memset(m->bytes, 0, sizeof(m->bytes));
    else
        for (uint64_t i = m->slot + 1; i <= slot; i++)
            m->bytes[i % METER_SLOTS] = 0;
    m->slot = slot;
}

void meter_add(struct meter *m, uint64_t now_ns, uint64_t n)
{
    if (!m->begun_ns)
        meter_begin(m, now_ns);
    advance(m, now_ns / METER_SLOT_NS);
    m->bytes[m->slot % METER_SLOTS] += n;
    m->total_b += n;
    m->last_ns = now_ns;
}

double meter_age_s(const struct meter *m, uint64_t now_ns)
{
    return m->begun_ns && now_ns > m->begun_ns ? (double)(now_ns - m->begun_ns) / NS_PER_S : 0;
}

double meter_idle_s(const struct meter *m, uint64_t now_ns)
{
    return m->begun_ns && now_ns > m->last_ns ? (double)(now_ns - m->last_ns) / NS_PER_S : 0;
}

double meter_rate(const struct meter *m, uint64_t now_ns, double window_s)
{
    uint64_t now = now_ns / METER_SLOT_NS, want, sum = 0;
    double slot_s = (double)METER_SLOT_NS / NS_PER_S, age_s = meter_age_s(m, now_ns);
    double into_s = (double)(now_ns % METER_SLOT_NS) / NS_PER_S, span_s;

    if (age_s < slot_s / 2)
        return 0;
    want = (uint64_t)(window_s / slot_s);
    want = want < 1 ? 1 : want > METER_SLOTS - 1 ? METER_SLOTS - 1 : want;
    for (uint64_t i = now > want ? now - want : 0; i <= now; i++)
        if (i <= m->slot && m->slot - i < METER_SLOTS)
            sum += m->bytes[i % METER_SLOTS];
    span_s = (double)want * slot_s + into_s;
    return (double)sum / (span_s < age_s ? span_s : age_s);
}
