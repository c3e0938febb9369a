#pragma once

#include "base/cleanup.h"

/* Chatter on stderr for people: progress and debug lines. Answers go to stdout (cmd/out.h), errors
 * are returned. base, io, host, runtime, solana and fetch use log_debug only. */
enum log_level { LOG_QUIET, LOG_NORMAL, LOG_DEBUG };

/* One of the three pieces of process-wide state that the conventions allow. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
void log_note(const char *fmt, ...) PRINTF(1, 2);  /* unless --quiet */
void log_debug(const char *fmt, ...) PRINTF(1, 2); /* with --verbose */
