#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fetch/find.h"
#include "io/http_loop.h"

/* All questions to one node about its snapshots, on a loop that others use too. */
struct questions;

/* offer is borrowed until done: its peer is read (and given the address that answers), the rest is
 * written (it must be empty at first). Its incremental may build on another full archive than its
 * own (then why says so): of several nodes behind one name, or of a node that was asked while it
 * made a new one and again at once.
 * timeout_ms is for all questions together, from now on. At most two go out at the same time, and
 * the first one alone, so that a node that is silent takes one place. way is borrowed as well.
 * Never fails by itself. */
struct questions *questions_begin(struct http_loop *l, struct fetch_offer *offer,
                                  uint32_t timeout_ms, const struct http_way *way,
                                  void (*done)(void *arg, struct questions *q), void *arg);
/* Gives what is still asked up: offer is as far as it came. Not from within done, after which it is
 * gone anyway. NULL is fine. */
void questions_free(struct questions *q);

/* From within done: it did not answer one of them in time. */
bool questions_timed_out(const struct questions *q);

/* Where a redirect points when that is on the same scheme, host and port; to be freed, or NULL. */
char *fetch_redirect(const char *asked, const char *location);
/* f is empty afterwards, its size unknown. */
void fetch_file_clear(struct fetch_file *f);
/* An offer of which nothing is known but the peer. */
void fetch_offer_reset(struct fetch_offer *o);
