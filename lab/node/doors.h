#pragma once

#include <netinet/in.h>
#include <stdint.h>

#include "base/err.h"

/* Any number of listening TCP sockets on one thread, each of which can be shut, or made to swallow
 * whoever knocks, while it runs. */
struct doors;
struct door;

/* Takes over fd; called on the doors' thread. */
typedef void door_accept(void *arg, int fd, const struct sockaddr_in *from);
/* Called on the doors' thread after each wake and each accept; returns after how many ms it wants
 * to be called again (-1: not by itself). */
typedef int doors_tick(void *arg);

struct err *doors_open(doors_tick *tick, void *arg, struct doors **ret) MUST_CHECK;
/* Ends the thread and closes every door. NULL is fine; returns NULL. Never from a callback. */
struct doors *doors_close(struct doors *d);
/* Calls tick soon; from any thread. */
void doors_wake(struct doors *d);

enum door_state {
    DOOR_OPEN,
    DOOR_CLOSED, /* connections are refused */
    DOOR_SILENT, /* connections time out: the queue is full and nobody takes any */
};
/* Listens; owned by d. ERR_SYS (port taken), ERR_BADINPUT (no IPv4 address). */
struct err *door_add(struct doors *d, const char *bind, uint16_t port, door_accept *accept,
                     void *arg, struct door **ret) MUST_CHECK;
/* ERR_SYS: the port was taken meanwhile; the door is closed then. */
struct err *door_set(struct door *door, enum door_state state) MUST_CHECK;
