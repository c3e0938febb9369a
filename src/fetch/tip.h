#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/known.h"
#include "base/str.h"
#include "io/http_loop.h"

/* The cluster's finalized slot, as RPC nodes say it: the lower median of those that answer within
 * timeout_ms, so that one that lies or stands still decides nothing where there are three. Unknown
 * when none answers. */
struct tip;

/* On a loop that others use too. rpcs and way are borrowed until tip_free; both may be NULL. */
struct tip *tip_begin(struct http_loop *l, const struct strlist *rpcs, const struct http_way *way,
                      uint32_t timeout_ms);
/* How many have not answered yet. */
size_t tip_open(const struct tip *t);
/* Of those that have. */
struct known_u64 tip_of(const struct tip *t);
/* Gives up who has not answered. NULL is fine; returns NULL. */
struct tip *tip_free(struct tip *t);
void tip_freep(struct tip **t);

/* The same alone; blocks at most timeout_ms. ERR_CANCELLED; ERR_ABSENT on a captured host. */
struct err *fetch_tip(struct ctx *ctx, const struct strlist *rpcs, const struct http_way *way,
                      uint32_t timeout_ms, struct known_u64 *ret) MUST_CHECK;
