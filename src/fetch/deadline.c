/* See deadline.h. */
#include "fetch/deadline.h"

#define FIRST_S 30
#define SURE_S  60
#define MARGIN  1.1
#define GRACE_S 60 /* less than that is not worth all that was received */

double deadline_left_s(const struct deadline *d, uint64_t now_ns)
{
    return d->by_ns > now_ns ? (double)(d->by_ns - now_ns) / 1e9 : 0;
}

static double seconds(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e9 : 0;
}

bool deadline_is_missed(struct deadline *d, uint64_t now_ns, uint64_t missing_b, double rate_b_s)
{
    double left_s = deadline_left_s(d, now_ns) * MARGIN + GRACE_S;

    if (!d->by_ns || seconds(d->begun_ns, now_ns) < FIRST_S ||
        (double)missing_b <= rate_b_s * left_s) {
        d->late_ns = 0;
        return false;
    }
    if (!d->late_ns)
        d->late_ns = now_ns;
    return seconds(d->late_ns, now_ns) >= SURE_S;
}
