#pragma once

#include <stdint.h>

/* Connections that are given a byte of an HTTP head now and then, and never the end of one: what a
 * client with a deadline of its own for the whole must survive. Not for several threads at once. */
struct trickles;

struct trickles *trickles_new(void);
struct trickles *trickles_free(struct trickles *t); /* closes them all; NULL is fine */
/* Takes over fd. owner: any pointer, for trickles_drop. */
void trickles_add(struct trickles *t, int fd, const void *owner, uint64_t every_ms,
                  uint64_t now_ns);
/* Sends what is due. When the next is, or UINT64_MAX. */
uint64_t trickles_tick(struct trickles *t, uint64_t now_ns);
/* Closes those of an owner. */
void trickles_drop(struct trickles *t, const void *owner);
