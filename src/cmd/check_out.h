#pragma once

#include "cmd/check_view.h"
#include "cmd/out.h"

/* The formats of `agavectl check`, each in the file of its name; printed on o->f. */

/* For people: what is not ok, and a line for each layer. all: what is ok and absent as well. */
void check_out_text(const struct check_view *v, bool all, struct out *o);
void check_out_json(const struct check_view *v, struct out *o);
/* Plugin output of Nagios 3 and later: status line with performance data, then one line a finding.
 * Returns the plugin's exit code: 2 with a fail, else 3 with an unknown, else 1 with a warn. */
int check_out_nagios(const struct check_view *v, struct out *o);
/* One finding, as in the formats above. */
void check_put_finding(const struct out *o, const struct finding *f);
struct json *check_finding_json(const struct finding *f);
/* JUnit's XML: a suite for each stage, a case for each finding. fail is a failure, unknown an
 * error; ignored and absent are skipped. */
void check_out_junit(const struct check_view *v, struct out *o);
/* Prometheus' text format 0.0.4, for the node exporter's textfile collector. */
void check_out_prometheus(const struct check_view *v, uint64_t wall_ms, struct out *o);
