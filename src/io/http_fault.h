#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "io/http.h"

/* What goes wrong with a request, in our words; for http_wire.c. Never NULL unless said. */

/* The URL for messages, to be freed: a query may hold a provider's key. */
char *http_shown(const char *url);
struct err *http_bad_url(const char *url, const char *why) MUST_CHECK;
/* The time-out of req that passed after gone_ms: the connection's, the whole one, the least rate.
 */
struct err *http_timeout_err(const struct http_request *req, const char *url, bool connected,
                             uint64_t gone_ms) MUST_CHECK;
/* The connection ended after taken_b bytes of a body of length_b. */
struct err *http_cut_err(const char *url, uint64_t taken_b, uint64_t length_b) MUST_CHECK;
/* errno in the style of our messages, to be freed; NULL for 0. */
char *http_os_reason(int sys);

/* A Unix socket's file (O_PATH): its path, of any length, is resolved once, so that what was looked
 * at is what is connected to. The errors of http_request.unix_socket. */
struct err *http_unix_open(const char *path, int *ret_fd) MUST_CHECK;
/* Connecting to it failed. */
struct err *http_unix_err(const char *path, int sys) MUST_CHECK;
