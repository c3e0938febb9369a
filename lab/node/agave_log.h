#pragma once

#include <stdbool.h>

#include "base/err.h"

/* Log lines in the form of Agave (env_logger): "[2026-11-23T01:56:44.367466300Z INFO  target]
 * text". Threads may share one. */
struct agave_log;

/* path: a file, appended to; "-" is standard error. ERR_SYS. */
struct err *agave_log_open(const char *path, struct agave_log **ret) MUST_CHECK;
struct agave_log *agave_log_close(struct agave_log *l); /* NULL is fine; returns NULL */
/* Opens the path anew (log rotation); keeps the old file when that fails. */
void agave_log_reopen(struct agave_log *l);

void agave_log_info(struct agave_log *l, const char *target, const char *fmt, ...) PRINTF(3, 4);
void agave_log_warn(struct agave_log *l, const char *target, const char *fmt, ...) PRINTF(3, 4);
void agave_log_error(struct agave_log *l, const char *target, const char *fmt, ...) PRINTF(3, 4);
/* "datapoint: " and the text, from the metrics target. */
void agave_log_point(struct agave_log *l, const char *fmt, ...) PRINTF(2, 3);
