#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"

/* One line out, one line back over a Unix stream socket: Agave's admin socket speaks so. Blocks at
 * most timeout_ms. ERR_NOTFOUND (no socket file), ERR_ABSENT (a socket file that nobody listens
 * on), ERR_REMOTE (closed early, more than max_b), ERR_TIMEOUT, ERR_CANCELLED, ERR_SYS (e.g.
 * EACCES), ERR_BADINPUT (the name itself is too long for a socket; the path may be of any length).
 * *ret without its newline, to be freed. */
struct err *sock_ask(struct ctx *ctx, const char *path, const char *request, uint32_t timeout_ms,
                     size_t max_b, char **ret) MUST_CHECK;

/* The kernel's least round trip of a TCP connection (TCP_INFO), which counts neither our work nor
 * the server's; 0: unknown. */
uint32_t sock_rtt_us(int fd);
