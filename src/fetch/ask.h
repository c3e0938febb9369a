#pragma once

#include <stdint.h>

#include "base/json.h"
#include "io/http_loop.h"

/* One JSON-RPC question on a loop that others use too. */
struct ask;

/* url, method, params (text of a JSON array) and way are borrowed until done or ask_free; all but
 * the first two may be NULL. done is called once, within http_loop_run: result NULL: no answer that
 * could be used, and why is not told. Afterwards it is gone. */
struct ask *ask_begin(struct http_loop *l, const char *url, const char *method, const char *params,
                      const struct http_way *way, uint32_t timeout_ms,
                      void (*done)(void *arg, struct json *result), void *arg);
/* Gives it up, without its done; not from within it. NULL is fine; returns NULL. */
struct ask *ask_free(struct ask *a);
