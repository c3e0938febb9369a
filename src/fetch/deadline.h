#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Will a transfer that runs be done too late? Pure. It is said slowly: not in the first half
 * minute, only when the last minute was too slow all of the time, and not for what is nearly done.
 * Times are of one monotonic clock. */
struct deadline {
    uint64_t by_ns;    /* 0: whenever */
    uint64_t begun_ns; /* of the transfer */
    uint64_t late_ns;  /* since when it is too slow; 0: it is not */
};
/* To be asked again and again, every second or more often; rate_b_s: over the last 10 s. */
bool deadline_is_missed(struct deadline *d, uint64_t now_ns, uint64_t missing_b, double rate_b_s);
/* Until then; 0: it is over. */
double deadline_left_s(const struct deadline *d, uint64_t now_ns);
