#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "flow/report.h"

/* Prints the steps of a flow on stderr for people: one line a step, its progress in place on a
 * terminal, and now and then as a line of its own elsewhere. Silent with --quiet. */
struct progress {
    struct flow_report report; /* give &p.report to the flow */
    char step[64];
    bool tty, open;
    unsigned changed, kept; /* steps that changed something, and that did not */
    unsigned long last_ms;  /* of the last progress line where there is no terminal */
};
void progress_init(struct progress *p);
/* After a failure in the middle of a step: ends its line. */
void progress_close(struct progress *p);
/* The step ends without a word of its own: what it did is told elsewhere. */
void progress_drop(struct progress *p);
