/* Formatting for the report of a flow; no output of its own. */
#include "flow/report.h"

#include <stdarg.h>

void report_begin(const struct flow_report *r, const char *step)
{
    if (r)
        r->begin(r->arg, step);
}

void report_progress(const struct flow_report *r, const char *fmt, ...)
{
    va_list ap;

    if (!r)
        return;
    va_start(ap, fmt);
    AUTO(freep) char *s = xvasprintf(fmt, ap);
    va_end(ap);
    r->progress(r->arg, s);
}

void report_end(const struct flow_report *r, bool changed, const char *fmt, ...)
{
    va_list ap;

    if (!r)
        return;
    va_start(ap, fmt);
    AUTO(freep) char *s = xvasprintf(fmt, ap);
    va_end(ap);
    r->end(r->arg, changed, s);
}
