#pragma once

#include <stdbool.h>

#include "base/cleanup.h"

/* How a flow tells its caller what it does. The flow owns none of it; cmd/progress.c prints it,
 * tests record it. Every begin is followed by exactly one end, unless the flow fails in between. */
struct flow_report {
    void (*begin)(void *arg, const char *step);
    void (*progress)(void *arg, const char *text);          /* replaces the one before it */
    void (*end)(void *arg, bool changed, const char *text); /* what is true now */
    void *arg;
};

/* NULL report: nobody listens. */
void report_begin(const struct flow_report *r, const char *step);
void report_progress(const struct flow_report *r, const char *fmt, ...) PRINTF(2, 3);
void report_end(const struct flow_report *r, bool changed, const char *fmt, ...) PRINTF(3, 4);
