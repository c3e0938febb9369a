#pragma once

#include <stdbool.h>
#include <stdint.h>

/* How fast bytes come: sums of a quarter of a second each, of the last ten seconds. Pure; {0} is
 * one that has seen nothing. Times are of one monotonic clock. */
#define METER_SLOT_NS ((uint64_t)250000000)
#define METER_SLOTS   40

struct meter {
    uint64_t bytes[METER_SLOTS];
    uint64_t begun_ns; /* 0: not yet */
    uint64_t slot;     /* number of the newest slot since the clock's beginning */
    uint64_t last_ns;  /* of the newest bytes; of the beginning before there were any */
    uint64_t total_b;
};

/* Time counts from here; what was before is gone. */
void meter_begin(struct meter *m, uint64_t now_ns);
void meter_add(struct meter *m, uint64_t now_ns, uint64_t n);
/* Bytes a second over the last window_s (at most 10), or since the beginning when that is shorter;
 * 0 before half a slot has passed. */
double meter_rate(const struct meter *m, uint64_t now_ns, double window_s);
double meter_age_s(const struct meter *m, uint64_t now_ns);
double meter_idle_s(const struct meter *m, uint64_t now_ns);
